"""(seed, step) -> batch of arrays: the training batches of a mixture of labelled and unlabelled data.

As in `feeds`, the batch of a step is a function of the step alone, whatever was asked before.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from t5grid.data.feeds import Batch, Batching, padded
from t5grid.data.mixing import Phase
from t5grid.data.stream import Mixture, generator
from t5grid.data.tasks.task import Record
from t5grid.data.tokens import Rows
from t5grid.data.vocabulary import Vocabulary

Pair = tuple[Sequence[int], Sequence[int]]


class Source(Protocol):
    """One data set of a mixture as examples by index."""

    def __len__(self) -> int: ...

    def pairs(self, indices: Sequence[int], noise: np.random.Generator) -> list[Pair]:
        """Inputs and targets of the examples asked for, without end-of-sequence marks."""


@dataclass(frozen=True)
class Labelled:
    """Records of a task."""

    records: Sequence[Record]
    vocabulary: Vocabulary

    def __len__(self) -> int:
        return len(self.records)

    def pairs(self, indices: Sequence[int], noise: np.random.Generator) -> list[Pair]:
        chosen = [self.records[i] for i in indices]
        sides = [self.vocabulary.encode([row[side] for row in chosen]) for side in ("inputs", "targets")]
        return list(zip(*sides, strict=True))


@dataclass(frozen=True)
class Unlabelled:
    """Single pieces of the corpus under an objective, with fresh noise each time."""

    rows: Rows
    objective: Any
    vocab_size: int

    def __len__(self) -> int:
        return len(self.rows)

    def pairs(self, indices: Sequence[int], noise: np.random.Generator) -> list[Pair]:
        pieces = self.rows.pieces(np.asarray(indices))
        sides = self.objective(pieces, noise, self.vocab_size)
        return [(i[i > 0].tolist(), t[t > 0].tolist()) for i, t in zip(*sides, strict=True)]


@dataclass
class MixtureFeed:
    """Examples of several sources, drawn one by one by rate; the rates may change from phase to phase.

    A batch holds as many examples as fill `num_tokens` tokens of the longer side on average, packed; all are
    trimmed to the same two lengths, as in the study's mixtures.
    """

    sources: Sequence[Source]
    phases: Sequence[Phase]
    num_steps: int
    batching: Batching
    num_tokens: int
    inputs_length: int
    targets_length: int
    seed: int
    starts: list[int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        sizes = [len(source) for source in self.sources]
        ends = [round(phase.until * self.num_steps) for phase in self.phases]
        self.starts = [0, *ends[:-1]]
        self.mixtures = [
            Mixture(sizes, phase.rates, self.seed, "mixture", number)
            for number, phase in enumerate(self.phases)
        ]
        self.nums_examples = [
            max(1, round(self.num_tokens / self._mean_length(sizes, phase))) for phase in self.phases
        ]

    def _mean_length(self, sizes: Sequence[int], phase: Phase, sample: int = 256) -> float:
        """Mean tokens an example takes of the scarcer side of a row, over a fixed sample."""
        drawn = Mixture(sizes, phase.rates, "lengths").draw(0, sample)
        pairs = self._pairs(drawn, generator("lengths"))
        inputs = np.minimum([len(i) + 1 for i, _ in pairs], self.inputs_length)
        targets = np.minimum([len(t) + 1 for _, t in pairs], self.targets_length)
        return float(np.maximum(inputs, targets * self.inputs_length / self.targets_length).mean())

    def _pairs(self, drawn: Sequence[tuple[int, int]], noise: np.random.Generator) -> list[Pair]:
        """The examples drawn, in their order; each source is asked once."""
        pairs: list[Pair] = [((), ())] * len(drawn)
        for number, source in enumerate(self.sources):
            places = [place for place, (task, _) in enumerate(drawn) if task == number]
            if places:
                found = source.pairs([drawn[place][1] for place in places], noise)
                for place, pair in zip(places, found, strict=True):
                    pairs[place] = pair
        return pairs

    def drawn(self, step: int) -> list[tuple[int, int]]:
        """(source, index) of every example in the batch of a step."""
        phase = bisect_right(self.starts, step) - 1
        count = self.nums_examples[phase]
        return self.mixtures[phase].draw((step - self.starts[phase]) * count, count)

    def __call__(self, step: int) -> Batch:
        pairs = self._pairs(self.drawn(step), generator(self.seed, "noise", step))
        inputs, targets = (padded([pair[side] for pair in pairs]) for side in (0, 1))
        return self.batching(inputs, targets, self.inputs_length, self.targets_length)
