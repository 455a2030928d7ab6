"""model with its starting weights -> the same with a fine-tuning method's parameters."""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from t5grid.model.layers import FeedForward, LengthDropout, RMSNorm
from t5grid.model.transformer import OwnSoftmax, TiedSoftmax

NEAR_IDENTITY = 0.01


class Adapter(nn.Module):
    """x + relu(norm(x) W_in) W_out, an ordinary sub-layer of small inner width d: the study's `task_adapter`.

    Without dropout at inference; in training it drops as every other sub-layer. Near the identity, both
    matrices start with a deviation of 0.01 (Houlsby et al., 2019), else as in any feed-forward layer.
    """

    def __init__(self, width: int, d: int, dropout: float, near_identity: bool = False) -> None:
        super().__init__()
        self.norm = RMSNorm(width)
        self.feed_forward = FeedForward(width, d, dropout)
        self.dropout = LengthDropout(dropout)
        if near_identity:
            for matrix in (self.feed_forward.input.weight, self.feed_forward.output.weight):
                nn.init.trunc_normal_(matrix, std=NEAR_IDENTITY, a=-2 * NEAR_IDENTITY, b=2 * NEAR_IDENTITY)

    def forward(self, x: Float[Tensor, "rows length width"]) -> Float[Tensor, "rows length width"]:
        return x + self.dropout(self.feed_forward(self.norm(x)))


def add_adapters(model: Any, width: Callable[[int], int], near_identity: bool) -> None:
    """An adapter after the feed-forward of every block of every stack; `width` maps d_model to d."""
    for block in [module for module in model.modules() if hasattr(module, "adapter")]:
        d_model = len(block.feed_forward_norm.scale)
        block.adapter = Adapter(d_model, width(d_model), block.dropout.rate, near_identity)
    model.train(model.training)  # dropout of what was added as of the rest


def add_head(model: Any, width: Callable[[int], int]) -> None:
    """An adapter, near the identity, between the decoder's output and the softmax matrix."""
    d_model, rate = model.embedding.weight.shape[1], model.decoder.dropout.rate
    model.softmax.head = Adapter(d_model, width(d_model), rate, near_identity=True)
    model.train(model.training)


def untie(model: Any) -> None:
    """Give the model a softmax matrix of its own that yields the same logits; one that has it keeps it."""
    if isinstance(model.softmax, TiedSoftmax):
        table = model.embedding.weight
        softmax = OwnSoftmax(*table.shape)
        with torch.no_grad():
            softmax.weight.copy_(table * table.shape[1] ** -0.5)
        model.softmax = softmax
