"""cell -> graph: pre-training, more of it on a column's texts, then fine-tuning."""

from dataclasses import dataclass

from t5grid.config.identity import essential
from t5grid.config.schema import Cell, PretrainBudget
from t5grid.grid.strategies import column_stages, pretrain_schedule, pretrain_stage, vocabulary_stage
from t5grid.model.answers import no_answer
from t5grid.stages.adapt import AdaptStage
from t5grid.stages.stage import Stage
from t5grid.stages.text import TokensStage
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
                stages |= column_stages(cell, vocabulary, (adapted,), schedule, [key])
        return stages or column_stages(cell, vocabulary, (pretrain,), schedule)  # says why there is none


def adapt_stage(cell: Cell, key: str, vocabulary: Stage, pretrain: Stage) -> Stage:
    """Pre-training that goes on, on the texts of a column, for as many steps as fine-tuning takes."""
    node = cell.config["suite"]["columns"][key]["tasks"]
    texts = {"_target_": f"{TaskTexts.__module__}.{TaskTexts.__qualname__}", "tasks": node}
    content = {"corpus": TaskTexts(cell.suite.columns[key].tasks).fingerprint()}
    tokens = TokensStage(f"{key}-texts", {"corpus": texts}, content, (vocabulary,))
    num_steps = cell.budget.finetune.num_steps
    budget = cell.config["budget"]["pretrain"] | {
        "num_steps": num_steps,
        "checkpoint_every": num_steps,
        "num_repeats": None,
        "schedule": pretrain_schedule(cell, num_steps),
    }
    config = {**pretrain.config, "budget": budget}
    groups = {name: config[name] for name in config if name != "budget"}
    content = {name: essential(node) for name, node in groups.items()}
    content |= {"budget": essential(budget, PretrainBudget)}
    return AdaptStage(f"{key}-{pretrain.name}", config, content, (tokens, vocabulary, pretrain))
