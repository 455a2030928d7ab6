"""score records -> table: an experiment's scores in the paper's style.

A pure function of the scores: logs are never read, and a part-done grid gives a part-filled table. The rules
are those of section 3.1.5 of the paper: the baseline is starred and is the mean of its seeds; the standard
deviation of those seeds is assumed for every row; a score within two of them of its column's best is bold.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from t5grid.evaluation.constant import Bounds
from t5grid.grid.experiment import Experiment
from t5grid.grid.published import Paper, PaperRow, load_paper, paper_deviations, paper_row
from t5grid.refused import Refused

WIDTH = 2.0
"""Scores this many baseline standard deviations below the best are still bold (paper, section 3.1.5)."""

ROUNDING = 1e-9  # 83.28 - 82.81 must equal 2 * 0.235


@dataclass(frozen=True)
class TableColumn:
    """A column of the suite: its key in the records, its title, the published column beside it (or None).

    `metric` and `rows` are how, and on how many rows, it is scored; `human` is what people score in it,
    `human_source` who says so.
    """

    key: str
    title: str
    mirrors: str | None = None
    metric: str = ""
    rows: int | None = None
    human: float | None = None
    human_source: str | None = None
    own: bool = False
    """Whether the column is the paper's own: the same rows, so that points can be compared."""

    @property
    def measured(self) -> str:
        """What stands under its head: `exact match ↑, 300 rows`; every metric is the better the higher."""
        rows = "" if self.rows is None else f", {self.rows} rows"
        return f"{self.metric} ↑{rows}" if self.metric else ""


@dataclass(frozen=True)
class Hole:
    """Why a cell has no score: "not run", "running", "failed: ...", "blocked: ...".

    A `lasting` one is none that a run could fill: the model cannot answer such a column.
    """

    reason: str
    lasting: bool = False


@dataclass(frozen=True)
class Scores:
    """The scores of one row and column, one a seed (0 to 100), or the reason there is none.

    `error` is the standard error of a single seed's score over the validation rows, where it is kept.
    """

    by_seed: tuple[float, ...] = ()
    hole: str | None = None
    error: float | None = None
    lasting: bool = False

    @property
    def mean(self) -> float | None:
        """Mean over the seeds; None in a hole."""
        return None if self.hole else statistics.fmean(self.by_seed)

    @property
    def deviation(self) -> float | None:
        """Standard deviation over the seeds (n - 1); None below two seeds."""
        return None if self.hole or len(self.by_seed) < 2 else statistics.stdev(self.by_seed)


@dataclass(frozen=True)
class Row:
    """One row: ours by column key, and the published row it stands beside (None: the paper has none).

    `shown` are facts printed before the scores, in the order of the table's `shown`.
    """

    key: str
    title: str
    starred: bool
    cells: dict[str, Scores]
    paper: PaperRow | None = None
    note: str = ""
    shown: tuple[str, ...] = ()

    @property
    def seeds(self) -> tuple[int, ...]:
        """The different numbers of seeds behind the row's scores, ascending; empty if it has none."""
        return tuple(sorted({len(cell.by_seed) for cell in self.cells.values() if not cell.hole}))


@dataclass(frozen=True)
class Provenance:
    """What the caption must say of the runs: option names, the data's fingerprints by name, further notes."""

    suite: str
    size: str
    budget: str
    data: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def warning(self) -> str:
        """What a reader must know before looking at the scores; empty if nothing."""
        return "Budget smoke: the scores mean nothing." if self.meaningless else ""

    @property
    def meaningless(self) -> bool:
        """Whether the budget is there to see the stages run alone."""
        return self.budget == "smoke"


