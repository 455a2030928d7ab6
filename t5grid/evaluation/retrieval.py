"""model + pairs of sentences -> how often the nearest state is the translation's.

A sentence is the mean of the states of its pieces in one layer; its translation is looked for among all
sentences of the other language, by cosine, both ways (as in Hu et al., 2020, section 3, of Tatoeba). Layer 0
is the id table, before any context.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from t5grid.data.special_ids import EOS, class_id

Layers = np.ndarray
"""[layers, sentences, width], each vector of length 1."""


def sentence_states(model: Any, vocab_size: int, ids: Sequence[Sequence[int]]) -> Layers:
    """The mean state of each sentence in each layer of what reads it; sentences of one length together."""
    rows: dict[int, np.ndarray] = {}
    lengths = np.array([len(sentence) for sentence in ids])
    for length in np.unique(lengths):
        places = np.flatnonzero(lengths == length)
        with torch.no_grad():
            states = _read(model, vocab_size, torch.tensor([list(ids[place]) for place in places.tolist()]))
        means = torch.stack([layer.mean(dim=1) for layer in states], dim=1)
        means = torch.nn.functional.normalize(means, dim=-1)
        rows |= dict(zip(places.tolist(), means.cpu().numpy(), strict=True))
    return np.stack([rows[place] for place in range(len(ids))], axis=1)


def _read(model: Any, vocab_size: int, ids: Tensor) -> list[Tensor]:
    """What enters the first layer and leaves each, at the places of the ids."""
    end = torch.full((len(ids), 1), EOS)
    if hasattr(model, "states"):
        first = torch.full((len(ids), 1), class_id(vocab_size))
        return [layer[:, 1:-1] for layer in model.states({"inputs": torch.cat([first, ids, end], dim=1)})]
    with _kept(model.encoder or model.decoder) as kept:
        model.encode(torch.cat([ids, end], dim=1))
    return [layer[:, :-1] for layer in kept]


@contextmanager
def _kept(stack: Any) -> Iterator[list[Tensor]]:
    """A list to which a stack's passes add what enters its first block and what leaves each."""
    kept: list[Tensor] = []
    handles = [stack.blocks[0].register_forward_pre_hook(lambda block, given: kept.append(given[0]))]
    for block in stack.blocks:
        handles.append(block.register_forward_hook(lambda block, given, left: kept.append(left)))
    try:
        yield kept
    finally:
        for handle in handles:
            handle.remove()


def retrieved(sentences: Layers, translations: Layers) -> list[float]:
    """For each layer how many per cent of both sides have their own partner nearest; ties are misses."""
    accuracies = []
    for ours, theirs in zip(sentences, translations, strict=True):
        cosines = ours @ theirs.T
        hits = [_own_is_nearest(cosines), _own_is_nearest(cosines.T)]
        accuracies.append(100 * float(np.mean(hits)))
    return accuracies


def _own_is_nearest(cosines: np.ndarray) -> np.ndarray:
    own = np.diag(cosines)
    others = np.where(np.eye(len(cosines), dtype=bool), -np.inf, cosines)
    return own > others.max(axis=1)
