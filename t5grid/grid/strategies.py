"""cell -> graph: how a cell unrolls into stages (paper, sections 3.1.2 and 3.5.3)."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from t5grid.config.identity import essential
from t5grid.config.reuse import NUM_SHARED, ByObject
from t5grid.config.schema import Cell, Column, EvaluateBudget, FinetuneBudget, PretrainBudget
from t5grid.data.place_targets import IN_ORDER, IN_PLACE, TEXTS
from t5grid.grid.epochs import in_steps, with_length
from t5grid.grid.pretrained import import_stage
from t5grid.grid.trained_form import architecture_node, trained_option
from t5grid.model.answers import no_answer
from t5grid.refused import Refused
from t5grid.stages.evaluate import EvaluateStage
from t5grid.stages.finetune import FinetuneStage
from t5grid.stages.multitask import MultitaskStage, parts_of
from t5grid.stages.pretrain import PretrainStage
from t5grid.stages.stage import Stage, with_parents
from t5grid.stages.text import TokensStage, VocabularyStage
from t5grid.tasks.availability import refuse_missing, refuse_only_read

shared = partial(ByObject, limit=NUM_SHARED)
"""Of a function of parts that cells have in common, each result once."""


@dataclass(frozen=True)
class PretrainFinetune:
    """Unsupervised pre-training once, fine-tuning and evaluation once a column.

    `pretrained` names a folder whose weights take the place of pre-training: one that `t5grid import` wrote,
    or that of a finished pre-training.
    """

    in_segments: ClassVar[bool] = True

    pretrained: str | None = None

    def stages(self, cell: Cell) -> dict[str, Stage]:
        """The evaluate stage of every column; parents lead back to the vocabulary."""
        vocabulary = vocabulary_stage(cell)
        pretrain = pretrained_stage(cell, vocabulary, self.pretrained)
        schedule = cell.config["budget"]["finetune"]["schedule"]
        return column_stages(cell, vocabulary, (pretrain,), schedule)


@dataclass(frozen=True)
class NoPretraining:
    """Fine-tuning from random initialisation, under the learning-rate schedule of pre-training."""

    in_segments: ClassVar[bool] = True

    def stages(self, cell: Cell) -> dict[str, Stage]:
        """The evaluate stage of every column. A length of the schedule's own becomes fine-tuning's."""
        schedule = pretrain_schedule(cell, cell.budget.finetune.num_steps)
        return column_stages(cell, vocabulary_stage(cell), (), schedule)


@dataclass(frozen=True)
class Multitask:
    """One model trained on everything at once, for the steps of pre-training and fine-tuning together.

    No fine-tuning: each column is scored at the checkpoint that is best for it (paper, section 3.5.2). Not
    `together` means one such model a column, on its own tasks.
    """

    unsupervised: bool = True
    together: bool = True

    def stages(self, cell: Cell) -> dict[str, Stage]:
        """The evaluate stage of every column, all on one training."""
        vocabulary = vocabulary_stage(cell)
        num_steps = cell.budget.pretrain.num_steps + cell.budget.finetune.num_steps
        columns = cell.suite.chosen()
        mixed = {"all": columns} if self.together else {key: {key: column} for key, column in columns.items()}
        stages: dict[str, Stage] = {}
        for name, group in mixed.items():
            trained = multitask_stage(
                cell, vocabulary, group, self.unsupervised, num_steps, keep_all=True, name=name
            )
            for key in group:
                label = f"{key}-{name_of(cell, 'multitask')}"
                stages[key] = evaluate_stage(cell, key, vocabulary, trained, label)
        return stages


@dataclass(frozen=True)
class MultitaskFinetune:
    """Pre-training on everything at once, then fine-tuning on each column (paper, section 3.5.3)."""

    unsupervised: bool = True

    def stages(self, cell: Cell) -> dict[str, Stage]:
        """The evaluate stage of every column, all on one pre-training."""
        vocabulary = vocabulary_stage(cell)
        num_steps = cell.budget.pretrain.num_steps
        trained = multitask_stage(cell, vocabulary, cell.suite.chosen(), self.unsupervised, num_steps)
        return column_stages(cell, vocabulary, (trained,), cell.config["budget"]["finetune"]["schedule"])


@dataclass(frozen=True)
class LeaveOneOut:
    """For each column, pre-training on everything else at once, then fine-tuning on it (section 3.5.3)."""

    unsupervised: bool = True

    def stages(self, cell: Cell) -> dict[str, Stage]:
        """The evaluate stage of every column, each on a pre-training of its own."""
        vocabulary, columns = vocabulary_stage(cell), cell.suite.chosen()
        schedule = cell.config["budget"]["finetune"]["schedule"]
        stages: dict[str, Stage] = {}
        for key in columns:
            remaining = {name: column for name, column in columns.items() if name != key}
            num_steps = cell.budget.pretrain.num_steps
            trained = multitask_stage(
                cell, vocabulary, remaining, self.unsupervised, num_steps, name=f"without_{key}"
            )
            stages |= column_stages(cell, vocabulary, (trained,), schedule, [key])
        return stages


def vocabulary_stage(cell: Cell) -> Stage:
    """The vocabulary, named after the corpus unless it has its own: so equal ones are one stage."""
    nodes, labels = ([of[group] for group in ("corpus", "vocabulary")] for of in (cell.config, cell.labels))
    return _vocabulary_stage(cell.corpus, cell.vocabulary, *nodes, *labels)


@shared
def _vocabulary_stage(
    corpus: Any, vocabulary: Any, corpus_node: Any, vocabulary_node: Any, corpus_label: str, label: str
) -> Stage:
    content = {"vocabulary": vocabulary.fingerprint()}
    read = vocabulary.reads(corpus)
    if read is not None:
        content["corpus"] = read.fingerprint()
    config = {"corpus": corpus_node, "vocabulary": vocabulary_node}
    own = read is not None and read is not corpus
    return VocabularyStage(label if own else corpus_label, config, content)


def tokens_stage(cell: Cell, vocabulary: Stage) -> Stage:
    """The corpus of a cell, encoded."""
    return tokens_of(cell.corpus, cell.config["corpus"], cell.labels["corpus"], vocabulary)


@shared
def tokens_of(corpus: Any, node: Any, label: str, vocabulary: Stage) -> Stage:
    """A corpus, and the node it was built from, encoded."""
    return TokensStage(label, {"corpus": node}, {"corpus": corpus.fingerprint()}, (vocabulary,))


def pretrain_schedule(cell: Cell, num_steps: int) -> dict[str, Any]:
    """The learning rates of pre-training; a length of the schedule's own becomes `num_steps`."""
    return with_length(cell.config["budget"]["pretrain"]["schedule"], num_steps)


