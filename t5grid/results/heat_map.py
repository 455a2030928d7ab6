"""table -> a heat map: each row's gain over the starred one in each column."""

from typing import Any

from t5grid.results.plots import drawing, head
from t5grid.results.table import WIDTH, Table

MAP = "RdBu"
"""Red is a loss and blue a gain, told apart under every common colour vision."""


def heat_map(table: Table) -> Any | None:
    """Rows by columns, the gain over the starred row in points as colour and number, holes left white.

    A frame stands where a gain or loss is more than two deviations of the starred row. None without a gain.
    """
    gains = gains_of(table)
    if not gains:
        return None
    rows = [row for row in table.rows if not row.starred]
    most = max(1.0, *map(abs, gains.values()))
    with drawing() as figure_class:
        from matplotlib.patches import Rectangle

        width, height = 0.95 * len(table.columns) + 2.6, 0.42 * len(rows) + 1.6
        figure = figure_class(figsize=(max(width, 5.0), height), layout="constrained")
        panel = figure.subplots()
        values = [[gains.get((row.key, c.key), float("nan")) for c in table.columns] for row in rows]
        panel.imshow(values, cmap=MAP, vmin=-most, vmax=most, aspect="auto")
        for y, row in enumerate(rows):
            for x, column in enumerate(table.columns):
                if (gain := gains.get((row.key, column.key))) is not None:
                    colour = "white" if abs(gain) > 0.6 * most else "black"
                    text = f"{gain:+.1f}".replace("-", "−")
                    panel.text(x, y, text, ha="center", va="center", color=colour)
                    if _is_apart(table, column.key, gain):
                        frame = Rectangle((x - 0.46, y - 0.44), 0.92, 0.88, fill=False, linewidth=1.2)
                        panel.add_patch(frame)
        panel.set_xticks(range(len(table.columns)), [c.title for c in table.columns], rotation=25, ha="right")
        panel.set_yticks(range(len(rows)), [row.title for row in rows])
        panel.grid(visible=False)
        says = f"points gained over “{table.starred.title}”"
        says += ", framed beyond two sd" if any(table.deviation(c.key) for c in table.columns) else ""
        head(figure, f"{table.title}: {says}")
        return figure


def gains_of(table: Table) -> dict[tuple[str, str], float]:
    """(row, column) -> points over the starred row, of all that both have a score in."""
    star = {column.key: table.starred.cells[column.key].mean for column in table.columns}
    gains = {}
    for row in table.rows:
        for key, base in star.items():
            mean = row.cells[key].mean
            if not row.starred and mean is not None and base is not None:
                gains[row.key, key] = mean - base
    return gains


def _is_apart(table: Table, column: str, gain: float) -> bool:
    deviation = table.deviation(column)
    return bool(deviation) and abs(gain) > WIDTH * (deviation or 0.0)