@dataclass(frozen=True)
class Table:
    """A whole table: everything the renderings print, in printed order."""

    title: str
    reproduces: str
    command: str
    first_column: str
    columns: tuple[TableColumn, ...]
    rows: tuple[Row, ...]
    provenance: Provenance
    paper: Paper
    shown: tuple[str, ...] = ()
    relative: bool = False
    """Whether gains over the starred row are printed too."""
    bounds: Mapping[str, Bounds] = field(default_factory=dict)
    """What the scores of a column lie between, where that is known."""

    @property
    def starred(self) -> Row:
        """The baseline's row."""
        return next(row for row in self.rows if row.starred)

    def deviation(self, column: str) -> float | None:
        """Standard deviation of the baseline's seeds in `column`, the yardstick; None below two seeds."""
        return self.starred.cells[column].deviation

    def gain(self, row: Row, column: str) -> float | None:
        """A score's gain over the starred row's as a share of that, in per cent; None in a hole or over 0."""
        mean, baseline = row.cells[column].mean, self.starred.cells[column].mean
        return 100 * (mean / baseline - 1) if mean is not None and baseline else None

    def bold(self, column: str) -> frozenset[str]:
        """Keys of the rows that are bold in `column`: never one that is at the floor, and none at smoke."""
        if self.provenance.meaningless:
            return frozenset()
        means = {row.key: row.cells[column].mean for row in self.rows}
        known = {key: mean for key, mean in means.items() if mean is not None}
        return bold_rows(known, self.deviation(column)) - self.at_floor(column)

    def at_floor(self, column: str) -> frozenset[str]:
        """Keys of the rows that score no more than two deviations above a constant answer in `column`."""
        if column not in self.bounds:
            return frozenset()
        limit = self.bounds[column].floor + WIDTH * (self.deviation(column) or 0.0) + ROUNDING
        means = {row.key: row.cells[column].mean for row in self.rows}
        return frozenset(key for key, mean in means.items() if mean is not None and mean <= limit)

    @property
    def holes(self) -> tuple[str, ...]:
        """The different reasons for holes, in reading order: reason k is printed with the mark k + 1."""
        cells = [row.cells[column.key] for row in self.rows for column in self.columns]
        return tuple(dict.fromkeys(cell.hole for cell in cells if cell.hole))


def bold_rows(scores: Mapping[str, float], deviation: float | None) -> frozenset[str]:
    """The rows of one column within two deviations of its best; only the best if `deviation` is None.

        {"a": 83.28, "b": 82.90, "c": 80.69}, 0.235 -> {"a", "b"}

    Source: paper, section 3.1.5, as `score >= best - 2 sd`. Three cells of the paper's tables print
    otherwise (`results/published/t5/README.md`).
    """
    if not scores:
        return frozenset()
    limit = max(scores.values()) - WIDTH * (deviation or 0.0) - ROUNDING
    return frozenset(row for row, score in scores.items() if score >= limit)


def make_scores(scores: Sequence[float] | Hole | None, error: float | None = None) -> Scores:
    """Scores, one a seed -> a cell; none at all is "not run", and one that is not a number makes a hole."""
    if isinstance(scores, Hole):
        return Scores(hole=scores.reason, lasting=scores.lasting)
    if not scores:
        return Scores(hole="not run")
    lost = sum(not math.isfinite(score) for score in scores)
    if lost:
        return Scores(hole="undefined" if len(scores) == 1 else f"undefined in {lost} of {len(scores)} seeds")
    return Scores(tuple(float(score) for score in scores), error=error if len(scores) == 1 else None)


