"""language model + texts -> how unlikely each id is, in bits: perplexity by place.

A model that reads in segments is read twice: as it is, and with every segment by itself, which then knows the
id before it and nothing else of what was. What the second has more, the carry saves.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from t5grid.data.batching import one_row_each
from t5grid.data.stream import generator

Batch = Mapping[str, Tensor]


def texts_of(
    encode: Callable[[Sequence[str]], Sequence[Sequence[int]]],
    documents: Iterable[str],
    length: int,
    number: int,
) -> Int[np.ndarray, "texts length"]:
    """At most `number` texts of `length` ids: the documents one behind the other, without a mark between."""
    ids: list[int] = []
    for document in documents:
        if len(ids) >= length * number:
            break
        ids += encode([document])[0]
    number = min(number, len(ids) // length)
    return np.array(ids[: number * length], np.int32).reshape(number, length)


@torch.inference_mode()
def bits(model: Any, batch: Batch) -> Float[Tensor, "rows length"]:
    """-log2 of what a model gives each id of `targets` after all those before it."""
    targets = batch["targets"]
    logits = model.logits_where(batch, torch.ones_like(targets, dtype=torch.bool)).float()
    known = logits.log_softmax(dim=-1).gather(1, targets.reshape(-1, 1)).double()
    return -known.reshape(targets.shape) / math.log(2)


def bits_alone(model: Any, batch: Batch, width: int) -> Float[Tensor, "rows length"]:
    """The same with every segment of `width` ids by itself: nothing is carried to it."""
    length = batch["targets"].shape[1]
    pieces = [
        {name: values[:, start : start + width] for name, values in batch.items()}
        for start in range(0, length, width)
    ]
    return torch.cat([bits(model, piece) for piece in pieces], dim=1)


@dataclass(frozen=True)
class Reading:
    """Bits of every id of some texts: as the model reads, and if it carries, with each segment alone."""

    whole: Float[np.ndarray, "texts length"]
    alone: Float[np.ndarray, "texts length"] | None
    width: int | None

    def scores(self) -> dict[str, float]:
        """Mean bits of an id, and the probability that they stand for: the geometric mean, in per cent."""
        mean = float(self.whole.mean())
        known = {"probability": 100 * 2**-mean, "bits": mean}
        return known if self.alone is None else known | {"bits_alone": float(self.alone.mean())}

    def curve(self) -> dict[str, Any]:
        """What a record keeps: means by place in the text, of how many texts, in segments of how many ids."""
        alone = None if self.alone is None else _by_place(self.alone)
        return {
            "texts": len(self.whole),
            "segment": self.width,
            "bits": _by_place(self.whole),
            "alone": alone,
        }


def _by_place(values: Float[np.ndarray, "texts length"]) -> list[float]:
    return [round(float(value), 4) for value in values.mean(axis=0)]


@dataclass(frozen=True)
class Reader:
    """A model that reads texts as in pre-training, at most `batch` at once."""

    model: Any
    objective: Any
    batching: Any
    vocab_size: int
    batch: int

    def __call__(self, texts: Int[np.ndarray, "texts length"]) -> Reading:
        """The bits of each id of each text; not of the mark that ends it, which is no text."""
        recurrence = self.model.recurrence
        width = None if recurrence is None else recurrence.width
        carries = recurrence is not None and recurrence.segments.carry != "none"
        whole, alone = [], []
        for start in range(0, len(texts), self.batch):
            batch = self._batch(texts[start : start + self.batch])
            whole.append(bits(self.model, batch)[:, :-1].cpu().numpy())
            if carries and width is not None:
                alone.append(bits_alone(self.model, batch, width)[:, :-1].cpu().numpy())
        return Reading(np.concatenate(whole), np.concatenate(alone) if alone else None, width)

    def _batch(self, texts: Int[np.ndarray, "texts length"]) -> dict[str, Tensor]:
        inputs, targets = self.objective(texts, generator(0, "perplexity"), self.vocab_size)
        length = texts.shape[1] + 1
        arrays = self.batching(inputs, targets, length, length, packing=one_row_each)
        device = next(self.model.parameters()).device
        return {name: torch.from_numpy(array.astype(np.int64)).to(device) for name, array in arrays.items()}
