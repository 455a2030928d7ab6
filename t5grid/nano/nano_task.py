"""seed -> records of a task whose rows are generated, and what every such task can do.

Each row is built from facts (or a clause) whose digest admits it to one split only, so splits share no
content with one another or with the corpus, at any size. Labels alternate, so they are balanced at any size.
"""

import hashlib
from dataclasses import dataclass
from typing import ClassVar

from t5grid.config.rules import Count
from t5grid.nano.dice import Dice
from t5grid.nano.facts import bucket
from t5grid.refused import Refused
from t5grid.tasks.answer import Answer, Text
from t5grid.tasks.task import Record

PATIENCE = 3000
"""Rejected candidates in a row after which a split counts as exhausted."""

Candidate = tuple[list, list[Record]]
"""The content that decides the split, and the rows made of it."""


def row(inputs: str, targets: str, **more: object) -> Record:
    return {"inputs": inputs, "targets": targets, **more}


@dataclass(frozen=True)
class NanoTask:
    """A task whose rows are generated; a subclass says how one candidate row is made and scored."""

    name: str = "task"
    num_train: Count = 400
    num_validation: Count = 100
    num_test: Count = 100
    seed: int = 0
    reported: ClassVar[tuple[str, ...]] = ("accuracy",)
    labels: ClassVar[tuple[str, ...]] = ("",)
    answer: ClassVar[Answer] = Text()
    version: ClassVar[int] = 2
    """Raised by hand when the same settings make other rows."""

    def candidate(self, dice: Dice, label: int) -> Candidate:
        """Rows with the label numbered `label`, and their content."""
        raise NotImplementedError

    def usable(self, content: list, split: str) -> bool:
        """Whether rows made of `content` belong to `split`."""
        return bucket(content) == split

    def num_rows(self, split: str) -> int:
        """How many records `split` has, without making them."""
        return {"train": self.num_train, "validation": self.num_validation, "test": self.num_test}[split]

    def records(self, split: str) -> list[Record]:
        """The rows of "train", "validation" or "test"; a larger split begins with the smaller one.

        Raises:
            Refused: unknown split, or the world holds fewer such rows.
        """
        sizes = {"train": self.num_train, "validation": self.num_validation, "test": self.num_test}
        if split not in sizes:
            raise ValueError(f"{self.name}: no split {split!r}: expected one of {list(sizes)}")
        dice = Dice("nano task", type(self).__name__, self.name, self.seed, split)
        rows: dict[str, Record] = {}
        order: list[int] = []
        while len(rows) < sizes[split]:
            order = order or dice.shuffled(range(len(self.labels)))
            for new in self._fresh(dice, order.pop(), split, rows, sizes[split]):
                rows[new["inputs"]] = new
        return list(rows.values())[: sizes[split]]

    def _fresh(self, dice: Dice, label: int, split: str, rows: dict[str, Record], num: int) -> list[Record]:
        for _ in range(PATIENCE):
            content, fresh = self.candidate(dice, label)
            if fresh and self.usable(content, split) and not any(new["inputs"] in rows for new in fresh):
                return fresh
        raise Refused(f"{self.name}: {split} has no more than about {len(rows)} rows, got num_{split}={num}")

    def score(self, records: list[Record], predictions: list[str]) -> dict[str, float]:
        """Share of predictions that are the target, in per cent."""
        from t5grid.tasks.metrics import accuracy

        return accuracy([record["targets"] for record in records], predictions)

    def classes(self, records: list[Record], predictions: list[str]) -> tuple[list[int], list[int]]:
        """Targets and predictions as numbers of labels; a prediction that is no label is -1."""
        numbers = {label: number for number, label in enumerate(self.labels)}
        targets = [numbers[record["targets"]] for record in records]
        return targets, [numbers.get(prediction, -1) for prediction in predictions]

    def fingerprint(self) -> str:
        """Identity of the rows: settings and version, not the code."""
        sizes = (self.num_train, self.num_validation, self.num_test)
        identity = ("nano task", self.version, type(self).__name__, self.name, self.seed, *sizes)
        return hashlib.sha256(repr(identity).encode()).hexdigest()


@dataclass(frozen=True)
class BinaryTask(NanoTask):
    """Two labels, the second one positive; F1 and accuracy."""

    reported: ClassVar[tuple[str, ...]] = ("f1", "accuracy")

    def score(self, records: list[Record], predictions: list[str]) -> dict[str, float]:
        from t5grid.tasks.metrics import accuracy, f1_with_invalid

        targets, guesses = self.classes(records, predictions)
        return f1_with_invalid(targets, guesses) | accuracy(targets, guesses)
