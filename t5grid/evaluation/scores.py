"""checkpoints + records -> predictions -> scores of a column's tasks."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import nn

from t5grid.config.schema import Column
from t5grid.data.vocabulary import Vocabulary
from t5grid.evaluation.averages import Scores, scored
from t5grid.evaluation.deal import ALONE, Deal
from t5grid.evaluation.predict import predict
from t5grid.refused import Refused
from t5grid.tasks.task import Record, has

NUM_SAMPLES = 3


def score(
    model: nn.Module,
    vocabulary: Vocabulary,
    column: Column,
    records: dict[str, Sequence[Record]],
    batch: int,
    num_beams: int = 1,
    deal: Deal = ALONE,
) -> tuple[Scores, dict[str, list[str]]]:
    """The answers of every task of a column, one a record; and every metric, where the process leads."""
    scores, answers = {}, {}
    for name, task in scored(column).items():
        rows = records[name]
        texts = [row["inputs"] for row in rows]
        answers[name] = predict(model, vocabulary, texts, column, batch, num_beams, name, deal)
        if deal.leads:
            scores[name] = {metric: float(value) for metric, value in task.score(rows, answers[name]).items()}
    return scores, answers


def samples_of(
    records: Mapping[str, Sequence[Record]], answers: Mapping[str, Sequence[str]]
) -> dict[str, list[dict[str, str]]]:
    """A few decoded examples a task."""
    return {
        name: [
            {"input": row["inputs"], "target": row["targets"], "prediction": answer}
            for row, answer in zip(records[name][:NUM_SAMPLES], of_task[:NUM_SAMPLES], strict=True)
        ]
        for name, of_task in answers.items()
    }


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
