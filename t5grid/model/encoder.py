"""batch of ids -> hidden states, losses: an encoder alone, BERT or ALBERT.

A batch is what `data.encoder_batching` makes. Of `inputs` alone the rest is taken to be that of one example a
row, without targets.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Literal, cast

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from t5grid.data.place_targets import PAIR, TOKEN
from t5grid.data.special_ids import EOS, mask_id
from t5grid.model.answers import Choice
from t5grid.model.encoder_blocks import (
    EPSILON,
    Activation,
    Dense,
    Dropout,
    EncoderBlock,
    LayerNorm,
    SelfAttention,
    Table,
)
from t5grid.model.neighbours import find_by_place, widen_deviation
from t5grid.model.size import Size

Batch = Mapping[str, Tensor]
GELU: dict[str, Activation] = {"exact": F.gelu, "tanh": partial(F.gelu, approximate="tanh")}


@dataclass(frozen=True)
class Form:
    """What tells one encoder from another beside the size."""

    num_positions: int
    embedding_width: int
    shared: bool = False
    gelu: Literal["exact", "tanh"] = "exact"
    epsilon: float = EPSILON


class EncoderStack(nn.Module):
    """Blocks one after another, or one block as often."""

    recomputes = False

    def __init__(self, size: Size, form: Form, dropout: float) -> None:
        super().__init__()
        measures = (size.d_model, size.num_heads, size.d_kv, size.d_ff)
        how = (GELU[form.gelu], dropout, form.epsilon)
        number = 1 if form.shared else size.num_layers
        blocks = nn.ModuleList(EncoderBlock(*measures, *how) for _ in range(number))
        self.blocks = cast(Sequence[EncoderBlock], blocks)
        self.num_layers = size.num_layers

    def forward(
        self, x: Float[Tensor, "rows length width"], visible: Bool[Tensor, "rows 1 queries keys"] | None
    ) -> Iterator[Float[Tensor, "rows length width"]]:
        """The states after each layer."""
        again = self.recomputes and self.training
        for layer in range(self.num_layers):
            block = self.blocks[layer % len(self.blocks)]
            x = checkpoint(block, x, visible, use_reentrant=False) if again else block(x, visible)
            yield x


class MaskedLMHead(nn.Module):
    """Hidden states -> logits by the id table, through a layer and a norm of their own."""

    def __init__(self, width: int, vocab_size: int, form: Form) -> None:
        super().__init__()
        self.transform = Dense(width, form.embedding_width)
        self.norm = LayerNorm(form.embedding_width)
        self.bias = nn.Parameter(torch.zeros(vocab_size))
        self.gelu = GELU[form.gelu]

    def forward(self, x: Float[Tensor, "*rows width"], table: Tensor) -> Float[Tensor, "*rows vocab"]:
        return F.linear(self.norm(self.gelu(self.transform(x))), table, self.bias)


class StatesModel(nn.Module):
    """A model whose hidden states are read, by heads of its pre-training or by output layers (`answering`).

    A subclass also has `states(batch)`, `pooled(x)`, `answer_places(inputs)` and `drop_heads()`.
    """

    d_model: int
    width: int
    """Of its states."""
    num_states: int
    """How many of its states a task model may weigh: the last ones of `states`."""
    answers_at_end: ClassVar[bool] = False
    """Whether it answers for a row at its end, having seen all, and not at its beginning."""
    class_last: ClassVar[bool] = False
    """Whether [CLS] is there, behind all texts."""
    cuts_rows: bool = False
    """Whether rows that are too long are cut, and not refused."""
    reads_bare: bool = False
    """Whether it reads texts without the words that name them and their task."""
    named_losses: tuple[str, ...] = ()
    """What the loss of pre-training is the sum of, as the metrics file calls it."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.dropout = Dropout(dropout)
        self.answering: Any = None
        self.loss_parts: dict[str, Tensor] = {}
        """The parts of the last loss, for who logs them."""

    @property
    def row_width(self) -> int:
        """The width of what answers for a row."""
        return self.width

    def of_rows(
        self, x: Float[Tensor, "rows length width"], inputs: Int[Tensor, "rows length"]
    ) -> Float[Tensor, "rows length row_width"]:
        """What answers for a row, in each place that could; the states by default."""
        return x

    def read_features(self, choice: Choice, units: int, num_layers: int, fixed: bool = True) -> None:
        """Answer by a small task model over states, in which nothing is dropped if they are fixed."""
        from t5grid.model.features import Reader

        for module in self.modules() if fixed else ():
            if isinstance(module, Dropout):
                module.p = 0.0
            elif isinstance(module, SelfAttention):
                module.rate = 0.0
        self.answering.read_by(Reader(choice, self.width, self.num_states, units, num_layers))

    def beside(self, batch: Batch, states: Float[Tensor, "rows length width"]) -> Float[Tensor, ""] | float:
        """What is added to the loss of output layers; nothing by default."""
        return 0.0


