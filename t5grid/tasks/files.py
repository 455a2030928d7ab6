"""files -> Arrow table: parquet, JSON lines, TSV, CSV; bad rows named by file and row.

What a table holds is decided by the files' bytes alone: nothing is cached on disk.
"""

import csv
import gzip
import io
import json
import sys
import zlib
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal

from t5grid.files import lines_of
from t5grid.refused import Refused
from t5grid.tasks import cells

SUFFIXES = (".parquet", ".jsonl", ".json", ".jsonl.gz", ".json.gz", ".tsv", ".csv")
Quotes = Literal["double", "none"]
"""Whether a value of TSV and CSV may stand in quotation marks, a mark in it doubled, or they are ordinary."""
ORDINARY = "where quotation marks are ordinary characters, a task of your own says quotes: none"


def read_table(paths: Sequence[Path], quotes: Quotes = "double", as_written: bool = False) -> Any:
    """The rows of all files, one after another, as a `pyarrow.Table`.

    Columns of JSON lines with whole numbers and fractions hold fractions; `as_written` they hold text, so
    that 0 beside 5.5 stays "0".

    Raises:
        Refused: one line that names the file, and the row (from 1) of a text file.
    """
    import pyarrow as pa

    tables = [_read(path, quotes, as_written) for path in paths]
    try:
        return pa.concat_tables(tables, promote_options="default")
    except pa.ArrowException as error:
        raise Refused(f"{paths[0].parent}: files of different columns ({_one_line(error)})") from None


def num_rows(paths: Sequence[Path], quotes: Quotes = "double") -> int:
    """How many rows the files hold; of parquet only the footer is read."""
    return sum(_num_rows(path, quotes) for path in paths)


def content_of(paths: Sequence[Path]) -> str:
    """Hash of the bytes of all files, in order. Neither names, places nor times enter."""
    total = blake2b(digest_size=8)
    for path in paths:
        stat = path.stat()
        total.update(_bytes_hash(path, stat.st_size, stat.st_mtime_ns).encode())
    return total.hexdigest()


@lru_cache(maxsize=4096)
def _bytes_hash(path: Path, size: int, changed: int) -> str:
    """Hash of one file's bytes; a command reads a file that has not changed once."""
    with open(path, "rb") as file:
        total = blake2b(digest_size=16)
        while block := file.read(1 << 20):
            total.update(block)
    return total.hexdigest()


def _read(path: Path, quotes: Quotes, as_written: bool) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        if path.name.endswith(".parquet"):
            table = pq.read_table(path)
            table.validate(full=True)  # text that is not UTF-8 would only be found when a row is taken
            return cells.in_old_layouts(table)
        return _table(path, _text_rows(path, quotes), as_written)
    except (pa.ArrowException, OSError) as error:
        raise Refused(f"{path}: unreadable ({_one_line(error)})") from None


def _table(path: Path, rows: list[dict[str, Any]], as_written: bool) -> Any:
    """The rows as a table of every column that any of them has; a value of another type is refused."""
    import pyarrow as pa

    names = list(dict.fromkeys(name for row in rows for name in row))
    values = {name: [row.get(name) for row in rows] for name in names}
    if as_written:
        values |= {name: list(map(cells.written, values[name])) for name in names if _mixed(values[name])}
    arrays = []
    for name in names:
        if why := _misfit(values[name]):
            row = (
                bisect_left(range(1, len(rows)), True, key=lambda end: bool(_misfit(values[name][:end]))) + 1
            )
            raise Refused(f"{path}, row {row}: column {name!r}: {why}")
        arrays.append(pa.array(values[name]))
    return pa.Table.from_arrays(arrays, names=names)


def _misfit(values: list[Any]) -> str:
    """Why the values make no column; empty if they do."""
    import pyarrow as pa

    try:
        pa.array(values)
    except (pa.ArrowException, OverflowError, UnicodeEncodeError) as error:
        return _one_line(error)
    return ""


def _mixed(values: list[Any]) -> bool:
    """Whether there are both whole numbers and fractions."""
    return {int, float} <= set(map(type, values))


