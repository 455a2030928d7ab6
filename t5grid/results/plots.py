"""tables + learning curves -> SVG and PNG: the same rows and columns, to be looked at.

Figures are functions of what tables are made of; the same numbers draw the same bytes under one matplotlib.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from textwrap import wrap
from typing import Any

from t5grid.results.beside import FEWEST_RANKED, order, ranked, ranks
from t5grid.results.records import Curve
from t5grid.results.table import WIDTH, Row, Table, TableColumn

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f", "#000000")
"""The palette of Okabe and Ito (2008), told apart under every common colour vision."""

INCHES_A_LETTER = 0.08
DASHES = ("-", "--", ":")
FLOOR_LINE: dict[str, Any] = {"color": "#555555", "linewidth": 1, "linestyle": (0, (1, 1.5))}
"""How the score of a constant answer is drawn."""
ZERO_TOO: dict[str, Any] = {"linthresh": 1, "linscale": 0.5}
"""How a logarithmic axis has room for zero: it is linear up to one."""

STYLE: dict[Any, Any] = {
    "svg.hashsalt": "t5grid",
    "svg.fonttype": "none",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.8,
    "axes.edgecolor": "#888888",
    "axes.formatter.useoffset": False,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
}


@dataclass(frozen=True)
class Training:
    """One training's losses: its name, what they are of, keys of the rows that stand on it, the curve."""

    name: str
    objective: str
    rows: list[str]
    points: Curve


@contextmanager
def drawing() -> Iterator[Any]:
    """matplotlib without a display, in t5grid's style."""
    import matplotlib

    with matplotlib.rc_context(STYLE):
        from matplotlib.figure import Figure

        yield Figure


def head(figure: Any, text: str, **how: Any) -> None:
    """Write what a figure shows above it, on as many lines as its width asks for."""
    figure.suptitle(text, fontsize=11, wrap=True, **how)


def _panels(
    figure_class: Any, count: int, width: float, height: float, share_y: bool, labels: Sequence[str] = ()
) -> tuple[Any, list[Any]]:
    """A figure of `count` panels in rows of four; the figure and its panels in reading order.

    It is wide enough for `labels` beside panels of an inch and a half.
    """
    across = min(count, 4)
    down = math.ceil(count / across)
    beside = INCHES_A_LETTER * max(map(len, labels), default=0)
    whole = max(width * across + 1.6, beside + 1.5 * across)
    figure = figure_class(figsize=(whole, height * down + 0.7), layout="constrained")
    grid = figure.subplots(down, across, squeeze=False, sharey=share_y).ravel()
    for unused in grid[count:]:
        unused.set_visible(False)
    return figure, list(grid[:count])


def dot_plot(table: Table) -> Any | None:
    """A panel a column, a dot a row with its seeds' deviation, or of one seed its standard error.

    The band is within two deviations of the best, the line is the baseline's mean. None without any score.
    """
    rows = table.rows
    if not any(row.seeds for row in rows):
        return None
    with drawing() as figure_class:
        labels = [*map(_label, rows), *(["Constant answer"] if table.bounds else [])]
        height = 0.24 * len(labels) + 0.6
        figure, panels = _panels(figure_class, len(table.columns), 2.1, height, True, labels)
        for panel, column in zip(panels, table.columns, strict=True):
            means = [row.cells[column.key].mean for row in rows]
            _band(panel, [mean for mean in means if mean is not None], table.deviation(column.key))
            for y, row in enumerate(rows):
                _dot(panel, row, column.key, y)
            star = table.starred.cells[column.key].mean
            if star is not None:
                panel.axvline(star, color=COLOURS[0], linewidth=1, alpha=0.5)
            if floor := _floor(table, column.key):
                panel.axvline(floor, **FLOOR_LINE)
                panel.plot(floor, len(rows), "D", markersize=4, color="white", markeredgecolor="#555555")
            panel.set_title(column.title)
            panel.set_yticks(range(len(labels)), labels)
            panel.set_ylim(len(labels) - 0.5, -0.5)
        says = "scores (0 to 100) ± sd of the seeds, shaded within two sd of the best"
        says += ", dotted: a constant answer" if table.bounds else ""
        head(figure, f"{table.title}: {says}")
        return figure


