"""every experiment -> tables, findings: as far as the records reach. Trains nothing."""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from t5grid.config.compose import options, parse
from t5grid.config.schema import Cells
from t5grid.execution.store import Store
from t5grid.files import write_whole
from t5grid.grid.experiment import load_experiment
from t5grid.grid.graph import Grid, expand, experiment_path, experiment_places
from t5grid.refused import Refused
from t5grid.results import findings
from t5grid.results.collect import table_of
from t5grid.results.drawing import Figure
from t5grid.results.findings import Finding
from t5grid.results.findings_text import to_markdown
from t5grid.results.floors import keep_bounds, kept_bounds
from t5grid.results.forest import compared_claims, forest_plot
from t5grid.results.records import record_of
from t5grid.results.table import Table


@dataclass(frozen=True)
class Study:
    """Experiments expanded under the same overrides, with the store and the kept records."""

    grids: dict[str, Grid]

    @property
    def results(self) -> Path:
        """The folder of tables and records."""
        return Path(next(iter(self.grids.values())).baseline.runtime.results_dir)

    @property
    def store(self) -> Store:
        """The stages on this machine."""
        return Store(next(iter(self.grids.values())).baseline.runtime.runs_dir)

    def table(self, name: str) -> Table:
        """The table of one experiment as far as it is done."""
        return table_of(self.grids[name], self.store, self.results / "records")

    def has_records(self) -> bool:
        """Whether any evaluation of the study has a record."""
        stages = (stage for grid in self.grids.values() for stage in grid.stages if stage.kind == "evaluate")
        return any(record_of(stage, self.store, self.results / "records") for stage in stages)

    def keep_bounds(self) -> None:
        """Make what the columns of experiments with scores lie between, where it is not kept yet."""
        for name, grid in self.grids.items():
            lacking = grid.baseline.suite.chosen().keys() - kept_bounds(grid.baseline, self.results).keys()
            if lacking and any(row.seeds for row in self.table(name).rows):
                keep_bounds([grid.baseline], self.results)

    def tables(self) -> dict[str, Table]:
        """The table of every experiment."""
        return {name: self.table(name) for name in self.grids}

    def findings(self, tables: Mapping[str, Table] | None = None) -> list[findings.Finding]:
        """The paper's claims on the experiments of this study, or on tables of theirs that are at hand."""
        return findings.findings(findings.load_claims(), self.tables() if tables is None else tables)

    def forest(self, judged: Sequence[Finding]) -> Figure:
        """The figure of the claims' effects; there is nothing to draw where none has run."""
        return Figure(f"findings-{self.stem}-forest", forest_plot, (self.scale, compared_claims(judged)))

    @property
    def scale(self) -> str:
        """What every caption says first: `Suite nano, size nano, budget lab`."""
        cell = next(iter(self.grids.values())).baseline
        return f"Suite {cell.suite.name}, size {cell.labels['size']}, budget {cell.budget.name}"

    @property
    def stem(self) -> str:
        """The scale as a part of file names: `nano`, or `t5-base-paper`."""
        grid = next(iter(self.grids.values()))
        return grid.stem.removeprefix(f"{grid.experiment.name}-")


def experiments() -> list[str]:
    """Names of all experiment files, the working directory's and the package's, in the order of the paper."""
    names = {path.stem for place in experiment_places() for path in place.glob("*.yaml")}
    return sorted(names, key=lambda name: (_first_table(name), name))


def _first_table(name: str) -> int:
    """The number of the paper's table that an experiment begins with; those of no table come last."""
    begins = re.match(r"Tables? (\d+)", load_experiment(experiment_path(name)).reproduces)
    return int(begins[1]) if begins else 1000


def load_study(overrides: Sequence[str], names: Sequence[str] = ()) -> Study:
    """Compose every cell of the experiments named, or of all. Raises Refused naming experiment and row."""
    loader = Cells()
    return Study({name: expand(name, overrides, loader) for name in names or experiments()})


def load_possible(overrides: Sequence[str]) -> Study:
    """Every experiment that composes under the overrides. Raises Refused where none does."""
    loader, grids = Cells(), dict[str, Grid]()
    refused = Refused("no experiment")
    for name in experiments():
        try:
            grids[name] = expand(name, overrides, loader)
        except Refused as error:
            refused = error
    if not grids:
        raise refused
    return Study(grids)


def load_recorded(overrides: Sequence[str], names: Sequence[str] = ()) -> tuple[Study, str]:
    """The study of the overrides, or where nothing of it has run that of the budget that has records.

    Also a sentence that says so; empty if it is the one asked for. Raises Refused where several have some.
    """
    study = load_study(overrides, names)
    if study.has_records() or any(parse(word).key_or_group == "budget" for word in overrides):
        return study, ""
    asked = next(iter(study.grids.values())).baseline.budget.name
    found = dict[str, Study]()
    for budget in options("budget"):
        with suppress(Refused):  # one that these experiments do not compose with
            other = load_study([*overrides, f"budget={budget}"], names)
            found |= {budget: other} if other.has_records() else {}
    if len(found) > 1:
        raise Refused(
            f"nothing has run at budget {asked}; say which: {', '.join(f'budget={b}' for b in found)}"
        )
    for budget, other in found.items():
        return other, f"nothing has run at budget {asked}; shown is budget={budget}, which has records"
    return study, ""


def load_claimed(overrides: Sequence[str]) -> Study:
    """The experiments that the claims are about."""
    claimed = {claim.experiment for claim in findings.load_claims().values()}
    return load_study(overrides, [name for name in experiments() if name in claimed])


def write_findings(study: Study) -> str:
    """Judge the claims, write `findings-<scale>.md` beside the tables; its text."""
    study.keep_bounds()
    text = to_markdown(study.findings(), study.scale)
    write_whole(study.results / "tables" / f"findings-{study.stem}.md", text)
    return text
