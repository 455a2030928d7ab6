"""feed + plan -> weights: what every stage that trains does, whatever it trains on."""

from collections.abc import Callable, Collection
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from t5grid.config.schema import FinetuneBudget, PretrainBudget, build
from t5grid.refused import Refused
from t5grid.stages.model import build_model, measured, num_parameters
from t5grid.stages.stage import Context, Stage
from t5grid.stages.text import load_vocabulary

if TYPE_CHECKING:
    from t5grid.training.fit import Plan

NUM_KEPT = 2
"""Checkpoints of a stage of which only the end is used: the last, and one should it be damaged."""


class TrainingStage(Stage):
    """A stage that trains a model; a kind says its budget, its feed and what it counts."""

    trains = True

    @cached_property
    def budget(self) -> PretrainBudget | FinetuneBudget:
        """Steps, batches, optimizer and schedule."""
        raise NotImplementedError

    @property
    def start(self) -> Stage | None:
        """The stage whose last weights training starts from; None is random initialisation."""
        return next(iter(self.trained), None)

    def keep_rows(self, model: Any) -> None:
        """Give a fresh model as many rows of the id table as the weights have that it starts from.

        Imported ones, of this start or what that stands on, may have been trained with fewer.
        """
        stage = self.start
        while stage is not None:
            if "num_rows" in stage.config and hasattr(model, "keep_rows"):
                model.keep_rows(stage.config["num_rows"])
                return
            stage = next(iter(stage.trained), None)

    def feed(self, context: Context, vocabulary: Any, architecture: Any) -> Callable[[int], Any]:
        """The batch of each step."""
        raise NotImplementedError

    def counts(self, model: Any, feed: Any) -> dict[str, Any]:
        """What the record says of this kind besides costs and result."""
        return {}

    def prepare(self, context: Context, model: Any, evaluating: bool = False) -> frozenset[str]:
        """Bring a fresh model to where training starts; the parameters that checkpoints leave out.

        None of either, unless a kind says otherwise. `evaluating`: a checkpoint is loaded next, so that
        nothing is read that it would replace.
        """
        return frozenset()

    def as_trained(self, architecture: Any) -> Any:
        """The architecture in the form that this stage trains."""
        return architecture

    def plan(self, context: Context, without: frozenset[str] = frozenset()) -> "Plan":
        """The run apart from its data; `without` are the parameters that checkpoints leave out."""
        from t5grid.training.fit import Plan

        return Plan(
            num_steps=self.budget.num_steps,
            checkpoint_every=self.budget.checkpoint_every,
            keep=self.num_kept,
            optimizer=self.budget.optimizer,
            schedule=self.budget.schedule,
            seed=self.config["seed"],
            without=without,
        )

    @property
    def num_kept(self) -> int | None:
        """How many of its checkpoints stay; None is all."""
        return NUM_KEPT

    @property
    def pretraining(self) -> bool:
        """Whether the model has the dropout of pre-training."""
        return False

    def run(self, context: Context) -> dict[str, Any]:
        """Train to the end, or go on; costs are worked out first, so that a fault in them shows at once."""
        from t5grid.training.fit import fit

        vocabulary = load_vocabulary(context, self.vocabulary)
        model, architecture = build_model(self.config, vocabulary.size, self.pretraining)
        architecture = self.as_trained(architecture)
        without = self.prepare(context, model)
        feed, plan = self.feed(context, vocabulary, architecture), self.plan(context, without)
        costs = measured(feed, architecture, build(self.config["size"], "size"), vocabulary.size, plan)
        counts = {"parameters": num_parameters(model), **self.counts(model, feed)}
        folder = context.folder_of(self)
        result = fit(model, feed, plan, folder, context.runtime, context.report, self.identity)
        return {**result, **costs, **counts}


def last_checkpoint(context: Context, stage: Stage) -> Path:
    """The checkpoint of a stage that training starts from. Raises Refused if that is damaged."""
    from t5grid.training import checkpoints

    newest = checkpoints.newest(context.folder_of(stage) / "checkpoints")
    if isinstance(stage, TrainingStage):
        refuse_lost(context, stage, stage.budget.num_steps, {checkpoints.step_of(newest)})
    return newest


def refuse_lost(context: Context, stage: Stage, step: int, sound: Collection[int]) -> None:
    """Raise Refused where a finished stage has lost a checkpoint since: no other may pass for it."""
    if step not in sound:
        record = context.folder_of(stage) / "record.json"
        again = f"delete {record}, and the same command makes it again"
        raise Refused(f"{stage.identity}: its checkpoint of step {step} is damaged or gone; {again}")
