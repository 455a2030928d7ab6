"""rows of ids -> hidden states, losses: ELMo and ULMFiT.

In pre-training a batch is what `data.batching.DecoderBatching` makes, an example a row; in fine-tuning what
`data.encoder_batching` makes. Each id is predicted from those on one side of it, the first of a row by no
forward model and the last by no backward one.
"""

from collections.abc import Iterator, Sequence
from typing import ClassVar, cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from t5grid.model.answers import POOLED
from t5grid.model.encoder import Batch, StatesModel, summed, taken
from t5grid.model.encoder_blocks import Dropout, Lstm, Table
from t5grid.model.features import beside_pooled
from t5grid.model.size import Size


class RecurrentBlock(nn.Module):
    """An LSTM layer, as wide as what it reads, which is added to its states if it `skips`."""

    def __init__(self, width: int, skips: bool) -> None:
        super().__init__()
        self.lstm = Lstm(width, width, batch_first=True)
        self.skips = skips

    def forward(self, x: Float[Tensor, "rows length width"]) -> Float[Tensor, "rows length width"]:
        states = self.lstm(x)[0]
        return x + states if self.skips else states


class RecurrentStack(nn.Module):
    """LSTM layers one after another, each from the left to the right."""

    def __init__(self, size: Size, dropout: float, skips: bool) -> None:
        super().__init__()
        blocks = (RecurrentBlock(size.d_model, skips and layer > 0) for layer in range(size.num_layers))
        self.blocks = cast(Sequence[RecurrentBlock], nn.ModuleList(blocks))
        self.dropout = Dropout(dropout)

    def forward(self, x: Float[Tensor, "rows length width"]) -> Iterator[Float[Tensor, "rows length width"]]:
        """The states after each layer."""
        for block in self.blocks:
            x = self.dropout(block(x))
            yield x


class RunningTextModel(StatesModel):
    """What ELMo, ULMFiT and CBOW share: an id table, and what answers for a row of any length.

    Nothing normalises the table's rows before they are read, so they start at the length 1. At BERT's
    deviation of 0.02 two LSTM layers never learn more than the frequencies of ids.
    """

    def __init__(self, size: Size, vocab_size: int, dropout: float | None) -> None:
        super().__init__(size.dropout if dropout is None else dropout)
        self.vocab_size, self.d_model = vocab_size, size.d_model
        self.embedding = Table(vocab_size, size.d_model, size.d_model**-0.5)

    @property
    def row_width(self) -> int:
        return POOLED * self.width

    def of_rows(
        self, x: Float[Tensor, "rows length width"], inputs: Int[Tensor, "rows length"]
    ) -> Float[Tensor, "rows length row_width"]:
        return beside_pooled(x, inputs != 0)

    def pooled(self, x: Float[Tensor, "*rows row_width"]) -> Float[Tensor, "*rows row_width"]:
        """What answers for a row as it is."""
        return x

    def drop_heads(self) -> None:
        """Nothing: the one head is the id table."""

    def answer_places(self, inputs: Int[Tensor, "rows length"]) -> Int[Tensor, "rows 1"]:
        """Where it answers for a row: at its last id or its first."""
        return ends_of(inputs) if self.answers_at_end else torch.zeros_like(inputs[:, :1])

    def answer(self, batch: Batch, max_length: int, num_beams: int = 1) -> Int[Tensor, "rows length"]:
        """What its output layers answer; before it has any, the likeliest id after each row's last."""
        if self.answering is not None:
            return self.answering.answer(self, batch)
        return self.following(batch["inputs"]).argmax(-1)

    def following(self, inputs: Int[Tensor, "rows length"]) -> Float[Tensor, "rows 1 vocab"]:
        """Logits of the id after each row's last."""
        raise NotImplementedError


