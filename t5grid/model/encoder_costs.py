"""size + batch shape -> matrix products of an encoder alone, as `costs` counts them."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from t5grid.model.costs import Layers, Product


@dataclass(frozen=True)
class EncoderLayers(Layers):
    """The pieces of BERT's encoder as products; names are those of the model's parameters."""

    def dense(
        self, name: str, reads: str, writes: str, length: int, ins: int, outs: int
    ) -> Iterator[Product]:
        """A matrix and its additive parameter at every position."""
        yield self.linear(f"{name}.weight", reads, writes, length, ins, outs)
        yield Product(writes, (), f"{name}.bias", 0, 0, shape=(outs,))

    def layer_norm(self, name: str, x: str, length: int, width: int) -> Iterator[Product]:
        """A norm's scale and shift."""
        size = self.rows * length * width
        yield Product(x, (x,), f"{name}.scale", 0, size, shape=(width,))
        yield Product(x, (), f"{name}.shift", 0, 0, shape=(width,))

    def tables(self, x: str, length: int, rows: dict[str, int], width: int) -> Iterator[Product]:
        """The sum of the rows of some tables."""
        for name, number in rows.items():
            yield Product(x, (), f"{name}.weight", 0, self.rows * length * width, shape=(number, width))

    def block(self, name: str, x: str, length: int) -> Iterator[Product]:
        """Self-attention and feed-forward, each with its norm."""
        size, inner = self.size, self.size.num_heads * self.size.d_kv
        pairs = self.rows * length * length
        attention, feed_forward = f"{name}.self_attention", f"{name}.feed_forward"
        query, key, value, weights, attended, hidden = (
            f"{x}.{name}.{part}" for part in ("query", "key", "value", "weights", "attended", "hidden")
        )
        for part, writes in (("query", query), ("key", key), ("value", value)):
            yield from self.dense(f"{attention}.{part}", x, writes, length, size.d_model, inner)
        flops, heads = 2 * pairs * inner, pairs * size.num_heads
        yield Product(weights, (query, key), None, flops, heads, attention=True)
        yield Product(attended, (weights, value), None, flops, self.rows * length * inner, attention=True)
        yield from self.dense(f"{attention}.output", attended, x, length, inner, size.d_model)
        yield from self.layer_norm(f"{attention}_norm", x, length, size.d_model)
        yield from self.dense(f"{feed_forward}.input", x, hidden, length, size.d_model, size.d_ff)
        yield from self.dense(f"{feed_forward}.output", hidden, x, length, size.d_ff, size.d_model)
        yield from self.layer_norm(f"{feed_forward}_norm", x, length, size.d_model)


def by_part(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    """Numbers in the parameters of each part of a model, which their names begin with, and their `total`."""
    parts: dict[str, int] = {}
    for name, shape in shapes.items():
        part = name.partition(".")[0]
        parts[part] = parts.get(part, 0) + math.prod(shape)
    return parts | {"total": sum(parts.values())}
