"""fresh encoder or GPT -> one whose first block looks at neighbours (mimetic).

A hidden word is told by what stands beside it, and found again where the same stands beside another; small
models spend all of a short pre-training on finding that out. As in `model.initialisation`, matrices start as
those of trained models look: half of the heads of the first block find the place before or behind, and add
what is there. Besides, 0.02 is the deviation of models 768 wide (Devlin et al., 2018; Radford et al., 2018;
Yang et al., 2019), which is close to 768^-0.5; a narrower one starts with larger numbers.
"""

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from t5grid.model.encoder_blocks import rates, sinusoids

WIDTH = 768
SHARP = 2.5
"""What a place's sines and cosines are taken times, in the query and in the key."""
WRITES = 0.5
"""Deviation of what a head adds of its neighbour, whose own is 1."""


@torch.no_grad()
def widen_deviation(model: nn.Module, width: int) -> None:
    """Matrices as drawn with a deviation that is to this width what theirs is to 768."""
    for module in model.modules():
        if isinstance(module, nn.Linear):
            module.weight.mul_((WIDTH / width) ** 0.5)


@torch.no_grad()
def find_by_place(
    attention: Any, tables: tuple[Tensor, Tensor], widened: Tensor | None, normed: bool, both_sides: bool
) -> None:
    """Heads find their neighbour by its place; `tables` are those of tokens and of places.

    Places become sinusoids as large as the tokens. One a step further is the same turned (Vaswani et al.,
    2017, section 3.5), so that a key turned back meets the neighbour's query. `widened` [width, narrow] is
    what both pass before the block, if anything, and `normed` whether a norm is between them.
    """
    tokens, places = tables
    deviation = float(tokens.square().mean().sqrt())
    chosen = fastest(attention.d_kv, places.shape[1])
    tokens -= tokens @ chosen.T @ chosen  # else each place would find itself, by its token
    places.copy_(sinusoids(torch.arange(float(len(places))), places.shape[1]) * deviation * 2**0.5)
    entering = 1.0 if normed else deviation * 2**0.5
    read = (chosen if widened is None else chosen @ torch.linalg.pinv(widened)) * SHARP / entering
    for head, side in neighbours(attention.num_heads, both_sides):
        rows = slice(head * attention.d_kv, head * attention.d_kv + len(chosen))
        attention.query.weight[rows] = read
        attention.key.weight[rows] = turned(chosen, -side) @ read
        copy_what_is_there(attention, head, attention.d_kv, entering)


@torch.no_grad()
def find_by_distance(attention: Any, tokens: Tensor) -> None:
    """Heads find their neighbour by its distance, where sinusoids of distances are what keys have (XLNet)."""
    heads, d_kv = attention.distance_bias.shape
    chosen = fastest(d_kv, tokens.shape[1])
    for head, side in neighbours(heads, both_sides=True):
        attention.distance.weight[head * d_kv : head * d_kv + len(chosen)] = chosen * SHARP
        distance = sinusoids(torch.tensor([-float(side)]), tokens.shape[1])[
            0
        ]  # from a query to a key before it: 1
        attention.distance_bias[head, : len(chosen)] = chosen @ distance * SHARP
        copy_what_is_there(attention, head, d_kv, float(tokens.square().mean().sqrt()))


def neighbours(num_heads: int, both_sides: bool) -> Iterator[tuple[int, int]]:
    """The heads that look beside them, and where: 1 is behind, -1 before."""
    for head in range((num_heads + 1) // 2):
        yield head, 1 if both_sides and head % 2 == 0 else -1


def fastest(d_kv: int, width: int) -> Float[Tensor, "chosen width"]:
    """What takes the fastest pairs that a head has room for, half of a table at most: sines, then cosines."""
    pairs, num_sines = min(d_kv, width // 2) // 2, len(rates(width))
    return torch.eye(width)[[*range(pairs), *range(num_sines, num_sines + pairs)]]


def turned(chosen: Float[Tensor, "chosen width"], steps: int) -> Float[Tensor, "chosen chosen"]:
    """What makes of chosen sinusoids those so many steps further."""
    angles = steps * rates(chosen.shape[1])[: len(chosen) // 2]
    sine, cosine = angles.sin().diag(), angles.cos().diag()
    return torch.cat([torch.cat([cosine, sine], dim=1), torch.cat([-sine, cosine], dim=1)])


def copy_what_is_there(attention: Any, head: int, d_kv: int, entering: float) -> None:
    """Values of a head, of inputs with that deviation, written in directions of their own."""
    part, width = slice(head * d_kv, (head + 1) * d_kv), attention.output.weight.shape[0]
    attention.value.weight[part].normal_(std=width**-0.5 / entering)
    directions, _ = torch.linalg.qr(torch.randn(width, d_kv))
    attention.output.weight[:, part] = directions * WRITES * (width / d_kv) ** 0.5
