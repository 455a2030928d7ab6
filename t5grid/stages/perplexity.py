"""pre-trained weights + held-out text -> bits an id by place, with and without carry."""

from statistics import fmean
from typing import Any

from t5grid.config.schema import Column, EvaluateBudget, build
from t5grid.refused import Refused
from t5grid.stages.model import build_model, model_of
from t5grid.stages.stage import Context, Stage
from t5grid.stages.workload import Built, Workload, batch_shape


class PerplexityStage(Stage):
    """How likely a language model finds a column's texts; nothing is trained."""

    kind = "perplexity"
    scores = True

    @property
    def column(self) -> Column:
        """Whose texts are read, and how long they are."""
        return build(self.config["column"], "suite", Column)

    def workload(self, built: Built) -> Workload:
        """Every text read once, or twice where something is carried."""
        column = built(self.config["column"], "suite", Column)
        objective = built(self.config["objective"], "objective")
        architecture, size, vocab_size = model_of(self, built)
        rows = sum(self._number(task) for task in column.tasks.values())
        shape = batch_shape(objective, architecture.batching, rows, column.inputs_length, vocab_size)
        carry = getattr(getattr(architecture, "segments", None), "carry", "none")
        return Workload(architecture, size, vocab_size, *shape, 1, num_models=1 if carry == "none" else 2)

    def run(self, context: Context) -> dict[str, Any]:
        """Read every task's texts."""
        from t5grid.evaluation.averages import choose
        from t5grid.evaluation.perplexity import Reader
        from t5grid.evaluation.resampling import resampled_means
        from t5grid.stages.text import load_vocabulary
        from t5grid.training import checkpoints

        vocabulary, column = load_vocabulary(context, self.vocabulary), self.column
        objective = build(self.config["objective"], "objective")
        model, architecture, path = self._model(context, vocabulary.size)
        how = (objective, architecture.batching, vocabulary.size, context.runtime.evaluation_batch)
        length, _ = objective.lengths(column.inputs_length)
        readings = {
            name: Reader(model, *how)(self._texts(name, task, vocabulary, length))
            for name, task in column.tasks.items()
        }
        scores = {name: reading.scores() for name, reading in readings.items()}
        means = [resampled_means(name, reading.whole.mean(axis=1)) for name, reading in readings.items()]
        return {
            **choose(column, {checkpoints.step_of(path): scores}),
            "validation_rows": {name: len(reading.whole) for name, reading in readings.items()},
            "resamples": [
                round(fmean(100 * 2**-mean for mean in drawn), 4) for drawn in zip(*means, strict=True)
            ],
            "perplexity": {name: reading.curve() for name, reading in readings.items()},
        }

    def _number(self, task: Any) -> int:
        """How many texts of a task are read."""
        limit = build(self.config["evaluate"], "budget.evaluate", EvaluateBudget).num_examples
        return min(task.num_validation, limit or task.num_validation)

    def _texts(self, name: str, task: Any, vocabulary: Any, length: int) -> Any:
        from t5grid.evaluation.perplexity import texts_of

        texts = texts_of(vocabulary.encode, task.documents(), length, self._number(task))
        if not len(texts):
            where = f"task {name}: its documents are shorter than one text"
            raise Refused(f"{where} of {length} ids; more of them, or a smaller inputs_length, are needed")
        return texts

    def _model(self, context: Context, vocab_size: int) -> tuple[Any, Any, Any]:
        """The model with the last of the weights it was pre-trained to, its architecture, their file."""
        from t5grid.evaluation.deal import device
        from t5grid.stages.restore import refuse_no_numbers
        from t5grid.stages.training_stage import last_checkpoint
        from t5grid.training import checkpoints

        (trained,) = self.trained
        model, architecture = build_model(self.config, vocab_size)
        path = last_checkpoint(context, trained)
        checkpoints.load_model(path, model)
        refuse_no_numbers(model, path)
        if hasattr(architecture, "prepare"):
            architecture.prepare(model)
        return model.eval().to(device(context.runtime.accelerator)), architecture, path
