"""architecture + ids -> who sees whom: the masks that its attention is given.

A small model of the architecture takes the batch, and what its attention modules are handed is written down,
so that a picture of it cannot differ from what is trained.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor, nn

from t5grid.model.layers import MASKED
from t5grid.model.xlnet_blocks import Sight
from t5grid.refused import Refused

SMALL = {"d_model": 16, "d_ff": 16, "d_kv": 8, "num_heads": 2, "num_layers": 2, "num_decoder_layers": 2}
SELF, CROSS = "self_attention", "cross_attention"
FULL, CAUSAL, PREFIX, DRAWN = "fully visible", "causal", "causal with prefix", "as drawn"


@dataclass(frozen=True)
class Mask:
    """One attention: whose positions look (`queries`) at whose (`keys`), names of arrays of the batch."""

    name: str
    queries: str
    keys: str
    visible: Bool[np.ndarray, "queries keys"]

    @property
    def kind(self) -> str:
        """What the field calls such a mask."""
        seen = self.visible
        if seen.all():
            return FULL
        if seen.shape[0] != seen.shape[1]:
            return DRAWN
        causal = np.tri(len(seen), dtype=bool)
        if (seen == causal).all():
            return CAUSAL
        num_prefix = int(seen[0].sum())
        causal[:num_prefix, :num_prefix] = True
        return f"{PREFIX} of {num_prefix}" if (seen == causal).all() else DRAWN


def masks_of(architecture: Any, size: Any, vocab_size: int, batch: dict[str, np.ndarray]) -> list[Mask]:
    """The masks of the first blocks, in the order in which they are used, for the first row of a batch.

    Raises Refused where the model has no attention that could be drawn.
    """
    model = architecture.build(small(size), vocab_size, 0.0).eval()
    handed: list[tuple[str, Tensor | None, tuple[int, int]]] = []
    streams = dict[str, Mask]()

    def note(name: str) -> Any:
        def hook(module: nn.Module, given: tuple[Any, ...]) -> None:
            if isinstance(given[-1], Sight):
                mask = _of_stream(name, given[-1])
                streams.setdefault(mask.name, mask)
                return
            queries, keys = given[0].shape[1], (given[1].shape[-2] if len(given) > 3 else given[0].shape[1])
            handed.append((name, given[-1], (queries, keys)))

        return hook

    for name, module in model.named_modules():
        if name.endswith((SELF, CROSS)) and ".blocks.0." in f".{name}":
            module.register_forward_pre_hook(note(name))
    with torch.no_grad():
        model.loss({key: torch.from_numpy(value).long() for key, value in batch.items()})
    if streams:
        return list(streams.values())
    if not handed:
        raise Refused(f"architecture={type(architecture).__name__}: its model has no attention to draw")
    return _named(handed, batch)


def _of_stream(name: str, sight: Sight) -> Mask:
    """What the places of one of two streams see."""
    title = f"{name.partition('.')[0]} self-attention, {sight.name}"
    visible = sight.visible.shape[-2], sight.visible.shape[-1]
    return Mask(title, sight.queries, "inputs", _visible(sight.visible, visible))


def small(size: Any) -> Any:
    """The size with few and narrow blocks, of the same kind."""
    names = {field.name for field in dataclasses.fields(size)}
    least = {name: value for name, value in SMALL.items() if name in names}
    if getattr(size, "num_decoder_layers", None) is None:
        least.pop("num_decoder_layers", None)
    return dataclasses.replace(size, **least)


def _named(
    handed: list[tuple[str, Tensor | None, tuple[int, int]]], batch: dict[str, np.ndarray]
) -> list[Mask]:
    """What was handed to each attention, with the arrays whose positions it is about.

    The first self-attention is that of the inputs, where they are an array of their own, the next one's
    that of the decoder.
    """
    sequences = [name for name in ("inputs", "decoder_inputs") if name in batch]
    masks, num_self = dict[tuple[str, str, str], Mask](), 0
    for name, mask, shape in handed:
        crosses = name.endswith(CROSS)
        own = sequences[-1] if crosses else sequences[min(num_self, len(sequences) - 1)]
        num_self += not crosses
        title = f"{name.partition('.')[0]} {CROSS if crosses else SELF}".replace("_", "-")
        keys = "inputs" if crosses else own
        if num_self == 1 and not crosses and own == "inputs":
            title = title.replace("decoder", "encoder")  # one stack may serve as both
        masks.setdefault((title, own, keys), Mask(title, own, keys, _visible(mask, shape)))
    return list(masks.values())  # a block that several layers share is met several times


def _visible(mask: Tensor | None, shape: tuple[int, int]) -> Bool[np.ndarray, "queries keys"]:
    """A mask, additive or of truth values, of the first row and head."""
    if mask is None:
        return np.ones(shape, bool)
    seen = mask if mask.dtype == torch.bool else mask > MASKED / 2
    return seen.flatten(0, -3)[0].expand(shape).contiguous().numpy()


def layout(batch: dict[str, np.ndarray]) -> dict[str, Int[np.ndarray, " length"]]:
    """The rows of ids of a batch, those that are read first."""
    names = [name for name in ("inputs", "decoder_inputs", "targets") if name in batch]
    return {name: batch[name][0] for name in names}
