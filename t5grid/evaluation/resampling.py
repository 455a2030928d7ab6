"""rows + answers -> a column's score on resamples of its rows: a bootstrap.

A score of one seed has no deviation; this is the other half of its uncertainty, that of the rows it is scored
on. Rows of one question (`group`) are drawn together. The draws depend on the task's name and the number of
its rows alone, so two cells of a column are resampled alike and their differences can be taken one by one.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev

import numpy as np

from t5grid.config.schema import Column
from t5grid.evaluation.averages import average, scored
from t5grid.tasks.task import Record

NUM_RESAMPLES = 200
FEWEST = NUM_RESAMPLES // 2
"""Resamples that must have a score for a standard error: a correlation may have none in some."""
FEWEST_ROWS = 10
"""Rows (or groups of rows) that each task must have: resamples of fewer, as in a smoke run, say nothing."""


def resampled_scores(
    column: Column, records: Mapping[str, Sequence[Record]], answers: Mapping[str, Sequence[str]]
) -> list[float | None]:
    """A column's score on each of `NUM_RESAMPLES` resamples of its rows; None where a metric has no value.

    Nothing where a task has too few rows for that.
    """
    tasks = scored(column)
    clusters = {name: _clusters(records[name]) for name in tasks}
    if min(map(len, clusters.values())) < FEWEST_ROWS:
        return []
    draws = {name: _draws(name, clusters[name]) for name in tasks}
    by_resample = []
    for k in range(NUM_RESAMPLES):
        scores = {}
        for name, task in tasks.items():
            rows = draws[name][k]
            drawn = [_renamed(records[name][row], draw) for row, draw in rows]
            scores[name] = task.score(drawn, [answers[name][row] for row, _ in rows])
        by_resample.append(average(column, scores))
    return [None if math.isnan(score) else round(score, 4) for score in by_resample]


def resampled_means(name: str, values: Sequence[float]) -> list[float]:
    """The mean of one value a row on each of `NUM_RESAMPLES` resamples; nothing of too few rows."""
    if len(values) < FEWEST_ROWS:
        return []
    draws = _draws(name, [[place] for place in range(len(values))])
    return [fmean(float(values[row]) for row, _ in draw) for draw in draws]


def standard_error(resamples: Sequence[float | None]) -> float | None:
    """The deviation of a score over resamples of its rows; None where too few have one."""
    known = [score for score in resamples if score is not None]
    return stdev(known) if len(known) >= FEWEST else None


def _clusters(records: Sequence[Record]) -> list[list[int]]:
    """Places of rows that are drawn together: those of one group, else each row alone."""
    clusters: dict[str, list[int]] = {}
    for place, row in enumerate(records):
        key = f"group {row['group']!r}" if "group" in row else f"row {place}"
        clusters.setdefault(key, []).append(place)
    return list(clusters.values())


def _draws(name: str, clusters: Sequence[list[int]]) -> list[list[tuple[int, int]]]:
    """Of each resample the places of its rows, each with the number of its draw."""
    digest = hashlib.blake2b(f"{name} {len(clusters)}".encode(), digest_size=8).digest()
    rng = np.random.default_rng(int.from_bytes(digest))
    chosen = rng.integers(len(clusters), size=(NUM_RESAMPLES, len(clusters)))
    return [
        [(row, draw) for draw, cluster in enumerate(of_resample) for row in clusters[cluster]]
        for of_resample in chosen.tolist()
    ]


def _renamed(row: Record, draw: int) -> Record:
    """A row whose group is one of its own in every draw: drawn twice, it counts twice."""
    return {**row, "group": (repr(row["group"]), draw)} if "group" in row else row
