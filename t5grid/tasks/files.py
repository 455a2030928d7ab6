"""files -> Arrow table: parquet, JSON lines, TSV, CSV; bad rows named by file and row.

What a table holds is decided by the files' bytes alone: nothing is cached on disk.
"""

import csv
import gzip
import io
import json
import zlib
from bisect import bisect_left
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

from t5grid.refused import Refused

SUFFIXES = (".parquet", ".jsonl", ".json", ".jsonl.gz", ".json.gz", ".tsv", ".csv")


def read_table(paths: Sequence[Path]) -> Any:
    """The rows of all files, one after another, as a `pyarrow.Table`.

    Raises:
        Refused: one line that names the file, and the row (from 1) of a text file.
    """
    import pyarrow as pa

    tables = [_read(path) for path in paths]
    try:
        return pa.concat_tables(tables, promote_options="default")
    except pa.ArrowException as error:
        raise Refused(f"{paths[0].parent}: files of different columns ({_one_line(error)})") from None


def num_rows(paths: Sequence[Path]) -> int:
    """How many rows the files hold; of parquet only the footer is read."""
    return sum(_num_rows(path) for path in paths)


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


def _read(path: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        if path.name.endswith(".parquet"):
            table = pq.read_table(path)
            table.validate(full=True)  # text that is not UTF-8 would only be found when a row is taken
            return table
        return _table(path, _text_rows(path))
    except (pa.ArrowException, OSError) as error:
        raise Refused(f"{path}: unreadable ({_one_line(error)})") from None


def _table(path: Path, rows: list[dict[str, Any]]) -> Any:
    """The rows as a table of every column that any of them has; a value of another type is refused."""
    import pyarrow as pa

    names = list(dict.fromkeys(name for row in rows for name in row))
    values = {name: [row.get(name) for row in rows] for name in names}
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


def _num_rows(path: Path) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.name.endswith(".parquet"):
        return len(_text_rows(path))
    try:
        return pq.read_metadata(path).num_rows
    except (pa.ArrowException, OSError) as error:
        raise Refused(f"{path}: unreadable ({_one_line(error)})") from None


def _text_rows(path: Path) -> list[dict[str, Any]]:
    if path.name.endswith((".tsv", ".csv")):
        return _separated(path, "\t" if path.name.endswith(".tsv") else ",")
    lines = enumerate(io.StringIO(_text(path), newline=None), start=1)
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


def _separated(path: Path, separator: str) -> list[dict[str, Any]]:
    """Rows of a file whose first line names the columns; every value is text, as it stands."""
    reader = csv.reader(io.StringIO(_text(path), newline=""), delimiter=separator, strict=True)
    rows: list[dict[str, Any]] = []
    try:
        columns = next(reader, [])
        for name in filter(None, columns):
            if columns.count(name) > 1:
                raise Refused(f"{path}: its first line names column {name!r} {columns.count(name)} times")
        for row in reader:
            where = f"{path}, row {len(rows) + 1}"
            if separator == "\t" and any("\n" in value for value in row):
                raise Refused(f"{where}: a line break in a value; is a quotation mark left open?")
            if len(row) != len(columns):
                raise Refused(f"{where}: {len(row)} values, its first line names {len(columns)} columns")
            rows.append(dict(zip(columns, row, strict=True)))
    except csv.Error as error:
        raise Refused(f"{path}, row {len(rows) + 1}: {_one_line(error)}") from None
    return rows


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
