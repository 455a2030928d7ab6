"""texts of two domains -> how far apart their words are.

The overlap of vocabularies is that of Gururangan et al. (2020, section 3.1): of the most frequent words of
each, the share that both have; no stop words are left out. The divergence is Jensen and Shannon's, of the
distributions of single words, in bits: 0 is the same words equally often, 1 no word in common.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

NUM_FREQUENT = 10_000
WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Distance:
    """Of two texts' words: the divergence in bits, and the share of the most frequent that both have."""

    divergence: float
    overlap: float

    def __str__(self) -> str:
        return (
            f"divergence of words {self.divergence:.2f} bits, {self.overlap:.0%} of frequent words in common"
        )


def distance(first: Iterable[str], second: Iterable[str], num_frequent: int = NUM_FREQUENT) -> Distance:
    """How far apart two texts are; where one has fewer words, as many of the other count for the overlap."""
    ours, theirs = words_of(first), words_of(second)
    return Distance(jensen_shannon(ours, theirs), overlap(ours, theirs, num_frequent))


def words_of(texts: Iterable[str]) -> Counter[str]:
    """How often each word stands in the texts, in lower case."""
    return Counter(word for text in texts for word in WORD.findall(text.lower()))


def jensen_shannon(first: Counter[str], second: Counter[str]) -> float:
    """The divergence of two distributions of words; 1 where one has none."""
    sizes = first.total(), second.total()
    if not all(sizes):
        return 1.0
    total = 0.0
    for word in first.keys() | second.keys():
        shares = first[word] / sizes[0], second[word] / sizes[1]
        total += sum(share * math.log2(2 * share / sum(shares)) for share in shares if share) / 2
    return total


def overlap(first: Counter[str], second: Counter[str], num_frequent: int) -> float:
    """The share of the most frequent words that both have; of equally frequent ones the first by alphabet."""
    num = min(num_frequent, len(first), len(second))
    if not num:
        return 0.0
    ours, theirs = ({word for word, _ in _ranked(counts)[:num]} for counts in (first, second))
    return len(ours & theirs) / num


def _ranked(counts: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
