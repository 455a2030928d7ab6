"""step -> learning rate, and parameters -> optimizer; torch in `build` only."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from t5grid.config.rules import Above, AtLeast, Below, Count, Probability

if TYPE_CHECKING:
    from torch.optim import Optimizer

Rate = Annotated[float, AtLeast(0)]
Beta = Annotated[float, AtLeast(0), Below(1)]


class Schedule:
    """What a schedule is: a subclass says the learning rate of each step, counted from 0."""

    axis: ClassVar[str] = "schedule"

    def __call__(self, step: int) -> float:
        raise NotImplementedError


class OptimizerSpec:
    """What an optimizer's settings are: a subclass says what it keeps of a parameter, and builds it."""

    axis: ClassVar[str] = "optimizer"

    def num_moments(self, shape: tuple[int, ...]) -> int:
        """Numbers kept for a parameter of this shape."""
        raise NotImplementedError

    def build(self, parameters: Iterable[Any], lr: float, step: int = 0) -> "Optimizer":
        """An optimizer whose step counter starts at `step` (in fine-tuning: where pre-training ended)."""
        raise NotImplementedError


@dataclass(frozen=True)
class InverseSquareRoot(Schedule):
    """scale / sqrt(max(step, num_warmup_steps)): the paper's pre-training rate (section 3.1.2).

    Constant at first, without a ramp: 0.01 for the first 10,000 steps.
    """

    num_warmup_steps: Count = 10_000
    scale: Rate = 1.0

    def __call__(self, step: int) -> float:
        return self.scale * max(step, self.num_warmup_steps) ** -0.5


@dataclass(frozen=True)
class Constant(Schedule):
    """The same rate at every step; 0.001 is the paper's for fine-tuning (section 3.1.2)."""

    rate: Rate = 0.001

    def __call__(self, step: int) -> float:
        return self.rate


@dataclass(frozen=True)
class WarmupDecay(Schedule):
    """A linear ramp up to `peak`, a plateau, and a linear way down to zero over the last fraction of steps.

    For budgets too small for the paper's rates. The first step already learns; at `num_steps` the rate is
    zero.
    """

    peak: Rate
    num_steps: Count
    num_warmup_steps: Annotated[int, AtLeast(0)] = 0
    decay_fraction: Probability = 0.0

    def __call__(self, step: int) -> float:
        rise = min(1.0, (step + 1) / self.num_warmup_steps) if self.num_warmup_steps else 1.0
        num_last = self.decay_fraction * self.num_steps
        fall = min(1.0, max(0.0, self.num_steps - step) / num_last) if num_last else 1.0
        return self.peak * min(rise, fall)


@dataclass(frozen=True)
class SlantedTriangular(Schedule):
    """A short linear way up to `peak` and a long one down to its `ratio`th (Howard and Ruder, 2018).

    It rises over `rising` of the steps, one at least.
    """

    peak: Rate
    num_steps: Count
    rising: Annotated[float, Above(0), Below(1)] = 0.1
    ratio: Annotated[float, AtLeast(1)] = 32.0

    def __call__(self, step: int) -> float:
        top = max(1, math.floor(self.rising * self.num_steps))
        down = max(1, self.num_steps - top)
        share = step / top if step < top else max(0.0, 1 - (step - top) / down)
        return self.peak * (1 + share * (self.ratio - 1)) / self.ratio


@dataclass(frozen=True)
class AdafactorSpec(OptimizerSpec):
    """Adafactor with the authors' settings."""

    decay_offset: int = 0
    decay_exponent: float = 0.8
    clipping: float = 1.0
    min_dim_size_to_factor: int = 128
    scale_by_parameter: bool = True

    def num_moments(self, shape: tuple[int, ...]) -> int:
        """Numbers kept for a parameter: of a large enough matrix its rows' and columns' means only."""
        largest, second = [1, 1, *sorted(shape)][:-3:-1]
        if len(shape) < 2 or second < self.min_dim_size_to_factor:
            return math.prod(shape)
        return math.prod(shape) // largest + math.prod(shape) // second

    def build(self, parameters: Iterable[Any], lr: float = 1e-2, step: int = 0) -> "Optimizer":
        from t5grid.training.optimizers import Adafactor

        return Adafactor(
            parameters,
            lr=lr,
            step=step,
            decay_offset=self.decay_offset,
            decay_exponent=self.decay_exponent,
            clipping=self.clipping,
            min_dim_size_to_factor=self.min_dim_size_to_factor,
            scale_by_parameter=self.scale_by_parameter,
        )


@dataclass(frozen=True)
class AdamWSpec(OptimizerSpec):
    """torch's AdamW, fused."""

    beta1: Beta = 0.9
    beta2: Beta = 0.999
    epsilon: Annotated[float, AtLeast(0)] = 1e-8
    weight_decay: Annotated[float, AtLeast(0)] = 0.0

    def num_moments(self, shape: tuple[int, ...]) -> int:
        """Numbers kept for a parameter."""
        return 2 * math.prod(shape)

    def groups(self, parameters: Iterable[Any]) -> Iterable[Any]:
        """The parameters, or groups of them, as torch is given them: as they come."""
        return parameters

    def build(self, parameters: Iterable[Any], lr: float = 1e-3, step: int = 0) -> "Optimizer":
        """An optimizer; `step` is taken for the sake of the others, AdamW counts on its own."""
        from torch.optim import AdamW

        return AdamW(
            self.groups(parameters),
            lr=lr,
            betas=(self.beta1, self.beta2),
            eps=self.epsilon,
            weight_decay=self.weight_decay,
            fused=True,
        )


@dataclass(frozen=True)
class AdamWOfMatrices(AdamWSpec):
    """AdamW whose weight decay spares biases and norms, as with BERT's authors."""

    def groups(self, parameters: Iterable[Any]) -> Iterable[Any]:
        """Groups of matrices and of vectors as they follow each other, so that all stay in their order."""
        given = list(parameters)
        grouped = given if given and isinstance(given[0], dict) else [{"params": given}]
        for group in grouped:
            for is_matrix, run in groupby(group["params"], key=lambda parameter: parameter.ndim > 1):
                yield {**group, "params": list(run), "weight_decay": self.weight_decay * is_matrix}
