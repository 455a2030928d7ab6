"""experiments + overrides -> cells -> one graph of stages; all valid or none runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from t5grid.config.build import check_type
from t5grid.config.compose import data_folder
from t5grid.config.rules import FileName
from t5grid.config.schema import Cell, Cells
from t5grid.grid.experiment import Experiment, load_experiment
from t5grid.grid.model_facts import check_names
from t5grid.grid.published import mirrored
from t5grid.refused import Refused
from t5grid.stages.stage import Stage, with_parents

MACHINE = ("runtime", "executor")
"""Groups that a table's command leaves out: they change where it is made, not what it says."""


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


def experiment_places() -> list[Path]:
    """The folders that experiments are looked for in: the working directory's, then the package's."""
    return [Path.cwd() / "experiments", data_folder("experiments")]


def experiment_path(name: str) -> Path:
    """`experiments/NAME.yaml` of the working directory, else of the package. Raises Refused."""
    check_type(name, Annotated[str, FileName()], "experiment")
    places = experiment_places()
    for place in places:
        if (place / f"{name}.yaml").is_file():
            return place / f"{name}.yaml"
    known = sorted({path.stem for place in places for path in place.glob("*.yaml")})
    raise Refused(f"no experiment {name!r}; there are {', '.join(known)}")


def expand(name: str, overrides: Sequence[str], loader: Cells | None = None) -> Grid:
    """Compose and validate every cell of an experiment. Raises Refused naming the row.

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
            rows[key] = [(seeded, seeded.strategy.stages(seeded)) for seeded in cells]
        except Refused as error:
            raise type(error)(f"experiments/{name}.yaml, row {key}: {error}") from None
        baseline = cell if row.starred else baseline
    assert baseline is not None
    _check_columns(name, rows, baseline)
    _check_mirrors(name, experiment, baseline)
    science = [word for word in overrides if word.split(".")[0].split("=")[0] not in MACHINE]
    experiment = replace(experiment, command=" ".join([experiment.command, *science]))
    return Grid(experiment, baseline, rows)


def _check_columns(name: str, rows: Mapping[str, list[tuple[Cell, Any]]], baseline: Cell) -> None:
    """Refuse a row with other columns than the starred one has."""
    wanted = list(baseline.suite.chosen())
    for key, ((cell, _), *_) in rows.items():
        if (columns := list(cell.suite.chosen())) != wanted:
            told = f"its columns are {', '.join(columns)}, those of the starred row {', '.join(wanted)}"
            raise Refused(f"experiments/{name}.yaml, row {key}: {told}")


def _check_mirrors(name: str, experiment: Experiment, baseline: Cell) -> None:
    """Refuse a column that mirrors what no paper has."""
    for key, column in baseline.suite.chosen().items():
        try:
            mirrored(column.mirrors, experiment.published)
        except Refused as error:
            raise Refused(f"experiments/{name}.yaml: suite.columns.{key}.mirrors: {error}") from None


def merged(grids: Sequence[Grid]) -> list[Stage]:
    """The stages of several grids, equal ones once, parents first."""
    if len(grids) == 1:
        return grids[0].stages
    unique = {stage.identity: stage for grid in grids for stage in grid.stages}
    return with_parents(list(unique.values()))
