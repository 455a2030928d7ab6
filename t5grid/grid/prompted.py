"""cell -> pre-training and questions by prompts (Brown et al., 2020)."""

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from t5grid.config.identity import essential
from t5grid.config.rules import AtLeast
from t5grid.config.schema import Cell, EvaluateBudget
from t5grid.data.prompts import Template
from t5grid.data.shots import named, refuse_too_many
from t5grid.evaluation.averages import scored
from t5grid.grid.strategies import name_of, pretrained_stage, refuse_together, scoring_of, vocabulary_stage
from t5grid.refused import Refused
from t5grid.stages.prompt import PromptStage
from t5grid.stages.stage import Stage
from t5grid.tasks.availability import refuse_missing, refuse_only_read
from t5grid.tasks.task import has

Form = Literal["continuation", "prefix", "sentinel"]


@dataclass(frozen=True)
class Prompted:
    """A pre-training, whose model is asked each column's questions after `num_shots` that are solved.

    Args:
        num_shots: examples before each question, drawn from the training rows by the seed; None is as many
            as fit. Where a prompt is too long, whole examples are dropped from its front.
        balanced: whether classes take turns among the examples.
        anew: whether others are drawn for each question, not the same for all.
        prompt_length: ids that a prompt may have, marks counted; None is what pre-training reads.
        form: how the model is asked to go on (`data.shots.FORMS`); None is as its objective taught it.
        pretrained: a folder whose weights take the place of pre-training, as in `PretrainFinetune`.
        templates: by task, how its records are asked; a task without one shows its inputs and targets.
    """

    num_shots: Annotated[int, AtLeast(0)] | None = 0
    balanced: bool = True
    anew: bool = False
    prompt_length: Annotated[int, AtLeast(8)] | None = None
    form: Form | None = None
    pretrained: str | None = None
    templates: dict[str, Template] = field(default_factory=dict)

    def stages(self, cell: Cell) -> dict[str, PromptStage]:
        """The stage that scores each column; parents lead back to the vocabulary."""
        refuse_together(cell)
        refuse_only_read(cell.suite.chosen())
        refuse_missing(cell.suite.chosen())
        self._refuse_too_many(cell)
        settings = self._settings(cell)
        vocabulary = vocabulary_stage(cell)
        trained = pretrained_stage(cell, vocabulary, self.pretrained)
        return {key: self._stage(cell, key, settings, (trained, vocabulary)) for key in cell.suite.chosen()}

    def _settings(self, cell: Cell) -> dict[str, Any]:
        """How prompts are made, resolved, without what makes no difference. Raises Refused."""
        form = self.form or str(getattr(cell.objective, "prompt_form", ""))
        if not form:
            could = "language_model, prefix_lm, replace_spans and random_spans do; or write strategy.form=..."
            raise Refused(
                f"objective={cell.labels['objective']}: it does not teach to go on with a text, as {could}"
            )
        length = self.prompt_length or cell.budget.pretrain.inputs_length
        drawn = {"balanced": self.balanced, "anew": self.anew}
        return {"num_shots": self.num_shots, **drawn, "prompt_length": length, "form": form}

    def _stage(
        self, cell: Cell, key: str, settings: dict[str, Any], parents: tuple[Stage, ...]
    ) -> PromptStage:
        column, whole = cell.suite.columns[key], cell.config
        given = whole["strategy"].get("templates") or {}
        templates = {name: given[name] for name in column.tasks if name in given}
        config = {
            **{group: whole[group] for group in ("architecture", "size")},
            "evaluate": _greedy(essential(whole["budget"]["evaluate"], EvaluateBudget)),
            "prompted": {**settings, "templates": templates},
            "seed": cell.seed,
            "column": whole["suite"]["columns"][key],
        }
        scoring = scoring_of(whole["budget"]["evaluate"], column)
        identified = {name: essential(node, Template) for name, node in templates.items()}
        content = {
            **scoring,
            "evaluate": config["evaluate"],
            "prompted": {**_drawing(settings), "templates": identified},
            "seed": cell.seed,
        }
        number = "fit" if self.num_shots is None else self.num_shots
        taught = parents[0].name if self.pretrained else cell.labels["objective"]
        start = f"{taught}-{number}_shots"
        return PromptStage(f"{key}-{name_of(cell, start)}", config, content, parents)

    def _refuse_too_many(self, cell: Cell) -> None:
        """Raise Refused for a task with fewer training rows than there are to be examples."""
        for key, column in cell.suite.chosen().items():
            for name, task in scored(column).items():
                drawn = self.num_shots and not self.templates.get(name, Template()).shares
                if drawn and (num_rows := _num_training(task)) is not None:
                    where = f"suite.columns.{key}.tasks.{name}"
                    refuse_too_many(self.num_shots, f"{where}{named(task)}", num_rows)


def _num_training(task: Any) -> int | None:
    """The training rows of a task; None where the hub alone knows."""
    if hasattr(task, "num_rows"):
        return task.num_rows("train")
    return len(task.records("train")) if has(task, "train") else 0


def _greedy(budget: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in budget.items() if name != "num_beams"}


def _drawing(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings that make a difference: without examples there is nothing to draw."""
    without = () if settings["num_shots"] != 0 else ("balanced", "anew")
    return {name: value for name, value in settings.items() if name not in without}
