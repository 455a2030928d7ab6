"""batch of ids -> logits: the encoder-decoder, and the stack other architectures reuse.

A batch is a dict of id tensors in which 0 is padding. What a position may see is a mask that the model
builds once a batch and adds to the position bias; a stack knows nothing of architectures.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self, cast

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from t5grid.model.initialisation import make_mimetic
from t5grid.model.layers import (
    MASKED,
    Attention,
    FeedForward,
    GatedFeedForward,
    KeyValues,
    LengthDropout,
    RelativePositionBias,
    RMSNorm,
    product,
)
from t5grid.model.size import Size, table_rows
from t5grid.model.text_to_text import TextToText

Batch = dict[str, Tensor]
FEED_FORWARDS = {"relu": FeedForward, "gated_gelu": GatedFeedForward}


def additive(visible: Bool[Tensor, "..."]) -> Float[Tensor, "..."]:
    """0 where visible, -1e9 elsewhere: the form in which a mask is added to attention logits."""
    return torch.zeros(visible.shape, device=visible.device).masked_fill_(~visible, MASKED)


def causal(length: int, device: torch.device, first_query: int = 0) -> Bool[Tensor, "queries keys"]:
    """Which of `length` keys the queries from first_query on may see: themselves and what is before."""
    positions = torch.arange(length, device=device)
    return positions <= positions[first_query:, None]


def same_segment(
    queries: Int[Tensor, "rows queries"], keys: Int[Tensor, "rows keys"]
) -> Bool[Tensor, "rows 1 queries keys"]:
    """True where query and key carry the same segment number (padding, 0, sees padding only)."""
    return (queries[:, :, None] == keys[:, None, :])[:, None]


def real(ids: Int[Tensor, "rows keys"]) -> Bool[Tensor, "rows 1 1 keys"]:
    """True where the key is not padding, for rows that hold one example."""
    return (ids != 0)[:, None, None]


@dataclass
class BlockMemory:
    """What one block keeps while decoding: its own KeyValues, or what is like them, and the encoder's."""

    own: Any
    encoded: tuple[Tensor, Tensor] | None

    def select(self, rows: Int[Tensor, " selected"]) -> Self:
        encoded = None if self.encoded is None else (self.encoded[0][rows], self.encoded[1][rows])
        return type(self)(self.own.select(rows), encoded)


class Block(nn.Module):
    """x + f(norm(x)) for self-attention, attention to the encoder if there is one, and feed-forward."""

    adapter: nn.Module | None

    def __init__(self, size: Size, dropout: float, attends_encoder: bool) -> None:
        super().__init__()
        attention = (size.d_model, size.num_heads, size.d_kv, dropout)
        self.self_attention_norm = RMSNorm(size.d_model)
        self.self_attention = Attention(*attention)
        if attends_encoder:
            self.cross_attention_norm = RMSNorm(size.d_model)
            self.cross_attention = Attention(*attention)
        self.feed_forward_norm = RMSNorm(size.d_model)
        self.feed_forward = FEED_FORWARDS[size.feed_forward](size.d_model, size.d_ff, dropout)
        self.register_module("adapter", None)  # a fine-tuning method may set one
        self.dropout = LengthDropout(dropout)

    def forward(
        self,
        x: Float[Tensor, "rows length width"],
        bias: Tensor,
        encoded: Float[Tensor, "rows inputs width"] | None = None,
        encoded_bias: Tensor | None = None,
        memory: BlockMemory | None = None,
    ) -> Float[Tensor, "rows length width"]:
        """With `memory`, x continues what is remembered, the encoder's keys and values included."""
        normed = self.self_attention_norm(x)
        own = self.self_attention.key_values(normed)
        if memory is not None:
            own = memory.own.append(*own)
        x = x + self.dropout(self.self_attention(normed, *own, bias))
        others = None if memory is None else memory.encoded
        if memory is None and encoded is not None:
            others = self.cross_attention.key_values(encoded)
        if others is not None:
            x = x + self.dropout(self.cross_attention(self.cross_attention_norm(x), *others, encoded_bias))
        x = x + self.dropout(self.feed_forward(self.feed_forward_norm(x)))
        return x if self.adapter is None else self.adapter(x)


