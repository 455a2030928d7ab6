"""local files -> documents: plain text, JSON lines and parquet, one at a time.

A shard is one file, so shards can be read in parallel. Blank documents are dropped. A row that cannot be
read (bad UTF-8, broken JSON, no text) is refused by default, with its file and row; `on_bad_row=skip` leaves
it out and logs which rows those were. What is wrong with a whole file (empty, truncated, without the column)
is always refused.
"""

import gzip
import json
import logging
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from glob import glob, has_magic
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast

from t5grid.refused import Refused

LOG = logging.getLogger(__name__)
NUM_ROWS_LOGGED = 20
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class BadRow:
    """A row that cannot be used, and why."""

    why: str


Rows = Iterator[tuple[int, str | BadRow]]
"""Row (or line) number from 1, and the document that starts there."""


@dataclass(frozen=True)
class TextCorpus:
    """The documents of a file, a folder (with its sub-folders) or a glob.

    Args:
        path: file, folder or glob. Of a folder and a glob, files whose name ends as in `READERS` are read;
            hidden files and folders (a leading dot) are not.
        text_key: key (JSON) or column (parquet) that holds the document.
        txt_documents: a document of a .txt file is the whole "file", a "paragraph" (blank lines between; the
            default) or a "line".
        on_bad_row: "refuse" or "skip".

    Raises:
        Refused: one line that names the file and row, from the constructor, `shards` or `documents`.
    """

    path: str
    text_key: str = "text"
    txt_documents: Literal["file", "paragraph", "line"] = "paragraph"
    on_bad_row: Literal["refuse", "skip"] = "refuse"

    def shards(self) -> list[str]:
        """Names of the files, relative to the corpus' folder, sorted; reads as far as the first document."""
        names = sorted(path.relative_to(self._folder).as_posix() for path in self._files())
        if all(next(self.documents(name), None) is None for name in names):
            raise Refused(f"corpus.path={self.path}: no document in its {len(names)} files")
        return names

    def documents(self, shard: str) -> Iterator[str]:
        """The documents of one shard, in order; memory holds one document (or one parquet batch)."""
        skipped: list[int] = []
        path, problem = self._folder / shard, ""
        for number, row in _reader(shard)(self, path):
            if isinstance(row, str) and not _is_unicode(row):
                row = BadRow("text holds half of a surrogate pair, which is no valid Unicode")
            if isinstance(row, BadRow):
                problem = f"corpus file {path}, row {number}: {row.why}"
                if self.on_bad_row == "refuse":
                    raise Refused(f"{problem} (corpus.on_bad_row=skip leaves such rows out)")
                skipped.append(number)
            elif row.strip():
                yield row
        if skipped:
            LOG.warning("%s; skipped %d such rows of this file: %s", problem, len(skipped), _some(skipped))

    def fingerprint(self) -> str:
        """Hash of the files' names and bytes and of the two fields that cut documents out of them.

        Neither the folder's place nor modification times enter. Every byte is read, once an instance.
        """
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        total = blake2b(json.dumps([self.text_key, self.txt_documents]).encode(), digest_size=8)
        for name in self.shards():
            total.update(json.dumps([name, _content_hash(self._folder / name)]).encode())
        return total.hexdigest()

    @cached_property
    def _folder(self) -> Path:
        """The folder that shard names are relative to."""
        path = Path(self.path).expanduser()
        while has_magic(str(path)) and not path.exists():
            path = path.parent
        return path.parent if path.is_file() else path

    def _files(self) -> list[Path]:
        path = Path(self.path).expanduser()
        if path.is_file():
            paths = [path]
        elif path.is_dir():
            paths = [file for file in path.rglob("*") if not _hidden(file.relative_to(path))]
        elif has_magic(self.path):
            paths = [Path(name) for name in glob(str(path), recursive=True)]
        else:
            raise Refused(f"corpus.path={self.path}: no such file or folder")
        files = [file for file in paths if file.name.endswith(tuple(READERS)) and file.is_file()]
        if not files:
            raise Refused(f"corpus.path={self.path}: no file ending in {', '.join(READERS)}")
        for file in files:
            if not file.stat().st_size:
                raise Refused(f"corpus file {file}: empty file")
        return files


def every_document(corpus: Any) -> Iterator[str]:
    """The documents of all shards of any corpus, one after the other; of None there are none."""
    for shard in corpus.shards() if corpus is not None else ():
        yield from corpus.documents(shard)


def read_txt(corpus: TextCorpus, path: Path) -> Rows:
    """Documents of a text file; the row is the line a document starts at."""
    lines: list[bytes] = []
    start = 1
    for number, line in _lines(path):
        lines.append(line)
        if corpus.txt_documents == "line" or (corpus.txt_documents == "paragraph" and not line.strip()):
            yield start, _decode(lines, start)
            lines, start = [], number + 1
    yield start, _decode(lines, start)


