"""study -> one self-contained HTML page: grid, tables, findings, figures, every cell.

The page is a template with the data beside it as JSON, drawn by its own script; it loads nothing else.
`serve` gives the same page on the loopback interface and fresh data as records land.
"""

import base64
import hashlib
import json
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from t5grid.config.reuse import ByObject
from t5grid.grid.graph import MACHINE, Grid
from t5grid.grid.published import PaperRow, paper_deviations
from t5grid.results.beside import gains
from t5grid.results.drawing import SVG, Drawings
from t5grid.results.figures import curve_of, drawings_of, figures_of
from t5grid.results.overview import groups, heat, summary, warmth
from t5grid.results.records import fault_of, record_of, undefined_in
from t5grid.results.rendering import bound_lines
from t5grid.results.study import Study
from t5grid.results.table import Row, Scores, Table, caption, paper_source
from t5grid.stages.record import is_undefined
from t5grid.stages.stage import Stage, with_parents

PAGE = Path(__file__).parent / "page"
SAMPLES = 3
"""Decoded examples shown of a task."""

UNDEFINED = "undefined"
STATES = {word: word for word in ("running", "failed", "blocked", UNDEFINED)} | {"record set aside": "spoilt"}
"""What a hole's reason begins with -> the state it is shown as."""

REFRESH = 2.0
"""Seconds for which the server gives the same data again."""


def page_data(study: Study, figures: bool = True, drawings: Drawings | None = None) -> dict[str, Any]:
    """Everything the page shows, as plain types.

    A state is done, running, failed, blocked, undefined, spoilt (a record that cannot be used) or missing.

    Figures that `drawings` has are not drawn again; by default those kept beside the study's tables.
    """
    runs: dict[str, Any] = {}
    shown = study.tables()
    drawn = _figures(study, shown, drawings or drawings_of(study.results)) if figures else {}
    as_yaml, between = Yaml(), heat(shown)
    tables = [
        _table(study, name, table, runs, as_yaml) | {"figures": drawn.get(name, {})}
        for name, table in shown.items()
    ]
    _warm(tables, between)
    judged = study.findings(shown)
    findings = [
        {
            "claim": finding.claim.claim,
            "source": finding.claim.source,
            "verdict": finding.ours.verdict,
            "rests_on": finding.ours.rests_on,
            "paper": str(finding.paper),
            "numbers": finding.ours.numbers,
        }
        for finding in judged
    ]
    return {
        "scale": study.scale,
        "summary": summary(shown, judged),
        "groups": [asdict(group) for group in groups(judged)],
        "forest": drawn.get("", {}).get("forest"),
        "tables": tables,
        "findings": findings,
        "runs": runs,
        "live": False,
    }


def _warm(tables: Sequence[dict[str, Any]], between: Mapping[str, tuple[float, float]]) -> None:
    """Give every score its place between floor and best; none at smoke."""
    for table in tables:
        for row in table["rows"]:
            for key, cell in row["cells"].items():
                known = cell["mean"] is not None and not table["meaningless"]
                cell["warmth"] = warmth(cell["mean"], *between[key]) if known else None


def _figures(study: Study, tables: Mapping[str, Table], drawings: Drawings) -> dict[str, dict[str, str]]:
    """Experiment -> ending -> the figure, for all that there is something to draw of; "" has the forest."""
    store, records = study.store, study.results / "records"
    wanted = {name: figures_of(study.grids[name], table, store, records) for name, table in tables.items()}
    wanted[""] = {"forest": study.forest(study.findings(tables))}
    drawn = drawings([figure for figures in wanted.values() for figure in figures.values()], SVG)
    return {
        name: {
            ending: _data_url(drawn[figure.name]["svg"])
            for ending, figure in figures.items()
            if drawn[figure.name]["svg"]
        }
        for name, figures in wanted.items()
    }


