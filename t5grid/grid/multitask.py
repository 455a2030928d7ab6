"""tokens + every column's training rows -> weights: training on a mixture of tasks (paper, section 3.5.2)."""

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from t5grid.config import Column, build
from t5grid.data import mixing
from t5grid.data.tasks.task import has
from t5grid.files import read_json
from t5grid.grid.stages import Built, Context, Stage, build_model, load_vocabulary, measured, num_parameters
from t5grid.grid.workload import Workload, of_mixture

FolderOf = Callable[[Stage], Path]


class MultitaskStage(Stage):
    """One model trained on all columns at once, and on the corpus where `objective` is not null."""

    kind = "multitask"
    trains = True

    @property
    def work(self) -> float:
        budget = self.config["budget"]
        return float(budget["num_steps"] * budget["num_rows"] * budget["inputs_length"])

    @property
    def tokens(self) -> Stage | None:
        """The stage of the unlabelled text, if there is any."""
        return next((stage for stage in self.parents if stage.kind == "tokens"), None)

    def columns(self) -> dict[str, Column]:
        """The columns of the mixture."""
        return {key: build(node, "suite", Column) for key, node in self.config["columns"].items()}

    def num_documents(self, folder_of: FolderOf) -> int | None:
        """Documents of the corpus; None while that is not known, or if there is no corpus."""
        if not self.tokens:
            return None
        counted = read_json(folder_of(self.tokens) / "tokens.json") or {}
        corpus = build(self.tokens.config["corpus"], "corpus")
        return counted.get("num_documents", getattr(corpus, "num_documents", None))

    def workload(self, built: Built) -> Workload:
        return of_mixture(self, built)

    def parts(self, folder_of: FolderOf, sizes: Mapping[str, int] | None = None) -> list[mixing.Part]:
        """The data sets in order: every task of every column, then the unlabelled text."""
        num_documents = self.num_documents(folder_of)
        parts = parts_of(self.columns(), sizes)
        return parts + ([mixing.Part(mixing.UNSUPERVISED, num_documents)] if self.tokens else [])

    def preface(self, folder_of: FolderOf) -> list[str]:
        """The mixture as a table."""
        parts = self.parts(folder_of)
        phases = build(self.config["mixing"], "mixing").phases(parts)
        return [f"mixture of {self.name}", *mixing.table(parts, phases)]

    def run(self, context: Context) -> dict[str, Any]:
        from t5grid.evaluation.evaluate import load_records
        from t5grid.training.fit import fit

        columns = self.columns().items()
        loaded = {key: load_records(column, "train", None) for key, column in columns}
        records = {f"{key}.{name}": rows for key, tasks in loaded.items() for name, rows in tasks.items()}
        parts = self.parts(context.folder_of, {name: len(rows) for name, rows in records.items()})
        phases = build(self.config["mixing"], "mixing").phases(parts)
        print("\n".join(mixing.table(parts, phases)), flush=True)
        vocabulary = next(stage for stage in self.parents if stage.kind == "vocabulary")
        vocab = load_vocabulary(context.folder_of(vocabulary) / "vocabulary.model")
        model, architecture = build_model(self.config, vocab.size)
        feed, plan = self._feed(context, vocab, architecture, phases, records), self._plan()
        result = fit(
            model, feed, plan, context.folder_of(self), context.runtime, context.report, self.identity
        )
        costs = measured(feed, architecture, build(self.config["size"], "size"), vocab.size, plan)
        shares = zip(*(mixing.shares(phase.rates) for phase in phases), strict=True)
        mixture = [
            {"part": part.name, "examples": part.num_examples, "shares": list(each)}
            for part, each in zip(parts, shares, strict=True)
        ]
        counts = {"parameters": num_parameters(model), "examples_per_step": feed.nums_examples}
        return {**result, **costs, **counts, "mixture": mixture}

    def _plan(self) -> Any:
        from t5grid.training.fit import Plan

        budget = self.config["budget"]
        return Plan(
            num_steps=budget["num_steps"],
            checkpoint_every=budget["checkpoint_every"],
            keep=None if self.config["keep_all"] else 2,
            optimizer=build(budget["optimizer"], "budget.pretrain.optimizer"),
            schedule=build(budget["schedule"], "budget.pretrain.schedule"),
            seed=self.config["seed"],
        )

    def prepare(self, context: Context, model: Any, evaluating: bool = False) -> frozenset[str]:
        """Nothing: it starts from a fresh model, and its checkpoints leave out no parameter."""
        return frozenset()

    def _feed(self, context: Context, vocab: Any, architecture: Any, phases: Any, records: Any) -> Any:
        from t5grid.data.mixtures import Labelled, MixtureFeed

        budget = self.config["budget"]
        return MixtureFeed(
            sources=[
                *(Labelled(rows, vocab) for rows in records.values()),
                *self._unlabelled(context, vocab),
            ],
            phases=phases,
            num_steps=budget["num_steps"],
            batching=architecture.batching,
            num_tokens=budget["num_rows"] * budget["inputs_length"],
            inputs_length=budget["inputs_length"],
            targets_length=self.config["targets_length"],
            seed=self.config["seed"],
        )

    def _unlabelled(self, context: Context, vocab: Any) -> list[Any]:
        if not self.tokens:
            return []
        from t5grid.data.mixtures import Unlabelled
        from t5grid.data.tokens import Rows

        objective = build(self.config["objective"], "objective")
        raw, _ = objective.lengths(self.config["budget"]["inputs_length"])
        folder = context.folder_of(self.tokens)
        rows = Rows(folder, vocab.size, raw, objective.concatenate, group_short=False)
        return [Unlabelled(rows, objective, vocab.size)]


def parts_of(columns: Mapping[str, Column], sizes: Mapping[str, int] | None = None) -> list[mixing.Part]:
    """The tasks of `columns` that are trained on, as parts; `sizes` where the rows are counted already.

    Raises ValueError naming a task without training rows.
    """
    tasks = {
        key: {n: t for n, t in column.tasks.items() if has(t, "train")} for key, column in columns.items()
    }
    copies = Counter(name for each in tasks.values() for name in each)
    parts = []
    for key, each in tasks.items():
        for name, task in each.items():
            size = sizes[f"{key}.{name}"] if sizes else num_training_rows(task)
            if size == 0:
                where = f"suite.columns.{key}.tasks.{name}"
                raise ValueError(f"{where}: no training rows to mix in; leave it out with ~{where}")
            difficulty = getattr(task, "difficulty", None)
            parts.append(mixing.Part(f"{key}.{name}", size, copies[name], len(each) > 1, difficulty))
    return parts


def num_training_rows(task: Any) -> int | None:
    """Training rows: asked of a task that can tell without making them (None: it cannot), else counted."""
    return task.num_rows("train") if hasattr(task, "num_rows") else len(task.records("train"))
