"""Experiment files to cells to stages, and back from records to tables."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from t5grid.config.schema import Cells, load_cell
from t5grid.execution.store import Store
from t5grid.grid import graph
from t5grid.grid.graph import Grid, expand
from t5grid.results import records as records_module
from t5grid.results.collect import table_columns, table_of
from t5grid.results.figures import curve_of
from t5grid.results.per_task import per_task, render
from t5grid.results.records import keep_records, record_of, set_aside
from t5grid.results.rendering import write_table
from t5grid.stages.imported import ImportStage
from t5grid.stages.stage import Stage

PROVENANCE = {
    "machine": "abacus, 2 cores, Linux",
    "python": "3.11.9",
    "versions": {"torch": "2.9.1"},
    "step": 1,
    "tasks": {},
}
ROWS = ["rate_10", "rate_15", "rate_25", "rate_50"]


@pytest.fixture(scope="module")
def grid() -> Grid:
    """Four rows of one column, the starred one with three seeds."""
    return expand("corruption_rate", ["suite.use=[questions]", "budget.num_baseline_seeds=3"])


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "runs")


def ends(grid: Grid, row: str) -> list[Stage]:
    return [stages["questions"] for _, stages in grid.rows[row]]


def finish(store: Store, stage: Stage, score: float) -> None:
    store.begin(stage)
    store.finish(stage, {"score": score, **PROVENANCE})


def finish_all(grid: Grid, store: Store, rows: list[str]) -> None:
    """Row i scores 10 i, and each further seed one more."""
    for row in rows:
        for seed, stage in enumerate(ends(grid, row)):
            finish(store, stage, 10.0 * ROWS.index(row) + seed)


def written(grid: Grid, store: Store, folder: Path) -> dict[str, bytes]:
    """The table's files by ending."""
    paths = write_table(table_of(grid, store, folder / "records"), folder / "tables", grid.stem)
    return {path.suffix: path.read_bytes() for path in paths}


# --- experiment -> cells


def test_rows_keep_their_order_and_the_starred_one_has_the_baselines_seeds(grid: Grid) -> None:
    assert list(grid.rows) == ROWS
    seeds = {key: [cell.seed for cell, _ in row] for key, row in grid.rows.items()}
    assert seeds == {"rate_10": [0], "rate_15": [0, 1, 2], "rate_25": [0], "rate_50": [0]}
    assert grid.baseline.labels["objective"] == "replace_spans"
    assert [(column.key, column.title) for column in table_columns(grid)] == [("questions", "Questions")]
    assert grid.stem == "corruption_rate-nano"


def test_the_command_of_a_table_names_its_science_and_not_the_machine() -> None:
    expanded = expand("objectives", ["budget=smoke", "runtime.runs_dir=elsewhere", "executor.num_workers=1"])
    assert expanded.experiment.command == "t5grid sweep objectives budget=smoke"


def test_columns_and_texts_that_differ_are_told_apart() -> None:
    """What cells share is told by object: a column, a budget or a label that differs is another stage."""
    words = ["suite.use=[questions]"]
    others = [
        "suite.columns.questions.targets_length=9",
        "budget.finetune.num_tokens=64",
        "budget.evaluate.num_examples=3",
        "corpus.num_documents=7",
        "vocabulary.num_pieces=300",
        "seed=1",
    ]
    loader = Cells()
    cells = [loader.load([*words, *more]) for more in ([], *([word] for word in others))]
    ends = [cell.strategy.stages(cell)["questions"].identity for cell in cells]
    assert len(set(ends)) == len(ends)
    assert [load_cell(words).strategy.stages(load_cell(words))["questions"].identity] == ends[:1]


def test_seeds_count_from_the_one_given() -> None:
    grid = expand(
        "corruption_rate",
        ["suite.use=[questions]", "seed=7", "budget.num_seeds=2", "budget.num_baseline_seeds=3"],
    )
    seeds = {key: [cell.seed for cell, _ in row] for key, row in grid.rows.items()}
    assert seeds == {"rate_10": [7, 8], "rate_15": [7, 8, 9], "rate_25": [7, 8], "rate_50": [7, 8]}


def test_a_wrong_override_is_refused_with_the_row_it_was_found_in() -> None:
    with pytest.raises(
        ValueError, match=r"^experiments/corruption_rate\.yaml, row rate_10: seed=-1: "
    ) as caught:
        expand("corruption_rate", ["seed=-1"])
    assert "\n" not in str(caught.value)


