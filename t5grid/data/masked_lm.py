"""pieces -> (inputs, targets in place): what BERT, RoBERTa and ALBERT learn by.

Inputs are `[CLS] A [SEP]` or `[CLS] A [SEP] B [SEP]`; targets stand beside them (`place_targets`): the hidden
tokens in their places, and at [CLS] how the two segments belong together. A negative id of a piece ends a
sentence (`sentences`). Noise is drawn afresh each time a piece is seen, so masks are dynamic in all of them.
"""

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from jaxtyping import Bool, Int

from t5grid.config.rules import Above, Below, Probability
from t5grid.data.objectives import Objective
from t5grid.data.place_targets import IN_PLACE, PAIR, asked
from t5grid.data.special_ids import EOS, FIRST_ORDINARY_ID, class_id, mask_id
from t5grid.refused import Refused

Tokens = Int[np.ndarray, "batch length"]
Column = Int[np.ndarray, "batch 1"]
Pair = tuple[Int[np.ndarray, "batch inputs"], Int[np.ndarray, "batch targets"]]
Rate = Annotated[float, Above(0), Below(1)]
TOGETHER, APART = 1, 2
"""Answers at [CLS]: the segments stand as they do in the text, or not. 0: nothing is asked."""


@dataclass(frozen=True)
class Segment:
    """For each row of a batch a stretch of some piece: which piece, where it starts, and how long it is."""

    source: Column
    start: Column
    length: Column

    def ids(self, tokens: Tokens, first: Column, width: int) -> Tokens:
        """The stretch laid into rows of `width` from column `first` on, 0 elsewhere."""
        place = np.arange(width) - first
        inside = (place >= 0) & (place < self.length)
        column = np.where(inside, self.start + place, 0)
        return np.where(inside, tokens[self.source, column], 0)


@dataclass(frozen=True)
class MaskedLMWithoutNSP(Objective):
    """Tell the tokens chosen in a text: `A B C D` -> `[CLS] A [MASK] X D [SEP]`, `B` and `C` in their places.

    Of the tokens of a row `rate` are chosen, one at least; of these `masked` become [MASK], `exchanged` any
    token, and `kept` stay. Segments run over the borders of documents (RoBERTa's full sentences).
    """

    form: ClassVar[str] = IN_PLACE
    marks_sentences: ClassVar[bool] = False
    num_marks: ClassVar[int] = 2

    rate: Rate = 0.15
    masked: Probability = 0.8
    exchanged: Probability = 0.1
    kept: Probability = 0.1

    def __post_init__(self) -> None:
        total = self.masked + self.exchanged + self.kept
        if not math.isclose(total, 1, abs_tol=1e-6):
            parts = f"objective.masked={self.masked:g}, exchanged={self.exchanged:g} and kept={self.kept:g}"
            raise Refused(f"{parts} add up to {total:g}: shares of the chosen tokens, so 1 is needed")

    def lengths(self, inputs_length: int) -> tuple[int, int]:
        """Tokens a piece, which leaves room for [CLS] and each [SEP]; how many places of it are asked."""
        if inputs_length <= self.num_marks:
            least = self.num_marks + 1
            raise Refused(f"inputs_length={inputs_length}: at least {least} (a token and its marks)")
        raw = inputs_length - self.num_marks
        return raw, max(1, round(raw * self.rate)) + self.num_marks - 2  # with [CLS], where it is asked

    def __call__(self, tokens: Tokens, rng: np.random.Generator, vocab_size: int) -> Pair:
        first, second, answers = self.segments(tokens, rng)
        rows = arranged(np.abs(tokens), first, second, vocab_size)
        chosen = self._chosen(rows > EOS, rows == class_id(vocab_size), rng)
        targets = np.where(chosen, rows, -rows)
        targets[:, :1] = np.where(answers > 0, asked(PAIR, answers), targets[:, :1])
        return self._noised(rows, chosen, rng, vocab_size).astype(np.int32), targets.astype(np.int32)

    def segments(self, tokens: Tokens, rng: np.random.Generator) -> tuple[Segment, Segment, Column]:
        """First and second segment of each row, and what is asked of them."""
        here, none = _numbered(tokens), np.zeros((len(tokens), 1), np.int64)
        return Segment(here, none, _lengths(tokens)), Segment(here, none, none), none

    def _chosen(
        self,
        real: Bool[np.ndarray, "batch length"],
        marks: Bool[np.ndarray, "batch length"],
        rng: np.random.Generator,
    ) -> Bool[np.ndarray, "batch length"]:
        """`rate` of a row's tokens, rounded, one at least; never a mark."""
        can_be = real & ~marks
        keys = np.where(can_be, rng.random(real.shape), 2.0)
        count = np.clip(np.rint(can_be.sum(axis=1) * self.rate).astype(np.int64), 1, None)
        largest = np.take_along_axis(np.sort(keys, axis=1), count[:, None] - 1, axis=1)
        return can_be & (keys <= largest)

    def _noised(
        self,
        rows: Tokens,
        chosen: Bool[np.ndarray, "batch length"],
        rng: np.random.Generator,
        vocab_size: int,
    ) -> Tokens:
        """The rows with what is chosen hidden, exchanged for any token but the two marks, or kept."""
        fate = rng.random(rows.shape)
        others = rng.integers(FIRST_ORDINARY_ID, class_id(vocab_size), rows.shape)
        noise = np.where(fate < self.masked, mask_id(vocab_size), others)
        return np.where(chosen & (fate < self.masked + self.exchanged), noise, rows)


