"""hub name -> documents: published corpora, streamed shard by shard or from a copy.

A shard is one file of the repository, so shards are read in parallel, one document at a time, and nothing but
token ids is kept on disk.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from t5grid.config.rules import Count
from t5grid.data.corpora import every_document
from t5grid.data.vocabulary import Corpus
from t5grid.refused import Refused

WHOLE, BLOCK, NUM_BLOCKS = 64 << 20, 1 << 20, 64  # bytes: files up to 64 MiB are hashed whole


@dataclass(frozen=True)
class HubCorpus:
    """The documents of a split of a Hugging Face data set.

    Args:
        repository: the hub's name, such as `allenai/c4`.
        subset: its configuration, such as `en`.
        revision: commit on the hub, which identifies the text; a local copy is identified by its content.
        root: folder that holds copies of repositories (root/allenai/c4); null streams from the hub.
        text_key: column that holds the document.
        num_shards: read only the first so many files; null is all.

    Raises:
        Refused: one line that names the data set, from `shards`, `documents` and `fingerprint`.
    """

    repository: str
    subset: str
    revision: str | None = None
    root: str | None = None
    split: str = "train"
    text_key: str = "text"
    num_shards: Count | None = None

    def __str__(self) -> str:
        return f"corpus {self.repository} ({self.subset}, {self.split})"

    def shards(self) -> list[int]:
        """Numbers of the files read."""
        return list(range(stream(self).num_shards))[: self.num_shards]

    def documents(self, shard: int) -> Iterator[str]:
        """The documents of one file, in order, blank ones left out; memory holds a batch of rows."""
        rows, number = stream(self), 0
        try:
            for row in rows.shard(rows.num_shards, shard):
                number += 1
                if not isinstance(text := row.get(self.text_key), str):
                    raise Refused(_no_text(self.text_key, row))
                if text.strip():
                    yield text
        except Exception as error:  # whatever the library meets in the file or on the way to it
            why = " ".join(str(error.__cause__ or error).split()) or type(error).__name__
            raise Refused(f"{self}, file {shard}, row {max(number, 1)}: {why}") from error

    def fingerprint(self) -> str:
        """Hash of what chooses the text: of a local copy its content, of the hub's the revision."""
        identified: Any = self.revision
        if self.root is not None:
            identified = [[Path(name).name, _content(name)] for name in _local_files(self)[: self.num_shards]]
        parts = [self.repository, self.subset, self.split, self.text_key, self.num_shards, identified]
        return hashlib.blake2b(json.dumps(parts).encode(), digest_size=8).hexdigest()


def stream(corpus: HubCorpus) -> Any:
    """The library's stream over a corpus, kept for the next shard of the same process."""
    return _stream(corpus, _place(corpus))


@lru_cache(maxsize=8)
def _stream(corpus: HubCorpus, place: str) -> Any:
    from datasets import load_dataset

    revision = corpus.revision if corpus.root is None else None
    with _one_line(corpus):
        return load_dataset(place, corpus.subset, split=corpus.split, revision=revision, streaming=True)


@lru_cache(maxsize=8)
def _local_files(corpus: HubCorpus) -> tuple[str, ...]:
    """The files of a local copy's split, as its README's front matter lists them."""
    from datasets import load_dataset_builder

    place = _place(corpus)
    with _one_line(corpus):
        files = load_dataset_builder(place, corpus.subset).config.data_files or {}
        if corpus.split not in files:
            raise Refused(f"no split {corpus.split!r}, it has {', '.join(map(str, files)) or 'none'}")
        return tuple(files[corpus.split])


@contextmanager
def _one_line(corpus: HubCorpus) -> Iterator[None]:
    """A library's complaint as one line that names the data set and what to do."""
    try:
        yield
    except ConnectionError as error:
        raise Refused(_unreachable(corpus)) from error
    except Exception as error:
        raise Refused(f"{corpus}: {' '.join(str(error).split()) or type(error).__name__}") from error


def _place(corpus: HubCorpus) -> str:
    """What the library is to open: a folder, or the hub's name where the hub can be reached."""
    if corpus.root is None:
        from t5grid.tasks import hub

        if not hub.reachable():
            raise Refused(_unreachable(corpus))
        return corpus.repository
    folder = Path(corpus.root).expanduser().resolve() / corpus.repository
    if not folder.is_dir():
        copies = sorted("/".join(path.parts[-2:]) for path in folder.parents[1].glob("*/*") if path.is_dir())
        holds = ", ".join(copies) or "no repository"
        raise Refused(f"{corpus}: no folder {corpus.repository} in root={corpus.root}, it holds {holds}")
    return str(folder)


