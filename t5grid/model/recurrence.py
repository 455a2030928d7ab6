"""long rows -> hidden states: memory through an encoder.

Bulatov et al. (2022), "Recurrent Memory Transformer": vectors in front of a segment that it reads and
writes; what they have become is handed to the next one. There memory also has a [SEP] behind it, and each
segment one at its end; here a window is `[CLS] memory text`, or `memory text` where texts have no such mark.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from t5grid.data.special_ids import EOS
from t5grid.model.encoder import types_of, visible
from t5grid.model.segments import Windows
from t5grid.model.transformer import additive, real, same_segment

Batch = Mapping[str, Tensor]


@dataclass(frozen=True)
class Segment:
    """A segment of each row: columns of the row, left-aligned, and which of them are the row's."""

    columns: Int[Tensor, "rows width"]
    is_real: Bool[Tensor, "rows width"]

    def of(self, values: Int[Tensor, "rows length"]) -> Int[Tensor, "rows width"]:
        """What stands there, 0 where there is nothing."""
        return values.gather(1, self.columns) * self.is_real

    @property
    def is_there(self) -> Bool[Tensor, "rows 1 1"]:
        """Whether a row has anything in it: short texts begin in a later segment."""
        return self.is_real.any(dim=1)[:, None, None]


def cut(segments: Windows, inputs: Int[Tensor, "rows length"], num_marks: int = 0) -> list[Segment]:
    """The segments of rows of ids behind their marks, the last one full."""
    room, width = segments.room(num_marks), inputs.shape[1]
    end, begin = _read(segments, (inputs != 0).sum(dim=1) - num_marks, room)
    pieces = []
    widths = segments.widths(width - num_marks, num_marks)
    for after, own in zip(reversed(range(len(widths))), widths, strict=True):
        last = end - after * room
        columns = torch.maximum(last - room, begin) + torch.arange(own, device=inputs.device)
        is_real = columns < last
        pieces.append(Segment((columns + num_marks).clamp(max=max(0, width - 1)), is_real))
    return pieces


def _read(segments: Windows, lengths: Int[Tensor, " rows"], room: int) -> tuple[Tensor, Tensor]:
    """Where what is read of each text ends and begins, [rows, 1]."""
    most, lengths = room * segments.number, lengths[:, None]
    if segments.keep == "first":
        return lengths.clamp(max=most), torch.zeros_like(lengths)
    return lengths, (lengths - most).clamp(min=0)


def ended(
    segments: Windows, inputs: Int[Tensor, "rows length"], num_marks: int = 0, num_memories: int = 1
) -> Tensor:
    """The rows with an end mark at the last id that is read, where a text's own is left out."""
    last = segments.room(num_marks, num_memories) * segments.number + num_marks - 1
    if segments.keep == "last" or inputs.shape[1] <= last + 1:
        return inputs
    marked = inputs.clone()
    marked[:, last] = torch.where(inputs[:, last + 1] != 0, EOS, inputs[:, last])
    return marked


class Recurrence(nn.Module):
    """What a model reads in segments by; `memory` is what stands in front of the first one, if there is any.

    It starts as random as the rows of the id table are.
    """

    memory: nn.Parameter | None

    def __init__(self, segments: Windows, table: Float[Tensor, "ids width"]) -> None:
        super().__init__()
        self.segments = segments
        self.register_parameter("memory", None)
        if segments.memory:
            spread = table.detach().std()
            self.memory = nn.Parameter(torch.randn(segments.memory, table.shape[1]) * spread)

    def first_memory(self, rows: int) -> Float[Tensor, "rows memory width"] | None:
        """The memory of every row before its first segment."""
        return None if self.memory is None else self.memory.expand(rows, -1, -1)

    def is_trained(self, number: int, of: int) -> bool:
        """Whether segment `number` has gradients from what is answered at the end."""
        return torch.is_grad_enabled() and number >= self.segments.trained_from(of)


def handed_on(
    memory: Float[Tensor, "rows memory width"], left: Float[Tensor, "rows memory width"], segment: Segment
) -> Float[Tensor, "rows memory width"]:
    """The memory after a segment: what that has left, and for rows that have not begun what it was."""
    return torch.where(segment.is_there, left.to(memory.dtype), memory)


