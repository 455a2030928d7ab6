"""findings -> a forest plot: the effect of each comparison, ours and the paper's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Any

from t5grid.results.evidence import Effect
from t5grid.results.findings import Finding
from t5grid.results.plots import COLOURS, drawing

LINEAR = 5.0
"""Deviations up to which the axis is linear; beyond it is logarithmic."""
LINE, HEAD, MARGIN = 0.26, 0.3, 1.3
"""Inches of a comparison, of a claim's name, and of what is around them."""
TICKS = (-100, -20, -5, 0, 5, 20, 100)


@dataclass(frozen=True)
class Compared:
    """One claim of which something has run: its name and verdict, and both effects of each comparison."""

    claim: str
    verdict: str
    effects: Mapping[str, tuple[Effect, Effect | None]]

    @property
    def head(self) -> list[str]:
        """What stands over its comparisons, in lines."""
        return wrap(f"{self.verdict}: {self.claim}", 92)


def compared_claims(judged: Sequence[Finding]) -> tuple[Compared, ...]:
    """The claims that have an effect of ours, each comparison with the paper's own where it has one."""
    claims = []
    for finding in judged:
        paper = {effect.title: effect for effect in finding.paper.effects}
        effects = {effect.title: (effect, paper.get(effect.title)) for effect in finding.ours.effects}
        if effects:
            claims.append(Compared(finding.claim.claim, finding.ours.verdict, effects))
    return tuple(claims)


def forest_plot(scale: str, claims: Sequence[Compared]) -> Any | None:
    """A line a comparison: the median over the columns with the margin of chance, and a speck a column.

    None where no comparison has run.
    """
    if not claims:
        return None
    with drawing() as figure_class:
        height = LINE * (_bottom(claims) + 1) + MARGIN
        figure = figure_class(figsize=(10.5, height), layout="constrained")
        panel = figure.subplots()
        labels = _draw_claims(panel, claims)
        panel.axvline(0, color="#333333", linewidth=1)
        panel.set_xscale("symlog", linthresh=LINEAR)
        panel.set_xticks(TICKS, [f"{tick:+d}".replace("-", "−") if tick else "0" for tick in TICKS])
        panel.set_xlim(-200, 200)
        panel.set_yticks(*labels, fontsize=8)
        panel.set_ylim(_bottom(claims), -0.8)
        panel.set_xlabel(
            "effect in standard deviations of the baseline: to the right the first row is better"
        )
        panel.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False)
        figure.suptitle(f"{scale}: effects behind the paper's claims", fontsize=11, x=0.02, ha="left")
        return figure


def _bottom(claims: Sequence[Compared]) -> float:
    return sum(len(claim.effects) + _rows_of_head(claim) for claim in claims) - 0.3


def _rows_of_head(claim: Compared) -> float:
    return (HEAD + LINE * 0.6 * (len(claim.head) - 1)) / LINE


def _draw_claims(panel: Any, claims: Sequence[Compared]) -> tuple[list[float], list[str]]:
    """Draw every comparison from the top down; where their names go, and the names."""
    y, places, names = 0.0, list[float](), list[str]()
    for claim in claims:
        place = {"transform": panel.get_yaxis_transform(), "va": "center", "fontsize": 8, "weight": "bold"}
        panel.text(0, y + 0.25 * (len(claim.head) - 1), "\n".join(claim.head), **place)
        y += _rows_of_head(claim)
        for title, (ours, paper) in claim.effects.items():
            _draw_effect(panel, ours, y - 0.14, COLOURS[0], "o", "ours" if not places else None)
            if paper is not None:
                _draw_effect(panel, paper, y + 0.18, COLOURS[1], "s", "the paper" if not places else None)
            places.append(y)
            names.append(title)
            y += 1
    return places, ["\n".join(wrap(name, 64)) for name in names]


def _draw_effect(panel: Any, effect: Effect, y: float, colour: str, marker: str, label: str | None) -> None:
    sizes = list(effect.sizes.values())
    panel.plot(sizes, [y] * len(sizes), "|", color=colour, markersize=4, alpha=0.6)
    style = {"color": colour, "markersize": 5, "linewidth": 1.1, "label": label}
    panel.errorbar(effect.size, y, xerr=effect.margin, fmt=marker, **style)