class Stack(nn.Module):
    """Dropout, blocks, norm, dropout; one position bias for all blocks.

    `one_sided` chooses the buckets of the position bias only; what is visible is the mask's affair. One that
    `recomputes` keeps the inputs of its blocks for the backward pass, and nothing inside them.
    """

    recomputes = False

    def __init__(
        self, size: Size, num_layers: int, dropout: float, one_sided: bool, attends_encoder: bool = False
    ) -> None:
        super().__init__()
        self.position_bias = RelativePositionBias(size.num_heads, bidirectional=not one_sided)
        blocks = nn.ModuleList(Block(size, dropout, attends_encoder) for _ in range(num_layers))
        self.blocks = cast(Sequence[Block], blocks)
        self.norm = RMSNorm(size.d_model)
        self.dropout = LengthDropout(dropout)
        if size.initialisation == "mimetic":
            to_encoder = [block.cross_attention for block in self.blocks] if attends_encoder else []
            make_mimetic(self.position_bias, to_encoder)

    def forward(
        self,
        x: Float[Tensor, "rows length width"],
        mask: Float[Tensor, "#rows 1 #queries keys"] | None,
        encoded: Float[Tensor, "rows inputs width"] | None = None,
        encoded_mask: Float[Tensor, "rows 1 #queries inputs"] | None = None,
        memory: list[BlockMemory] | None = None,
        bidirectional: bool | None = None,
    ) -> Float[Tensor, "rows length width"]:
        """`bidirectional` None means the stack's own buckets."""
        start = memory[0].own.length if memory else 0
        bias = self.position_bias(x.shape[1], start + x.shape[1], start, bidirectional)
        bias = bias if mask is None else bias + mask
        x = self.dropout(x)
        for i, block in enumerate(self.blocks):
            given = (x, bias, encoded, encoded_mask, memory[i] if memory else None)
            again = self.recomputes and self.training
            x = checkpoint(block, *given, use_reentrant=False) if again else block(*given)
        return self.dropout(self.norm(x))

    def remember(
        self, rows: int, room: int, like: Tensor, encoded: Float[Tensor, "rows inputs width"] | None = None
    ) -> list[BlockMemory]:
        """Empty memory for `room` positions, of the dtype and device of `like`."""
        memories = []
        for block in self.blocks:
            attention = block.self_attention
            space = like.new_empty(2, rows, attention.num_heads, room, attention.d_kv)
            others = None
            if encoded is not None:  # read at every step, so they are laid out head by head
                keys, values = block.cross_attention.key_values(encoded)
                others = (keys.contiguous(), values.contiguous())
            memories.append(BlockMemory(KeyValues(space[0], space[1], 0), others))
        return memories


class Embedding(nn.Module):
    """The id table, [rows, width], standard normal at first; also the softmax matrix of a tied model."""

    def __init__(self, num_rows: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(num_rows, width))

    def forward(self, ids: Int[Tensor, "rows length"]) -> Float[Tensor, "rows length width"]:
        return F.embedding(ids, self.weight)


class TiedSoftmax(nn.Module):
    """Logits by the id table itself, of hidden states times width^-0.5."""

    head: nn.Module | None

    def __init__(self) -> None:
        super().__init__()
        self.register_module("head", None)  # a fine-tuning method may set one

    def forward(
        self, x: Float[Tensor, "rows length width"], table: Tensor
    ) -> Float[Tensor, "rows length table"]:
        x = x if self.head is None else self.head(x)
        return product(x * table.shape[1] ** -0.5, table)


class OwnSoftmax(nn.Module):
    """Logits by a matrix of their own, without the factor ("v1.1" models)."""

    head: nn.Module | None

    def __init__(self, num_rows: int, width: int) -> None:
        super().__init__()
        std = width**-0.5
        self.register_module("head", None)  # a fine-tuning method may set one
        self.weight = nn.Parameter(
            nn.init.trunc_normal_(torch.empty(num_rows, width), std=std, a=-2 * std, b=2 * std)
        )

    def forward(
        self, x: Float[Tensor, "rows length width"], table: Tensor
    ) -> Float[Tensor, "rows length table"]:
        return product(x if self.head is None else self.head(x), self.weight)


@dataclass
class DecodingState:
    """Where decoding stands: the memory of every decoder block, and which inputs may be seen."""

    blocks: list[BlockMemory]
    inputs_mask: Float[Tensor, "rows 1 1 inputs"]

    def select(self, rows: Int[Tensor, " selected"]) -> Self:
        return type(self)([block.select(rows) for block in self.blocks], self.inputs_mask[rows])


class Transformer(TextToText):
    """A stack that ends in hidden states of the targets, and a softmax over its ids."""

    embedding: Embedding
    softmax: TiedSoftmax | OwnSoftmax
    recurrence: Any
    """What reads long texts in segments (`model.recurrence`), or None."""

    def __init__(self) -> None:
        super().__init__()
        self.register_module("recurrence", None)

    def _hidden(self, batch: Batch) -> Float[Tensor, "rows targets width"]:
        """The states that logits are made of."""
        raise NotImplementedError

    def forward(self, batch: Batch) -> Float[Tensor, "rows targets table"]:
        return self.softmax(self._hidden(batch), self.embedding.weight)

    def logits_where(
        self, batch: Batch, counted: Bool[Tensor, "rows targets"]
    ) -> Float[Tensor, "counted table"]:
        """The logits of some positions."""
        return self.softmax(self._hidden(batch)[counted][None], self.embedding.weight)[0]


