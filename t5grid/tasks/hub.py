"""data-set name -> Arrow table: a split, from the hub or a copy of its folder.

With `root`, the folder root/<repository> is read, laid out as on the hub: a README.md whose front matter says
which files a configuration's splits are. The files are read as they stand, because the library's cache of a
local folder notices neither a changed file nor another folder of the same name. Without `root`, the hub is
read through `datasets`, at a fixed commit.
"""

import os
import re
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from json import dumps
from pathlib import Path
from typing import Any

from t5grid.refused import Refused
from t5grid.tasks.files import SUFFIXES, content_of, num_rows, read_table

REACH_SECONDS = 5.0
WAYS = (
    "run with network access to the Hugging Face hub (later, HF_HUB_OFFLINE=1 uses what that left in the"
    " cache), or set suite.root=DIR to a folder with a copy of the repository"
)
READ: set[tuple["Source", str]] = set()
"""Splits that this process has had from the hub: they are on this machine now."""
OFFLINE_SWITCHES = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE")


@dataclass(frozen=True)
class Source:
    """One configuration of a data set, and where it is read.

    Args:
        repository: the hub's name, such as `nyu-mll/glue`.
        config: the configuration, such as `cola`.
        root: folder that holds copies of hub repositories; None reads the hub.
        revision: commit, tag or branch on the hub; None is the newest. A local copy has no revisions.
    """

    repository: str
    config: str
    root: str | None = None
    revision: str | None = None

    def where(self, split: str) -> str:
        """How messages call a split."""
        return f"data set {self.repository} ({self.config}, {split})"

    def label(self, split: str) -> str:
        """How lists call a split."""
        return f"{self.repository} {self.config} {split}"

    def table(self, split: str) -> Any:
        """All rows of one split, in the data set's order, as a `pyarrow.Table`.

        From the hub it is memory-mapped, from a folder it is read into memory.

        Raises:
            Refused: one line, for a missing folder, configuration, split or network, or a bad file.
        """
        if self.root is None:
            rows = _from_hub(self.repository, self.config, split, self.revision, self.where(split))
            READ.add((self, split))
            return rows
        try:
            return read_table(self.files(split))
        except Refused as error:
            raise Refused(_named(error, self.where(split))) from None

    def hub_paths(self, split: str) -> list[str]:
        """The files of the repository that a split is, as the library finds them. Raises Refused."""
        from datasets import load_dataset_builder
        from huggingface_hub import HfFileSystem

        with asking(self.where(split)):
            files = load_dataset_builder(
                self.repository, self.config, revision=self.revision
            ).config.data_files
            if split not in (files or {}):
                raise Refused(
                    f"{self.where(split)}: no such split, it has {', '.join(files or {}) or 'none'}"
                )
            hub: Any = HfFileSystem()  # of what it resolves, a data set's paths alone are in a repository
            return [hub.resolve_path(str(address)).path_in_repo for address in files[split]]

    def hub_patterns(self, split: str) -> list[str]:
        """Where repositories of the hub have a split: what is known of its files while nobody can ask."""
        return [f"{self.config}/*{split}*"]

    def files(self, split: str) -> list[Path]:
        """The files of a split of a local copy. Raises Refused where there is none."""
        folder = self._folder(self.where(split))
        configs = _configurations(folder)
        if configs is None:
            patterns = {split: [f"{self.config}/{split}-*", f"{self.config}/{split}.*"]}
        elif self.config not in configs:
            names = ", ".join(configs) or "none"
            raise Refused(
                f"{self.where(split)}: no configuration {self.config!r} in {folder}, it has {names}"
            )
        else:
            patterns = configs[self.config]
        matches = [path for pattern in patterns.get(split, []) for path in _matches(folder, pattern)]
        files = [path for path in dict.fromkeys(matches) if path.name.endswith(SUFFIXES)]
        if not files:
            there = ", ".join(name for name in patterns if name != split) or "no other"
            raise Refused(f"{self.where(split)}: no such split in {folder}, it has {there}")
        return files

    def at_hand(self, split: str) -> bool:
        """Whether a split can be read without fetching it: from a copy, or because this process had it."""
        return self.has(split) if self.root is not None else (self, split) in READ

    def has(self, split: str) -> bool:
        """Whether a local copy has a split."""
        try:
            return bool(self.files(split))
        except Refused:
            return False

    def rows(self, split: str) -> int | None:
        """Rows of a split of a local copy, None where it is absent. Raises Refused if it is unreadable."""
        return num_rows(self.files(split)) if self.has(split) else None

    def content(self, split: str) -> str:
        """Identity of a split's rows: the bytes of a copy's files, the commit of the hub, or the rows."""
        if self.root is not None:
            return content_of(self.files(split))
        if self.revision and re.fullmatch("[0-9a-f]{40}", self.revision):
            return f"{self.repository}@{self.revision}/{self.config}/{split}"
        total = blake2b(digest_size=8)
        for batch in self.table(split).to_batches(1000):
            total.update(dumps(batch.to_pylist(), sort_keys=True, default=str).encode())
        return total.hexdigest()

    def _folder(self, where: str) -> Path:
        base = Path(str(self.root)).expanduser().resolve()
        if not base.is_dir():
            raise Refused(f"{where}: suite.root={self.root} is not a folder")
        if self.revision is not None:
            raise Refused(f"{where}: suite.revision={self.revision} means nothing with suite.root, a folder")
        folder = base / self.repository
        if not folder.is_dir():
            copies = sorted(path.relative_to(base).as_posix() for path in base.glob("*/*") if path.is_dir())
            holds = ", ".join(copies) or "none"
            raise Refused(f"{where}: no folder {self.repository} in suite.root={self.root}, it holds {holds}")
        return folder


