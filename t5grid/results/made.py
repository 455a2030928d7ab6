"""a report's words and files -> whether making it again would change it.

Files are known by size and time: the package, conf and experiments, published numbers, records, bounds, kept
attention, what runs_dir has of stages, and all that configs and words name or might name. What this does not
tell is made anew: while a lock is held, with code of one's own, with paths put together of parts.
"""

import hashlib
import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from t5grid import __version__
from t5grid.config.compose import data_folder
from t5grid.config.trust import allowed
from t5grid.files import write_whole

PACKAGE = Path(__file__).parents[1]
OF_RESULTS = ("records", "floors", "attention")
NOT_READ = ("__pycache__", ".git")
MOST_FILES = 100_000  # a config may name `/`
COMMENT = re.compile(r"(?:^|\s)#.*")
PUT_TOGETHER = re.compile(r"\$\{[^}]*\}\S*/|/\S*\$\{")
BETWEEN = re.compile(r"[\s:=,\[\]{}\"']+")
File = tuple[str, int, int]
Line = tuple[str, str]  # stdout or stderr, and a text


@dataclass(frozen=True)
class Made:
    """A report as its command asks for it."""

    words: tuple[str, ...]
    output: Path | None = None
    config_dir: Path | None = None

    @property
    def results(self) -> Path:
        """Where its records are, as far as its words say."""
        return Path(_said("results_dir", self.words) or "results")

    @property
    def runs(self) -> Path:
        """Where this machine's stages are, as far as its words say."""
        return Path(_said("runs_dir", self.words) or "runs")

    @property
    def path(self) -> Path:
        """Its stamp, beside the figures that are kept."""
        key = hashlib.blake2b(repr((os.getcwd(), self)).encode(), digest_size=6).hexdigest()
        return self.results / ".drawn" / f"report-{key}.json"

    def lines(self) -> list[Line] | None:
        """What was said when it was made, if that would not change it, nor has anybody else since."""
        with suppress(OSError, ValueError, LookupError, TypeError):
            kept = json.loads(self.path.read_text(encoding="utf-8"))
            (written,) = kept["written"]
            if tuple(written) in _files(Path(written[0])) and kept["digest"] == self.digest():
                return [(stream, text) for stream, text in kept["lines"]]
        return None

    def keep(self, before: str | None, written: Path, lines: Sequence[Line]) -> None:
        """Leave the stamp of what was written, if nothing has changed since `before`."""
        if before is None or before != self.digest():
            return
        with suppress(OSError):
            kept = {"digest": before, "written": list(_files(written.absolute())), "lines": lines}
            write_whole(self.path.parent / ".gitignore", "*\n")
            write_whole(self.path, json.dumps(kept))

    def digest(self) -> str | None:
        """Of all that it is made of; None where that cannot be told."""
        total = hashlib.blake2b(repr((__version__, sys.version, self)).encode(), digest_size=16)
        for number, file in enumerate(self._sources()):
            if number == MOST_FILES or file is None:
                return None
            total.update(repr(file).encode(errors="surrogateescape"))
        return total.hexdigest()

    def _sources(self) -> Iterator[File | None]:
        """Every file; None for what is not told by files."""
        configs = {Path("conf"), Path("experiments"), data_folder("conf"), data_folder("experiments")}
        configs |= {self.config_dir} if self.config_dir else set()
        of_results = [self.results / name for name in OF_RESULTS]
        configs = {path.resolve() for path in configs}
        for folder in (PACKAGE, data_folder("published"), *sorted(configs), *of_results):
            yield from _files(folder)
        for file in _files(self.runs):
            yield None if os.path.basename(file[0]).startswith("lock.") else file
        texts = [path.read_text("utf-8", "replace") for folder in configs for path in folder.rglob("*.yaml")]
        lines = [COMMENT.sub("", line) for text in (*texts, *self.words) for line in text.splitlines()]
        if allowed() or any(map(PUT_TOGETHER.search, lines)):
            yield None
        known = [path.resolve() for path in (Path(), PACKAGE, self.results, self.runs, *configs)]
        passed_over = {*known, *(parent for path in known for parent in path.parents)}
        for value in sorted({value for line in lines for value in _values(line)}):
            path = Path(os.path.expanduser(value))
            if path.resolve() not in passed_over:
                yield from _files(path)


def is_fixed(studies: Sequence[Any]) -> bool:
    """Whether all tasks read files, or a commit of the hub, or are generated; not what is newest there."""
    rows = [row for study in studies for grid in study.grids.values() for row in grid.rows.values()]
    columns = [column for row in rows for cell, _ in row for column in cell.suite.columns.values()]
    tasks = [task for column in columns for task in column.tasks.values()]
    sources: list[Any] = [task.source for task in tasks if getattr(task, "source", None)]
    return all(getattr(source, "root", "") or getattr(source, "revision", "") for source in sources)


class _Heard:
    """A stream that is written to, and what of."""

    def __init__(self, name: str, lines: list[Line]) -> None:
        self._name, self._stream, self._lines = name, getattr(sys, name), lines

    def write(self, text: str) -> int:
        self._lines.append((self._name, text))
        return int(self._stream.write(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def heard() -> Iterator[list[Line]]:
    """Within, what is written to both streams is also kept."""
    lines: list[Line] = []
    out, error = (cast(Any, _Heard(name, lines)) for name in ("stdout", "stderr"))
    with redirect_stdout(out), redirect_stderr(error):
        yield lines


def _said(key: str, words: Sequence[str]) -> str:
    """What the last of the words sets a folder of the runtime to; empty if none does."""
    said = [word.partition("=")[2] for word in words if word.lstrip("+").startswith(f"runtime.{key}=")]
    return said[-1] if said else ""


def _values(line: str) -> set[str]:
    """What may be the name of a file: the words of a line, and all behind its key."""
    values = {re.split(r"[:=]\s*", line, maxsplit=1)[-1].strip("\"' "), *BETWEEN.split(line)}
    return {value for value in values if 0 < len(value) < 256 and "\0" not in value}


def _files(path: Path) -> Iterator[File]:
    """(path, size, time) of a file, or of all in a folder; a size below 0 says that there is none."""
    try:
        entries = sorted(os.scandir(path), key=lambda entry: entry.name)
    except OSError:
        try:
            status = os.stat(path)
        except OSError:
            yield str(path), -1, -1
        else:
            yield str(path), status.st_size, status.st_mtime_ns
        return
    for entry in entries:
        if entry.name not in NOT_READ:
            yield from _files(Path(entry.path))
