"""rows of ids -> vectors, loss: CBOW.

A vector is that of its id wherever it stands: what is left and right of it changes nothing.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from t5grid.model.encoder import Batch, summed, taken
from t5grid.model.encoder_blocks import Table
from t5grid.model.recurrent_model import RunningTextModel, ends_of, ids_of
from t5grid.model.size import Size


class CbowModel(RunningTextModel):
    """A table of vectors that are read, and one (`softmax`) of vectors that their mean is compared with."""

    def __init__(self, size: Size, vocab_size: int, window: int, dropout: float | None = None) -> None:
        super().__init__(size, vocab_size, dropout)
        self.width, self.num_states, self.window = size.d_model, 1, window
        self.softmax: Table | None = Table(vocab_size, size.d_model)

    def drop_heads(self) -> None:
        """Forget the vectors that are predicted."""
        self.softmax = None

    def states(self, batch: Batch) -> list[Float[Tensor, "rows length width"]]:
        """The vectors, as what enters and as the one layer."""
        x = self.embedding(ids_of(batch))
        return [x, x]

    def context(self, ids: Int[Tensor, "rows length"]) -> Float[Tensor, "rows length width"]:
        """The mean of the vectors around each place, up to `window` on each side, its own left out."""
        real = (ids != 0)[..., None]
        vectors = self.embedding(ids) * real
        number = _around(real.to(vectors.dtype), self.window).clamp(min=1)
        return self.dropout(_around(vectors, self.window) / number)

    def forward(self, batch: Batch) -> Float[Tensor, "rows length vocab"]:
        """Logits of the id in each place, from those around it."""
        assert self.softmax is not None
        return self.context(ids_of(batch)) @ self.softmax.weight.T

    def following(self, inputs: Int[Tensor, "rows length"]) -> Float[Tensor, "rows 1 vocab"]:
        assert self.softmax is not None
        after = self.context(F.pad(inputs, (0, 1)))
        return taken(after, ends_of(inputs) + 1) @ self.softmax.weight.T

    def loss(self, batch: Batch) -> Float[Tensor, ""]:
        """Cross-entropy of every id over all positions, padding included, or that of output layers."""
        if self.answering is not None:
            return self.answering.loss(self, batch)
        ids = ids_of(batch)
        return summed(self(batch), ids, ignored=0) / max(1, ids.numel())


def _around(x: Float[Tensor, "rows length width"], window: int) -> Float[Tensor, "rows length width"]:
    """The sum over up to `window` places on each side of a place."""
    padded, length = F.pad(x, (0, 0, window, window)), x.shape[1]
    shifts = [padded[:, at : at + length] for at in range(2 * window + 1) if at != window]
    return torch.stack(shifts).sum(dim=0)