def build_table(
    experiment: Experiment,
    columns: Sequence[TableColumn],
    scores: Mapping[str, Mapping[str, Sequence[float] | Hole]],
    provenance: Provenance,
    shown: Mapping[str, Sequence[str]] = MappingProxyType({}),
    bounds: Mapping[str, Bounds] = MappingProxyType({}),
    errors: Mapping[str, Mapping[str, float | None]] = MappingProxyType({}),
) -> Table:
    """The table of `experiment` from `scores[row key][column key]`: one score a seed, or a hole.

    What is absent is "not run". `shown[row key]` are the row's values for the experiment's `show`,
    `bounds[column key]` what the scores lie between and `errors[row key][column key]` the standard errors of
    scores of one seed.

    Raises Refused for scores of a row that the experiment, or a column that the suite, does not have.
    """
    keys = [column.key for column in columns]
    _check_names("row", scores, experiment.rows)
    for of_row in scores.values():
        _check_names("column", of_row, keys)
    rows = []
    for key, row in experiment.rows.items():
        of_row, error_of = scores.get(key, {}), errors.get(key, {})
        cells = {column: make_scores(of_row.get(column), error_of.get(column)) for column in keys}
        paper = paper_row(row.paper) if row.paper else None
        rows.append(Row(key, row.title, row.starred, cells, paper, row.note, tuple(shown.get(key, ()))))
    head = (experiment.title, experiment.reproduces, experiment.command, experiment.first_column)
    titles = tuple(experiment.show.values())
    return Table(
        *head,
        columns=tuple(columns),
        rows=tuple(rows),
        provenance=provenance,
        paper=load_paper(experiment.published),
        shown=titles,
        relative=experiment.relative,
        bounds=dict(bounds),
    )


def _check_names(
    what: str, given: Mapping[str, object], possible: Sequence[str] | Mapping[str, object]
) -> None:
    for name in given:
        if name not in possible:
            raise Refused(f"table: scores for {what} {name!r}, there are {', '.join(possible)}")


@dataclass(frozen=True)
class Discrimination:
    """How well a table tells rows apart: in how many columns a difference exceeds two baseline deviations.

    `columns` counts those where the baseline has a deviation and the rows in question a score; those of the
    floor (no pre-training) are None in a table without such a row.
    """

    columns: int
    best_above_worst: int
    floor_below_best: int | None = None
    floor_below_starred: int | None = None

    def __str__(self) -> str:
        if not self.columns:
            return ""
        parts = [f"best above worst pre-trained row {self.best_above_worst}"]
        if self.floor_below_best is not None:
            parts += [f"no pre-training below the best {self.floor_below_best}"]
            parts += [f"no pre-training below the baseline {self.floor_below_starred}"]
        counts = (
            f"Columns (of {self.columns}) that differ by over two standard deviations: {', '.join(parts)}."
        )
        if self.floor_below_starred is not None and 2 * self.floor_below_starred <= self.columns:
            counts += " The starred baseline does not pay off over no pre-training in most columns."
        return counts


def discrimination(table: Table, floor: str = "no_pretraining") -> Discrimination:
    """Compare rows in units of the baseline's deviation; `floor` is the row without pre-training.

    Where that is the baseline itself, nothing is counted.
    """
    if table.starred.key == floor:
        return Discrimination(0, 0)
    has_floor = any(row.key == floor for row in table.rows)
    beyond = []
    for column in table.columns:
        means = {row.key: row.cells[column.key].mean for row in table.rows}
        deviation, low, star = table.deviation(column.key), means.pop(floor, None), means[table.starred.key]
        if deviation is None or star is None or (has_floor and low is None):
            continue
        trained = [mean for mean in means.values() if mean is not None]
        gaps = [max(trained) - min(trained), *([max(trained) - low, star - low] if low is not None else [])]
        beyond.append([gap > WIDTH * deviation + ROUNDING for gap in gaps])
    return Discrimination(len(beyond), *([sum(of_gap) for of_gap in zip(*beyond, strict=True)] or [0]))


def seeds_text(seeds: Sequence[int]) -> str:
    """`(1,)` -> `1 seed`; `(2, 5)` -> `2 to 5 seeds`; `()` -> `no seed yet`."""
    if not seeds:
        return "no seed yet"
    low, high = min(seeds), max(seeds)
    return f"{low} seed{'s' * (low > 1)}" if low == high else f"{low} to {high} seeds"


