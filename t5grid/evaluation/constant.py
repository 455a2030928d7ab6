"""rows of a column -> what one constant answer scores, and a perfect one; no torch.

A score is read against these two: whatever a model learns, answering every row alike is what it must beat.
The answers tried are the most frequent of the training rows; each is scored by the task's own scorer.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from t5grid.config.schema import Column
from t5grid.evaluation.averages import average, scored
from t5grid.tasks.task import Record

NUM_ANSWERS = 16
"""Answers tried a task: the most frequent of its training rows, equally frequent ones in the rows' order."""

MOST_TRAINING = 20_000
"""Training rows that are counted of a task; of a larger one as many, evenly spaced."""

MOST_COMPARED = 1_000
"""Validation rows that the answers are compared on; the best is then scored on all rows."""

VERSION = 1
"""Raised by hand when the same rows make other bounds."""


@dataclass(frozen=True)
class Bounds:
    """What a column's score lies between: of the best constant answers, and of the targets themselves.

    `answers` are the constant answers by task, `rows` how many were scored.
    """

    floor: float
    ceiling: float
    rows: int
    answers: Mapping[str, str]


def bounds_of(column: Column, limit: int | None) -> Bounds:
    """The bounds of a column whose tasks are scored on their first `limit` validation rows (None: on all).

    The floor is the column's score if every task gets its best constant answer: the most frequent of the
    training rows, or where that is higher another frequent one. A correlation with a constant answer has no
    value and counts as 0.

    Raises Refused where a task's rows cannot be had.
    """
    constant, perfect, answers, num_rows = {}, {}, {}, 0
    for name, task in scored(column).items():
        rows = list(task.records("validation")[:limit])
        answers[name] = best_answer(task, rows)
        constant[name] = _scores(task, rows, [answers[name]] * len(rows))
        perfect[name] = _scores(task, rows, [row["targets"] for row in rows])
        num_rows += len(rows)
    floor, ceiling = (round(average(column, scores), 6) for scores in (constant, perfect))
    return Bounds(floor, ceiling, num_rows, answers)


def best_answer(task: Any, rows: Sequence[Record]) -> str:
    """The constant answer with the highest mean of the metrics that a task is reported by."""
    compared = rows[:: max(1, -(-len(rows) // MOST_COMPARED))]

    def reported(answer: str) -> float:
        scores = _scores(task, compared, [answer] * len(compared))
        return sum(scores.get(metric, 0.0) for metric in task.reported)

    return max(frequent_answers(task), key=reported)


def frequent_answers(task: Any) -> list[str]:
    """The most frequent targets of the training rows, the most frequent first."""
    rows = task.records("train")
    counted = rows[:: max(1, -(-len(rows) // MOST_TRAINING))]
    return [answer for answer, _ in Counter(row["targets"] for row in counted).most_common(NUM_ANSWERS)]


def _scores(task: Any, rows: Sequence[Record], answers: list[str]) -> dict[str, float]:
    scores = task.score(list(rows), answers)
    return {metric: 0.0 if math.isnan(score) else float(score) for metric, score in scores.items()}
