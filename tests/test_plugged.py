"""Loggers of Lightning's and callbacks of one's own: beside a training, and no part of what identifies it."""

import csv
import dataclasses
import sys
from pathlib import Path
from typing import Any

import pytest
from test_fit import CPU, feed, last, plan, tiny, train

from t5grid.cli import main
from t5grid.config.called import Called
from t5grid.config.schema import load_cell
from t5grid.config.trust import trusting
from t5grid.execution.provenance import provenance
from t5grid.refused import Refused
from t5grid.training.fit import fit
from t5grid.training.plugged import callbacks_of, check_plugged, loggers_of

CSV = "+runtime.loggers.table={_target_: pytorch_lightning.loggers.CSVLogger}"
MINE = """
from pathlib import Path

from pytorch_lightning import Callback


class Watch(Callback):
    def __init__(self, path, every=1):
        self.path, self.every = path, every

    def on_train_batch_end(self, trainer, learner, *rest):
        if learner.step % self.every == 0:
            with open(self.path, "a") as file:
                file.write(f"{learner.step}\\n")


class Stop(Callback):
    def on_train_batch_end(self, trainer, learner, *rest):
        trainer.should_stop = learner.step == 3


class NoCallback:
    pass
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A working directory with a user's own module."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "plugged_mine.py").write_text(MINE)
    yield tmp_path
    sys.modules.pop("plugged_mine", None)


def test_neither_is_part_of_an_identity_nor_are_arguments_of_a_record() -> None:
    words = ["budget=smoke", "suite.use=[questions]"]
    watch = "+runtime.callbacks.watch={_target_: plugged_mine.Watch, path: secret}"
    with trusting(["plugged_mine"]):
        plain, plugged = load_cell(words), load_cell([*words, CSV, watch])
    (before,), (after,) = (cell.strategy.stages(cell).values() for cell in (plain, plugged))
    assert before.identity == after.identity
    assert plugged.runtime.loggers == {"table": Called("pytorch_lightning.loggers.CSVLogger")}
    told = provenance(plugged.runtime, 1)["runtime"]
    assert told["callbacks"] == ["plugged_mine.Watch"] and "secret" not in str(told)
    unsaid = {"loggers", "callbacks", "runs_dir", "results_dir"}
    assert unsaid.isdisjoint(provenance(plain.runtime, 1)["runtime"])
    assert hash(plugged.runtime) == hash(plain.runtime)  # plans are remembered by it


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            "+runtime.callbacks.w={_target_: plugged_mine.Watch}",
            "runtime.callbacks.w._target_=plugged_mine.Watch: not from t5grid, torch, pytorch_lightning; "
            "if you trust plugged_mine, say --allow plugged_mine",
        ),
        ("+runtime.loggers.w={save_dir: a}", "runtime.loggers.w: a mapping with the class as its _target_"),
        ("+runtime.loggers.w=csv", "runtime.loggers.w: a mapping with the class as its _target_"),
        (
            "+runtime.loggers.w={_target_: pytorch_lightning.loggers.CSVLogger, x: {_target_: os.system}}",
            "runtime.loggers.w.x._target_=os.system: arguments are plain values, no classes",
        ),
    ],
)
def test_what_is_no_class_of_a_trusted_package_is_refused_when_it_is_composed(words: str, told: str) -> None:
    with pytest.raises(Refused) as caught:
        load_cell([words])
    assert told in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            "+runtime.callbacks.w={_target_: plugged_mine.NoCallback}",
            "runtime.callbacks.w._target_=plugged_mine.NoCallback: no Callback of pytorch_lightning",
        ),
        (
            "+runtime.loggers.w={_target_: torch.hub.load}",
            "runtime.loggers.w._target_=torch.hub.load: no Logger of pytorch_lightning",
        ),
        (
            "+runtime.loggers.w={_target_: pytorch_lightning.loggers.NoLogger}",
            "runtime.loggers.w._target_=pytorch_lightning.loggers.NoLogger: not found",
        ),
        ("+runtime.callbacks.w={_target_: plugged_mine.Watch}", "runtime.callbacks.w: TypeError: "),
    ],
)
def test_what_cannot_be_made_is_refused_before_anything_runs(
    words: str, told: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "budget=smoke", "suite.use=[questions]", words, "--allow", "plugged_mine"]) == 2
    said = capsys.readouterr()
    assert told in said.err and said.err.count("\n") == 1
    assert {path.name for path in folder.iterdir()} <= {"plugged_mine.py", "__pycache__"}


@pytest.mark.slow
def test_a_logger_gets_the_stages_folder_and_what_metrics_csv_gets(folder: Path) -> None:
    loggers = {"table": Called("pytorch_lightning.loggers.CSVLogger")}
    train(folder / "run", loggers=loggers)
    (written,) = (folder / "run/table").glob("version_0/metrics.csv")
    ours = list(csv.DictReader((folder / "run/metrics.csv").read_text().splitlines()))
    theirs = list(csv.DictReader(written.read_text().splitlines()))
    assert [int(row["step"]) for row in theirs] == [int(row["step"]) for row in ours]
    assert [f"{float(row['loss']):.6f}" for row in theirs] == [row["loss"] for row in ours]


@pytest.mark.slow
def test_callbacks_watch_and_change_nothing_of_what_is_trained(folder: Path) -> None:
    with trusting(["plugged_mine"]):
        watch = Called("plugged_mine.Watch", {"path": str(folder / "seen"), "every": 4})
        train(folder / "watched", callbacks={"watch": watch})
        check_plugged(dataclasses.replace(CPU, callbacks={"watch": watch}))
    train(folder / "plain")
    assert (folder / "seen").read_text() == "4\n8\n"
    assert last(folder / "watched") == last(folder / "plain")


@pytest.mark.slow
def test_a_callback_that_ends_a_training_early_leaves_no_record_of_a_whole_one(folder: Path) -> None:
    where = dataclasses.replace(CPU, callbacks={"stop": Called("plugged_mine.Stop")})
    with (
        trusting(["plugged_mine"]),
        pytest.raises(Refused, match=r"runtime\.callbacks: ended training at step 3 of 8"),
    ):
        fit(tiny(), feed, plan(), folder / "run", where, lambda told: None, "pretrain/tiny-abc")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["TensorBoardLogger", "MLFlowLogger"])
def test_the_loggers_that_are_not_installed_here_are_tried_where_they_are(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # which a new MLflow wants, or a data base
    pytest.importorskip({"TensorBoardLogger": "tensorboard", "MLFlowLogger": "mlflow"}[name])
    called = Called(f"pytorch_lightning.loggers.{name}")
    where = dataclasses.replace(CPU, loggers={"theirs": called})
    check_plugged(where)
    fit(tiny(), feed, plan(), folder / "run", where, lambda told: None, "pretrain/tiny-abc")
    left = "run/theirs/version_0/events.out*" if name == "TensorBoardLogger" else "mlruns/*/*/metrics/loss"
    assert list(folder.glob(left))


def test_without_any_nothing_is_imported_or_made() -> None:
    assert loggers_of(CPU, Path("nowhere"), "run") == callbacks_of(CPU) == []
