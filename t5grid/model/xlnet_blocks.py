"""two streams of hidden states -> the same: XLNet's attention by relative positions.

The content stream holds what stands in a place and what it saw; the query stream, of the places to be told,
what it saw alone. Both go through the same parameters. Positions are relative, as in Transformer-XL (Dai et
al., 2019).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from t5grid.model.encoder_blocks import (
    DEVIATION,
    Activation,
    Dropout,
    EncoderFeedForward,
    LayerNorm,
    sinusoids,
)
from t5grid.model.layers import MASKED
from t5grid.model.size import Size

States = Float[Tensor, "rows places width"]


class Keys(NamedTuple):
    """What queries meet: keys and values of the content, and keys of distances from `length` down."""

    content: Float[Tensor, "rows heads keys d_kv"]
    value: Float[Tensor, "rows heads keys d_kv"]
    distance: Float[Tensor, "heads distances d_kv"]


@dataclass(frozen=True)
class Sight:
    """What the queries of a stream see, what is of their own part, and where they are, if not in every place.

    `name` is the stream's, `queries` the array of a batch whose places look.
    """

    name: str
    queries: str
    visible: Bool[Tensor, "rows 1 queries keys"]
    same: Bool[Tensor, "rows 1 queries keys"]
    places: Int[Tensor, "rows queries"] | None = None


class RelativeAttention(nn.Module):
    """Multi-head attention by what is met, how far away it is, and whether it is of the same part."""

    def __init__(self, width: int, num_heads: int, d_kv: int, dropout: float) -> None:
        super().__init__()
        inner = num_heads * d_kv
        self.query, self.key, self.value = (nn.Linear(width, inner, bias=False) for _ in range(3))
        self.distance = nn.Linear(width, inner, bias=False)
        self.output = nn.Linear(inner, width, bias=False)
        self.content_bias, self.distance_bias, self.part_bias = (
            nn.Parameter(torch.zeros(num_heads, d_kv)) for _ in range(3)
        )
        self.parts = nn.Parameter(torch.zeros(2, num_heads, d_kv))  # the same part, another one
        self.dropout = Dropout(dropout)

    def keys(self, x: States, distances: Float[Tensor, "distances width"]) -> Keys:
        """Of the content stream."""
        distance = self.distance(distances).unflatten(-1, self.parts.shape[1:])
        return Keys(self._heads(self.key(x)), self._heads(self.value(x)), distance.transpose(0, 1))

    def forward(self, x: States, keys: Keys, sight: Sight) -> States:
        """Of one stream's states."""
        asking, bias = self._asked(x, keys, sight)
        rate = self.dropout.rate if self.training else 0.0
        attended = F.scaled_dot_product_attention(asking, keys.content, keys.value, bias, rate)
        return self.output(attended.transpose(1, 2).flatten(2))

    def weights(self, x: States, keys: Keys, sight: Sight) -> Float[Tensor, "rows heads queries keys"]:
        """What each place attends to."""
        asking, bias = self._asked(x, keys, sight)
        return (asking @ keys.content.transpose(2, 3) * asking.shape[-1] ** -0.5 + bias).softmax(dim=-1)

    def _asked(self, x: States, keys: Keys, sight: Sight) -> tuple[Tensor, Tensor]:
        """Queries of what is met, and what their scores are added to."""
        query = self._heads(self.query(x))
        far = _against(query + self.distance_bias[:, None], keys.distance)
        far = shifted(far) if sight.places is None else _at(far, sight.places)
        part = _against(query + self.part_bias[:, None], self.parts.transpose(0, 1)).transpose(0, 1)
        beside = far.transpose(0, 1) + torch.where(sight.same, part[..., :1], part[..., 1:])
        bias = (beside * query.shape[-1] ** -0.5).masked_fill(~sight.visible, MASKED)
        return query + self.content_bias[:, None], bias

    def _heads(self, x: Float[Tensor, "rows places inner"]) -> Float[Tensor, "rows heads places d_kv"]:
        return x.unflatten(-1, self.parts.shape[1:]).transpose(1, 2)


