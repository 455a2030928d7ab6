"""jobs of a multirun -> one table, and one figure over what was varied."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from t5grid.config.schema import Cell, Cells
from t5grid.execution.store import Store
from t5grid.files import write_whole
from t5grid.grid.experiment import Experiment, RowSpec
from t5grid.grid.graph import Grid
from t5grid.refused import Refused

SEED = "seed"
DECADE = 10.0
"""Where the largest of the numbers varied is so many times the smallest, a figure's axis has decades."""


@dataclass(frozen=True)
class Job:
    """What a job of a multirun was asked for and came to, and the folder of them all."""

    words: tuple[str, ...]
    code: int
    folder: Path


def joined(jobs: Sequence[Job], command: str) -> Grid:
    """The jobs as a table: a row for each that differs in more than its seed, the defaults' starred.

    Where none has what the config says without them, the first is. Raises Refused where columns differ.
    """
    loader = Cells()
    cells = [loader.load(job.words) for job in jobs]
    varied = _varied(jobs)
    rows: dict[str, RowSpec] = {}
    members: dict[str, list[Cell]] = {}
    for job, cell in zip(jobs, cells, strict=True):
        own = {key: value for key, value in _settings(job).items() if key in varied}
        title = _title(own)
        key = re.sub(r"[^A-Za-z0-9_.-]+", "_", title)
        rows.setdefault(key, RowSpec(title, [f"{k}={v}" for k, v in own.items()]))
        members.setdefault(key, []).append(cell)
    _check_columns(cells)
    _place(rows, varied)
    starred = _default_row(jobs[0], varied, members, loader)
    rows[starred].starred = True
    over = ", ".join(varied) or SEED
    experiment = Experiment(
        title=f"Over {over}",
        first_column=over,
        rows=rows,
        command=command,
        x_title=_axis(rows, varied),
        x_log=_spans_decades([row.x for row in rows.values() if row.x is not None]),
        name="multirun",
    )
    return Grid(experiment, members[starred][0], _with_stages(members))


def _title(own: Mapping[str, str]) -> str:
    """What tells a row from the others; a value alone stands under the head that names its key."""
    if len(own) == 1:
        return next(iter(own.values()))
    return ", ".join(f"{key}={value}" for key, value in own.items()) or "every seed"


def _settings(job: Job) -> dict[str, str]:
    """Key -> value of a job's words."""
    return {word.partition("=")[0]: word.partition("=")[2] for word in job.words}


def _varied(jobs: Sequence[Job]) -> list[str]:
    """The keys, but for the seed, that have several values in the jobs."""
    settings = [_settings(job) for job in jobs]
    keys = dict.fromkeys(key for of_job in settings for key in of_job if key != SEED)
    return [key for key in keys if len({of_job.get(key) for of_job in settings}) > 1]


def _check_columns(cells: Sequence[Cell]) -> None:
    first = list(cells[0].suite.chosen())
    for cell in cells:
        if (columns := list(cell.suite.chosen())) != first:
            raise Refused(f"columns {', '.join(first)} in one job, {', '.join(columns)} in another")


def _place(rows: Mapping[str, RowSpec], varied: Sequence[str]) -> None:
    """Say of each row where it stands over the first number that is varied, and in which line."""
    for row in rows.values():
        values = dict(word.split("=", 1) for word in row.overrides)
        if key := _axis(rows, varied):
            row.x = float(values[key])
            row.series = ", ".join(f"{name}={value}" for name, value in values.items() if name != key)


def _axis(rows: Mapping[str, RowSpec], varied: Sequence[str]) -> str:
    """The first key that is a number in every row; empty where there is none."""
    for key in varied:
        values = [dict(word.split("=", 1) for word in row.overrides).get(key, "") for row in rows.values()]
        if all(map(_is_number, values)):
            return key
    return ""


def _is_number(text: str) -> bool:
    return bool(re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", text, re.IGNORECASE))


def _spans_decades(numbers: Sequence[float]) -> bool:
    return bool(numbers) and min(numbers) > 0 and max(numbers) >= DECADE * min(numbers)


def _default_row(job: Job, varied: Sequence[str], members: Mapping[str, list[Cell]], loader: Cells) -> str:
    """The row of what the config says where nothing is varied, else the first."""
    common = [word for word in job.words if word.partition("=")[0] not in (*varied, SEED)]
    first = next(iter(members))
    try:
        plain = loader.load(common).config
    except Refused:  # what is varied is needed
        return first
    alike = (key for key, cells in members.items() if cells[0].config == {**plain, SEED: cells[0].seed})
    return next(alike, first)


def _with_stages(members: Mapping[str, list[Cell]]) -> dict[str, list[tuple[Cell, dict[str, Any]]]]:
    return {key: [(cell, cell.strategy.stages(cell)) for cell in cells] for key, cells in members.items()}


def write_joined(jobs: Sequence[Job], command: str) -> list[str]:
    """Write table and figure of several jobs into their folder; what to print, nothing where none has scores.

    Raises Refused where the jobs make no table.
    """
    if len(jobs) < 2:
        return []
    from t5grid.results.collect import table_of
    from t5grid.results.drawing import BOTH, drawn_together
    from t5grid.results.figures import figures_of
    from t5grid.results.publishing import bounded
    from t5grid.results.rendering import to_markdown, write_table

    grid, folder = joined(jobs, command), jobs[0].folder
    runtime = grid.baseline.runtime
    store, results = Store(runtime.runs_dir), Path(runtime.results_dir)
    table = bounded(grid, table_of(grid, store, results / "records"), results)
    if not any(row.seeds for row in table.rows):
        return []
    written = write_table(table, folder, "table")
    figure = figures_of(grid, table, store, results / "records")[
        "axis" if grid.experiment.x_title else "dots"
    ]
    for form, content in drawn_together([figure], BOTH)[0].items():
        if content:
            written.append(folder / f"figure.{form}")
            write_whole(written[-1], content)
    return [to_markdown(table), f"written: {', '.join(map(str, written))}"]