class BlocksModel(StatesModel):
    """One whose states are those between the blocks of a stack."""

    stack: EncoderStack

    @property
    def num_states(self) -> int:  # type: ignore[override]
        """As many as it has layers."""
        return self.stack.num_layers

    def recompute(self) -> None:
        """From now on, keep the inputs of blocks in training and compute what is inside them again."""
        self.stack.recomputes = True


class EncoderModel(BlocksModel):
    """An encoder with what it is pre-trained by: a head for hidden tokens and one for pairs of segments.

    Fine-tuning sets `answering` in their place (`model.answering`).
    """

    named_losses: tuple[str, ...] = ("masked_lm_loss", "pair_loss")
    segment_types: ClassVar[int] = 2

    def __init__(self, size: Size, vocab_size: int, form: Form, dropout: float | None = None) -> None:
        dropout = size.dropout if dropout is None else dropout
        super().__init__(dropout)
        width, narrow = size.d_model, form.embedding_width
        self.vocab_size, self.d_model, self.width = vocab_size, width, width
        self.recurrence: Any = None  # what reads long texts in segments (`model.recurrence`)
        self.embedding = Table(vocab_size, narrow)
        self.position_embedding = Table(form.num_positions, narrow)
        self.type_embedding = Table(self.segment_types, narrow)
        self.embedding_norm = LayerNorm(narrow)
        self.widen = Dense(narrow, width) if form.shared else None
        self.encoder = EncoderStack(size, form, dropout)
        self.pooler = Dense(width, width)
        self.masked_lm: MaskedLMHead | None = MaskedLMHead(width, vocab_size, form)
        self.pair: Dense | None = Dense(width, 2)
        self.pair_dropout = Dropout(dropout if form.shared else 0.0)  # ALBERT's authors drop there
        if size.initialisation == "mimetic":
            widen_deviation(self, width)
            tables = self.embedding.weight, self.position_embedding.weight
            widened = None if self.widen is None else self.widen.weight
            attention = self.encoder.blocks[0].self_attention
            find_by_place(attention, tables, widened, normed=True, both_sides=True)

    @property
    def stack(self) -> EncoderStack:  # type: ignore[override]
        """Its blocks."""
        return self.encoder

    def drop_heads(self) -> None:
        """Forget what it was pre-trained by."""
        self.masked_lm = self.pair = None
        self.named_losses = ()

    def answer_places(self, inputs: Int[Tensor, "rows length"]) -> Int[Tensor, "rows 1"]:
        """Where it answers for a row: at [CLS]."""
        return torch.zeros_like(inputs[:, :1])

    def embedded(
        self, batch: Batch, words: Float[Tensor, "rows length narrow"] | None = None
    ) -> Float[Tensor, "rows length width"]:
        """Sum of the three tables' rows, normed; `words` may stand for those of the ids."""
        ids = batch["inputs"]
        types = batch["types"] if "types" in batch else types_of(ids)
        places = torch.arange(ids.shape[1], device=ids.device)
        positions = batch["positions"] if "positions" in batch else places.expand(ids.shape)
        x = self.embedding(ids) if words is None else words
        x = x + self.type_embedding(types) + self.position_embedding(positions)
        x = self.dropout(self.embedding_norm(x))
        return x if self.widen is None else self.widen(x)

    def states(self, batch: Batch) -> list[Float[Tensor, "rows length width"]]:
        """What enters the first layer, and what leaves each."""
        if self.recurrence is not None:
            return self.recurrence.states(self, batch)
        x = self.embedded(batch)
        return [x, *self.encoder(x, visible(batch))]

    def pooled(self, x: Float[Tensor, "*rows width"]) -> Float[Tensor, "*rows width"]:
        """States at [CLS] as what answers for a row."""
        return torch.tanh(self.pooler(x))

    def forward(self, batch: Batch) -> Float[Tensor, "rows asked vocab"]:
        """Logits of the tokens at `places`."""
        assert self.masked_lm is not None
        return self.masked_lm(taken(self.states(batch)[-1], batch["places"]), self.embedding.weight)

    def losses(self, batch: Batch) -> dict[str, Float[Tensor, ""]]:
        """Cross-entropy of hidden tokens, and of how segments belong together: means over the batch."""
        assert self.masked_lm is not None and self.pair is not None
        x, places = taken(self.states(batch)[-1], batch["places"]), batch["targets"].numel()
        (tokens, ids), (pairs, answers) = (of_head(x, batch, head) for head in (TOKEN, PAIR))
        logits = self.masked_lm(tokens, self.embedding.weight)
        order = self.pair(self.pair_dropout(self.pooled(pairs)))
        total, num_tokens, num_pairs, _ = batch["counts"].amax(dim=0)
        share = total / max(1, places)
        return {
            "masked_lm_loss": summed(logits, ids, ignored=0) * share / num_tokens.clamp(min=1),
            "pair_loss": summed(order, answers - 1, ignored=-1) * share / num_pairs.clamp(min=1),
        }

    def loss(self, batch: Batch) -> Float[Tensor, ""]:
        """The sum of the losses, those of pre-training or those of the tasks it is fine-tuned on."""
        if self.answering is not None:
            return self.answering.loss(self, batch)
        losses = self.losses(batch)
        self.loss_parts = {name: value.detach() for name, value in losses.items()}
        return torch.stack(list(losses.values())).sum()

    def answer(self, batch: Batch, max_length: int, num_beams: int = 1) -> Int[Tensor, "rows length"]:
        """What its output layers answer; before it has any, the likeliest tokens where [MASK] stands.

        Ids of at most `max_length` positions, ended by EOS and filled up with 0. There is nothing to search.
        """
        if self.answering is not None:
            return self.answering.answer(self, batch)
        assert self.masked_lm is not None
        logits = self.masked_lm(self.states(batch)[-1], self.embedding.weight)
        hidden = batch["inputs"] == mask_id(self.vocab_size)
        return ended(to_the_left(logits.argmax(-1), hidden), max_length)


