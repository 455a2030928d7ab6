"""study -> files: tables, figures, scores a task, findings, report; or a wandb run."""

import sys
import webbrowser
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from t5grid.execution.store import Store
from t5grid.files import write_whole
from t5grid.grid.graph import Grid
from t5grid.refused import Refused
from t5grid.results import findings_text, live, report
from t5grid.results.collect import table_of
from t5grid.results.drawing import BOTH, Drawings
from t5grid.results.figures import drawings_of, figures_of, write_figures
from t5grid.results.floors import keep_bounds, kept_bounds
from t5grid.results.per_task import per_task, write_per_task
from t5grid.results.records import keep_records
from t5grid.results.rendering import to_markdown, write_table
from t5grid.results.study import Study
from t5grid.results.table import Table

HIGHEST_PORT = 65535


def publish(
    grid: Grid, store: Store, redraw: bool = True, drawings: Drawings | None = None
) -> tuple[str, Path]:
    """Keep the records of a grid, write its table in every format and its figures; Markdown and its path.

    Without `redraw`, figures are written only where the table has changed.
    """
    results = Path(grid.baseline.runtime.results_dir)
    keep_records(grid, store, results / "records")
    table = bounded(grid, table_of(grid, store, results / "records"), results)
    text, path = to_markdown(table), results / "tables" / f"{grid.stem}.md"
    before = path.read_text(encoding="utf-8") if path.exists() else None
    write_table(table, results / "tables", grid.stem)
    if redraw or before != text:
        figures = figures_of(grid, table, store, results / "records").values()
        write_figures(figures, drawings or drawings_of(results), results / "figures")
    return text, path


def bounded(grid: Grid, table: Table, results: Path) -> Table:
    """A table that has scores with what they lie between, which is made where it is not kept yet."""
    if not any(row.seeds for row in table.rows):
        return table
    keep_bounds([grid.baseline], results)
    return replace(table, bounds=kept_bounds(grid.baseline, results))


def publish_all(study: Study) -> list[str]:
    """Write what a study has to show; one line an experiment says what was done.

    An experiment is left out while no more than half of its rows have a score: rows that it shares with
    others alone make no table. `t5grid table NAME` writes it all the same.
    """
    tables = {
        name: bounded(study.grids[name], table, study.results) for name, table in study.tables().items()
    }
    done = {name: study.grids[name] for name, table in tables.items() if _is_shown(table)}
    drawings = drawings_of(study.results)
    records, folder = study.results / "records", study.results / "tables"
    of_all = [figures_of(grid, tables[name], study.store, records) for name, grid in done.items()]
    drawings([figure for figures in of_all for figure in figures.values()], BOTH)
    lines = []
    for name in tables:
        if name in done:
            lines.append(f"written: {publish(done[name], study.store, drawings=drawings)[1]}")
        else:
            lines.append(f"left out: {name}, most of its rows have not run")
    if done:
        scores = per_task(study.scale, done, study.store, records)
        write_per_task(scores, folder, f"per_task-{study.stem}")
        judged = study.findings(tables)
        text = findings_text.to_markdown(judged, study.scale, study.negative_transfer(tables, judged))
        write_whole(folder / f"findings-{study.stem}.md", text)
        write_figures([study.forest(judged)], drawings, study.results / "figures")
    return lines


def _is_shown(table: Table) -> bool:
    return 2 * sum(bool(row.seeds) for row in table.rows) > len(table.rows)


def write_report(studies: Sequence[Study], path: Path) -> None:
    """Write the page, whole; what it shows of other stages on this machine is as of now."""
    for study in studies:
        study.keep_bounds()
    write_whole(path, report.page([report.page_data(study) for study in studies]))


def serve_report(studies: Sequence[Study], port: int, open_browser: bool) -> None:
    """Serve the live page until interrupted. Raises Refused for a port that cannot be had."""
    if not 0 <= port <= HIGHEST_PORT:
        raise Refused(f"report: --port {port}: from 0 (any free port) to {HIGHEST_PORT}")
    for study in studies:
        study.keep_bounds()
    try:
        server = live.server(studies, port)
    except OSError as error:
        raise Refused(f"report: --port {port}: {error.strerror}; 0 takes any free port") from None
    url = f"http://127.0.0.1:{server.server_address[1]}/"
    print(f"{url} (Ctrl-C ends it)", flush=True)
    if open_browser:
        webbrowser.open(url)
    with server:
        server.serve_forever()


def log_report(study: Study) -> str:
    """Log tables and figures to one Weights & Biases run, offline unless `runtime.wandb=online`; its id."""
    import wandb
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    runtime = next(iter(study.grids.values())).baseline.runtime
    mode: Literal["online", "offline"] = "online" if runtime.wandb == "online" else "offline"
    run: Any = wandb.init(project=runtime.wandb_project, name=f"report {study.stem}", mode=mode)
    for name, grid in study.grids.items():
        table = study.table(name)
        columns: list[str | int] = [table.first_column, *(column.title for column in table.columns)]
        rows = [[row.title, *(row.cells[column.key].mean for column in table.columns)] for row in table.rows]
        run.log({f"{name}/table": wandb.Table(columns=columns, data=rows)})
        for kind, shown in figures_of(grid, table, study.store, study.results / "records").items():
            if figure := shown.draw():
                FigureCanvasAgg(figure)
                run.log({f"{name}/{kind}": wandb.Image(figure)})
    judged = [
        [finding.claim.claim, finding.ours.verdict, finding.ours.numbers] for finding in study.findings()
    ]
    run.log({"findings": wandb.Table(columns=["claim", "verdict", "numbers"], data=judged)})
    run.finish()
    print(f"wandb: {mode} run {run.id}", file=sys.stderr)
    return str(run.id)
