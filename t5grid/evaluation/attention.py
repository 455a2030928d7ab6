"""model + a text -> what it attends to while it reads the text and writes its answer.

The weights are those of the very passes that give the answer, one decoding step a row.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from t5grid.config.schema import Column
from t5grid.data.reading import reading_of
from t5grid.data.vocabulary import Vocabulary
from t5grid.model.encoder_blocks import SelfAttention
from t5grid.model.layers import Attention
from t5grid.model.xlnet_blocks import RelativeAttention
from t5grid.refused import Refused

READ, WRITTEN, CROSS = "encoder", "decoder", "cross"
"""Parts: what is read attends to what is read, what is written to what is written, and to what is read."""

Weights = np.ndarray
"""[layers, heads, queries, keys]: each query's are 1 in sum."""


@dataclass(frozen=True)
class Attended:
    """An answer with the weights of each part that a model has; tokens of its queries and of its keys."""

    answer: str
    weights: dict[str, Weights]
    queries: dict[str, list[str]]
    keys: dict[str, list[str]]


@dataclass
class _Seen:
    """Weights as they come: by part and layer a piece for each pass, [heads, queries, keys]."""

    writes: bool = False
    pieces: dict[tuple[str, str], list[Weights]] = field(default_factory=dict)

    def add(self, part: str, layer: str, weights: Tensor) -> None:
        self.pieces.setdefault((part, layer), []).append(weights[0].float().cpu().numpy())

    def joined(self, part: str) -> Weights | None:
        """The pieces of a part under each other, keys to come filled up with 0; a layer after the other."""
        layers = [pieces for (of, _), pieces in self.pieces.items() if of == part]
        if not layers:
            return None
        width = max(piece.shape[2] for piece in layers[0])
        filled = [
            np.concatenate([np.pad(p, [(0, 0), (0, 0), (0, width - p.shape[2])]) for p in pieces], axis=1)
            for pieces in layers
        ]
        return np.stack(filled)


def attended(model: Any, vocabulary: Vocabulary, text: str, column: Column, task: str = "") -> Attended:
    """What a model in evaluation mode answers to a text, greedily, and what it attends to.

    Raises Refused for a model without attention, and for an ensemble.
    """
    reading = reading_of(model, vocabulary, column.inputs_length)
    (ids,) = reading.encode(task, [text])
    device = next(model.parameters()).device
    given = {
        name: torch.from_numpy(array.astype(np.int64)).to(device)
        for name, array in reading.batch(task, [ids]).items()
    }
    with _watched(model) as seen, torch.inference_mode():
        row = model.answer(given, column.targets_length, 1)[0].tolist()
    read = _tokens(vocabulary, given["inputs"][0].tolist())
    return _named(seen, reading.text(task, ids, row), read, _tokens(vocabulary, row))


def _named(seen: _Seen, answer: str, read: list[str], written: list[str]) -> Attended:
    weights = {part: made for part in (READ, WRITTEN, CROSS) if (made := seen.joined(part)) is not None}
    queries, keys = {READ: read, WRITTEN: written, CROSS: written}, {READ: read, CROSS: read}
    before = ["<start>", *written]
    if WRITTEN in weights and CROSS not in weights:  # one stack reads and goes on: all in one sequence
        queries[WRITTEN], before = [*read, *written], [*read, *written]
    keys[WRITTEN] = before
    sizes = {part: made.shape[2:] for part, made in weights.items()}
    return Attended(
        answer,
        weights,
        {part: queries[part][: size[0]] for part, size in sizes.items()},
        {part: keys[part][: size[1]] for part, size in sizes.items()},
    )


def _tokens(vocabulary: Vocabulary, ids: Sequence[int]) -> list[str]:
    """Each id as people read it, a blank before a word as an underscore's place."""
    pieces = [
        vocabulary.piece(number) if number < vocabulary.num_pieces else vocabulary.show([number])
        for number in ids
    ]
    return [piece.replace("▁", " ").strip() or "␣" for piece in pieces]


@contextmanager
def _watched(model: Any) -> Iterator[_Seen]:
    """Keep the weights of every attention that happens inside, and tell reading from writing."""
    named = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, Attention | SelfAttention | RelativeAttention)
    }
    if not named:
        raise Refused(f"attention: {type(model).__name__} has none to show")
    if hasattr(model, "members"):
        raise Refused("attention: an ensemble has as many as members; name a cell of one model")
    seen = _Seen()
    two_stacks = any("cross" in name for name in named)
    hooks = [
        module.register_forward_pre_hook(_keeper(seen, name, two_stacks)) for name, module in named.items()
    ]
    if hasattr(model, "decode_step"):
        model.decode_step = _writing(seen, model.decode_step)
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()
        model.__dict__.pop("decode_step", None)


def _keeper(seen: _Seen, name: str, two_stacks: bool) -> Any:
    def keep(module: nn.Module, given: tuple[Any, ...]) -> None:
        if isinstance(module, SelfAttention | RelativeAttention):
            layer = str(len(seen.pieces))  # a pass is a layer, also of one that all layers share
            if isinstance(module, SelfAttention):
                seen.add(READ, layer, _weights_of_encoder(module, *given))
            else:
                seen.add(READ, layer, module.weights(*given))
            return
        reads = two_stacks and not seen.writes
        seen.add(CROSS if "cross" in name else READ if reads else WRITTEN, name, _weights(module, *given))

    return keep


def _writing(seen: _Seen, step: Any) -> Any:
    def decode_step(tokens: Tensor, state: Any) -> Tensor:
        seen.writes = True
        logits: Tensor = step(tokens, state)
        return logits

    return decode_step


def _weights(module: Any, x: Tensor, keys: Tensor, values: Tensor, bias: Tensor | None) -> Tensor:
    logits = module.heads(module.query(x)) @ keys.transpose(-1, -2)
    return torch.softmax(logits if bias is None else logits + bias, dim=-1)


def _weights_of_encoder(module: SelfAttention, x: Tensor, visible: Tensor | None) -> Tensor:
    shape = (*x.shape[:2], module.num_heads, module.d_kv)
    queries, keys = (layer(x).view(shape).transpose(1, 2) for layer in (module.query, module.key))
    logits = queries @ keys.transpose(-1, -2) * module.d_kv**-0.5
    return torch.softmax(logits if visible is None else logits.masked_fill(~visible, -torch.inf), dim=-1)
