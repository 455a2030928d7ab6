"""token pieces -> (inputs, targets): the eight pre-training objectives of the study.

Every objective takes a batch of pieces `[batch, length]` and a random generator and returns two zero-padded
int32 arrays `[batch, *]` without end-of-sequence marks. 0 is padding and never a token; rows are
left-aligned, so that the length of a row is its number of non-zeros, and rows may differ in length. What does
not depend on chance stands in functions of (tokens, mask) of its own. No Python loop runs over rows or
tokens.

Sentinel k has the id `vocab_size - 1 - k`. Nothing limits their number: when a piece has more spans than
there are sentinels, numbering runs on into the ids below, as in the original code.
"""

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from jaxtyping import Bool, Int

from t5grid.config.rules import Above, AtLeast, Below, Count, Probability
from t5grid.data.special_ids import FIRST_ORDINARY_ID
from t5grid.refused import Refused

Tokens = Int[np.ndarray, "batch length"]
Mask = Bool[np.ndarray, "batch length"]
Pair = tuple[Int[np.ndarray, "batch inputs"], Int[np.ndarray, "batch targets"]]

Rate = Annotated[float, Above(0), Below(1)]

KEY_SHIFT = 20  # low bits of a random sort key that hold what is sorted; vocabularies stay below 2**20 ids

# --- what is determined by tokens and mask --------------------------------------------------------


def compact(values: Tokens, keep: Mask) -> Int[np.ndarray, "batch width"]:
    """The kept entries of each row moved to the left: [[5, 6, 7]], [[1, 0, 1]] -> [[5, 7]]."""
    counts = keep.sum(axis=1)
    packed = np.zeros((len(values), int(counts.max(initial=0))), np.int32)
    packed[np.arange(packed.shape[1]) < counts[:, None]] = values[keep]
    return packed


def spans_to_sentinels(tokens: Tokens, mask: Mask, vocab_size: int, unique: bool = True) -> Tokens:
    """Each run of marked tokens becomes one sentinel, numbered from the left (sentinel 0 if not unique).

    Raises Refused if the ids below the sentinels run out as well.
    """
    marked = mask & (tokens != 0)
    starts = marked.copy()
    starts[:, 1:] &= ~marked[:, :-1]
    number = np.cumsum(starts, axis=1, dtype=np.int32) if unique else np.int32(1)
    if (most := int(np.max(number, initial=0))) > vocab_size - FIRST_ORDINARY_ID:
        raise Refused(
            f"objective: {most} corrupted spans in a piece need more than the {vocab_size} ids there are"
        )
    return compact(np.where(starts, vocab_size - number, tokens), (tokens != 0) & (~marked | starts))


def replace_spans(tokens: Tokens, mask: Mask, vocab_size: int, unique: bool = True) -> Pair:
    """Sentinels for the marked runs in the inputs, and for the unmarked runs in the targets.

    A piece that starts with a marked token has no sentinel in front of its targets; one that ends in unmarked
    tokens closes its targets with one more sentinel.
    """
    return (
        spans_to_sentinels(tokens, mask, vocab_size, unique),
        spans_to_sentinels(tokens, ~mask, vocab_size, unique),
    )


def drop_tokens(tokens: Tokens, mask: Mask) -> Pair:
    """Inputs are the unmarked tokens, targets the marked ones; nothing shows where tokens are missing."""
    real = tokens != 0
    return compact(tokens, real & ~mask), compact(tokens, real & mask)


def mask_tokens(tokens: Tokens, mask: Mask, vocab_size: int) -> Pair:
    """Each marked token becomes sentinel 0; the targets are the whole piece."""
    return np.where(mask & (tokens != 0), np.int32(vocab_size - 1), tokens), tokens


# --- masks ----------------------------------------------------------------------------------------


def iid_mask(tokens: Tokens, rate: float, rng: np.random.Generator) -> Mask:
    """Each token is marked independently with probability `rate`; none or all may be."""
    return (rng.random(tokens.shape, dtype=np.float32) < np.float32(rate)) & (tokens != 0)


