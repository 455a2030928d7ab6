"""architecture + segments -> one that reads long texts."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from t5grid.model.answering import AnsweringEncoder, ReadByLayers
from t5grid.model.answers import LongRows, TaskWords
from t5grid.model.architectures import (
    Architecture,
    Batching,
    EncoderDecoder,
    EncoderDecoderHalf,
    EncoderDecoderShared,
    LanguageModel,
)
from t5grid.model.costs import Layers, Product
from t5grid.model.encoders import Bert
from t5grid.model.segments import Windows
from t5grid.model.size import Size, table_rows
from t5grid.tasks.answer import Answer, Class, Number

MEMORY = "recurrence.memory"
"""The name of the memory's first content."""


@dataclass(frozen=True)
class Segmented(Architecture):
    """An architecture that reads in segments: its parameters are those of the plain one, and the memory.

    A subclass says what can be carried, and puts a recurrence into the plain model.
    """

    axis: ClassVar[str] = "segments"
    carries: ClassVar[Sequence[str]] = ()
    pretrains: ClassVar[bool] = False
    """Whether pre-training can read so too."""
    num_marks: ClassVar[int] = 0
    """Marks that stand in front of every window."""
    num_memories: ClassVar[int] = 1
    """How often the memory stands in a window: once, or to read and to write."""

    architecture: Any
    segments: Windows

    @property
    def batching(self) -> Batching:
        """As the plain one's, an example a row."""
        from functools import partial

        from t5grid.data.batching import one_row_each

        return partial(self.architecture.batching, packing=one_row_each)

    def build(self, size: Size, vocab_size: int, dropout: float | None = None) -> Any:
        """A freshly initialised model; without recurrence where that is new in fine-tuning (`prepare`)."""
        model = self.architecture.build(size, vocab_size, dropout)
        if self.segments.pretrain:
            self.prepare(model)
        return model

    def prepare(self, model: Any) -> None:
        """Let a plain model read in segments from now on; new memory is drawn from torch's generator."""
        if model.recurrence is None:
            model.recurrence = self.recurrence(model).train(model.training)

    def recurrence(self, model: Any) -> Any:
        """What reads in segments for a plain model."""
        raise NotImplementedError

    def num_parameters(self, size: Size, vocab_size: int) -> dict[str, int]:
        """As the plain one's, and `memory`."""
        parts = self.architecture.num_parameters(size, vocab_size)
        memory = self.segments.memory * size.d_model
        return {**parts, "memory": memory, "total": parts["total"] + memory}

    def num_blocks(self, size: Size) -> int:
        """Blocks with weights of their own."""
        return self.architecture.num_blocks(size)

    def block_steps(self, size: Size, inputs: int, targets: int) -> int:
        """Positions times the blocks each passes, the memory's included."""
        widths = self._windows(inputs) if inputs else []
        return self.architecture.block_steps(size, sum(widths), targets)

    def _windows(self, inputs: int) -> list[int]:
        """Positions of each window over texts of `inputs` ids that a pass computes."""
        beside = self.segments.memory + self.num_marks
        widths = [beside + width for width in self.segments.widths(inputs - self.num_marks, self.num_marks)]
        return widths[-1:] if self.segments.carry == "none" else widths

    def _linked(
        self, windows: Sequence[Iterable[Product]], x: str, width: int, all_trained: bool = False
    ) -> Iterator[Product]:
        """The products of windows in a row, each handed the memory that the one before it leaves in `x`.

        With `all_trained` those before the truncation are trained by what is asked in themselves.
        """
        shape, before = (self.segments.memory, width), tuple[str, ...]()
        first_trained = self.segments.trained_from(len(windows))
        for number, products in enumerate(windows):
            prefix = "" if number == len(windows) - 1 else f"segment{number}."
            is_detached = number < first_trained and not all_trained
            named = [_prefixed(product, prefix, is_detached) for product in products]
            yield named[0]
            if self.segments.memory:
                yield Product(named[0].writes, before, MEMORY, shape=shape, detached=is_detached)
            yield from named[1:]
            before = (f"{prefix}{x}",) if number >= first_trained else ()


