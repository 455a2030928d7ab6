"""the files of an own task -> its splits: rows of their own, or every so many held out."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from t5grid.refused import Refused
from t5grid.tasks.cells import plain
from t5grid.tasks.files import SUFFIXES, Quotes, content_of, num_rows, read_table


@dataclass(frozen=True)
class OwnFiles:
    """The files of a task; without one for validation, every `held_out`-th row of `train` is held out."""

    task: str
    train: str
    validation: str | None
    test: str | None
    held_out: int | None
    quotes: Quotes = "double"
    root: ClassVar[str] = "."

    def label(self, split: str) -> str:
        """How messages call a split."""
        return f"{self._path(split)} ({self.task} {split})"

    def files(self, split: str) -> list[Path]:
        """The file of a split. Raises Refused if there is none, or of an unknown kind."""
        path = Path(self._path(split)).expanduser()
        if not path.is_file():
            raise Refused(f"task {self.task}: {path}: no such file")
        if not path.name.endswith(SUFFIXES):
            raise Refused(f"task {self.task}: {path}: its name ends in none of {', '.join(SUFFIXES)}")
        return [path]

    def has(self, split: str) -> bool:
        """Whether the file of a split is there."""
        return Path(self._path(split)).expanduser().is_file()

    def at_hand(self, split: str) -> bool:
        """Whether a split can be read without fetching it, as `tasks.hub.Source` says it."""
        return self.has(split)

    def table(self, split: str, columns: Sequence[str] = ()) -> Any:
        """The rows of a split; what cannot be a cell of `columns` is refused."""
        import pyarrow as pa

        files = self.files(split)
        table = plain(read_table(files, self.quotes, as_written=True), columns, str(files[0]), first_row=1)
        if self.held_out is None or split == "test":
            return table
        return table.take(pa.array(self.places(split), pa.int64()))

    def places(self, split: str) -> list[int]:
        """Where a split's rows stand in its file, from 0."""
        every = range(num_rows(self.files(split), self.quotes))
        if self.held_out is None or split == "test":
            return list(every)
        last = self.held_out - 1
        return [row for row in every if (row % self.held_out == last) == (split == "validation")]

    def rows(self, split: str) -> int | None:
        """Rows of a split, None where its file is absent."""
        if not self.has(split):
            return None
        total = num_rows(self.files(split), self.quotes)
        if self.held_out is None or split == "test":
            return total
        held = total // self.held_out
        return held if split == "validation" else total - held

    def content(self, split: str) -> str:
        """Identity of a split's rows: the bytes of its file."""
        return content_of(self.files(split))

    def _path(self, split: str) -> str:
        path = {"train": self.train, "validation": self.validation, "test": self.test}[split]
        return self.train if path is None else path
