"""rows of ids -> hidden states, losses: XLNet.

Yang et al. (2019), without memory of earlier rows.
In pre-training a batch is what `data.encoder_batching.OrderedBatching` makes, in fine-tuning what
`EncoderBatching` does: without an `order` every id sees all of its example.
"""

from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from t5grid.data.place_targets import TOKEN
from t5grid.data.special_ids import EOS, mask_id
from t5grid.model.encoder import Batch, BlocksModel, ended, of_head, summed, to_the_left, visible
from t5grid.model.encoder_blocks import Dense, Table
from t5grid.model.neighbours import find_by_distance, widen_deviation
from t5grid.model.size import Size
from t5grid.model.xlnet_blocks import Sight, TwoStreamStack, distances, start


class Telling(nn.Module):
    """What only telling a row has: the state that the query stream starts in, and a bias a token."""

    def __init__(self, width: int, vocab_size: int) -> None:
        super().__init__()
        self.start = nn.Parameter(torch.zeros(1, width))
        self.bias = nn.Parameter(torch.zeros(vocab_size))


class XlnetModel(BlocksModel):
    """Id table, two-stream blocks, logits of the query stream by the id table.

    Fine-tuning reads the content stream alone, and answers for a row by a new layer over [CLS], its last id.
    """

    answers_at_end: ClassVar[bool] = True
    class_last: ClassVar[bool] = True

    def __init__(self, size: Size, vocab_size: int, dropout: float | None = None) -> None:
        dropout = size.dropout if dropout is None else dropout
        super().__init__(dropout)
        self.vocab_size, self.d_model, self.width = vocab_size, size.d_model, size.d_model
        self.embedding = Table(vocab_size, size.d_model)
        self.encoder = TwoStreamStack(size, dropout)
        self.telling: Telling | None = Telling(size.d_model, vocab_size)
        self.summary: Dense | None = None
        start(self)
        if size.initialisation == "mimetic":
            widen_deviation(self, size.d_model)
            find_by_distance(self.encoder.blocks[0].self_attention, self.embedding.weight)

    @property
    def stack(self) -> TwoStreamStack:  # type: ignore[override]
        """Its blocks."""
        return self.encoder

    def drop_heads(self) -> None:
        """Forget the query stream's beginning and end."""
        self.telling = None

    def summarise(self) -> None:
        """Get the layer that answers for a row, from torch's global generator."""
        self.summary = Dense(self.width, self.width)

    def answer_places(self, inputs: Int[Tensor, "rows length"]) -> Int[Tensor, "rows 1"]:
        """Where it answers for a row: at [CLS], its last id."""
        return (inputs != 0).sum(dim=1, keepdim=True) - 1

    def pooled(self, x: Float[Tensor, "*rows width"]) -> Float[Tensor, "*rows width"]:
        """States at [CLS] as what answers for a row."""
        assert self.summary is not None
        return torch.tanh(self.summary(x))

    def states(self, batch: Batch) -> list[Float[Tensor, "rows length width"]]:
        """The content stream: what enters the first layer, and what leaves each."""
        x, far = self._entering(batch)
        sight, states = content_sight(batch), [x]
        for layer in range(self.encoder.num_layers):
            states += self.encoder.layer(layer, states[-1], far, (states[-1], sight))
        return states

    def told(self, batch: Batch) -> list[Float[Tensor, "rows asked width"]]:
        """The query stream at `places`, in the same way; the content of the last layer is not computed."""
        assert self.telling is not None
        x, far = self._entering(batch)
        told = [self.dropout(self.telling.start.expand(*batch["places"].shape, -1))]
        content, query = content_sight(batch), query_sight(batch)
        for layer in range(self.encoder.num_layers - 1):
            x, after = self.encoder.layer(layer, x, far, (x, content), (told[-1], query))
            told.append(after)
        return [*told, *self.encoder.layer(self.encoder.num_layers - 1, x, far, (told[-1], query))]

    def _entering(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """What enters the first layer, and the distances in it."""
        x = self.dropout(self.embedding(batch["inputs"]))
        return x, self.dropout(distances(x.shape[1], x))

    def logits(self, x: Float[Tensor, "*rows width"]) -> Float[Tensor, "*rows vocab"]:
        """Of the ids in the places of a query stream."""
        assert self.telling is not None
        return nn.functional.linear(x, self.embedding.weight, self.telling.bias)

    def forward(self, batch: Batch) -> Float[Tensor, "rows asked vocab"]:
        """Logits of the tokens at `places`."""
        return self.logits(self.told(batch)[-1])

    def loss(self, batch: Batch) -> Float[Tensor, ""]:
        """The mean cross-entropy of the tokens told in the batch, or that of output layers."""
        if self.answering is not None:
            return self.answering.loss(self, batch)
        x, ids = of_head(self.dropout(self.told(batch)[-1]), batch, TOKEN)
        total, num_told, *_ = batch["counts"].amax(dim=0)
        share = total / max(1, batch["targets"].numel()) / num_told.clamp(min=1)
        return summed(self.logits(x), ids, ignored=0) * share

    def answer(self, batch: Batch, max_length: int, num_beams: int = 1) -> Int[Tensor, "rows length"]:
        """What its output layers answer; before it has any, the likeliest tokens where [MASK] stands.

        Each of those is told from what is not hidden.
        """
        if self.answering is not None:
            return self.answering.answer(self, batch)
        ids = batch["inputs"]
        hidden = ids == mask_id(self.vocab_size)
        everywhere = torch.arange(ids.shape[1], device=ids.device).expand(ids.shape)
        logits = self({"inputs": ids, "order": hidden.long(), "places": everywhere})
        return ended(to_the_left(logits.argmax(-1), hidden), max_length)


def content_sight(batch: Batch) -> Sight:
    """An id sees its example, of what comes in an order itself and what precedes it."""
    seen, order = visible(batch), batch.get("order")
    if order is not None:
        before = order[:, None, :] < order[:, :, None].clamp(min=1)
        itself = torch.eye(order.shape[1], dtype=torch.bool, device=order.device)
        seen = seen & (before | itself)[:, None]
    return Sight("content stream", "inputs", seen, _same_part(batch["inputs"])[:, None])


def query_sight(batch: Batch) -> Sight:
    """A place that is told sees what precedes it in the order, and so never what stands in it."""
    order, places = batch["order"], batch["places"]
    seen = visible(batch)[:, 0] & (order[:, None, :] < order[:, :, None])
    seen, same = (_of(mask, places)[:, None] for mask in (seen, _same_part(batch["inputs"])))
    return Sight("query stream", "targets", seen, same, places)


def _of(
    mask: Bool[Tensor, "rows length length"], places: Int[Tensor, "rows asked"]
) -> Bool[Tensor, "rows asked length"]:
    """The rows of a mask that some places look by."""
    return mask.gather(1, places[..., None].expand(-1, -1, mask.shape[2]))


def _same_part(inputs: Int[Tensor, "rows length"]) -> Bool[Tensor, "rows length length"]:
    """Which ids are of one part: a text with the mark that ends it, or [CLS]."""
    is_mark = (inputs == EOS).long()
    parts = is_mark.cumsum(dim=1) - is_mark
    return parts[:, :, None] == parts[:, None, :]