class EncoderDecoderRecurrence(Recurrence):
    """Reads inputs in segments; what the decoder sees is the last window, memory first."""

    def read(
        self, model: Any, inputs: Int[Tensor, "rows inputs"], examples: Int[Tensor, "rows inputs"] | None
    ) -> tuple[Float[Tensor, "rows window width"], Int[Tensor, "rows window"]]:
        """The states of the last window, and numbers above 0 where there is something to see.

        `examples` are those numbers of the inputs, as a batch has them; None where it has none.
        """
        inputs = ended(self.segments, inputs)
        pieces, memory = cut(self.segments, inputs), self.first_memory(len(inputs))
        for number, piece in enumerate(pieces):
            if self.segments.carry == "none" and piece is not pieces[-1]:
                continue
            seen = piece.of(inputs if examples is None else examples)
            seen = F.pad(seen, (self.segments.memory, 0), value=1)
            mask = additive(real(seen) if examples is None else same_segment(seen, seen))
            with torch.set_grad_enabled(self.is_trained(number, len(pieces))):
                x = model.embedding(piece.of(inputs))
                x = x if memory is None else torch.cat([memory.to(x.dtype), x], dim=1)
                x = model.read(x, mask)
            if memory is not None:
                memory = handed_on(memory, x[:, : self.segments.memory], piece)
        return x, seen


class EncoderRecurrence(Recurrence):
    """Reads rows in segments, the mark in front of the text in front of each."""

    def __init__(self, segments: Windows, table: Float[Tensor, "ids width"], by_row: bool) -> None:
        super().__init__(segments, table)
        self.by_row = by_row

    def states(self, model: Any, batch: Batch) -> list[Float[Tensor, "rows length width"]]:
        """The states after the last layer, in the places of the inputs: 0 where nothing was read.

        The first place is that of the last window's mark. Where only that is asked, there are no others.
        """
        batch = {**batch, "inputs": ended(self.segments, batch["inputs"], 1)}
        pieces, memory = cut(self.segments, batch["inputs"], 1), self.first_memory(len(batch["inputs"]))
        is_alone = self.segments.carry == "none" and self.by_row
        texts, size = [], self.segments.memory + 1
        for number, piece in enumerate(pieces):
            if is_alone and piece is not pieces[-1]:
                continue
            is_trained = self.is_trained(number, len(pieces))
            with torch.set_grad_enabled(torch.is_grad_enabled() and (is_trained or not self.by_row)):
                *_, x = model.encoder(*self._window(model, batch, piece, memory))
            texts.append(x[:, size:])
            if memory is not None:
                left = x[:, 1:size] if is_trained else x[:, 1:size].detach()
                memory = handed_on(memory, left, piece)
        return [self._in_places(x[:, :1], texts, pieces, batch["inputs"].shape[1])]

    def _window(
        self, model: Any, batch: Batch, piece: Segment, memory: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """What enters the first layer, and what is visible."""
        inputs, size = batch["inputs"], self.segments.memory + 1
        ids = torch.cat([inputs[:, :1], inputs.new_ones(len(inputs), size - 1), piece.of(inputs)], dim=1)
        types = batch["types"] if "types" in batch else types_of(inputs)
        places = torch.arange(ids.shape[1], device=ids.device).expand(ids.shape)
        window = {
            "inputs": ids,
            "types": F.pad(piece.of(types), (size, 0)),
            "positions": places * (ids != 0) if "positions" in batch else places,
        }
        if "inputs_segments" in batch:
            window["inputs_segments"] = F.pad(piece.of(batch["inputs_segments"]), (size, 0), value=1)
        words = model.embedding(ids)
        if memory is not None:
            words = torch.cat([words[:, :1], memory.to(words.dtype), words[:, size:]], dim=1)
        return model.embedded(window, words), visible(window)

    def _in_places(
        self, mark: Tensor, texts: list[Tensor], pieces: list[Segment], length: int
    ) -> Float[Tensor, "rows length width"]:
        """The last mark's state, and behind it those of the text where its ids stand."""
        if self.by_row:
            return mark
        columns = torch.cat([torch.where(piece.is_real, piece.columns, length) for piece in pieces], dim=1)
        states = torch.cat(texts, dim=1)
        whole = states.new_zeros(len(states), length + 1, states.shape[2])
        whole = whole.scatter(1, columns[..., None].expand(states.shape), states)
        return torch.cat([mark, whole[:, 1:length]], dim=1)
