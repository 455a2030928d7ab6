"""global step -> trainable set: the fine-tuning methods (paper, section 3.5.1).

A method is a pure function of the step; the optimizer owns all parameters from the start.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class AllParameters:
    """Every parameter is trained, from the first step to the last."""

    def trainable(self, name: str, step: int, num_steps: int) -> bool:
        """Whether the parameter `name` is updated at `step`."""
        return True
