"""models -> one model for decoding: logits averaged before the softmax (section 3.6)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from t5grid.model.text_to_text import TextToText


@dataclass
class EnsembleState:
    """Where the decoding of each member stands."""

    states: list[Any]

    def select(self, rows: Int[Tensor, " selected"]) -> Self:
        return type(self)([state.select(rows) for state in self.states])


class Ensemble(TextToText):
    """Decodes as one model does; the members may differ in size, not in vocabulary."""

    def __init__(self, members: list[TextToText]) -> None:
        super().__init__()
        self.members = cast(Sequence[Any], nn.ModuleList(members))

    def start_decoding(self, batch: dict[str, Tensor], max_length: int) -> EnsembleState:
        """Let every member read the batch."""
        return EnsembleState([member.start_decoding(batch, max_length) for member in self.members])

    def decode_step(
        self, tokens: Int[Tensor, "rows new"], state: EnsembleState
    ) -> Float[Tensor, "rows vocab"]:
        """The mean of the members' logits of the id after `tokens`."""
        pairs = zip(self.members, state.states, strict=True)
        return torch.stack([member.decode_step(tokens, member_state) for member, member_state in pairs]).mean(
            dim=0
        )


def as_one(members: list[TextToText]) -> TextToText:
    """A single model as it is, several as an ensemble."""
    return members[0] if len(members) == 1 else Ensemble(members)
