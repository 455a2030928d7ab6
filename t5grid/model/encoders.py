"""size + vocabulary size -> BERT or ALBERT, parameters, operations.

A feed-forward layer's function is GELU and the head's table the ids', whatever T5 has in the same size.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from t5grid.config.rules import Count
from t5grid.data.place_targets import IN_PLACE
from t5grid.model.answering import ReadByLayers
from t5grid.model.answers import LongRows, TaskWords
from t5grid.model.architectures import Batching
from t5grid.model.costs import Product, parameters
from t5grid.model.encoder_costs import EncoderLayers, by_part
from t5grid.model.size import Size
from t5grid.refused import Refused

if TYPE_CHECKING:
    from torch import nn

    from t5grid.model.encoder import Form

NUM_TYPES = 2


@dataclass(frozen=True)
class Bert(ReadByLayers):
    """An encoder alone (Devlin et al., 2018): learned positions, segments, norms last, GELU, a pooler.

    Rows are up to `num_positions` long. Dropout is drawn number by number, as there.
    """

    learns_from: ClassVar[tuple[str, ...]] = (IN_PLACE,)
    initialisations: ClassVar[tuple[str, ...]] = ("study", "mimetic")
    writes_no_text: ClassVar[str] = "an encoder alone writes no text"
    packs: ClassVar[bool] = True

    num_positions: Count = 512
    long_rows: LongRows = field(default="refused", compare=False)
    task_words: TaskWords = field(default="read", compare=False)

    def check(self, cell: Any) -> None:
        """Raise Refused for rows that are longer than the positions there are."""
        length = cell.budget.pretrain.inputs_length
        if length > self.num_positions:
            places = f"architecture.num_positions={self.num_positions}"
            raise Refused(f"budget.pretrain.inputs_length={length}: more than {places}")
        refuse_columns(cell, self.num_positions)

    @property
    def batching(self) -> Batching:
        """How pairs become the arrays this architecture eats."""
        from t5grid.data.encoder_batching import EncoderBatching

        return EncoderBatching()

    def form(self, size: Size) -> "Form":
        """What tells it from other encoders of the size."""
        from t5grid.model.encoder import Form

        return Form(self.num_positions, self.width_of_ids(size))

    def build(self, size: Size, vocab_size: int, dropout: float | None = None) -> "nn.Module":
        """A freshly initialised model (from torch's global generator); `dropout` None means the size's."""
        from t5grid.model.encoder import EncoderModel

        return EncoderModel(size, vocab_size, self.form(size), dropout)

    def width_of_ids(self, size: Size) -> int:
        """The width of the id table."""
        return size.d_model

    def num_parameters(self, size: Size, vocab_size: int) -> dict[str, int]:
        """Numbers to learn: `embedding`, the other tables, `encoder`, the heads of pre-training, `total`.

        Raises Refused for a size that is not an encoder's.
        """
        refuse_size(size)
        return by_part(parameters(self.products(size, vocab_size, 1, 1, 1)))

    def products(self, size: Size, vocab_size: int, rows: int, inputs: int, targets: int) -> list[Product]:
        """The matrix products of a forward pass over [rows, inputs] ids, `targets` of a row to be told."""
        layers, narrow = EncoderLayers(size, rows), self.width_of_ids(size)
        transform = layers.dense("masked_lm.transform", "hidden", "told", targets, size.d_model, narrow)
        return [
            *self.encoded(size, vocab_size, rows, inputs),
            *transform,
            *layers.layer_norm("masked_lm.norm", "told", targets, narrow),
            layers.linear("embedding.weight", "told", "logits", targets, narrow, vocab_size),
            Product("logits", (), "masked_lm.bias", shape=(vocab_size,)),
            *self._pooler(size, rows),
            *layers.dense("pair", "pooled", "order", 1, size.d_model, 2),
        ]

    def encoded(self, size: Size, vocab_size: int, rows: int, inputs: int) -> Iterator[Product]:
        """The products up to the last hidden states."""
        layers, narrow = EncoderLayers(size, rows), self.width_of_ids(size)
        tables = {
            "embedding": vocab_size,
            "position_embedding": self.num_positions,
            "type_embedding": NUM_TYPES,
        }
        x = "hidden"
        yield from layers.tables(x, inputs, tables, narrow)
        yield from layers.layer_norm("embedding_norm", x, inputs, narrow)
        yield from self._widened(layers, x, inputs, narrow)
        for layer in range(size.num_layers):
            yield from layers.block(f"encoder.blocks.{self._block(layer)}", x, inputs)

    def read(self, size: Size, vocab_size: int, rows: int, inputs: int) -> Iterator[Product]:
        """The products up to what output layers read: the last hidden states, and the pooled one of a row."""
        yield from self.encoded(size, vocab_size, rows, inputs)
        yield from self._pooler(size, rows)

    def _pooler(self, size: Size, rows: int) -> Iterator[Product]:
        return EncoderLayers(size, rows).dense("pooler", "hidden", "pooled", 1, size.d_model, size.d_model)

    def _widened(self, layers: EncoderLayers, x: str, inputs: int, narrow: int) -> Iterator[Product]:
        return iter(())

    def _block(self, layer: int) -> int:
        """The block whose parameters a layer has."""
        return layer

    def num_blocks(self, size: Size) -> int:
        """Blocks with weights of their own: what the paper counts parameters by."""
        return size.num_layers

    def block_steps(self, size: Size, inputs: int, targets: int) -> int:
        """Positions times the blocks each passes; what is told of them is no position of its own."""
        return inputs * size.num_layers


@dataclass(frozen=True)
class Albert(Bert):
    """As BERT with one block's parameters for all layers, and ids `embedding_width` wide (Lan et al., 2019).

    That width is meant for models of width `at_d_model` and grows and shrinks with the width of others; with
    null it is taken as written.
    """

    embedding_width: Count = 128
    at_d_model: Count | None = 768

    def form(self, size: Size) -> "Form":
        from t5grid.model.encoder import Form

        return Form(self.num_positions, self.width_of_ids(size), shared=True, gelu="tanh")

    def width_of_ids(self, size: Size) -> int:
        if self.at_d_model is None:
            return self.embedding_width
        return max(1, round(self.embedding_width * size.d_model / self.at_d_model))

    def _widened(self, layers: EncoderLayers, x: str, inputs: int, narrow: int) -> Iterator[Product]:
        return layers.dense("widen", x, x, inputs, narrow, layers.size.d_model)

    def _block(self, layer: int) -> int:
        return 0

    def num_blocks(self, size: Size) -> int:
        return 1


def refuse_columns(cell: Any, num_positions: int) -> None:
    """Raise Refused for a column whose rows are longer than the positions there are."""
    for key, column in cell.suite.chosen().items():
        if cell.segments.at_once(column.inputs_length) > num_positions:
            named = f"suite.columns.{key}.inputs_length={column.inputs_length}"
            if not cell.segments.reads_whole:
                named = f"segments.size={cell.segments.at_once(column.inputs_length)}"
            raise Refused(f"{named}: more than architecture.num_positions={num_positions}")


def refuse_size(size: Size) -> None:
    """Raise Refused for what only other architectures have."""
    if size.num_decoder_layers is not None:
        raise Refused(f"size.num_decoder_layers={size.num_decoder_layers}: this architecture has one stack")
    if size.feed_forward != "relu":
        raise Refused(f"size.feed_forward={size.feed_forward}: this architecture has GELU; leave it at relu")
    if not size.tied:
        raise Refused("size.tied=false: this architecture's logits are by the id table; true is needed")
