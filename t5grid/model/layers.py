"""hidden states -> hidden states: the pieces of every Transformer of the study.

Norm, relative position bias, attention, feed-forward and dropout as section 2.1 of the paper describes them
and the authors' code computes them. No layer has an additive parameter; matrices map the last dimension.
"""

import math
from dataclasses import dataclass
from typing import Any, Self

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

MASKED = -1e9  # added to the attention logits of positions that must not be seen
ONEDNN = getattr(torch.ops.mkldnn, "_linear_pointwise", None)  # None: this torch was built without it
LEAST_SIDE, LEAST_PRODUCTS = 128, 2**21  # below, the kernel that oneDNN builds for each shape does not pay


def product(
    x: Float[Tensor, "*rows inputs"], weight: Float[Tensor, "outputs inputs"]
) -> Float[Tensor, "*rows outputs"]:
    """x W^T; in inference on a CPU by oneDNN where torch has it.

    Left to itself torch takes MKL for single precision, which is half as fast on AMD processors.
    """
    if (
        ONEDNN is not None
        and not torch.compiler.is_compiling()  # which cannot ask for the inference mode
        and torch.is_inference_mode_enabled()
        and x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and min(weight.shape) >= LEAST_SIDE
        and x.numel() * len(weight) >= LEAST_PRODUCTS
    ):
        return ONEDNN(x, weight, None, "none", [], "")
    return F.linear(x, weight)


class Matrix(nn.Linear):
    """A linear map without additive parameter; its weight is [outputs, inputs]."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, bias=False)

    def forward(self, x: Float[Tensor, "*rows inputs"]) -> Float[Tensor, "*rows outputs"]:
        return product(x, self.weight)


def linear(inputs: int, outputs: int, std: float, truncated: bool = False) -> Matrix:
    """A map without additive parameter, its weights normal (cut at two deviations if truncated).

    As in the authors' code, the cut is not made up for: a truncated matrix ends up at 0.88 of `std`.
    """
    layer = Matrix(inputs, outputs)
    if truncated:
        nn.init.trunc_normal_(layer.weight, std=std, a=-2 * std, b=2 * std)
    else:
        nn.init.normal_(layer.weight, std=std)
    return layer


class _RMSNorm(torch.autograd.Function):
    """The norm in few passes over memory; torch composes its own of many on a CPU."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, epsilon: float) -> Tensor:
        length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        inverse = length.square_().mul_(1 / x.shape[-1]).add_(epsilon).rsqrt_()
        normed = x * inverse
        ctx.save_for_backward(normed, inverse, scale)
        return normed * scale

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        normed, inverse, scale = ctx.saved_tensors
        along = gradient * normed
        share = (along @ scale).mul_(1 / len(scale)).unsqueeze(-1)
        result = (gradient * scale).sub_(normed * share).mul_(inverse)
        return result, along.view(-1, len(scale)).sum(0), None


class RMSNorm(nn.Module):
    """x / sqrt(mean(x^2) + epsilon) * scale: the paper's layer norm, without mean or additive parameter."""

    def __init__(self, width: int, epsilon: float = 1e-6) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(width))
        self.epsilon = epsilon

    def forward(self, x: Float[Tensor, "... width"]) -> Float[Tensor, "... width"]:
        if x.device.type == "cpu" and x.dtype == self.scale.dtype:
            return _RMSNorm.apply(x, self.scale, self.epsilon)
        return F.rms_norm(x, self.scale.shape, self.scale, self.epsilon)


class LengthDropout(nn.Module):
    """Dropout that draws once for each (row, channel) and keeps that draw along the length.

    The authors' setting: a channel of an example is dropped at all its positions or at none.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Float[Tensor, "rows length width"]) -> Float[Tensor, "rows length width"]:
        if not self.training or self.rate == 0.0:
            return x
        return x * F.dropout(x.new_ones(x.shape[0], 1, x.shape[2]), self.rate)

    def extra_repr(self) -> str:
        return f"rate={self.rate}"


def relative_position_bucket(
    distance: Int[Tensor, "..."], bidirectional: bool, num_buckets: int = 32, max_distance: int = 128
) -> Int[Tensor, "..."]:
    """Bucket of each distance (key position minus query position), 0 .. num_buckets - 1.

    Half of the buckets hold one distance each, the others grow logarithmically up to `max_distance`, and
    everything beyond shares the last. Bidirectional: the upper half of the buckets is for keys to the
    right. One-sided: keys to the right all fall in bucket 0. (Paper section 2.1; widths as in the authors'
    code.)
    """
    offset = torch.zeros_like(distance)
    if bidirectional:
        num_buckets //= 2
        offset = (distance > 0).long() * num_buckets
        distance = distance.abs()
    else:
        distance = (-distance).clamp(min=0)
    num_exact = num_buckets // 2
    growth = (num_buckets - num_exact) / math.log(max_distance / num_exact)
    wide = num_exact + ((distance.clamp(min=1).float() / num_exact).log() * growth).long()
    return offset + torch.where(distance < num_exact, distance, wide.clamp(max=num_buckets - 1))


class RelativePositionBias(nn.Module):
    """One learned number for each (head, bucket), added to the attention logits of all layers of a stack."""

    bucket_of_distance: Tensor

    def __init__(
        self, num_heads: int, bidirectional: bool, num_buckets: int = 32, max_distance: int = 128
    ) -> None:
        super().__init__()
        self.table = nn.Parameter(nn.init.xavier_uniform_(torch.empty(num_heads, num_buckets)))
        self.bidirectional, self.max_distance = bidirectional, max_distance
        distances = torch.arange(-max_distance, max_distance + 1)
        buckets = [
            relative_position_bucket(distances, both, num_buckets, max_distance) for both in (False, True)
        ]
        self.register_buffer("bucket_of_distance", torch.stack(buckets), persistent=False)

    def forward(
        self, num_queries: int, num_keys: int, first_query: int = 0, bidirectional: bool | None = None
    ) -> Float[Tensor, "1 heads queries keys"]:
        """The bias of queries at positions from first_query on, and keys at positions from 0 on.

        `bidirectional` other than the table's own reads the same table through the other kind of buckets.
        """
        last_query = first_query + num_queries - 1
        distance = torch.arange(-last_query, num_keys - first_query, device=self.table.device)
        nearest = distance.clamp(-self.max_distance, self.max_distance) + self.max_distance
        both = self.bidirectional if bidirectional is None else bidirectional
        by_distance = self.table[:, self.bucket_of_distance[int(both)][nearest]]
        return by_distance.unfold(1, num_keys, 1).flip(1)[None]  # a query reads one place before the last


@dataclass
class KeyValues:
    """Keys and values that decoding keeps: `length` positions of the room are filled."""

    keys: Float[Tensor, "rows heads room d_kv"]
    values: Float[Tensor, "rows heads room d_kv"]
    length: int

    def append(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Add positions (in place) and return all keys and values so far."""
        end = self.length + keys.shape[2]
        self.keys[:, :, self.length : end] = keys
        self.values[:, :, self.length : end] = values
        self.length = end
        return self.keys[:, :, :end], self.values[:, :, :end]

    def select(self, rows: Int[Tensor, " selected"]) -> Self:
        """The same for other rows: a subset, or a repetition."""
        return type(self)(self.keys[rows], self.values[rows], self.length)


