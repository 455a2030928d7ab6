"""size + vocabulary size -> XLNet, parameters, operations; torch in `build` only.

Yang et al. (2019), "XLNet: generalized autoregressive pretraining for language understanding".
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from t5grid.data.place_targets import IN_ORDER
from t5grid.model.answering import ReadByLayers
from t5grid.model.answers import SUMMARY, LongRows
from t5grid.model.architectures import Batching
from t5grid.model.costs import Product, parameters
from t5grid.model.encoder_costs import EncoderLayers, by_part
from t5grid.model.encoders import refuse_size
from t5grid.model.size import Size

if TYPE_CHECKING:
    from torch import nn

CONTENT, QUERY = "hidden", "told"
"""The two streams."""


@dataclass(frozen=True)
class Xlnet(ReadByLayers):
    """An encoder that learns by telling a row in a random order, with rows of any length, norms last, GELU.

    Fine-tuned as `first [SEP] second [SEP] [CLS]`: what answers for a row is tanh(W x + b) of its last id's
    state x, with a W that is new in fine-tuning (the authors' summary). No memory is carried from row to row.
    """

    learns_from: ClassVar[tuple[str, ...]] = (IN_ORDER,)
    initialisations: ClassVar[tuple[str, ...]] = ("study", "mimetic")
    writes_no_text: ClassVar[str] = "fine-tuned through an output layer, XLNet writes no text"
    answers_at_end: ClassVar[bool] = True
    class_last: ClassVar[bool] = True

    long_rows: LongRows = field(default="refused", compare=False)

    @property
    def batching(self) -> Batching:
        """How pairs become the arrays this architecture eats."""
        from t5grid.data.encoder_batching import OrderedBatching

        return OrderedBatching()

    def build(self, size: Size, vocab_size: int, dropout: float | None = None) -> "nn.Module":
        """A freshly initialised model (from torch's global generator); `dropout` None means the size's."""
        from t5grid.model.xlnet_model import XlnetModel

        return XlnetModel(size, vocab_size, dropout)

    def prepare(self, model: Any) -> None:
        """Add the summary."""
        model.summarise()

    def num_parameters(self, size: Size, vocab_size: int) -> dict[str, int]:
        """Numbers to learn: `embedding`, `encoder`, `telling` (what tells a row), `total`.

        Raises Refused for a size that is not an encoder's.
        """
        refuse_size(size)
        return by_part(parameters(self.products(size, vocab_size, 1, 1, 1)))

    def products(self, size: Size, vocab_size: int, rows: int, inputs: int, targets: int) -> list[Product]:
        """The matrix products of a forward pass over [rows, inputs] ids, `targets` of a row to be told.

        The content stream is left out where nothing looks at it: after the last layer.
        """
        layers, last = XlnetLayers(size, rows), size.num_layers - 1
        lengths = {CONTENT: inputs, QUERY: targets}
        products = list(layers.tables(CONTENT, inputs, {"embedding": vocab_size}, size.d_model))
        start = rows * targets * size.d_model
        products.append(Product(QUERY, (), "telling.start", 0, start, shape=(1, size.d_model)))
        for layer in range(size.num_layers):
            streams = lengths if layer < last else {QUERY: targets}
            products += layers.two_streams(f"encoder.blocks.{layer}", inputs, streams)
        products.append(layers.linear("embedding.weight", QUERY, "logits", targets, size.d_model, vocab_size))
        return [*products, Product("logits", (), "telling.bias", shape=(vocab_size,))]

    def read(self, size: Size, vocab_size: int, rows: int, inputs: int) -> Iterator[Product]:
        """The products up to the last hidden states of the content stream, and the summary of a row."""
        layers = XlnetLayers(size, rows)
        yield from layers.tables(CONTENT, inputs, {"embedding": vocab_size}, size.d_model)
        for layer in range(size.num_layers):
            yield from layers.two_streams(f"encoder.blocks.{layer}", inputs, {CONTENT: inputs})
        name = SUMMARY.removesuffix(".")
        yield from layers.dense(name, CONTENT, "pooled", 1, size.d_model, size.d_model)

    def num_blocks(self, size: Size) -> int:
        """Blocks with weights of their own: what the paper counts parameters by."""
        return size.num_layers

    def block_steps(self, size: Size, inputs: int, targets: int) -> int:
        """Positions of both streams times the blocks each passes."""
        return (inputs + targets) * size.num_layers


@dataclass(frozen=True)
class XlnetLayers(EncoderLayers):
    """The pieces of XLNet as products; names are those of the model's parameters."""

    def two_streams(self, name: str, length: int, streams: dict[str, int]) -> Iterator[Product]:
        """A block: keys of the content, then attention and feed-forward of each stream, with its length."""
        size, attention = self.size, f"{name}.self_attention"
        inner = size.num_heads * size.d_kv
        for part in ("key", "value"):
            yield self._matrix(attention, part, CONTENT, length, size.d_model, inner)
        shared = XlnetLayers(size, 1)  # distances are those of every row
        yield shared._matrix(attention, "distance", "distances", 2 * length, size.d_model, inner)
        for stream, number in streams.items():
            yield from self._attention(attention, stream, number, length)
            yield from self.layer_norm(f"{attention}_norm", stream, number, size.d_model)
            yield from self._feed_forward(f"{name}.feed_forward", stream, number)

    def _matrix(self, attention: str, part: str, reads: str, length: int, ins: int, outs: int) -> Product:
        return self.linear(f"{attention}.{part}.weight", reads, f"{attention}.{part}", length, ins, outs)

    def _attention(self, name: str, stream: str, queries: int, length: int) -> Iterator[Product]:
        """x += attention of a stream to the content, by what is met, its distance and its part."""
        size, inner = self.size, self.size.num_heads * self.size.d_kv
        query, weights, attended = (f"{stream}.{name}.{part}" for part in ("query", "weights", "attended"))
        yield self.linear(f"{name}.query.weight", stream, query, queries, size.d_model, inner)
        heads, places = (size.num_heads, size.d_kv), self.rows * queries * inner
        for part in ("content", "distance", "part"):
            yield Product(f"{query}.{part}", (query,), f"{name}.{part}_bias", 0, places, shape=heads)
        yield self._scores(weights, (f"{query}.distance", f"{name}.distance"), queries, 2 * length)
        flops, parts = 2 * places * 2, (2, *heads)
        yield Product(weights, (f"{query}.part",), f"{name}.parts", flops, shape=parts)
        yield self._scores(weights, (f"{query}.content", f"{name}.key"), queries, length)
        flops = 2 * places * length
        yield Product(attended, (weights, f"{name}.value"), None, flops, places, attention=True)
        yield self.linear(f"{name}.output.weight", attended, stream, queries, inner, size.d_model)

    def _scores(self, weights: str, reads: tuple[str, ...], queries: int, number: int) -> Product:
        """Products of queries with `number` keys."""
        pairs = self.rows * queries * number * self.size.num_heads
        return Product(weights, reads, None, 2 * pairs * self.size.d_kv, pairs, attention=True)

    def _feed_forward(self, name: str, stream: str, length: int) -> Iterator[Product]:
        """x += feed-forward of a stream, with its norm."""
        size, hidden = self.size, f"{stream}.{name}.hidden"
        yield from self.dense(f"{name}.input", stream, hidden, length, size.d_model, size.d_ff)
        yield from self.dense(f"{name}.output", hidden, stream, length, size.d_ff, size.d_model)
        yield from self.layer_norm(f"{name}_norm", stream, length, size.d_model)
