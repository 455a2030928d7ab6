"""fresh attention -> attention that already looks somewhere: mimetic initialisation.

Small models spend most of a short pre-training on finding that attention can match and copy at all. Trockman
and Kolter (2023, "Mimetic Initialization of Self-Attention Layers") start matrices as those of trained models
look; here that is the decoder's attention to the encoder and the position tables. The study starts without.
"""

from collections.abc import Iterable

import torch

from t5grid.model.layers import Attention, RelativePositionBias

MATCH = 1.4
"""Deviation of the entries of query and key, times width^-0.5 d_kv^-0.25."""
NEAR, FARTHEST = 0.25, 8
"""What a position's logit loses with each step of distance, and from where on it loses no more."""


@torch.no_grad()
def make_mimetic(bias: RelativePositionBias, to_encoder: Iterable[Attention]) -> None:
    """Set a stack's position table and its attentions to the encoder; the rest stays as it is."""
    lean(bias)
    for attention in to_encoder:
        match_and_copy(attention)


def match_and_copy(attention: Attention) -> None:
    """Keys equal to queries, values that the output matrix turns back: what is alike is found and copied."""
    inner, width = attention.query.weight.shape
    std = MATCH * width**-0.5 * attention.d_kv**-0.25
    attention.key.weight.copy_(attention.query.weight.normal_(std=std))
    attention.value.weight.normal_(std=width**-0.5)
    attention.output.weight.copy_(attention.value.weight.T * (width / inner))


def lean(bias: RelativePositionBias) -> None:
    """Nearer is likelier; where both sides are seen, heads by turns prefer the left and the right."""
    num_heads, num_buckets = bias.table.shape
    one_side = num_buckets // 2 if bias.bidirectional else num_buckets
    distance = torch.arange(num_buckets) % one_side
    bias.table.copy_((-NEAR * distance.clamp(max=FARTHEST)).expand(num_heads, -1))
    if bias.bidirectional:
        bias.table[0::2, one_side:] -= 2 * NEAR
        bias.table[1::2, :one_side] -= 2 * NEAR
