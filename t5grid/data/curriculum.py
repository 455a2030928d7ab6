"""step -> how hard: a mixing of graded tasks whose rates change in phases."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil
from typing import Literal

from t5grid.data.mixing import Mixing, MixturePart, Phase
from t5grid.refused import Refused

WEIGHTS = {
    "none": (1.0, 0.0, 0.0),
    "naive": (0.0, 1.0, 0.0),
    "mixed": (0.0, 0.0, 1.0),
    "combined": (0.0, 0.5, 0.5),
}
"""How much of each strategy goes to the hardest grade, to the grade whose turn it is, to all grades alike."""


@dataclass(frozen=True)
class Curriculum(Mixing):
    """The strategies of Zaremba and Sutskever (2014, "Learning to Execute", section 4).

        none      the hardest grade only, which is the one that counts
        naive     one grade after another, from the easiest to the hardest
        mixed     every grade all the time
        combined  each example by naive or by mixed, one as likely as the other

    Columns are drawn equally often. Where the paper moves on to the next grade once learning stops making
    progress, a grade here has an equal part of the steps: a batch is a function of the step alone.
    """

    strategy: Literal["none", "naive", "mixed", "combined"] = "none"

    def phases(self, parts: Sequence[MixturePart]) -> tuple[Phase, ...]:
        """One phase a grade of the column with most; equal neighbours are one. Raises Refused."""
        grades = _grades(parts)
        count = max(map(len, grades.values()))
        phases = [
            Phase((turn + 1) / count, self._rates(parts, grades, (turn + 1) / count)) for turn in range(count)
        ]
        changes = [phase.rates != following.rates for phase, following in pairwise(phases)]
        return tuple(phase for phase, ends in zip(phases, [*changes, True], strict=True) if ends)

    def rates(self, parts: Sequence[MixturePart]) -> tuple[float, ...]:
        """The rates training ends with."""
        return self.phases(parts)[-1].rates

    def _rates(
        self, parts: Sequence[MixturePart], grades: dict[str, list[int]], until: float
    ) -> tuple[float, ...]:
        """Rates of the phase that ends at the share `until` of all steps."""
        hardest, turn, alike = WEIGHTS[self.strategy]
        rates = []
        for part in parts:
            ladder = grades[_column(part)]
            now = ladder[ceil(until * len(ladder) - 1e-9) - 1]
            weight = (
                hardest * (part.difficulty == ladder[-1])
                + turn * (part.difficulty == now)
                + alike / len(ladder)
            )
            num_of_grade = sum(
                _column(peer) == _column(part) and peer.difficulty == part.difficulty for peer in parts
            )
            rates.append(weight / num_of_grade)
        return tuple(rates)


def _column(part: MixturePart) -> str:
    return part.name.partition(".")[0]


def _grades(parts: Sequence[MixturePart]) -> dict[str, list[int]]:
    """Each column's grades, easiest first. Raises Refused where a part has none."""
    grades: dict[str, set[int]] = {}
    for part in parts:
        if part.difficulty is None:
            raise Refused(
                f"mixing=curriculum: {part.name} has no difficulty; "
                "strategy=single_task suite=programs mixes graded tasks only"
            )
        grades.setdefault(_column(part), set()).add(part.difficulty)
    return {column: sorted(difficulties) for column, difficulties in grades.items()}