def caption(table: Table) -> list[str]:
    """The sentences under the title, as plain text: what was run, how to read it, what to beware of."""
    reading, (scale, *provenance) = reading_lines(table), provenance_lines(table)
    what = bool(table.provenance.warning) + bool(table.reproduces)
    return [*reading[:what], scale, *reading[what:], *provenance, f"Command: {table.command}"]


def reading_lines(table: Table) -> list[str]:
    """What was run, how to read it, what to beware of."""
    baseline = table.starred.seeds
    others = sorted({n for row in table.rows if not row.starred for n in row.seeds})
    lines = [table.provenance.warning, f"Reproduces {table.reproduces}." if table.reproduces else ""]
    lines += [f"★ is the baseline, the mean of {seeds_text(baseline)}; other rows: {seeds_text(others)}."]
    lines += [_bold_rule(table), _floor_rule(table)]
    if max(others, default=0) > 1:
        lines += ["After a score, ± is the standard deviation of that row's own seeds."]
    return [*filter(None, [*lines, _error_rule(table), str(discrimination(table))])]


def provenance_lines(table: Table) -> list[str]:
    """Where the scores are from: options, the budget's notes, machines, the data's fingerprints."""
    provenance = table.provenance
    lines = [f"Suite {provenance.suite}, size {provenance.size}, budget {provenance.budget}."]
    prints = ", ".join(f"{name} {print_}" for name, print_ in provenance.data.items())
    return [*lines, *provenance.notes, *([f"Data: {prints}."] if prints else [])]


def _error_rule(table: Table) -> str:
    """What stands in brackets after scores of one seed, and why it does not after some."""
    single = [cell for row in table.rows for cell in row.cells.values() if len(cell.by_seed) == 1]
    if table.provenance.meaningless or not single:
        return ""
    known = sum(cell.error is not None for cell in single)
    rule = "In brackets after a score of one seed: its standard error over the validation rows (bootstrap)."
    if known < len(single):
        which = f"{len(single) - known} of {len(single)} scores of one seed"
        why = "older records hold no resamples of the rows, which an evaluation now leaves"
        lack = f"No standard error over the validation rows for {which}: {why}."
        return f"{rule} {lack}" if known else lack
    return rule


def _floor_rule(table: Table) -> str:
    if not table.bounds:
        return ""
    return (
        "Constant answer: what the best of the most frequent training answers scores if it is given to every "
        "row. Shaded (in plain text italic) and never bold: no more than two standard deviations above it."
    )


def _bold_rule(table: Table) -> str:
    if table.provenance.meaningless:
        return ""
    known = [column.title for column in table.columns if table.deviation(column.key) is not None]
    if not known:
        return "Bold: the best of its column only, as the baseline has fewer than two seeds."
    rule = "Bold: within two standard deviations of the baseline's seeds of the best in its column"
    if len(known) < len(table.columns):
        rule += (
            f" ({', '.join(known)}; elsewhere the best only, as the baseline has fewer than two seeds there)"
        )
    return rule + "."


def paper_columns(table: Table) -> list[str]:
    """Titles of the published columns that the table's rows have; empty if no row has a published one."""
    return list(dict.fromkeys(column for row in table.rows if row.paper for column in row.paper.scores))


def paper_source(table: Table) -> str:
    """What the published rows are from: `BERT (Devlin et al., 2019), Table 5`."""
    names = dict.fromkeys(row.paper.table for row in table.rows if row.paper)
    return ", ".join([table.paper.title, *(table.paper.table_title(name) for name in names)])


def paper_facts(table: Table) -> list[str]:
    """Titles of shown columns that the paper prints too."""
    return [
        title for title in table.shown if any(row.paper and title in row.paper.facts for row in table.rows)
    ]


def paper_spread(table: Table) -> dict[str, float]:
    """The paper's baseline standard deviations for those columns; empty if it published none."""
    known = paper_deviations(table.paper.name)
    return {column: known[column] for column in paper_columns(table) if column in known}
