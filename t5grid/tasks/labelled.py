"""Arrow table -> records: what every task of a published data set shares.

Rows are checked column by column, then formatted when they are asked for, so that a data set of forty million
pairs costs no memory before it is used.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from json import dumps
from typing import Any, ClassVar, overload

import numpy as np

from t5grid.config.rules import Count
from t5grid.refused import Refused
from t5grid.tasks.answer import Answer, Class, Text
from t5grid.tasks.cells import decoded
from t5grid.tasks.hub import Source
from t5grid.tasks.metrics import INVALID, Scores
from t5grid.tasks.task import Record, Row

UNLABELLED = "<unk>"
PLACE = ("repository", "root", "revision")
BATCH = 1000


class Formatted(Sequence[Record]):
    """The records of a table, each made from its row when it is asked for.

    >>> import pyarrow
    >>> Formatted(pyarrow.table({"a": ["x", "y"]}), lambda row: {"inputs": row["a"]})[1]
    {'inputs': 'y'}
    """

    def __init__(self, table: Any, make: Callable[[Row], Record]) -> None:
        self.table, self.make = table, make

    def __len__(self) -> int:
        return self.table.num_rows

    @overload
    def __getitem__(self, place: int) -> Record: ...
    @overload
    def __getitem__(self, place: slice) -> "Formatted": ...
    def __getitem__(self, place: int | slice) -> "Record | Formatted":
        if isinstance(place, slice):
            start, stop, step = place.indices(len(self))
            if step == 1:
                return Formatted(self.table.slice(start, max(0, stop - start)), self.make)
            return Formatted(self.table.take(np.arange(start, stop, step)), self.make)
        at = place + len(self) if place < 0 else place
        if not 0 <= at < len(self):
            raise IndexError(f"record {place} of {len(self)}")
        return self.make(rows_of(self.table.slice(at, 1))[0])

    def __iter__(self) -> Iterator[Record]:
        for batch in self.table.to_batches(BATCH):
            yield from map(self.make, rows_of(batch))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)


def rows_of(table: Any) -> list[Row]:
    """The rows of a table (or batch) as dictionaries."""
    names = table.schema.names
    columns = [column.to_pylist() for column in table.columns]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


@dataclass(frozen=True)
class Split:
    """One split of a task's data, and what is known of it."""

    role: str
    name: str
    source: Any
    full: int | None
    """Rows of the real split."""
    spare: bool = False
    """Whether the task goes without it where a local copy lacks it."""

    @property
    def rows(self) -> int | None:
        """Rows of a local copy; None where it is absent, or on the hub."""
        return None if self.source.root is None else self.source.rows(self.name)

    @property
    def missing(self) -> bool:
        """Whether a local copy lacks it."""
        return self.source.root is not None and not self.source.has(self.name)

    def __str__(self) -> str:
        return self.source.label(self.name)


