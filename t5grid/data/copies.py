"""cells -> the hub's files that they read -> a folder of copies: checked, resumable."""

import hashlib
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from shlex import quote
from typing import Any

from t5grid.data.published import HubCorpus
from t5grid.refused import Refused
from t5grid.tasks.hub import Source, asking

MEBIBYTE = 1 << 20
README = "README.md"
"""Says which files a configuration's splits are: a copy is read by it."""


@dataclass(frozen=True)
class Wanted:
    """A split of a data set of the hub; of a large one the first `num_files` files (None: all)."""

    source: Source
    split: str
    num_files: int | None = None

    @property
    def place(self) -> tuple[str, str | None]:
        """Its repository and revision."""
        return self.source.repository, self.source.revision

    def paths(self) -> list[str]:
        """Its files. Raises Refused, one line."""
        return self.source.hub_paths(self.split)[: self.num_files]


@dataclass(frozen=True)
class HubFile:
    """A file of a repository at a commit, its bytes and the hash by which the hub knows its content."""

    repository: str
    commit: str
    path: str
    size: int
    digest: str
    """SHA-256 of a large file; of others the identity that git gives them."""
    large: bool

    def __str__(self) -> str:
        return f"{self.repository} {self.path}"

    def is_in(self, folder: Path) -> bool:
        """Whether a folder of copies holds it, byte for byte."""
        path = folder / self.repository / self.path
        return path.is_file() and path.stat().st_size == self.size and self._digest(path) == self.digest

    def _digest(self, path: Path) -> str:
        total = hashlib.sha256() if self.large else hashlib.sha1(f"blob {self.size}\0".encode())
        with open(path, "rb") as file:
            while block := file.read(MEBIBYTE):
                total.update(block)
        return total.hexdigest()


def wanted(cells: Iterable[Any]) -> list[Wanted]:
    """What cells read from the hub, each once, in the order met: splits of their tasks, and corpora.

    What they read from a folder, a copy or a file of one's own, is not among it.
    """
    return list(dict.fromkeys(found for cell in cells for found in _wanted_by(cell)))


def _wanted_by(cell: Any) -> Iterator[Wanted]:
    for column in cell.suite.read().values():
        for task in column.tasks.values():
            for split in getattr(task, "needed_splits", ()):
                if split.source.root is None:
                    yield Wanted(split.source, split.name)
    for corpus in _corpora(cell):
        if corpus.root is None:
            source = Source(corpus.repository, corpus.subset, None, corpus.revision)
            yield Wanted(source, corpus.split, corpus.num_shards)


def _corpora(node: Any) -> Iterator[HubCorpus]:
    """The hub's corpora anywhere in a cell."""
    if isinstance(node, HubCorpus):
        yield node
    elif is_dataclass(node):
        for field in fields(node):
            yield from _corpora(getattr(node, field.name))
    elif isinstance(node, dict):
        for value in node.values():
            yield from _corpora(value)


def commands(splits: Iterable[Wanted], folder: str) -> list[str]:
    """What a machine with the network runs, one command a repository, where t5grid is not installed.

    Of a corpus that is cut to its first files all files are named: which are the first, only the hub knows.
    """
    patterns: dict[tuple[str, str | None], list[str]] = {}
    for split in splits:
        patterns.setdefault(split.place, [README]).extend(split.source.hub_patterns(split.split))
    return [_command(*place, dict.fromkeys(names), folder) for place, names in patterns.items()]


def _command(repository: str, revision: str | None, names: Iterable[str], folder: str) -> str:
    at = f" --revision {revision}" if revision else ""
    include = " ".join(f"--include {quote(name)}" for name in names)
    place = quote(f"{folder}/{repository}")
    return f"hf download {repository} --repo-type dataset{at} {include} --local-dir {place}"


def files_of(splits: Iterable[Wanted]) -> list[HubFile]:
    """The files that splits are, and the READMEs of their repositories.

    Raises:
        Refused: one line, where the hub does not answer, or has no such split.
    """
    paths: dict[tuple[str, str | None], list[str]] = {}
    for split in splits:
        paths.setdefault(split.place, []).extend(split.paths())
    return [file for place, names in paths.items() for file in _described(*place, names)]


def _described(repository: str, revision: str | None, names: Iterable[str]) -> list[HubFile]:
    """Files of a repository, each once, and its README where it has one."""
    from huggingface_hub import HfApi

    with asking(f"data set {repository}"):
        about = HfApi().dataset_info(repository, revision=revision, files_metadata=True)
    known = {file.rfilename: file for file in about.siblings or ()}
    if lacking := [name for name in names if name not in known]:
        raise Refused(f"data set {repository}: no file {lacking[0]} at {about.sha}")
    readme = [README] if README in known else []
    return [_file(repository, str(about.sha), known[name]) for name in dict.fromkeys([*readme, *names])]


def _file(repository: str, commit: str, about: Any) -> HubFile:
    digest = about.lfs.sha256 if about.lfs else about.blob_id
    return HubFile(repository, commit, about.rfilename, about.size, digest, bool(about.lfs))


def fetch(files: list[HubFile], folder: Path) -> int:
    """Bring files into a folder of copies; those that are there whole stay. How many were fetched.

    A file that was begun is gone on with. Raises Refused, naming the file, where its bytes are not the hub's.
    """
    num_fetched = 0
    for number, file in enumerate(files, 1):
        is_there = file.is_in(folder)
        what = "there" if is_there else f"{file.size / MEBIBYTE:.1f} MiB"
        print(f"{number} of {len(files)}: {file}, {what}", file=sys.stderr, flush=True)
        if not is_there:
            _download(file, folder)
            num_fetched += 1
    return num_fetched


def _download(file: HubFile, folder: Path) -> None:
    from huggingface_hub import hf_hub_download

    place = folder / file.repository
    (place / file.path).unlink(missing_ok=True)  # what is there is not what the hub has
    with asking(str(file)):
        hf_hub_download(
            file.repository, file.path, repo_type="dataset", revision=file.commit, local_dir=place
        )
    if not file.is_in(folder):
        raise Refused(f"{place / file.path}: its bytes are not those of {file.repository} at {file.commit}")
