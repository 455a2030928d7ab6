"""seed -> records of a task: what lists of exercises ask."""

from dataclasses import dataclass
from typing import Annotated

from t5grid.config.rules import Count, OneOf
from t5grid.nano.dice import Dice
from t5grid.nano.exercises import OF_WORDS
from t5grid.nano.nano_task import Candidate, NanoTask, row

FIXED = tuple(kind for kind in OF_WORDS if kind not in ("phrases", "marks"))
"""Kinds whose answer does not depend on the list that a question stands in."""


@dataclass(frozen=True)
class SolvedExercise(NanoTask):
    """`plum` -> `fruit`, and other kinds of exercises; no row stands in a list of the corpus."""

    num_train: Count = 40
    num_validation: Count = 30
    kind: Annotated[str, OneOf(FIXED)] = "sorts"

    def candidate(self, dice: Dice, label: int) -> Candidate:
        content, asked, solution = OF_WORDS[self.kind](dice)(dice)
        return content, [row(f"{self.kind}: {asked}", solution)]
