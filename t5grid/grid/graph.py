"""experiment files + overrides -> cells -> one graph of stages; equal ones merge, all valid or none runs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from t5grid.building import FileName, check_type
from t5grid.composing import data_folder
from t5grid.config import Cell, Cells
from t5grid.data.tasks.presence import caption
from t5grid.files import read_json, write_whole
from t5grid.grid.experiment import Experiment, load_experiment
from t5grid.grid.facts import check_names, shown_facts
from t5grid.grid.store import Store
from t5grid.grid.tables import Column, Facts, Hole, Table, build_table
from t5grid.stages.stage import Stage, with_parents

MACHINE = ("runtime", "executor")
"""Groups that a table's command leaves out: they change where it is made, not what it says."""

NOT_KEPT = ("vocabulary", "tokens")
"""Kinds of stages whose records no table or figure reads."""


@dataclass(frozen=True)
class Grid:
    """One experiment expanded: a row's cells (one a seed), each with the evaluate stage of every column."""

    experiment: Experiment
    baseline: Cell
    rows: dict[str, list[tuple[Cell, dict[str, Stage]]]]

    @property
    def stages(self) -> list[Stage]:
        """Every stage of the grid, parents first."""
        return with_parents(
            [stage for row in self.rows.values() for _, cell in row for stage in cell.values()]
        )

    @property
    def stem(self) -> str:
        """File name of its table: experiment, suite and size where they are not the nano ones, budget."""
        scales = [name for name in (self.baseline.suite.name, self.baseline.labels["size"]) if name != "nano"]
        return "-".join([self.experiment.name, *scales, self.baseline.budget.name])

    @property
    def columns(self) -> list[Column]:
        """The columns of its table."""
        chosen = self.baseline.suite.chosen()
        return [Column(key, column.title, column.mirrors) for key, column in chosen.items()]


def experiment_path(name: str) -> Path:
    """`experiments/NAME.yaml` of the working directory, else of the package. Raises ValueError."""
    check_type(name, Annotated[str, FileName()], "experiment")
    places = [Path.cwd() / "experiments", data_folder("experiments")]
    for place in places:
        if (place / f"{name}.yaml").is_file():
            return place / f"{name}.yaml"
    known = sorted({path.stem for place in places for path in place.glob("*.yaml")})
    raise ValueError(f"no experiment {name!r}; there are {', '.join(known)}")


def expand(name: str, overrides: Sequence[str], loader: Cells | None = None) -> Grid:
    """Compose and validate every cell of an experiment. Raises ValueError naming the row.

    Experiments that are expanded together share a `loader`.
    """
    loader = loader or Cells()
    experiment = load_experiment(experiment_path(name))
    check_names(experiment.show, f"experiments/{name}.yaml: show")
    rows, baseline = {}, None
    for key, row in experiment.rows.items():
        try:
            cell = loader.load([*experiment.common, *overrides, *row.overrides])
            count = cell.budget.num_baseline_seeds if row.starred else cell.budget.num_seeds
            cells = [cell.with_seed(cell.seed + i) for i in range(count)]
            rows[key] = [(each, each.strategy.stages(each)) for each in cells]
        except ValueError as error:
            raise ValueError(f"experiments/{name}.yaml, row {key}: {error}") from None
        baseline = cell if row.starred else baseline
    assert baseline is not None
    science = [word for word in overrides if word.split(".")[0].split("=")[0] not in MACHINE]
    experiment = replace(experiment, command=" ".join([experiment.command, *science]))
    return Grid(experiment, baseline, rows)


def merged(grids: Sequence[Grid]) -> list[Stage]:
    """The stages of several grids, equal ones once, parents first."""
    unique = {stage.identity: stage for grid in grids for stage in grid.stages}
    return with_parents(list(unique.values()))


def record_of(stage: Stage, store: Store, records: Path) -> dict[str, Any] | None:
    """A stage's record, from the store or from the kept records."""
    return store.record(stage) or read_json(records / f"{stage.identity}.json")


