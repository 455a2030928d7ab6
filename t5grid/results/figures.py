"""grid + records -> the figures of one table: dots, ranks, curves, an axis, costs."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from t5grid.config.build import build
from t5grid.config.reuse import ByObject
from t5grid.config.schema import Runtime
from t5grid.execution.store import Store
from t5grid.files import write_whole
from t5grid.grid.graph import Grid
from t5grid.refused import Refused
from t5grid.results import plots
from t5grid.results.drawing import BOTH, Drawings, Figure
from t5grid.results.heat_map import heat_map
from t5grid.results.places import places_of, places_plot
from t5grid.results.plots import Training
from t5grid.results.records import NOT_KEPT, Curve, curve_places, losses_in, record_of
from t5grid.results.table import Provenance, Table
from t5grid.stages.stage import Stage, with_parents
from t5grid.stages.workload import estimate

PRETRAININGS = ("pretrain", "multitask", "tied")
MOST_POINTS = 200
"""Points drawn of a curve; a longer one is thinned evenly, its last point kept."""


def curve_of(stage: Stage, store: Store, records: Path) -> Curve:
    """(step, loss) of a training, from the store or the kept records; empty where there is none."""
    for path in curve_places(stage, store, records):
        with suppress(Refused):  # one of no use is set aside, and named by records.set_aside
            rows = losses_in(path)
            if rows is None:
                continue
            every = max(1, -(-len(rows) // MOST_POINTS))
            return [row for k, row in enumerate(rows) if (len(rows) - 1 - k) % every == 0]
    return []


def curves_of(grid: Grid, store: Store, records: Path) -> list[Training]:
    """A curve for each different pre-training or multi-task training of the rows' first seeds.

    It bears the title of the first row that stands on it; where a row has several, also what tells their
    names apart. Those whose losses are of the same objective stand in one panel.
    """
    curves: dict[str, Training] = {}
    for key, ((cell, columns), *_) in grid.rows.items():
        title = grid.experiment.rows[key].title
        trainings = [s for s in with_parents(list(columns.values())) if s.kind in PRETRAININGS]
        for stage, distinction in zip(trainings, _own_parts([s.name for s in trainings]), strict=True):
            if stage.identity in curves:
                curves[stage.identity].rows.append(key)
            elif points := curve_of(stage, store, records):
                name = f"{title}: {distinction.replace('_', ' ')}" if distinction else title
                panel = _objective(stage, cell.labels["objective"])
                curves[stage.identity] = Training(name, panel, [key], points)
    return list(curves.values())


def _objective(stage: Stage, label: str) -> str:
    """What a training's loss is of, in words: losses of different ones cannot be compared."""
    settings = stage.config.get("objective")
    if not settings:
        return "labelled tasks"
    values = [
        f"{name.replace('_', ' ')} {value}" for name, value in settings.items() if not name.startswith("_")
    ]
    words = label.partition(",")[0].replace("_", " ") + (f" ({', '.join(values)})" if values else "")
    return f"tasks and {words}" if stage.kind == "multitask" else words


def _own_parts(names: Sequence[str]) -> list[str]:
    """Of each name the parts between hyphens that not all have: a-b_c-s0, a-d-s0 -> b_c, d."""
    parts = [name.split("-") for name in names]
    shared = set(parts[0]).intersection(*parts) if parts else set()
    return [", ".join(part for part in words if part not in shared) for words in parts]


def costs_of(grid: Grid, store: Store, records: Path) -> dict[str, tuple[float, float]]:
    """(seconds, FLOPs) of all training behind a row's first seed; rows without all records are left out.

    FLOPs are those recorded; of a stage that recorded none, those planned.
    """
    costs, built = {}, ByObject(build)
    for key, ((cell, columns), *_) in grid.rows.items():
        stages = [s for s in with_parents(list(columns.values())) if s.kind not in NOT_KEPT and not s.scores]
        kept = [record_of(stage, store, records) or {} for stage in stages]
        if kept and all("seconds" in record for record in kept):
            flops = [
                record["flops"] if "flops" in record else _planned(stage, cell.runtime, built)
                for stage, record in zip(stages, kept, strict=True)
            ]
            costs[key] = (sum(record["seconds"] for record in kept), sum(flops))
    return costs


def _planned(stage: Stage, runtime: Runtime, built: ByObject) -> float:
    work = stage.workload(built)
    return estimate(work, runtime).flops.total if work else 0.0


def figures_of(grid: Grid, table: Table, store: Store, records: Path) -> dict[str, Figure]:
    """What may be drawn of a table, by the ending of the files' names; of some there is nothing to draw."""
    experiment, scores = grid.experiment, _scores_alone(table)
    positions = {key: (row.x, row.series) for key, row in experiment.rows.items() if row.x is not None}
    possible: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
        "dots": (plots.dot_plot, (scores,)),
        "ranks": (plots.rank_plot, (scores,)),
        "curves": (plots.curve_plot, (table.title, tuple(curves_of(grid, store, records)))),
        "axis": (plots.axis_plot, (scores, experiment.x_title, positions, experiment.x_log)),
        "cost": (plots.cost_plot, (scores, costs_of(grid, store, records))),
    }
    if places := places_of(grid, store, records):
        possible["places"] = (places_plot, (table.title, tuple(places)))
    if experiment.heat_map:
        possible["gains"] = (heat_map, (scores,))
    return {ending: Figure(f"{grid.stem}-{ending}", *drawn) for ending, drawn in possible.items()}


def _scores_alone(table: Table) -> Table:
    """A table without what no figure shows, so that none is drawn again for it."""
    nothing = Provenance("", "", "")
    return replace(table, reproduces="", command="", provenance=nothing, shown=())


def drawings_of(results: Path) -> Drawings:
    """The figures kept in a folder of results, where no one else looks at them."""
    return Drawings(results / ".drawn")


def write_figures(figures: Iterable[Figure], drawings: Drawings, folder: Path) -> list[Path]:
    """Write `NAME.svg` and `NAME.png` of every figure that there is something to draw of; their paths."""
    written = []
    for name, drawn in drawings(figures, BOTH).items():
        for form, content in drawn.items():
            if content:
                written.append(folder / f"{name}.{form}")
                write_whole(written[-1], content)
    return written
