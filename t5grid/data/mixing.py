"""numbers of examples -> rates: how often each data set of a mixture is drawn.

A mixing sees the parts of a mixture, the unlabelled text among them, and gives each a rate; shares are rates
over their sum (paper, section 3.5.2). The rule and its order, `(min(n * scale, K)) ** (1 / T)`, are those of
the original code.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

from t5grid.config.rules import Above, Count
from t5grid.refused import Refused

UNSUPERVISED = "unsupervised"
"""Name of the part that is unlabelled text."""


@dataclass(frozen=True)
class MixturePart:
    """One data set of a mixture.

    Args:
        name: `column.task`, or `unsupervised`.
        num_examples: training rows, or documents; None for a corpus of unknown size, which counts as more
            than any limit (paper, section 3.5.2).
        copies: how many columns of the mixture hold a task of this name (RTE is in GLUE and SuperGLUE).
        of_benchmark: whether its column holds several tasks, as GLUE and SuperGLUE do.
        difficulty: its grade from 1 up, where the task has one.
    """

    name: str
    num_examples: int | None
    copies: int = 1
    of_benchmark: bool = False
    difficulty: int | None = None


@dataclass(frozen=True)
class Phase:
    """A stretch of training under fixed rates; `until` is the share of all steps after which it ends."""

    until: float
    rates: tuple[float, ...]


def rate(num_examples: float, limit: float | None, temperature: float = 1.0, scale: float = 1.0) -> float:
    """The rate of one data set: scaled, then limited, then tempered.

    >>> rate(70_000, limit=65_536, temperature=2.0)
    256.0
    """
    scaled = num_examples * scale
    return (scaled if limit is None else min(scaled, limit)) ** (1 / temperature)


class Mixing:
    """What a mixing is: a subclass gives each part of a mixture its rate."""

    axis: ClassVar[str] = "mixing"

    def rates(self, parts: Sequence[MixturePart]) -> tuple[float, ...]:
        """The rate of each part."""
        raise NotImplementedError

    def phases(self, parts: Sequence[MixturePart]) -> tuple[Phase, ...]:
        """One, unless a subclass says otherwise: the rates never change."""
        return (Phase(1.0, self.rates(parts)),)


@dataclass(frozen=True)
class Equal(Mixing):
    """Every data set as often as any other (paper, section 3.5.2, "Equal mixing")."""

    def rates(self, parts: Sequence[MixturePart]) -> tuple[float, ...]:
        """Rate 1 each."""
        return tuple(1.0 for _ in parts)


@dataclass(frozen=True)
class ExamplesProportional(Mixing):
    """In proportion to the number of examples, up to an artificial limit K (paper, section 3.5.2).

        sizes 10, 500, 9000 with K = 1000 -> rates 10, 500, 1000

    Args:
        limit: the study's K; None is no limit.
        limit_scale: what a limit is multiplied by on a suite that is smaller than the study's.
        limit_parts: whether the limit (and the temperature) acts on the tasks of a benchmark too. It does in
            the paper's formula and did in the study's runs; the authors' code of today takes their plain
            number of examples.
        halve_repeated: whether a task that is in several columns counts once in all, as the two RTEs do in
            the study's mixtures.
        unlabelled_limit: a limit of the unlabelled text alone, as the final models had (paper, section 3.7);
            None is `limit`.
    """

    limit: Count | None
    limit_scale: Annotated[float, Above(0)] = 1.0
    limit_parts: bool = True
    halve_repeated: bool = True
    unlabelled_limit: Count | None = None
    temperature: ClassVar[float] = 1.0

    def __post_init__(self) -> None:
        if self.scaled_limit is not None and self.scaled_limit < 1:
            raise Refused(
                f"mixing.limit={self.limit} times mixing.limit_scale={self.limit_scale:g}: "
                f"leaves {self.scaled_limit:g} examples; at least 1 is needed"
            )

    @property
    def scaled_limit(self) -> float | None:
        """The limit in examples of the suite at hand."""
        return None if self.limit is None else self.limit * self.limit_scale

    def rates(self, parts: Sequence[MixturePart]) -> tuple[float, ...]:
        """The rate of each part. Raises Refused where a size is needed and unknown."""
        return tuple(map(self._rate, parts))

    def _rate(self, part: MixturePart) -> float:
        limit = self._limit(part)
        size: float | None = limit if part.num_examples is None else part.num_examples
        if size is None:
            raise Refused("mixing.limit=null: the number of documents is known once they are encoded")
        scale = 1 / part.copies if self.halve_repeated else 1.0
        if part.of_benchmark and not self.limit_parts:
            return size * scale
        return rate(size, limit, self.temperature, scale)

    def _limit(self, part: MixturePart) -> float | None:
        if part.name == UNSUPERVISED and self.unlabelled_limit is not None:
            return self.unlabelled_limit * self.limit_scale
        return self.scaled_limit


@dataclass(frozen=True)
class TemperatureScaled(ExamplesProportional):
    """Examples-proportional rates to the power 1/T, so that T = 1 is that and a large T near equal.

    sizes 10, 500, 9000 with K = 1000 and T = 2 -> rates 3.16, 22.4, 31.6
    """

    temperature: Annotated[float, Above(0)] = 2.0  # type: ignore[misc]

    def rates(self, parts: Sequence[MixturePart]) -> tuple[float, ...]:
        """The rate of each part. Raises Refused where they leave what a number can hold."""
        try:
            rates = super().rates(parts)
        except OverflowError:
            rates = ()
        if not 0 < sum(rates) < math.inf:
            raise Refused(f"mixing.temperature={self.temperature:g}: too low, no number holds the rates")
        return rates


def shares(rates: Sequence[float]) -> tuple[float, ...]:
    """Rates over their sum."""
    total = sum(rates)
    return tuple(rate / total for rate in rates)


def table(parts: Sequence[MixturePart], phases: Sequence[Phase]) -> list[str]:
    """Lines of a table: size, rate and share of every part; one column of shares a phase."""
    width = max(len(part.name) for part in parts)
    spans = [f"to {phase.until:.0%}" for phase in phases] if len(phases) > 1 else ["share"]
    lines = [f"{'part':<{width}}{'examples':>12}{'rate':>14}" + "".join(f"{span:>10}" for span in spans)]
    columns = [shares(phase.rates) for phase in phases]
    for i, part in enumerate(parts):
        size = "unknown" if part.num_examples is None else f"{part.num_examples:,}"
        last = phases[-1].rates[i]
        rates = f"{last:,.0f}" if last >= 1000 else f"{last:,.6g}"
        lines.append(
            f"{part.name:<{width}}{size:>12}{rates:>14}"
            + "".join(f"{column[i]:>10.2%}" for column in columns)
        )
    return lines