def _floor(table: Table, column: str) -> float | None:
    """What a constant answer scores in a column; None where that is not known."""
    return table.bounds[column].floor if column in table.bounds else None


def _label(row: Row) -> str:
    return ("★ " if row.starred else "") + row.title


def _band(panel: Any, means: Sequence[float], deviation: float | None) -> None:
    if means and deviation:
        best = max(means)
        panel.axvspan(best - WIDTH * deviation, best, color="#009e73", alpha=0.12, linewidth=0)


def _dot(panel: Any, row: Row, column: str, y: float) -> None:
    cell = row.cells[column]
    if cell.mean is None:
        return
    colour = COLOURS[0] if row.starred else "#333333"
    if cell.error is not None:
        panel.plot([cell.mean - cell.error, cell.mean + cell.error], [y, y], color=colour, linewidth=0.8)
    panel.errorbar(
        cell.mean, y, xerr=cell.deviation, fmt="o", markersize=5, color=colour, ecolor=colour, capsize=2
    )


def rank_plot(table: Table) -> Any | None:
    """A panel a mirrored column: our score over the paper's rank of the row, each dot with the row's number.

    None below three ranked rows.
    """
    panels_of = [(column, points) for column in table.columns if (points := _ranked(table, column))]
    if not panels_of:
        return None
    with drawing() as figure_class:
        figure, panels = _panels(figure_class, len(panels_of), 2.6, 2.1, share_y=False)
        numbers = {row.key: k for k, row in enumerate(table.rows, 1)}
        for panel, (column, points) in zip(panels, panels_of, strict=True):
            places = ranks([-printed for printed, _, _ in points])
            for k, (rank, (_, mean, row)) in enumerate(zip(places, points, strict=True)):
                beside = 0.5 * (places[:k].count(rank) - (places.count(rank) - 1) / 2)
                _numbered(panel, rank + beside, mean, row, numbers[row.key])
            if floor := _floor(table, column.key):
                panel.axhline(floor, **FLOOR_LINE)
            agreement = f"{order(table, column).correlation:+.2f}".replace("-", "−")
            panel.set_title(f"{column.title} ({column.mirrors})\nρ = {agreement}", fontsize=9)
            panel.set_xlabel("rank in the paper (1 = best)")
            ticks = sorted(set(places))
            panel.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
            panel.margins(0.08, 0.12)
        _name_numbers(figure, [row for _, points in panels_of for _, _, row in points], numbers)
        says = "our score against the paper's rank" + (", dotted: a constant answer" if table.bounds else "")
        head(figure, f"{table.title}: {says}")
        return figure


def _ranked(table: Table, column: TableColumn) -> list[tuple[float, float, Row]]:
    """(the paper's score, ours, the row) of a column's rows; empty where there are too few to rank."""
    points = ranked(table, column)
    return points if len(points) >= FEWEST_RANKED else []


def _numbered(panel: Any, rank: float, mean: float, row: Row, number: int) -> None:
    """A dot with a number in it; the starred row's is filled."""
    fill, ink = (COLOURS[0], "white") if row.starred else ("white", "#222222")
    edge = COLOURS[0] if row.starred else "#777777"
    panel.plot(rank, mean, "o", markersize=10, color=fill, markeredgecolor=edge, markeredgewidth=0.8)
    panel.text(rank, mean, str(number), ha="center", va="center_baseline", fontsize=6.5, color=ink)