def visible(batch: Batch) -> Bool[Tensor, "rows 1 queries keys"]:
    """Which keys a query sees: those of its own example."""
    ids = batch["inputs"]
    if "inputs_segments" not in batch:
        return (ids != 0)[:, None, None].expand(-1, 1, ids.shape[1], -1)
    segments = batch["inputs_segments"]
    return (segments[:, :, None] == segments[:, None, :])[:, None]


def types_of(inputs: Int[Tensor, "rows length"]) -> Int[Tensor, "rows length"]:
    """0 up to a row's first [SEP], then 1; for rows of one example."""
    is_mark = (inputs == EOS).long()
    return ((is_mark.cumsum(dim=1) - is_mark) > 0).long()


def taken(
    x: Float[Tensor, "rows length width"], places: Int[Tensor, "rows asked"]
) -> Float[Tensor, "rows asked width"]:
    """The states at some places of each row."""
    return x.gather(1, places[..., None].expand(-1, -1, x.shape[2]))


def of_head(
    x: Float[Tensor, "rows asked width"], batch: Batch, head: int
) -> tuple[Float[Tensor, "*chosen width"], Int[Tensor, "*chosen"]]:
    """The states that an output layer reads, and what it should answer: 0 where another one is asked.

    On a CPU the others are left out; on a GPU that would be waited for, and what is compiled has one shape.
    """
    targets = batch["targets"]
    is_asked = (targets > 0) & (batch["heads"] == head)
    if x.device.type == "cpu" and not torch.compiler.is_compiling():
        return x[is_asked], targets[is_asked]
    return x, targets * is_asked


def summed(
    logits: Float[Tensor, "*chosen classes"], answers: Int[Tensor, "*chosen"], ignored: int
) -> Float[Tensor, ""]:
    """Cross-entropy summed over all answers but those that are `ignored`."""
    classes = logits.float().reshape(-1, logits.shape[-1])
    return F.cross_entropy(classes, answers.reshape(-1), ignore_index=ignored, reduction="sum")


def to_the_left(
    ids: Int[Tensor, "rows length"], kept: Bool[Tensor, "rows length"]
) -> Int[Tensor, "rows length"]:
    """The ids kept, at the beginning of each row; 0 after them."""
    order = (~kept).long().argsort(dim=1, stable=True)
    return (ids * kept).gather(1, order)


def ended(ids: Int[Tensor, "rows length"], max_length: int) -> Int[Tensor, "rows ended"]:
    """Rows of at most `max_length` ids with EOS after the last."""
    ids = F.pad(ids[:, : max_length - 1], (0, 1))
    last = (ids != 0).sum(dim=1, keepdim=True)
    return ids.scatter(1, last, EOS)[:, : int(last.max()) + 1 if len(ids) else 0]
