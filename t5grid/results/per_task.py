"""study -> the table of every score of every task (the paper's Table 16)."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from t5grid.execution.store import Store
from t5grid.files import write_whole
from t5grid.grid.graph import Grid
from t5grid.results.collect import table_columns
from t5grid.results.records import record_of
from t5grid.results.rendering import html_grid, html_page, markdown_grid
from t5grid.results.styles import HTML, LATEX, MARKDOWN, Lines, Style

TITLE = "Every task's scores"
UNDEFINED = "undefined"
UNDEFINED_MEANS = (
    "Undefined: of a seed at least the metric has no value, as a correlation with answers that are all alike."
)
ACROSS = 4
"""Columns of numbers on a page of LaTeX: as many as stand beside the longest title."""


@dataclass(frozen=True)
class PerTask:
    """Scores by (experiment, row title), each by `task metric`; means over the seeds that are done."""

    scale: str
    rows: Mapping[tuple[str, str], Mapping[str, float]]

    @property
    def metrics(self) -> list[str]:
        """`task metric` names in the order of the suite's columns."""
        return list(dict.fromkeys(name for scores in self.rows.values() for name in scores))

    def lines(self, style: Style) -> Lines:
        """Header and rows as formatted cells."""
        head = ["Experiment: row", *self.metrics]
        body = [
            [f"{experiment}: {row}", *(_number(scores.get(name)) for name in self.metrics)]
            for (experiment, row), scores in self.rows.items()
        ]
        return [[style.escape(text) for text in line] for line in [head, *body]]


def per_task(scale: str, grids: Mapping[str, Grid], store: Store, records: Path) -> PerTask:
    """The scores of all rows that have any record; a pure function of records."""
    rows, suites = {}, {name: grid.baseline.suite.name for name, grid in grids.items()}
    first = next(iter(suites.values()), "")
    scale += "".join(f"; of {name}, suite {suite}" for name, suite in suites.items() if suite != first)
    for name, grid in grids.items():
        for key, cells in grid.rows.items():
            by_metric: dict[str, list[float]] = {}
            for column in table_columns(grid):
                for _, columns in cells:
                    stage = columns.get(column.key)  # none of a column that the model cannot answer
                    record = record_of(stage, store, records) if stage else None
                    for metric, score in _scores(record or {}).items():
                        by_metric.setdefault(metric, []).append(score)
            if by_metric:
                title = grid.experiment.rows[key].title
                rows[name, title] = {metric: fmean(scores) for metric, scores in by_metric.items()}
    return PerTask(scale, rows)


def _scores(record: Mapping[str, Any]) -> dict[str, float]:
    """`task metric` -> score of one evaluation, without the step that was chosen."""
    return {
        f"{task} {metric}": float(score)
        for task, scores in record.get("tasks", {}).items()
        for metric, score in scores.items()
        if metric != "step"
    }


def _number(score: float | None) -> str:
    return "–" if score is None else UNDEFINED if math.isnan(score) else f"{score:.2f}"


def _caption(table: PerTask) -> str:
    undefined = any(math.isnan(score) for scores in table.rows.values() for score in scores.values())
    return (
        f"{table.scale}. Every metric of every task at its chosen checkpoint, the mean over a row's seeds. "
        "The layout is that of Table 16 of Raffel et al. (2020): results/paper/table16.csv."
        + (f" {UNDEFINED_MEANS}" if undefined else "")
    )


def render(table: PerTask) -> dict[str, str]:
    """File ending -> the table's text."""
    title, text = HTML.escape(TITLE), HTML.escape(_caption(table))
    grid = html_grid(table.lines(HTML), title)
    return {
        "md": f"## {TITLE}\n\n{MARKDOWN.escape(_caption(table))}\n\n{markdown_grid(table.lines(MARKDOWN))}\n",
        "tex": _latex(table),
        "html": html_page(title, [f"<p>{text}</p>", grid]),
        "csv": _csv(table),
    }


def _latex(table: PerTask) -> str:
    """Tables of all rows and `ACROSS` columns each that break over pages, the columns' names upright."""
    lines, caption = table.lines(LATEX), LATEX.escape(f"{TITLE}. {_caption(table)}")
    parts = ["% needs \\usepackage{booktabs,graphicx,longtable}"]
    parts += [r"\begingroup\scriptsize\setlength{\tabcolsep}{3pt}"]
    for start in range(1, max(len(lines[0]), 2), ACROSS):
        head, *body = [
            " & ".join([line[0], *line[start : start + ACROSS]]) + r" \\" for line in _upright(lines)
        ]
        rules = ["\\toprule", head, "\\midrule"]
        parts += [rf"\begin{{longtable}}{{l{'r' * ACROSS}}}", rf"\caption{{{caption}}} \\", *rules]
        parts += [r"\endfirsthead", *rules, r"\endhead", r"\bottomrule", r"\endfoot", *body]
        parts += [r"\end{longtable}"]
        caption = LATEX.escape(f"{TITLE}, continued.")
    return "\n".join([*parts, r"\endgroup"]) + "\n"


def _upright(lines: Lines) -> Lines:
    (first, *names), *body = lines
    return [[first, *(rf"\rotatebox{{90}}{{{name}}}" for name in names)], *body]


def _csv(table: PerTask) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["experiment", "row", *table.metrics])
    for (experiment, row), scores in table.rows.items():
        numbers = [
            "" if name not in scores else UNDEFINED if math.isnan(scores[name]) else f"{scores[name]:.4f}"
            for name in table.metrics
        ]
        writer.writerow([experiment, row, *numbers])
    return buffer.getvalue()


def write_per_task(table: PerTask, folder: Path, stem: str) -> Sequence[Path]:
    """Write `stem.md`, `.tex`, `.html`, `.csv`; their paths."""
    texts = {folder / f"{stem}.{ending}": text for ending, text in render(table).items()}
    for path, text in texts.items():
        write_whole(path, text)
    return list(texts)
