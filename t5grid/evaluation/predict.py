"""model + texts -> answers: in batches of similar length, in the order given."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from t5grid.config.schema import Column
from t5grid.data.reading import reading_of
from t5grid.data.vocabulary import Vocabulary


def predict(
    model: Any,
    vocabulary: Vocabulary,
    texts: Sequence[str],
    column: Column,
    batch: int,
    num_beams: int = 1,
    task: str = "",
) -> list[str]:
    """One answer a text, given by the model's `answer`; beams are for those that search."""
    reading = reading_of(model, vocabulary, column.inputs_length)
    ids = reading.encode(task, texts)
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    answers = [""] * len(ids)
    device = next(model.parameters()).device
    for start in range(0, len(order), batch):
        chosen = order[start : start + batch]
        arrays = reading.batch(task, [ids[i] for i in chosen])
        given = {name: torch.from_numpy(array.astype(np.int64)).to(device) for name, array in arrays.items()}
        rows = model.answer(given, column.targets_length, num_beams).tolist()
        for i, row in zip(chosen, rows, strict=True):
            answers[i] = reading.text(task, ids[i], row)
    return answers
