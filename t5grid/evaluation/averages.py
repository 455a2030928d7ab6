"""scores of tasks -> the score of their column, and the step it reports; no torch."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from t5grid.config.schema import Column
from t5grid.tasks.task import chosen_by, has

Scores = dict[str, dict[str, float]]
"""Task -> metric -> score, 0 to 100."""


def choose(column: Column, by_step: dict[int, Scores]) -> dict[str, Any]:
    """The reported step of each task and of the column's average (behaviour of the original code, 15).

    Each group takes the step with the best mean of its own metrics, ties to the earlier, nan counted as
    lowest; the average is a group of its own, so that the reported average belongs to one step.
    """
    steps = sorted(by_step)
    tasks = scored(column)
    best = {
        name: max(steps, key=lambda step: _rank(_mean(by_step[step], {name: chosen_by(task)})))
        for name, task in tasks.items()
    }
    everything = {name: chosen_by(task) for name, task in tasks.items()}
    average_step = max(steps, key=lambda step: _rank(_mean(by_step[step], everything)))
    return {
        "score": average(column, by_step[average_step]),
        "step": average_step,
        "tasks": {name: {"step": step, **by_step[step][name]} for name, step in best.items()},
        "by_step": {str(step): average(column, by_step[step]) for step in steps},
    }


def average(column: Column, scores: Scores) -> float:
    """A column's score: the mean over its tasks of the mean of each task's reported metrics.

    Paper, section 3.1.5: the metrics of a task are averaged first.

    Raises:
        KeyError: a task without scores; an average is formed only where every task is there.
    """
    return _mean(scores, {name: task.reported for name, task in scored(column).items()})


def scored(column: Column) -> dict[str, Any]:
    """The tasks of a column that are scored: those with a validation split and a metric that is reported."""
    return {name: task for name, task in column.tasks.items() if task.reported and has(task, "validation")}


def _mean(scores: Scores, group: Mapping[str, Sequence[str]]) -> float:
    """Mean over tasks of the mean of each task's metrics; MNLI may have one of its two parts only."""
    of_tasks = []
    for task, metrics in group.items():
        values = [scores[task][metric] for metric in metrics if metric in scores[task]]
        of_tasks.append(float(np.mean(values)) if values else scores[task][metrics[0]])
    return float(np.mean(of_tasks))


def _rank(value: float) -> float:
    return -math.inf if math.isnan(value) else value
