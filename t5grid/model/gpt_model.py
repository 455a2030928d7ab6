"""rows of ids -> hidden states, losses: GPT.

In pre-training a batch is what `data.batching.DecoderBatching` makes, with positions; in fine-tuning what
`data.encoder_batching` makes. Radford et al. (2018); blocks with their norms last, as in that first GPT.
"""

from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from t5grid.model.encoder import Batch, BlocksModel, EncoderStack, Form, summed, to_the_left
from t5grid.model.encoder_blocks import Table
from t5grid.model.neighbours import find_by_place, widen_deviation
from t5grid.model.size import Size
from t5grid.model.transformer import causal

EPSILON = 1e-5


class GPTModel(BlocksModel):
    """Token and position tables, causal blocks, logits by the token table.

    In fine-tuning the loss of language modelling on the inputs is added, `lm_weight` times.
    """

    answers_at_end: ClassVar[bool] = True

    def __init__(
        self, size: Size, vocab_size: int, form: Form, lm_weight: float, dropout: float | None = None
    ) -> None:
        dropout = size.dropout if dropout is None else dropout
        super().__init__(dropout)
        self.vocab_size, self.lm_weight = vocab_size, lm_weight
        self.d_model = self.width = size.d_model
        self.embedding = Table(vocab_size, size.d_model)
        self.position_embedding = Table(form.num_positions, size.d_model)
        self.decoder = EncoderStack(size, form, dropout)
        if size.initialisation == "mimetic":
            widen_deviation(self, size.d_model)
            tables = self.embedding.weight, self.position_embedding.weight
            attention = self.decoder.blocks[0].self_attention
            find_by_place(attention, tables, None, normed=False, both_sides=False)

    @property
    def stack(self) -> EncoderStack:  # type: ignore[override]
        """Its blocks."""
        return self.decoder

    def drop_heads(self) -> None:
        """Nothing: its one head is the token table."""

    def states(self, batch: Batch) -> list[Float[Tensor, "rows length width"]]:
        """What enters the first layer, and what leaves each."""
        ids, segments = _read(batch)
        places = torch.arange(ids.shape[1], device=ids.device)
        positions = batch.get("positions", batch.get("targets_positions", places.expand(ids.shape)))
        x = self.dropout(self.embedding(ids) + self.position_embedding(positions))
        return [x, *self.decoder(x, _before(segments))]

    def forward(self, batch: Batch) -> Float[Tensor, "rows length vocab"]:
        """Logits of the id after each."""
        return self.states(batch)[-1] @ self.embedding.weight.T

    def pooled(self, x: Float[Tensor, "*rows width"]) -> Float[Tensor, "*rows width"]:
        """States at the extract mark as they are."""
        return x

    def answer_places(self, inputs: Int[Tensor, "rows length"]) -> Int[Tensor, "rows 1"]:
        """Where it answers for a row: at its last id, which has seen all."""
        return (inputs != 0).sum(dim=1, keepdim=True) - 1

    def beside(self, batch: Batch, states: Float[Tensor, "rows length width"]) -> Float[Tensor, ""] | float:
        """The mean cross-entropy of the ids of the inputs but the first, times its weight."""
        ids = batch["inputs"]
        total, *_, num_following = batch["counts"].amax(dim=0)
        share = total / max(1, batch["targets"].numel()) / num_following.clamp(min=1)
        logits = states[:, :-1] @ self.embedding.weight.T
        return self.lm_weight * summed(logits, ids[:, 1:], ignored=0) * share

    def loss(self, batch: Batch) -> Float[Tensor, ""]:
        """Cross-entropy of the targets over all positions, padding included, or that of output layers."""
        if self.answering is not None:
            return self.answering.loss(self, batch)
        targets = batch["targets"]
        return summed(self(batch), targets.clamp(min=0), ignored=0) / max(1, targets.numel())

    def answer(self, batch: Batch, max_length: int, num_beams: int = 1) -> Int[Tensor, "rows length"]:
        """What its output layers answer; before it has any, the likeliest id after each row's last."""
        if self.answering is not None:
            return self.answering.answer(self, batch)
        logits = self(batch).gather(
            1, self.answer_places(batch["inputs"])[..., None].expand(-1, -1, self.vocab_size)
        )
        return to_the_left(logits.argmax(-1), torch.ones_like(logits[..., 0], dtype=torch.bool))


def _read(batch: Batch) -> tuple[Tensor, Any]:
    """The ids of a batch of either kind, and their segments."""
    if "decoder_inputs" in batch:
        ids = batch["decoder_inputs"]
        return ids, batch.get("targets_segments", torch.ones_like(ids))
    ids = batch["inputs"]
    return ids, batch.get("inputs_segments", (ids != 0).long())


def _before(segments: Int[Tensor, "rows length"]) -> Bool[Tensor, "rows 1 length length"]:
    """Which keys a query sees: those of its example up to itself."""
    same = (segments[:, :, None] == segments[:, None, :])[:, None]
    return same & causal(segments.shape[1], segments.device)
