"""fixed states of an encoder -> features -> a small task model over them.

The choices are those of BERT's Table 7 (section 5.3).
"""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pack_sequence, pad_packed_sequence

from t5grid.model.answers import LAST, POOLED, Choice, num_concatenated
from t5grid.model.encoder_blocks import Lstm

States = Sequence[Float[Tensor, "rows length width"]]


class Features(nn.Module):
    """What is read off an encoder's states: what enters it, and what each layer hands on."""

    def __init__(self, choice: Choice, num_layers: int) -> None:
        super().__init__()
        self.choice = choice
        is_weighted = choice == "weighted_sum"
        self.weights = nn.Parameter(torch.zeros(num_layers)) if is_weighted else None
        self.scale = nn.Parameter(torch.ones(1)) if is_weighted else None

    def forward(self, states: States) -> Float[Tensor, "rows length features"]:
        layers = states[1:]
        if self.weights is not None and self.scale is not None:
            weights = self.scale * self.weights.softmax(dim=0)
            return torch.einsum("l,lrnw->rnw", weights, torch.stack(list(layers)))
        if self.choice == "sum_last_four":
            return torch.stack(list(layers[-LAST:])).sum(dim=0)
        if self.choice == "concat_last_four":
            return torch.cat(list(layers[-LAST:]), dim=-1)
        place = {"embeddings": 0, "second_to_last": -2, "last": -1}[self.choice]
        return states[place]


class Reader(nn.Module):
    """A bidirectional LSTM over features: each place sees its example on both sides of it, and no padding.

    For a row answers what it makes of a place, beside the largest and the mean of the example: over twenty
    pieces an LSTM carries little to the place of [CLS].
    """

    def __init__(self, choice: Choice, d_model: int, num_states: int, units: int, num_layers: int) -> None:
        super().__init__()
        self.features = Features(choice, num_states)
        inputs = d_model * num_concatenated(choice, num_states)
        self.lstm = Lstm(inputs, units, num_layers, batch_first=True, bidirectional=True)
        self.width, self.row_width = 2 * units, POOLED * 2 * units

    def forward(
        self,
        states: States,
        real: Bool[Tensor, "rows length"],
        segments: Int[Tensor, "rows length"] | None = None,
    ) -> Float[Tensor, "rows length width"]:
        """Of rows with several examples, `segments` number those of each from 1."""
        if segments is not None and int(segments.max()) > 1:
            return self._of_packed(self.features(states), real, segments)
        x, lengths = self.features(states), real.sum(dim=1).clamp(min=1).cpu()
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=x.shape[1])[0]

    def _of_packed(
        self,
        x: Float[Tensor, "rows length features"],
        real: Bool[Tensor, "rows length"],
        segments: Int[Tensor, "rows length"],
    ) -> Float[Tensor, "rows length width"]:
        """What it makes of each example, in the places where that stands."""
        row = torch.arange(len(x), device=x.device)[:, None] * (int(segments.max()) + 1)
        _, lengths = torch.unique_consecutive((row + segments)[real], return_counts=True)
        examples = pack_sequence(x[real].split(lengths.tolist()), enforce_sorted=False)
        read, _ = pad_packed_sequence(self.lstm(examples)[0], batch_first=True)
        inside = torch.arange(read.shape[1], device=x.device) < lengths[:, None]
        return x.new_zeros(*real.shape, self.width).masked_scatter(real[..., None], read[inside])


def beside_pooled(
    x: Float[Tensor, "rows length width"], parts: Int[Tensor, "rows length"] | Bool[Tensor, "rows length"]
) -> Float[Tensor, "rows length pooled"]:
    """Concatenated pooling (ULMFiT, section 3.3): each state beside the largest and the mean of its part.

    `parts` number the examples of a row from 1, or say where its one example stands; padding is 0.
    """
    count = int(parts.max()) + 1
    of_part = (torch.arange(len(x), device=x.device)[:, None] * count + parts).flatten()
    states, where = x.flatten(0, 1), of_part[:, None].expand(-1, x.shape[-1])
    empty = x.new_zeros(len(x) * count, x.shape[-1])
    pooled = (empty.scatter_reduce(0, where, states, how, include_self=False) for how in ("amax", "mean"))
    return torch.cat([x, *(part[of_part].view_as(x) for part in pooled)], dim=-1)
