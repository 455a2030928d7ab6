"""records of texts -> bits an id by its place in the segment, as curves and a figure."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from textwrap import wrap
from typing import Any

from t5grid.execution.store import Store
from t5grid.grid.graph import Grid
from t5grid.results.plots import COLOURS, drawing
from t5grid.results.records import Curve, record_of


@dataclass(frozen=True)
class PlaceCurve:
    """Bits an id of a row's first seed; `alone`: with every segment by itself, nothing carried to it."""

    name: str
    column: str
    row: str
    alone: bool
    points: Curve


def places_of(grid: Grid, store: Store, records: Path) -> list[PlaceCurve]:
    """The curves of every row that has read text; a pure function of records.

    Places are those in a segment, of which a text's first is left out, for nothing is carried to it. A row
    without segments is shown at the places of the first that has them; where none has, at those in the text.
    """
    readings = []
    for key, ((_, columns), *_) in grid.rows.items():
        for column, stage in columns.items():
            record = record_of(stage, store, records) if stage.kind == "perplexity" else None
            readings += [
                (key, column, _named(grid, key, name, record), reading)
                for name, reading in ((record or {}).get("perplexity") or {}).items()
            ]
    common = next((reading["segment"] for *_, reading in readings if reading["segment"]), None)
    curves = []
    for key, column, name, reading in readings:
        width = reading["segment"] or common
        curves.append(PlaceCurve(name, column, key, False, by_place(reading["bits"], width)))
        if reading["alone"] is not None:
            points = by_place(reading["alone"], width)
            curves.append(PlaceCurve(f"{name}, nothing carried", column, key, True, points))
    return curves


def _named(grid: Grid, row: str, task: str, record: dict[str, Any] | None) -> str:
    """A row's title, with the task where a column has several."""
    title = grid.experiment.rows[row].title
    return title if len((record or {}).get("perplexity") or {}) == 1 else f"{title}: {task}"


def by_place(bits: Sequence[float], width: int | None) -> Curve:
    """Bits by place in a text -> means by place in its segments after the first; if it is one, as they are.

    >>> by_place([4.0, 3.0, 2.0, 1.0, 0.0], 2)
    [(1, 1.0), (2, 1.0)]
    """
    if width is None or len(bits) <= width:
        return list(enumerate(bits, start=1))
    later = bits[width:]
    return [(place + 1, fmean(later[place::width])) for place in range(min(width, len(later)))]


def places_plot(title: str, curves: Sequence[PlaceCurve]) -> Any | None:
    """Bits an id over the place in the segment, a line a row, dashed where nothing is carried."""
    if not curves:
        return None
    rows = list(dict.fromkeys(curve.row for curve in curves))
    with drawing() as figure_class:
        figure = figure_class(
            figsize=(6 + 0.06 * max(len(c.name) for c in curves), 3.8), layout="constrained"
        )
        panel = figure.subplots()
        for curve in curves:
            places, values = zip(*curve.points, strict=True)
            colour = COLOURS[rows.index(curve.row) % len(COLOURS)]
            dash = "--" if curve.alone else "-"
            panel.plot(places, values, dash, color=colour, linewidth=1.4, label=curve.name)
        panel.set_xlabel("place in the segment")
        panel.set_ylabel("bits an id")
        panel.set_title("\n".join(wrap(f"{title}: held-out text by place, after a text's first segment", 60)))
        figure.legend(loc="outside right upper", frameon=False, fontsize=8)
        return figure
