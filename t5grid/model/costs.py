"""size + batch shape -> matrix products -> operations, elements kept; no torch.

An architecture lists the products of its forward pass in order. What the backward pass costs follows by the
rule of automatic differentiation, under any set of trained parameters: a product is repeated once for each
factor that needs a gradient, and what is made of something that needs one needs one.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

BLOCK = re.compile(r"^(?:encoder|decoder)\.blocks\.\d+\.")


@dataclass(frozen=True)
class Product:
    """One step of a forward pass: `writes` becomes (or is added to by) a product of `reads` and `parameter`.

    `flops` counts 2 a multiplication, once, and is 0 where a parameter enters by a sum or elementwise. `size`
    is the number of elements written, `shape` the parameter's. `attention`: of activations with activations,
    not with weights. `detached`: what it writes is read only, and no gradient passes through it.
    """

    writes: str
    reads: tuple[str, ...] = ()
    parameter: str | None = None
    flops: int = 0
    size: int = 0
    attention: bool = False
    shape: tuple[int, ...] = ()
    detached: bool = False


@dataclass(frozen=True)
class Flops:
    """Operations: forward and backward, and how many of both are attention's own products."""

    forward: float = 0
    backward: float = 0
    attention: float = 0

    @property
    def total(self) -> float:
        """Forward and backward."""
        return self.forward + self.backward

    def __add__(self, other: "Flops") -> "Flops":
        return Flops(
            self.forward + other.forward, self.backward + other.backward, self.attention + other.attention
        )

    def __mul__(self, times: float) -> "Flops":
        return Flops(self.forward * times, self.backward * times, self.attention * times)


def total_of(several: Iterable[Flops]) -> Flops:
    """Their sum."""
    forward = backward = attention = 0.0
    for flops in several:
        forward, backward = forward + flops.forward, backward + flops.backward
        attention += flops.attention
    return Flops(forward, backward, attention)


def step(products: Iterable[Product], trained: Callable[[str], bool] | None = None) -> Flops:
    """One step's operations; `trained` says which parameters are (None: all).

    Norms, softmax and the optimizer are left out.
    """
    needing: set[str] = set()
    forward = backward = attention = 0
    for product in products:
        factors = 0 if product.detached else sum(name in needing for name in product.reads)
        is_trained = _is_trained(product, trained)
        if factors or is_trained:
            needing.add(product.writes)
        forward += product.flops
        backward += product.flops * (factors + is_trained)
        attention += product.flops * (1 + factors) if product.attention else 0
    return Flops(forward, backward, attention)


def _is_trained(product: Product, trained: Callable[[str], bool] | None) -> bool:
    """Whether a product has a parameter that learns from it."""
    if product.parameter is None or product.detached:
        return False
    return trained is None or trained(product.parameter)


def parameters(products: Iterable[Product]) -> dict[str, tuple[int, ...]]:
    """The shape of every parameter, shared ones once."""
    return {product.parameter: product.shape for product in products if product.parameter}


def kept(products: Iterable[Product], trained: Callable[[str], bool], recompute: bool = False) -> int:
    """Elements written on the way to the loss through anything trained: what the backward pass looks at.

    With `recompute`, of each block what it hands on, and all of one block at a time.
    """
    needing: set[str] = set()
    inside, handed_on, outside = Counter[str](), dict[str, int](), 0
    block = ""
    for product in products:
        reaches = not product.detached and needing.intersection(product.reads)
        if reaches or _is_trained(product, trained):
            needing.add(product.writes)
        if product.parameter:
            block = "".join(BLOCK.findall(product.parameter)[:1])
        size = product.size * (product.writes in needing)
        if recompute and block:
            inside[block] += size
            handed_on[block] = size  # the last of a block writes its output
        else:
            outside += size
    return outside + sum(handed_on.values()) + max(inside.values(), default=0)


def forward_only(products: Iterable[Product]) -> Flops:
    """The operations of a forward pass from which nothing is learned."""
    return step(products, lambda name: False)


def mean_step(products: Iterable[Product], method: Any, num_steps: int) -> Flops:
    """One step's operations under a fine-tuning method, averaged over the episodes of a run."""
    products = list(products)
    names = sorted({product.parameter for product in products if product.parameter})
    episodes = method.episodes(names, num_steps)
    total = Flops()
    for start, end in pairwise([*sorted(episodes), num_steps]):
        total += step(products, episodes[start].__contains__) * ((end - start) / num_steps)
    return total


def with_adapters(products: Iterable[Product], after: str, name: str, d_model: int, d: int) -> list[Product]:
    """An adapter of inner width d after each product whose parameter ends with `after`: `name` instead."""
    out: list[Product] = []
    for product in products:
        out.append(product)
        if product.parameter and product.parameter.endswith(after):
            out += adapter(product, product.parameter.removesuffix(after) + name, d_model, d)
    return out


