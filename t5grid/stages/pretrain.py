"""tokens (and weights to go on from) -> pre-trained weights, by one objective."""

from functools import cached_property
from typing import Any

from t5grid.config.schema import PretrainBudget, build
from t5grid.data.stream import key_of
from t5grid.stages.model import model_of
from t5grid.stages.stage import Context
from t5grid.stages.training_stage import NUM_KEPT, TrainingStage, last_checkpoint
from t5grid.stages.workload import EVERYTHING, Built, Workload, batch_shape


class PretrainStage(TrainingStage):
    """tokens -> pre-trained weights, from those of a parent if it has a trained one."""

    kind = "pretrain"

    @cached_property
    def budget(self) -> PretrainBudget:
        return build(self.config["budget"], "budget.pretrain", PretrainBudget)

    @property
    def pretraining(self) -> bool:
        return True

    @property
    def work(self) -> float:
        budget = self.config["budget"]
        return float(budget["num_steps"] * budget["num_rows"] * budget["inputs_length"])

    def workload(self, built: Built) -> Workload:
        """The sizes of its batches, tried out on an example."""
        budget, objective = self.config["budget"], built(self.config["objective"], "objective")
        architecture, size, vocab_size = model_of(self, built)
        rows, length = budget["num_rows"], budget["inputs_length"]
        return Workload(
            architecture,
            size,
            vocab_size,
            *batch_shape(objective, architecture.batching, rows, length, vocab_size),
            budget["num_steps"],
            dropout=size.dropout if size.pretrain_dropout is None else size.pretrain_dropout,
            method=EVERYTHING,
            optimizer=built(budget["optimizer"], "budget.pretrain.optimizer"),
            num_kept=NUM_KEPT,
        )

    @property
    def shuffling(self) -> int:
        """The seed of order and noise: another one where training goes on, lest it reads the same again."""
        seed: int = self.config["seed"]
        return seed if self.start is None else key_of(seed, "continued")

    def prepare(self, context: Context, model: Any, evaluating: bool = False) -> frozenset[str]:
        """Load the weights it goes on from, if it does; its checkpoints are whole."""
        from t5grid.training import checkpoints

        self.keep_rows(model)
        if self.start and not evaluating:
            checkpoints.load_model(last_checkpoint(context, self.start), model)
        return frozenset()

    def feed(self, context: Context, vocabulary: Any, architecture: Any) -> Any:
        """Pieces of the corpus under the objective, in another order where training goes on."""
        from t5grid.data.feeds import PretrainFeed
        from t5grid.data.sentences import SentenceMarks
        from t5grid.data.tokens import Rows

        assert self.tokens is not None
        budget, objective = self.budget, build(self.config["objective"], "objective")
        raw, targets_length = objective.lengths(budget.inputs_length)
        rows = Rows(context.folder_of(self.tokens), vocabulary.size, raw, objective.concatenate)
        if budget.num_repeats:
            rows = rows.take(max(1, budget.num_steps * budget.num_rows // budget.num_repeats))
        return PretrainFeed(
            rows=rows,
            objective=objective,
            batching=architecture.batching,
            vocab_size=vocabulary.size,
            num_rows=budget.num_rows,
            inputs_length=budget.inputs_length,
            targets_length=targets_length,
            seed=self.shuffling,
            marked=SentenceMarks.of(vocabulary) if getattr(objective, "marks_sentences", False) else None,
        )

    def counts(self, model: Any, feed: Any) -> dict[str, Any]:
        """How often the corpus is read."""
        epochs = self.budget.num_steps * self.budget.num_rows / len(feed.rows)
        return {"epochs": round(epochs, 4)}