class Yaml:
    """Configs as YAML, their top-level nodes one by one: what many rows share is written once."""

    def __init__(self) -> None:
        self._text = ByObject(lambda key, node: OmegaConf.to_yaml(OmegaConf.create({key: node})))

    def __call__(self, config: Mapping[str, Any]) -> str:
        return "".join(self._text(key, node) for key, node in config.items())


def _table(study: Study, name: str, table: Table, runs: dict[str, Any], as_yaml: Yaml) -> dict[str, Any]:
    grid = study.grids[name]
    bold = {column.key: table.bold(column.key) for column in table.columns}
    known = gains(table)
    return {
        "name": name,
        "stem": grid.stem,
        "title": table.title,
        "paper_source": paper_source(table),
        "caption": caption(table)[:-1],
        "command": table.command,
        "first_column": table.first_column,
        "shown": list(table.shown),
        "columns": [asdict(column) | {"measured": column.measured} for column in table.columns],
        "rows": [
            _row(study, grid, table, row, bold, runs)
            | _config(grid, row, as_yaml)
            | {"gains": {key: asdict(gain) for key, gain in known.get(row.key, {}).items()}}
            for row in table.rows
        ],
        "bounds": bound_lines(table, "{:.2f}"),
        "meaningless": table.provenance.meaningless,
        "deviations": {column.key: table.deviation(column.key) for column in table.columns},
        "paper_deviations": paper_deviations(table.paper.name),
    }


def _config(grid: Grid, row: Row, as_yaml: Yaml) -> dict[str, str]:
    config = grid.rows[row.key][0][0].config
    return {"config": as_yaml({key: node for key, node in config.items() if key not in MACHINE})}


def _row(
    study: Study,
    grid: Grid,
    table: Table,
    row: Row,
    bold: dict[str, frozenset[str]],
    runs: dict[str, Any],
) -> dict[str, Any]:
    cells = grid.rows[row.key]
    shown = {}
    for column in table.columns:
        stages = [(cell.seed, columns[column.key]) for cell, columns in cells if column.key in columns]
        for seed, stage in stages:
            runs.setdefault(stage.identity, _run(study, stage, seed))
        shown[column.key] = _cell(row.cells[column.key], row.key in bold[column.key]) | {
            "at_floor": row.key in table.at_floor(column.key),
            "runs": [stage.identity for _, stage in stages],
        }
    return {
        "key": row.key,
        "title": row.title,
        "starred": row.starred,
        "note": row.note,
        "shown": list(row.shown),
        "overrides": [*grid.experiment.common, *grid.experiment.rows[row.key].overrides],
        "cells": shown,
        "paper": _paper(row.paper) if row.paper else None,
    }


def _paper(row: PaperRow) -> dict[str, Any]:
    return asdict(row) | {"bold": sorted(row.bold), "points": row.points}


def _cell(cell: Scores, bold: bool) -> dict[str, Any]:
    word = (cell.hole or "").partition(":")[0]
    state = "done" if cell.hole is None else STATES.get(word.partition(" in ")[0], "missing")
    return {
        "mean": cell.mean,
        "deviation": cell.deviation,
        "error": cell.error,
        "bold": bold,
        "hole": cell.hole,
        "state": state,
    }


def _run(study: Study, stage: Stage, seed: int) -> dict[str, Any]:
    """One seed of a cell: scores a task, curves of its trainings, decoded examples."""
    records = study.results / "records"
    record = record_of(stage, study.store, records)
    trainings = [
        training for training in with_parents([stage]) if training.kind not in ("vocabulary", "tokens")
    ]
    curves = {
        training.identity: curve_of(training, study.store, records)
        for training in trainings
        if training is not stage
    }
    fault = "" if record else fault_of(stage, study.store, records)
    run = {
        "seed": seed,
        "identity": stage.identity,
        "score": None,
        "state": "spoilt" if fault else study.store.state(stage),
        "curves": {identity: curve for identity, curve in curves.items() if curve},
    }
    if record is None:
        return run | ({"detail": f"record set aside: {fault}"} if fault else {})
    samples = {task: examples[:SAMPLES] for task, examples in record.get("samples", {}).items()}
    undefined = is_undefined(record["score"])
    reason = f"undefined: {', '.join(undefined_in(record))}; " if undefined else ""
    return run | {
        "score": None if undefined else record["score"],
        "state": "undefined" if undefined else "done",
        "tasks": {task: _shown(scores) for task, scores in record["tasks"].items()},
        "samples": samples,
        "detail": f"{reason}{record['machine']}; commit {record.get('commit') or 'of an installed package'}"
        + _examples(record.get("shots", {})),
    }


