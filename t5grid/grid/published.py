"""results/published/PAPER/*.csv -> published rows: numbers exactly as printed.

A folder is a paper: `paper.yaml` says what its tables' columns are, and `results/published/README.md` how it
says it. Folders of the working directory come before the package's.
"""

import csv
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Annotated

from t5grid.config.build import build, nearest
from t5grid.config.compose import data_folder
from t5grid.config.rules import AtLeast
from t5grid.files import read_yaml
from t5grid.refused import Refused

STUDY = "t5"
"""The paper that an experiment stands beside if it names none: the one that the study replicates."""

_MARKS = ("starred", "bold")
"""Columns about a row that are neither scores nor facts."""


@dataclass(frozen=True)
class PaperReference:
    """A published row by name: `table` is a file's stem in the folder `of` the paper, `row` its label there.

    Without `of` the paper is that of the experiment. `num_runs` is how many runs a row is made of, where the
    paper says it.
    """

    table: str
    row: str
    of: str = ""
    num_runs: Annotated[int, AtLeast(2)] | None = None


@dataclass(frozen=True)
class TableLayout:
    """What is special about one published table: its title, the columns of its labels, the scores' scale.

    `factor` makes a printed score one of 0 to 100.
    """

    title: str = ""
    labels: list[str] = field(default_factory=list)
    factor: float = 1.0


@dataclass(frozen=True)
class Paper:
    """One paper's `paper.yaml`; `name` is its folder's.

    `columns` are those of its tables that are scores (None: all but the labels) and `same_column` says what
    other headings mean. `deviations` is the row of its baseline's standard deviations, None if it has none.
    """

    title: str
    citation: str
    columns: list[str] | None = None
    same_column: dict[str, str] = field(default_factory=dict)
    deviations: PaperReference | None = None
    called: str = ""
    tables: dict[str, TableLayout] = field(default_factory=dict)
    name: str = field(default="", kw_only=True)

    def layout(self, table: str) -> TableLayout:
        """What is special about a table; by default nothing."""
        return self.tables.get(table, TableLayout())

    def table_title(self, table: str) -> str:
        """What a table is called: `Table 5`, or the title that `paper.yaml` gives it."""
        return self.layout(table).title or table_title(table)


@dataclass(frozen=True)
class PaperRow:
    """One published row: its scores as printed, and which of them are printed bold.

    `facts` are what the table says of the row beside its scores (T5's Table 2: objective, parameters, cost).
    """

    table: str
    label: str
    scores: dict[str, str]
    bold: frozenset[str]
    starred: bool
    facts: dict[str, str] = field(default_factory=dict)
    factor: float = 1.0

    @property
    def points(self) -> dict[str, float]:
        """The scores as numbers on our scale of 0 to 100, without the holes."""
        return {column: float(score) * self.factor for column, score in self.scores.items() if score}


def _places() -> tuple[Path, Path]:
    """Where folders of papers lie: in the working directory, in the package."""
    return Path.cwd() / "results" / "published", data_folder("published")


def papers() -> list[str]:
    """Names of all papers, the study's own first."""
    names = {path.parent.name for place in _places() for path in place.glob("*/paper.yaml")}
    return sorted(names, key=lambda name: (name != STUDY, name))


def paper_folder(name: str = STUDY) -> Path:
    """The folder of a paper. Raises Refused where there is none, naming those there are."""
    for place in _places():
        if name in papers() and (place / name / "paper.yaml").is_file():
            return place / name
    raise Refused(f"no paper {name!r} in results/published{nearest(name, papers())}")


def load_paper(name: str = STUDY) -> Paper:
    """What `paper.yaml` says of a paper. Raises Refused naming the file and the wrong key."""
    return _load(paper_folder(name))


@lru_cache(maxsize=64)
def _load(folder: Path) -> Paper:
    path = folder / "paper.yaml"
    plain = read_yaml(path)
    try:
        paper = build(plain, "paper", Paper)
    except Refused as error:
        raise Refused(f"{path}: {str(error).replace('paper.', '', 1)}") from None
    if not isinstance(paper, Paper):
        raise Refused(f"{path}: a mapping with title, citation and more is needed")
    return replace(paper, name=folder.name)


def _labels(rows: list[dict[str, str]], header: list[str], layout: TableLayout) -> list[str]:
    if layout.labels:
        return [" / ".join(row[name] for name in layout.labels if row[name]) for row in rows]
    repeated = Counter(row[header[0]] for row in rows)
    return [" / ".join(row[name] for name in header[: 1 + (repeated[row[header[0]]] > 1)]) for row in rows]


def _score_columns(paper: Paper, header: list[str], layout: TableLayout) -> dict[str, str]:
    """Name of a column -> its heading in one table, in the paper's order of columns."""
    headings = {paper.same_column.get(heading, heading): heading for heading in header}
    if paper.columns is not None:
        return {column: headings[column] for column in paper.columns if column in headings}
    no_scores = {*_MARKS, *(layout.labels or header[:1])}
    return {column: heading for column, heading in headings.items() if heading not in no_scores}


