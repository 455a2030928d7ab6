"""grid + records -> the numbers of a page's charts: ranks, curves, an axis, costs."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from t5grid.execution.store import Store
from t5grid.grid.graph import Grid
from t5grid.results.beside import FEWEST_RANKED, order, ranked, ranks
from t5grid.results.figures import costs_of, curves_of
from t5grid.results.places import places_of
from t5grid.results.table import Table, TableColumn


def charts_of(grid: Grid, table: Table, store: Store, records: Path) -> dict[str, Any]:
    """What the charts of a table's page need beside its scores, as plain types.

    ranks: column -> row -> its rank in the paper; curves: the trainings behind the rows; costs: row ->
    (seconds, FLOPs); axis: the number that the rows vary, if they do; places: bits an id by place.
    """
    experiment = grid.experiment
    places = {key: (row.x, row.series) for key, row in experiment.rows.items() if row.x is not None}
    return {
        "ranks": {
            column.key: placed for column in table.columns if (placed := _ranks(table, column)) is not None
        },
        "curves": [asdict(training) for training in curves_of(grid, store, records)],
        "costs": costs_of(grid, store, records),
        "places": [asdict(curve) for curve in places_of(grid, store, records)],
        "axis": {"title": experiment.x_title, "log": experiment.x_log, "places": places} if places else None,
    }


def _ranks(table: Table, column: TableColumn) -> dict[str, Any] | None:
    points = ranked(table, column)
    if len(points) < FEWEST_RANKED:
        return None
    places = ranks([-printed for printed, _, _ in points])
    rows = {row.key: place for (_, _, row), place in zip(points, places, strict=True)}
    return {"correlation": order(table, column).correlation, "places": rows}
