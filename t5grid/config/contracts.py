"""what a value of each axis offers: all that plan, training, tables and decoding ask.

A class of anybody's that has these members is a value of the axis. Which are there is checked when a cell is
composed, so that what is missing is named before anything runs.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import is_dataclass
from typing import Any, Protocol, get_args

from t5grid.config.rules import Having
from t5grid.refused import Refused

Checks = Mapping[str, Callable[[], Any]]
"""Identities of stages, and what is called once such a stage is done."""
NO_CHECKS: Checks = {}


class Model(Protocol):
    """What an architecture builds: a torch module that says its own loss and its own answers.

    One whose loss is a sum may name its parts (`named_losses`) and leave them in `loss_parts`.
    """

    def loss(self, batch: Mapping[str, Any]) -> Any:
        """A scalar to minimise, of a batch as the architecture's batching makes it."""

    def answer(self, batch: Mapping[str, Any], max_length: int, num_beams: int = 1) -> Any:
        """Ids [rows, length] that answer the rows of `inputs`, ended by EOS and filled up with 0.

        Of a model with output layers (`answers`), what its reading makes texts of (`data.reading`).
        """


class Architecture(Protocol):
    """size + vocabulary -> model, and what it costs.

    Some members are optional. `learns_from` are the forms of targets it can be taught by (texts by default;
    `data.place_targets`), `initialisations` those of a size that it can start by (any by default), and
    `check(cell)` refuses what it cannot have. One that answers through output layers has
    `answering(answers)`, itself as it is fine-tuned on tasks with such answers (`tasks.answer`), and says in
    `writes_no_text` why columns that need text are holes in its row.
    """

    @property
    def batching(self) -> Callable[[Any, Any, int, int], Mapping[str, Any]]:
        """(inputs, targets, inputs_length, targets_length), ids padded with 0 -> the arrays of a batch.

        `targets` is one of them: the ids that the model is to give, 0 where there is none.
        """

    def build(self, size: Any, vocab_size: int, dropout: float | None = None) -> Model:
        """A freshly initialised model, from torch's global generator; `dropout` None means the size's."""

    def num_parameters(self, size: Any, vocab_size: int) -> dict[str, int]:
        """Numbers to learn, by part, and their `total`. Raises Refused for a size it cannot have."""

    def products(self, size: Any, vocab_size: int, rows: int, inputs: int, targets: int) -> list[Any]:
        """The matrix products (`model.costs.Product`) of a forward pass over so many ids."""

    def num_blocks(self, size: Any) -> int:
        """Blocks with weights of their own: what the paper counts parameters by."""

    def block_steps(self, size: Any, inputs: int, targets: int) -> int:
        """Positions times the blocks each passes: what the paper counts operations by."""


class Segments(Protocol):
    """How texts are read that are longer than a model, beside any architecture that can."""

    reads_whole: bool
    """Whether every text is read at once, and all is as without segments."""

    def around(self, architecture: Any, node: Any, own: Any, pretraining: bool = False) -> Any:
        """The node of an architecture in the form that is trained; `own` is that of these settings."""

    def measures(self, architecture: Any) -> dict[str, str]:
        """What a table shows: `segment_size`, `memory_size` and `num_segments`."""

    def at_once(self, length: int) -> int:
        """How many of so many ids a model sees at once."""

    def check(self, cell: Any) -> None:
        """Raise Refused for a cell that cannot read so."""


class Objective(Protocol):
    """Pieces of raw token ids -> pairs (inputs, targets).

    Optional: `form`, that of its targets (texts by default), and `marks_sentences`, whether the last id of
    each sentence of a piece comes negated (`data.sentences`).
    """

    concatenate: bool
    """Whether documents are joined before they are cut into pieces."""

    def __call__(self, tokens: Any, rng: Any, vocab_size: int) -> tuple[Any, Any]:
        """int32 [batch, length] -> two zero-padded int32 arrays [batch, *], without end marks."""

    def lengths(self, inputs_length: int) -> tuple[int, int]:
        """Raw tokens a piece, and the length of the targets with their end mark."""


class Corpus(Protocol):
    """Documents, shard by shard."""

    def shards(self) -> Sequence[Any]:
        """The parts that are read one by one, in order."""

    def documents(self, shard: Any) -> Iterator[str]:
        """The documents of one of them."""

    def fingerprint(self) -> str:
        """Identity of the content: equal fingerprints mean equal documents."""


class Vocabulary(Protocol):
    """How a vocabulary comes about."""

    @property
    def size(self) -> int:
        """Ids, the sentinels included."""

    def reads(self, corpus: Any) -> Any:
        """The corpus it is made from: that of the cell, one of its own, or None."""

    def make(self, documents: Iterator[str]) -> bytes:
        """A SentencePiece model."""

    def fingerprint(self) -> Any:
        """What identifies it apart from the corpus it reads."""


