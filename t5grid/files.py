"""files written whole or not at all: temporary name, fsync, rename.

What lies below a fenced folder is only replaced while its fence lets it: whoever has lost the lock of a
folder meanwhile, stopped between any two lines, leaves what his successor wrote as it is.
"""

import errno
import json
import os
import secrets
import shutil
import stat
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from t5grid.refused import Refused

Check = Callable[[], None]
"""Raises where a folder is no longer one's own."""

_fences: dict[Path, Check] = {}

FULL = "no space is left on the disk; make room, and the same command goes on: what is done is kept"


def is_full(error: BaseException) -> bool:
    """Whether an error says that nothing more can be written."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


PLACES = (
    *(errno.ENOENT, errno.EEXIST, errno.EISDIR, errno.ENOTDIR, errno.EACCES, errno.EPERM),
    *(errno.EROFS, errno.ENAMETOOLONG, errno.ELOOP),
)


def is_of_place(error: BaseException) -> bool:
    """Whether an error says that a file cannot be where it is looked for: for people to mend, not a fault."""
    return isinstance(error, OSError) and error.errno in PLACES and bool(error.filename)


def require_writable(folder: Path) -> None:
    """Make a folder. Raises Refused where nothing can be written in it, before anything is done for it."""
    try:
        if not os.path.lexists(folder):
            folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            return
    except OSError as error:
        if is_full(error):
            raise
        raise Refused(f"{folder}: {error.strerror or error}; nothing can be written there") from None


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file (text as UTF-8) so that a reader sees the old content or the new, never a part."""
    with file_whole(path) as partial, open(partial, "wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)


@contextmanager
def file_whole(path: Path) -> Iterator[Path]:
    """A file to write that takes the place of `path` at the end, or vanishes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = _partial(path)
    try:
        yield partial
        with open(partial, "rb") as file:
            os.fsync(file.fileno())
        check_fence(path)  # a successor deletes what is partial first, so nothing can come between
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _partial(path: Path) -> Path:
    """A name beside `path` that no other writer has, on whatever machine."""
    return path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.partial")


@contextmanager
def fenced(fences: Mapping[Path, Check]) -> Iterator[None]:
    """Within, nothing below these folders is written before the folder's check has let it."""
    before = dict(_fences)
    _fences.update(fences)
    try:
        yield
    finally:
        for folder in fences:
            _fences.pop(folder, None)
            _fences.update({folder: before[folder]} if folder in before else {})


def fences() -> dict[Path, Check]:
    """The fences of this process, for those it starts."""
    return dict(_fences)


def inherit(fences: Mapping[Path, Check]) -> None:
    """Take over the fences of the process that started this one."""
    _fences.update(fences)


def check_fence(path: Path) -> None:
    """To be called where something at `path` is about to change other than by a file written whole."""
    for folder in (path, *path.parents):
        if check := _fences.get(folder):
            check()


def is_regular(path: Path) -> bool:
    """Whether a path is a file to be read: whoever opens a FIFO waits for its writer. Raises OSError."""
    return stat.S_ISREG(path.stat().st_mode)


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in a JSON file, None where there is none, or nothing in it, or the file is damaged."""
    try:
        if not is_regular(path):
            return None
        content = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError, RecursionError):  # not JSON, not UTF-8, nested without end
        return None
    return content if isinstance(content, dict) and content else None


def read_yaml(path: Path) -> Any:
    """The plain values in a YAML file. Raises Refused naming the file; a repeated key is an error."""
    import yaml

    base = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    class Loader(base):  # type: ignore[valid-type, misc]
        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> Any:
            names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
            for name in names if len(set(names)) < len(names) else ():
                if names.count(name) > 1:
                    raise Refused(f"{path}: found duplicate key {name}")
            return super().construct_mapping(node, deep)

    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader)
    except OSError as error:
        raise Refused(f"{path}: {error.strerror or error}") from error
    except Refused:
        raise
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: not UTF-8, or no such day
        raise Refused(f"{path}: {' '.join(str(error).split())}") from error


def read_lines(path: Path | None) -> list[str]:
    """The lines of a UTF-8 text file, or of standard input. Raises Refused naming the file."""
    try:
        data = sys.stdin.buffer.read() if path is None else path.read_bytes()
        return lines_of(data.decode("utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise Refused(f"{path or 'standard input'}: {reason}") from None


def lines_of(text: str) -> list[str]:
    """The lines of a text: what ends in a line feed, or a carriage return before one, and nothing else.

    `str.splitlines` ends lines at form feeds, U+0085, U+2028 and others too.

    >>> lines_of("a\\x0cb\\r\\n\\nc")
    ['a\\x0cb', '', 'c']
    """
    lines = text.split("\n")
    return [line.removesuffix("\r") for line in (lines if lines[-1] else lines[:-1])]


def in_one_line(text: str) -> str:
    """A text with a blank for whatever any reader takes for the end of a line."""
    return " ".join(text.splitlines())


@contextmanager
def folder_whole(path: Path) -> Iterator[Path]:
    """A folder to fill that becomes `path` at the end, or vanishes. Raises Refused if `path` is there."""
    if path.exists():
        raise Refused(f"{path}: is there already")
    partial = _partial(path)
    try:
        partial.mkdir(parents=True)
        yield partial
        os.replace(partial, path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
