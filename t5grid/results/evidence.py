"""scores of rows -> what can be said of two of them, column by column, in deviations."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from t5grid.grid.published import paper_deviations
from t5grid.results.significance import margin, of_rows
from t5grid.results.table import ROUNDING, Table, paper_columns

AGREES, PARTLY, MIXED, CONTRADICTS = "agrees", "partly", "mixed", "contradicts"
NOISE, FLOOR, NOT_RUN, UNJUDGED = "within noise", "at the floor", "not run", "no standard deviation"
UNPUBLISHED = "no published numbers"
VERDICTS = (AGREES, PARTLY, MIXED, CONTRADICTS, NOISE, FLOOR, NOT_RUN, UNJUDGED, UNPUBLISHED)
NO_PUBLISHED_YARDSTICK = "no standard deviation: the paper published none"
NO_YARDSTICK = "no standard deviation: two seeds of the baseline are needed"


@dataclass(frozen=True)
class Effect:
    """What one row has over another: by column, in standard deviations, with the margin of chance."""

    title: str
    sizes: Mapping[str, float]
    margins: Mapping[str, float]

    @property
    def size(self) -> float:
        """The median over the columns."""
        return median(self.sizes.values())

    @property
    def margin(self) -> float:
        """The margin of a typical column: what a size must exceed not to be chance."""
        return median(self.margins.values())


@dataclass(frozen=True)
class Answer:
    """What one test says: a verdict, how many of how many columns (or comparisons) it rests on, and why."""

    verdict: str
    numbers: str
    rests_on: str = ""
    effects: tuple[Effect, ...] = ()

    def __str__(self) -> str:
        return f"{self.verdict} ({self.rests_on})" if self.rests_on else self.verdict


def verdict_of(above: int, below: int, needed: int, columns: int, at_floor: int = 0) -> str:
    """The verdict on "higher in at least `needed` of `columns`", so many of which are above and below.

    It agrees in enough columns; contradicts in more than half the other way, or in some and none this way;
    partly is some and none the other way, mixed some each way.
    """
    if above >= needed:
        return AGREES
    if 2 * below > columns or (below and not above):
        return CONTRADICTS
    if above:
        return MIXED if below else PARTLY
    return FLOOR if at_floor == columns else NOISE


def joined(answers: Sequence[Answer], between: str) -> Answer:
    """Several tests, all of which a claim needs, as one.

    A contradiction is mixed if another part holds, and decides whatever has not run. What several say in the
    same words is said once.
    """
    if len(answers) == 1:
        return answers[0]
    verdict = joined_verdict([answer.verdict for answer in answers])
    holds = sum(answer.verdict == AGREES for answer in answers)
    judged = verdict not in (NOT_RUN, UNJUDGED, NOISE, FLOOR)
    return Answer(
        verdict,
        between.join(dict.fromkeys(answer.numbers for answer in answers)),
        f"{holds} of {len(answers)} comparisons hold" if judged else "",
        tuple(effect for answer in answers for effect in answer.effects),
    )


def joined_verdict(verdicts: Sequence[str]) -> str:
    """The verdict of several parts together."""
    has = set(verdicts)
    holds = has & {AGREES, PARTLY, MIXED}
    if CONTRADICTS in has:
        return MIXED if holds else CONTRADICTS
    for decides in (NOT_RUN, UNJUDGED, MIXED):
        if decides in has:
            return decides
    if holds:
        return AGREES if has == {AGREES} else PARTLY
    return NOISE if NOISE in has else FLOOR


@dataclass(frozen=True)
class Evidence:
    """Scores by row key and paper column (0 to 100), and the baseline's standard deviation a column.

    `columns` are all that the paper compares its rows in; `no_yardstick` is the answer without a deviation.
    `freedom` are the deviations' degrees of freedom by column (left out: of infinitely many seeds), `seeds`
    how many each score is the mean of (left out: one), `errors` what each owes to the validation rows it is
    measured on, a standard error in points (left out: none), `at_floor` the rows that score no more than a
    constant answer, and `titles` what rows are called; `unanswered` says of a row why its model cannot answer
    some columns at all.
    """

    scores: Mapping[str, Mapping[str, float]]
    deviations: Mapping[str, float]
    columns: Sequence[str]
    no_yardstick: Answer = Answer(NOT_RUN, NO_YARDSTICK)
    freedom: Mapping[str, float] = field(default_factory=dict)
    seeds: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    errors: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    at_floor: Mapping[str, frozenset[str]] = field(default_factory=dict)
    titles: Mapping[str, str] = field(default_factory=dict)
    unanswered: Mapping[str, str] = field(default_factory=dict)

    def title(self, row: str) -> str:
        """What a row is called."""
        return self.titles.get(row, row)

    def gaps(self, higher: str, lower: str, columns: Sequence[str]) -> dict[str, float]:
        """`higher - lower` in every column asked for that both rows and the deviations have, in points."""
        high, low = self.scores.get(higher, {}), self.scores.get(lower, {})
        return {c: high[c] - low[c] for c in columns if c in high and c in low and c in self.deviations}

    def lacking(self, rows: Sequence[str], columns: Sequence[str]) -> Answer | None:
        """What is missing for a comparison of the rows in all columns; None if nothing is."""
        scored = [c for c in columns if all(c in self.scores.get(row, {}) for row in rows)]
        if len(scored) < len(columns):
            reasons = dict.fromkeys(self.unanswered[row] for row in rows if row in self.unanswered)
            why = f" ({', '.join(reasons)})" if reasons else ""
            missing = f"{len(columns) - len(scored)} of {len(columns)} columns missing{why}"
            return Answer(NOT_RUN, f"{' or '.join(map(self.title, rows))}: {missing}")
        if not all(c in self.deviations for c in columns):
            return self.no_yardstick
        return None

    def chance(self, row: str, other: str, column: str, comparisons: int = 1) -> float:
        """What two rows must be apart in a column for it not to be chance, in points: by seeds and by rows.

        Seeds that agree to the point (all at the ceiling, or at a constant answer) would tell any two rows
        apart; what their validation rows leave open is the least that counts.
        """
        num_seeds, others = (self.seeds.get(key, {}).get(column, 1) for key in (row, other))
        of_seeds = margin(self.freedom.get(column, math.inf), num_seeds, others, comparisons)
        errors = [self.errors.get(key, {}).get(column, 0.0) for key in (row, other)]
        return max(self.deviations[column] * of_seeds, of_rows(errors, comparisons))

    def beyond(self, higher: str, lower: str, columns: Sequence[str], comparisons: int = 1) -> list[str]:
        """The columns in which `higher` is above `lower` by more than chance; never both at the floor."""
        return [
            c
            for c, gap in self.gaps(higher, lower, columns).items()
            if gap > self.chance(higher, lower, c, comparisons) + ROUNDING
            and not self.both_at_floor(higher, lower, c)
        ]

    def both_at_floor(self, row: str, other: str, column: str) -> bool:
        """Whether there is nothing to compare: both rows score no more than a constant answer."""
        return {row, other} <= self.at_floor.get(column, frozenset())

    def effect(self, higher: str, lower: str, columns: Sequence[str]) -> Effect:
        """What `higher` has over `lower`; columns whose deviation is 0 have no size."""
        gaps = self.gaps(higher, lower, columns)
        sizes = {c: gap / self.deviations[c] for c, gap in gaps.items() if self.deviations[c]}
        margins = {c: self.chance(higher, lower, c) / self.deviations[c] for c in sizes}
        return Effect(f"{self.title(higher)} over {self.title(lower)}", sizes, margins)

    def effect_text(self, higher: str, lower: str, columns: Sequence[str]) -> str:
        """The median effect and what is chance: `median +8.4 sd (+3.52 points), chance up to 3.2 sd`."""
        points = f"{median(self.gaps(higher, lower, columns).values()):+.2f} points"
        effect = self.effect(higher, lower, columns)
        if not effect.sizes:
            return f"median {points}"
        return f"median {effect.size:+.1f} sd ({points}), chance up to {effect.margin:.1f} sd"


def evidence_of(table: Table) -> Evidence:
    """Our numbers of a table, under the names of the paper's columns that ours mirror, else under ours."""
    mirrored = {column.key: column.mirrors or column.key for column in table.columns}
    deviations = {paper: sd for key, paper in mirrored.items() if (sd := table.deviation(key)) is not None}
    of_seeds = {
        row.key: {paper: len(row.cells[key].by_seed) for key, paper in mirrored.items()} for row in table.rows
    }
    return Evidence(
        scores={
            row.key: {
                paper: mean for key, paper in mirrored.items() if (mean := row.cells[key].mean) is not None
            }
            for row in table.rows
        },
        deviations=deviations,
        columns=compared_columns(table),
        freedom={paper: of_seeds[table.starred.key][paper] - 1 for paper in deviations},
        seeds=of_seeds,
        errors={
            row.key: {
                paper: error for key, paper in mirrored.items() if (error := row.cells[key].error) is not None
            }
            for row in table.rows
        },
        at_floor={paper: table.at_floor(key) for key, paper in mirrored.items()},
        titles=_titles(table),
        unanswered={
            row.key: cell.hole
            for row in table.rows
            for cell in row.cells.values()
            if cell.lasting and cell.hole
        },
    )


def paper_evidence(table: Table) -> Evidence:
    """The published numbers of the same rows: the starred one is the mean of all runs that the paper has."""
    paper = table.paper
    printed = {row.key: row.paper for row in table.rows if row.paper}
    runs = paper.deviations.num_runs if paper.deviations else None
    columns = compared_columns(table)
    return Evidence(
        scores={key: row.points for key, row in printed.items()},
        deviations=paper_deviations(paper.name),
        columns=columns,
        no_yardstick=Answer(UNJUDGED, NO_PUBLISHED_YARDSTICK),
        freedom=dict.fromkeys(columns, runs - 1) if runs else {},
        seeds={key: dict.fromkeys(columns, runs) for key, row in printed.items() if runs and row.starred},
        titles=_titles(table),
    )


def compared_columns(table: Table) -> list[str]:
    """The paper's columns that rows are compared in: all it says it has, else those that the rows have."""
    return table.paper.columns or paper_columns(table)


def _titles(table: Table) -> dict[str, str]:
    return {row.key: row.title for row in table.rows}