def test_a_wrong_last_row_is_refused_before_any_stage_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = graph.experiment_path("corruption_rate").read_text()
    wrong = text.replace("objective.rate=0.5,", "objective.rate=1.5,")
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "mine.yaml").write_text(wrong)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"^experiments/mine\.yaml, row rate_50: objective\.rate=1\.5"):
        expand("mine", [])
    assert [path.name for path in tmp_path.iterdir()] == ["experiments"]


def test_what_no_cell_of_a_suite_can_do_names_its_experiment_and_row() -> None:
    with pytest.raises(
        ValueError, match=r"^experiments/curriculum\.yaml, row none: mixing=curriculum: .* difficulty"
    ):
        expand("curriculum", ["suite=nano"])


def test_an_experiment_of_the_working_directory_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "objectives.yaml").write_text("")
    monkeypatch.chdir(tmp_path)
    assert graph.experiment_path("objectives").parent == tmp_path / "experiments"


def test_an_unknown_experiment_is_refused_with_those_there_are() -> None:
    with pytest.raises(
        ValueError, match=r"^no experiment 'objectivs'; there are .*corruption_rate, .*objectives"
    ):
        expand("objectivs", [])


# --- records -> table


def test_a_part_done_store_gives_a_table_with_reasons_for_its_holes(
    grid: Grid, store: Store, tmp_path: Path
) -> None:
    finish_all(grid, store, ["rate_10"])
    finish(store, ends(grid, "rate_15")[1], 42.0)
    finetune = ends(grid, "rate_25")[0].parents[0]
    store.fail(finetune, "the loss is nan at step 3", "")
    with store.lock(ends(grid, "rate_50")[0].parents[0]):
        table = table_of(grid, store, tmp_path / "records")
    cells = {row.key: (row.cells["questions"].by_seed, row.cells["questions"].hole) for row in table.rows}
    assert cells == {
        "rate_10": ((0.0,), None),
        "rate_15": ((42.0,), None),
        "rate_25": ((), "failed: finetune: the loss is nan at step 3"),
        "rate_50": ((), "running"),
    }


def test_an_empty_store_gives_a_table_of_holes(grid: Grid, store: Store, tmp_path: Path) -> None:
    table = table_of(grid, store, tmp_path / "records")
    assert table.holes == ("not run",) and table.starred.seeds == ()


def test_the_table_does_not_depend_on_the_order_in_which_stages_finished(grid: Grid, tmp_path: Path) -> None:
    forth, back = Store(tmp_path / "a" / "runs"), Store(tmp_path / "b" / "runs")
    finish_all(grid, forth, ROWS)
    finish_all(grid, back, ROWS[::-1])
    assert written(grid, forth, tmp_path / "a") == written(grid, back, tmp_path / "b")


def test_a_table_from_kept_records_alone_has_the_same_bytes(grid: Grid, store: Store, tmp_path: Path) -> None:
    finish_all(grid, store, ROWS)
    finish(store, ends(grid, "rate_10")[0].parents[0].parents[1], 0.0)  # its pre-training
    before = written(grid, store, tmp_path)
    keep_records(grid, store, tmp_path / "records")
    shutil.rmtree(store.root)
    assert written(grid, store, tmp_path) == before
    kept = sorted(path.parent.name for path in (tmp_path / "records").rglob("*.json"))
    assert kept == ["evaluate"] * 6 + ["pretrain"]
    assert record_of(ends(grid, "rate_25")[0], store, tmp_path / "records")["score"] == 20.0  # type: ignore[index]


def test_curves_are_kept_of_pretraining_and_of_finetuning(grid: Grid, store: Store, tmp_path: Path) -> None:
    finetune = ends(grid, "rate_10")[0].parents[0]
    trainings = (finetune, finetune.parents[1])
    for stage in trainings:
        finish(store, stage, 0.0)
        (store.folder(stage) / "metrics.csv").write_text("step,loss\n50,2.5\n")
    keep_records(grid, store, tmp_path / "records")
    shutil.rmtree(store.root)
    for stage in trainings:
        assert curve_of(stage, store, tmp_path / "records") == [(50, 2.5)], stage.kind


