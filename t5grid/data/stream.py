"""(seed, position) -> which example: batch t never depends on batch t - 1.

Every draw is a pure function of a key and a position: a killed run goes on at any step without loader state.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

_MASK = np.uint64(0xFFFFFFFFFFFFFFFF)


def key_of(*parts: object) -> int:
    """A 64-bit key of anything printable, the same on every machine."""
    digest = hashlib.blake2b("\x1f".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def generator(*parts: object) -> np.random.Generator:
    """A generator seeded by its parts alone, such as (seed, "noise", step)."""
    return np.random.Generator(np.random.Philox(key=key_of(*parts)))


def _mix(values: np.ndarray, key: int) -> np.ndarray:
    """SplitMix64's finaliser over `values` offset by `key`: uint64 in, uint64 out."""
    with np.errstate(over="ignore"):
        x = values.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(key & 0xFFFFFFFFFFFFFFFF)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return x ^ (x >> np.uint64(31))


def uniform(positions: Int[np.ndarray, " n"], key: int) -> Float[np.ndarray, " n"]:
    """Uniform numbers in [0, 1), one a position."""
    return (_mix(np.asarray(positions), key) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def permute(positions: Int[np.ndarray, " n"], size: int, key: int) -> Int[np.ndarray, " n"]:
    """A pseudo-random permutation of range(size) at the given positions, without holding it in memory.

    A Feistel network over the next power of four, walked until the value falls inside (cycle walking).
    """
    half = max(1, (max(size - 1, 1).bit_length() + 1) // 2)
    values = _feistel(np.asarray(positions, dtype=np.uint64), half, key)
    while (outside := values >= np.uint64(size)).any():
        values[outside] = _feistel(values[outside], half, key)
    return values.astype(np.int64)


def _feistel(values: np.ndarray, half: int, key: int) -> np.ndarray:
    mask = np.uint64((1 << half) - 1)
    left, right = values >> np.uint64(half), values & mask
    for turn in range(4):
        left, right = right, left ^ (_mix(right, key + turn * 0x632BE59BD9B4E019) & mask)
    return (left << np.uint64(half)) | right


def shuffled(positions: Int[np.ndarray, " n"], size: int, *key: object) -> Int[np.ndarray, " n"]:
    """Index at each position of an endless stream of all `size` items, freshly shuffled each epoch."""
    positions = np.asarray(positions, dtype=np.int64)
    epochs = positions // size
    out = np.empty_like(positions)
    for epoch in np.unique(epochs):
        here = epochs == epoch
        out[here] = permute(positions[here] % size, size, key_of(*key, "epoch", epoch))
    return out


class Mixture:
    """Draws (task, index) at stream positions: independent draws by rate, each task's rows epoch by epoch.

    `rates` need not sum to one. The answer depends on the position alone; running counts are only a cache.
    """

    def __init__(self, sizes: Sequence[int], rates: Sequence[float], *key: object) -> None:
        self.sizes = list(sizes)
        self.shares = np.cumsum(np.asarray(rates, dtype=np.float64) / float(np.sum(rates)))
        self.key = key
        self._counted_to = 0
        self._counts = np.zeros(len(self.sizes), dtype=np.int64)

    def tasks(self, positions: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
        """The task of each position."""
        draws = uniform(positions, key_of(*self.key, "task"))
        return np.minimum(np.searchsorted(self.shares, draws, side="right"), len(self.sizes) - 1)

    def draw(self, start: int, count: int) -> list[tuple[int, int]]:
        """(task, row index) at positions start .. start + count - 1."""
        tasks = self.tasks(np.arange(start, start + count))
        earlier = self._before(start)
        drawn = []
        for task in range(len(self.sizes)):
            here = np.flatnonzero(tasks == task)
            ranks = earlier[task] + np.arange(len(here))
            drawn.append((here, shuffled(ranks, self.sizes[task], *self.key, "rows", task)))
        out: list[tuple[int, int]] = [(0, 0)] * count
        for task, (here, rows) in enumerate(drawn):
            for i, row in zip(here, rows, strict=True):
                out[i] = (task, int(row))
        return out

    def _before(self, start: int, block: int = 1 << 20) -> np.ndarray:
        """How often each task was drawn before `start`."""
        if start < self._counted_to:
            self._counted_to, self._counts = 0, np.zeros_like(self._counts)
        while self._counted_to < start:
            stop = min(start, self._counted_to + block)
            tasks = self.tasks(np.arange(self._counted_to, stop))
            self._counts = self._counts + np.bincount(tasks, minlength=len(self.sizes))
            self._counted_to = stop
        return self._counts.copy()