def _name_numbers(figure: Any, rows: Sequence[Row], numbers: Mapping[str, int]) -> None:
    """Say at the right which row each number is."""
    from matplotlib.lines import Line2D

    named = {numbers[row.key]: f"{numbers[row.key]}  {_label(row)}" for row in rows}
    names = [named[number] for number in sorted(named)]
    handles = [Line2D([], [], linestyle="") for _ in names]
    style = {"frameon": False, "fontsize": 8, "handlelength": 0, "handletextpad": 0}
    figure.legend(handles, names, loc="outside right upper", **style)


def curve_plot(title: str, trainings: Sequence[Training]) -> Any | None:
    """Training loss over steps, a line a training (as the paper's Figure 6), a panel an objective.

    Losses of different objectives cannot be compared. None without curves; a single line is that of all rows
    and needs no name.
    """
    panels_of: dict[str, list[Training]] = {}
    for training in trainings:
        if len(training.points) > 1:
            panels_of.setdefault(training.objective, []).append(training)
    if not panels_of:
        return None
    if len(panels_of) == 1:
        return _one_panel(title, next(iter(panels_of.values())))
    with drawing() as figure_class:
        figure, panels = _panels(figure_class, len(panels_of), 2.5, 1.9, share_y=False)
        for panel, (objective, alike) in zip(panels, panels_of.items(), strict=True):
            _draw_curves(panel, alike)
            panel.set_title("\n".join(wrap(alike[0].name if len(alike) == 1 else objective, 34)), fontsize=9)
            if len(alike) > 1:
                panel.legend(frameon=False, fontsize=7)
        figure.supxlabel("step", fontsize=9)
        figure.supylabel("nats a target token", fontsize=9)
        head(figure, f"{title}: training loss, a panel an objective")
        return figure


def _one_panel(title: str, trainings: Sequence[Training]) -> Any:
    width = 5.5 + 0.07 * max(len(training.name) for training in trainings)
    with drawing() as figure_class:
        figure = figure_class(figsize=(width, 3.8), layout="constrained")
        panel = figure.subplots()
        _draw_curves(panel, trainings)
        panel.set_xlabel("step")
        panel.set_ylabel("nats a target token")
        panel.set_title("\n".join(wrap(f"{title}: training loss", 60)))
        if len(trainings) > 1:
            figure.legend(loc="outside right upper", frameon=False, fontsize=8)
        return figure


