"""model + texts -> answers: in batches of similar length, in the order given."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from t5grid.config.schema import Column
from t5grid.data.reading import reading_of
from t5grid.data.vocabulary import Vocabulary
from t5grid.evaluation.deal import ALONE, Deal


def predict(
    model: Any,
    vocabulary: Vocabulary,
    texts: Sequence[str],
    column: Column,
    batch: int,
    num_beams: int = 1,
    task: str = "",
    deal: Deal = ALONE,
) -> list[str]:
    """One answer a text, given by the model's `answer`; beams are for those that search."""
    reading = reading_of(model, vocabulary, column.inputs_length)
    ids = reading.encode(task, texts)
    device = next(model.parameters()).device

    def answer(chosen: Sequence[int]) -> list[str]:
        arrays = reading.batch(task, [ids[i] for i in chosen])
        given = {name: torch.from_numpy(array.astype(np.int64)).to(device) for name, array in arrays.items()}
        rows = model.answer(given, column.targets_length, num_beams).tolist()
        return [reading.text(task, ids[i], row) for i, row in zip(chosen, rows, strict=True)]

    return deal([len(row) for row in ids], batch, answer)
