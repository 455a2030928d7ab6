"""logits + targets -> loss: maximum likelihood as the study trained (section 3.1.2)."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor


class _CrossEntropy(torch.autograd.Function):
    """Cross-entropy + z_loss * (log Z)^2 of each position, in one table-sized buffer for both directions.

    Composed of torch's functions it takes four, and on a CPU most of the loss's time goes into fetching
    memory. The backward pass turns the probabilities into the gradient in place, so it runs once.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, ids: Tensor, z_loss: float) -> Tensor:
        probabilities = logits.softmax(dim=-1)
        log_z = logits.amax(-1, keepdim=True) - probabilities.amax(-1, keepdim=True).log()
        ctx.save_for_backward(probabilities, ids, log_z)
        ctx.z_loss = z_loss
        return (log_z - logits.gather(-1, ids) + z_loss * log_z.square())[..., 0]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        probabilities, ids, log_z = ctx.saved_tensors
        gradient = gradient[..., None]
        result = probabilities.mul_(gradient * (1 + 2 * ctx.z_loss * log_z))
        return result.scatter_add_(-1, ids, -gradient), None, None


def loss(
    logits: Float[Tensor, "*positions table"],
    targets: Int[Tensor, "*positions"],
    z_loss: float = 1e-4,
    per_token: bool = False,
    num_positions: int | None = None,
) -> Float[Tensor, ""]:
    """Cross-entropy + z_loss * (log Z)^2, summed over targets above 0 and divided by the number of positions.

    The authors divide by all target positions, padding included; `per_token` divides by those above 0. They
    use the z term in training only: give z_loss=0 for an evaluation. Negative targets are positions without
    loss. `num_positions` is that of the whole batch, where only some of its positions are given.
    """
    counted = targets > 0
    losses = _CrossEntropy.apply(logits.float(), targets.clamp(min=0)[..., None], z_loss)
    number = counted.sum().clamp(min=1) if per_token else num_positions or targets.numel()
    return (losses * counted).sum() / number
