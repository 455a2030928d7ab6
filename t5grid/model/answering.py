"""encoder + kinds of answers -> the encoder as it is fine-tuned on them.

In place of the heads of pre-training it has an output layer for each task: for classes and numbers on [CLS],
for spans a start and an end, for tags on each word. Torch is imported in `prepare` only.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from t5grid.model.answers import OUTPUT, STATES, LongRows, TaskWords, is_of_row, layer_name, width_of
from t5grid.model.architectures import Architecture
from t5grid.model.costs import Product, parameters
from t5grid.model.encoder_costs import EncoderLayers, by_part
from t5grid.model.size import Size
from t5grid.tasks.answer import Answer, Span

if TYPE_CHECKING:
    from t5grid.data.reading import LayerReading


class ReadByLayers(Architecture):
    """An architecture whose states output layers read; a subclass says the rest and `writes_no_text`."""

    initialisations: ClassVar[tuple[str, ...]] = ("study",)
    answers_at_end: ClassVar[bool] = False
    """Whether it answers for a row at its end."""
    class_last: ClassVar[bool] = False
    """Whether [CLS] is there, behind all texts."""
    packs: ClassVar[bool] = False
    """Whether what is asked of an example does not depend on others in its row."""

    long_rows: LongRows
    task_words: TaskWords = "read"

    def answering(self, answers: Mapping[str, Answer]) -> "AnsweringEncoder":
        """This model as it is fine-tuned on tasks with such answers."""
        return AnsweringEncoder(self, tuple(answers.items()))

    def read(self, size: Size, vocab_size: int, rows: int, inputs: int) -> Iterator[Product]:
        """The products up to what output layers read: `hidden` in every place, `pooled` for a row."""
        raise NotImplementedError

    def build(self, size: Size, vocab_size: int, dropout: float | None = None) -> Any:
        """A freshly initialised model (from torch's global generator); `dropout` None means the size's."""
        raise NotImplementedError

    def num_blocks(self, size: Size) -> int:
        """Blocks with weights of their own: what the paper counts parameters by."""
        raise NotImplementedError

    def block_steps(self, size: Size, inputs: int, targets: int) -> int:
        """Positions times the blocks each passes: what the paper counts operations by."""
        raise NotImplementedError

    def prepare(self, model: Any) -> None:
        """Add to a pre-trained model what only fine-tuning has of it; nothing by default."""

    def width(self, size: Size) -> int:
        """The width of its states."""
        return size.d_model

    def row_width(self, size: Size) -> int:
        """The width of what answers for a row."""
        return self.width(size)

    def num_states(self, size: Size) -> int:
        """How many of its states a task model may weigh."""
        return size.num_layers


@dataclass(frozen=True)
class AnsweringEncoder:
    """An encoder with output layers for some tasks: an architecture in its turn."""

    encoder: "ReadByLayers"
    answers: tuple[tuple[str, Answer], ...]

    @property
    def batching(self) -> Any:
        """Rows of one example each."""
        from t5grid.data.batching import one_row_each
        from t5grid.data.encoder_batching import EncoderBatching

        return partial(EncoderBatching(), packing=one_row_each)

    @property
    def packed(self) -> Any:
        """Several examples a row, but for spans, which are chosen out of whole rows."""
        from t5grid.data.batching import within_short_rows
        from t5grid.data.encoder_batching import EncoderBatching

        if not self.encoder.packs or any(isinstance(answer, Span) for _, answer in self.answers):
            return self.batching
        return partial(EncoderBatching(), packing=within_short_rows)

    def build(self, size: Size, vocab_size: int, dropout: float | None = None) -> Any:
        """A freshly initialised model with its output layers."""
        model = self.encoder.build(size, vocab_size, dropout)
        self.prepare(model)
        return model

    def prepare(self, model: Any) -> None:
        """Put output layers (torch's global generator) in the place of the heads of pre-training."""
        from t5grid.model.output_layers import answer_with

        answer_with(model, dict(self.answers))
        self.encoder.prepare(model)
        model.cuts_rows, model.reads_bare = self.cuts_rows, self.reads_bare

    def reading(self, vocabulary: Any, length: int) -> "LayerReading":
        """How it is asked, taught and understood."""
        from t5grid.data.reading import LayerReading

        encoder = self.encoder
        marks = (encoder.answers_at_end, self.cuts_rows, encoder.class_last, self.reads_bare)
        return LayerReading(vocabulary, length, dict(self.answers), *marks)

    @property
    def cuts_rows(self) -> bool:
        """Whether rows that are too long are cut, and not refused."""
        return self.encoder.long_rows == "cut"

    @property
    def reads_bare(self) -> bool:
        """Whether the words that name a task and its texts are left out."""
        return self.encoder.task_words == "left_out"

    def num_parameters(self, size: Size, vocab_size: int) -> dict[str, int]:
        """Numbers to learn, by part, and their `total`."""
        return by_part(parameters(self.products(size, vocab_size, 1, 1, 1)))

    def products(self, size: Size, vocab_size: int, rows: int, inputs: int, targets: int) -> list[Product]:
        """The matrix products of a forward pass: every row is of one of the tasks, as many of each."""
        encoder = self.encoder
        shape = (encoder.num_states(size), rows * inputs, encoder.width(size))
        products = [*encoder.read(size, vocab_size, rows, inputs), Product(STATES, ("hidden",), shape=shape)]
        each = EncoderLayers(size, max(1, rows // len(self.answers)))
        for task, answer in self.answers:
            of_row = ("pooled", 1, encoder.row_width(size))
            reads, length, ins = of_row if is_of_row(answer) else ("hidden", inputs, encoder.width(size))
            name = f"{OUTPUT}{layer_name(task)}"
            products += each.dense(name, reads, f"{task}.answer", length, ins, width_of(answer))
        return products

    def num_blocks(self, size: Size) -> int:
        """Blocks with weights of their own."""
        return self.encoder.num_blocks(size)

    def block_steps(self, size: Size, inputs: int, targets: int) -> int:
        """Positions times the blocks each passes."""
        return self.encoder.block_steps(size, inputs, targets)