def prefix_mask(tokens: Tokens, rng: np.random.Generator) -> Mask:
    """The first k tokens of a row of n are marked, k uniform over 1 .. n - 1; k = 0 for n < 2."""
    lengths = np.count_nonzero(tokens, axis=1)
    prefix = np.where(lengths < 2, 0, rng.integers(1, np.maximum(lengths, 2)))
    return np.arange(tokens.shape[1]) < prefix[:, None]


def span_counts(
    lengths: Int[np.ndarray, " batch"], rate: float, mean_span_length: float
) -> tuple[Int[np.ndarray, " batch"], Int[np.ndarray, " batch"]]:
    """Number of marked tokens and of marked spans for pieces of these lengths.

    Rounding is half-to-even in 32-bit floats, as in the original: 30 tokens at 15 % give 4, 190 give 29.
    Where the original fails (more spans than unmarked tokens), there are as many spans as unmarked tokens.
    """
    lengths = np.maximum(lengths, 2)
    noise = np.rint(lengths.astype(np.float32) * np.float32(rate)).astype(np.int64)
    noise = np.clip(noise, 1, lengths - 1)
    spans = np.rint(noise.astype(np.float32) / np.float32(mean_span_length)).astype(np.int64)
    return noise, np.clip(spans, 1, lengths - noise)


def _random_keys(values: Int[np.ndarray, "..."], rng: np.random.Generator) -> Int[np.ndarray, "..."]:
    """Distinct random sort keys that carry `values` in their low bits."""
    return rng.integers(0, 1 << (63 - KEY_SHIFT), values.shape) << KEY_SHIFT | values


def _part_ends(
    items: Int[np.ndarray, " batch"], parts: Int[np.ndarray, " batch"], rng: np.random.Generator
) -> Int[np.ndarray, " total_parts"]:
    """Ends of the non-empty `parts` that `items` are cut into, uniformly over all cuts, row after row."""
    columns = np.arange(int(items.max(initial=1)))
    keys = _random_keys(np.broadcast_to(columns, (len(items), len(columns))), rng)
    last = items[:, None] - 1
    keys[columns >= last] = np.iinfo(np.int64).max
    keys[columns == last] = -1  # the last part ends at the last item
    limit = np.take_along_axis(np.sort(keys, axis=1), parts[:, None] - 1, axis=1)
    return np.nonzero(keys <= limit)[1] + 1


def random_span_mask(tokens: Tokens, rate: float, mean_span_length: float, rng: np.random.Generator) -> Mask:
    """A fixed number of marked tokens in a fixed number of spans, of lengths drawn uniformly over all cuts.

    Unmarked and marked spans alternate: the first token is never marked, the last one always (a single token
    never).
    """
    lengths = np.maximum(np.count_nonzero(tokens, axis=1), 2)
    noise, spans = span_counts(lengths, rate, mean_span_length)
    kept_ends, noise_ends = _part_ends(lengths - noise, spans, rng), _part_ends(noise, spans, rng)
    noise_starts = np.concatenate([[0], noise_ends[:-1]])[: len(noise_ends)]
    noise_starts[(np.cumsum(spans) - spans)[spans > 0]] = 0
    rows = np.repeat(np.arange(len(tokens)), spans)
    steps = np.zeros((len(tokens), max(tokens.shape[1], 2) + 1), np.int8)
    steps[rows, kept_ends + noise_starts] = 1
    steps[rows, kept_ends + noise_ends] = -1
    return np.cumsum(steps, axis=1, dtype=np.int8)[:, : tokens.shape[1]].astype(bool) & (tokens != 0)


def shuffled(tokens: Tokens, rng: np.random.Generator) -> Tokens:
    """The tokens of each row in random order, uniform over all orders."""
    keys = _random_keys(tokens.astype(np.int64), rng)
    keys[tokens == 0] = np.iinfo(np.int64).max
    order = np.sort(keys, axis=1)
    return np.where(tokens != 0, order & ((1 << KEY_SHIFT) - 1), 0).astype(np.int32)


# --- lengths --------------------------------------------------------------------------------------