class UlmfitModel(RunningTextModel):
    """Id table, LSTM layers from the left to the right, logits by the id table."""

    answers_at_end: ClassVar[bool] = True
    skips: ClassVar[bool] = False

    def __init__(self, size: Size, vocab_size: int, dropout: float | None = None) -> None:
        super().__init__(size, vocab_size, dropout)
        self.width, self.num_states = size.d_model, 1 + size.num_layers
        self.forward_lstm = RecurrentStack(size, self.dropout.rate, self.skips)

    def states(self, batch: Batch) -> list[Float[Tensor, "rows length width"]]:
        """What enters the LSTMs, as features of its own and as the first layer, and what leaves each."""
        x = self.dropout(self.embedding(ids_of(batch)))
        return [x, x, *self.forward_lstm(x)]

    def logits(self, states: Float[Tensor, "*rows width"]) -> Float[Tensor, "*rows vocab"]:
        """Of the id that follows."""
        return states @ self.embedding.weight.T

    def following(self, inputs: Int[Tensor, "rows length"]) -> Float[Tensor, "rows 1 vocab"]:
        last = taken(self.states({"inputs": inputs})[-1], ends_of(inputs))
        return self.logits(last[..., : self.d_model])

    def forward_loss(self, states: Float[Tensor, "rows length width"], ids: Tensor) -> Float[Tensor, ""]:
        """Cross-entropy of the ids that follow another, over all positions, padding included."""
        return summed(self.logits(states[:, :-1]), ids[:, 1:], ignored=0) / max(1, ids.numel())

    def loss(self, batch: Batch) -> Float[Tensor, ""]:
        """That of the language model, or that of output layers."""
        if self.answering is not None:
            return self.answering.loss(self, batch)
        return self.forward_loss(self.states(batch)[-1], ids_of(batch))


class ElmoModel(UlmfitModel):
    """A forward and a backward language model; states stand beside each other."""

    answers_at_end: ClassVar[bool] = False
    skips: ClassVar[bool] = True
    named_losses: tuple[str, ...] = ("forward_loss", "backward_loss")

    def __init__(self, size: Size, vocab_size: int, dropout: float | None = None) -> None:
        super().__init__(size, vocab_size, dropout)
        self.width = 2 * size.d_model
        self.backward_lstm = RecurrentStack(size, self.dropout.rate, self.skips)

    def states(self, batch: Batch) -> list[Float[Tensor, "rows length width"]]:
        """As ULMFiT's, those of the forward layers in the first half, of the backward ones in the second."""
        ids = ids_of(batch)
        x, turned = self.dropout(self.embedding(ids)), turn(ids != 0)
        turned_x = taken(x, turned)
        backward = (taken(states, turned) for states in self.backward_lstm(turned_x))
        pairs = zip([x, x, *self.forward_lstm(x)], [x, x, *backward], strict=True)
        return [torch.cat(pair, dim=-1) for pair in pairs]

    def drop_heads(self) -> None:
        self.named_losses = ()

    def loss(self, batch: Batch) -> Float[Tensor, ""]:
        """The sum of both language models' losses, or that of output layers."""
        if self.answering is not None:
            return self.answering.loss(self, batch)
        ids, states = ids_of(batch), self.states(batch)[-1]
        forward, backward = states.chunk(2, dim=-1)
        losses = (self.forward_loss(forward, ids), self.backward_loss(backward, ids))
        self.loss_parts = dict(zip(self.named_losses, (loss.detach() for loss in losses), strict=True))
        return torch.stack(losses).sum()

    def backward_loss(self, states: Float[Tensor, "rows length width"], ids: Tensor) -> Float[Tensor, ""]:
        """Cross-entropy of the ids that another follows."""
        before = ids[:, :-1] * (ids[:, 1:] != 0)
        return summed(self.logits(states[:, 1:]), before, ignored=0) / max(1, ids.numel())


def ids_of(batch: Batch) -> Int[Tensor, "rows length"]:
    """The ids of a batch of either kind."""
    return batch["inputs"] if "inputs" in batch else batch["targets"].clamp(min=0)


def ends_of(inputs: Int[Tensor, "rows length"]) -> Int[Tensor, "rows 1"]:
    """The place of each row's last id."""
    return (inputs != 0).sum(dim=1, keepdim=True) - 1


def turn(real: Bool[Tensor, "rows length"]) -> Int[Tensor, "rows length"]:
    """The places of each row from its end to its beginning, those of padding where they were."""
    places = torch.arange(real.shape[1], device=real.device).expand(real.shape)
    return torch.where(real, real.sum(dim=1, keepdim=True) - 1 - places, places)
