"""a grid + its records -> its table, as far as it is done: a pure function of records."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from t5grid.config.schema import Column, FinetuneByEpochs
from t5grid.evaluation.averages import scored
from t5grid.evaluation.resampling import standard_error
from t5grid.execution.store import Store
from t5grid.grid.graph import Grid
from t5grid.grid.model_facts import shown_facts
from t5grid.grid.published import mirrored
from t5grid.grid.strategies import no_stage
from t5grid.results.floors import kept_bounds
from t5grid.results.records import fault_of, record_of, undefined_in
from t5grid.results.table import Hole, Provenance, Table, TableColumn, build_table
from t5grid.stages.record import is_undefined
from t5grid.stages.stage import Stage, with_parents
from t5grid.tasks.availability import caption

METRICS = {
    **{"em": "exact match", "f1": "F1", "bleu": "BLEU", "matthews": "Matthews correlation"},
    **{"rouge1": "ROUGE-1", "rouge2": "ROUGE-2", "rougeLsum": "ROUGE-L"},
    "entity_f1": "F1",
    "probability": "geometric mean probability of an id, in %",
}
"""Names of metrics in records that are not the words for them."""


def table_columns(grid: Grid) -> list[TableColumn]:
    """The columns of a grid's table."""
    chosen, of = grid.baseline.suite.chosen(), grid.experiment.published
    return [
        TableColumn(
            key,
            column.title,
            mirrored(column.mirrors, of),
            metric_of(column),
            human=column.human,
            human_source=column.human_source,
        )
        for key, column in chosen.items()
    ]


def metric_of(column: Column) -> str:
    """How a column is scored, in a word or two: the metric of its only task, or how many tasks are averaged.

    one task, reported by em                 -> "exact match"
    eight tasks, each reported by its own    -> "mean of 8 tasks"
    """
    tasks = scored(column)
    if len(tasks) > 1:
        return f"mean of {len(tasks)} tasks"
    return ", ".join(METRICS.get(name, name) for task in tasks.values() for name in task.reported)


def table_of(grid: Grid, store: Store, records: Path) -> Table:
    """The table of a grid as far as it is done; a pure function of records."""
    columns = table_columns(grid)
    scores: dict[str, dict[str, Any]] = {}
    errors: dict[str, dict[str, float | None]] = {}
    rows_used: dict[str, Any] = {}
    num_rows: dict[str, int] = {}
    for key, cells in grid.rows.items():
        scores[key], errors[key] = {}, {}
        for column in columns:
            if reason := unanswered(grid, key, column.key):
                scores[key][column.key] = Hole(reason, lasting=True)
                continue
            stages = [cell[column.key] for _, cell in cells]
            kept = [record_of(stage, store, records) for stage in stages]
            if data := _first(kept, "data"):
                rows_used[column.key] = data
            if counts := _first(kept, "validation_rows"):
                num_rows[column.key] = sum(counts.values())
            errors[key][column.key] = standard_error((kept[0] or {}).get("resamples", ()))
            missing = [stage for stage, record in zip(stages, kept, strict=True) if not record]
            holes = [_reason(stage, store, records) for stage in missing]
            scores[key][column.key] = _scores([record for record in kept if record], holes)
    shown = {key: shown_facts(cells[0][0], grid.experiment.show) for key, cells in grid.rows.items()}
    heads = [
        replace(column, rows=num_rows.get(column.key), own=_is_own(grid, column, rows_used))
        for column in columns
    ]
    provenance, bounds = (
        _provenance(grid, store, records, rows_used),
        kept_bounds(grid.baseline, records.parent),
    )
    return build_table(grid.experiment, heads, scores, provenance, shown, bounds, errors)


def _first(records: Sequence[dict[str, Any] | None], name: str) -> Any:
    """What the first of the records that says it says under a name; None where none does."""
    return next((record[name] for record in records if record and name in record), None)


def _provenance(grid: Grid, store: Store, records: Path, rows_used: dict[str, Any]) -> Provenance:
    """What the caption says: the baseline's options, the data's fingerprints, how many rows there were."""
    baseline, titles = grid.baseline, {column.key: column.title for column in table_columns(grid)}
    of_columns = {key: _column_print(column) for key, column in baseline.suite.chosen().items()}
    return Provenance(
        suite=baseline.suite.name,
        size=baseline.labels["size"],
        budget=baseline.budget.name,
        data=_corpus_prints(grid) | of_columns,
        notes=(*caption(rows_used, titles), *_notes(grid, store, records)),
    )


