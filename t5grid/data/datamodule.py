"""feed -> LightningDataModule: batch t at step t, starting anywhere.

Where several processes (ranks) train together, batch t is the same as that of one process, dealt out row by
row: each rank makes the whole batch, which is a function of (seed, t), and keeps its rows of it.
"""

import signal
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

Batch = dict[str, np.ndarray]
Feed = Callable[[int], Batch]


@dataclass(frozen=True)
class Rank:
    """One of the `world` processes that train a stage together; the first leads: it alone writes files."""

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
        total = len(next(iter(batch.values())))
        mine = np.arange(self.number, total, self.world)
        rows = mine if len(mine) else np.arange(1)
        return {name: array[rows] for name, array in batch.items()}, self.world * len(mine) / total


def micro_batches(batch: dict[str, Tensor], num_rows: int | None) -> list[dict[str, Tensor]]:
    """A batch in parts of at most `num_rows` rows, each with the weight of its loss in the batch's.

    The sum of weight x (mean over a part's positions) is the mean over the whole batch.
    """
    weight = batch.get("weight", torch.tensor(1.0))
    rows = {name: tensor for name, tensor in batch.items() if name != "weight"}
    total = len(next(iter(rows.values())))
    if num_rows is None or total <= num_rows:
        return [batch]
    parts = [
        dict(zip(rows, part, strict=True))
        for part in zip(*(tensor.split(num_rows) for tensor in rows.values()), strict=True)
    ]
    return [part | {"weight": weight * len(next(iter(part.values()))) / total} for part in parts]


class StepDataset(Dataset[dict[str, Tensor]]):
    """Item i is the batch of step `first_step + i`, or a rank's rows of it and their `weight`."""

    def __init__(self, feed: Feed, first_step: int, num_steps: int, rank: Rank) -> None:
        self.feed, self.first_step, self.num_steps, self.rank = feed, first_step, num_steps, rank

    def __len__(self) -> int:
        return self.num_steps - self.first_step

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        batch, weight = self.rank.rows(self.feed(self.first_step + index))
        tensors = {name: torch.from_numpy(array.astype(np.int64)) for name, array in batch.items()}
        return tensors if self.rank.world == 1 else tensors | {"weight": torch.tensor(weight)}


class FeedModule(pl.LightningDataModule):
    """Serves a feed from `first_step` up to `num_steps`."""

    def __init__(
        self, feed: Feed, first_step: int, num_steps: int, num_workers: int = 0, rank: Rank | None = None
    ) -> None:
        super().__init__()
        self.dataset = StepDataset(feed, first_step, num_steps, rank or Rank())
        self.num_workers = num_workers

    def train_dataloader(self) -> DataLoader[dict[str, Tensor]]:
        return DataLoader(
            self.dataset,
            batch_size=None,
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
            worker_init_fn=_leave_signals_to_the_parent,
        )


def _leave_signals_to_the_parent(worker: int) -> None:
    """A cluster signals every process of a job; one of them is enough to have it requeued."""
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