def pretrained_stage(cell: Cell, vocabulary: Stage, folder: str | None) -> Stage:
    """The pre-training of a cell, or the import of the weights of a folder in its place."""
    return import_stage(cell, folder, vocabulary) if folder else pretrain_stage(cell, vocabulary)


def pretrain_stage(cell: Cell, vocabulary: Stage) -> Stage:
    """Pre-training of a cell on the tokens of its corpus. Raises Refused where its model cannot learn so."""
    return unsupervised_stage(
        cell, (tokens_stage(cell, vocabulary), vocabulary), cell.config["budget"]["pretrain"]
    )


def unsupervised_stage(cell: Cell, parents: tuple[Stage, ...], budget: Any, distinction: str = "") -> Stage:
    """Training on unlabelled text: tokens, vocabulary and, if it goes on from one, a stage with weights.

    Raises Refused where the cell's model cannot learn by its objective.
    """
    _refuse_objective(cell)
    config = {
        "architecture": architecture_node(cell, pretraining=True),
        **{group: cell.config[group] for group in ("size", "objective")},
        "budget": budget,
        "seed": cell.seed,
    }
    labels = {**cell.labels, "architecture": trained_option(cell, pretraining=True)}
    name = "-".join(labels[group] for group in ("architecture", "objective", "size", "budget"))
    content = _identified(config) | {"budget": _shared_essential(config["budget"], PretrainBudget)}
    return PretrainStage(f"{name}{distinction}-seed{cell.seed}", config, content, parents)


def _refuse_objective(cell: Cell) -> None:
    """Raise Refused for an objective whose targets an architecture cannot be taught by, and what can be."""
    form = getattr(cell.objective, "form", TEXTS)
    wanted = getattr(cell.architecture, "learns_from", (TEXTS,))
    if form not in wanted:
        given, option = cell.labels["objective"], cell.labels["architecture"]
        such = {TEXTS: "replace_spans", IN_PLACE: "masked_lm", IN_ORDER: "permutation_lm"}
        could = ", ".join(f"{kind}, as objective={such[kind]}" for kind in wanted)
        raise Refused(f"objective={given}: its targets are {form}; architecture={option} learns from {could}")