@lru_cache(maxsize=64)
def _read(folder: Path, table: str) -> tuple[PaperRow, ...]:
    paper, path = _load(folder), folder / f"{table}.csv"
    layout = paper.layout(table)
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        header, rows = list(reader.fieldnames or ()), list(reader)
    if any(None in row for row in rows):
        raise Refused(f"{path}: a row has more cells than the header has names")
    if lacking := [name for name in layout.labels if name not in header]:
        where = f"{folder / 'paper.yaml'}: tables.{table}.labels"
        raise Refused(f"{where}: no column {lacking[0]!r}{nearest(lacking[0], header)}")
    columns = _score_columns(paper, header, layout)
    labels = _labels(rows, header, layout)
    return tuple(
        _checked(_row(table, label, row, columns, layout.factor), path)
        for label, row in zip(labels, rows, strict=True)
    )


def _row(table: str, label: str, cells: dict[str, str], columns: dict[str, str], factor: float) -> PaperRow:
    no_facts = (next(iter(cells)), *columns.values(), *_MARKS)
    bold = (cells.get("bold") or "").split(";")
    return PaperRow(
        table=table,
        label=label,
        scores={column: cells[heading] or "" for column, heading in columns.items()},
        bold=frozenset(column for column, heading in columns.items() if heading in bold),
        starred=cells.get("starred") == "1",
        facts={heading: cell for heading, cell in cells.items() if heading not in no_facts},
        factor=factor,
    )


def _checked(row: PaperRow, path: Path) -> PaperRow:
    """A row whose scores are numbers or holes; anything else would fail later, far from its file."""
    for column, score in row.scores.items():
        try:
            float(score or 0)
        except ValueError:
            where = f"{path}: row {row.label!r}, column {column!r}"
            raise Refused(f"{where}: {score!r} is no number; a hole is an empty cell") from None
    return row


def paper_table(name: str, of: str = STUDY) -> tuple[PaperRow, ...]:
    """The rows of one published table in printed order; Refused for a table that is not there."""
    if name not in table_names(of):
        raise Refused(f"paper table {name!r} is not published in {of}{nearest(name, table_names(of))}")
    return _read(paper_folder(of), name)


def table_names(of: str) -> list[str]:
    """Stems of a paper's tables."""
    return sorted(path.stem for path in paper_folder(of).glob("*.csv"))


def paper_row(reference: PaperReference) -> PaperRow:
    """The published row that `reference` names; Refused listing the table's rows if there is none."""
    rows = paper_table(reference.table, reference.of or STUDY)
    for row in rows:
        if row.label == reference.row:
            return row
    labels = [row.label for row in rows]
    near = "".join(f" (did you mean {label!r}?)" for label in get_close_matches(reference.row, labels, 1))
    raise Refused(
        f"paper row {reference.row!r} is not in {reference.table}{near}, whose rows are: {'; '.join(labels)}"
    )


def paper_deviations(of: str = STUDY) -> dict[str, float]:
    """The baseline's standard deviation a column, on our scale: every table's yardstick.

    Empty for a paper that published none (T5: Table 1, over ten runs).
    """
    reference = load_paper(of).deviations
    return paper_row(replace(reference, of=of)).points if reference else {}


def column_names(of: str) -> list[str]:
    """Every column of scores that a paper's tables have."""
    columns = load_paper(of).columns
    if columns is not None:
        return list(columns)
    rows = [row for table in table_names(of) for row in paper_table(table, of)]
    return list(dict.fromkeys(column for row in rows for column in row.scores))


def mirrored(mirrors: str | Mapping[str, str] | None, of: str) -> str | None:
    """Of what a suite's column mirrors, the published column of one paper; None where it mirrors none there.

        "GLUE", "t5"                              -> "GLUE"
        "GLUE", "bert"                            -> None
        {t5: GLUE, bert: "MNLI-m (Acc)"}, "bert"  -> "MNLI-m (Acc)"

    A name alone is one of that paper's columns, or one of the study's.

    Raises Refused for a paper or a column that there is not.
    """
    if mirrors is None:
        return None
    if isinstance(mirrors, str):
        known = column_names(of)
        if mirrors not in known and mirrors not in column_names(STUDY):
            raise Refused(f"no column {mirrors!r} in {of}{nearest(mirrors, known)}")
        return mirrors if mirrors in known else None
    for paper, column in mirrors.items():
        if column not in (known := column_names(paper)):
            raise Refused(f"no column {column!r} in {paper}{nearest(column, known)}")
    return mirrors.get(of)


def table_title(name: str) -> str:
    """`table04` -> `Table 4`; `table10_corrected` -> `Table 10 (corrected)`; another stem: its words."""
    number, _, suffix = name.removeprefix("table").partition("_")
    if not number.isdecimal():
        return name.replace("_", " ")
    return f"Table {number.lstrip('0')}" + (f" ({suffix})" if suffix else "")
