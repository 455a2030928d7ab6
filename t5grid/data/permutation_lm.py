"""pieces -> (inputs, targets in an order): what XLNet learns by (Yang et al., 2019).

Inputs are `A [SEP] [CLS]` or `A [SEP] B [SEP] [CLS]`, with nothing hidden in them; targets stand beside them
with the rank of each id in the order that the row is told in (`place_targets`). A negative id of a piece ends
a sentence (`sentences`).
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from jaxtyping import Bool, Int

from t5grid.config.rules import AtLeast, Count
from t5grid.data.masked_lm import Pair, Tokens, arranged, next_or_other
from t5grid.data.objectives import Objective
from t5grid.data.place_targets import IN_ORDER, MOST_RANKS, ordered
from t5grid.data.special_ids import EOS, class_id
from t5grid.refused import Refused

Places = Bool[np.ndarray, "batch length"]
NUM_MARKS = 3
LAST = 3.0
"""A key behind all that are drawn."""


@dataclass(frozen=True)
class PermutationLM(Objective):
    """Tell the last tokens of a row's random order, each from those before it: one in `one_in`, rounded.

    `A B C D E F` in the order `C F A E B D` -> D, from all others. The tokens that are not told come first;
    among them no order is asked, so they have rank 0 and are seen by all (the authors' code). The told ones
    follow in any order from rank 1 on, and the marks somewhere among them.

    Told are spans of 1 to `longest_span` tokens, one of L in each stretch of `one_in` * L (section 3.1),
    where the chance of L falls as 1 / L (the authors' code), made up to the number told by single tokens.
    With a `longest_span` of 1 it is any tokens. Segments are BERT's two, and nothing is asked of them.
    """

    form: ClassVar[str] = IN_ORDER
    concatenate: ClassVar[bool] = False
    marks_sentences: ClassVar[bool] = True

    one_in: Annotated[int, AtLeast(2)] = 6
    longest_span: Count = 5

    def lengths(self, inputs_length: int) -> tuple[int, int]:
        """Tokens a piece, which leaves room for [CLS] and each [SEP]; how many of it are told."""
        if inputs_length <= NUM_MARKS + 1:
            raise Refused(
                f"inputs_length={inputs_length}: at least {NUM_MARKS + 2} (two tokens and the marks)"
            )
        raw = inputs_length - NUM_MARKS
        told = max(1, round(raw / self.one_in))
        if told + NUM_MARKS >= MOST_RANKS:
            raise Refused(
                f"objective.one_in={self.one_in}: {told} tokens told of inputs_length={inputs_length}; "
                f"an order has at most {MOST_RANKS - NUM_MARKS - 1}"
            )
        return raw, told

    def __call__(self, tokens: Tokens, rng: np.random.Generator, vocab_size: int) -> Pair:
        first, second, _ = next_or_other(tokens, rng)
        rows = _class_last(arranged(np.abs(tokens), first, second, vocab_size))
        marks = (rows == EOS) | (rows == class_id(vocab_size))
        told = self._told((rows != 0) & ~marks, rng)
        targets = ordered(_ranked(told | marks, rng), rows, told)
        return rows.astype(np.int32), np.where(rows != 0, targets, 0).astype(np.int32)

    def _told(self, tokens: Places, rng: np.random.Generator) -> Places:
        """Which tokens are told: of one token none, of more at least one, and never all."""
        keys = np.where(tokens, rng.random(tokens.shape) + ~self._spans(tokens.shape, rng), LAST)
        lengths = tokens.sum(axis=1)
        count = np.minimum(np.clip(np.rint(lengths / self.one_in), 1, None), lengths - 1)
        return tokens & (_places_in_order(keys) < count[:, None])

    def _spans(self, shape: tuple[int, int], rng: np.random.Generator) -> Places:
        """The places of spans, or every place where they are single."""
        if self.longest_span == 1:
            return np.ones(shape, bool)
        rows, width = shape
        sizes = np.arange(1, self.longest_span + 1)
        chances = 1 / sizes / (1 / sizes).sum()
        lengths = rng.choice(sizes, (rows, -(-width // self.one_in)), p=chances)
        stretches = lengths * self.one_in
        begins = np.cumsum(stretches, axis=1) - stretches + rng.integers(0, stretches - lengths + 1)
        steps = np.zeros((rows, width + 1), np.int8)
        for places, step in ((begins, 1), (begins + lengths, -1)):
            np.add.at(steps, (np.arange(rows)[:, None], np.minimum(places, width)), step)
        return np.cumsum(steps, axis=1)[:, :width] > 0


def _places_in_order(keys: np.ndarray) -> Int[np.ndarray, "batch length"]:
    """How many keys of a row are smaller than each."""
    return keys.argsort(axis=1, kind="stable").argsort(axis=1, kind="stable")


def _ranked(later: Places, rng: np.random.Generator) -> Int[np.ndarray, "batch length"]:
    """Those that come `later` numbered from 1 in a random order, the others 0."""
    keys = np.where(later, rng.random(later.shape), LAST)
    return np.where(later, 1 + _places_in_order(keys), 0)


def _class_last(rows: Tokens) -> Tokens:
    """`[CLS] A [SEP]` -> `A [SEP] [CLS]`, padding where it was."""
    turned, lengths = np.roll(rows, -1, axis=1), np.count_nonzero(rows, axis=1)
    turned[:, -1] = 0
    turned[np.arange(len(rows)), lengths - 1] = rows[:, 0]
    return turned