def multitask_stage(
    cell: Cell,
    vocabulary: Stage,
    columns: dict[str, Column],
    unsupervised: bool,
    num_steps: int,
    keep_all: bool = False,
    name: str = "all",
) -> Stage:
    """Training on a mixture of `columns` and, if asked for, the corpus, under pre-training's settings.

    All examples are trimmed to the lengths of pre-training, as in the authors' runs (512 and 192). Raises
    Refused where there is nothing to train on, or a rate cannot be had.
    """
    if not columns and not unsupervised:
        raise Refused("strategy: no column is left to train on; name more in suite.use")
    refuse_together(cell)
    if cell.budget.pretrain.num_repeats:
        raise Refused("budget.pretrain.num_repeats: only for a corpus that is trained on by itself")
    refuse_only_read(cell.suite.chosen())
    refuse_missing(cell.suite.chosen())
    cell.mixing.phases(parts_of(columns))
    groups = ("architecture", "size", "mixing", *(["objective"] if unsupervised else []))
    budget = {**cell.config["budget"]["pretrain"], "num_steps": num_steps}
    config = {
        **{group: cell.config[group] for group in groups},
        "budget": budget | {"schedule": pretrain_schedule(cell, num_steps)},
        "targets_length": cell.objective.lengths(budget["inputs_length"])[1],
        "keep_all": keep_all,
        "seed": cell.seed,
    }
    tasks = {key: {name: _identity_of(task) for name, task in columns[key].tasks.items()} for key in columns}
    content = _identified(config) | {"budget": essential(config["budget"], PretrainBudget), "tasks": tasks}
    config["columns"] = {key: cell.config["suite"]["columns"][key] for key in columns}
    labels = [cell.labels[group] for group in (*groups[2:], "architecture", "size", "budget")]
    parents = (*([tokens_stage(cell, vocabulary)] if unsupervised else []), vocabulary)
    return MultitaskStage("-".join([name, *labels, f"seed{cell.seed}"]), config, content, parents)


def _identity_of(task: Any) -> dict[str, str]:
    return {"data": task.fingerprint(), "class": type(task).__qualname__}


def column_stages(
    cell: Cell,
    vocabulary: Stage,
    pretrained: tuple[Stage, ...],
    schedule: Any,
    keys: Iterable[str] | None = None,
    distinction: str = "",
) -> dict[str, Stage]:
    """Fine-tuning and evaluation of `keys`, or every column in use, on `pretrained` (or on nothing).

    Columns fine-tuned on one and the same column share that. The distinction stands in the stages' names,
    beside what their fine-tuning has of its own.
    """
    refuse_only_read(cell.suite.read())
    refuse_missing(cell.suite.read())
    _refuse_source(cell)
    if not pretrained and getattr(cell.finetune, "needs_start", False):
        named = f"finetune={cell.labels['finetune']}: strategy={cell.labels['strategy']}"
        raise Refused(f"{named} has no pre-trained weights to take a part of")
    model = {
        "architecture": architecture_node(cell),
        **{group: cell.config[group] for group in ("size", "finetune")},
        "seed": cell.seed,
    }
    content = _identified(model)
    stages: dict[str, Stage] = {}
    name, parents = (
        name_of(cell, _start(cell, pretrained), distinction + _distinction(cell)),
        (vocabulary, *pretrained),
    )
    for key in _answerable(cell, keys or cell.suite.chosen()):
        source = cell.suite.source(key)
        budget, identified = _tuning(cell.config["budget"]["finetune"], schedule, cell.suite.columns[source])
        config = {**model, "budget": budget, "column": cell.config["suite"]["columns"][source]}
        tuned = FinetuneStage(f"{source}-{name}", config, content | identified, parents)
        label = tuned.name if source == key else f"{key}-trained_on_{tuned.name}"
        stages[key] = evaluate_stage(cell, key, vocabulary, tuned, label)
    return stages


def _refuse_source(cell: Cell) -> None:
    """Raise Refused for a column fine-tuned on whose output layers are none of a column's that is scored."""
    source = cell.suite.trained_on
    for key, column in cell.suite.chosen().items() if source else ():
        lacking = column.tasks.keys() - cell.suite.columns[cell.suite.source(key)].tasks.keys()
        if lacking and hasattr(cell.architecture, "answering"):
            named = f"suite.trained_on={source}: architecture={cell.labels['architecture']}"
            raise Refused(f"{named} has no output layer for {', '.join(sorted(lacking))} of column {key}")


def _answerable(cell: Cell, keys: Iterable[str]) -> list[str]:
    """The columns that the cell's model can answer. Raises Refused where it can answer none."""
    reasons = {key: no_stage(cell, key) for key in keys}
    if all(reasons.values()):
        because = " and ".join(dict.fromkeys(filter(None, reasons.values())))
        raise Refused(f"suite.use: architecture={cell.labels['architecture']}: {because}; name other columns")
    return [key for key, reason in reasons.items() if not reason]


