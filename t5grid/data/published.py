"""hub name -> documents: published corpora, streamed shard by shard from the hub or from a local copy.

A shard is one file of the repository, so shards are read in parallel, one document at a time, and nothing is
kept on disk but token ids.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Annotated, Any, Literal

from t5grid.building import AtLeast
from t5grid.data.corpora import every_document
from t5grid.data.vocabulary import Corpus


@dataclass(frozen=True)
class HubCorpus:
    """The documents of a split of a Hugging Face data set.

    Args:
        repository: the hub's name, such as `allenai/c4`.
        subset: its configuration, such as `en`.
        revision: commit on the hub: what identifies the text. A local copy is identified by its content.
        root: folder that holds copies of repositories (root/allenai/c4); null streams from the hub.
        text_key: column that holds the document.
        num_shards: read only the first so many files; null is all.
    """

    repository: str
    subset: str
    revision: str | None = None
    root: str | None = None
    split: str = "train"
    text_key: str = "text"
    num_shards: Annotated[int, AtLeast(1)] | None = None

    def shards(self) -> list[int]:
        """Numbers of the files read."""
        return list(range(min(self._stream.num_shards, self.num_shards or self._stream.num_shards)))

    def documents(self, shard: int) -> Iterator[str]:
        """The documents of one file, in order. Raises ValueError naming data set, file and row."""
        rows = self._stream.shard(self._stream.num_shards, shard)
        for row in rows:
            yield row[self.text_key]

    def fingerprint(self) -> str:
        """Hash of what chooses the text."""
        parts = [self.repository, self.subset, self.revision, self.split, self.text_key, self.num_shards]
        return hashlib.blake2b(json.dumps(parts).encode(), digest_size=8).hexdigest()

    @cached_property
    def _stream(self) -> Any:
        from datasets import load_dataset

        return load_dataset(self.repository, self.subset, split=self.split, streaming=True)


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
    shares: dict[str, Annotated[int, AtLeast(1)]]
    root: str | None = None

    def __post_init__(self) -> None:
        if self.parts.keys() != self.shares.keys():
            raise ValueError(f"shares: one for each of {', '.join(self.parts)}, got {', '.join(self.shares)}")

    def shards(self) -> list[int]:
        """One, as the order over all parts is what matters."""
        return [0]

    def documents(self, shard: int) -> Iterator[str]:
        """The documents of the parts in turn."""
        streams = {name: every_document(part) for name, part in self.parts.items()}
        while streams:
            for name in list(streams):
                taken = list(islice(streams[name], self.shares[name]))
                yield from taken
                if len(taken) < self.shares[name]:
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
