"""cell -> stages: the units of work of the grid and what identifies each.

A stage is known by a readable name and a hash of its own science config, its parents' identities and the
`version` of its kind, which is raised by hand when the meaning of the code changes. Machine settings never
enter it.
"""

import json
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, ClassVar

from t5grid.config import Column, Runtime, build
from t5grid.files import write_whole
from t5grid.grid.workload import Workload, of_evaluation, of_finetuning, of_pretraining, shape_of
from t5grid.identity import digest_of
from t5grid.model.costs import mean_step

Report = Callable[[dict[str, Any]], None]
Built = Callable[..., Any]  # as `build`, perhaps remembering
LONGEST_NAME = 150  # what is longer is cut: file systems take 255 bytes, and files' names are made of it


@dataclass(frozen=True)
class Context:
    """Where a stage runs: folders of itself and of any stage, the machine, and whom to tell of progress."""

    folder_of: Callable[["Stage"], Path]
    runtime: Runtime
    num_threads: int
    report: Report


@dataclass(frozen=True, eq=False)
class Stage:
    """One unit of work. `config` is what it needs to run; `content` is what identifies it."""

    name: str
    config: dict[str, Any] = field(repr=False)
    content: dict[str, Any] = field(repr=False)
    parents: tuple["Stage", ...] = field(default=(), repr=False)
    kind: ClassVar[str] = "stage"
    version: ClassVar[int] = 1
    trains: ClassVar[bool] = False
    """Whether it takes every device the machine gives a stage, one process each; other kinds take one."""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[^/\\\0]+", self.name):
            raise ValueError(f"{self.kind} {self.name!r}: a stage's name stands in a path, without / and \\")

    @cached_property
    def hash(self) -> str:
        """The digest of kind, version, content and parents."""
        parents = [parent.identity for parent in self.parents]
        return digest_of(self.kind, self.version, self.content, parents)

    @property
    def identity(self) -> str:
        """`<kind>/<name>-<hash>`, also the stage's folder below `runs/`."""
        return f"{self.kind}/{self.name[:LONGEST_NAME]}-{self.hash}"

    @property
    def work(self) -> float:
        """Relative cost, for ordering and for the overall progress bar."""
        return 1.0

    def workload(self, built: Built) -> Workload | None:
        """The sizes of what it computes; None where it is nothing of a model's."""
        return None

    def run(self, context: Context) -> dict[str, Any]:
        """Do the work; the returned values go into the record."""
        raise AssertionError("a kind of stage says what it runs")

    def preface(self, folder_of: Callable[["Stage"], Path]) -> list[str]:
        """Lines a reader of a single cell should see before it runs."""
        return []

    def describe(self) -> dict[str, Any]:
        """What config.yaml and the record say of the stage."""
        return {
            "identity": self.identity,
            "kind": self.kind,
            "version": self.version,
            "config": self.config,
            "content": self.content,
            "parents": [parent.identity for parent in self.parents],
        }


class VocabularyStage(Stage):
    """corpus -> SentencePiece model."""

    kind = "vocabulary"

    def run(self, context: Context) -> dict[str, Any]:
        from t5grid.data.corpora import every_document
        from t5grid.data.vocabulary import Vocabulary

        corpus, maker = build(self.config["corpus"], "corpus"), build(self.config["vocabulary"], "vocabulary")
        vocabulary = Vocabulary(maker.make(every_document(maker.reads(corpus))))
        write_whole(context.folder_of(self) / "vocabulary.model", vocabulary.model)
        return {"vocab_size": vocabulary.size, "fingerprint": vocabulary.fingerprint}


class TokensStage(Stage):
    """corpus + vocabulary -> memory-mapped token shards."""

    kind = "tokens"

    def run(self, context: Context) -> dict[str, Any]:
        from t5grid.data.tokens import encode_corpus

        folder = context.folder_of(self)
        model = (context.folder_of(self.parents[0]) / "vocabulary.model").read_bytes()
        counts = encode_corpus(
            build(self.config["corpus"], "corpus"),
            model,
            folder,
            context.num_threads,
            lambda done, total: context.report({"step": done, "num_steps": total}),
        )
        write_whole(folder / "tokens.json", json.dumps(counts))
        return {**counts, "fingerprint": self.content["corpus"]}