def test_where_an_imported_model_lay_is_not_kept(store: Store, tmp_path: Path) -> None:
    stage = ImportStage("imported", {"path": str(tmp_path)}, {"weights": "0"})
    finish(store, stage, 0.0)
    keep_records(SimpleNamespace(stages=[stage]), store, tmp_path / "records")  # type: ignore[arg-type]
    assert store.record(stage) is not None and not (tmp_path / "records").exists()


def test_records_that_are_kept_already_are_not_written_again(
    grid: Grid, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish_all(grid, store, ROWS)
    keep_records(grid, store, tmp_path / "records")
    monkeypatch.setattr(records_module, "write_whole", lambda *_: pytest.fail("written again"))
    keep_records(grid, store, tmp_path / "records")


def test_a_record_that_was_cut_short_does_not_take_the_place_of_the_kept_one(
    grid: Grid, store: Store, tmp_path: Path
) -> None:
    finish_all(grid, store, ROWS)
    keep_records(grid, store, tmp_path / "records")
    kept = written(grid, store, tmp_path)
    path = store.folder(ends(grid, "rate_25")[0]) / "record.json"
    path.write_bytes(path.read_bytes()[:100])
    keep_records(grid, store, tmp_path / "records")
    assert written(grid, store, tmp_path) == kept


def test_a_record_that_cannot_be_used_is_set_aside_and_the_others_are_shown(
    grid: Grid, store: Store, tmp_path: Path
) -> None:
    finish_all(grid, store, ROWS)
    stage, records = ends(grid, "rate_25")[0], tmp_path / "records"
    store.finish(stage, {"score": "high", **PROVENANCE})
    table = table_of(grid, store, records)
    assert table.holes == ("record set aside: score='high': a number is needed",)
    assert [row.key for row in table.rows if row.seeds] == ["rate_10", "rate_15", "rate_50"]
    place = store.folder(stage) / "record.json"
    assert list(set_aside(grid.stages, store, records)) == [f"{place}: score='high': a number is needed"]
    assert store.state(stage) == "missing"  # and so is made again


def test_a_score_that_is_undefined_says_so_and_why_in_every_format(
    grid: Grid, store: Store, tmp_path: Path
) -> None:
    finish_all(grid, store, ROWS)
    nan = float("nan")
    tasks = {"similarity": {"step": 1, "pearson": nan, "spearman": nan, "accuracy": 5.0}}
    for row, seed in (("rate_25", 0), ("rate_15", 2)):
        store.finish(ends(grid, row)[seed], {**PROVENANCE, "score": nan, "tasks": tasks})
    why = "similarity pearson, similarity spearman, for answers that are all alike or no numbers"
    assert table_of(grid, store, tmp_path / "records").holes == (
        f"undefined in 1 of 3 seeds: {why}",
        f"undefined: {why}",
    )
    for ending, text in written(grid, store, tmp_path).items():
        assert f"undefined: {why}".encode() in text, ending
    scores = per_task("nano", {"corruption_rate": grid}, store, tmp_path / "records")
    for ending, content in render(scores).items():
        assert "undefined" in content and "nan" not in content.replace("nano", ""), ending


def test_the_caption_of_smoke_says_that_scores_mean_nothing(store: Store, tmp_path: Path) -> None:
    grid = expand("corruption_rate", ["suite.use=[questions]", "budget=smoke"])
    finish_all(grid, store, ROWS)
    texts = written(grid, store, tmp_path)
    assert b"Budget smoke: the scores mean nothing." in texts[".md"]
    assert b"abacus, 2 cores, Linux, Python 3.11.9, torch 2.9.1" in texts[".md"]


def test_the_caption_says_what_a_step_of_fine_tuning_takes_where_columns_differ(
    store: Store, tmp_path: Path
) -> None:
    """Not where they do not, nor where fine-tuning counts epochs and its batches examples."""

    def notes(*overrides: str) -> tuple[str, ...]:
        return table_of(expand("corruption_rate", list(overrides)), store, tmp_path).provenance.notes

    assert notes("budget=nano") == ("A step of fine-tuning takes 256 tokens, in Questions 1,024.",)
    assert notes("budget=nano", "suite.columns.questions.batch_factor=1") == ()
    fourfold = notes("budget=nano", "budget.finetune.num_tokens*=4")
    assert fourfold == ("A step of fine-tuning takes 1,024 tokens, in Questions 4,096.",)
    epochs = "t5grid.config.schema.FinetuneByEpochs"
    assert notes("budget=nano", f"+budget.finetune._target_={epochs}") == ()
