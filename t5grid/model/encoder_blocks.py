"""hidden states -> hidden states: the pieces of BERT, of ALBERT and of GPT.

Unlike T5's, matrices and norms have an additive parameter, a norm follows each layer and takes the mean out,
attention is scaled by 1 / sqrt(d_kv), and what is dropped is drawn for each number by itself.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

EPSILON = 1e-12
DEVIATION = 0.02
"""Of the initial weights (Devlin et al., 2018, appendix A.2; in the authors' code cut at two deviations)."""
Activation = Callable[[Tensor], Tensor]


class Dropout(nn.Dropout):
    """Torch's own; `rate` is what layers call it here."""

    @property
    def rate(self) -> float:
        return self.p


class Table(nn.Embedding):
    """Rows by number, drawn with a deviation that is BERT's by default."""

    def __init__(self, number: int, width: int, deviation: float = DEVIATION) -> None:
        self.deviation = deviation
        super().__init__(number, width)

    def reset_parameters(self) -> None:
        nn.init.trunc_normal_(self.weight, std=self.deviation, a=-2 * self.deviation, b=2 * self.deviation)


class Lstm(nn.LSTM):
    """An LSTM that starts with open forget gates, their biases at 1 (Jozefowicz et al., 2015), as ELMo's."""

    def reset_parameters(self) -> None:
        super().reset_parameters()
        forget = slice(self.hidden_size, 2 * self.hidden_size)
        for name, parameter in self.named_parameters():
            if name.startswith("bias_"):
                nn.init.constant_(parameter[forget], 1.0 if name.startswith("bias_ih") else 0.0)


class Dense(nn.Linear):
    """x W^T + b."""

    def reset_parameters(self) -> None:
        nn.init.trunc_normal_(self.weight, std=DEVIATION, a=-2 * DEVIATION, b=2 * DEVIATION)
        nn.init.zeros_(self.bias)


class LayerNorm(nn.Module):
    """(x - mean) / deviation * scale + shift."""

    def __init__(self, width: int, epsilon: float = EPSILON) -> None:
        super().__init__()
        self.scale, self.shift = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))
        self.epsilon = epsilon

    def forward(self, x: Float[Tensor, "*rows width"]) -> Float[Tensor, "*rows width"]:
        return F.layer_norm(x, self.scale.shape, self.scale, self.shift, self.epsilon)


class SelfAttention(nn.Module):
    """Multi-head attention of a row to itself."""

    def __init__(self, width: int, num_heads: int, d_kv: int, dropout: float) -> None:
        super().__init__()
        inner = num_heads * d_kv
        self.query, self.key, self.value = (Dense(width, inner) for _ in range(3))
        self.output = Dense(inner, width)
        self.num_heads, self.d_kv, self.rate = num_heads, d_kv, dropout

    def forward(
        self, x: Float[Tensor, "rows length width"], visible: Bool[Tensor, "rows 1 queries keys"] | None
    ) -> Float[Tensor, "rows length width"]:
        heads = (*x.shape[:2], self.num_heads, self.d_kv)
        q, k, v = (layer(x).view(heads).transpose(1, 2) for layer in (self.query, self.key, self.value))
        attended = F.scaled_dot_product_attention(q, k, v, visible, self.rate if self.training else 0.0)
        return self.output(attended.transpose(1, 2).flatten(2))


class EncoderFeedForward(nn.Module):
    """act(x W_in + b) W_out + b."""

    def __init__(self, width: int, d_ff: int, activation: Activation) -> None:
        super().__init__()
        self.input, self.output, self.activation = Dense(width, d_ff), Dense(d_ff, width), activation

    def forward(self, x: Float[Tensor, "rows length width"]) -> Float[Tensor, "rows length width"]:
        return self.output(self.activation(self.input(x)))


class EncoderBlock(nn.Module):
    """norm(x + f(x)) for self-attention and for feed-forward."""

    adapter: nn.Module | None

    def __init__(
        self,
        width: int,
        num_heads: int,
        d_kv: int,
        d_ff: int,
        activation: Activation,
        dropout: float,
        epsilon: float = EPSILON,
    ) -> None:
        super().__init__()
        self.self_attention = SelfAttention(width, num_heads, d_kv, dropout)
        self.self_attention_norm = LayerNorm(width, epsilon)
        self.feed_forward = EncoderFeedForward(width, d_ff, activation)
        self.feed_forward_norm = LayerNorm(width, epsilon)
        self.register_module("adapter", None)  # a fine-tuning method may set one
        self.dropout = Dropout(dropout)

    def forward(
        self, x: Float[Tensor, "rows length width"], visible: Bool[Tensor, "rows 1 queries keys"] | None
    ) -> Float[Tensor, "rows length width"]:
        x = self.self_attention_norm(x + self.dropout(self.self_attention(x, visible)))
        x = self.feed_forward_norm(x + self.dropout(self.feed_forward(x)))
        return x if self.adapter is None else self.adapter(x)


def rates(width: int, device: torch.device | None = None) -> Float[Tensor, " pairs"]:
    """Radians a step of sinusoids so wide, the fastest first."""
    return 1e4 ** (-torch.arange(0, width, 2, device=device) / width)


def sinusoids(places: Float[Tensor, " places"], width: int) -> Float[Tensor, "places width"]:
    """Sines, then cosines (Vaswani et al., 2017, section 3.5; in the authors' code side by side)."""
    angles = places[:, None] * rates(width, places.device)
    return torch.cat([angles.sin(), angles.cos()], dim=-1)[:, :width]