@dataclass(frozen=True)
class HubTask:
    """A task whose rows come from a data set of the Hugging Face hub, or from a copy of its folder.

    Args:
        repository: name on the hub.
        root: folder with a local copy of the repository; None reads the hub.
        revision: commit, tag or branch on the hub; None is the commit this task was written against.
        num_train: rows of the train split to use, evenly spaced over it; None uses all.
        num_validation: the same for the validation split.
    """

    repository: str = ""
    root: str | None = None
    revision: str | None = None
    num_train: Count | None = None
    num_validation: Count | None = None

    name: ClassVar[str]
    config: ClassVar[str]
    texts: ClassVar[tuple[str, ...]]
    """Columns that hold text."""
    others: ClassVar[tuple[str, ...]] = ()
    """Further columns that are needed."""
    reported: ClassVar[tuple[str, ...]]
    answer: ClassVar[Answer] = Text()
    pinned: ClassVar[str | None] = None
    """The commit of the default repository."""
    full: ClassVar[Mapping[str, int]] = {}
    """Rows of each real split, as on the hub."""
    made: ClassVar[Mapping[str, int]] = {}
    """Records made of each real split, where they are not one a row."""
    spare: ClassVar[tuple[str, ...]] = ()
    """Splits that a local copy may lack."""
    places: ClassVar[tuple[str, ...]] = PLACE
    """Fields that say where rows are read, not which they are."""
    version: ClassVar[int] = 1
    """Raised by hand when the same rows make other records."""

    @property
    def splits(self) -> Mapping[str, tuple[str, ...]]:
        """role -> the data set's splits that make it up."""
        return {role: (role,) for role in ("train", "validation", "test")}

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles there are rows for: a local copy may lack all of one that the task goes without."""
        return tuple(role for role, splits in self.splits.items() if not set(splits) <= set(self._left_out))

    @property
    def _left_out(self) -> tuple[str, ...]:
        return tuple(split.name for split in self.needed_splits if split.spare and split.missing)

    @property
    def source(self) -> Source:
        """Where the rows are read."""
        ours = self.repository == type(self).repository
        pinned = self.pinned if ours and self.root is None else None
        return Source(self.repository, self._config, self.root, self.revision or pinned)

    @property
    def _config(self) -> str:
        return self.config

    @property
    def needed_splits(self) -> list[Split]:
        """The splits that training and scoring (of a task with neither, testing) need."""
        needed = [role for role in self.splits if role != "test"] or ["test"]
        return [
            Split(role, split, self.source, self.full.get(split), split in self.spare)
            for role in needed
            for split in self.splits[role]
        ]

    def num_rows(self, role: str) -> int | None:
        """Records of a role: of a local copy counted, else those of the real splits (None: not known)."""
        if self.root is not None and self.made:
            return len(self.records(role))
        sizes = [
            self.made.get(split.name, split.full) if self.root is None else split.rows or 0
            for split in self.needed_splits
            if split.role == role
        ]
        total = None if None in sizes else sum(size or 0 for size in sizes)
        limit = {"train": self.num_train, "validation": self.num_validation}.get(role)
        return total if total is None or limit is None else min(total, limit)

    def records(self, split: str) -> Sequence[Record]:
        """Records of "train", "validation" or "test"; only those of "test" may be unlabelled.

        Raises:
            Refused: one line that names the data set, the split and the row.
        """
        if split not in self.splits:
            raise ValueError(f"task {self.name}: no {split} split, it has {', '.join(self.splits)}")
        count = {"train": self.num_train, "validation": self.num_validation}.get(split)
        return self._formatted(evenly_spaced(self.table(split), count), split)

    def table(self, role: str) -> Any:
        """The checked rows of a role: those of its splits, one after another."""
        import pyarrow as pa

        tables = []
        for split in self.splits[role]:
            if split in self._left_out:
                continue
            where = self.source.where(split)
            table = decoded(self._shaped(self.source.table(split), where), self.texts, where)
            check_table(table, self.texts, self.others, where)
            self._check(table, role, where)
            tables.append(self._marked(table, split))
        return pa.concat_tables(tables) if tables else pa.table({})

    def _shaped(self, table: Any, where: str) -> Any:
        """The table with the columns of `texts` and `others`."""
        return table

    def _marked(self, table: Any, split: str) -> Any:
        """A split's rows with what a task must remember of the split they came from."""
        return table.select([*self.texts, *self.others])

    def _check(self, table: Any, role: str, where: str) -> None:
        """Refuse values that no record can be made of."""

    def _formatted(self, table: Any, split: str) -> Sequence[Record]:
        return Formatted(table, self.record)

    def record(self, row: Row) -> Record:
        """The record of one row."""
        raise NotImplementedError

    def score(self, records: Sequence[Record], predictions: list[str]) -> Scores:
        """The task's metrics, 0 to 100, of one prediction a record."""
        raise NotImplementedError

    def fingerprint(self) -> str:
        """Hash of the data's content and the settings that decide the records."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        decisive = [field for field in dataclasses.fields(self) if field.name not in self.places]
        fields = {field.name: field.default for field in decisive}
        changed = {name: getattr(self, name) for name in fields if getattr(self, name) != fields[name]}
        content = [
            [split.role, None if split.name in self._left_out else self.source.content(split.name)]
            for split in self.needed_splits
        ]
        return digest([self.version, changed, content])


@dataclass(frozen=True)
class Classification(HubTask):
    """A task whose targets are class names: `<name> <column>: <text> <column>: <text>` -> `<class>`.

    A prediction counts only if it equals a class name to the letter; any other is the invalid class -1. A row
    labelled -1 has the targets `<unk>`.
    """

    labels: ClassVar[tuple[str, ...]]
    others: ClassVar[tuple[str, ...]] = ("label",)
    second: ClassVar[str | None] = None
    """The column that begins the second text; None is the second column, where there is one."""

    @property
    def answer(self) -> Answer:  # type: ignore[override]
        """One of the class names."""
        column = self.second or next(iter(self.texts[1:]), "")
        first = f"{self.name} {self.texts[0]}:"
        return Class(self.labels, second=f"{column}:" if column else "", first=first)

    def record(self, row: Row) -> Record:
        """The record of one row."""
        return {"inputs": self.inputs(row), "targets": self.targets(row["label"]), "label": row["label"]}

    def inputs(self, row: Row) -> str:
        """The task's name and its columns, with the text as it stands."""
        return " ".join([self.name, *(f"{column}: {row[column]}" for column in self.texts)])

    def targets(self, label: int) -> str:
        """The name of a class."""
        return UNLABELLED if label == INVALID else self.labels[int(label)]

    def label(self, prediction: str) -> int:
        """Index of the class a prediction names, -1 for any other text."""
        return self.labels.index(prediction) if prediction in self.labels else INVALID

    def score(self, records: Sequence[Record], predictions: list[str]) -> Scores:
        """The task's metrics, 0 to 100, of one prediction a record."""
        targets = [record["label"] for record in records]
        return self.metrics(targets, [self.label(text) for text in predictions])

    def metrics(self, targets: Sequence[int], predictions: Sequence[int]) -> Scores:
        """The task's metrics of class indices."""
        from t5grid.tasks.metrics import accuracy

        return accuracy(targets, predictions)

    def _check(self, table: Any, role: str, where: str) -> None:
        allowed = range(INVALID if role == "test" else 0, len(self.labels))
        for number, label in enumerate(table["label"].to_pylist()):
            if type(label) is not int or label not in allowed:
                classes = ", ".join(f"{index} {name}" for index, name in enumerate(self.labels))
                raise Refused(f"{where}, row {number}: label {label!r}, expected one of {classes}")