def _unreachable(corpus: HubCorpus) -> str:
    return (
        f"{corpus} is out of reach: run with network access to the Hugging Face hub, or set its root=DIR"
        " (corpus.root, vocabulary.corpus.root) to a folder with a copy of the repository"
    )


def _no_text(key: str, row: dict[str, Any]) -> str:
    if key not in row:
        return f"no column {key!r} (text_key), it has {', '.join(row)}"
    return f"{type(row[key]).__name__} in {key!r}, expected text"


def _content(name: str) -> str:
    """Hash of a file's size and bytes; of a large file, of blocks spread evenly over it."""
    path, total = Path(name), hashlib.blake2b(digest_size=16)
    size = path.stat().st_size
    total.update(str(size).encode())
    with open(path, "rb") as file:
        if size <= WHOLE:
            total.update(file.read())
        else:
            for place in range(NUM_BLOCKS):
                file.seek((size - BLOCK) * place // (NUM_BLOCKS - 1))
                total.update(file.read(BLOCK))
    return total.hexdigest()


@dataclass(frozen=True)
class Joined:
    """Several corpora as one: the shards of each after those of the one before.

    `root` is nothing but the place where a config writes the `root` of all its parts.
    """

    parts: dict[str, Corpus]
    root: str | None = None

    def shards(self) -> list[tuple[str, Any]]:
        """The name of a part and one of its shards."""
        return [(name, shard) for name, part in self.parts.items() for shard in part.shards()]

    def documents(self, shard: tuple[str, Any]) -> Iterator[str]:
        """The documents of that shard of that part."""
        name, inner = shard
        return self.parts[name].documents(inner)

    def fingerprint(self) -> str:
        """Hash of the parts' fingerprints, in order."""
        parts = [part.fingerprint() for part in self.parts.values()]
        return hashlib.blake2b(json.dumps(parts).encode(), digest_size=8).hexdigest()


@dataclass(frozen=True)
class Blend:
    """Documents of several corpora in turn, so many of each: what a vocabulary is trained on.

    Shares of 10, 1, 1 and 1 give ten documents of the first, one of each other, and so on; a part that is at
    its end is left out. All of it is one shard. `root` as in `Joined`.
    """

    parts: dict[str, Corpus]
    shares: dict[str, Count]
    root: str | None = None

    def __post_init__(self) -> None:
        if self.parts.keys() != self.shares.keys():
            raise Refused(f"shares: one for each of {', '.join(self.parts)}, got {', '.join(self.shares)}")

    def shards(self) -> list[int]:
        """One, as the order over all parts is what matters."""
        return [0]

    def documents(self, shard: int) -> Iterator[str]:
        """The documents of the parts in turn."""
        streams = {name: every_document(part) for name, part in self.parts.items()}
        while streams:
            for name in list(streams):
                documents = list(islice(streams[name], self.shares[name]))
                yield from documents
                if len(documents) < self.shares[name]:
                    del streams[name]

    def fingerprint(self) -> str:
        """Hash of parts and shares."""
        parts = [[self.shares[name], part.fingerprint()] for name, part in self.parts.items()]
        return hashlib.blake2b(json.dumps(parts).encode(), digest_size=8).hexdigest()


@dataclass(frozen=True)
class StandIn:
    """A published corpus, or the generated one that stands in for it where the budget is small.

    So one row of a table names the paper's corpus at the paper's budget and an embedded one below. `use` says
    which of the two it is, and every other word of it.
    """

    published: Corpus
    generated: Corpus
    use: Literal["published", "generated"]

    @property
    def used(self) -> Any:
        """The corpus that is read."""
        return getattr(self, self.use)

    def shards(self) -> list[Any]:
        """The shards of the corpus in use."""
        return self.used.shards()

    def documents(self, shard: Any) -> Iterator[str]:
        """The documents of one of its shards."""
        return self.used.documents(shard)

    def fingerprint(self) -> str:
        """That of the corpus in use."""
        return self.used.fingerprint()