class PretrainStage(Stage):
    """tokens -> pre-trained weights."""

    kind = "pretrain"
    trains = True

    @property
    def work(self) -> float:
        budget = self.config["budget"]
        return float(budget["num_steps"] * budget["num_rows"] * budget["inputs_length"])

    def workload(self, built: Built) -> Workload:
        return of_pretraining(self, built)

    def run(self, context: Context) -> dict[str, Any]:
        from t5grid.data.feeds import PretrainFeed
        from t5grid.data.tokens import Rows
        from t5grid.training.fit import Plan, fit

        tokens, vocabulary = self.parents
        vocab = load_vocabulary(context.folder_of(vocabulary) / "vocabulary.model")
        budget, objective = self.config["budget"], build(self.config["objective"], "objective")
        length = budget["inputs_length"]
        raw, targets_length = objective.lengths(length)
        rows = Rows(context.folder_of(tokens), vocab.size, raw, objective.concatenate)
        if repeats := budget.get("num_repeats"):
            rows = rows.take(max(1, budget["num_steps"] * budget["num_rows"] // repeats))
        model, architecture = build_model(self.config, vocab.size, pretraining=True)
        feed = PretrainFeed(
            rows=rows,
            objective=objective,
            batching=architecture.batching,
            vocab_size=vocab.size,
            num_rows=budget["num_rows"],
            inputs_length=length,
            targets_length=targets_length,
            seed=self.config["seed"],
        )
        plan = Plan(
            num_steps=budget["num_steps"],
            checkpoint_every=budget["checkpoint_every"],
            keep=2,
            optimizer=build(budget["optimizer"], "budget.pretrain.optimizer"),
            schedule=build(budget["schedule"], "budget.pretrain.schedule"),
            seed=self.config["seed"],
        )
        result = fit(
            model, feed, plan, context.folder_of(self), context.runtime, context.report, self.identity
        )
        epochs = budget["num_steps"] * budget["num_rows"] / len(rows)
        costs = measured(feed, architecture, build(self.config["size"], "size"), vocab.size, plan)
        return {**result, **costs, "parameters": num_parameters(model), "epochs": round(epochs, 4)}


class FinetuneStage(Stage):
    """pre-trained weights (or none) + a column's training rows -> one checkpoint every few steps."""

    kind = "finetune"
    trains = True

    @property
    def work(self) -> float:
        budget = self.config["budget"]
        return float(budget["num_steps"] * budget["num_tokens"])

    def workload(self, built: Built) -> Workload:
        return of_finetuning(self, built)

    def run(self, context: Context) -> dict[str, Any]:
        from t5grid.data.feeds import FinetuneFeed, labelled
        from t5grid.evaluation.evaluate import load_records
        from t5grid.training.fit import fit

        vocab = load_vocabulary(context.folder_of(self.parents[0]) / "vocabulary.model")
        column, budget = build(self.config["column"], "suite", Column), self.config["budget"]
        model, architecture = build_model(self.config, vocab.size)
        without = self.prepare(context, model)
        records = load_records(column, "train", None)
        share = budget.get("labelled_share", 1.0)
        tasks = {name: labelled(rows, share, self.config["seed"]) for name, rows in records.items()}
        feed = FinetuneFeed(
            tasks=list(tasks.values()),
            vocabulary=vocab,
            batching=architecture.batching,
            num_tokens=budget["num_tokens"],
            inputs_length=column.inputs_length,
            targets_length=column.targets_length,
            seed=self.config["seed"],
        )
        plan = self._plan(context, without)
        result = fit(
            model, feed, plan, context.folder_of(self), context.runtime, context.report, self.identity
        )
        costs = measured(feed, architecture, build(self.config["size"], "size"), vocab.size, plan)
        counts = {
            "parameters": num_parameters(model),
            "trained_parameters": self.trained_parameters(model),
            "examples_per_step": feed.num_examples,
            "training_rows": {name: len(rows) for name, rows in tasks.items()},
        }
        return {**result, **costs, **counts}

    def _plan(self, context: Context, without: frozenset[str]) -> Any:
        from t5grid.training.fit import Plan

        budget, (_, *pretrained) = self.config["budget"], self.parents
        continued = pretrained and budget["continue_optimizer"]
        return Plan(
            num_steps=budget["num_steps"],
            checkpoint_every=budget["checkpoint_every"],
            keep=None,
            optimizer=build(budget["optimizer"], "budget.finetune.optimizer"),
            schedule=build(budget["schedule"], "schedule"),
            seed=self.config["seed"],
            method=self.method,
            optimizer_from=_start(context, pretrained[0]) if continued else None,
            without=without,
        )

    @property
    def method(self) -> Any:
        """Which parameters are trained at which step."""
        return build(self.config["finetune"], "finetune")

    def prepare(self, context: Context, model: Any, evaluating: bool = False) -> frozenset[str]:
        """Bring a fresh model to where training starts; the parameters that checkpoints leave out.

        These are pre-trained weights that the method never trains. `evaluating`: a checkpoint is loaded next,
        so that nothing is read that it would replace.
        """
        from t5grid.training import checkpoints
        from t5grid.training.finetuning import episodes_of, never_trained
        from t5grid.training.fit import initialise

        _, *pretrained = self.parents
        names, method = [name for name, _ in model.named_parameters()], self.method
        whole = not never_trained(names, method.episodes(names, self.config["budget"]["num_steps"]))
        for stage in () if evaluating and whole else pretrained:
            checkpoints.load_model(_start(context, stage), model)
        initialise(lambda: method.prepare(model), self.config["seed"], "fine-tuning")
        names = [name for name, _ in model.named_parameters()]
        never = never_trained(names, episodes_of(method, names, self.config["budget"]["num_steps"]))
        return never if pretrained else frozenset()

    def trained_parameters(self, model: Any) -> dict[str, int]:
        """How many numbers are trained from each step on at which that changes."""
        from t5grid.training.callbacks import num_trained

        names = [name for name, _ in model.named_parameters()]
        episodes = self.method.episodes(names, self.config["budget"]["num_steps"])
        return {str(step): num_trained(model, trained) for step, trained in episodes.items()}


class EvaluateStage(Stage):
    """checkpoints of a fine-tuning -> scores of the column at its best step.

    Of several fine-tunings: scores of them all as one model, each step with every member's checkpoint of it.
    """

    kind = "evaluate"

    def workload(self, built: Built) -> Workload:
        return of_evaluation(self, built)

    def run(self, context: Context) -> dict[str, Any]:
        from t5grid.data.tasks.presence import standing
        from t5grid.evaluation.evaluate import choose, load_records, score
        from t5grid.grid.restore import restore

        restored = restore(self, context)
        for stage in self.parents[:-1]:
            refuse_gaps(context, stage, restored.steps)
        column, vocab = restored.column, restored.vocabulary
        evaluate = self.config["evaluate"]
        records = load_records(column, "validation", evaluate["num_examples"])
        how = {"batch": context.runtime.evaluation_batch, "num_beams": evaluate.get("num_beams", 1)}
        by_step, samples = {}, {}
        for done, step in enumerate(restored.steps, start=1):
            by_step[step], samples[step] = score(restored.at(step), vocab, column, records, **how)
            context.report({"step": done, "num_steps": len(restored.steps)})
        chosen = choose(column, by_step)
        rows = {name: len(each) for name, each in records.items()}
        counts = {"validation_rows": rows, **standing({"data": column})}
        return {**chosen, **counts, "samples": samples[chosen["step"]]}


def _start(context: Context, stage: Stage) -> Path:
    """The checkpoint of a stage that training starts from: its last. Raises ValueError if that is damaged."""
    from t5grid.training import checkpoints

    newest = checkpoints.newest(context.folder_of(stage) / "checkpoints")
    if "budget" in stage.config:
        _refuse_lost(context, stage, stage.config["budget"]["num_steps"], {checkpoints.step_of(newest)})
    return newest


def refuse_gaps(context: Context, stage: Stage, steps: Collection[int]) -> None:
    """Raise ValueError where `steps`, those to be scored, lack one that this stage has lost."""
    from t5grid.training import checkpoints

    budget = stage.config["budget"]
    made = checkpoints.steps_made(budget["checkpoint_every"], budget["num_steps"])
    if lost := [step for step in made if step not in steps]:  # of this one, or of another member
        sound = checkpoints.steps(context.folder_of(stage) / "checkpoints")
        for step in lost:
            _refuse_lost(context, stage, step, sound)


def _refuse_lost(context: Context, stage: Stage, step: int, sound: Collection[int]) -> None:
    """A finished stage whose checkpoint was lost since must not pass for another one's scores."""
    if step not in sound:
        record = context.folder_of(stage) / "record.json"
        again = f"delete {record}, and the same command makes it again"
        raise ValueError(f"{stage.identity}: its checkpoint of step {step} is damaged or gone; {again}")


def build_model(config: dict[str, Any], vocab_size: int, pretraining: bool = False) -> tuple[Any, Any]:
    """A freshly initialised model of a stage's architecture and size, and the architecture."""
    from t5grid.training.fit import initialise

    architecture, size = build(config["architecture"], "architecture"), build(config["size"], "size")
    dropout = size.pretrain_dropout if pretraining else None
    return initialise(lambda: architecture.build(size, vocab_size, dropout), config["seed"]), architecture


def measured(feed: Any, architecture: Any, size: Any, vocab_size: int, plan: Any) -> dict[str, Any]:
    """Padding left in the batches, and operations of the whole run, from the first few batches."""
    from t5grid.data.batching import padding_share

    batches = [feed(step) for step in range(min(8, plan.num_steps))]
    method, shapes = plan.method, map(shape_of, batches)
    products = [method.products(architecture.products(size, vocab_size, *s), size.d_model) for s in shapes]
    flops = [mean_step(each, method, plan.num_steps).total for each in products]
    padding = sum(map(padding_share, batches)) / len(batches)
    return {"padding": round(padding, 4), "flops": round(sum(flops) / len(flops) * plan.num_steps)}


def num_parameters(model: Any) -> int:
    """Parameters of a model, shared ones once."""
    return sum(parameter.numel() for parameter in model.parameters())


@lru_cache(maxsize=8)
def load_vocabulary(path: Path) -> Any:
    """The vocabulary of a finished stage; a worker keeps the last few."""
    from t5grid.data.vocabulary import Vocabulary

    return Vocabulary(path.read_bytes())
