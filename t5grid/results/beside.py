"""a table -> its effects beside the paper's: gains in deviations, ranks, pairs.

Scores in points are only compared where a column is the paper's own; elsewhere what two rows differ by is set
against what chance makes them differ by, there and here.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from t5grid.results.evidence import Evidence, evidence_of, paper_evidence
from t5grid.results.significance import LEVEL, quantile
from t5grid.results.table import Row, Table, TableColumn

SAME, OPPOSITE, NOISE = "same", "opposite", "noise"
MARKS = {SAME: "✓", OPPOSITE: "✗", NOISE: "≈"}
FEWEST_RANKED = 3
"""Rows below which a rank correlation says nothing: that of two is 1 or −1 whatever the scores."""


@dataclass(frozen=True)
class Gain:
    """What a row gains over the starred one in a column, ours and the paper's, in deviations of each.

    `agreement` is same or opposite sign where both are more than chance, else noise. Of a paper that
    published no deviation the gain is in points (`in_points`), and only ours is held against chance.
    """

    ours: float
    paper: float
    agreement: str
    in_points: bool = False


@dataclass(frozen=True)
class Order:
    """How alike the rows of a column are ordered here and in the paper.

    Spearman's rank correlation with its interval (None where there is none: four rows are needed, and not the
    very same order), and of the pairs that differ in the paper how many are ordered alike.
    """

    correlation: float | None
    interval: tuple[float, float] | None
    alike: int
    pairs: int


def compared(table: Table) -> list[TableColumn]:
    """The columns that mirror one of the paper's without being its own; none at smoke."""
    if table.provenance.meaningless:
        return []
    return [column for column in table.columns if column.mirrors and not column.own]


def counterparts(table: Table) -> list[Row]:
    """The rows that the paper has too, without the starred one."""
    return [row for row in table.rows if row.paper and not row.starred]


def gains(table: Table) -> dict[str, dict[str, Gain]]:
    """Row key -> column key -> gain, for all that both have a score and a deviation of ours."""
    ours, paper, star = evidence_of(table), paper_evidence(table), table.starred.key
    found: dict[str, dict[str, Gain]] = {}
    for row in counterparts(table):
        for column in compared(table):
            gain = _gain(ours, paper, row.key, star, column.mirrors or "")
            if gain is not None:
                found.setdefault(row.key, {})[column.key] = gain
    return found


def _gain(ours: Evidence, paper: Evidence, row: str, star: str, column: str) -> Gain | None:
    sizes = ours.effect(row, star, [column]).sizes
    points = _points(paper, row, star, column)
    if not sizes or points is None:
        return None
    deviation = paper.deviations.get(column)
    sign = _beyond(ours, row, star, column)
    theirs = _beyond(paper, row, star, column) if deviation else math.copysign(1, points) if points else 0
    agreement = NOISE if not sign or not theirs else SAME if sign == theirs else OPPOSITE
    return Gain(sizes[column], points / deviation if deviation else points, agreement, not deviation)


def _points(evidence: Evidence, row: str, star: str, column: str) -> float | None:
    score, baseline = (evidence.scores.get(key, {}).get(column) for key in (row, star))
    return None if score is None or baseline is None else score - baseline


def _beyond(evidence: Evidence, row: str, star: str, column: str) -> int:
    """1 if the row is above the starred one by more than chance, -1 below, else 0."""
    return len(evidence.beyond(row, star, [column])) - len(evidence.beyond(star, row, [column]))


def ranked(table: Table, column: TableColumn) -> list[tuple[float, float, Row]]:
    """(printed score, our mean, row) of the rows of a column that have both."""
    both = []
    for row in table.rows:
        printed = row.paper.points.get(column.mirrors or "") if row.paper else None
        mean = row.cells[column.key].mean
        if printed is not None and mean is not None:
            both.append((printed, mean, row))
    return both


def order(table: Table, column: TableColumn) -> Order:
    """How alike a column's rows are ordered here and in the paper."""
    points = [(printed, mean) for printed, mean, _ in ranked(table, column)]
    apart = [(a, b) for a, b in combinations(points, 2) if a[0] != b[0]]
    alike = sum((a[0] - b[0]) * (a[1] - b[1]) > 0 for a, b in apart)
    if len(points) < FEWEST_RANKED:
        return Order(None, None, alike, len(apart))
    correlation = spearman([printed for printed, _ in points], [mean for _, mean in points])
    return Order(correlation, spearman_interval(correlation, len(points)), alike, len(apart))


def ranks(values: Sequence[float]) -> list[float]:
    """Ranks from 1 in ascending order, equal values at their mean rank."""
    return [
        1 + sum(rival < value for rival in values) + (sum(rival == value for rival in values) - 1) / 2
        for value in values
    ]


def spearman(first: Sequence[float], second: Sequence[float]) -> float:
    """Spearman's rank correlation: 1 is the same order, 0 where one side is constant."""
    a, b, centre = ranks(first), ranks(second), (len(first) + 1) / 2
    product = sum((x - centre) * (y - centre) for x, y in zip(a, b, strict=True))
    norm = math.sqrt(sum((x - centre) ** 2 for x in a) * sum((y - centre) ** 2 for y in b))
    return product / norm if norm else 0.0


def spearman_interval(correlation: float, num_rows: int) -> tuple[float, float] | None:
    """The 95 % interval of a rank correlation by Fisher's z with the error of Bonett and Wright (2000)."""
    if num_rows < FEWEST_RANKED + 1 or abs(correlation) >= 1:
        return None
    error = math.sqrt((1 + correlation**2 / 2) / (num_rows - 3)) * quantile(math.inf, LEVEL)
    z = math.atanh(correlation)
    return math.tanh(z - error), math.tanh(z + error)
