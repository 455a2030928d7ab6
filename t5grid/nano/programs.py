"""seed -> records of graded tasks: short programs, digits to copy and to reverse.

The tasks of Zaremba and Sutskever (2014, "Learning to Execute"), character by character: a program is Python
without its `print` being called, its target what it would print; difficulty is the number of digits and the
number of operations combined. A row belongs to the split that its digest names, so splits share none.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from t5grid.config.rules import Count
from t5grid.nano.dice import Dice
from t5grid.refused import Refused
from t5grid.tasks.answer import Answer, Text
from t5grid.tasks.task import Record

PATIENCE = 10_000
"""Candidates in a row of another split after which a split counts as empty."""
NAMES = "abcdefghij"
Scores = dict[str, float]


@dataclass(frozen=True)
class GradedTask:
    """A generated task of one difficulty. `scored` ones have validation rows, others are trained on only."""

    name: str
    difficulty: Count
    num_train: Count = 1000
    num_validation: Count = 100
    num_test: Count = 100
    seed: int = 0
    scored: bool = True
    reported: ClassVar[tuple[str, ...]] = ("characters",)
    answer: ClassVar[Answer] = Text()
    version: ClassVar[int] = 1
    """Raised by hand when the same settings make other rows."""

    @property
    def roles(self) -> tuple[str, ...]:
        """The splits there are."""
        return ("train", "validation", "test") if self.scored else ("train",)

    def pair(self, dice: Dice) -> tuple[str, str]:
        """One row's inputs and targets."""
        raise NotImplementedError

    def num_rows(self, split: str) -> int:
        """How many records `split` has, without making them."""
        return {"train": self.num_train, "validation": self.num_validation, "test": self.num_test}[split]

    def records(self, split: str) -> list[Record]:
        """The rows of a split, drawn independently, so that rows of an easy task come again.

        Raises:
            Refused: no such split, or the task has too few different rows for three of them.
        """
        if split not in self.roles:
            raise ValueError(f"{self.name}: no split {split!r}: expected one of {list(self.roles)}")
        dice = Dice("programs", *self._settings, split)
        return [self._row(dice, split) for _ in range(self.num_rows(split))]

    def _row(self, dice: Dice, split: str) -> Record:
        for _ in range(PATIENCE):
            inputs, targets = self.pair(dice)
            if split_of(inputs) == split:
                return {"inputs": inputs, "targets": targets}
        raise Refused(f"{self.name}: too easy to have rows of its own for {split}")

    def score(self, records: Sequence[Record], predictions: list[str]) -> Scores:
        """Share of rows predicted exactly, and of characters that stand where they should, in per cent."""
        targets = [record["targets"] for record in records]
        exact = sum(t == p for t, p in zip(targets, predictions, strict=True))
        return {"exact": 100 * exact / len(targets), "characters": characters(targets, predictions)}

    @property
    def _settings(self) -> tuple[str | int, ...]:
        return (type(self).__name__, self.version, self.seed)

    def fingerprint(self) -> str:
        """Identity of the rows and their grade: settings and version, not the code."""
        sizes = (self.num_train, self.num_validation, self.num_test)
        identity = (*self._settings, self.difficulty, *sizes, self.scored)
        return hashlib.sha256(repr(identity).encode()).hexdigest()


def split_of(inputs: str) -> str:
    """The split a row belongs to: eight in ten are for training."""
    number = hashlib.sha256(inputs.encode()).digest()[0] % 10
    return ("validation", "test")[number] if number < 2 else "train"


def characters(targets: Sequence[str], predictions: Sequence[str]) -> float:
    """Per-character accuracy: characters that agree in place, over those of the longer text, in per cent.

    >>> characters(["1234"], ["1299"]), characters(["12"], ["1234"])
    (50.0, 50.0)

    The paper counts characters each predicted after the right ones; these stand in whole predictions.
    """
    pairs = list(zip(targets, predictions, strict=True))
    agreeing = sum(a == b for pair in pairs for a, b in zip(*pair, strict=False))
    return 100 * agreeing / max(1, sum(max(map(len, pair)) for pair in pairs))


@dataclass(frozen=True)
class Copying(GradedTask):
    """`copy: 40729` -> `40729`."""

    length: Count = 5

    def pair(self, dice: Dice) -> tuple[str, str]:
        digits = "".join(str(dice.below(10)) for _ in range(self.length))
        return f"copy: {digits}", digits

    @property
    def _settings(self) -> tuple[str | int, ...]:
        return (*super()._settings, self.length)


@dataclass(frozen=True)
class Reversal(Copying):
    """`reverse: 40729` -> `92704`."""

    def pair(self, dice: Dice) -> tuple[str, str]:
        _, digits = super().pair(dice)
        return f"reverse: {digits}", digits[::-1]


@dataclass(frozen=True)
class Programs(GradedTask):
    """A program of `nesting` operations on numbers of `length` digits -> what it prints.

        a=85
        for i in range(3):
          a+=12
        print((a-7))

    -> `114`. Operations are sums, differences, products by a small number, conditions, assignments and loops
    (paper, section 3).
    """

    length: Count = 2
    nesting: Count = 2

    def pair(self, dice: Dice) -> tuple[str, str]:
        program = _Program(dice, self.length)
        text, value = program.number()
        for _ in range(self.nesting):
            text, value = dice.pick(OPERATIONS)(program, text, value)
        return "\n".join([*program.lines, f"print({text})"]), str(value)

    @property
    def _settings(self) -> tuple[str | int, ...]:
        return (*super()._settings, self.length, self.nesting)


Term = tuple[str, int]


class _Program:
    """The lines so far, the names still free, and numbers of a length."""

    def __init__(self, dice: Dice, length: int) -> None:
        self.dice, self.length = dice, length
        self.lines: list[str] = []
        self.names = list(NAMES)

    def number(self) -> Term:
        """A number from 1 up to 10 to the length."""
        value = 1 + self.dice.below(10**self.length)
        return str(value), value

    def small(self) -> int:
        """A factor or a number of turns: from 1 up to four times the length, as in the paper."""
        return 1 + self.dice.below(4 * self.length)

    def assign(self, text: str) -> str:
        """A fresh variable that holds `text`."""
        name = self.names.pop(0)
        self.lines.append(f"{name}={text}")
        return name


def _add(program: _Program, text: str, value: int) -> Term:
    term, number = program.number()
    return (f"({text}+{term})" if program.dice.chance(0.5) else f"({term}+{text})"), value + number


def _subtract(program: _Program, text: str, value: int) -> Term:
    term, number = program.number()
    return f"({text}-{term})", value - number


def _multiply(program: _Program, text: str, value: int) -> Term:
    factor = program.small()
    return f"({factor}*{text})", factor * value


def _choose(program: _Program, text: str, value: int) -> Term:
    (term, third), (left, low), (right, high) = (program.number() for _ in range(3))
    return f"({text} if {left}<{right} else {term})", value if low < high else third


def _store(program: _Program, text: str, value: int) -> Term:
    term, number = program.number()
    return f"({program.assign(text)}+{term})", value + number


def _repeat(program: _Program, text: str, value: int) -> Term:
    name, turns = program.assign(text), program.small()
    step, number = program.number()
    program.lines += [f"for i in range({turns}):", f"  {name}+={step}"]
    return name, value + turns * number


OPERATIONS = (_add, _subtract, _multiply, _choose, _store, _repeat)
