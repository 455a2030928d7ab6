"""composed config -> validated cell: the schema of the study, one value an axis.

Composition and checks import neither torch nor Lightning: axis values are frozen dataclasses whose heavy
work is imported when it is called.
"""

import dataclasses
import os
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from t5grid.config import contracts
from t5grid.config.build import build, canonical, check_type, nearest, refuse_hidden_targets, type_hints
from t5grid.config.called import Called
from t5grid.config.compose import GROUPS, one_line
from t5grid.config.contracts import Meets, refuse_lacking
from t5grid.config.reuse import ByObject, Composed, OneOfEqual, Parts, Resolver, composed, leaves
from t5grid.config.rules import Above, AtLeast, AtMost, Because, Count, FileName, NotEmpty
from t5grid.refused import Refused

KEYS = (*GROUPS, "seed")
SEED = re.compile(r"seed=(0|[1-9]\d*)")
OF_THE_SEED = re.compile(r"\$\{[^}]*\bseed\b|^[+~]*seed\W")
"""What refers to the seed, and a word about it."""
EMPTY: dict[str, Any] = {}
INITIALISATION = "size.initialisation"
Share = Annotated[float, Above(0), AtMost(1)]
Schedule = Annotated[Any, Meets(contracts.Schedule)]
Optimizer = Annotated[Any, Meets(contracts.Optimizer)]
Task = Annotated[Any, Meets(contracts.Task)]


@dataclass(frozen=True)
class PretrainBudget:
    """How long and how wide a pre-training is; a row holds `inputs_length` tokens with its EOS.

    With `num_repeats` the corpus is cut to as many rows as make so many passes (paper, section 3.4.2): 64 of
    2^35 tokens leave 2^29, which are the 2^20 examples of the authors' run. One row is left at least. Null
    reads all of it.
    """

    axis: ClassVar[str] = "budget"
    num_steps: Count
    num_rows: Count
    inputs_length: Annotated[int, AtLeast(8)]
    checkpoint_every: Count
    optimizer: Optimizer
    schedule: Schedule
    num_repeats: Count | None = None


@dataclass(frozen=True)
class FinetuneBudget:
    """How long a fine-tuning is; a batch holds as many examples as fill `num_tokens` input tokens.

    With `continue_optimizer` the second moments and step count of pre-training are kept, as the authors did.
    `labelled_share` is the part of each task's training rows that is used, chosen by the seed; of these at
    most `num_labelled`.
    """

    axis: ClassVar[str] = "budget"
    num_steps: Count
    num_tokens: Count
    checkpoint_every: Count
    continue_optimizer: bool
    optimizer: Optimizer
    schedule: Schedule
    labelled_share: Share = 1.0
    num_labelled: Count | None = None


@dataclass(frozen=True)
class FinetuneByEpochs(FinetuneBudget):
    """A fine-tuning that sees the rows of its column `num_epochs` times, `num_examples` a batch.

    It takes `num_steps` at least, where a column has few rows. Batches are packed for models that can read
    them so; `num_tokens` is what one takes, by which costs are estimated.
    """

    num_epochs: Count = 3
    num_examples: Count = 32


@dataclass(frozen=True)
class EvaluateBudget:
    """How many validation rows a task is scored on (null is all), and the beams of columns of long texts.

    One beam is greedy decoding, as in the study; its final models had four (paper, section 3.7).
    """

    axis: ClassVar[str] = "budget"
    num_examples: Count | None
    num_beams: Count = 1


@dataclass(frozen=True)
class Budget:
    """Steps, batches, schedules and seeds: what a cell costs, and whether it is worth published corpora.

    `adapter_rate` is what `finetune=adapters` multiplies the rates of fine-tuning by, unless it says its own.
    """

    name: Annotated[str, FileName()]
    note: str | None
    num_documents: Count
    num_seeds: Count
    num_baseline_seeds: Count
    pretrain: PretrainBudget
    finetune: FinetuneBudget
    evaluate: EvaluateBudget
    corpora: Literal["generated", "published"] = "generated"
    adapter_rate: Annotated[float, Above(0)] = 1.0


