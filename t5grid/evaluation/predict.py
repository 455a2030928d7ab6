"""model + texts -> answers: decoded in batches of similar length, in the order they were given."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from t5grid.config.schema import Column
from t5grid.data.batching import finish
from t5grid.data.feeds import padded
from t5grid.data.vocabulary import Vocabulary
from t5grid.model.decoding import beam_decode, greedy


def predict(
    model: nn.Module,
    vocabulary: Vocabulary,
    texts: Sequence[str],
    column: Column,
    batch: int,
    num_beams: int = 1,
) -> list[str]:
    """One answer a text: greedy (paper, section 3.1.2), or by beam search as in its final runs."""
    ids = vocabulary.encode(list(texts))
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    answers = [""] * len(ids)
    device = next(model.parameters()).device
    for start in range(0, len(order), batch):
        chosen = order[start : start + batch]
        inputs = finish(padded([ids[i] for i in chosen]), column.inputs_length).astype(np.int64)
        given = {"inputs": torch.from_numpy(inputs).to(device)}
        if num_beams > 1:
            out = beam_decode(model, given, column.targets_length, num_beams)
        else:
            out = greedy(model, given, column.targets_length)
        for i, row in zip(chosen, out.tolist(), strict=True):
            answers[i] = vocabulary.decode(row)
    return answers