def read_json_lines(corpus: TextCorpus, path: Path) -> Rows:
    """Documents of a file with one JSON object a line; blank lines are no rows."""
    for number, line in _lines(path):
        if line.strip():
            yield number, _json_text(line, corpus.text_key, number)


def read_parquet(corpus: TextCorpus, path: Path) -> Rows:
    """Documents of a parquet file's text column."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            _check_column(file.schema_arrow, file.metadata.num_rows, corpus.text_key, path)
            number = 0
            for batch in file.iter_batches(batch_size=256, columns=[corpus.text_key]):
                for scalar in batch.column(0):
                    number += 1
                    yield number, _parquet_text(scalar, corpus.text_key)
    except (pa.ArrowException, OSError) as error:
        raise Refused(f"corpus file {path}: not a readable parquet file ({_one_line(error)})") from error


READERS: dict[str, Callable[[TextCorpus, Path], Rows]] = {
    ".txt": read_txt,
    ".txt.gz": read_txt,
    ".jsonl": read_json_lines,
    ".jsonl.gz": read_json_lines,
    ".json": read_json_lines,
    ".json.gz": read_json_lines,
    ".parquet": read_parquet,
}
"""File name endings and what reads them."""


def _reader(name: str) -> Callable[[TextCorpus, Path], Rows]:
    return next(reader for suffix, reader in READERS.items() if name.endswith(suffix))


def _hidden(file: Path) -> bool:
    return any(part.startswith(".") for part in file.parts)


def _some(rows: list[int]) -> str:
    return ", ".join(map(str, rows[:NUM_ROWS_LOGGED])) + (", ..." if len(rows) > NUM_ROWS_LOGGED else "")


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Numbered lines of a file, unzipped where it is zipped, without a byte-order mark."""
    number = 0
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rb") as file:
            for number, line in enumerate(cast(BinaryIO, file), start=1):
                yield number, line.removeprefix(BYTE_ORDER_MARK) if number == 1 else line
    except (EOFError, zlib.error, OSError) as error:
        why = f"unreadable after line {number} ({_one_line(error)})"
        raise Refused(f"corpus file {path}: {why}") from error
    if number == 0:
        raise Refused(f"corpus file {path}: empty file")


def _decode(lines: list[bytes], start: int) -> str | BadRow:
    try:
        return b"".join(lines).decode("utf-8").replace("\r\n", "\n").strip("\n")
    except UnicodeDecodeError:
        return BadRow(_bad_utf8(lines, start))


def _bad_utf8(lines: list[bytes], start: int) -> str:
    for number, line in enumerate(lines, start=start):
        try:
            line.decode("utf-8")
        except UnicodeDecodeError as error:
            return f"not UTF-8, byte 0x{line[error.start]:02x} at line {number}, byte {error.start + 1}"
    raise AssertionError("only called with lines that do not decode")


def _json_text(line: bytes, key: str, number: int) -> str | BadRow:
    try:
        row = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError:
        return BadRow(_bad_utf8([line], number))
    except (ValueError, RecursionError) as error:
        return BadRow(f"not JSON, expected one object a line ({_one_line(error)})")
    if not isinstance(row, dict):
        return BadRow(f"a JSON {type(row).__name__}, expected one object a line")
    if key not in row:
        return BadRow(f"no key {key!r} (corpus.text_key), it has {', '.join(row) or 'none'}")
    return row[key] if isinstance(row[key], str) else BadRow(f"{key!r} is {_kind(row[key])}, expected text")


def _check_column(schema: Any, num_rows: int, key: str, path: Path) -> None:
    import pyarrow.types as types

    if key not in schema.names:
        columns = ", ".join(schema.names)
        raise Refused(f"corpus file {path}: no column {key!r} (corpus.text_key), it has {columns}")
    kind = schema.field(key).type
    plain = kind.value_type if types.is_dictionary(kind) else kind
    is_text = types.is_string(plain) or types.is_large_string(plain) or types.is_string_view(plain)
    is_bytes = types.is_binary(plain) or types.is_large_binary(plain) or types.is_binary_view(plain)
    if not (is_text or is_bytes or types.is_fixed_size_binary(plain)):
        raise Refused(f"corpus file {path}: column {key!r} is {kind}, expected string")
    if num_rows == 0:
        raise Refused(f"corpus file {path}: empty file, no rows")


def _parquet_text(scalar: Any, key: str) -> str | BadRow:
    try:
        text = scalar.as_py()
        text = text.decode() if isinstance(text, bytes) else text
    except UnicodeDecodeError as error:
        return BadRow(f"{key!r} is not UTF-8 at byte {error.start + 1}")
    return BadRow(f"{key!r} is null, expected text") if text is None else text


def _is_unicode(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _content_hash(path: Path) -> str:
    content = blake2b(digest_size=16)
    try:
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                content.update(block)
    except OSError as error:
        raise Refused(f"corpus file {path}: unreadable ({_one_line(error)})") from error
    return content.hexdigest()


def _kind(value: object) -> str:
    return "null" if value is None else type(value).__name__


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
