"""Bytes that a training step keeps for its backward pass, by length of the text and by truncation.

    python benchmarks/segments.py

Documents of 2, 4, 8 and 16 segments through the nano-size model with recurrent memory, as encoder-decoder and
as encoder alone, and in one piece through the plain model. Counted is what autograd saves, each storage once,
parameters apart: no clock is read. With a truncation it stays what it is however long the text is, with none
it grows as the text does, and in one piece faster. The last column is 16 segments over 2.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import torch

from t5grid.data.place_targets import FIRST_TASK, asked
from t5grid.data.special_ids import EOS, class_id
from t5grid.model.architectures import EncoderDecoder
from t5grid.model.encoders import Bert
from t5grid.model.segmented import FORMS
from t5grid.model.segmenting import Segments
from t5grid.model.size import Size
from t5grid.tasks.answer import Class

VOCAB, ROWS, SIZE, MEMORY = 1024, 4, 64, 5
NUMBERS = (2, 4, 8, 16)
MODEL = Size(64, 256, 32, 4, 2, dropout=0.0)
ANSWERS = {"sense": Class(("no", "yes"))}


def kept(model: Any, batch: dict[str, torch.Tensor]) -> int:
    """Bytes that autograd saves on the way to the loss."""
    own = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    seen: dict[int, int] = {}
    held = []  # alive to the end, so that no address is used twice

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            seen[storage.data_ptr()] = storage.nbytes()
            held.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        model.loss(batch)
    return sum(seen.values())


def documents(length: int, has_mark: bool) -> tuple[np.ndarray, np.ndarray]:
    """Ids of documents with what is answered for them."""
    inputs = np.random.default_rng(0).integers(3, VOCAB - 2, (ROWS, length)).astype(np.int32)
    if not has_mark:
        return inputs[:, :-1], inputs[:, :3]
    inputs[:, 0], inputs[:, -1] = class_id(VOCAB), EOS
    targets = -inputs
    targets[:, 0] = asked(FIRST_TASK, 2)
    return inputs, targets


def megabytes(architecture: Any, number: int, truncation: int | None, whole: bool = False) -> float:
    """What a step keeps of documents that fill so many segments."""
    has_mark = isinstance(architecture, Bert)
    segments = Segments(SIZE, number, MEMORY, "memory", truncation)
    length = segments.room(int(has_mark)) * number + has_mark
    form = architecture if whole else FORMS[type(architecture)](architecture, segments)
    if has_mark:
        form = form.answering(ANSWERS)
    torch.manual_seed(0)
    model = form.build(MODEL, VOCAB)
    if not (whole or has_mark):
        form.prepare(model)
    arrays = form.batching(*documents(length, has_mark), length, length)
    return kept(model, {name: torch.from_numpy(array).long() for name, array in arrays.items()}) / 2**20


def main() -> None:
    columns = [f"{number} segments" for number in NUMBERS]
    print(f"{'MiB kept':<48}{''.join(f'{column:>13}' for column in columns)}{'ratio':>8}")
    for name, architecture in (("encoder-decoder", EncoderDecoder()), ("encoder", Bert(2048))):
        for told, truncation in (("truncation 1", 1), ("truncation 2", 2), ("all trained", None)):
            row(f"kept: {name}, {told}", architecture, truncation)
        row(f"kept: {name}, in one piece", architecture, None, whole=True)


def row(name: str, architecture: Any, truncation: int | None, whole: bool = False) -> None:
    figures = [megabytes(architecture, number, truncation, whole) for number in NUMBERS]
    shown = "".join(f"{figure:>13.2f}" for figure in figures)
    print(f"{name:<48}{shown}{figures[-1] / figures[0]:>8.2f}")


if __name__ == "__main__":
    main()