def _matches(folder: Path, pattern: str) -> list[Path]:
    """The files below a folder that a pattern of its README names."""
    try:
        return sorted(folder.glob(pattern))
    except (ValueError, NotImplementedError, TypeError, AttributeError):  # empty, absolute, or no text
        raise Refused(f"{folder / 'README.md'}: path {pattern!r} names no files of this folder") from None


def _configurations(folder: Path) -> dict[str, dict[str, list[str]]] | None:
    """Configuration -> split -> patterns, of a README's front matter; None where it says nothing of them."""
    readme = folder / "README.md"
    stat = readme.stat() if readme.is_file() else None
    return _front_matter(readme, stat.st_size, stat.st_mtime_ns) if stat else None


@lru_cache(maxsize=64)
def _front_matter(readme: Path, size: int, changed: int) -> dict[str, dict[str, list[str]]] | None:
    from yaml import YAMLError, safe_load

    try:
        parts = readme.read_text(encoding="utf-8-sig").split("---\n", 2)
        configs = (safe_load(parts[1]) or {}).get("configs") if len(parts) == 3 and not parts[0] else None
        return {str(c["config_name"]): _patterns(c["data_files"]) for c in configs} if configs else None
    except (YAMLError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Refused(f"{readme}: its front matter is no list of configurations ({error!r})") from None


def _patterns(data_files: Any) -> dict[str, list[str]]:
    """split -> patterns, of what the hub allows: a list of {split, path}, or a pattern for all of `train`."""
    if isinstance(data_files, str):
        return {"train": [data_files]}
    paths = {entry["split"]: entry["path"] for entry in data_files}
    return {str(split): [path] if isinstance(path, str) else list(path) for split, path in paths.items()}


def _from_hub(repository: str, config: str, split: str, revision: str | None, where: str) -> Any:
    if Path(repository).is_dir():
        raise Refused(f"{where}: the folder ./{repository} would hide the hub's; suite.root=. reads it")
    if not reachable():
        raise Refused(out_of_reach(where))
    from datasets import load_dataset
    from datasets.exceptions import DatasetGenerationError

    try:
        rows = load_dataset(repository, config, split=split, revision=revision)
        return rows.with_format("arrow")[:]
    except ConnectionError as error:
        raise Refused(out_of_reach(where)) from error
    except (ValueError, OSError, RuntimeError, DatasetGenerationError) as error:
        raise Refused(f"{where}: {one_line(error)}") from error


@contextmanager
def asking(where: str) -> Iterator[None]:
    """Whatever the hub's libraries meet while it is asked of something, as one line that names it."""
    if not reachable():
        raise Refused(f"{where}: the hub does not answer; --list says what a machine with the network runs")
    try:
        yield
    except Refused:
        raise
    except Exception as error:
        raise Refused(f"{where}: {one_line(error)}") from error


def reachable() -> bool:
    """Whether the hub answers at all; True when offline mode (use of the cache alone) was asked for."""
    return bool(offline()) or _answers(_endpoint())


def offline() -> str:
    """The switch that asks for the cache alone, as `HF_HUB_OFFLINE=1`; empty where none does."""
    set_to = {name: os.environ.get(name, "0") for name in OFFLINE_SWITCHES}
    on = (name for name, value in set_to.items() if value.upper() in {"1", "ON", "YES", "TRUE"})
    return next((f"{name}={set_to[name]}" for name in on), "")


@lru_cache(maxsize=64)
def exists(repository: str, revision: str | None) -> bool:
    """Whether the hub has a data set at a revision."""
    return _answers(
        f"{_endpoint()}/datasets/{repository}/resolve/{revision or 'main'}/README.md", must_exist=True
    )


def _endpoint() -> str:
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co")


@lru_cache(maxsize=64)
def _answers(address: str, must_exist: bool = False) -> bool:
    """Whether a server answers in time, or even has what is asked for.

    A name look-up knows no time limit, so it has a thread of its own.
    """
    answered: list[bool] = []

    def ask() -> None:
        request = urllib.request.Request(address, method="HEAD")
        try:
            urllib.request.urlopen(request, timeout=REACH_SECONDS).close()
            answered.append(True)
        except urllib.error.HTTPError:
            answered.append(not must_exist)
        except (OSError, ValueError):
            answered.append(False)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(REACH_SECONDS)
    return bool(answered and answered[0])


def out_of_reach(where: str) -> str:
    """What to say of a data set that cannot be had, and the two ways to get it."""
    return f"{where} is out of reach: {WAYS}"


def _named(error: Refused, where: str) -> str:
    return str(error) if str(error).startswith("data set ") else f"{where}: {error}"


def one_line(error: Exception) -> str:
    """What a library says of a fault, or of the fault behind it, without line breaks."""
    cause = error.__cause__ or error
    return " ".join(str(cause).split()) or type(cause).__name__