def random_spans_lengths(
    inputs_length: int, rate: float, mean_span_length: float, extra_inputs: int = 1, extra_targets: int = 1
) -> tuple[int, int]:
    """Raw tokens per piece and length of the targets, so that a corrupted piece fills the inputs exactly.

    Lengths of inputs and targets count the end-of-sequence mark; `extra_*` are the sentinels a span costs on
    each side. 512 inputs at 15 % in spans of 3: 568 raw tokens, 114 targets. Rounding is in 64-bit floats
    here (the masks round in 32-bit ones), as in the original. The search starts at `inputs_length - 1` (first
    release: at `inputs_length`; the two differ for tiny lengths only).
    """

    def encoded(raw: int) -> tuple[int, int]:
        noise = round(raw * rate)
        spans = round(noise / mean_span_length)
        return raw - noise + spans * extra_inputs + 1, noise + spans * extra_targets + 1

    raw = inputs_length - 1
    while encoded(raw + 1)[0] <= inputs_length:
        raw += 1
    inputs, targets = encoded(raw)
    return (raw - 1, targets - 1) if rate == 0.5 and targets > inputs else (raw, targets)


# --- the objectives -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Objective:
    """Pieces of raw tokens -> (inputs, targets)."""

    axis: ClassVar[str] = "objective"
    concatenate: ClassVar[bool] = True  # join documents before they are cut into pieces
    prompt_form: ClassVar[str] = ""  # how a model that learnt so is asked to go on (`data.shots`): not at all

    def __call__(self, tokens: Tokens, rng: np.random.Generator, vocab_size: int) -> Pair:
        """Corrupt a batch; `vocab_size` counts the sentinels, not the padding of the embedding table."""
        raise NotImplementedError

    def lengths(self, inputs_length: int) -> tuple[int, int]:
        """Raw tokens per piece (no end-of-sequence mark) and targets length (mark included).

        One position is kept for the mark. (In the first release pieces had `inputs_length` tokens, so that a
        target of the whole piece lost its last one.) Raises Refused if the length leaves no room for a
        token.
        """
        if inputs_length < 2:
            raise Refused(f"inputs_length={inputs_length}: at least 2 (a token and its end mark)")
        return inputs_length - 1, inputs_length


@dataclass(frozen=True)
class PrefixLanguageModeling(Objective):
    """Continue a text: `A B C D E` -> `A B`, `C D E`."""

    concatenate: ClassVar[bool] = False
    prompt_form: ClassVar[str] = "prefix"

    def __call__(self, tokens: Tokens, rng: np.random.Generator, vocab_size: int) -> Pair:
        return drop_tokens(tokens, ~prefix_mask(tokens, rng))


@dataclass(frozen=True)
class LanguageModeling(Objective):
    """Predict the whole text from nothing: `A B C` -> ``, `A B C`."""

    prompt_form: ClassVar[str] = "continuation"

    def __call__(self, tokens: Tokens, rng: np.random.Generator, vocab_size: int) -> Pair:
        return np.zeros((len(tokens), 0), np.int32), tokens.astype(np.int32)


@dataclass(frozen=True)
class Deshuffling(Objective):
    """Restore the order: `A B C` -> `C A B`, `A B C`."""

    concatenate: ClassVar[bool] = False

    def __call__(self, tokens: Tokens, rng: np.random.Generator, vocab_size: int) -> Pair:
        assert vocab_size <= 1 << KEY_SHIFT
        return shuffled(tokens, rng), tokens.astype(np.int32)


@dataclass(frozen=True)
class MassStyle(Objective):
    """Restore masked tokens: `A B C D` -> `A <M> <M> D`, `A B C D`."""

    rate: Rate = 0.15

    def __call__(self, tokens: Tokens, rng: np.random.Generator, vocab_size: int) -> Pair:
        tokens = tokens.astype(np.int32)
        return mask_tokens(tokens, iid_mask(tokens, self.rate, rng), vocab_size)