def adapter(before: Product, name: str, d_model: int, d: int) -> Iterator[Product]:
    """x += relu(norm(x) W_in) W_out, where x is what `before` writes."""
    x, normed, hidden = before.writes, f"{before.writes}.{name}.normed", f"{before.writes}.{name}.hidden"
    positions = before.size // d_model
    flops = 2 * positions * d_model * d
    inside = f"{name}.feed_forward"
    yield Product(normed, (x,), f"{name}.norm.scale", 0, before.size, shape=(d_model,))
    yield Product(hidden, (normed,), f"{inside}.input.weight", flops, positions * d, shape=(d, d_model))
    yield Product(x, (hidden,), f"{inside}.output.weight", flops, before.size, shape=(d_model, d))


@dataclass(frozen=True)
class Layers:
    """The pieces of a Transformer as products, for `rows` rows; names are those of the model's parameters."""

    size: Any
    rows: int

    def linear(self, parameter: str, reads: str, writes: str, length: int, ins: int, outs: int) -> Product:
        """A matrix applied at every position."""
        positions = self.rows * length
        flops = 2 * positions * ins * outs
        return Product(writes, (reads,), parameter, flops, positions * outs, shape=(outs, ins))

    def embedding(self, writes: str, length: int, table_rows: int) -> Product:
        """Rows of the id table."""
        size, width = self.rows * length * self.size.d_model, self.size.d_model
        return Product(writes, (), "embedding.weight", 0, size, shape=(table_rows, width))

    def softmax(self, reads: str, length: int, table_rows: int) -> Product:
        """Logits of every position."""
        parameter = "embedding.weight" if self.size.tied else "softmax.weight"
        return self.linear(parameter, reads, "logits", length, self.size.d_model, table_rows)

    def norm(self, parameter: str, reads: str, writes: str, length: int) -> Product:
        """A norm's scale."""
        size, width = self.rows * length * self.size.d_model, self.size.d_model
        return Product(writes, (reads,), f"{parameter}.scale", 0, size, shape=(width,))

    def attention(
        self, name: str, x: str, length: int, source: str, keys: int, bias: str | None, carried: int = 0
    ) -> Iterator[Product]:
        """x += attention of x to `source`, and to `carried` keys that are there already.

        `name` is the parameters', `bias` a position table's, if any.
        """
        size, inner = self.size, self.size.num_heads * self.size.d_kv
        query, key, value, weights, attended = (
            f"{x}.{name}.{part}" for part in ("query", "key", "value", "weights", "attended")
        )
        normed = f"{x}.{name}.normed"
        source = normed if source == x else source
        pairs = self.rows * length * (keys + carried)
        yield self.norm(f"{name}_norm", x, normed, length)
        yield self.linear(f"{name}.query.weight", normed, query, length, size.d_model, inner)
        yield self.linear(f"{name}.key.weight", source, key, keys, size.d_model, inner)
        yield self.linear(f"{name}.value.weight", source, value, keys, size.d_model, inner)
        if bias:
            yield Product(weights, (), bias, shape=(size.num_heads, 32))
        flops, heads = 2 * pairs * inner, pairs * size.num_heads
        yield Product(weights, (query, key), None, flops, heads, attention=True)
        yield Product(attended, (weights, value), None, flops, self.rows * length * inner, attention=True)
        yield self.linear(f"{name}.output.weight", attended, x, length, inner, size.d_model)

    def feed_forward(self, name: str, x: str, length: int) -> Iterator[Product]:
        """x += feed-forward of x."""
        size, normed, hidden = self.size, f"{x}.{name}.normed", f"{x}.{name}.hidden"
        yield self.norm(f"{name}_norm", x, normed, length)
        for part in ("gate", "input") if size.feed_forward == "gated_gelu" else ("input",):
            yield self.linear(f"{name}.{part}.weight", normed, hidden, length, size.d_model, size.d_ff)
        yield self.linear(f"{name}.output.weight", hidden, x, length, size.d_ff, size.d_model)

    def stack(
        self,
        name: str,
        num_layers: int,
        x: str,
        length: int,
        encoded: str | None = None,
        keys: int = 0,
        carried: int = 0,
    ) -> Iterator[Product]:
        """Blocks of self-attention, attention to `encoded` of length `keys` if there, and feed-forward.

        Self-attention also sees `carried` keys of an earlier segment.
        """
        bias = f"{name}.position_bias.table"
        for i in range(num_layers):
            block = f"{name}.blocks.{i}"
            yield from self.attention(f"{block}.self_attention", x, length, x, length, bias, carried)
            if encoded is not None:
                yield from self.attention(f"{block}.cross_attention", x, length, encoded, keys, None)
            yield from self.feed_forward(f"{block}.feed_forward", x, length)
        yield self.norm(f"{name}.norm", x, x, length)


def renamed(products: Iterable[Product], rename: Callable[[str], str]) -> list[Product]:
    """The same products with other parameters: those of a stack that shares another's."""
    return [
        replace(product, parameter=rename(product.parameter)) if product.parameter else product
        for product in products
    ]