@dataclass(frozen=True)
class Column:
    """One column of a table: its tasks and the lengths its pairs are trimmed to (EOS included).

    `mirrors` is the published column that it stands for, in several papers `{t5: GLUE, bert: MNLI-m (Acc)}`;
    it changes nothing that is trained or scored, nor do `human`, what people score in it, and `human_source`,
    who measured that and on what.
    Answers of a column of `long_texts` are searched for with as many beams as the budget says, others are
    greedy. `num_tokens` and `checkpoint_every` are the column's own in fine-tuning; None is the budget's, of
    the tokens `batch_factor` times.
    """

    title: str
    inputs_length: Annotated[int, AtLeast(2)]
    targets_length: Annotated[int, AtLeast(2)]
    tasks: Annotated[dict[str, Task], NotEmpty()]
    mirrors: str | dict[str, str] | None = None
    human: float | None = None
    human_source: str | None = None
    long_texts: bool = False
    num_tokens: Count | None = None
    checkpoint_every: Count | None = None
    batch_factor: Count = 1

    def tokens_of_step(self, usual: int) -> int:
        """The tokens that a step of fine-tuning takes, where the budget's are `usual`."""
        return self.num_tokens or usual * self.batch_factor


@dataclass(frozen=True)
class Suite:
    """The columns of a table. `use` restricts them by key; null is all.

    `limit_scale` is the suite's size over the study's: what a mixing's limit K is multiplied by.
    `trained_on` is the column whose rows each column is fine-tuned on in place of its own, to be scored on
    its own all the same (transfer without rows of its language or domain); null is each on its own.
    """

    name: Annotated[str, FileName()]
    columns: dict[Annotated[str, FileName()], Column]
    root: str | None = None
    revision: str | None = None
    use: list[str] | None = None
    limit_scale: Annotated[float, Above(0)] = 1.0
    trained_on: str | None = None

    def __post_init__(self) -> None:
        for key in self.use or ():
            if key not in self.columns:
                raise Refused(f"suite.use: no column {key!r}{nearest(key, self.columns)}")
        if self.trained_on is not None and self.trained_on not in self.columns:
            where = f"suite.trained_on={self.trained_on}"
            raise Refused(f"{where}: no such column{nearest(self.trained_on, self.columns)}")
        if not self.chosen():
            raise Refused(f"suite.use: no column is left{nearest('', self.columns)}")

    def chosen(self) -> dict[str, Column]:
        """The columns in use, in the order of the file."""
        return {key: column for key, column in self.columns.items() if self.use is None or key in self.use}

    def source(self, key: str) -> str:
        """The column whose rows `key` is fine-tuned on."""
        return self.trained_on or key

    def read(self) -> dict[str, Column]:
        """The columns whose rows are read: those in use, and the one that they are fine-tuned on."""
        chosen = self.chosen()
        return chosen | {key: self.columns[key] for key in map(self.source, chosen)}


@dataclass(frozen=True)
class Runtime:
    """The machine: never part of a run's identity, nor are loggers and callbacks of one's own beside ours."""

    accelerator: Literal["cpu", "gpu", "cuda", "mps", "auto"]
    num_devices: Count  # of each node; a stage that trains has a process for each, see Stage.has_ranks
    precision: Annotated[Literal["fp32", "bf16"], Because("fp16 is refused: T5's activations overflow in it")]
    num_loader_workers: Annotated[int, AtLeast(0)]
    evaluation_batch: Count
    wandb: Literal["off", "offline", "online"]
    wandb_project: str
    runs_dir: str
    results_dir: str
    num_nodes: Count = 1
    parallel: Literal["ddp", "fsdp"] = "ddp"
    peak_tflops: Annotated[float, Above(0)] | None = None
    mfu: Share = 0.4
    micro_batch: Count | None = None
    recompute: bool = False
    compile: Literal["off", "default", "max-autotune"] = "off"
    device_memory: Annotated[float, Above(0)] | None = None  # GiB
    loggers: dict[Annotated[str, FileName()], Called] = field(default_factory=dict, hash=False)
    callbacks: dict[Annotated[str, FileName()], Called] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        for name in ("runs_dir", "results_dir"):
            object.__setattr__(self, name, os.path.expanduser(getattr(self, name)))


