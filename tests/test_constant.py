"""Floor and ceiling: what a constant answer scores by the task's own scorer, kept by content."""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from t5grid.config.schema import Column, load_cell
from t5grid.evaluation.constant import bounds_of, frequent_answers
from t5grid.grid.graph import expand
from t5grid.refused import Refused
from t5grid.results import floors
from t5grid.results.floors import keep_bounds, kept_bounds
from t5grid.tasks import availability, hub
from t5grid.tasks.metrics import accuracy, f1_with_invalid, pearson_spearman

RESULTS = Path(__file__).parents[1] / "results"


@dataclass(frozen=True)
class Toy:
    """Rows with the targets given, scored by one metric of numbers."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    metric: Any = accuracy
    reported: tuple[str, ...] = ("accuracy",)
    name: str = "toy"
    asked: list[str] = field(default_factory=list)

    def records(self, split: str) -> list[dict[str, str]]:
        self.asked.append(split)
        return [{"inputs": "", "targets": text} for text in getattr(self, split)]

    def score(self, records: list[dict[str, str]], predictions: list[str]) -> dict[str, float]:
        return self.metric([float(row["targets"]) for row in records], list(map(float, predictions)))

    def fingerprint(self) -> str:
        return repr((self.train, self.validation))


def column(*tasks: Toy) -> Column:
    return Column("Toys", 8, 8, {f"toy{k}": task for k, task in enumerate(tasks)})


def test_the_floor_is_the_mean_of_each_tasks_best_constant_answer() -> None:
    often = Toy(train=("0", "0", "1"), validation=("0", "0", "0", "1"))
    rarely = Toy(train=("0", "0", "1"), validation=("1", "1", "1", "1", "0"))
    found = bounds_of(column(often, rarely), None)
    assert found.answers == {"toy0": "0", "toy1": "1"}  # the second is not the most frequent, but scores more
    assert (found.floor, found.ceiling, found.rows) == ((75 + 80) / 2, 100.0, 9)


def test_the_floor_is_the_scorers_own_and_of_the_rows_that_count() -> None:
    positive = Toy(("1", "0"), ("1", "1", "0", "0"), f1_with_invalid, ("f1",))
    assert bounds_of(column(positive), None).floor == pytest.approx(200 / 3, abs=1e-5)
    assert bounds_of(column(positive), 2).floor == 100.0


def test_a_correlation_with_a_constant_answer_counts_as_nothing() -> None:
    similarity = Toy(("1", "2"), ("1", "2", "4"), pearson_spearman, ("pearson", "spearman"))
    found = bounds_of(column(similarity), None)
    assert (found.floor, found.ceiling) == (0.0, 100.0)


def test_the_most_frequent_answers_come_first_and_only_some_are_tried() -> None:
    targets = ("7", *(str(k % 100) for k in range(300)), "9", "9")
    answers = frequent_answers(Toy(targets, ("1",)))
    assert answers[:3] == ["9", "7", "0"] and len(answers) == 16


def cell_of(*tasks: Toy) -> Any:
    cell = expand("baseline", ["budget=lab", "suite.use=[questions]"]).baseline
    return replace(cell, suite=replace(cell.suite, use=None, columns={"toys": column(*tasks)}))


def test_bounds_are_made_once_and_found_by_content(tmp_path: Path) -> None:
    task = Toy(("1",), ("1", "0"))
    cell = cell_of(task)
    assert kept_bounds(cell, tmp_path) == {}
    keep_bounds([cell], tmp_path)
    assert kept_bounds(cell, tmp_path)["toys"].floor == 50.0
    asked = len(task.asked)
    keep_bounds([cell], tmp_path)
    assert len(task.asked) == asked
    other = cell_of(Toy(("1",), ("1", "1", "0")))
    assert kept_bounds(other, tmp_path) == {}  # other rows: what is kept is not theirs
    keep_bounds([other], tmp_path)
    assert kept_bounds(other, tmp_path)["toys"].rows == 3


def test_text_that_is_only_read_has_no_constant_answer(tmp_path: Path) -> None:
    cell = expand("long_text", ["budget=nano"]).baseline
    keep_bounds([cell], tmp_path)
    assert kept_bounds(cell, tmp_path) == {} and not list(tmp_path.iterdir())


def test_a_file_that_is_spoilt_is_made_again(tmp_path: Path) -> None:
    cell = cell_of(Toy(("1",), ("1", "0")))
    keep_bounds([cell], tmp_path)
    (path,) = (tmp_path / "floors").iterdir()
    for text in ("", "{}", "[]", json.dumps({"floor": None, "ceiling": 1, "rows": 1, "answers": {}})):
        path.write_text(text)
        assert kept_bounds(cell, tmp_path) == {}
    keep_bounds([cell], tmp_path)
    assert kept_bounds(cell, tmp_path)["toys"].floor == 50.0


def test_rows_that_cannot_be_had_leave_no_floor_and_none_are_fetched(tmp_path: Path) -> None:
    def refuse(*_: Any) -> Any:
        raise Refused("no such file")

    cell = cell_of(replace(Toy(("1",), ("1",)), metric=refuse))
    keep_bounds([cell], tmp_path)
    published = expand("baseline", ["budget=lab", "suite=t5", "suite.use=[glue]"]).baseline
    keep_bounds([published], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_rows_that_this_process_had_from_the_hub_make_a_floor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = pa.table(
        {"sentence1": ["a", "b", "c"], "sentence2": ["d"] * 3, "label": [1, 1, 0], "idx": [0, 1, 2]}
    )
    monkeypatch.setattr(hub, "_from_hub", lambda *_: rows)
    monkeypatch.setattr(hub, "READ", set())
    cell = expand("baseline", ["budget=lab", "suite=t5", "suite.use=[glue]"]).baseline
    glue = cell.suite.columns["glue"]
    cell = replace(
        cell, suite=replace(cell.suite, columns={"glue": replace(glue, tasks={"rte": glue.tasks["rte"]})})
    )
    keep_bounds([cell], tmp_path)
    assert kept_bounds(cell, tmp_path) == {}
    availability.fetch(cell.suite.columns)
    keep_bounds([cell], tmp_path)
    assert round(kept_bounds(cell, tmp_path)["glue"].floor, 4) == 66.6667


def test_rows_in_a_file_of_ones_own_make_a_floor(tmp_path: Path) -> None:
    rows = "".join(json.dumps({"text": f"row {k}", "label": k % 4 == 0}) + "\n" for k in range(40))
    (tmp_path / "rows.jsonl").write_text(rows)
    own = f"suite.columns.hyperpartisan.tasks.hyperpartisan.train={tmp_path}/rows.jsonl"
    cell = expand("baseline", ["budget=lab", "suite=hyperpartisan", own]).baseline
    keep_bounds([cell], tmp_path)
    assert kept_bounds(cell, tmp_path)["hyperpartisan"].rows == 4


def test_smoke_has_no_floor(tmp_path: Path) -> None:
    cell = expand("baseline", ["budget=smoke", "suite.use=[questions]"]).baseline
    keep_bounds([cell], tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_committed_floors_are_those_of_the_committed_tables() -> None:
    """Every column of a committed table that is answered has its floor, and no other floor lies about."""
    wanted = set()
    for path in RESULTS.glob("tables/*.md"):
        if not path.stem.startswith(("findings", "per_task")):
            name, *_, budget = path.stem.split("-")
            wanted.add((name, budget))
    used: set[Path] = set()
    for name, budget in sorted(wanted):
        if budget == "encoder":  # neither its model nor its data are here
            columns = load_cell(["suite=glue_small"]).suite.columns
            kept = {key: list(RESULTS.glob(f"floors/{key}-*")) for key in columns}
            assert all(len(paths) == 1 for paths in kept.values()), kept
            used |= {path for paths in kept.values() for path in paths}
            continue
        cell = expand(name, [f"budget={budget}"]).baseline
        answered = {
            key: column
            for key, column in cell.suite.chosen().items()
            if not any(getattr(task, "only_read", False) for task in column.tasks.values())
        }
        assert kept_bounds(cell, RESULTS).keys() == answered.keys(), "t5grid table --all"
        used |= {floors._path(RESULTS, key, column, None) for key, column in answered.items()}
    assert set(RESULTS.glob("floors/*")) == used
