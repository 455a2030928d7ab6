"""encoder + kinds of answers -> the encoder as it is fine-tuned on them.

In place of the heads of pre-training it has an output layer for each task: for classes and numbers on [CLS],
for spans a start and an end, for tags on each word. Torch is imported in `prepare` only.
"""

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from t5grid.model.answers import OUTPUT, layer_name, width_of
from t5grid.model.costs import Product, parameters
from t5grid.model.encoder_costs import EncoderLayers, by_part
from t5grid.model.size import Size
from t5grid.tasks.answer import Answer, Class, Number

if TYPE_CHECKING:
    from t5grid.data.reading import LayerReading


@dataclass(frozen=True)
class AnsweringEncoder:
    """An encoder with output layers for some tasks: an architecture in its turn."""

    encoder: Any
    answers: tuple[tuple[str, Answer], ...]
    at_end: bool = False
    """Whether it answers for a row at its end."""

    @property
    def batching(self) -> Any:
        """Rows of one example each."""
        from t5grid.data.batching import one_row_each
        from t5grid.data.encoder_batching import EncoderBatching

        return partial(EncoderBatching(), packing=one_row_each)

    def build(self, size: Size, vocab_size: int, dropout: float | None = None) -> Any:
        """A freshly initialised model with its output layers."""
        model = self.encoder.build(size, vocab_size, dropout)
        self.prepare(model)
        return model

    def prepare(self, model: Any) -> None:
        """Put output layers (torch's global generator) in the place of the heads of pre-training."""
        from t5grid.model.output_layers import answer_with

        answer_with(model, dict(self.answers))
        model.cuts_rows = self.cuts_rows

    def reading(self, vocabulary: Any, length: int) -> "LayerReading":
        """How it is asked, taught and understood."""
        from t5grid.data.reading import LayerReading

        return LayerReading(vocabulary, length, dict(self.answers), self.at_end, self.cuts_rows)

    @property
    def cuts_rows(self) -> bool:
        """Whether rows that are too long are cut, and not refused."""
        return self.encoder.long_rows == "cut"

    def num_parameters(self, size: Size, vocab_size: int) -> dict[str, int]:
        """Numbers to learn, by part, and their `total`."""
        return by_part(parameters(self.products(size, vocab_size, 1, 1, 1)))

    def products(self, size: Size, vocab_size: int, rows: int, inputs: int, targets: int) -> list[Product]:
        """The matrix products of a forward pass: every row is of one of the tasks, as many of each."""
        products = [*self.encoder.read(size, vocab_size, rows, inputs)]
        each = EncoderLayers(size, max(1, rows // len(self.answers)))
        for task, answer in self.answers:
            on_row = isinstance(answer, Class | Number)
            reads, length = ("pooled", 1) if on_row else ("hidden", inputs)
            name = f"{OUTPUT}{layer_name(task)}"
            products += each.dense(name, reads, f"{task}.answer", length, size.d_model, width_of(answer))
        return products

    def num_blocks(self, size: Size) -> int:
        """Blocks with weights of their own."""
        return self.encoder.num_blocks(size)

    def block_steps(self, size: Size, inputs: int, targets: int) -> int:
        """Positions times the blocks each passes."""
        return self.encoder.block_steps(size, inputs, targets)