class Attention(nn.Module):
    """Multi-head attention without the 1/sqrt(d_kv) factor, which sits in the initial queries instead.

    Dropout on the attention weights is torch's own, one draw for each (query, key); the authors' code
    shares one draw among the queries.
    """

    def __init__(self, width: int, num_heads: int, d_kv: int, dropout: float) -> None:
        super().__init__()
        inner = num_heads * d_kv
        self.query = linear(width, inner, (width * d_kv) ** -0.5)
        self.key = linear(width, inner, width**-0.5)
        self.value = linear(width, inner, width**-0.5)
        self.output = linear(inner, width, inner**-0.5)
        self.num_heads, self.d_kv, self.rate = num_heads, d_kv, dropout

    def heads(self, x: Float[Tensor, "rows length inner"]) -> Float[Tensor, "rows heads length d_kv"]:
        return x.view(x.shape[0], x.shape[1], self.num_heads, self.d_kv).transpose(1, 2)

    def key_values(self, x: Float[Tensor, "rows keys width"]) -> tuple[Tensor, Tensor]:
        return self.heads(self.key(x)), self.heads(self.value(x))

    def forward(
        self, x: Float[Tensor, "rows queries width"], keys: Tensor, values: Tensor, bias: Tensor | None
    ) -> Float[Tensor, "rows queries width"]:
        """Attend from x to keys and values [rows heads keys d_kv]; the bias is added to the logits."""
        rate = self.rate if self.training else 0.0
        attended = attend(self.heads(self.query(x)), keys, values, bias, rate)
        return self.output(attended.transpose(1, 2).reshape(*x.shape[:2], -1))


def attend(
    queries: Float[Tensor, "rows heads queries d_kv"],
    keys: Float[Tensor, "rows heads keys d_kv"],
    values: Float[Tensor, "rows heads keys d_kv"],
    bias: Float[Tensor, "#rows #heads #queries keys"] | None,
    dropout: float,
) -> Float[Tensor, "rows heads queries d_kv"]:
    """softmax(q k + bias) v, by torch's fused attention wherever that is fused and quicker.

    On a CPU the plain formula is twice as fast with a bias that needs a gradient, where torch's is not fused,
    and for a single query, as in decoding.
    """
    if bias is not None:
        bias = bias.to(queries.dtype)
        if bias.device.type == "cpu" and (bias.requires_grad or queries.shape[2] == 1):
            weights = torch.softmax(queries @ keys.transpose(-1, -2) + bias, dim=-1)
            return F.dropout(weights, dropout) @ values if dropout else weights @ values
    return F.scaled_dot_product_attention(queries, keys, values, bias, dropout_p=dropout, scale=1.0)


class FeedForward(nn.Module):
    """relu(x W_in) W_out (paper section 2.1)."""

    def __init__(self, width: int, d_ff: int, dropout: float) -> None:
        super().__init__()
        self.input = linear(width, d_ff, width**-0.5, truncated=True)
        self.output = linear(d_ff, width, d_ff**-0.5, truncated=True)
        self.dropout = LengthDropout(dropout)

    def forward(self, x: Float[Tensor, "rows length width"]) -> Float[Tensor, "rows length width"]:
        return self.output(self.dropout(F.relu(self.input(x))))


class GatedFeedForward(nn.Module):
    """(gelu(x W_gate) * (x W_in)) W_out, the later "v1.1" models; gelu is the tanh approximation."""

    def __init__(self, width: int, d_ff: int, dropout: float) -> None:
        super().__init__()
        self.gate = linear(width, d_ff, width**-0.5, truncated=True)
        self.input = linear(width, d_ff, width**-0.5, truncated=True)
        self.output = linear(d_ff, width, d_ff**-0.5, truncated=True)
        self.dropout = LengthDropout(dropout)

    def forward(self, x: Float[Tensor, "rows length width"]) -> Float[Tensor, "rows length width"]:
        return self.output(self.dropout(F.gelu(self.gate(x), approximate="tanh") * self.input(x)))
