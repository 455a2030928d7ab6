"""pre-trained weights (or none) + training rows -> one checkpoint every few steps."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from t5grid.config.schema import Column, FinetuneBudget, FinetuneByEpochs, build
from t5grid.model.answers import as_tuned, decoded, is_output
from t5grid.stages.model import model_of
from t5grid.stages.stage import Context
from t5grid.stages.training_stage import TrainingStage, last_checkpoint, refuse_lost
from t5grid.stages.workload import Built, Workload, num_checkpoints

if TYPE_CHECKING:
    from t5grid.training.fit import Plan


class FinetuneStage(TrainingStage):
    """A column's training rows, from the weights of a parent if it has a trained one."""

    kind = "finetune"

    @cached_property
    def budget(self) -> FinetuneBudget:
        return build(self.config["budget"], "budget.finetune", FinetuneBudget)

    @property
    def num_kept(self) -> None:
        return None

    @property
    def work(self) -> float:
        budget = self.config["budget"]
        return float(budget["num_steps"] * budget["num_tokens"])

    def workload(self, built: Built) -> Workload:
        """The sizes of its batches, their rows taken to be full of examples."""
        budget, column = self.config["budget"], self.config["column"]
        architecture, size, vocab_size = model_of(self, built)
        return Workload(
            as_tuned(architecture, built(column, "suite", Column).tasks),
            size,
            vocab_size,
            max(1, round(budget["num_tokens"] / column["inputs_length"])),
            column["inputs_length"],
            column["targets_length"],
            budget["num_steps"],
            dropout=size.dropout,
            method=built(self.config["finetune"], "finetune"),
            optimizer=built(budget["optimizer"], "budget.finetune.optimizer"),
            num_kept=num_checkpoints(budget),
            starts_trained=self.start is not None,
        )

    def feed(self, context: Context, vocabulary: Any, architecture: Any) -> Any:
        """The column's records, mixed by their number."""
        from t5grid.data.feeds import FinetuneFeed, labelled
        from t5grid.data.roundtrip import losses
        from t5grid.evaluation.scores import load_records

        column, seed = build(self.config["column"], "suite", Column), self.config["seed"]
        makes_reading = getattr(architecture, "reading", None)
        reading = makes_reading(vocabulary, column.inputs_length) if makes_reading else None
        records = load_records(column, "train", None)
        if hasattr(reading, "refuse_longer"):
            refuse_long_rows(reading, [records, load_records(column, "validation", None)])
        plain = build(self.config["architecture"], "architecture")
        for line in losses(decoded(plain, column.tasks), records, vocabulary):
            print(line, flush=True)
        return FinetuneFeed(
            tasks={
                name: labelled(rows, self.budget.labelled_share, seed, self.budget.num_labelled)
                for name, rows in records.items()
            },
            vocabulary=vocabulary,
            batching=self._batching(architecture),
            num_tokens=self.budget.num_tokens,
            num_chosen=getattr(self.budget, "num_examples", None),
            inputs_length=column.inputs_length,
            targets_length=column.targets_length if reading is None else column.inputs_length,
            seed=seed,
            read=None if reading is None else reading.pair,
        )

    def _batching(self, architecture: Any) -> Any:
        """The architecture's, or under a budget by epochs its packed one, where it has one."""
        packs = isinstance(self.budget, FinetuneByEpochs) and hasattr(architecture, "packed")
        return architecture.packed if packs else architecture.batching

    def as_trained(self, architecture: Any) -> Any:
        """With output layers for the column's tasks, where it answers by them."""
        return as_tuned(architecture, build(self.config["column"], "suite", Column).tasks)

    def plan(self, context: Context, without: frozenset[str] = frozenset()) -> "Plan":
        """The run under the fine-tuning method, from pre-training's moments where they are kept."""
        continued = self.start if self.budget.continue_optimizer else None
        return replace(
            super().plan(context, without),
            method=self.method,
            optimizer_from=last_checkpoint(context, continued) if continued else None,
        )

    @property
    def method(self) -> Any:
        """Which parameters are trained at which step."""
        return build(self.config["finetune"], "finetune")

    def prepare(self, context: Context, model: Any, evaluating: bool = False) -> frozenset[str]:
        """Load the weights to start from and add the method's own; what it never trains is left out.

        A model fine-tuned before has output layers in the place of the heads of pre-training, and so has this
        one before they are loaded.
        """
        from t5grid.training.finetuning import episodes_of, never_trained
        from t5grid.training.fit import initialise

        self.keep_rows(model)
        num_steps = self.budget.num_steps
        names = [name for name, _ in model.named_parameters()]
        is_whole = not never_trained(names, self.method.episodes(names, num_steps))
        loads, follows = not (evaluating and is_whole), isinstance(self.start, FinetuneStage)
        if loads and not follows:
            self._load(context, model)
        initialise(lambda: self._add(context, model, loads and follows), self.config["seed"], "fine-tuning")
        names = [name for name, _ in model.named_parameters()]
        never = never_trained(names, episodes_of(self.method, names, num_steps))
        return never if self.start else frozenset()

    def _load(self, context: Context, model: Any) -> None:
        """The weights to start from, if there are any, but for those that start afresh."""
        from t5grid.training import checkpoints
        from t5grid.training.finetuning import fresh

        if self.start:
            anew = fresh(self.method, [name for name, _ in model.named_parameters()])
            path = last_checkpoint(context, self.start)
            checkpoints.load_model(path, model, anew, lambda name: name in anew or is_output(name))

    def _add(self, context: Context, model: Any, loads: bool) -> None:
        """What is new in fine-tuning: output layers, where it answers by them, then the method's own."""
        architecture = self.as_trained(build(self.config["architecture"], "architecture"))
        if hasattr(architecture, "prepare"):
            architecture.prepare(model)
        if loads:
            self._load(context, model)
        self.method.prepare(model)

    def counts(self, model: Any, feed: Any) -> dict[str, Any]:
        """Parameters trained, and rows."""
        return {
            "trained_parameters": self.trained_parameters(model),
            "examples_per_step": feed.num_examples,
            "training_rows": {name: len(rows) for name, rows in feed.tasks.items()},
        }

    def trained_parameters(self, model: Any) -> dict[str, int]:
        """How many numbers are trained from each step on at which that changes."""
        from t5grid.training.callbacks import num_trained

        names = [name for name, _ in model.named_parameters()]
        episodes = self.method.episodes(names, self.budget.num_steps)
        return {str(step): num_trained(model, trained) for step, trained in episodes.items()}


def refuse_long_rows(reading: Any, splits: Sequence[Mapping[str, Sequence[Any]]]) -> None:
    """Raise LongRow for a row, of some splits of a column's tasks, that has no room."""
    for records in splits:
        for name, rows in records.items():
            reading.refuse_longer(name, [row["inputs"] for row in rows])


def refuse_gaps(context: Context, stage: TrainingStage, steps: Collection[int]) -> None:
    """Raise Refused where `steps`, those to be scored, lack one that this stage has lost."""
    from t5grid.training import checkpoints

    made = checkpoints.steps_made(stage.budget.checkpoint_every, stage.budget.num_steps)
    if lost := [step for step in made if step not in steps]:  # of this one, or of another member
        sound = checkpoints.steps(context.folder_of(stage) / "checkpoints")
        for step in lost:
            refuse_lost(context, stage, step, sound)
