"""tables -> where no pre-training wins by two deviations: negative transfer."""

from collections.abc import Mapping
from dataclasses import dataclass

from t5grid.grid.experiment import Experiment
from t5grid.results.table import WIDTH, Row, Table

NONE = "strategy=no_pretraining"
OF_PRETRAINING = ("objective", "corpus", "strategy", "mixing", "finetune", "budget.pretrain")
"""What a row may have of its own to be compared: how it was pre-trained and tuned."""


@dataclass(frozen=True)
class NegativeTransfer:
    """A row that a row without pre-training beats in some columns, by so many deviations in each."""

    experiment: str
    row: str
    by: str
    columns: Mapping[str, float]

    def __str__(self) -> str:
        where = ", ".join(f"{title} (by {size:.1f} sd)" for title, size in self.columns.items())
        return f"{self.by} beats {self.row} in {where} (experiment `{self.experiment}`)"


def negative_transfer(
    experiments: Mapping[str, Experiment], tables: Mapping[str, Table]
) -> list[NegativeTransfer]:
    """Every case in the tables; both rows have the same labelled rows, size and architecture."""
    cases = []
    for name, table in tables.items():
        rows = {row.key: row for row in table.rows}
        for fresh, other in _pairs(experiments[name]):
            columns = _won(table, rows[fresh], rows[other])
            if columns:
                cases.append(NegativeTransfer(name, rows[other].title, rows[fresh].title, columns))
    return cases


def _pairs(experiment: Experiment) -> list[tuple[str, str]]:
    """Rows without pre-training, each with every row that has it and is otherwise alike."""
    words = {key: set(row.overrides) for key, row in experiment.rows.items()}
    fresh = [key for key, overrides in words.items() if NONE in overrides]
    return [
        (key, other)
        for key in fresh
        for other in words
        if other not in fresh and _alike(words[key] - {NONE}, words[other])
    ]


def _alike(fresh: set[str], other: set[str]) -> bool:
    return fresh <= other and all(word.startswith(OF_PRETRAINING) for word in other - fresh)


def _won(table: Table, fresh: Row, other: Row) -> dict[str, float]:
    """Title of a column -> deviations, of those that the row without pre-training wins by more than two.

    None in which both score no more than a constant answer.
    """
    sizes = {}
    for column in table.columns:
        high, low = fresh.cells[column.key].mean, other.cells[column.key].mean
        deviation = table.deviation(column.key)
        if {fresh.key, other.key} <= table.at_floor(column.key):
            continue
        if high is not None and low is not None and deviation and high - low > WIDTH * deviation:
            sizes[column.title] = (high - low) / deviation
    return sizes
