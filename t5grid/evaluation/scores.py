"""checkpoints + records -> predictions -> scores, and the step each column reports."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from t5grid.config.schema import Column
from t5grid.data.vocabulary import Vocabulary
from t5grid.evaluation.predict import predict
from t5grid.refused import Refused
from t5grid.tasks.task import Record, chosen_by, has

Scores = dict[str, dict[str, float]]
NUM_SAMPLES = 3


def score(
    model: nn.Module,
    vocabulary: Vocabulary,
    column: Column,
    records: dict[str, Sequence[Record]],
    batch: int,
    num_beams: int = 1,
) -> tuple[Scores, dict[str, list[dict[str, str]]]]:
    """Every metric of every task of a column, and a few decoded examples a task."""
    scores, samples = {}, {}
    for name, task in scored(column).items():
        rows = records[name]
        texts = [row["inputs"] for row in rows]
        predictions = predict(model, vocabulary, texts, column, batch, num_beams, name)
        scores[name] = {metric: float(value) for metric, value in task.score(rows, predictions).items()}
        samples[name] = [
            {"input": row["inputs"], "target": row["targets"], "prediction": answer}
            for row, answer in zip(rows[:NUM_SAMPLES], predictions[:NUM_SAMPLES], strict=True)
        ]
    return scores, samples


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


def load_records(column: Column, split: str, limit: int | None) -> dict[str, Sequence[Record]]:
    """The first `limit` records of each task with such a split. Raises Refused where there are none."""
    tasks = scored(column) if split == "validation" else column.tasks
    records = {name: task.records(split)[:limit] for name, task in tasks.items() if has(task, split)}
    if split == "validation":
        records = {name: list(rows) for name, rows in records.items()}
    for name, rows in records.items():
        if not rows:
            raise Refused(f"task {name}: its {split} split has no rows")
    return records


def common_checkpoints(folders: Sequence[Path]) -> dict[int, list[Path]]:
    """The steps at which every fine-tuning has a sound checkpoint, with one path each. Raises Refused."""
    members = [checkpoint_paths(folder) for folder in folders]
    steps = [step for step in members[0] if all(step in paths for paths in members)]
    if not steps:
        raise Refused(f"{folders[0].name} and other members: no step has a checkpoint of each")
    return {step: [paths[step] for paths in members] for step in steps}


def checkpoint_paths(folder: Path) -> dict[int, Path]:
    """The sound checkpoints of a fine-tuning, by step. Raises Refused if there is none."""
    from t5grid.training.checkpoints import steps

    paths = steps(folder / "checkpoints")
    if not paths:
        raise Refused(f"{folder.name}: no sound checkpoint to evaluate")
    return paths