class EncoderDecoderModel(Transformer):
    """The paper's baseline (section 3.1.1): an encoder that sees all, a decoder that sees what is before.

    Its tables have rows up to a multiple of 128, or `num_rows`.

    Batches hold `inputs` and `decoder_inputs` (targets one position later, starting with 0); packed ones also
    `inputs_segments` and `targets_segments`, and attention then stays within equal numbers.
    """

    def __init__(
        self, size: Size, vocab_size: int, dropout: float | None = None, num_rows: int | None = None
    ) -> None:
        super().__init__()
        dropout = size.dropout if dropout is None else dropout
        num_rows = table_rows(vocab_size) if num_rows is None else num_rows
        self.vocab_size = vocab_size
        self.embedding = Embedding(num_rows, size.d_model)
        self.encoder = self._encoder(size, dropout)
        self.decoder = Stack(size, size.decoder_layers, dropout, one_sided=True, attends_encoder=True)
        self.softmax = TiedSoftmax() if size.tied else OwnSoftmax(num_rows, size.d_model)

    def _encoder(self, size: Size, dropout: float) -> Stack | None:
        return Stack(size, size.num_layers, dropout, one_sided=False)

    def keep_rows(self, num_rows: int) -> None:
        """Drop the rows above `num_rows`, which then get no probability; before weights are loaded."""
        for table in (self.embedding, self.softmax):
            if isinstance(table, Embedding | OwnSoftmax):
                table.weight = nn.Parameter(table.weight.detach()[:num_rows].clone())

    def read(
        self, x: Float[Tensor, "rows inputs width"], mask: Float[Tensor, "rows 1 #queries inputs"]
    ) -> Float[Tensor, "rows inputs width"]:
        """Embedded inputs as the decoder sees them."""
        assert self.encoder is not None
        return self.encoder(x, mask)

    def _hidden(self, batch: Batch) -> Float[Tensor, "rows targets width"]:
        decoder_inputs = batch["decoder_inputs"]
        own = causal(decoder_inputs.shape[1], decoder_inputs.device)
        encoded, seen = self.encode(batch["inputs"], batch.get("inputs_segments"))
        if "inputs_segments" in batch:
            outside = batch["targets_segments"]
            cross_mask = additive(same_segment(outside, seen))
            own = own & same_segment(outside, outside)
        else:
            cross_mask = additive(real(seen))
        return self.decoder(self.embedding(decoder_inputs), additive(own), encoded, cross_mask)

    def encode(
        self, inputs: Int[Tensor, "rows inputs"], examples: Int[Tensor, "rows inputs"] | None = None
    ) -> tuple[Float[Tensor, "rows encoded width"], Int[Tensor, "rows encoded"]]:
        """The encoder's output, and numbers above 0 where there is something: `examples`, or else the ids."""
        if self.recurrence is not None:
            return self.recurrence.read(self, inputs, examples)
        mask = additive(real(inputs) if examples is None else same_segment(examples, examples))
        return self.read(self.embedding(inputs), mask), inputs if examples is None else examples

    def start_decoding(self, batch: Batch, max_length: int) -> DecodingState:
        """Encode `inputs` (rows of one example each) and make room for max_length target positions."""
        inputs = batch["inputs"]
        encoded, seen = self.encode(inputs)
        keys_like = self.decoder.blocks[0].self_attention.key(encoded[:, :1]) if len(inputs) else encoded
        blocks = self.decoder.remember(len(inputs), max_length, keys_like, encoded)
        return DecodingState(blocks, additive(real(seen)))

    def decode_step(
        self, tokens: Int[Tensor, "rows new"], state: DecodingState
    ) -> Float[Tensor, "rows vocab"]:
        """Append ids to the decoder's input (the first is 0), in place; logits of the id after them."""
        start = state.blocks[0].own.length
        mask = (
            additive(causal(start + tokens.shape[1], tokens.device, start)) if tokens.shape[1] > 1 else None
        )
        hidden = self.decoder(self.embedding(tokens), mask, None, state.inputs_mask, state.blocks)
        return self.softmax(hidden[:, -1:], self.embedding.weight)[:, 0, : self.vocab_size]


class SharedEncoderDecoderModel(EncoderDecoderModel):
    """One stack that encodes and decodes (paper, section 3.2.2), its cross-attention only in decoding.

    The position table is shared too: encoding reads it through bidirectional buckets, decoding through
    one-sided ones (the authors' setting).
    """

    def _encoder(self, size: Size, dropout: float) -> None:
        return None

    def read(
        self, x: Float[Tensor, "rows inputs width"], mask: Float[Tensor, "rows 1 #queries inputs"]
    ) -> Float[Tensor, "rows inputs width"]:
        return self.decoder(x, mask, bidirectional=True)
