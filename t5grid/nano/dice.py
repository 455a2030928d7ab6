"""key -> a stream of choices: the generated world's randomness, alike on every machine.

Only `random.Random.random()` is used, whose values Python promises to keep; the choices are built
on top of it here.
"""

import hashlib
import random
from collections.abc import Sequence
from typing import TypeVar

Item = TypeVar("Item")


class Dice:
    """A source of choices seeded by a key, e.g. `Dice("corpus", 0, 17)`."""

    def __init__(self, *key: str | int) -> None:
        digest = hashlib.sha256(repr(key).encode()).digest()
        self._random = random.Random(int.from_bytes(digest[:8], "big")).random

    def chance(self, probability: float) -> bool:
        return self._random() < probability

    def below(self, stop: int) -> int:
        """A number in 0 .. stop - 1."""
        return int(self._random() * stop)

    def pick(self, items: Sequence[Item]) -> Item:
        return items[int(self._random() * len(items))]

    def sample(self, items: Sequence[Item], count: int) -> list[Item]:
        """`count` distinct positions of `items`, in random order (partial Fisher-Yates)."""
        pool = list(items)
        for index in range(count):
            drawn = index + self.below(len(pool) - index)
            pool[index], pool[drawn] = pool[drawn], pool[index]
        return pool[:count]

    def shuffled(self, items: Sequence[Item]) -> list[Item]:
        return self.sample(items, len(items))
