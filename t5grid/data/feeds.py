"""(seed, step) -> batch of arrays: of a pre-training, a fine-tuning or a mixture.

A feed is called with a step and answers with that step's batch, whatever was asked before.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from t5grid.data.mixing import MixturePart, Phase
from t5grid.data.stream import Mixture, generator, shuffled
from t5grid.data.tokens import Rows
from t5grid.data.vocabulary import Vocabulary
from t5grid.tasks.task import Record

Batch = dict[str, np.ndarray]
Batching = Callable[[np.ndarray, np.ndarray, int, int], Batch]
Pair = tuple[Sequence[int], Sequence[int]]


@dataclass(frozen=True)
class PretrainFeed:
    """Pieces of the corpus under an objective; noise is drawn afresh each time a piece is seen."""

    rows: Rows
    objective: Any
    batching: Batching
    vocab_size: int
    num_rows: int
    inputs_length: int
    targets_length: int
    seed: int
    marked: Callable[[np.ndarray], np.ndarray] | None = None
    """Marks the ends of sentences, for an objective that cuts there."""

    def __call__(self, step: int) -> Batch:
        positions = np.arange(step * self.num_rows, (step + 1) * self.num_rows)
        pieces = self.rows.pieces(shuffled(positions, len(self.rows), self.seed, "corpus"))
        pieces = self.marked(pieces) if self.marked else pieces
        noise = generator(self.seed, "noise", step)
        inputs, targets = self.objective(pieces, noise, self.vocab_size)
        return self.batching(inputs, targets, self.inputs_length, self.targets_length)


@dataclass
class FinetuneFeed:
    """Records of a column's tasks, mixed by their number (a benchmark as one task: paper, section 2.3).

    A batch holds as many examples as fill `num_tokens` tokens of the longer side on average, packed.
    """

    tasks: Mapping[str, Sequence[Record]]
    vocabulary: Vocabulary
    batching: Batching
    num_tokens: int
    inputs_length: int
    targets_length: int
    seed: int
    num_chosen: int | None = None
    """Examples of a batch, where they are counted and not their tokens."""
    read: Callable[[str, Record], tuple[list[int], list[int]]] | None = None
    """How a record of a task becomes a pair of ids; by default both sides are its texts."""
    _encoded: dict[tuple[int, int], tuple[list[int], list[int]]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self._records = list(self.tasks.values())
        sizes = [len(records) for records in self._records]
        self.mixture = Mixture(sizes, sizes, self.seed, "finetune")
        self.num_examples = self.num_chosen or max(1, round(self.num_tokens / self._mean_length()))

    def _mean_length(self, sample: int = 256) -> float:
        """Mean tokens an example takes of the scarcer side of a row, over a fixed sample."""
        drawn = Mixture(self.mixture.sizes, self.mixture.sizes, "lengths").draw(0, sample)
        pairs = [self._pair(task, row) for task, row in drawn]
        inputs = np.minimum([len(i) + 1 for i, _ in pairs], self.inputs_length)
        targets = np.minimum([len(t) + 1 for _, t in pairs], self.targets_length)
        return float(np.maximum(inputs, targets * self.inputs_length / self.targets_length).mean())

    def _pair(self, task: int, row: int) -> tuple[list[int], list[int]]:
        if (task, row) not in self._encoded:
            record = self._records[task][row]
            self._encoded[task, row] = self._read(list(self.tasks)[task], record)
        return self._encoded[task, row]

    def _read(self, task: str, record: Record) -> tuple[list[int], list[int]]:
        if self.read:
            return self.read(task, record)
        inputs, targets = self.vocabulary.encode([record["inputs"], record["targets"]])
        return inputs, targets

    def __call__(self, step: int) -> Batch:
        drawn = self.mixture.draw(step * self.num_examples, self.num_examples)
        pairs = [self._pair(task, row) for task, row in drawn]
        inputs, targets = (padded([pair[side] for pair in pairs]) for side in (0, 1))
        return self.batching(inputs, targets, self.inputs_length, self.targets_length)


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
    trimmed to the same two lengths, as in the study's mixtures. `parts` say what each source is.
    """

    sources: Sequence[Source]
    phases: Sequence[Phase]
    num_steps: int
    batching: Batching
    num_tokens: int
    inputs_length: int
    targets_length: int
    seed: int
    parts: Sequence[MixturePart] = ()
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
                examples = source.pairs([drawn[place][1] for place in places], noise)
                for place, pair in zip(places, examples, strict=True):
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


def labelled(records: Sequence[Record], share: float, seed: int, most: int | None = None) -> Sequence[Record]:
    """A share of a task's rows, at least one and at most `most`, chosen by the seed.

    Smaller shares are in larger ones.
    """
    count = num_labelled(len(records), share, most)
    if count == len(records):
        return records
    chosen = shuffled(np.arange(count), len(records), seed, "labelled")
    return [records[index] for index in sorted(chosen.tolist())]


def num_labelled(num_rows: int, share: float, most: int | None = None) -> int:
    """How many of a task's rows are used: at least one and at most `most`."""
    return min(max(1, round(share * num_rows)), most or num_rows)


def padded(sequences: Sequence[Sequence[int]]) -> np.ndarray:
    """Rows of ids, left-aligned and zero-padded to the longest: int32 [rows, longest]."""
    out = np.zeros((len(sequences), max(map(len, sequences), default=0)), dtype=np.int32)
    for i, sequence in enumerate(sequences):
        out[i, : len(sequence)] = sequence
    return out