def unanswered(grid: Grid, row: str, column: str) -> str | None:
    """Why a row has no score in a column whatever is run; None where it has one."""
    return no_stage(grid.rows[row][0][0], column)


def _scores(done: Sequence[dict[str, Any]], holes: Sequence[str]) -> Sequence[float] | Hole:
    """The scores of a row's seeds in a column, or why there is none: one that is undefined makes a hole."""
    if not done:
        return Hole(holes[0])
    undefined = [record for record in done if is_undefined(record["score"])]
    if not undefined:
        return [record["score"] for record in done]
    seeds = f" in {len(undefined)} of {len(done)} seeds" if len(done) > 1 else ""
    metrics = dict.fromkeys(metric for record in undefined for metric in undefined_in(record))
    why = f": {', '.join(metrics)}, for answers that are all alike or no numbers" if metrics else ""
    return Hole(f"undefined{seeds}{why}")


def _notes(grid: Grid, store: Store, records: Path) -> tuple[str, ...]:
    """Sentences for the caption: the budget's own note, and where the numbers were made."""
    notes = [grid.baseline.budget.note] if grid.baseline.budget.note else []
    if limit := grid.baseline.budget.evaluate.num_examples:
        notes.append(f"Scored on the first {limit} validation rows of each task.")
    notes += _own_batches(grid)
    made = set()
    for stage in grid.stages:
        if stage.scores and (record := record_of(stage, store, records)):
            torch = record["versions"]["torch"]
            made.add(f"{record['machine']}, Python {record['python']}, torch {torch}")
    return (*notes, *(f"Machine: {machine}." for machine in sorted(made)))


def _own_batches(grid: Grid) -> list[str]:
    """What a step of fine-tuning takes in columns that say so themselves, in tokens.

    256, and twice that in Questions -> ["A step of fine-tuning takes 256 tokens, in Questions 512."]
    """
    suite, usual = grid.baseline.suite.chosen().values(), grid.baseline.budget.finetune
    if isinstance(usual, FinetuneByEpochs):
        return []
    taken = {column.title: column.tokens_of_step(usual.num_tokens) for column in suite}
    own = [f"in {title} {number:,}" for title, number in taken.items() if number != usual.num_tokens]
    return [f"A step of fine-tuning takes {usual.num_tokens:,} tokens, {', '.join(own)}."] if own else []


def _reason(stage: Stage, store: Store, records: Path) -> str:
    """Why a column has no score: its record is of no use, or the first of its stages not done says it."""
    if fault := fault_of(stage, store, records):
        return f"record set aside: {fault}"
    for needed in with_parents([stage]):
        state = store.state(needed)
        if state == "failed":
            failure = store.failure(needed) or {}
            return f"failed: {needed.kind}: {failure.get('error', 'unknown')}"
        if state == "running":
            return "running"
    return "not run"


def _is_own(grid: Grid, column: TableColumn, rows_used: Mapping[str, Any]) -> bool:
    """Whether a column is scored on all rows of the real split of each task, as the paper's is."""
    if column.mirrors is None or grid.baseline.budget.evaluate.num_examples:
        return False
    tasks, used = scored(grid.baseline.suite.chosen()[column.key]), rows_used.get(column.key, {})
    sizes = [used.get(task, {}).get("validation", {}) for task in tasks]
    return all(size.get("of") and size["rows"] == size["of"] for size in sizes)


def _short(fingerprint: str) -> str:
    return hashlib.blake2b(fingerprint.encode(), digest_size=4).hexdigest()


def _corpus_prints(grid: Grid) -> dict[str, str]:
    """Fingerprints of the baseline's corpus and of every other that a row is pre-trained on."""
    baseline = grid.baseline.corpus
    prints = {"corpus": _short(baseline.fingerprint())}
    for key, ((cell, _), *_) in grid.rows.items():
        if cell.corpus != baseline:
            prints[f"corpus of {grid.experiment.rows[key].title}"] = _short(cell.corpus.fingerprint())
    return prints


def _column_print(column: Any) -> str:
    return _short("".join(task.fingerprint() for task in column.tasks.values()))
