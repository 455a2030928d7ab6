"""joined rows of ids -> logits: the language model and the prefix LM, one stack.

A pair is one row `inputs EOS targets EOS`, read one position later with 0 in front; what tells the two models
apart is a mask (paper, section 3.2.1).
"""

from dataclasses import dataclass
from typing import Any, Self

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from t5grid.model.size import Size, table_rows
from t5grid.model.transformer import (
    Batch,
    BlockMemory,
    Embedding,
    OwnSoftmax,
    Stack,
    TiedSoftmax,
    Transformer,
    additive,
    causal,
    same_segment,
)


def visible_after_prefix(prefix: Int[Tensor, "rows length"]) -> Bool[Tensor, "rows 1 length length"]:
    """Which keys a query sees: in the prefix all of it, elsewhere itself and all that is before."""
    place = torch.arange(prefix.shape[1], device=prefix.device).masked_fill(prefix != 0, 0)
    return (place[:, :, None] >= place[:, None, :])[:, None]


def left_padded(inputs: Int[Tensor, "rows inputs"]) -> tuple[Int[Tensor, "rows prompt"], Tensor]:
    """Prompts that all end in the last column, the start id 0 in front, and the number of ids of each.

    [[5, 6, 1], [7, 1, 0]] -> [[0, 5, 6, 1], [0, 0, 7, 1]], [4, 3]
    """
    lengths = (inputs != 0).sum(dim=1)
    width = int(lengths.max()) if len(inputs) else 0
    column = torch.arange(width + 1, device=inputs.device) - (width + 1 - lengths)[:, None]
    shifted = inputs.gather(1, column.clamp(min=0)) if width else inputs.new_zeros(len(inputs), 1)
    return shifted * (column >= 0), lengths + 1


@dataclass
class PromptState:
    """Where decoding stands: each block's memory, the mask over left-padded prompts, the first logits.

    `first` is None once the first step has taken it.
    """

    blocks: list[BlockMemory]
    mask: Float[Tensor, "rows 1 1 room"]
    first: Float[Tensor, "rows vocab"] | None

    def select(self, rows: Int[Tensor, " selected"]) -> Self:
        blocks = [block.select(rows) for block in self.blocks]
        first = None if self.first is None else self.first[rows]
        return type(self)(blocks, self.mask[rows], first)


class DecoderOnly(Transformer):
    """A stack without encoder. Batches hold `decoder_inputs` and, if packed, `targets_segments`.

    With `sees_prefix`, `prefix` (1 on the inputs and on the place that reads their end) is seen in full and
    the buckets of the position bias are bidirectional everywhere, as in the authors' runs.
    """

    def __init__(
        self, size: Size, vocab_size: int, dropout: float | None = None, sees_prefix: bool = False
    ) -> None:
        super().__init__()
        dropout = size.dropout if dropout is None else dropout
        num_rows = table_rows(vocab_size)
        self.vocab_size, self.sees_prefix = vocab_size, sees_prefix
        self.embedding = Embedding(num_rows, size.d_model)
        self.decoder = Stack(size, size.num_layers, dropout, one_sided=not sees_prefix)
        self.softmax = TiedSoftmax() if size.tied else OwnSoftmax(num_rows, size.d_model)

    def _hidden(self, batch: Batch) -> Float[Tensor, "rows length width"]:
        ids = batch["decoder_inputs"]
        if self.recurrence is not None:
            return self.recurrence.hidden(self, ids, batch.get("targets_segments", torch.ones_like(ids)))
        if self.sees_prefix:
            visible = visible_after_prefix(batch["prefix"])
        else:
            visible = causal(ids.shape[1], ids.device)
        if "targets_segments" in batch:
            visible = visible & same_segment(batch["targets_segments"], batch["targets_segments"])
        return self.decoder(self.embedding(ids), additive(visible))

    def start_decoding(self, batch: Batch, max_length: int) -> Any:
        """Read `inputs` (rows of one example each, with their end marks); room for max_length targets.

        A PromptState, or that of the recurrence.
        """
        if self.recurrence is not None:
            return self.recurrence.start(batch["inputs"])
        prompt, lengths = left_padded(batch["inputs"])
        rows, width = prompt.shape
        room = width + max_length
        real = torch.arange(room, device=prompt.device) >= (width - lengths)[:, None]
        mask = additive(real)[:, None, None]
        own = mask[..., :width]
        if not self.sees_prefix:
            own = own + additive(causal(width, prompt.device))
        x = self.embedding(prompt)
        like = self.decoder.blocks[0].self_attention.key(x[:, :1])
        blocks = self.decoder.remember(rows, room, like)
        hidden = self.decoder(x, own, memory=blocks)
        return PromptState(blocks, mask, self._logits(hidden))

    def decode_step(self, tokens: Int[Tensor, "rows 1"], state: Any) -> Float[Tensor, "rows vocab"]:
        """Append an id to each row, in place; logits of the id after it.

        The first call answers from the prompt, whatever is given: a decoder is started by its inputs.
        """
        if self.recurrence is not None:
            return self._logits(self.recurrence.next(self, tokens, state))
        if state.first is not None:
            first, state.first = state.first, None
            return first
        end = state.blocks[0].own.length + 1
        hidden = self.decoder(self.embedding(tokens), state.mask[..., :end], memory=state.blocks)
        return self._logits(hidden)

    def _logits(self, hidden: Float[Tensor, "rows length width"]) -> Float[Tensor, "rows vocab"]:
        return self.softmax(hidden[:, -1:], self.embedding.weight)[:, 0, : self.vocab_size]
