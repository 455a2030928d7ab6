"""results/paper/*.csv -> published rows: the paper's numbers, exactly as printed.

A row is named by its first cell; where a table repeats that cell (Table 2), by its first two: "a / b".
"""

import csv
from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from t5grid.refused import Refused

COLUMNS = ("GLUE", "CNNDM", "SQuAD", "SGLUE", "EnDe", "EnFr", "EnRo")
"""The seven columns of the study's tables (paper, section 3.1.5)."""

_IN_TABLE_14 = {
    "GLUE Average": "GLUE",
    "CNN/DM ROUGE-2": "CNNDM",
    "SQuAD EM": "SQuAD",
    "SuperGLUE Average": "SGLUE",
    "WMT EnDe BLEU": "EnDe",
    "WMT EnFr BLEU": "EnFr",
    "WMT EnRo BLEU": "EnRo",
}
"""The same in the table that has a column for every metric."""

_PLACES = (Path(__file__).parents[1] / "paper", Path(__file__).parents[2] / "results" / "paper")
"""Where the published tables lie: in an installed wheel, in a checkout."""


@dataclass  # not frozen: OmegaConf fills it from an experiment file
class PaperReference:
    """A published row by name: `table` is a file's stem in `results/paper`, `row` its label there."""

    table: str
    row: str


@dataclass(frozen=True)
class PaperRow:
    """One published row: its scores as printed, and which of them are printed bold.

    `facts` are what the table says of the row beside its scores (Table 2: objective, parameters, cost).
    """

    table: str
    label: str
    scores: dict[str, str]
    bold: frozenset[str]
    starred: bool
    facts: dict[str, str] = field(default_factory=dict)


def paper_folder() -> Path:
    """The folder of the published tables; `ValueError` where this installation has none."""
    for place in _PLACES:
        if place.is_dir():
            return place
    raise Refused(f"results/paper: no published tables found, looked in {' and '.join(map(str, _PLACES))}")


def _labels(rows: list[dict[str, str]], header: list[str]) -> list[str]:
    first, second = header[:2]
    repeated = Counter(row[first] for row in rows)
    return [row[first] if repeated[row[first]] == 1 else f"{row[first]} / {row[second]}" for row in rows]


@lru_cache(maxsize=64)
def _read(path: Path) -> tuple[PaperRow, ...]:
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        header, rows = list(reader.fieldnames or ()), list(reader)
    columns = {_IN_TABLE_14.get(name, name): name for name in header}
    columns = {column: columns[column] for column in COLUMNS if column in columns}
    facts = [name for name in header[1:] if name not in (*columns.values(), "starred", "bold")]
    return tuple(
        PaperRow(
            table=path.stem,
            label=label,
            scores={column: row[name] for column, name in columns.items()},
            bold=frozenset(column for column, name in columns.items() if name in row["bold"].split(";")),
            starred=row["starred"] == "1",
            facts={column: row[column] for column in facts},
        )
        for label, row in zip(_labels(rows, header), rows, strict=True)
    )


def paper_table(name: str, folder: Path | None = None) -> tuple[PaperRow, ...]:
    """The rows of one published table in printed order; `ValueError` for a table that is not there."""
    place = folder or paper_folder()
    path = place / f"{name}.csv"
    if not path.is_file():
        raise Refused(f"paper table {name!r} is not published here; there are {_names(place)}")
    return _read(path)


def _names(place: Path) -> str:
    return ", ".join(sorted(path.stem for path in place.glob("*.csv")))


def paper_row(reference: PaperReference, folder: Path | None = None) -> PaperRow:
    """The published row that `reference` names; `ValueError` listing the table's rows if there is none."""
    rows = paper_table(reference.table, folder)
    for row in rows:
        if row.label == reference.row:
            return row
    possible = "; ".join(row.label for row in rows)
    raise Refused(f"paper row {reference.row!r} is not in {reference.table}, whose rows are: {possible}")


def paper_deviations(folder: Path | None = None) -> dict[str, float]:
    """The baseline's standard deviation a column over ten runs (paper, Table 1): every table's yardstick."""
    row = paper_row(PaperReference("table01", "Baseline standard deviation"), folder)
    return {column: float(score) for column, score in row.scores.items()}


def table_title(name: str) -> str:
    """`table04` -> `Table 4`; `table10_corrected` -> `Table 10 (corrected)`."""
    number, _, suffix = name.removeprefix("table").partition("_")
    return f"Table {number.lstrip('0')}" + (f" ({suffix})" if suffix else "")
