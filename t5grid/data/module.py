"""feed -> Lightning: a LightningDataModule that serves batch t at step t, starting anywhere."""

from collections.abc import Callable

import numpy as np
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, Dataset

Feed = Callable[[int], dict[str, np.ndarray]]


class StepDataset(Dataset[dict[str, torch.Tensor]]):
    """Item i is the batch of step `first_step + i`."""

    def __init__(self, feed: Feed, first_step: int, num_steps: int) -> None:
        self.feed, self.first_step, self.num_steps = feed, first_step, num_steps

    def __len__(self) -> int:
        return self.num_steps - self.first_step

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        batch = self.feed(self.first_step + index)
        return {name: torch.from_numpy(array.astype(np.int64)) for name, array in batch.items()}


class FeedModule(pl.LightningDataModule):
    """Serves a feed from `first_step` up to `num_steps`."""

    def __init__(self, feed: Feed, first_step: int, num_steps: int, num_workers: int = 0) -> None:
        super().__init__()
        self.dataset = StepDataset(feed, first_step, num_steps)
        self.num_workers = num_workers

    def train_dataloader(self) -> DataLoader[dict[str, torch.Tensor]]:
        return DataLoader(
            self.dataset,
            batch_size=None,
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
        )
