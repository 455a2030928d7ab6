"""gradients -> new weights: Adafactor as the study used it."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer

from t5grid.training.sharding import gathered, is_sharded

EPSILON_SQUARE = 1e-30  # added to the squared gradient
EPSILON_SCALE = 1e-3  # the least scale of a parameter


def factored_axes(shape: torch.Size, min_dim_size_to_factor: int) -> tuple[int, int] | None:
    """The largest and the second-largest axis, or None if the second-largest is too small to factor."""
    axes = sorted(range(len(shape)), key=lambda axis: shape[axis], reverse=True)
    if len(axes) < 2 or shape[axes[1]] < min_dim_size_to_factor:
        return None
    return axes[0], axes[1]


class Adafactor(Optimizer):
    """Adafactor without momentum, with parameter scaling and update clipping: the authors' setting.

    At step t = 0, 1, ... with decay b = 1 - (t + 1)^-0.8, second moments v <- b v + (1 - b) (g^2 + 1e-30),
    update u = g / sqrt(v) divided by max(1, RMS(u) / clipping), and W <- W - lr max(RMS(W), 1e-3) u. A
    parameter whose second-largest dimension reaches `min_dim_size_to_factor` keeps only the row and column
    means of v.

    The step is counted for all parameters together, as `step` in each parameter group, so it can start
    where a pre-training ended; `decay_offset` is subtracted from it in b (0 in the study: the moments of a
    fine-tuning hardly move). A parameter without gradient stays as it is.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float = 1e-2,
        step: int = 0,
        decay_offset: int = 0,
        decay_exponent: float = 0.8,
        clipping: float = 1.0,
        min_dim_size_to_factor: int = 128,
        scale_by_parameter: bool = True,
    ) -> None:
        defaults = dict(
            lr=lr,
            step=step,
            decay_offset=decay_offset,
            decay_exponent=decay_exponent,
            clipping=clipping,
            min_dim_size_to_factor=min_dim_size_to_factor,
            scale_by_parameter=scale_by_parameter,
        )
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Update all parameters that have a gradient; the closure, if given, is called first."""
        result = None
        if closure is not None:
            with torch.enable_grad():
                result = closure()
        for group in self.param_groups:
            self._update(group)
            group["step"] += 1
        return result

    def _update(self, group: dict[str, Any]) -> None:
        parameters = [p for p in group["params"] if p.grad is not None]
        plain = [p for p in parameters if not is_sharded(p)]
        if plain:
            self._update_together(plain, [self.state[p] for p in plain], group)
        for parameter in parameters:
            if is_sharded(parameter):  # one is whole at a time; its means are over all of it
                with gathered(parameter) as copy:
                    self._update_together([copy], [self.state[parameter]], group)

    def _update_together(
        self, parameters: list[Tensor], states: list[dict[str, Any]], group: dict[str, Any]
    ) -> None:
        keep = _new_part(group)
        whole, factored = [], []
        for parameter, state in zip(parameters, states, strict=True):
            axes = factored_axes(parameter.shape, group["min_dim_size_to_factor"])
            if axes is None:
                whole.append((parameter, state))
            else:
                factored.append((parameter, state, axes))
        updates = _whole_updates(whole, keep) if whole else []
        updates += [_factored_update(*part, keep) for part in factored]
        _apply([p for p, *_ in whole] + [p for p, *_ in factored], updates, group)


def _whole_updates(parameters: list[tuple[Tensor, dict[str, Any]]], new_part: float) -> list[Tensor]:
    moments = []
    for parameter, state in parameters:
        if not state:
            state["moment"] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
        moments.append(state["moment"])
    gradients = cast(list[Tensor], [p.grad for p, _ in parameters])
    squares = list(torch._foreach_mul(gradients, gradients))
    torch._foreach_add_(squares, EPSILON_SQUARE)
    torch._foreach_lerp_(moments, squares, new_part)
    torch._foreach_copy_(squares, moments)
    torch._foreach_rsqrt_(squares)
    torch._foreach_mul_(squares, gradients)
    return squares


def _factored_update(
    parameter: Tensor, state: dict[str, Any], axes: tuple[int, int], new_part: float
) -> Tensor:
    gradient = parameter.grad
    assert gradient is not None
    square = gradient.square().add_(EPSILON_SQUARE)
    rows, columns = square.mean(axes[0], keepdim=True), square.mean(axes[1], keepdim=True)
    if not state:
        state["row_moment"], state["column_moment"] = torch.zeros_like(rows), torch.zeros_like(columns)
    rows = state["row_moment"].lerp_(rows, new_part)
    columns = state["column_moment"].lerp_(columns, new_part)
    row_factor = (rows / rows.mean(axes[1], keepdim=True)).rsqrt_()
    return square.copy_(gradient).mul_(row_factor).mul_(columns.rsqrt())


def _new_part(group: dict[str, Any]) -> float:
    """1 - b, with b rounded to 32 bits as in the original: near one that rounding can be seen."""
    step = max(group["step"] - group["decay_offset"], 0)
    decay = np.float32(1 - (step + 1.0) ** -group["decay_exponent"])
    return float(np.float32(1) - decay)


@lru_cache(maxsize=64)
def _root_sizes(sizes: tuple[int, ...], device: torch.device) -> Tensor:
    """The square roots of sizes, on the device once and for all: a copy at each step would be waited for."""
    return torch.tensor(sizes, device=device).sqrt()


def _apply(parameters: list[Tensor], updates: list[Tensor], group: dict[str, Any]) -> None:
    """Clip each update by its RMS, scale it by its parameter and subtract it; no value leaves the device."""
    sizes = _root_sizes(tuple(p.numel() for p in parameters), parameters[0].device)
    root_mean_square = torch.stack(torch._foreach_norm(updates)) / sizes
    factors = -group["lr"] / (root_mean_square / group["clipping"]).clamp(min=1.0)
    if group["scale_by_parameter"]:
        scales = torch.stack(torch._foreach_norm(parameters)) / sizes
        factors = factors * scales.clamp(min=EPSILON_SCALE)
    torch._foreach_mul_(updates, list(factors.unbind()))
    torch._foreach_add_(parameters, updates)