def check_table(table: Any, texts: Sequence[str], others: Sequence[str], where: str) -> None:
    """A table has rows, the columns named, and text in every row of those of `texts`.

    Raises:
        Refused: one line naming the data set and split (`where`), the row (from 0) and the column.
    """
    import pyarrow.compute as compute
    import pyarrow.types as types

    if not table.num_rows:
        raise Refused(f"{where}: no rows")
    for column in (*texts, *others):
        if column not in table.schema.names:
            raise Refused(f"{where}: no column {column!r}, it has {', '.join(table.schema.names)}")
    for column in texts:
        values = table[column]
        if not (types.is_string(values.type) or types.is_large_string(values.type)):
            raise Refused(f"{where}: column {column!r} is {values.type}, expected text")
        if values.null_count:
            row = compute.index(compute.is_null(values), True).as_py()
            raise Refused(f"{where}, row {row}: column {column!r} is null, expected text")


def evenly_spaced(table: Any, count: int | None) -> Any:
    """`count` rows evenly spaced over the table, in order; all of them where count is None or larger."""
    total = table.num_rows
    if count is None or count >= total:
        return table
    if count < 1:
        raise Refused(f"num_train or num_validation is {count}, expected at least 1 (or null for all)")
    return table.take([place * total // count for place in range(count)])


def digest(value: Any) -> str:
    """Sixteen hexadecimal digits that name a plain value."""
    return blake2b(dumps(value, sort_keys=True, default=list).encode(), digest_size=8).hexdigest()
