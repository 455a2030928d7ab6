"""The command: light to start, and clear about what is not there yet."""

import errno
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from t5grid import __version__, cli
from t5grid.cli import main
from t5grid.commands.grids import split_names
from t5grid.files import write_whole

HEAVY = ("torch", "pytorch_lightning", "transformers", "datasets", "sklearn", "wandb", "sacrebleu")
SMALL = ("budget=smoke", "suite.use=[questions]")
MADE = {
    **{"machine": "m", "python": "3", "versions": {"torch": "2"}},
    **{"score": 12.5, "step": 1, "tasks": {}},
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path


LIGHT = (
    ["--help"],
    ["plan", "objectives"],
    ["status", "objectives"],
    ["table", "objectives"],
    ["run", "objective=foo"],
    ["inspect", "objective=prefix_lm", "vocabulary=given", "vocabulary.path=/nope"],
    ["doctor"],
)


@pytest.fixture(scope="module")
def imported_by(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What one process imported that ran the light commands one after the other, once each had ended."""
    code = (
        "import json, sys; from t5grid.cli import main\n"
        f"for arguments in {LIGHT!r}:\n"
        "    try: main(list(arguments))\n"
        "    except SystemExit: pass\n"
        f"    imported = [name for name in {HEAVY} if name in sys.modules]\n"
        "    print('imported:', json.dumps([' '.join(arguments), imported]))"
    )
    folder = tmp_path_factory.mktemp("light")
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=60
    )
    shown = [line.partition(": ")[2] for line in done.stdout.splitlines() if line.startswith("imported: ")]
    assert len(shown) == len(LIGHT), done.stderr
    return dict(map(json.loads, shown))


@pytest.mark.parametrize("arguments", LIGHT, ids=" ".join)
@pytest.mark.slow
def test_a_command_that_trains_nothing_imports_nothing_heavy(
    arguments: list[str], imported_by: dict[str, list[str]]
) -> None:
    assert imported_by[" ".join(arguments)] == []


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0 and capsys.readouterr().out == f"t5grid {__version__}\n"


def test_names_come_before_overrides_in_any_order() -> None:
    words = ["objectives", "size=tiny", "span_length", "~suite.columns.sentences", "+a.b=1"]
    assert split_names(words) == (
        ["objectives", "span_length"],
        ["size=tiny", "~suite.columns.sentences", "+a.b=1"],
    )
    with pytest.raises(ValueError, match="name at least one experiment"):
        split_names(["size=tiny"])


def test_plan_counts_stages_and_what_is_shared(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "objectives", *SMALL]) == 0
    counts = {line.split()[0]: line.split()[1:6] for line in capsys.readouterr().out.splitlines()[2:7]}
    assert counts == {
        "vocabulary": ["9", "1", "8", "0", "1"],
        "tokens": ["8", "1", "7", "0", "1"],
        "pretrain": ["8", "8", "0", "0", "8"],
        "finetune": ["9", "9", "0", "0", "9"],
        "evaluate": ["9", "9", "0", "0", "9"],
    }


def test_a_row_of_two_tables_is_one_set_of_stages(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "objectives", "span_length", *SMALL]) == 0
    pretrain = next(x for x in capsys.readouterr().out.splitlines() if x.startswith("pretrain"))
    assert pretrain.split()[:6] == ["pretrain", "13", "11", "2", "0", "11"]


def test_status_of_an_empty_store(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "objectives", *SMALL]) == 0
    assert capsys.readouterr().out == "0 done, 0 running, 0 failed, 28 missing\n"


def test_logs_are_of_stages_named_as_they_are_shown(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["logs", "objectives"]) == 0
    assert capsys.readouterr().out == ""
    stage = "pretrain/encoder_decoder-replace_spans,rate=0.1-nano"
    (folder / "runs" / f"{stage}-seed0-0123456789ab").mkdir(parents=True)
    write_whole(folder / "runs" / f"{stage}-seed0-0123456789ab" / "log.txt", "one\ntwo\nthree\n")
    assert main(["logs", stage, "-n", "2"]) == 0
    assert capsys.readouterr().out == f"==> {stage}-seed0-0123456789ab\ntwo\nthree\n"
    assert main(["cancel", stage]) == 0
    assert capsys.readouterr().out == "nothing of these runs or waits\n"
    assert main(["logs", stage, "-n", "0"]) == 2
    assert capsys.readouterr().err == "t5grid: logs: --num 0: at least 1\n"


def test_a_table_of_nothing_is_all_holes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["table", "objectives", *SMALL]) == 0
    said = capsys.readouterr().out
    assert said.count("| –<sup>1</sup> |") == 9 and "<sup>1</sup> not run" in said
    assert "written: results/tables/objectives-smoke.md" in said
    assert "not run" in (folder / "results/tables/objectives-smoke.md").read_text()
    assert not (folder / "runs").exists()


@pytest.mark.parametrize("key", ["runs_dir", "results_dir"])
@pytest.mark.parametrize("executor", ["local", "slurm"])
@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("loop", "Too many levels of symbolic links"),
        ("x" * 300, "File name too long"),
        ("file/below", "Not a directory"),
        ("read-only", "Read-only file system"),
    ],
)
@pytest.mark.slow
def test_where_nothing_can_be_written_a_sweep_does_not_begin(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    key: str,
    executor: str,
    place: str,
    told: str,
) -> None:
    (folder / "loop").symlink_to("loop")
    (folder / "file").touch()
    mkdir = os.mkdir

    def refuse(path: str | Path, *mode: Any, **rest: Any) -> None:
        if "read-only" in str(path):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
        mkdir(path, *mode, **rest)

    monkeypatch.setattr(os, "mkdir", refuse)
    monkeypatch.setattr("t5grid.execution.local._Run.to_the_end", lambda self: pytest.fail("it began"))
    monkeypatch.setattr(
        "t5grid.execution.slurm.executor.Submission.submit", lambda *_: pytest.fail("it began")
    )
    assert main(["sweep", "baseline", *SMALL, f"executor={executor}", f"runtime.{key}={place}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"t5grid: {folder / place if key == 'runs_dir' else place}") and told in line


@pytest.mark.parametrize(
    ("words", "rest"),
    [
        (["suite.use=[questions]"], ""),
        (["suite.use=[sentences]"], " --task grammatical"),
        ([SMALL[1], "runtime.runs_dir=a b"], " 'runtime.runs_dir=a b'"),
    ],
)
def test_a_run_ends_with_scores_stages_and_how_to_ask_it(
    words: list[str], rest: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from t5grid.config.schema import load_cell
    from t5grid.execution.store import Store
    from t5grid.stages.stage import with_parents

    words = ["budget=smoke", *words]
    cell = load_cell(words)
    ends = cell.strategy.stages(cell)
    for stage in with_parents(ends.values()):
        Store(cell.runtime.runs_dir).finish(stage, MADE)
    assert main(["run", *words]) == 0
    (key, stage), *others = ends.items()
    *scores, line = capsys.readouterr().out.splitlines()
    assert scores[-1 - len(others)] == f"{cell.suite.columns[key].title:<24}   12.50  {stage.identity}"
    assert line == f"to have lines of text answered: t5grid predict {stage.identity} --input FILE{rest}"


def test_a_failure_is_pointed_to_where_it_could_be_written(folder: Path) -> None:
    from t5grid.execution.outcome import Outcome
    from t5grid.execution.store import Store

    outcome, store = Outcome(failed={"toy/a": "no", "toy/b": "no"}), Store("runs")
    write_whole(store.root / "toy/a/failed.json", "{}")
    path = folder / "runs/toy/a/failed.json"
    assert list(outcome.complaints(store)) == [f"failed: toy/a: no (see {path})", "failed: toy/b: no"]


def test_an_interrupt_says_how_to_go_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from t5grid.execution.local import Local

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Local, "run", stop)
    assert main(["run", *SMALL]) == 130
    assert "the same command goes on from here" in capsys.readouterr().err


@pytest.mark.parametrize("launched", [[], ["hydra.job.chdir=true"]], ids=["plain", "in a folder of its own"])
@pytest.mark.slow
def test_a_multirun_runs_every_cell_in_the_store_of_where_it_was_given(
    launched: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from t5grid.config.schema import load_cell
    from t5grid.execution.local import Local, Outcome

    asked: list[tuple[str, Path]] = []

    def note(self: Local, stages: list, store: object, runtime: object, checks: object) -> Outcome:
        asked.append((stages[-1].identity, store.root))  # type: ignore[attr-defined]
        return Outcome()

    monkeypatch.setattr(Local, "run", note)
    assert main(["run", "-m", "objective=prefix_lm,replace_spans", *SMALL, *launched]) == 0
    cells = [load_cell([f"objective={name}", *SMALL]) for name in ("prefix_lm", "replace_spans")]
    identities = [cell.strategy.stages(cell)["questions"].identity for cell in cells]
    assert asked == [(identity, folder / "runs") for identity in identities]
    assert Path.cwd() == folder and [path.name for path in folder.iterdir()] == ["multirun"]


@pytest.mark.parametrize(
    ("words", "fragment"),
    [
        ("status objectives runtime.runs_dir=a.txt", "a.txt"),
        ("clean corpus.source.path=a.txt --to a.txt", "a.txt: Not a directory"),
        ("clean corpus.source.path=a.txt --to a.txt/clean", "a.txt/clean: Not a directory"),
    ],
)
def test_a_file_where_a_folder_is_needed_is_one_line(
    words: str, fragment: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "a.txt").write_text("A page.")
    assert main(words.split()) == 2
    said = capsys.readouterr()
    assert fragment in said.err and said.err.count("\n") == 1 and not said.out
    assert [path.name for path in folder.iterdir()] == ["a.txt"]


def test_a_pipe_that_breaks_elsewhere_is_not_taken_for_a_reader_that_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def breaks(arguments: Sequence[str] | None) -> None:
        raise BrokenPipeError("a worker's")

    monkeypatch.setattr(cli, "_parse", breaks)
    with pytest.raises(BrokenPipeError, match="a worker's"):
        cli.main(["plan"])
    assert not sys.stderr.closed
