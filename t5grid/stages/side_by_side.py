"""every column's rows -> a model a column, trained side by side; then each alone."""

from functools import cached_property
from typing import Any

import numpy as np

from t5grid.config.schema import PretrainBudget, Runtime, build
from t5grid.refused import Refused
from t5grid.stages.model import build_model, measured, model_of, num_parameters
from t5grid.stages.multitask import MultitaskStage
from t5grid.stages.stage import Context
from t5grid.stages.text import load_vocabulary
from t5grid.stages.training_stage import TrainingStage
from t5grid.stages.workload import EVERYTHING, Built, Workload, num_checkpoints


class SideBySideStage(TrainingStage):
    """One model a column, each on its own batches, all in one run.

    `members` are the configs of the trainings that each would have alone.
    """

    kind = "tied"

    @cached_property
    def budget(self) -> PretrainBudget:
        return build(self.config["budget"], "budget.pretrain", PretrainBudget)

    @cached_property
    def members(self) -> dict[str, MultitaskStage]:
        """What each model would be trained by alone."""
        nodes = self.config["members"].items()
        return {key: MultitaskStage(key, node, {}, self.parents) for key, node in nodes}

    @property
    def num_kept(self) -> None:
        return None

    @property
    def work(self) -> float:
        return sum(member.work for member in self.members.values())

    def workload(self, built: Built) -> Workload:
        """The rows of all models as those of one; what is tied costs little beside."""
        budget, count = self.config["budget"], len(self.members)
        architecture, size, vocab_size = model_of(self, built)
        return Workload(
            architecture,
            size,
            vocab_size,
            budget["num_rows"] * count,
            budget["inputs_length"],
            next(iter(self.members.values())).config["targets_length"],
            budget["num_steps"],
            dropout=size.dropout,
            method=EVERYTHING,
            optimizer=built(budget["optimizer"], "budget.pretrain.optimizer"),
            num_kept=num_checkpoints(budget) * count,
        )

    def preface(self, folder_of: Any) -> list[str]:
        """The mixture of every model's tasks."""
        return [line for member in self.members.values() for line in member.preface(folder_of)]

    def run(self, context: Context) -> dict[str, Any]:
        """Train all to the end, or go on."""
        from t5grid.model.side_by_side import SideBySide
        from t5grid.training.fit import fit

        refuse_machine(context.runtime)
        vocabulary, config = load_vocabulary(context, self.vocabulary), self.config
        built = [build_model(member.config, vocabulary.size) for member in self.members.values()]
        models, architecture = [model for model, _ in built], built[0][1]
        model = SideBySide(models, list(self.members), config["strength"], config["tie"], config["modules"])
        feeds = [member.feed(context, vocabulary, architecture) for member in self.members.values()]
        plan, size = self.plan(context), build(config["size"], "size")
        costs = [measured(feed, architecture, size, vocabulary.size, plan) for feed in feeds]
        folder, name = context.folder_of(self), self.identity
        result = fit(model, JointFeed(feeds), plan, folder, context.runtime, context.report, name)
        return {
            **result,
            "flops": sum(cost["flops"] for cost in costs),
            "padding": round(sum(cost["padding"] for cost in costs) / len(costs), 4),
            "parameters": num_parameters(model),
        }


class JointFeed:
    """step -> the batches of all models as one, and which other each is compared with."""

    def __init__(self, feeds: list[Any]) -> None:
        self.feeds = feeds

    def __call__(self, step: int) -> dict[str, np.ndarray]:
        from t5grid.model.side_by_side import PARTNER

        batch = {f"{i}.{key}": a for i, feed in enumerate(self.feeds) for key, a in feed(step).items()}
        return batch | {PARTNER: np.array([1 + step % max(1, len(self.feeds) - 1)])}


def refuse_machine(runtime: Runtime) -> None:
    """Raise Refused for settings under which a batch is one of rows: here it is one of models."""
    for key, value in (("num_devices", 1), ("num_nodes", 1), ("micro_batch", None), ("compile", "off")):
        if getattr(runtime, key) != value:
            given, needed = getattr(runtime, key), "null" if value is None else value
            raise Refused(f"runtime.{key}={given}: strategy=soft_sharing needs {needed}")


class MemberStage(TrainingStage):
    """One of the models that were trained side by side, its checkpoints as those of a training of its own."""

    kind = "member"
    trains = False

    @cached_property
    def budget(self) -> PretrainBudget:
        return build(self.config["budget"], "budget.pretrain", PretrainBudget)

    @property
    def num_kept(self) -> None:
        return None

    @property
    def work(self) -> float:
        return 1.0

    def workload(self, built: Built) -> None:
        """Nothing is computed."""

    def run(self, context: Context) -> dict[str, Any]:
        """Take this model's weights out of every checkpoint."""
        from t5grid.model.side_by_side import prefix_of
        from t5grid.training import checkpoints

        (together,) = self.trained
        assert isinstance(together, SideBySideStage)
        prefix = prefix_of(list(together.members).index(self.config["key"]))
        sound = checkpoints.steps(context.folder_of(together) / "checkpoints")
        for path in sound.values():
            checkpoints.take_out(path, context.folder_of(self) / "checkpoints", prefix)
        return {"steps": self.budget.num_steps, "seconds": 0.0, "flops": 0}
