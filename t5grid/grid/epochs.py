"""a budget by epochs + a column -> how many steps its fine-tuning takes."""

import math
from typing import Any

from t5grid.config.schema import Column, FinetuneBudget, FinetuneByEpochs, build
from t5grid.data.feeds import num_labelled
from t5grid.refused import Refused
from t5grid.stages.multitask import num_training_rows
from t5grid.tasks.task import has


def in_steps(budget: dict[str, Any], column: Column) -> dict[str, Any]:
    """The node of a column's budget with the steps it takes; the same where no epochs are asked for.

    Raises Refused where it is not known how many rows the column has.
    """
    read = build(budget, "budget.finetune", FinetuneBudget)
    if not isinstance(read, FinetuneByEpochs):
        return budget
    num_steps = max(read.num_steps, math.ceil(read.num_epochs * _num_rows(read, column) / read.num_examples))
    every = min(read.checkpoint_every, num_steps)
    schedule = with_length(budget["schedule"], num_steps)
    return budget | {"num_steps": num_steps, "checkpoint_every": every, "schedule": schedule}


def _num_rows(budget: FinetuneByEpochs, column: Column) -> int:
    """The rows of a column that are trained on."""
    total = 0
    for name, task in column.tasks.items():
        num_rows = num_training_rows(task) if has(task, "train") else 0
        if num_rows is None:
            told = f"budget.finetune.num_epochs={budget.num_epochs}: how many rows {name} has is not known"
            raise Refused(f"{told}; a budget of steps is needed")
        total += num_labelled(num_rows, budget.labelled_share, budget.num_labelled) if num_rows else 0
    return total


def with_length(schedule: dict[str, Any], num_steps: int) -> dict[str, Any]:
    """A schedule's node, with another length if it has one of its own."""
    return {**schedule, "num_steps": num_steps} if "num_steps" in schedule else dict(schedule)