def no_stage(cell: Cell, key: str) -> str | None:
    """Why a cell has no score in a column, in a few words: its model or its strategy has none; else None."""
    of_strategy = getattr(cell.strategy, "without", lambda key: None)
    return no_answer(cell.architecture, cell.suite.columns[key].tasks) or of_strategy(key)


def refuse_together(cell: Cell) -> None:
    """Raise Refused where many tasks, or many models, need an architecture that writes its answers."""
    if hasattr(cell.architecture, "answering"):
        named = f"strategy={cell.labels['strategy']}: architecture={cell.labels['architecture']}"
        raise Refused(
            f"{named} answers each column by layers of its own; its strategies are pretrain_finetune, "
            "pretrain_adapt_finetune and no_pretraining"
        )
    if source := cell.suite.trained_on:
        named = f"suite.trained_on={source}: strategy={cell.labels['strategy']}"
        raise Refused(f"{named} is trained on more than one column, or on none; null is needed")


@shared
def _tuning(node: dict[str, Any], schedule: Any, column: Column) -> tuple[dict[str, Any], dict[str, Any]]:
    """The budget of a column's fine-tuning, and what identifies it beside the model."""
    budget = _finetune_budget(node, column, schedule)
    return budget, {"budget": essential(budget, FinetuneBudget), **_data(column)}


def _identified(config: dict[str, Any]) -> dict[str, Any]:
    """What identifies the groups of a config and its other values."""
    return {name: _shared_essential(node, None) for name, node in config.items()}


@shared
def _shared_essential(node: Any, hint: Any) -> Any:
    return essential(node, hint)


def _finetune_budget(budget: dict[str, Any], column: Column, schedule: Any) -> dict[str, Any]:
    """The budget of a column's fine-tuning, with what the column has of its own."""
    own = {
        "num_tokens": column.tokens_of_step(budget["num_tokens"]),
        "checkpoint_every": column.checkpoint_every or budget["checkpoint_every"],
    }
    return in_steps(budget | own | {"schedule": schedule}, column)


def _start(cell: Cell, pretrained: tuple[Stage, ...]) -> str:
    """What fine-tuning starts from, in a word."""
    if not pretrained:
        return "scratch"
    kinds = {stage.kind for stage in with_parents(pretrained)}
    names = {"import": "imported", "multitask": "multitask"}
    return next((name for kind, name in names.items() if kind in kinds), cell.labels["objective"])


def evaluate_stage(cell: Cell, key: str, vocabulary: Stage, trained: Stage, name: str) -> Stage:
    """The evaluation of a column over the checkpoints of `trained`."""
    identified, whole = scoring_of(cell.config["budget"]["evaluate"], cell.suite.columns[key]), cell.config
    config = {
        **{"architecture": architecture_node(cell), "size": whole["size"]},
        **{"evaluate": identified["evaluate"], "seed": cell.seed, "column": whole["suite"]["columns"][key]},
    }
    return EvaluateStage(name, config, {**identified, "seed": cell.seed}, (trained, vocabulary))


@shared
def scoring_of(node: dict[str, Any], column: Column) -> dict[str, Any]:
    """What identifies the scoring of a column: beams only where its texts are long."""
    budget = essential(node, EvaluateBudget)
    if not column.long_texts:
        budget = {name: value for name, value in budget.items() if name != "num_beams"}
    return {"evaluate": budget, **_data(column)}


def name_of(cell: Cell, start: str, distinction: str = "") -> str:
    """What follows the key of a column in the names of its stages."""
    parts = [start, trained_option(cell), *(cell.labels[group] for group in ("size", "budget"))]
    return f"{'-'.join(parts)}{distinction}-seed{cell.seed}"


def _distinction(cell: Cell) -> str:
    """What the name of a fine-tuning adds where it differs from the baseline's."""
    budget, method = cell.budget.finetune, cell.labels["finetune"]
    parts = [method] if method != "all_parameters" else []
    parts += [f"{budget.labelled_share:.6g}_labelled"] if budget.labelled_share != 1 else []
    parts += [f"{budget.num_labelled}_rows"] if budget.num_labelled else []
    return "".join(f"-{part}" for part in parts)


@shared
def _data(column: Column) -> dict[str, Any]:
    """What identifies the data of a column."""
    return {"lengths": [column.inputs_length, column.targets_length], "tasks": _fingerprints(column)}


def _fingerprints(column: Column) -> dict[str, Any]:
    """What identifies each task of a column: its data, and the metrics that enter the average."""
    return {
        name: {"data": task.fingerprint(), "reported": list(task.reported), "class": type(task).__qualname__}
        for name, task in column.tasks.items()
    }
