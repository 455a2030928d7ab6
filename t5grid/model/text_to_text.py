"""what a model that writes text does with a batch: its loss, and its answers as ids."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from t5grid.model.decoding import beam_decode, greedy
from t5grid.model.loss import loss


class TextToText(nn.Module):
    """A model whose `forward` gives logits of `batch["targets"]`, and which decodes step by step.

    A subclass also has `start_decoding(batch, max_length)` and `decode_step(tokens, state)`.
    """

    def loss(self, batch: dict[str, Tensor]) -> Float[Tensor, ""]:
        """Maximum likelihood with teacher forcing (paper, section 3.1.2): a scalar to minimise.

        On a CPU logits are computed only where there are targets; on a GPU that would be waited for, and what
        is compiled has one shape.
        """
        targets = batch["targets"]
        if targets.device.type != "cpu" or torch.compiler.is_compiling():
            return loss(self(batch), targets)
        counted = targets > 0
        return loss(self.logits_where(batch, counted), targets[counted], num_positions=targets.numel())

    def logits_where(
        self, batch: dict[str, Tensor], counted: Bool[Tensor, "rows targets"]
    ) -> Float[Tensor, "counted table"]:
        """The logits of some positions; a subclass may leave the others out from the start."""
        logits: Tensor = self(batch)
        return logits[counted]

    def recompute(self) -> None:
        """From now on, keep the inputs of blocks in training and compute what is inside them again."""
        for module in self.modules():
            if hasattr(module, "recomputes"):
                setattr(module, "recomputes", True)  # noqa: B010  # of a kind that lies above this module

    def answer(
        self, batch: dict[str, Tensor], max_length: int, num_beams: int = 1
    ) -> Int[Tensor, "rows length"]:
        """Ids of at most `max_length` positions for each row of `inputs`, ended by EOS and filled up with 0.

        Greedy (paper, section 3.1.2), or by beam search as in its final runs.
        """
        if num_beams > 1:
            return beam_decode(self, batch, max_length, num_beams)
        return greedy(self, batch, max_length)
