"""feed -> LightningDataModule: batch t at step t, starting anywhere.

Where several processes (ranks) train together, batch t is the same as that of one process, dealt out row by
row: each rank makes the whole batch, which is a function of (seed, t), and keeps its rows of it.
"""

import signal
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from t5grid.data.rank import Batch, Rank

Feed = Callable[[int], Batch]
NUM_TRIED = 16  # batches of a run that the first shape of compiled steps holds


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


@dataclass(frozen=True)
class FewShapes:
    """Fills batches up with padding to few shapes, so that what is compiled for a shape serves many steps.

    The first shape is the largest of some batches of the run; what exceeds it anywhere is given one whose
    sides are all an eighth longer, or two eighths, and so on. Rows above `part` are a multiple of it.
    """

    sides: dict[str, tuple[int, ...]]
    part: int | None = None

    @classmethod
    def of(cls, feed: Feed, num_steps: int, rank: Rank, part: int | None = None) -> "FewShapes":
        """Of the batches of a run: a function of the feed alone, so that a resumed run has the same."""
        steps = sorted({num_steps * number // NUM_TRIED for number in range(NUM_TRIED)})
        batches = [rank.rows(feed(step))[0] for step in steps]
        return cls({name: _largest([batch[name] for batch in batches]) for name in batches[0]}, part)

    def __call__(self, batch: Batch) -> tuple[Batch, float]:
        """The batch with padding, and how many times as many target positions it then has."""
        sides = next(sides for sides in map(self._shape, count()) if _fits(batch, sides))
        padded = {name: _filled_up(array, sides[name]) for name, array in batch.items()}
        return padded, padded["targets"].size / batch["targets"].size

    def _shape(self, eighths: int) -> dict[str, tuple[int, ...]]:
        """The sides of a shape by its number."""
        longer = {
            name: [-(-side * (8 + eighths) // 8) for side in sides] for name, sides in self.sides.items()
        }
        return {name: (self._in_parts(rows), *widths) for name, (rows, *widths) in longer.items()}

    def _in_parts(self, rows: int) -> int:
        return rows if self.part is None or rows <= self.part else -(-rows // self.part) * self.part


def _largest(arrays: list[np.ndarray]) -> tuple[int, ...]:
    return tuple(map(max, zip(*(array.shape for array in arrays), strict=True)))


def _fits(batch: Batch, sides: dict[str, tuple[int, ...]]) -> bool:
    return all((np.array(array.shape) <= sides[name]).all() for name, array in batch.items())


def _filled_up(array: np.ndarray, sides: tuple[int, ...]) -> np.ndarray:
    """The array in the corner of one of zeros."""
    return np.pad(array, [(0, side - own) for side, own in zip(sides, array.shape, strict=True)])


class StepDataset(Dataset[dict[str, Tensor]]):
    """Item i is the batch of step `first_step + i`, or a rank's rows of it and their `weight`.

    Where `few_shapes` adds padding, `weight` makes up for it: a loss is a mean over all target positions.
    """

    def __init__(
        self, feed: Feed, first_step: int, num_steps: int, rank: Rank, few_shapes: FewShapes | None = None
    ) -> None:
        self.feed, self.first_step, self.num_steps, self.rank = feed, first_step, num_steps, rank
        self.few_shapes = few_shapes

    def __len__(self) -> int:
        return self.num_steps - self.first_step

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        batch, weight = self.rank.rows(self.feed(self.first_step + index))
        if self.few_shapes is not None:
            batch, longer = self.few_shapes(batch)
            weight *= longer
        tensors = {name: torch.from_numpy(array.astype(np.int64)) for name, array in batch.items()}
        is_plain = self.rank.world == 1 and self.few_shapes is None
        return tensors if is_plain else tensors | {"weight": torch.tensor(weight)}


class FeedModule(pl.LightningDataModule):
    """Serves a feed from `first_step` up to `num_steps`; from page-locked memory if `pinned`."""

    def __init__(
        self,
        feed: Feed,
        first_step: int,
        num_steps: int,
        num_workers: int = 0,
        rank: Rank | None = None,
        few_shapes: FewShapes | None = None,
        pinned: bool = False,
    ) -> None:
        super().__init__()
        self.dataset = StepDataset(feed, first_step, num_steps, rank or Rank(), few_shapes)
        self.num_workers, self.pinned = num_workers, pinned

    def train_dataloader(self) -> DataLoader[dict[str, Tensor]]:
        return DataLoader(
            self.dataset,
            batch_size=None,
            num_workers=self.num_workers,
            pin_memory=self.pinned,
            persistent_workers=self.num_workers > 0,
            worker_init_fn=_leave_signals_to_the_parent,
        )


def _leave_signals_to_the_parent(worker: int) -> None:
    """A cluster signals every process of a job; one of them is enough to have it requeued."""
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