@dataclass(frozen=True)
class BertStyle(MassStyle):
    """Restore masked or exchanged tokens: `A B C D` -> `A <M> X D`, `A B C D`.

    A corrupted token becomes, with probability `random_token_rate`, an id uniform in [3, vocab_size), which
    may be a sentinel or the token itself, else the mask. No branch keeps the token (unlike BERT): the
    authors' setting.
    """

    random_token_rate: Probability = 0.1

    def __call__(self, tokens: Tokens, rng: np.random.Generator, vocab_size: int) -> Pair:
        tokens = tokens.astype(np.int32)
        mask = iid_mask(tokens, self.rate, rng)
        inputs, targets = mask_tokens(tokens, mask, vocab_size)
        exchanged = np.flatnonzero(mask)
        exchanged = exchanged[rng.random(len(exchanged)) < self.random_token_rate]
        inputs.flat[exchanged] = rng.integers(FIRST_ORDINARY_ID, vocab_size, len(exchanged), dtype=np.int32)
        return inputs, targets


@dataclass(frozen=True)
class ReplaceSpans(Objective):
    """The baseline: `A B C D E` -> `A <X> D <Y>`, `<X> B C <Y> E`, each token corrupted independently.

    `targets_length_at_512` is the authors' cap on the targets at 512 inputs: 192 at rate 0.15; 103, 256 and
    512 at 0.1, 0.25 and 0.5. Longer targets are trimmed. At other lengths it scales in proportion, rounded
    up.
    """

    rate: Rate = 0.15
    targets_length_at_512: Count = 192

    prompt_form: ClassVar[str] = "sentinel"

    def __post_init__(self) -> None:
        cap, mean = self.targets_length_at_512, self.mean_targets_length(511)
        if cap < mean:
            enough = 64 * (int(mean) // 64 + 1)
            raise Refused(
                f"objective.targets_length_at_512={cap}: at rate {self.rate} targets average {mean:.0f}; "
                f"write objective.targets_length_at_512={enough} too"
            )

    def mean_targets_length(self, tokens: int) -> float:
        """Expected length of the targets of a piece of so many tokens, end-of-sequence mark included."""
        return tokens * self.rate + tokens * self.rate * (1 - self.rate) + (1 - self.rate) ** 2 + 1

    def __call__(self, tokens: Tokens, rng: np.random.Generator, vocab_size: int) -> Pair:
        return replace_spans(tokens, iid_mask(tokens, self.rate, rng), vocab_size)

    def lengths(self, inputs_length: int) -> tuple[int, int]:
        raw, _ = super().lengths(inputs_length)
        return raw, max(2, math.ceil(self.targets_length_at_512 * inputs_length / 512))


@dataclass(frozen=True)
class DropTokens(ReplaceSpans):
    """Name what is missing: `A B C D E` -> `A D`, `B C E`; the authors capped the targets at 104."""

    targets_length_at_512: Count = 104

    prompt_form: ClassVar[str] = ""

    def mean_targets_length(self, tokens: int) -> float:
        return tokens * self.rate + 1

    def __call__(self, tokens: Tokens, rng: np.random.Generator, vocab_size: int) -> Pair:
        return drop_tokens(tokens, iid_mask(tokens, self.rate, rng))


@dataclass(frozen=True)
class RandomSpans(Objective):
    """As ReplaceSpans, with whole spans corrupted: `A B C D E F` -> `A <X> E <Y>`, `<X> B C D <Y> F`."""

    rate: Rate = 0.15
    mean_span_length: Annotated[float, AtLeast(1)] = 3.0

    prompt_form: ClassVar[str] = "sentinel"

    def __post_init__(self) -> None:
        mean = self.mean_span_length
        if self.rate / mean > 1 - self.rate:
            raise Refused(f"objective.rate={self.rate}: more spans of {mean} than tokens between them")

    def __call__(self, tokens: Tokens, rng: np.random.Generator, vocab_size: int) -> Pair:
        return replace_spans(
            tokens, random_span_mask(tokens, self.rate, self.mean_span_length, rng), vocab_size
        )

    def lengths(self, inputs_length: int) -> tuple[int, int]:
        super().lengths(inputs_length)
        return random_spans_lengths(inputs_length, self.rate, self.mean_span_length)
