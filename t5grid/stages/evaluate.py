"""checkpoints of a fine-tuning -> scores of the column at its best step."""

from functools import cached_property
from typing import TYPE_CHECKING, Any

from t5grid.config.reuse import ByObject
from t5grid.config.schema import Column, EvaluateBudget, build
from t5grid.model.answers import as_tuned
from t5grid.stages.finetune import refuse_gaps
from t5grid.stages.model import model_of
from t5grid.stages.stage import Context, Stage
from t5grid.stages.training_stage import TrainingStage
from t5grid.stages.workload import Built, Workload, num_checkpoints, num_scored

if TYPE_CHECKING:
    from t5grid.evaluation.deal import Deal

SHARE_OF_TRAINING = 0.15
"""Time a token takes to answer over that to train on: measured, 0.11 to 0.33 by column at nano and lab."""
NUM_COLUMNS = 100
_built = ByObject(build, limit=NUM_COLUMNS)


class EvaluateStage(Stage):
    """Scores of a column at the best of the checkpoints of its training.

    Of several trainings: scores of them all as one model, each step with every member's checkpoint of it.
    """

    kind = "evaluate"
    scores = True
    spreads = True

    @cached_property
    def work(self) -> float:
        """The tokens of its answers with every checkpoint, as so many that are trained on."""
        column = _built(self.config["column"], "suite", Column)
        rows = num_scored(column, self.budget.num_examples) * self.budget.num_beams
        passes = rows * num_checkpoints(self.trained[0].config["budget"]) * len(self.trained)
        return SHARE_OF_TRAINING * passes * (column.inputs_length + column.targets_length)

    def workload(self, built: Built) -> Workload:
        """Every validation row of a column answered with every checkpoint, at full length.

        A beam is counted as a row, though all beams of a row read its inputs once.
        """
        column = built(self.config["column"], "suite", Column)
        budget = built(self.config["evaluate"], "budget.evaluate", EvaluateBudget)
        rows = num_scored(column, budget.num_examples) * budget.num_beams
        num_steps = num_checkpoints(self.trained[0].config["budget"])
        lengths = (column.inputs_length, column.targets_length)
        num_models = len(self.trained)
        architecture, size, vocab_size = model_of(self, built)
        tuned = as_tuned(architecture, column.tasks)
        return Workload(tuned, size, vocab_size, rows, *lengths, num_steps, num_models=num_models)

    def run(self, context: Context) -> dict[str, Any]:
        """Score every checkpoint and choose."""
        from t5grid.evaluation.deal import dealing

        with dealing(context.runtime, self.has_ranks(context.runtime)) as deal:
            return self._run(context, deal)

    def _run(self, context: Context, deal: "Deal") -> dict[str, Any]:
        """The same by one of the processes that it is dealt to; the result is that of the one that leads."""
        from t5grid.evaluation.averages import choose
        from t5grid.evaluation.resampling import resampled_scores
        from t5grid.evaluation.scores import Scores, load_records, samples_of, score
        from t5grid.stages.restore import restore
        from t5grid.tasks.availability import standing

        restored, budget = restore(self, context, deal), self.budget
        for stage in self.trained:
            assert isinstance(stage, TrainingStage)
            refuse_gaps(context, stage, restored.steps)
        column, vocabulary = restored.column, restored.vocabulary
        records = load_records(column, "validation", budget.num_examples)
        how = (context.runtime.evaluation_batch, budget.num_beams, deal)
        by_step: dict[int, Scores] = {}
        best: dict[str, list[str]] = {}
        for done, step in enumerate(restored.steps, start=1):
            by_step[step], answers = score(restored.at(step), vocabulary, column, records, *how)
            if not deal.leads:
                continue
            chosen = choose(column, by_step)
            best = answers if chosen["step"] == step else best
            context.report({"step": done, "num_steps": len(restored.steps)})
        if not deal.leads:
            return {}
        counts = {name: len(rows) for name, rows in records.items()}
        standings = standing({"data": column})
        return {
            **chosen,
            "validation_rows": counts,
            **standings,
            "resamples": resampled_scores(column, records, best),
            "samples": samples_of(records, best),
        }

    @property
    def budget(self) -> EvaluateBudget:
        """Rows and beams."""
        return build(self.config["evaluate"], "budget.evaluate", EvaluateBudget)
