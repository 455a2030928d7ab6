"""cell -> graph: pre-training, more of it on a column's texts, then fine-tuning."""

from dataclasses import dataclass

from t5grid.config.schema import Cell
from t5grid.grid.strategies import (
    column_stages,
    pretrain_schedule,
    pretrain_stage,
    tokens_of,
    unsupervised_stage,
    vocabulary_stage,
)
from t5grid.model.answers import no_answer
from t5grid.stages.stage import Stage
from t5grid.tasks.availability import refuse_missing
from t5grid.tasks.texts import TaskTexts


@dataclass(frozen=True)
class PretrainAdaptFinetune:
    """Pre-training once; for each column more of it on the column's texts, then fine-tuning and evaluation.

    That takes as many steps as fine-tuning, under pre-training's settings (ULMFiT: Howard and Ruder, 2018).
    """

    def stages(self, cell: Cell) -> dict[str, Stage]:
        """The evaluate stage of every column; parents lead back to the vocabulary."""
        refuse_missing(cell.suite.chosen())
        vocabulary = vocabulary_stage(cell)
        pretrain, schedule = pretrain_stage(cell, vocabulary), cell.config["budget"]["finetune"]["schedule"]
        stages: dict[str, Stage] = {}
        for key, column in cell.suite.chosen().items():
            if not no_answer(cell.architecture, column.tasks):
                adapted = adapt_stage(cell, key, vocabulary, pretrain)
                stages |= column_stages(cell, vocabulary, (adapted,), schedule, [key], "-then_texts")
        return stages or column_stages(cell, vocabulary, (pretrain,), schedule)  # says why there is none


def adapt_stage(cell: Cell, key: str, vocabulary: Stage, pretrain: Stage) -> Stage:
    """Pre-training that goes on, on the texts of a column, for as many steps as fine-tuning takes."""
    node = {
        "_target_": f"{TaskTexts.__module__}.{TaskTexts.__qualname__}",
        "tasks": cell.config["suite"]["columns"][key]["tasks"],
    }
    label, num_steps = f"{key}_texts", cell.budget.finetune.num_steps
    tokens = tokens_of(TaskTexts(cell.suite.columns[key].tasks), node, label, vocabulary)
    budget = cell.config["budget"]["pretrain"] | {
        "num_steps": num_steps,
        "checkpoint_every": num_steps,
        "num_repeats": None,
        "schedule": pretrain_schedule(cell, num_steps),
    }
    return unsupervised_stage(cell, (tokens, vocabulary, pretrain), budget, f"-then_{label}")