class Task(Protocol):
    """One labelled data set cast to text-to-text records (more that a task may say: `tasks.task`)."""

    name: str
    reported: tuple[str, ...]
    """Names of the metrics whose mean is the task's share of its column."""

    def records(self, split: str) -> Sequence[dict[str, Any]]:
        """Records of `train` or `validation`: `inputs`, `targets` (text) and what `score` needs."""

    def score(self, records: Sequence[dict[str, Any]], predictions: list[str]) -> dict[str, float]:
        """Metric values, 0 to 100, of one prediction a record."""

    def fingerprint(self) -> str:
        """Identity of the content: equal fingerprints mean equal records."""


class Mixing(Protocol):
    """Sizes of data sets -> how often each is drawn."""

    def rates(self, parts: Sequence[Any]) -> tuple[float, ...]:
        """The rate of each part; shares are rates over their sum."""

    def phases(self, parts: Sequence[Any]) -> tuple[Any, ...]:
        """The stretches of training (`data.mixing.Phase`) with the rates of each."""


class Method(Protocol):
    """Which parameters fine-tuning trains at which step.

    Optional: `rates(names)`, name -> the share of the schedule's learning rate that it is trained at, and
    `schedule(schedule, num_steps)`, the schedule that takes the place of the budget's;
    `taken(names)`, the parameters that keep the weights fine-tuning starts from, where not all do,
    and `needs_start`, true where it is nothing without such weights.
    """

    def episodes(self, names: Sequence[str], num_steps: int) -> dict[int, frozenset[str]]:
        """First step of each episode -> the parameters trained in it, of a model prepared by `prepare`."""

    def prepare(self, model: Any) -> None:
        """Add the method's own parameters to a model that holds its starting weights."""

    def products(self, products: list[Any], d_model: int) -> list[Any]:
        """What a forward pass computes, with what `prepare` adds."""

    def check(self, cell: Any) -> None:
        """Raise Refused for a cell that this method cannot train."""


class Strategy(Protocol):
    """How a cell unrolls into stages.

    Optional: `without(key)`, why there is no score in a column, where there is none by intention.
    """

    def stages(self, cell: Any) -> dict[str, Any]:
        """The evaluate stage of every column; parents lead back to the vocabulary."""


class Size(Protocol):
    """The measures of a model, as far as more than its architecture reads them."""

    d_model: int
    num_layers: int
    dropout: float
    pretrain_dropout: float | None


class Schedule(Protocol):
    """step -> learning rate."""

    def __call__(self, step: int) -> float:
        """The rate of a step, counted from 0."""


class Optimizer(Protocol):
    """The settings of an optimizer."""

    def build(self, parameters: Iterable[Any], lr: float, step: int = 0) -> Any:
        """A torch optimizer."""

    def num_moments(self, shape: tuple[int, ...]) -> int:
        """Numbers it keeps for a parameter of this shape."""


class Executor(Protocol):
    """Where stages run.

    Optional: `check(runtime)`, which raises Refused, before anything is read or run, for a machine it lacks.
    """

    def run(self, stages: list[Any], store: Any, runtime: Any, checks: Checks = NO_CHECKS) -> Any:
        """Run or submit every stage that is not done, parents first (`execution.outcome.Outcome`).

        Where it stays until they are done it calls `checks[identity]()` once that stage is, before any stage
        that is not among them starts; what that raises ends the run.
        """

    def waiting(self) -> "Executor":
        """The same, staying until all is done."""

    def runtime_of(self, stage: Any, runtime: Any) -> Any:
        """The machine a stage gets."""

    def outlook(self, todo: list[Any], runtime: Any) -> tuple[int, str]:
        """How many stages run at a time, and that in words."""


def members(contract: type) -> tuple[str, ...]:
    """The members of a contract, in its order: methods and properties, then attributes."""
    methods = [name for name in vars(contract) if name == "__call__" or not name.startswith("_")]
    attributes = [name for name in contract.__annotations__ if name not in methods]
    return (*methods, *attributes)


class Meets(Having):
    """Rule: a value of a class that has every member of a contract."""

    def __init__(self, contract: type) -> None:
        super().__init__(*members(contract))
        self.contract = contract


def refuse_lacking(value: Any, hint: Any, key: str) -> None:
    """Raise Refused, naming the class and what it lacks of the contract in its hint."""
    for rule in get_args(hint)[1:] if is_dataclass(value) else ():
        lacking = [name for name in rule.names if not hasattr(value, name)] if isinstance(rule, Meets) else []
        if lacking:
            cls, contract = type(value).__name__, rule.contract.__name__
            raise Refused(
                f"{key}={cls}: the class lacks {', '.join(lacking)}; "
                f"every {contract} has {', '.join(rule.names)}"
            )
