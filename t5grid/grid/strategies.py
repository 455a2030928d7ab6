"""cell -> graph: how a cell unrolls into stages (paper, sections 3.1.2 and 3.5.3)."""

from dataclasses import dataclass
from typing import Any

from t5grid.building import essential
from t5grid.config import Cell, FinetuneBudget, PretrainBudget
from t5grid.data.tasks.presence import refuse_missing
from t5grid.grid.stages import (
    EvaluateStage,
    FinetuneStage,
    PretrainStage,
    Stage,
    TokensStage,
    VocabularyStage,
)


@dataclass(frozen=True)
class PretrainFinetune:
    """Unsupervised pre-training once, fine-tuning and evaluation once a column."""

    def stages(self, cell: Cell) -> dict[str, Stage]:
        """The evaluate stage of every column; parents lead back to the vocabulary."""
        vocabulary = vocabulary_stage(cell)
        pretrain = pretrain_stage(cell, vocabulary)
        schedule = cell.config["budget"]["finetune"]["schedule"]
        return column_stages(cell, vocabulary, (pretrain,), schedule)


@dataclass(frozen=True)
class NoPretraining:
    """Fine-tuning from random initialisation, under the learning-rate schedule of pre-training."""

    def stages(self, cell: Cell) -> dict[str, Stage]:
        """The evaluate stage of every column. A length of the schedule's own becomes fine-tuning's."""
        budget = cell.config["budget"]
        schedule = dict(budget["pretrain"]["schedule"])
        if "num_steps" in schedule:
            schedule["num_steps"] = budget["finetune"]["num_steps"]
        return column_stages(cell, vocabulary_stage(cell), (), schedule)


def vocabulary_stage(cell: Cell) -> Stage:
    """The vocabulary, named after the corpus unless it has its own: so equal ones are one stage."""
    content = {"vocabulary": cell.vocabulary.fingerprint()}
    read = cell.vocabulary.reads(cell.corpus)
    if read is not None:
        content["corpus"] = read.fingerprint()
    config = {"corpus": cell.config["corpus"], "vocabulary": cell.config["vocabulary"]}
    own = read is not None and read is not cell.corpus
    return VocabularyStage(cell.labels["vocabulary" if own else "corpus"], config, content)


def pretrain_stage(cell: Cell, vocabulary: Stage) -> Stage:
    """Pre-training of a cell on the tokens of its corpus."""
    config = {"corpus": cell.config["corpus"]}
    tokens = TokensStage(cell.labels["corpus"], config, {"corpus": cell.corpus.fingerprint()}, (vocabulary,))
    config = {
        **{group: cell.config[group] for group in ("architecture", "size", "objective")},
        "budget": cell.config["budget"]["pretrain"],
        "seed": cell.seed,
    }
    name = "-".join(cell.labels[group] for group in ("architecture", "objective", "size", "budget"))
    content = essential(config) | {"budget": essential(config["budget"], PretrainBudget)}
    return PretrainStage(f"{name}-seed{cell.seed}", config, content, (tokens, vocabulary))


def column_stages(
    cell: Cell, vocabulary: Stage, pretrained: tuple[Stage, ...], schedule: Any
) -> dict[str, Stage]:
    """Fine-tuning and evaluation of every column in use, on top of `pretrained` (or of nothing)."""
    refuse_missing(cell.suite.chosen())
    stages: dict[str, Stage] = {}
    start = cell.labels["objective"] if pretrained else "scratch"
    for key, column in cell.suite.chosen().items():
        model = {group: cell.config[group] for group in ("architecture", "size")}
        plain = cell.config["suite"]["columns"][key]
        data = {"lengths": [column.inputs_length, column.targets_length], "tasks": _fingerprints(column)}
        training = {
            "finetune": cell.config["finetune"],
            "budget": {**cell.config["budget"]["finetune"], "schedule": schedule},
            "seed": cell.seed,
        }
        name = "-".join([key, start, *(cell.labels[group] for group in ("architecture", "size", "budget"))])
        name = f"{name}{_distinction(cell)}-seed{cell.seed}"
        content = essential(model | training) | {"budget": essential(training["budget"], FinetuneBudget)}
        config = {**model, **training, "column": plain}
        tuned = FinetuneStage(name, config, content | data, (vocabulary, *pretrained))
        evaluate = {"evaluate": cell.config["budget"]["evaluate"], "seed": cell.seed}
        stages[key] = EvaluateStage(
            name, {**model, **evaluate, "column": plain}, {**evaluate, **data}, (tuned, vocabulary)
        )
    return stages


def _distinction(cell: Cell) -> str:
    """What the name of a fine-tuning adds where it differs from the baseline's."""
    share, method = cell.budget.finetune.labelled_share, cell.labels["finetune"]
    parts = [method] if method != "all_parameters" else []
    return "".join(f"-{part}" for part in [*parts, *([f"{share:.6g}_labelled"] if share != 1 else [])])


def _fingerprints(column: Any) -> dict[str, Any]:
    """What identifies each task of a column: its data, and the metrics that enter the average."""
    return {
        name: {"data": task.fingerprint(), "reported": list(task.reported), "class": type(task).__qualname__}
        for name, task in column.tasks.items()
    }


def with_parents(stages: list[Stage]) -> list[Stage]:
    """The stages and all they stand on, parents first, equal ones once."""
    ordered: dict[str, Stage] = {}

    def add(stage: Stage) -> None:
        if stage.identity not in ordered:
            for parent in stage.parents:
                add(parent)
            ordered[stage.identity] = stage

    for stage in stages:
        add(stage)
    return list(ordered.values())