@dataclass(frozen=True)
class SegmentedEncoderDecoder(Segmented):
    """The encoder reads in segments; the decoder sees the last window, memory included."""

    carries: ClassVar[Sequence[str]] = ("none", "memory")

    def recurrence(self, model: Any) -> Any:
        from t5grid.model.recurrence import EncoderDecoderRecurrence

        return EncoderDecoderRecurrence(self.segments, model.embedding.weight)

    def products(self, size: Size, vocab_size: int, rows: int, inputs: int, targets: int) -> list[Product]:
        """The matrix products of a forward pass over [rows, inputs] and [rows, targets] ids."""
        windows = []
        for width in self._windows(inputs):
            products = self.architecture.products(size, vocab_size, rows, width, targets)
            windows.append([product for product in products if product.writes.startswith("encoded")])
        rest = products[len(windows[-1]) :]
        return [*self._linked(windows, "encoded", size.d_model), *rest]


@dataclass(frozen=True)
class SegmentedEncoder(Segmented, ReadByLayers):
    """An encoder alone over windows `[CLS] memory text`; it answers for a row at the last [CLS].

    `by_row` False: something is asked in other places too, so that every segment is trained on its own.
    """

    carries: ClassVar[Sequence[str]] = ("none", "memory")
    num_marks: ClassVar[int] = 1
    learns_from: ClassVar[tuple[str, ...]] = Bert.learns_from
    writes_no_text: ClassVar[str] = Bert.writes_no_text

    by_row: bool = True

    @property
    def long_rows(self) -> LongRows:  # type: ignore[override]
        """What becomes of rows longer than all segments: as with the plain one."""
        return self.architecture.long_rows

    @property
    def task_words(self) -> TaskWords:  # type: ignore[override]
        """What becomes of the words that name a task: as with the plain one."""
        return self.architecture.task_words

    def num_states(self, size: Size) -> int:
        """How many of its states a task model may weigh."""
        return self.architecture.num_states(size)

    def answering(self, answers: Mapping[str, Answer]) -> AnsweringEncoder:
        """This encoder as it is fine-tuned on tasks with such answers."""
        by_row = all(isinstance(answer, Class | Number) for answer in answers.values())
        return AnsweringEncoder(replace(self, by_row=by_row), tuple(answers.items()))

    def recurrence(self, model: Any) -> Any:
        from t5grid.model.recurrence import EncoderRecurrence

        return EncoderRecurrence(self.segments, model.embedding.weight, self.by_row)

    def products(self, size: Size, vocab_size: int, rows: int, inputs: int, targets: int) -> list[Product]:
        """As the plain one's: it is pre-trained on whole rows."""
        return self.architecture.products(size, vocab_size, rows, inputs, targets)

    def read(self, size: Size, vocab_size: int, rows: int, inputs: int) -> Iterator[Product]:
        """The products up to what output layers read."""
        windows, rest = [], []
        for width in self._windows(inputs):
            products = list(self.architecture.read(size, vocab_size, rows, width))
            windows.append([product for product in products if product.writes != "pooled"])
            rest = products[len(windows[-1]) :]
        yield from self._linked(windows, "hidden", size.d_model, all_trained=not self.by_row)
        yield from rest

    def _windows(self, inputs: int) -> list[int]:
        if self.by_row:
            return super()._windows(inputs)
        beside = self.segments.memory + self.num_marks
        return [beside + width for width in self.segments.widths(inputs - self.num_marks, self.num_marks)]