def _draw_curves(panel: Any, trainings: Sequence[Training]) -> None:
    for k, training in enumerate(trainings):
        steps, losses = zip(*training.points, strict=True)
        dash = DASHES[k // len(COLOURS) % len(DASHES)]
        panel.plot(steps, losses, dash, color=COLOURS[k % len(COLOURS)], linewidth=1.4, label=training.name)


def axis_plot(table: Table, label: str, positions: Mapping[str, tuple[float, str]], log: bool) -> Any | None:
    """A panel a column: score over a number that the rows vary (`positions[row] = (number, series)`)."""
    placed = [row for row in table.rows if row.key in positions and row.seeds]
    if len(placed) < 2:
        return None
    series = list(dict.fromkeys(positions[row.key][1] for row in placed))
    with drawing() as figure_class:
        figure, panels = _panels(figure_class, len(table.columns), 2.4, 2.1, share_y=False)
        for panel, column in zip(panels, table.columns, strict=True):
            for k, name in enumerate(series):
                points = _along(placed, column.key, positions, name)
                if points:
                    x, y, spread = zip(*points, strict=True)
                    panel.errorbar(x, y, yerr=spread, marker="o", markersize=4, color=COLOURS[k], label=name)
            star = table.starred.cells[column.key].mean
            if star is not None:
                panel.axhline(star, color="#888888", linewidth=1, linestyle="--")
            if floor := _floor(table, column.key):
                panel.axhline(floor, **FLOOR_LINE)
            ticks = sorted({positions[row.key][0] for row in placed})
            if log and ticks[0] > 0:
                panel.set_xscale("log")
            elif log:
                panel.set_xscale("symlog", **ZERO_TOO)
                panel.set_xlim(-0.4, 1.4 * ticks[-1])
            if log:
                panel.set_xticks([], minor=True)
            panel.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
            panel.set_title(column.title)
        figure.supxlabel(label, fontsize=9)
        if any(series):
            _name_series(figure, panels, series)
        says = "scores (0 to 100) ± sd of the seeds, dashed: the starred row"
        says += ", dotted: a constant answer" if table.bounds else ""
        head(figure, f"{table.title}: {says}", x=0.02, ha="left")
        return figure


def _name_series(figure: Any, panels: Sequence[Any], series: Sequence[str]) -> None:
    """One legend for all panels, of which each may lack some of the series."""
    pairs = (pair for panel in panels for pair in zip(*panel.get_legend_handles_labels(), strict=True))
    handles = {name: handle for handle, name in pairs}
    names = sorted(handles, key=series.index)
    figure.legend(
        [handles[name] for name in names], names, loc="outside right upper", frameon=False, fontsize=8
    )


def _along(
    rows: Sequence[Row], column: str, positions: Mapping[str, tuple[float, str]], series: str
) -> list[tuple[float, float, float]]:
    """(number, mean, deviation) of one series' rows, ascending."""
    cells = [(positions[row.key], row.cells[column]) for row in rows]
    return sorted(
        (x, cell.mean, cell.deviation or 0.0)
        for (x, name), cell in cells
        if name == series and cell.mean is not None
    )


def cost_plot(table: Table, costs: Mapping[str, tuple[float, float]]) -> Any | None:
    """The mean over the columns against seconds and FLOPs of a row's training (`costs[row]`)."""
    points = []
    for row in table.rows:
        means = [cell.mean for cell in row.cells.values() if cell.mean is not None]
        if row.key in costs and len(means) == len(table.columns):
            points.append((*costs[row.key], sum(means) / len(means), row))
    if len(points) < 2:
        return None
    with drawing() as figure_class:
        figure = figure_class(figsize=(8.6, 3.8), layout="constrained")
        panels = figure.subplots(1, 2, sharey=True)
        for k, (seconds, flops, score, row) in enumerate(points):
            style = {
                "marker": "*" if row.starred else "osDv^P"[k // len(COLOURS) % 6],
                "color": COLOURS[k % len(COLOURS)],
                "linestyle": "",
                "markersize": 9 if row.starred else 6,
            }
            panels[0].plot(seconds, score, label=_label(row), **style)
            panels[1].plot(flops, score, **style)
        if len(table.bounds) == len(table.columns):
            mean = sum(bounds.floor for bounds in table.bounds.values()) / len(table.bounds)
            panels[0].axhline(mean, label="Constant answer", **FLOOR_LINE)
            panels[1].axhline(mean, **FLOOR_LINE)
        panels[0].set(xlabel="seconds of training on the machine that ran it", ylabel="mean over the columns")
        operations = [point[1] for point in points]
        scale = "log" if max(operations) > 10 * min(operations) else "linear"
        panels[1].set(xlabel="FLOPs of training", xscale=scale)
        figure.legend(loc="outside right upper", frameon=False, fontsize=8)
        head(figure, f"{table.title}: cost against score")
        return figure


def svg(figure: Any) -> bytes:
    """A figure as SVG, its text as text, in a font of the same widths where matplotlib's own is missing."""
    import matplotlib

    drawn = f"t5grid, matplotlib {matplotlib.__version__}"
    text = _saved(figure, "svg", metadata={"Date": None, "Creator": drawn})
    return text.replace(b"'DejaVu Sans'", b"'DejaVu Sans', Verdana, sans-serif")


def png(figure: Any) -> bytes:
    """A figure as PNG, about 1,000 pixels wide."""
    return _saved(figure, "png", dpi=130, metadata={"Software": "t5grid"})


def _saved(figure: Any, ending: str, **options: Any) -> bytes:
    with drawing():
        buffer = BytesIO()
        figure.savefig(buffer, format=ending, **options)
        return buffer.getvalue()
