"""several models + a tie -> one loss: soft parameter sharing (Duong et al., 2015)."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

Tie = Literal["parameters", "predictions"]
PARTNER = "partner"
"""The array of a joint batch that says how many places further on the model is that one is compared with."""


class SideBySide(nn.Module):
    """Models that each learn from their own part of a batch, kept alike by a penalty.

    The loss is the sum of theirs, and `strength` times how far apart they are: by their parameters, the sum
    over the models of the squared distance to the mean of all; by their predictions, the sum over the models
    of the Kullback-Leibler divergence, a target position, of what another one predicts from the same inputs.
    With `modules` only parameters below these are tied. At strength 0 each model learns bit for bit as alone:
    its dropout is drawn as if it were.

        {"0.inputs": ..., "0.targets": ..., "1.inputs": ..., "partner": [1]} -> the loss of two models
    """

    def __init__(
        self,
        models: Sequence[Any],
        names: Sequence[str],
        strength: float,
        tie: Tie = "parameters",
        modules: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        self.models: Any = nn.ModuleList(models)
        self.names, self.strength, self.tie = names, strength, tie
        self.tied = [name for name, _ in models[0].named_parameters() if is_below(name, modules)]
        self.named_losses = (*names, "apart") if strength else tuple(names)
        self.loss_parts: dict[str, Tensor] = {}

    def loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """A scalar to minimise, of a joint batch."""
        parts = [part_of(batch, number) for number in range(len(self.models))]
        losses = []
        for model, part in zip(self.models, parts, strict=True):
            with torch.random.fork_rng():
                losses.append(model.loss(part))
        self.loss_parts = {name: loss.detach() for name, loss in zip(self.names, losses, strict=True)}
        total = torch.stack(losses).sum()
        if not self.strength:
            return total
        apart = self._distance() if self.tie == "parameters" else self._divergence(parts, batch[PARTNER])
        self.loss_parts["apart"] = apart.detach()
        return total + self.strength * apart

    def recompute(self) -> None:
        """Have every model keep the inputs of its blocks only."""
        for model in self.models:
            model.recompute()

    def _distance(self) -> Tensor:
        """Squares of all tied parameters' distances to their mean."""
        by_name = [dict(model.named_parameters()) for model in self.models]
        stacked = (torch.stack([parameters[name] for parameters in by_name]) for name in self.tied)
        return torch.stack([(each - each.mean(dim=0)).square().sum() for each in stacked]).sum()

    def _divergence(self, parts: Sequence[Mapping[str, Tensor]], partner: Tensor) -> Tensor:
        """KL(own || other) of the predictions from each model's inputs."""
        total = []
        for number, part in enumerate(parts):
            other = self.models[(number + int(partner)) % len(parts)]
            own, others = (model(part).float().log_softmax(dim=-1) for model in (self.models[number], other))
            divergence = (own.exp() * (own - others)).sum(dim=-1)
            total.append((divergence * (part["targets"] > 0)).sum() / part["targets"].numel())
        return torch.stack(total).sum()


def is_below(name: str, modules: Sequence[str] | None) -> bool:
    """Whether a parameter is of one of the modules; of any where none is named."""
    return modules is None or any(name.startswith(f"{module}.") for module in modules)


def part_of(batch: Mapping[str, Any], number: int) -> dict[str, Any]:
    """The arrays of a joint batch that are one model's."""
    prefix = f"{number}."
    return {name.removeprefix(prefix): array for name, array in batch.items() if name.startswith(prefix)}


def prefix_of(number: int) -> str:
    """What the names of a model's parameters begin with among those of all."""
    return f"models.{number}."