def _examples(shots: dict[str, dict[str, float | None]]) -> str:
    """How many examples the prompts of each task had, of those asked for; empty without prompts."""
    texts = []
    for task, used in shots.items():
        asked = "as many as fit" if used["asked"] is None else f"{used['asked']:g}"
        numbers = " to ".join(f"{number:g}" for number in dict.fromkeys((used["least"], used["most"])))
        texts.append(f"{task} {numbers} of {asked}")
    return f"; examples in a prompt: {', '.join(texts)}" if texts else ""


def _shown(scores: dict[str, float]) -> dict[str, float | str]:
    """The scores of a task; JSON has no number for one without a value."""
    return {metric: UNDEFINED if is_undefined(score) else score for metric, score in scores.items()}


def _data_url(text: bytes) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(text).decode()


def page(data: dict[str, Any]) -> str:
    """The whole page as HTML; `</` cannot end the data's element early."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False).replace("</", "<\\/")
    html = (PAGE / "report.html").read_text(encoding="utf-8")
    for mark, content in (
        ("/*CSS*/", (PAGE / "report.css").read_text(encoding="utf-8")),
        ("/*JS*/", (PAGE / "report.js").read_text(encoding="utf-8")),
        ("/*DATA*/", text),
    ):
        html = html.replace(mark, content)
    return html


class Live:
    """The data of a study, made again when they are asked for and older than `REFRESH` seconds."""

    def __init__(self, study: Study) -> None:
        self._study, self._lock = study, threading.Lock()
        self._made, self._text = float("-inf"), b""
        self._drawings = drawings_of(study.results)

    def data(self) -> bytes:
        """The data as JSON in UTF-8, figures included."""
        with self._lock:
            if time.monotonic() - self._made > REFRESH:
                made = page_data(self._study, drawings=self._drawings) | {"live": True}
                self._text = json.dumps(made, ensure_ascii=False, allow_nan=False).encode()
                self._made = time.monotonic()
            return self._text

    def page(self) -> bytes:
        """The page over the present data."""
        return page(json.loads(self.data())).encode()


OWN_HOST = re.compile(r"(127\.0\.0\.1|localhost)(:\d+)?", re.IGNORECASE)  # any port: one may be forwarded


def server(study: Study, port: int) -> ThreadingHTTPServer:
    """A server of the live page, on the loopback interface only; port 0 takes any free one.

    It answers under its own name only: a page of another site may have its name lead to 127.0.0.1.
    """
    live = Live(study)
    routes: dict[str, tuple[str, Callable[[], bytes]]] = {
        "/": ("text/html; charset=utf-8", live.page),
        "/data.json": ("application/json", live.data),
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if not OWN_HOST.fullmatch(self.headers.get("Host", "")):
                self.send_error(421, "This page answers as 127.0.0.1 and localhost only")
                return
            if self.path not in routes:
                self.send_error(404)
                return
            kind, content = routes[self.path]
            body = content()
            tag = f'"{hashlib.blake2b(body, digest_size=8).hexdigest()}"'
            same = self.headers.get("If-None-Match") == tag
            self.send_response(304 if same else 200)
            self.send_header("ETag", tag)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", "0" if same else str(len(body)))
            self.end_headers()
            if not same:
                self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Requests are not worth a line each."""

    return ThreadingHTTPServer(("127.0.0.1", port), Handler)