def keep_records(grid: Grid, store: Store, records: Path) -> None:
    """Copy the records that tables and figures are made of beside the tables, whole; with them the curves."""
    for stage in grid.stages:
        folder = store.folder(stage)
        if stage.kind in NOT_KEPT or store.record(stage) is None:
            continue
        _keep(folder / "record.json", records / f"{stage.identity}.json")
        if stage.kind != "finetune" and (folder / "metrics.csv").exists():
            _keep(folder / "metrics.csv", records / f"{stage.identity}.csv")


def _keep(source: Path, target: Path) -> None:
    text = source.read_bytes()
    if not target.exists() or target.read_bytes() != text:
        write_whole(target, text)


def table_of(grid: Grid, store: Store, records: Path) -> Table:
    """The table of a grid as far as it is done; a pure function of records."""
    scores: dict[str, dict[str, Any]] = {}
    rows_used: dict[str, Any] = {}
    for key, cells in grid.rows.items():
        scores[key] = {}
        for column in grid.columns:
            found = [record_of(cell[column.key], store, records) for _, cell in cells]
            done = [_score(record) for record in found if record]
            if counts := [record["data"] for record in found if record and "data" in record]:
                rows_used[column.key] = counts[0]
            holes = [
                _reason(cell[column.key], store) for (_, cell), r in zip(cells, found, strict=True) if not r
            ]
            scores[key][column.key] = done or Hole(holes[0])
    prints = _corpus_prints(grid)
    prints |= {key: _column_print(column) for key, column in grid.baseline.suite.chosen().items()}
    facts = Facts(
        suite=grid.baseline.suite.name,
        size=grid.baseline.labels["size"],
        budget=grid.baseline.budget.name,
        data=prints,
        notes=(
            *caption(rows_used, {column.key: column.title for column in grid.columns}),
            *_notes(grid, store, records),
        ),
    )
    shown = {key: shown_facts(cells[0][0], grid.experiment.show) for key, cells in grid.rows.items()}
    return build_table(grid.experiment, grid.columns, scores, facts, shown)


def _score(record: dict[str, Any]) -> float:
    """The score of a record. Raises ValueError where somebody wrote something else into it."""
    score = record.get("score")
    if isinstance(score, bool) or not isinstance(score, int | float):
        raise ValueError(f"{record.get('identity')}: its record.json says score={score}: a number is needed")
    return score


def _notes(grid: Grid, store: Store, records: Path) -> tuple[str, ...]:
    """Sentences for the caption: the budget's own note, and where the numbers were made."""
    notes = [grid.baseline.budget.note] if grid.baseline.budget.note else []
    if limit := grid.baseline.budget.evaluate.num_examples:
        notes.append(f"Scored on the first {limit} validation rows of each task.")
    made = set()
    for stage in grid.stages:
        if stage.kind == "evaluate" and (record := record_of(stage, store, records)):
            torch = record["versions"]["torch"]
            made.add(f"{record['machine']}, Python {record['python']}, torch {torch}")
    return (*notes, *(f"Machine: {machine}." for machine in sorted(made)))


def _reason(stage: Stage, store: Store) -> str:
    """Why a column has no score: the first of its stages that is not done says it."""
    for each in with_parents([stage]):
        state = store.state(each)
        if state == "failed":
            failure = store.failure(each) or {}
            return f"failed: {each.kind}: {failure.get('error', 'unknown')}"
        if state == "running":
            return "running"
    return "not run"


def _short(fingerprint: str) -> str:
    import hashlib

    return hashlib.blake2b(fingerprint.encode(), digest_size=4).hexdigest()


def _corpus_prints(grid: Grid) -> dict[str, str]:
    """Fingerprints of the baseline's corpus and of every other that a row is pre-trained on."""
    baseline = grid.baseline.corpus
    prints = {"corpus": _short(baseline.fingerprint())}
    for key, ((cell, _), *_) in grid.rows.items():
        if cell.corpus != baseline:
            prints[f"corpus of {grid.experiment.rows[key].title}"] = _short(cell.corpus.fingerprint())
    return prints


def _column_print(column: Any) -> str:
    return _short("".join(task.fingerprint() for task in column.tasks.values()))
