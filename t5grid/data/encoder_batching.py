"""(inputs, targets in their places) -> arrays an encoder eats, packed.

`inputs`, `inputs_segments` (the examples of a row from 1), `positions` and `types` (0 up to an example's
first [SEP], then 1) are [rows, width]. `targets`, `places` (columns of the inputs) and `heads` are
[rows, asked], only where something is asked. `counts` [rows, 4] is the same in each row: the size of
`targets`, how many of the batch are hidden tokens and how many are not, and the ids that follow another one,
which makes means out of sums in any part of it.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from t5grid.data.batching import Batch, Ids, Packing, first_fit_decreasing, lay_out, row_lengths
from t5grid.data.objectives import compact
from t5grid.data.place_targets import TOKEN, answers_of, asked, heads_of, ranks_of
from t5grid.data.special_ids import EOS


@dataclass(frozen=True)
class EncoderBatching:
    """Pairs whose targets stand beside their inputs -> the arrays of a batch."""

    def __call__(
        self,
        inputs: Ids,
        targets: Ids,
        inputs_length: int,
        targets_length: int,
        packing: Packing = first_fit_decreasing,
        trim: bool = True,
    ) -> Batch:
        """Inputs come with their marks; what is longer than `inputs_length` is cut and ends in [SEP]."""
        inputs, targets = _cut_to(inputs, _as_wide(targets, inputs), inputs_length)
        rows = packing(row_lengths(inputs)[:, None], (inputs_length,))
        beside = self._beside(inputs, targets)
        batch = lay_out("inputs", inputs, rows, None if trim else inputs_length, beside)
        return batch | _targets(batch.pop("asked"), int(np.count_nonzero(batch["inputs"])) - len(inputs))

    def _beside(self, inputs: Ids, targets: Ids) -> dict[str, Ids]:
        """What is laid out as the inputs are: `asked` are the targets by head."""
        columns = np.broadcast_to(np.arange(inputs.shape[1]), inputs.shape)
        return {"positions": columns, "types": types_of(inputs), "asked": targets}


@dataclass(frozen=True)
class OrderedBatching(EncoderBatching):
    """The same of targets in an order, with `order` [rows, width]: the rank of each id in it."""

    def _beside(self, inputs: Ids, targets: Ids) -> dict[str, Ids]:
        tokens = np.where(targets > 0, asked(TOKEN, answers_of(targets)), -1)
        return super()._beside(inputs, tokens) | {"order": ranks_of(targets)}


def types_of(inputs: Ids) -> Ids:
    """0 in the first segment with its [SEP], 1 after it."""
    is_mark = inputs == EOS
    return ((np.cumsum(is_mark, axis=1) - is_mark) > 0).astype(np.int32)


def _as_wide(targets: Ids, inputs: Ids) -> Ids:
    """The targets with a column for each of the inputs'."""
    missing = max(0, inputs.shape[1] - targets.shape[1])
    return np.pad(targets, ((0, 0), (0, missing)))[:, : inputs.shape[1]]


def _cut_to(inputs: Ids, targets: Ids, length: int) -> tuple[Ids, Ids]:
    """Rows of at most `length`; one that was longer ends in [SEP], where nothing is asked."""
    is_cut = row_lengths(inputs) > length
    inputs, targets = inputs[:, :length].copy(), targets[:, :length].copy()
    inputs[is_cut, -1], targets[is_cut, -1] = EOS, -EOS
    return inputs, targets


def _targets(wanted: Int[np.ndarray, "rows width"], num_following: int) -> Batch:
    """What is asked of each row, moved to the left."""
    is_asked = wanted > 0
    columns = np.broadcast_to(np.arange(wanted.shape[1]), wanted.shape)
    heads = heads_of(wanted)
    batch = {
        "targets": compact(answers_of(wanted), is_asked),
        "places": compact(columns, is_asked),
        "heads": compact(heads, is_asked),
    }
    num_tokens = np.count_nonzero(is_asked & (heads == TOKEN))
    counts = (batch["targets"].size, num_tokens, np.count_nonzero(is_asked) - num_tokens, num_following)
    return batch | {"counts": np.tile(np.array(counts, np.int32), (len(wanted), 1))}
