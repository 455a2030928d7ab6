"""long rows -> hidden states: states or memory in a decoder.

States: Dai et al. (2019), "Transformer-XL": a segment also attends to keys and values of the one before it,
which get no gradient; T5's position bias reaches across the border as it is. Memory: Bulatov et al. (2022): a
segment has the memory in front of it to read, and once more behind it to write. Rows are cut from their
beginning. Every segment has a loss of its own, so that a truncation saves no room here.
"""

from dataclasses import dataclass
from typing import Any, Self

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from t5grid.model.recurrence import Recurrence, ended
from t5grid.model.transformer import BlockMemory, additive, causal, same_segment


class CarriedKeyValues:
    """Keys and values of the segment before, without gradient; `own` are the present one's once seen."""

    def __init__(self, before: tuple[Tensor, Tensor] | None) -> None:
        self.before = before
        self.own: tuple[Tensor, Tensor] | None = None

    @property
    def length(self) -> int:
        """Positions before the present segment."""
        return 0 if self.before is None else self.before[0].shape[2]

    def append(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """All keys and values that the present segment attends to; a second time they are the same."""
        self.own = keys.detach(), values.detach()
        if self.before is None:
            return keys, values
        old_keys, old_values = self.before
        return torch.cat([old_keys, keys], dim=2), torch.cat([old_values, values], dim=2)


@dataclass
class RowsSoFar:
    """Where decoding stands: the ids of each row, the start id first, and how many they are."""

    ids: Int[Tensor, "rows length"]
    lengths: Int[Tensor, " rows"]
    is_read: bool = False

    def select(self, rows: Int[Tensor, " selected"]) -> Self:
        """The same for other rows: a subset, or a repetition."""
        return type(self)(self.ids[rows], self.lengths[rows], self.is_read)

    def append(self, tokens: Int[Tensor, "rows 1"]) -> None:
        """One more id in each row."""
        self.ids = F.pad(self.ids, (0, 1)).scatter(1, self.lengths[:, None], tokens)
        self.lengths = self.lengths + 1


class DecoderRecurrence(Recurrence):
    """Reads joined rows in segments, from their beginning."""

    @property
    def width(self) -> int:
        """Ids of a row in a full segment."""
        return self.segments.room(0, num_memories=2)

    def hidden(
        self, model: Any, ids: Int[Tensor, "rows length"], examples: Int[Tensor, "rows length"]
    ) -> Float[Tensor, "rows length width"]:
        """The states of all positions; `examples` are 0 at padding."""
        pieces = list(zip(ids.split(self.width, dim=1), examples.split(self.width, dim=1), strict=True))
        by_carry = self._with_states if self.segments.carry == "states" else self._with_memory
        return torch.cat(by_carry(model, pieces), dim=1)

    def _with_memory(self, model: Any, pieces: list[tuple[Tensor, Tensor]]) -> list[Tensor]:
        """With memory in front, and behind but for the last one; without any, each by itself."""
        hidden, memory, size = [], self.first_memory(len(pieces[0][0])), self.segments.memory
        for number, (ids, examples) in enumerate(pieces):
            x, behind = model.embedding(ids), size * (number < len(pieces) - 1)
            if memory is not None:
                memory = memory.to(x.dtype)
                x = torch.cat([memory, x, memory[:, :behind]], dim=1)
            seen = F.pad(examples, (size, behind), value=1)
            visible = causal(x.shape[1], x.device) & same_segment(seen, seen)
            x = model.decoder(x, additive(visible))
            hidden.append(x[:, size : x.shape[1] - behind])
            if behind:
                left = x[:, -behind:]
                memory = left if self.is_trained(number, len(pieces)) else left.detach()
        return hidden

    def _with_states(self, model: Any, pieces: list[tuple[Tensor, Tensor]]) -> list[Tensor]:
        """Each with the keys and values of the one before it in every block."""
        hidden: list[Tensor] = []
        carried: list[tuple[Tensor, Tensor] | None] = [None for _ in model.decoder.blocks]
        before = pieces[0][1][:, :0]
        for ids, examples in pieces:
            states = [CarriedKeyValues(own) for own in carried]
            visible = self._visible(before, examples)
            blocks = [BlockMemory(own, None) for own in states]
            hidden.append(model.decoder(model.embedding(ids), additive(visible), memory=blocks))
            carried, before = [own.own for own in states], examples
        return hidden

    def _visible(
        self, before: Int[Tensor, "rows past"], examples: Int[Tensor, "rows queries"]
    ) -> Bool[Tensor, "rows 1 queries keys"]:
        """Which keys of the segment before and of its own a query sees: those of its row up to itself."""
        keys = torch.cat([before, examples], dim=1)
        past = causal(keys.shape[1], keys.device, before.shape[1])
        return past & same_segment(examples, keys)

    def start(self, inputs: Int[Tensor, "rows inputs"]) -> RowsSoFar:
        """Decoding of what follows the inputs, as far as they are read."""
        inputs = self._as_read(inputs)
        return RowsSoFar(F.pad(inputs, (1, 0)), (inputs != 0).sum(dim=1) + 1)

    def _as_read(self, inputs: Int[Tensor, "rows inputs"]) -> Int[Tensor, "rows read"]:
        """The first or the last ids of inputs that are longer than all segments."""
        most = self.width * self.segments.number
        if inputs.shape[1] <= most:
            return inputs
        if self.segments.keep == "first":
            return ended(self.segments, inputs, num_memories=2)[:, :most]
        surplus = ((inputs != 0).sum(dim=1, keepdim=True) - most).clamp(min=0)
        return inputs.gather(1, surplus + torch.arange(most, device=inputs.device))

    def next(
        self, model: Any, tokens: Int[Tensor, "rows 1"], state: RowsSoFar
    ) -> Float[Tensor, "rows width"]:
        """Append an id to each row (the first call's is none); the state that the id after it is read off.

        Rows are read again at each step: their borders lie in different places.
        """
        if state.is_read:
            state.append(tokens)
        state.is_read = True
        columns = torch.arange(state.ids.shape[1], device=state.ids.device)
        examples = (columns < state.lengths[:, None]).long()
        hidden = self.hidden(model, state.ids, examples)
        last = (state.lengths - 1)[:, None, None].expand(-1, -1, hidden.shape[2])
        return hidden.gather(1, last)
