"""seed -> records of calculations in words, as GPT-3 was tested on.

Sums and differences of two numbers below 100, which may be negative, and two operations on three digits
(Brown et al., 2020, section 3.9.1: 2D+, 2D- and 1DC). As in every generated task a digest admits each
calculation to one split, or to the corpus.
"""

from dataclasses import dataclass

from t5grid.config.rules import Count
from t5grid.nano.dice import Dice
from t5grid.nano.nano_task import Candidate, NanoTask, row

OPERATIONS: tuple[str, ...] = ("+", "-", "*")


@dataclass(frozen=True)
class Calculation(NanoTask):
    """`calculate: 17 minus 14` -> `3`; a subclass says which calculations there are."""

    num_train: Count = 1000
    num_validation: Count = 300

    def calculation(self, dice: Dice) -> tuple[str, int]:
        """One, as it is written, and what it comes to."""
        raise NotImplementedError

    def candidate(self, dice: Dice, label: int) -> Candidate:
        text, value = self.calculation(dice)
        return ["arithmetic", text], [row(f"calculate: {text}", str(value))]


@dataclass(frozen=True)
class TwoDigitSums(Calculation):
    """`48 plus 76` -> `124`."""

    def calculation(self, dice: Dice) -> tuple[str, int]:
        first, second = dice.below(100), dice.below(100)
        return f"{first} plus {second}", first + second


@dataclass(frozen=True)
class TwoDigitDifferences(Calculation):
    """`34 minus 53` -> `-19`."""

    def calculation(self, dice: Dice) -> tuple[str, int]:
        first, second = dice.below(100), dice.below(100)
        return f"{first} minus {second}", first - second


@dataclass(frozen=True)
class OneDigitComposite(Calculation):
    """`6+(4*8)` -> `38`; the brackets are around the last two."""

    def calculation(self, dice: Dice) -> tuple[str, int]:
        first, second, third = (dice.below(10) for _ in range(3))
        outer, inner = dice.pick(OPERATIONS), dice.pick(OPERATIONS)
        return f"{first}{outer}({second}{inner}{third})", _value(outer, first, _value(inner, second, third))


def _value(operation: str, first: int, second: int) -> int:
    return {"+": first + second, "-": first - second, "*": first * second}[operation]


CALCULATIONS = (TwoDigitSums, TwoDigitDifferences, OneDigitComposite)