@dataclass(frozen=True)
class Cell:
    """One point of the grid: the resolved plain config beside the axis values built from it."""

    config: dict[str, Any] = field(repr=False)
    labels: dict[str, str]
    architecture: Annotated[Any, Meets(contracts.Architecture)]
    segments: Annotated[Any, Meets(contracts.Segments)]
    objective: Annotated[Any, Meets(contracts.Objective)]
    corpus: Annotated[Any, Meets(contracts.Corpus)]
    vocabulary: Annotated[Any, Meets(contracts.Vocabulary)]
    suite: Suite
    mixing: Annotated[Any, Meets(contracts.Mixing)]
    finetune: Annotated[Any, Meets(contracts.Method)]
    strategy: Annotated[Any, Meets(contracts.Strategy)]
    size: Annotated[Any, Meets(contracts.Size)]
    budget: Budget
    runtime: Runtime
    executor: Annotated[Any, Meets(contracts.Executor)]
    seed: Annotated[int, AtLeast(0), AtMost(2**32 - 1)]
    notes: tuple[str, ...] = ()
    """What a reader should know of it before it runs, a line each."""

    def with_seed(self, seed: int) -> "Cell":
        """The same cell under another seed."""
        return dataclasses.replace(self, seed=seed, config={**self.config, "seed": seed})


class Cells:
    """Loads cells that have much in common: what is equal in two of them is composed and built once."""

    def __init__(self) -> None:
        self.parts, self.resolve = Parts(), Resolver()
        self._values, self._canonical = ByObject(_value), ByObject(_canonical)
        self._one_of = ByObject(OneOfEqual())
        self._targets, self._label = ByObject(refuse_hidden_targets), ByObject(_label)
        self._in_study = ByObject(lambda node: {**node, "initialisation": "study"})
        self._seedless: dict[tuple[str, ...], Cell | None] = {}

    def load(self, overrides: Sequence[str]) -> Cell:
        """Compose, resolve and validate one cell. Raises Refused, one line.

        Cells that differ in their seeds alone are composed and checked once.
        """
        words = tuple([word for word in overrides if not SEED.fullmatch(word)])
        if len(words) < len(overrides) and (cell := self._without_seed(words)):
            seeds = [int(word.partition("=")[2]) for word in overrides if SEED.fullmatch(word)]
            return cell.with_seed(self._values("seed", seeds[-1])[0])  # given twice, the last one counts
        return self.build(self.parts.compose(overrides))

    def _without_seed(self, words: tuple[str, ...]) -> Cell | None:
        """The cell of words that set no seed; None where they, or what they compose to, refer to one.

        None too where it is refused: the complaint is that of all words.
        """
        if words not in self._seedless:
            self._seedless[words] = None
            with suppress(Refused):
                composed = self.parts.compose(words)
                texts = [*words, *leaves(composed.raw)]
                if not any(OF_THE_SEED.search(text) for text in map(str, texts)):
                    self._seedless[words] = self.build(composed)
        return self._seedless[words]

    def build(self, composed: Composed) -> Cell:
        """The cell of a composed config. Raises Refused, one line."""
        plain = self._plain(composed)
        values = {key: self._values(key, plain[key]) for key in KEYS}
        plain = {key: self._one_of(node) for key, (_, node) in values.items()}
        built = {key: value for key, (value, _) in values.items()}
        cell = self._started(Cell(config=plain, labels=self._labels(composed, plain), **built), composed)
        _check_combination(cell)
        return cell

    def _started(self, cell: Cell, composed: Composed) -> Cell:
        """With the study's initialisation where that of the size is none of the architecture's, and noted.

        One that was asked for by name is refused.
        """
        given, known = getattr(cell.size, "initialisation", None), _initialisations(cell.architecture)
        if given is None or known is None or given in known:
            return cell
        option, of_size = cell.labels["architecture"], cell.labels["size"]
        as_authors = f"architecture={option} starts as its authors' models"
        if _asked(composed.words, INITIALISATION):
            raise Refused(f"{INITIALISATION}={given}: {as_authors}; leave it at study")
        size, node = self._values("size", self._in_study(cell.config["size"]))
        note = f"{as_authors}: {INITIALISATION}={given} of size={of_size}"
        config = {**cell.config, "size": self._one_of(node)}
        return dataclasses.replace(cell, size=size, config=config, notes=(f"{note} is not among its own",))

    def _plain(self, composed: Composed) -> dict[str, Any]:
        """The config resolved, with exactly the keys of a cell."""
        for key, node in composed.raw.items():
            self._targets(key, node)
        try:
            plain = self.resolve(composed.raw)
        except OmegaConfBaseException as error:
            raise Refused(one_line(error)) from None
        for key in plain:
            if key not in KEYS:
                raise Refused(f"{key}: no such key{nearest(key, KEYS)}")
        for key in KEYS:
            if key not in plain:
                raise Refused(f"{key}: a value is needed (write {key}=...)")
        return plain

    def _labels(self, composed: Composed, plain: dict[str, Any]) -> dict[str, str]:
        """A readable label a group: its option, and what differs from it where a stage's name shows it."""
        labels = {group: self._label(choice, EMPTY, EMPTY) for group, choice in composed.choices.items()}
        for group in ("objective", "architecture", "segments", "size", "finetune", "mixing"):
            if any(word.lstrip("+~").startswith(f"{group}.") for word in composed.words):
                option = self.parts.options(composed.choices)
                before = self.resolve.node(group, {**composed.raw, group: option.raw[group]})
                choice = composed.choices[group]
                labels[group] = self._label(choice, plain[group], self._canonical("", before))
        return labels


