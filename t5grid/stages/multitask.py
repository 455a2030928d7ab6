"""tokens + every column's rows -> weights: training on a mixture (section 3.5.2)."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from t5grid.config.schema import Column, PretrainBudget, build
from t5grid.data import mixing
from t5grid.files import read_json
from t5grid.refused import Refused
from t5grid.stages.model import model_of
from t5grid.stages.stage import Context, Stage
from t5grid.stages.text import COUNTS
from t5grid.stages.training_stage import NUM_KEPT, TrainingStage
from t5grid.stages.workload import EVERYTHING, Built, Workload, num_checkpoints
from t5grid.tasks.task import has

if TYPE_CHECKING:
    from t5grid.data.feeds import MixtureFeed

FolderOf = Callable[[Stage], Path]


class MultitaskStage(TrainingStage):
    """One model trained on all columns at once, and on the corpus where `objective` is not null."""

    kind = "multitask"

    @cached_property
    def budget(self) -> PretrainBudget:
        return build(self.config["budget"], "budget.pretrain", PretrainBudget)

    @property
    def num_kept(self) -> int | None:
        return None if self.config["keep_all"] else NUM_KEPT

    @property
    def work(self) -> float:
        budget = self.config["budget"]
        return float(budget["num_steps"] * budget["num_rows"] * budget["inputs_length"])

    def workload(self, built: Built) -> Workload:
        """The sizes of its batches, at the lengths of pre-training."""
        budget = self.config["budget"]
        architecture, size, vocab_size = model_of(self, built)
        return Workload(
            architecture,
            size,
            vocab_size,
            budget["num_rows"],
            budget["inputs_length"],
            self.config["targets_length"],
            budget["num_steps"],
            dropout=size.dropout,
            method=EVERYTHING,
            optimizer=built(budget["optimizer"], "budget.pretrain.optimizer"),
            num_kept=self.num_kept or num_checkpoints(budget),
        )

    def columns(self) -> dict[str, Column]:
        """The columns of the mixture."""
        return {key: build(node, "suite", Column) for key, node in self.config["columns"].items()}

    def num_documents(self, folder_of: FolderOf) -> int | None:
        """Documents of the corpus; None while that is not known, or if there is no corpus."""
        if not self.tokens:
            return None
        counted = read_json(folder_of(self.tokens) / COUNTS) or {}
        corpus = build(self.tokens.config["corpus"], "corpus")
        return counted.get("num_documents", getattr(corpus, "num_documents", None))

    def parts(self, folder_of: FolderOf, sizes: Mapping[str, int] | None = None) -> list[mixing.MixturePart]:
        """The data sets in order: every task of every column, then the unlabelled text."""
        num_documents = self.num_documents(folder_of)
        parts = parts_of(self.columns(), sizes)
        return parts + ([mixing.MixturePart(mixing.UNSUPERVISED, num_documents)] if self.tokens else [])

    def phases(self, parts: Sequence[mixing.MixturePart]) -> tuple[mixing.Phase, ...]:
        """The rates of the parts, phase by phase."""
        return build(self.config["mixing"], "mixing").phases(parts)

    def preface(self, folder_of: FolderOf) -> list[str]:
        """The mixture as a table."""
        parts = self.parts(folder_of)
        return [f"mixture of {self.name}", *mixing.table(parts, self.phases(parts))]

    def feed(self, context: Context, vocabulary: Any, architecture: Any) -> "MixtureFeed":
        """Examples of every part by rate; the mixture is printed into the log."""
        from t5grid.data.feeds import Labelled, MixtureFeed
        from t5grid.data.roundtrip import losses
        from t5grid.evaluation.scores import load_records

        columns = self.columns()
        loaded = {key: load_records(column, "train", None) for key, column in columns.items()}
        for key, column in columns.items():
            for line in losses(column.tasks, loaded[key], vocabulary):
                print(line, flush=True)
        records = {f"{key}.{name}": rows for key, tasks in loaded.items() for name, rows in tasks.items()}
        parts = self.parts(context.folder_of, {name: len(rows) for name, rows in records.items()})
        phases = self.phases(parts)
        print("\n".join(mixing.table(parts, phases)), flush=True)
        labelled = [Labelled(rows, vocabulary) for rows in records.values()]
        return MixtureFeed(
            parts=parts,
            sources=[*labelled, *self._unlabelled(context, vocabulary)],
            phases=phases,
            num_steps=self.budget.num_steps,
            batching=architecture.batching,
            num_tokens=self.budget.num_rows * self.budget.inputs_length,
            inputs_length=self.budget.inputs_length,
            targets_length=self.config["targets_length"],
            seed=self.config["seed"],
        )

    def _unlabelled(self, context: Context, vocabulary: Any) -> list[Any]:
        if not self.tokens:
            return []
        from t5grid.data.feeds import Unlabelled
        from t5grid.data.tokens import Rows

        objective = build(self.config["objective"], "objective")
        raw, _ = objective.lengths(self.budget.inputs_length)
        folder = context.folder_of(self.tokens)
        rows = Rows(folder, vocabulary.size, raw, objective.concatenate, group_short=False)
        return [Unlabelled(rows, objective, vocabulary.size)]

    def counts(self, model: Any, feed: Any) -> dict[str, Any]:
        """The mixture: each part's examples and its share in every phase."""
        shares = zip(*(mixing.shares(phase.rates) for phase in feed.phases), strict=True)
        mixture = [
            {"part": part.name, "examples": part.num_examples, "shares": list(of_part)}
            for part, of_part in zip(feed.parts, shares, strict=True)
        ]
        return {"examples_per_step": feed.nums_examples, "mixture": mixture}


def parts_of(
    columns: Mapping[str, Column], sizes: Mapping[str, int] | None = None
) -> list[mixing.MixturePart]:
    """The tasks of `columns` that are trained on, as parts; `sizes` where the rows are counted already.

    Raises Refused naming a task without training rows.
    """
    tasks = {
        key: {n: t for n, t in column.tasks.items() if has(t, "train")} for key, column in columns.items()
    }
    copies = Counter(name for of_column in tasks.values() for name in of_column)
    parts = []
    for key, of_column in tasks.items():
        for name, task in of_column.items():
            size = sizes[f"{key}.{name}"] if sizes else num_training_rows(task)
            if size == 0:
                where = f"suite.columns.{key}.tasks.{name}"
                raise Refused(f"{where}: no training rows to mix in; leave it out with ~{where}")
            difficulty = getattr(task, "difficulty", None)
            parts.append(
                mixing.MixturePart(f"{key}.{name}", size, copies[name], len(of_column) > 1, difficulty)
            )
    return parts


def num_training_rows(task: Any) -> int | None:
    """Training rows: asked of a task that can tell without making them (None: it cannot), else counted."""
    return task.num_rows("train") if hasattr(task, "num_rows") else len(task.records("train"))