@dataclass(frozen=True)
class MaskedLM(MaskedLMWithoutNSP):
    """BERT's: masked tokens, and whether the second segment follows the first (next sentence prediction).

    A piece of one document is cut at one of its sentences' ends. In half of the rows the second segment is
    the one that follows, in the others that of another piece of the batch, cut to what room there is. A piece
    of one sentence is a segment by itself, of which nothing is asked at [CLS].
    """

    concatenate: ClassVar[bool] = False
    marks_sentences: ClassVar[bool] = True
    num_marks: ClassVar[int] = 3

    def segments(self, tokens: Tokens, rng: np.random.Generator) -> tuple[Segment, Segment, Column]:
        return next_or_other(tokens, rng)


@dataclass(frozen=True)
class MaskedLMSentenceOrder(MaskedLM):
    """ALBERT's: masked tokens, and whether the two segments stand in their order, as in half of the rows."""

    def segments(self, tokens: Tokens, rng: np.random.Generator) -> tuple[Segment, Segment, Column]:
        here, cut, lengths = _numbered(tokens), _cut(tokens, rng), _lengths(tokens)
        parted = cut < lengths
        turned = parted & (rng.random(cut.shape) < 0.5)
        rest, none = lengths - cut, np.zeros_like(cut)
        first = Segment(here, np.where(turned, cut, none), np.where(turned, rest, cut))
        second = Segment(here, np.where(turned, none, cut), np.where(turned, cut, rest))
        return first, second, np.where(parted, np.where(turned, APART, TOGETHER), 0)


def next_or_other(tokens: Tokens, rng: np.random.Generator) -> tuple[Segment, Segment, Column]:
    """Each piece up to some sentence's end, what follows there or in another piece, and which of the two."""
    here, cut, lengths = _numbered(tokens), _cut(tokens, rng), _lengths(tokens)
    parted = cut < lengths
    source = _exchanged(here, parted, rng)
    room = tokens.shape[1] - cut
    second = Segment(source, cut[source[:, 0]], np.minimum((lengths - cut)[source[:, 0]], room))
    answers = np.where(parted, np.where(source == here, TOGETHER, APART), 0)
    return Segment(here, np.zeros_like(cut), cut), second, answers


def _numbered(tokens: Tokens) -> Column:
    return np.arange(len(tokens))[:, None]


def _lengths(tokens: Tokens) -> Column:
    return np.count_nonzero(tokens, axis=1)[:, None]


def _cut(tokens: Tokens, rng: np.random.Generator) -> Column:
    """The length of the first segment: up to the end of some sentence but the last, each as likely.

    The whole piece where it has one sentence only.
    """
    keys = rng.random(tokens.shape)
    inner = (tokens < 0) & (np.arange(tokens.shape[1]) < _lengths(tokens) - 1)
    keys[~inner] = 2.0
    cut = keys.argmin(axis=1)[:, None] + 1
    return np.where(inner.any(axis=1, keepdims=True), cut, _lengths(tokens))


def _exchanged(here: Column, parted: Bool[np.ndarray, "batch 1"], rng: np.random.Generator) -> Column:
    """Whose second segment each row gets: about half of those that have one exchange theirs in a ring."""
    source = here.copy()
    others = rng.permutation(np.flatnonzero(parted & (rng.random(here.shape) < 0.5)))
    source[others, 0] = np.roll(others, 1)
    return source


def arranged(tokens: Tokens, first: Segment, second: Segment, vocab_size: int) -> Tokens:
    """Rows `[CLS] first [SEP]`, with `second [SEP]` after it where there is one."""
    both = second.length > 0
    total = first.length + second.length + 2 + both
    columns = np.arange(int(total.max(initial=2)))
    width = len(columns)
    rows = first.ids(tokens, np.ones_like(first.length), width)
    rows = rows + second.ids(tokens, first.length + 2, width)
    rows[:, 0] = class_id(vocab_size)
    rows[(columns == first.length + 1) | (both & (columns == total - 1))] = EOS
    return rows