def load_cell(overrides: Sequence[str]) -> Cell:
    """One cell by itself. Raises Refused, one line."""
    return Cells().load(overrides)


def build_cell(config: DictConfig) -> Cell:
    """The cell of a config that Hydra composed. Raises Refused, one line."""
    return Cells().build(composed(config))


def _value(key: str, node: Any) -> tuple[Any, Any]:
    """The axis value of a plain node, checked, and the node in its canonical form."""
    hint = type_hints(Cell)[key]
    value = build(node, key, hint)
    refuse_lacking(value, hint, key)
    return check_type(value, hint, key), canonical(node, hint)


def _label(label: str, node: dict[str, Any], before: dict[str, Any]) -> str:
    """A label that says what a node has beside `before`, in characters that names of files may have."""
    for key, value in node.items():
        if key not in before or before[key] != value:
            label += f",{key}={f'{value:g}' if isinstance(value, float) else value}"
    return re.sub(r"[^A-Za-z0-9_.,=-]+", "_", label)


def _canonical(key: str, node: Any) -> Any:
    return canonical(node, type_hints(Cell).get(key))


def _initialisations(architecture: Any) -> tuple[str, ...] | None:
    """Those that an architecture can start by; None where it does not say."""
    return getattr(architecture, "initialisations", None)


def _asked(words: Sequence[str], key: str) -> bool:
    """Whether an override is of this very key."""
    return key in [word.lstrip("+~").partition("=")[0] for word in words]


def _check_combination(cell: Cell) -> None:
    """Refuse what no stage could run: each axis is valid, together they are not."""
    cell.architecture.num_parameters(cell.size, 128)  # refuses a size that the architecture cannot have
    for part in (cell.architecture, cell.segments, cell.finetune):
        getattr(part, "check", lambda cell: None)(cell)
    inputs_length = cell.budget.pretrain.inputs_length
    lengths = cell.objective.lengths(inputs_length)
    if min(lengths) < 4:
        raise Refused(
            f"objective with budget.pretrain.inputs_length={inputs_length}: "
            f"leaves {lengths[1]} target tokens a row; at least 4 are needed: "
            f"write a larger budget.pretrain.inputs_length"
        )
    kinds = [type(part.optimizer).__name__ for part in (cell.budget.pretrain, cell.budget.finetune)]
    if cell.budget.finetune.continue_optimizer and kinds[0] != kinds[1]:
        raise Refused(
            f"budget.finetune.continue_optimizer=true: pre-training's {kinds[0]} leaves no state for "
            f"{kinds[1]}; set it to false or give both the same optimizer"
        )
    for name in ("pretrain", "finetune"):
        part = getattr(cell.budget, name)
        if part.checkpoint_every > part.num_steps and not isinstance(part, FinetuneByEpochs):
            where = f"budget.{name}.checkpoint_every={part.checkpoint_every}"
            raise Refused(f"{where}: more than budget.{name}.num_steps={part.num_steps}")
