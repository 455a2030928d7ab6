"""layers -> rates of their own, and when each is trained: ULMFiT's fine-tuning."""

from dataclasses import dataclass
from typing import Annotated, Any

from t5grid.config.rules import Above, AtLeast, Below
from t5grid.model.costs import parameters
from t5grid.refused import Refused
from t5grid.training.finetuning import BLOCK, Episodes, Method, Names, refuse_no_blocks, stack_depths
from t5grid.training.schedules import Schedule, SlantedTriangular


@dataclass(frozen=True)
class Discriminative(Method):
    """Each layer down has its rate divided by `decay`; they are unfrozen from the top, one an episode.

    Output layers come first, the tables that rows enter by last; episodes are equally long. The schedule's
    highest rate is the peak of one that rises over a share of the steps and falls to a `ratio`th over the
    others (Howard and Ruder, 2018).
    """

    decay: Annotated[float, AtLeast(1)] = 2.6
    rising: Annotated[float, Above(0), Below(1)] = 0.1
    ratio: Annotated[float, AtLeast(1)] = 32.0
    gradual: bool = True

    def episodes(self, names: Names, num_steps: int) -> Episodes:
        depths = depths_of(names)
        count = max(depths.values()) + 1
        if not self.gradual:
            return {0: frozenset(names)}
        return {
            -(-episode * num_steps // count): frozenset(name for name in names if depths[name] <= episode)
            for episode in range(count)
        }

    def rates(self, names: Names) -> dict[str, float]:
        """The share of the schedule's rate that each parameter is trained at."""
        return {name: self.decay**-depth for name, depth in depths_of(names).items()}

    def schedule(self, schedule: Any, num_steps: int) -> Schedule:
        """The rates of the top layers."""
        return SlantedTriangular(max(map(schedule, range(num_steps))), num_steps, self.rising, self.ratio)

    def check(self, cell: Any) -> None:
        refuse_no_blocks(cell)
        option, method = (cell.labels[group] for group in ("architecture", "finetune"))
        if not hasattr(cell.architecture, "answering"):
            raise Refused(
                f"finetune={method}: architecture={option} has no output layers to start from the top"
            )
        products = cell.architecture.products(cell.size, cell.vocabulary.size, 1, 1, 1)
        count = 2 + max(stack_depths(parameters(products)).values())
        if self.gradual and (steps := cell.budget.finetune.num_steps) < count:
            named = f"budget.finetune.num_steps={steps}: finetune={method} takes at least one step for"
            raise Refused(f"{named} each of {count} layers: those of the output, the blocks and the tables")


def depths_of(names: Names) -> dict[str, int]:
    """How far each parameter is below the output layers: blocks, then the tables that rows enter by."""
    stacks = stack_depths(names)
    blocks = {name: BLOCK.match(name) for name in names}
    lowest = 1 + max(stacks.values())
    return {
        name: stacks[match[1]] - int(match[2]) if match else lowest if _enters(name) else 0
        for name, match in blocks.items()
    }


def _enters(name: str) -> bool:
    """Whether a parameter is of what rows enter by."""
    return "embedding" in name.partition(".")[0] or name.startswith("widen.")