def read_anew(path: Path, columns: Sequence[str]) -> bool:
    """Whether cells of these columns were read otherwise at first: tasks of such files have other records.

    Those were bytes, single-precision numbers, and whole numbers beside fractions in JSON lines.
    """
    stat = path.stat()
    return not set(_read_anew(path, stat.st_size, stat.st_mtime_ns)).isdisjoint(columns)


@lru_cache(maxsize=64)
def _read_anew(path: Path, size: int, changed: int) -> tuple[str, ...]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        if path.name.endswith(".parquet"):
            return tuple(field.name for field in pq.read_schema(path) if cells.changes(field.type))
        if path.name.endswith((".tsv", ".csv")):
            return ()
        rows = _text_rows(path, "double")
        names = dict.fromkeys(name for row in rows for name in row)
        return tuple(name for name in names if _mixed([row.get(name) for row in rows]))
    except (pa.ArrowException, OSError, Refused):  # whoever asks for the records is told
        return ()


def _num_rows(path: Path, quotes: Quotes) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.name.endswith(".parquet"):
        return len(_text_rows(path, quotes))
    try:
        return pq.read_metadata(path).num_rows
    except (pa.ArrowException, OSError) as error:
        raise Refused(f"{path}: unreadable ({_one_line(error)})") from None


def _text_rows(path: Path, quotes: Quotes) -> list[dict[str, Any]]:
    if path.name.endswith((".tsv", ".csv")):
        return _separated(path, "\t" if path.name.endswith(".tsv") else ",", quotes)
    lines = enumerate(lines_of(_text(path)), start=1)
    return [_json_row(path, number, line) for number, line in lines if line.strip()]


def _text(path: Path) -> str:
    """A file's text, unzipped where it is zipped, without a byte-order mark."""
    opener = gzip.open if path.name.endswith(".gz") else open
    try:
        with opener(path, "rb") as file:
            data = file.read()
        return data.decode("utf-8-sig")
    except (OSError, EOFError, zlib.error) as error:
        raise Refused(f"{path}: unreadable ({_one_line(error)})") from None
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise Refused(f"{path}, line {line}: not UTF-8 (byte 0x{data[error.start]:02x})") from None


def _json_row(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        why = f"not JSON, expected one object a line ({_one_line(error)})"
        raise Refused(f"{path}, row {number}: {why}") from None
    if not isinstance(row, dict):
        raise Refused(f"{path}, row {number}: a JSON {type(row).__name__}, expected one object a line")
    return row


def _separated(path: Path, separator: str, quotes: Quotes) -> list[dict[str, Any]]:
    """Rows of a file whose first line names the columns; every value is text, as it stands.

    Empty lines at the end are no rows.
    """
    columns, *values = list(_values(path, separator, quotes)) or [[]]
    for name in filter(None, columns):
        if columns.count(name) > 1:
            raise Refused(f"{path}: its first line names column {name!r} {columns.count(name)} times")
    while values and not values[-1]:
        values.pop()
    for number, row in enumerate(values, start=1):
        if len(row) != len(columns):
            why = f"{len(row)} values, its first line names {len(columns)} columns"
            raise Refused(f"{path}, row {number}: {why}")
    return [dict(zip(columns, row, strict=True)) for row in values]


def _values(path: Path, separator: str, quotes: Quotes) -> Iterator[list[str]]:
    """The values of each line, the first included; in quotation marks a value may hold line breaks."""
    text, number = _text(path), 0
    if quotes == "none":
        yield from (line.split(separator) if line else [] for line in lines_of(text))
        return
    try:
        with _cells_of_any_length():
            for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True):
                if separator == "\t" and any("\n" in value for value in row):
                    raise csv.Error("a line break in a value; is a quotation mark left open?")
                yield row
                number += 1
    except csv.Error as error:
        hint = f" ({ORDINARY})" if '"' in text else ""
        raise Refused(f"{path}, row {max(number, 1)}: {_one_line(error)}{hint}") from None


@contextmanager
def _cells_of_any_length() -> Iterator[None]:
    """Within, `csv` reads values of more than 131,072 characters."""
    before = csv.field_size_limit(sys.maxsize)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
