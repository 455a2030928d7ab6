"""model + texts -> answers: in batches of similar length, in the order given."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from t5grid.config.schema import Column
from t5grid.data.batching import finish
from t5grid.data.feeds import padded
from t5grid.data.vocabulary import Vocabulary


def predict(
    model: Any,
    vocabulary: Vocabulary,
    texts: Sequence[str],
    column: Column,
    batch: int,
    num_beams: int = 1,
) -> list[str]:
    """One answer a text, written by the model's `answer`; beams are for those that search."""
    ids = vocabulary.encode(list(texts))
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    answers = [""] * len(ids)
    device = next(model.parameters()).device
    for start in range(0, len(order), batch):
        chosen = order[start : start + batch]
        inputs = finish(padded([ids[i] for i in chosen]), column.inputs_length).astype(np.int64)
        given = {"inputs": torch.from_numpy(inputs).to(device)}
        ids_of_answers = model.answer(given, column.targets_length, num_beams)
        for i, row in zip(chosen, ids_of_answers.tolist(), strict=True):
            answers[i] = vocabulary.decode(row)
    return answers