def _against(
    query: Float[Tensor, "rows heads queries d_kv"], vectors: Float[Tensor, "heads number d_kv"]
) -> Float[Tensor, "heads rows queries number"]:
    """Products with vectors that all rows share, as one product a head."""
    rows, _, queries, _ = query.shape
    return (query.transpose(0, 1).flatten(1, 2) @ vectors.transpose(1, 2)).unflatten(1, (rows, queries))


def shifted(
    scores: Float[Tensor, "*rows length distances"],
) -> Float[Tensor, "*rows length length"]:
    """Scores by distance, from `length` down to `1 - length`, -> by place: row i begins at distance i.

    Each row of a matrix begins one column further to the left than the one above it.
    """
    length = scores.shape[-2]
    return scores.flatten(-2)[..., length:].unflatten(-1, (length, -1))[..., :length]


def _at(
    scores: Float[Tensor, "heads rows queries distances"], places: Int[Tensor, "rows queries"]
) -> Float[Tensor, "heads rows queries keys"]:
    """The same for queries in some places."""
    length = scores.shape[-1] // 2
    columns = length - places[..., None] + torch.arange(length, device=places.device)
    return scores.gather(-1, columns.expand(len(scores), -1, -1, -1))


def distances(length: int, like: Tensor) -> Float[Tensor, "distances width"]:
    """Sinusoids of the distances from a query to a key of rows so long, from `length` down to `1 - length`.

    As wide as `like`, and on its device: sines, then cosines.
    """
    places = torch.arange(length, -length, -1.0, device=like.device)
    return sinusoids(places, like.shape[-1]).to(like.dtype)


class DroppedFeedForward(EncoderFeedForward):
    """act(x W_in + b) W_out + b, in which something is dropped between the two."""

    def __init__(self, width: int, d_ff: int, activation: Activation, dropout: float) -> None:
        super().__init__(width, d_ff, activation)
        self.dropout = Dropout(dropout)

    def forward(self, x: States) -> States:
        return self.output(self.dropout(self.activation(self.input(x))))


class TwoStreamBlock(nn.Module):
    """norm(x + f(x)) for attention and for feed-forward, for both streams alike."""

    adapter: nn.Module | None

    def __init__(self, size: Size, dropout: float) -> None:
        super().__init__()
        self.self_attention = RelativeAttention(size.d_model, size.num_heads, size.d_kv, dropout)
        self.self_attention_norm = LayerNorm(size.d_model)
        self.feed_forward = DroppedFeedForward(size.d_model, size.d_ff, F.gelu, dropout)
        self.feed_forward_norm = LayerNorm(size.d_model)
        self.register_module("adapter", None)  # a fine-tuning method may set one
        self.dropout = Dropout(dropout)

    def forward(self, x: States, far: Tensor, streams: Sequence[tuple[States, Sight]]) -> tuple[States, ...]:
        """What becomes of some streams' states, the content stream's being `x`."""
        keys = self.self_attention.keys(x, far)
        return tuple(self._after(states, keys, sight) for states, sight in streams)

    def _after(self, x: States, keys: Keys, sight: Sight) -> States:
        x = self.self_attention_norm(x + self.dropout(self.self_attention(x, keys, sight)))
        x = self.feed_forward_norm(x + self.dropout(self.feed_forward(x)))
        return x if self.adapter is None else self.adapter(x)


class TwoStreamStack(nn.Module):
    """Blocks one after another."""

    recomputes = False

    def __init__(self, size: Size, dropout: float) -> None:
        super().__init__()
        blocks = nn.ModuleList(TwoStreamBlock(size, dropout) for _ in range(size.num_layers))
        self.blocks = cast(Sequence[TwoStreamBlock], blocks)
        self.num_layers = size.num_layers

    def layer(
        self, number: int, x: States, far: Tensor, *streams: tuple[States, Sight]
    ) -> tuple[States, ...]:
        """The streams after a layer, perhaps computed again in the backward pass."""
        if self.recomputes and self.training:
            return checkpoint(self.blocks[number], x, far, streams, use_reentrant=False)
        return self.blocks[number](x, far, streams)


def start(model: nn.Module) -> None:
    """Initial weights as the authors': normal, all of one deviation; norms and additive parameters stay."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(std=DEVIATION)
