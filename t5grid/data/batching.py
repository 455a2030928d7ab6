"""(inputs, targets) -> arrays an architecture eats: end marks, packing, decoder inputs.

Tasks and objectives give pairs and know no architecture; an architecture brings a batching and knows no task.
All arrays are int32, rows left-aligned, 0 = padding. Segments number the examples of a row from 1, 0 is
padding; an example attends to its own segment only. A position counts in the loss where `targets` is not 0.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from t5grid.data.chunking import pack_rows
from t5grid.data.objectives import compact
from t5grid.data.special_ids import EOS
from t5grid.refused import Refused

Ids = Int[np.ndarray, "examples length"]
Batch = dict[str, np.ndarray]
# (lengths of each example [examples, features], capacity of a row per feature) -> row of each example
Packing = Callable[[Int[np.ndarray, "examples features"], tuple[int, ...]], Int[np.ndarray, " examples"]]

# --- single features ------------------------------------------------------------------------------


def row_lengths(ids: Ids) -> Int[np.ndarray, " examples"]:
    """Number of tokens in each row."""
    return np.count_nonzero(ids, axis=1)


def finish(ids: Ids, length: int | None = None) -> Int[np.ndarray, "examples finished"]:
    """Rows trimmed to `length - 1` tokens, then closed with the end-of-sequence mark; as wide as the longest.

    A trimmed row therefore still ends in the mark. Raises Refused for a length without room for it.
    """
    if length is not None and length < 1:
        raise Refused(f"length={length}: at least 1, for the end-of-sequence mark")
    num_kept = row_lengths(ids) if length is None else np.minimum(row_lengths(ids), length - 1)
    finished = np.zeros((len(ids), int(num_kept.max(initial=0)) + 1), np.int32)
    inside = np.arange(finished.shape[1] - 1) < num_kept[:, None]
    finished[:, :-1][inside] = ids[:, : finished.shape[1] - 1][inside]
    finished[np.arange(len(ids)), num_kept] = EOS
    return finished


def end_rows(rows: Ids) -> Ids:
    """The very last position of each row forced to the end-of-sequence mark unless it is padding."""
    ended = rows.copy()
    ended[:, -1:][ended[:, -1:] != 0] = EOS
    return ended


def shift_right(targets: Ids, segments: Ids | None = None) -> Ids:
    """Decoder inputs: the targets one place later, 0 in front; cut (0) where a new segment starts."""
    shifted = np.zeros_like(targets)
    shifted[:, 1:] = targets[:, :-1]
    if segments is not None:
        shifted[:, 1:][segments[:, 1:] != segments[:, :-1]] = 0
    return shifted


# --- which example goes into which row ------------------------------------------------------------


def one_row_each(
    lengths: Int[np.ndarray, "examples features"], capacity: tuple[int, ...]
) -> Int[np.ndarray, " examples"]:
    """No packing."""
    return np.arange(len(lengths))


def next_fit(
    lengths: Int[np.ndarray, "examples features"], capacity: tuple[int, ...]
) -> Int[np.ndarray, " examples"]:
    """The original packing: in order, no row revisited, none across groups of `max(capacity)` examples."""
    return pack_rows(lengths, capacity, group=max(capacity))


def first_fit_decreasing(
    lengths: Int[np.ndarray, "examples features"], capacity: tuple[int, ...]
) -> Int[np.ndarray, " examples"]:
    """Nearly as few rows as possible: the largest examples first, each into the first row with room."""
    order = np.argsort(-(lengths / np.array(capacity)).max(axis=1), kind="stable")
    rows = np.zeros(len(lengths), np.int64)
    free: list[list[int]] = []
    for index, need in zip(order.tolist(), lengths[order].tolist(), strict=True):
        fits = (r for r, room in enumerate(free) if need[0] <= room[0] and need[-1] <= room[-1])
        row = next(fits, len(free))
        if row == len(free):
            free.append(list(capacity))
        free[row] = [room - used for room, used in zip(free[row], need, strict=True)]
        rows[index] = row
    return rows


def within_short_rows(
    lengths: Int[np.ndarray, "examples features"], capacity: tuple[int, ...]
) -> Int[np.ndarray, " examples"]:
    """As `first_fit_decreasing`, in rows at most half as long again as the longest example.

    Attention costs the square of a row's length; rows without any room to spare would have more padding.
    """
    longest = lengths.max(axis=0, initial=1).tolist()
    short = tuple(min(room, length * 3 // 2) for room, length in zip(capacity, longest, strict=True))
    return first_fit_decreasing(lengths, short)


# --- rows from examples ---------------------------------------------------------------------------


def _rank_and_offset(
    rows: Int[np.ndarray, " examples"], lengths: Int[np.ndarray, " examples"]
) -> tuple[Int[np.ndarray, " examples"], Int[np.ndarray, " examples"]]:
    """For each example its number within its row (from 0) and the column it starts at."""
    order = np.argsort(rows, kind="stable")
    sizes = np.bincount(rows)
    first = np.repeat(np.cumsum(sizes) - sizes, sizes)
    before = np.cumsum(lengths[order]) - lengths[order]
    rank, offset = np.empty_like(rows), np.empty_like(rows)
    rank[order], offset[order] = np.arange(len(rows)) - first, before - before[first]
    return rank, offset


def lay_out(
    name: str, ids: Ids, rows: Int[np.ndarray, " examples"], width: int | None, beside: dict[str, Ids]
) -> Batch:
    """One feature of all examples placed into its rows, with segments and the arrays given `beside` it."""
    lengths = row_lengths(ids)
    rank, offset = _rank_and_offset(rows, lengths)
    width = int((offset + lengths).max(initial=0)) if width is None else width
    real = np.arange(ids.shape[1]) < lengths[:, None]
    place = np.repeat(rows * width + offset, lengths) + _columns(ids)[real]
    batch = {}
    for key, values in {name: ids, f"{name}_segments": rank[:, None] + 1, **beside}.items():
        batch[key] = np.zeros((int(rows.max(initial=-1)) + 1, width), np.int32)
        batch[key].flat[place] = np.broadcast_to(values, ids.shape)[real]
    return batch


def _columns(ids: Ids) -> Ids:
    return np.broadcast_to(np.arange(ids.shape[1]), ids.shape)


def pack_features(
    features: dict[str, Ids],
    lengths: dict[str, int],
    packing: Packing,
    trim: bool = False,
    positions: bool = False,
) -> Batch:
    """Finished features of the same examples -> rows, each with `<name>_segments` (and `<name>_positions`).

    Every example ends up in exactly one row, cut to its feature's length. Rows are as wide as that length, or
    with `trim` as wide as the longest row.
    """
    features = {name: ids[:, : lengths[name]] for name, ids in features.items()}
    sizes = np.stack([row_lengths(ids) for ids in features.values()], axis=1)
    rows = packing(sizes, tuple(lengths[name] for name in features))
    batch: Batch = {}
    for name, ids in features.items():
        beside = {f"{name}_positions": _columns(ids)} if positions else {}
        batch |= lay_out(name, ids, rows, None if trim else lengths[name], beside)
    return batch


def pack(
    inputs: Ids, targets: Ids, inputs_length: int, targets_length: int, positions: bool = False
) -> Batch:
    """Finished pairs packed as the original did (next-fit), rows at full length, with decoder inputs."""
    return _pack_pairs(inputs, targets, inputs_length, targets_length, next_fit, False, positions)


def pack_dense(
    inputs: Ids, targets: Ids, inputs_length: int, targets_length: int, positions: bool = False
) -> Batch:
    """Finished pairs packed into nearly as few rows as possible, as wide as the longest; none is lost."""
    return _pack_pairs(inputs, targets, inputs_length, targets_length, first_fit_decreasing, True, positions)


def _pack_pairs(
    inputs: Ids,
    targets: Ids,
    inputs_length: int,
    targets_length: int,
    packing: Packing,
    trim: bool,
    positions: bool,
) -> Batch:
    lengths = {"inputs": inputs_length, "targets": targets_length}
    batch = pack_features({"inputs": inputs, "targets": targets}, lengths, packing, trim, positions)
    return batch | {"decoder_inputs": shift_right(batch["targets"], batch["targets_segments"])}


# --- one batching an architecture -----------------------------------------------------------------


@dataclass(frozen=True)
class EncoderDecoderBatching:
    """Pairs -> `inputs`, `targets`, `decoder_inputs`, `inputs_segments`, `targets_segments` [rows, width]."""

    def __call__(
        self,
        inputs: Ids,
        targets: Ids,
        inputs_length: int,
        targets_length: int,
        packing: Packing = first_fit_decreasing,
        trim: bool = True,
        positions: bool = False,
    ) -> Batch:
        """`inputs` and `targets` come without end-of-sequence marks; lengths count them.

        Longer features are trimmed. Inputs may have width 0 (language modelling): they become the mark alone.
        """
        finished = finish(inputs, inputs_length), finish(targets, targets_length)
        return _pack_pairs(*finished, inputs_length, targets_length, packing, trim, positions)


@dataclass(frozen=True)
class DecoderBatching:
    """Pairs -> rows `inputs EOS targets EOS`: `targets`, `decoder_inputs`, `targets_segments`, `prefix`.

    `prefix` is 1 on the inputs and on the one place after them that reads their end-of-sequence mark and
    predicts the first target: what a prefix LM sees in full. The loss falls on inputs and targets alike, as
    in the authors' runs; with `loss_on_targets_only`, `targets` is 0 (no loss) on the inputs.
    """

    loss_on_targets_only: bool = False

    def __call__(
        self,
        inputs: Ids,
        targets: Ids,
        inputs_length: int,
        targets_length: int,
        packing: Packing = first_fit_decreasing,
        trim: bool = True,
        positions: bool = False,
    ) -> Batch:
        """As EncoderDecoderBatching; a row holds up to `inputs_length + targets_length` tokens.

        Inputs of width 0 (language modelling) are left out, end-of-sequence mark and all: rows are plain
        targets.
        """
        joined, num_inputs, capacity = _join(inputs, targets, inputs_length, targets_length)
        rows = packing(row_lengths(joined)[:, None], (capacity,))
        column = _columns(joined)
        beside = {"prefix": (num_inputs > 0) & (column <= num_inputs), "is_input": column < num_inputs}
        beside |= {"targets_positions": column} if positions else {}
        batch = lay_out("targets", joined, rows, None if trim else capacity, beside)
        batch["decoder_inputs"] = shift_right(batch["targets"], batch["targets_segments"])
        is_input = batch.pop("is_input") != 0
        if self.loss_on_targets_only:
            batch["targets"][is_input] = 0
        return batch


def _join(
    inputs: Ids, targets: Ids, inputs_length: int, targets_length: int
) -> tuple[Ids, Int[np.ndarray, "examples 1"], int]:
    """Rows `inputs EOS targets EOS`, input tokens of each (mark included), and the longest possible row."""
    finished = finish(targets, targets_length)
    if not inputs.shape[1]:
        return finished, np.zeros((len(finished), 1), np.int64), targets_length
    pair = np.concatenate([finish(inputs, inputs_length), finished], axis=1)
    num_inputs = np.minimum(row_lengths(inputs), inputs_length - 1)[:, None] + 1
    return compact(pair, pair != 0), num_inputs, inputs_length + targets_length


def padding_share(batch: Batch) -> float:
    """The share of a batch's positions, inputs and targets together, that is padding."""
    segments = [value for key, value in batch.items() if key.endswith("_segments")]
    total = sum(value.size for value in segments)
    return 1 - sum(np.count_nonzero(value) for value in segments) / total if total else 0.0
