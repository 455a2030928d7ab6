"""(seed, step) -> batch of arrays: the training batches of a pre-training and of a fine-tuning.

A feed is called with a step and answers with that step's batch, whatever was asked before.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from t5grid.data.stream import Mixture, generator, shuffled
from t5grid.data.tasks.task import Record
from t5grid.data.tokens import Rows
from t5grid.data.vocabulary import Vocabulary

Batch = dict[str, np.ndarray]
Batching = Callable[[np.ndarray, np.ndarray, int, int], Batch]


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

    def __call__(self, step: int) -> Batch:
        positions = np.arange(step * self.num_rows, (step + 1) * self.num_rows)
        pieces = self.rows.pieces(shuffled(positions, len(self.rows), self.seed, "corpus"))
        noise = generator(self.seed, "noise", step)
        inputs, targets = self.objective(pieces, noise, self.vocab_size)
        return self.batching(inputs, targets, self.inputs_length, self.targets_length)


@dataclass
class FinetuneFeed:
    """Records of a column's tasks, mixed by their number (a benchmark as one task: paper, section 2.3).

    A batch holds as many examples as fill `num_tokens` tokens of the longer side on average, packed.
    """

    tasks: Sequence[Sequence[Record]]
    vocabulary: Vocabulary
    batching: Batching
    num_tokens: int
    inputs_length: int
    targets_length: int
    seed: int
    _encoded: dict[tuple[int, int], tuple[list[int], list[int]]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        sizes = [len(records) for records in self.tasks]
        self.mixture = Mixture(sizes, sizes, self.seed, "finetune")
        self.num_examples = max(1, round(self.num_tokens / self._mean_length()))

    def _mean_length(self, sample: int = 256) -> float:
        """Mean tokens an example takes of the scarcer side of a row, over a fixed sample."""
        drawn = Mixture(self.mixture.sizes, self.mixture.sizes, "lengths").draw(0, sample)
        pairs = [self._pair(*each) for each in drawn]
        inputs = np.minimum([len(i) + 1 for i, _ in pairs], self.inputs_length)
        targets = np.minimum([len(t) + 1 for _, t in pairs], self.targets_length)
        return float(np.maximum(inputs, targets * self.inputs_length / self.targets_length).mean())

    def _pair(self, task: int, row: int) -> tuple[list[int], list[int]]:
        if (task, row) not in self._encoded:
            record = self.tasks[task][row]
            inputs, targets = self.vocabulary.encode([record["inputs"], record["targets"]])
            self._encoded[task, row] = (inputs, targets)
        return self._encoded[task, row]

    def __call__(self, step: int) -> Batch:
        pairs = [self._pair(*each) for each in self.mixture.draw(step * self.num_examples, self.num_examples)]
        inputs, targets = (padded([pair[side] for pair in pairs]) for side in (0, 1))
        return self.batching(inputs, targets, self.inputs_length, self.targets_length)


def labelled(records: Sequence[Record], share: float, seed: int) -> Sequence[Record]:
    """A share of a task's rows, at least one, chosen by the seed; smaller shares are in larger ones."""
    if share == 1.0:
        return records
    count = max(1, round(share * len(records)))
    chosen = shuffled(np.arange(count), len(records), seed, "labelled")
    return [records[index] for index in sorted(chosen.tolist())]


def padded(sequences: Sequence[Sequence[int]]) -> np.ndarray:
    """Rows of ids, left-aligned and zero-padded to the longest: int32 [rows, longest]."""
    out = np.zeros((len(sequences), max(map(len, sequences), default=0)), dtype=np.int32)
    for i, sequence in enumerate(sequences):
        out[i, : len(sequence)] = sequence
    return out
