"""runtime -> which of a stage's processes this is, and its rows of a batch."""

import os
from dataclasses import dataclass

import numpy as np

from t5grid.config.schema import Runtime

Batch = dict[str, np.ndarray]


@dataclass(frozen=True)
class Rank:
    """One of the `world` processes that run a stage together; the first leads: it alone writes files."""

    number: int = 0
    world: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes."""
        return self.number == 0

    def rows(self, batch: Batch) -> tuple[Batch, float]:
        """Rows number, number + world, ... of a batch, and their weight in the mean over ranks.

        The mean over ranks of weight x (mean over a rank's positions) is the mean over the whole batch. A
        rank for which no row is left gets the first one, with weight 0.
        """
        if self.world == 1:
            return batch, 1.0
        total = len(next(iter(batch.values())))
        mine = np.arange(self.number, total, self.world)
        rows = mine if len(mine) else np.arange(1)
        return {name: array[rows] for name, array in batch.items()}, self.world * len(mine) / total


def rank_of(runtime: Runtime) -> Rank:
    """Which of the stage's processes this is."""
    world = runtime.num_nodes * runtime.num_devices
    if world == 1:
        return Rank()
    return Rank(int(os.environ["NODE_RANK"]) * runtime.num_devices + int(os.environ["LOCAL_RANK"]), world)
