"""corpora of several languages -> one, each read at a rate of its own.

Rates are those of the mixtures of tasks: in proportion to how much text there is, or flattened by a
temperature, so that a language of little text is read more often than once (mT5: Xue et al., 2021, section
3.2, whose exponent alpha is 1 over the temperature).
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

from t5grid.config.rules import Above, AtLeast, Count
from t5grid.data.corpora import every_document
from t5grid.data.mixing import rate
from t5grid.data.vocabulary import Corpus
from t5grid.refused import Refused


@dataclass(frozen=True)
class Tempered:
    """Documents of several corpora in turn, each as often as its size to the power 1/T says.

        sizes 100 and 25: with T = 1 four of the first to one of the second, with T = 2 two to one

    Args:
        parts: the corpora, by language.
        temperature: T; 1 is examples-proportional, a large one near equal.
        sizes: how much text there is of each part, in any unit; null counts the documents. A part of size 0
            is left out.
        num_documents: documents in all; a part that is at its end begins again. Null: as many as there are.
    """

    parts: dict[str, Corpus]
    temperature: Annotated[float, Above(0)] = 1.0
    sizes: dict[str, Annotated[float, AtLeast(0)]] | None = None
    num_documents: Count | None = None

    def __post_init__(self) -> None:
        if self.sizes is not None and self.parts.keys() != self.sizes.keys():
            given = ", ".join(self.sizes) or "none"
            raise Refused(f"corpus.sizes: one for each of {', '.join(self.parts)} is needed, got {given}")
        if not self.parts or (self.sizes is not None and not any(self.sizes.values())):
            raise Refused("corpus.sizes: no part is left to read; one above 0 is needed")

    def shards(self) -> list[int]:
        """One, as the order over all parts is what matters."""
        return [0]

    def documents(self, shard: int) -> Iterator[str]:
        """The documents of the parts, at every time as near their rates as can be."""
        rates, read = self.rates(), dict.fromkeys(self.rates(), 0)
        streams = {name: _without_end(name, self.parts[name]) for name in rates}
        for _ in range(self.num_documents or sum(self._counts.values())):
            name = min(rates, key=lambda name: (read[name] + 1) / rates[name])
            read[name] += 1
            yield next(streams[name])

    def rates(self) -> dict[str, float]:
        """The rate of each part that is read; shares are rates over their sum. Raises Refused for none."""
        sizes = self.sizes if self.sizes is not None else self._counts
        try:
            rates = {name: rate(size, None, self.temperature) for name, size in sizes.items() if size}
        except OverflowError:
            rates = {}
        if not rates or not all(rates.values()):
            raise Refused(f"corpus.temperature={self.temperature:g}: too low, no number holds the rates")
        return rates

    @cached_property
    def _counts(self) -> dict[str, int]:
        """How many documents each part has; every one is read."""
        read = {name for name in self.parts if self.sizes is None or self.sizes[name]}
        return {name: sum(1 for _ in every_document(self.parts[name])) for name in self.parts if name in read}

    def fingerprint(self) -> str:
        """Hash of the parts that are read, their sizes, the temperature and the number."""
        sizes = {name: 1.0 for name in self.parts} if self.sizes is None else self.sizes
        parts = [[name, size, self.parts[name].fingerprint()] for name, size in sizes.items() if size]
        if self.sizes is None:
            parts = [[name, None, print_] for name, _, print_ in parts]
        identity = ["tempered", parts, self.temperature, self.num_documents]
        return hashlib.blake2b(json.dumps(identity).encode(), digest_size=8).hexdigest()


def _without_end(name: str, part: Corpus) -> Iterator[str]:
    """The documents of a part again and again. Raises Refused for a part without any."""
    while True:
        empty = True
        for document in every_document(part):
            empty = False
            yield document
        if empty:
            raise Refused(f"corpus.parts.{name}: it holds no document")
