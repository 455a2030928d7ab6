"""pre-trained weights + prompts -> scores of a column; nothing is trained."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

from t5grid.config.identity import digest_of
from t5grid.config.rules import AtLeast
from t5grid.config.schema import Column, EvaluateBudget, build
from t5grid.data.prompts import Template
from t5grid.stages.model import build_model, model_of
from t5grid.stages.stage import Context, Stage
from t5grid.stages.workload import Built, Workload, num_scored

if TYPE_CHECKING:
    from t5grid.evaluation.deal import Deal


@dataclass(frozen=True)
class Prompting:
    """How a column's records become prompts, everything resolved (`grid.prompted`)."""

    num_shots: Annotated[int, AtLeast(0)] | None
    balanced: bool
    anew: bool
    prompt_length: int
    form: str
    templates: dict[str, Template] = field(default_factory=dict)

    def template(self, task: str) -> Template:
        """That of a task; where none is set, its inputs and then its targets."""
        return self.templates.get(task, Template())


class PromptStage(Stage):
    """Scores of a column whose questions a pre-trained model is asked, after some that are solved."""

    kind = "prompt"
    scores = True
    spreads = True

    @property
    def prompting(self) -> Prompting:
        """Examples, lengths, templates."""
        return build(self.config["prompted"], "strategy", Prompting)

    @property
    def column(self) -> Column:
        """What is asked."""
        return build(self.config["column"], "suite", Column)

    def workload(self, built: Built) -> Workload:
        """Every validation row at its longest; each answer that there is to choose from counts as a row."""
        column, prompting = built(self.config["column"], "suite", Column), self.prompting
        budget = built(self.config["evaluate"], "budget.evaluate", EvaluateBudget)
        closed = [prompting.template(name).num_choices(task) for name, task in column.tasks.items()]
        rows = num_scored(column, budget.num_examples) * max(closed)
        longest = (1 + (prompting.num_shots or 0)) * (column.inputs_length + column.targets_length)
        room = prompting.prompt_length
        inputs = room if prompting.num_shots is None else min(room, longest)
        return Workload(*model_of(self, built), rows, inputs, column.targets_length, 1)

    def askings(self, column: Column, vocabulary: Any) -> dict[str, Any]:
        """How the questions of each task that is scored are made."""
        from t5grid.data.shots import Asking, Shots
        from t5grid.evaluation.averages import scored

        given = self.prompting
        shots = Shots(given.num_shots, given.balanced, given.anew, self.config["seed"])
        how = {
            "shots": shots,
            "form": given.form,
            "length": given.prompt_length,
            "vocabulary": vocabulary,
        }
        tasks = scored(column)
        return {name: Asking(name, task, given.template(name), **how) for name, task in tasks.items()}

    @property
    def asks(self) -> str:
        """Equal for stages that ask the same, after whatever examples, of whatever model."""
        drawn = ("num_shots", "balanced", "anew")
        how = {name: value for name, value in self.content["prompted"].items() if name not in drawn}
        return digest_of(self.kind, self.version, {**self.content, "prompted": how, "seed": None}, [])

    def refuse_unaskable(self, vocabulary: Any) -> None:
        """Raise Refused for questions too long without an example, and answers that a vocabulary mixes up."""
        column = self.column
        records = self._records(column)
        for name, asking in self.askings(column, vocabulary).items():
            for _ in asking.alone().questions(records[name], ()):
                pass

    def run(self, context: Context) -> dict[str, Any]:
        """Ask every question and score the answers."""
        from t5grid.evaluation.deal import dealing

        with dealing(context.runtime, self.has_ranks(context.runtime)) as deal:
            return self._run(context, deal)

    def _run(self, context: Context, deal: "Deal") -> dict[str, Any]:
        """The same by one of the processes that it is dealt to; the result is that of the one that leads."""
        from t5grid.evaluation.averages import choose
        from t5grid.evaluation.prompted import shots_used
        from t5grid.evaluation.resampling import resampled_scores
        from t5grid.evaluation.scores import samples_of
        from t5grid.stages.text import load_vocabulary
        from t5grid.tasks.availability import standing
        from t5grid.training import checkpoints

        vocabulary, column = load_vocabulary(context, self.vocabulary), self.column
        model, path = self._model(context, column, vocabulary, deal)
        records, asked = self._records(column), {}
        answers: dict[str, list[str]] = {}
        for done, (name, asking) in enumerate(self.askings(column, vocabulary).items(), start=1):
            asked[name] = list(asking.questions(records[name], self.training(asking)))
            answers[name] = model.answers(asking, asked[name])
            if deal.leads:
                context.report({"step": done, "num_steps": len(records)})
        if not deal.leads:
            return {}
        scores = {
            name: {key: float(value) for key, value in task.score(records[name], answers[name]).items()}
            for name, task in column.tasks.items()
            if name in answers
        }
        return {
            **choose(column, {checkpoints.step_of(path): scores}),
            "validation_rows": {name: len(rows) for name, rows in records.items()},
            **standing({"data": column}),
            "resamples": resampled_scores(column, records, answers),
            "samples": samples_of(_as_asked(records, asked), answers),
            "shots": {
                name: {"asked": self.prompting.num_shots, **shots_used(questions)}
                for name, questions in asked.items()
            },
        }

    def answered(self, context: Context, task: str, texts: Sequence[str]) -> list[str]:
        """The answers of a task to anybody's inputs. Raises Refused for those its template cannot read."""
        from t5grid.evaluation.deal import ALONE
        from t5grid.stages.text import load_vocabulary

        vocabulary, column = load_vocabulary(context, self.vocabulary), self.column
        model, _ = self._model(context, column, vocabulary, ALONE)
        asking = self.askings(column, vocabulary)[task]
        records = [{"inputs": text, "targets": ""} for text in texts]
        return model.answers(asking, list(asking.questions(records, self.training(asking))))

    def _records(self, column: Column) -> dict[str, Sequence[Any]]:
        from t5grid.evaluation.scores import load_records

        budget = build(self.config["evaluate"], "budget.evaluate", EvaluateBudget)
        return load_records(column, "validation", budget.num_examples)

    def training(self, asking: Any) -> Sequence[Any]:
        """The rows that examples are drawn from; none where there are no examples of theirs."""
        from t5grid.tasks.task import has

        needed = self.prompting.num_shots != 0 and not asking.template.shares and has(asking.task, "train")
        return asking.task.records("train") if needed else ()

    def _model(self, context: Context, column: Column, vocabulary: Any, deal: "Deal") -> tuple[Any, Any]:
        """The model with the last of the weights it was pre-trained to, and their file."""
        from t5grid.evaluation.prompted import PromptedModel
        from t5grid.stages.finetune import last_checkpoint
        from t5grid.stages.restore import refuse_no_numbers
        from t5grid.training import checkpoints

        (trained,) = self.trained
        model, architecture = build_model(self.config, vocabulary.size)
        if "num_rows" in trained.config:
            model.keep_rows(trained.config["num_rows"])
        path = last_checkpoint(context, trained)
        checkpoints.load_model(path, model)
        refuse_no_numbers(model, path)
        deal.place(model.eval(), context.runtime.accelerator)
        how = (architecture.batching, context.runtime.evaluation_batch, column.targets_length, deal)
        return PromptedModel(model, *how), path


def _as_asked(
    records: Mapping[str, Sequence[Any]], asked: Mapping[str, Sequence[Any]]
) -> dict[str, list[Any]]:
    """The first records with their prompts for inputs."""
    return {
        name: [
            {**row, "inputs": question.text} for row, question in zip(records[name], questions, strict=True)
        ]
        for name, questions in asked.items()
    }