@dataclass(frozen=True)
class SegmentedDecoder(Segmented):
    """A causal decoder over joined rows, cut from their beginning; `number` limits their inputs."""

    carries: ClassVar[Sequence[str]] = ("none", "states", "memory")
    pretrains: ClassVar[bool] = True
    num_memories: ClassVar[int] = 2

    @property
    def batching(self) -> Batching:
        from functools import partial

        from t5grid.data.batching import one_row_each

        plain = partial(self.architecture.batching, packing=one_row_each)
        return CutInputs(plain, self._room * self.segments.number, self.segments.keep)

    @property
    def _room(self) -> int:
        return self.segments.room(0, self.num_memories)

    def recurrence(self, model: Any) -> Any:
        from t5grid.model.carried import DecoderRecurrence

        return DecoderRecurrence(self.segments, model.embedding.weight)

    def products(self, size: Size, vocab_size: int, rows: int, inputs: int, targets: int) -> list[Product]:
        """The matrix products of a forward pass over joined rows of `inputs + targets` ids."""
        layers, table = Layers(size, rows), table_rows(vocab_size)
        length = self._read(inputs) + targets
        windows, before = [], 0
        for width, own in self._joined(length):
            x = layers.embedding("hidden", width, table)
            windows.append([x, *layers.stack("decoder", size.num_layers, "hidden", width, carried=before)])
            before = own if self.segments.carry == "states" else 0
        last = [f"segment{number}.hidden" for number in range(len(windows) - 1)]
        joined = Product("hidden", tuple(last), None, 0, rows * length * size.d_model)
        linked = self._linked(windows, "hidden", size.d_model, all_trained=True)
        return [*linked, joined, layers.softmax("hidden", length, table)]

    def _read(self, inputs: int) -> int:
        return min(inputs, self._room * self.segments.number)

    def _joined(self, length: int) -> list[tuple[int, int]]:
        """Positions of each window over a joined row, and how many of them are the row's."""
        own = [min(self._room, length - start) for start in range(0, max(1, length), self._room)]
        both = self.num_memories * self.segments.memory
        return [(width + both, width) for width in own[:-1]] + [(own[-1] + self.segments.memory, own[-1])]

    def block_steps(self, size: Size, inputs: int, targets: int) -> int:
        length = self._read(inputs) + targets
        return self.architecture.block_steps(size, 0, sum(width for width, _ in self._joined(length)))


@dataclass(frozen=True)
class CutInputs:
    """A batching whose inputs have at most `length` ids, their end mark counted: the first or the last."""

    plain: Batching
    length: int
    keep: str

    def __call__(self, inputs: Any, targets: Any, inputs_length: int, targets_length: int, **how: Any) -> Any:
        """As the plain one's."""
        if self.keep == "last" and inputs.shape[1]:
            inputs = last_ids(inputs, min(self.length, inputs_length) - 1)
        return self.plain(inputs, targets, min(self.length, inputs_length), targets_length, **how)


def last_ids(ids: Any, length: int) -> Any:
    """The last `length` ids of each row, left-aligned; of numpy arrays padded with 0."""
    import numpy as np

    surplus = np.maximum(np.count_nonzero(ids, axis=1) - length, 0)[:, None]
    columns = surplus + np.arange(min(length, ids.shape[1]))
    return np.take_along_axis(ids, np.minimum(columns, ids.shape[1] - 1), axis=1) * (columns < ids.shape[1])


def _prefixed(product: Product, prefix: str, detached: bool) -> Product:
    """A product of one window among several."""
    reads = tuple(f"{prefix}{name}" for name in product.reads)
    return replace(product, writes=f"{prefix}{product.writes}", reads=reads, detached=detached)


FORMS: Mapping[type, type[Segmented]] = {
    EncoderDecoder: SegmentedEncoderDecoder,
    EncoderDecoderShared: SegmentedEncoderDecoder,
    EncoderDecoderHalf: SegmentedEncoderDecoder,
    Bert: SegmentedEncoder,
    LanguageModel: SegmentedDecoder,
}
"""Architecture -> its form that reads in segments."""
