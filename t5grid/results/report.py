"""studies -> one self-contained HTML page: grid, tables, findings, figures, every cell.

The page is a template with the data beside it as JSON, drawn by its own scripts; it loads nothing else.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from t5grid.config.reuse import ByObject
from t5grid.grid.graph import MACHINE, Grid
from t5grid.grid.published import PaperRow, paper_deviations
from t5grid.results.attention import kept_attention
from t5grid.results.beside import gains
from t5grid.results.charts import charts_of
from t5grid.results.figures import curve_of
from t5grid.results.forest import compared_claims
from t5grid.results.overview import groups, heat, summary, warmth
from t5grid.results.records import fault_of, record_of, undefined_in
from t5grid.results.rendering import bound_lines
from t5grid.results.study import Study
from t5grid.results.table import Row, Scores, Table, paper_source, provenance_lines, reading_lines
from t5grid.stages.record import is_undefined
from t5grid.stages.stage import Stage, with_parents

PAGE = Path(__file__).parent / "page"
SAMPLES = 3
"""Decoded examples shown of a task."""

UNDEFINED = "undefined"
STATES = {word: word for word in ("running", "failed", "blocked", UNDEFINED)} | {"record set aside": "spoilt"}
"""What a hole's reason begins with -> the state it is shown as."""

SCRIPTS = ("base", "charts", "figures", "table", "attention", "cell", "study", "report")
"""The page's own scripts, in the order in which they stand on each other."""


def page_data(study: Study) -> dict[str, Any]:
    """Everything the page shows of one study, as plain types.

    A state is done, running, failed, blocked, undefined, spoilt (a record that cannot be used) or missing.
    """
    runs: dict[str, Any] = {}
    shown = study.tables()
    as_yaml, between = Yaml(), heat(shown)
    tables = [_table(study, name, table, runs, as_yaml) for name, table in shown.items()]
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
        "stem": study.stem,
        "summary": summary(shown, judged),
        "groups": [asdict(group) for group in groups(judged)],
        "forest": [asdict(claim) for claim in compared_claims(judged)],
        "tables": tables,
        "findings": findings,
        "runs": runs,
    }


def _warm(tables: Sequence[dict[str, Any]], between: Mapping[str, tuple[float, float]]) -> None:
    """Give every score its place between floor and best; none at smoke."""
    for table in tables:
        for row in table["rows"]:
            for key, cell in row["cells"].items():
                known = cell["mean"] is not None and not table["meaningless"]
                cell["warmth"] = warmth(cell["mean"], *between[key]) if known else None


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
        "reading": reading_lines(table),
        "provenance": provenance_lines(table),
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
        "floors": {key: bounds.floor for key, bounds in table.bounds.items()},
        "charts": charts_of(grid, table, study.store, study.results / "records"),
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
        "steps": steps_of(record),
        "tasks": {task: _shown(scores) for task, scores in record["tasks"].items()},
        "samples": samples,
        "attention": kept_attention(stage.identity, study.results),
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


def steps_of(record: Mapping[str, Any]) -> list[tuple[int, float]]:
    """(step, score) of an evaluation's checkpoints, ascending; one without a value is left out."""
    by_step = record.get("by_step", {})
    return sorted((int(step), score) for step, score in by_step.items() if not is_undefined(score))


def page(studies: Sequence[dict[str, Any]], live: bool = False) -> str:
    """The whole page as HTML over what `page_data` gave; `</` cannot end the data's element early."""
    data = {"studies": studies, "live": live}
    text = json.dumps(data, ensure_ascii=False, allow_nan=False).replace("</", "<\\/")
    scripts = [(PAGE / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS]
    html = (PAGE / "report.html").read_text(encoding="utf-8")
    for mark, content in (
        ("/*CSS*/", (PAGE / "report.css").read_text(encoding="utf-8")),
        ("/*JS*/", '"use strict";\n' + "\n".join(scripts)),
        ("/*DATA*/", text),
    ):
        html = html.replace(mark, content)
    return html
