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
from t5grid.refused import Absent, Refused
from t5grid.results import findings
from t5grid.results.collect import table_of
from t5grid.results.drawing import Figure
from t5grid.results.findings import Finding
from t5grid.results.findings_text import to_markdown
from t5grid.results.floors import keep_bounds, kept_bounds
from t5grid.results.forest import compared_claims, forest_plot
from t5grid.results.negative_transfer import NegativeTransfer, negative_transfer
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
        stages = (stage for grid in self.grids.values() for stage in grid.stages if stage.scores)
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

    def negative_transfer(
        self, tables: Mapping[str, Table], judged: Sequence[Finding]
    ) -> list[NegativeTransfer]:
        """Where pre-training hurts, in the experiments that the claims are about."""
        claimed = {finding.claim.experiment for finding in judged}
        named = {name: table for name, table in tables.items() if name in claimed}
        return negative_transfer({name: self.grids[name].experiment for name in named}, named)

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
    """Compose every cell of the experiments named, or of all. Raises Refused naming experiment and row.

    Of all, those are left out for which a user would have to bring something that is not there, and those
    that cannot be under the overrides, a column that their suite has not, say.
    """
    if not names:
        return _load_all(experiments(), overrides)
    loader = Cells()
    return Study({name: expand(name, overrides, loader) for name in names})


def load_possible(overrides: Sequence[str]) -> Study:
    """Every experiment that composes under the overrides. Raises Refused where none does."""
    return _possible(experiments(), overrides)[0]


def _load_all(names: Sequence[str], overrides: Sequence[str]) -> Study:
    """As `load_study`, of all. Raises Refused for what is an experiment's own fault."""
    study, refused = _possible(names, overrides)
    for name in refused:
        with suppress(Absent):
            expand(name, [], Cells())
    return study


def _possible(names: Sequence[str], overrides: Sequence[str]) -> tuple[Study, dict[str, Refused]]:
    """Those of the experiments that compose, and why others do not. Raises Refused where none does."""
    loader, grids, refused = Cells(), dict[str, Grid](), dict[str, Refused]()
    for name in names:
        try:
            grids[name] = expand(name, overrides, loader)
        except Refused as error:
            refused[name] = error
    if not grids:
        raise next(iter(refused.values()), Refused("no experiment"))
    return Study(grids), refused


def load_recorded(overrides: Sequence[str], names: Sequence[str] = ()) -> tuple[list[Study], str]:
    """The studies of the overrides, one a budget (`budget=nano,lab`); with none, the default's.

    Where nothing of that has run they are those of every budget that has records; the sentence says so, and
    is empty if all are as asked for.
    """
    asked = [word for word in overrides if parse(word, several=True).key_or_group == "budget"]
    if asked:
        others = [word for word in overrides if word is not asked[-1]]
        return [load_study([*others, word], names) for word in _one_by_one(asked[-1])], ""
    study = load_study(overrides, names)
    if study.has_records():
        return [study], ""
    default = next(iter(study.grids.values())).baseline.budget.name
    found = dict[str, Study]()
    for budget in options("budget"):
        with suppress(Refused):  # one that these experiments do not compose with
            other = load_study([*overrides, f"budget={budget}"], names)
            found |= {budget: other} if other.has_records() else {}
    if not found:
        return [study], ""
    shown = f"budget={','.join(found)}, which {'has' if len(found) == 1 else 'have'} records"
    return list(found.values()), f"nothing has run at budget {default}; shown is {shown}"


def _one_by_one(word: str) -> list[str]:
    """`budget=nano,lab` -> `budget=nano` and `budget=lab`, as Hydra takes them apart."""
    override = parse(word, several=True)
    if not override.is_sweep_override():
        return [word]
    return [f"{override.key_or_group}={value}" for value in override.sweep_string_iterator()]


def load_claimed(overrides: Sequence[str]) -> Study:
    """The experiments that the claims are about, but those that a whole study leaves out."""
    claimed = {claim.experiment for claim in findings.load_claims().values()}
    return _load_all([name for name in experiments() if name in claimed], overrides)


def write_findings(study: Study) -> str:
    """Judge the claims, write `findings-<scale>.md` beside the tables; its text."""
    study.keep_bounds()
    tables = study.tables()
    judged = study.findings(tables)
    text = to_markdown(judged, study.scale, study.negative_transfer(tables, judged))
    write_whole(study.results / "tables" / f"findings-{study.stem}.md", text)
    return text
