"""batch -> loss -> step: the one LightningModule."""

from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from t5grid.data.stream import key_of
from t5grid.training.sharding import shard

Schedule = Callable[[int], float]


class Learner(pl.LightningModule):
    """Model, loss, optimizer and schedule; `first_step` is where a resumed run goes on."""

    def __init__(
        self, model: Any, optimizer: Any, schedule: Schedule, seed: int, first_step: int = 0
    ) -> None:
        super().__init__()
        self.model = model
        self.optimizer_spec, self.schedule = optimizer, schedule
        self.seed, self.first_step = seed, first_step
        self.last_loss = torch.tensor(float("nan"))

    @property
    def step(self) -> int:
        """Steps taken since the very start of the stage, before any resume."""
        return self.first_step + self.trainer.global_step

    def configure_model(self) -> None:
        """Keep only this rank's part of the model, where it is spread over the ranks."""
        if self.device_mesh is not None:
            shard(self.model, self.device_mesh["data_parallel"])

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Dropout of step t is a function of (seed, t), so that a resumed run draws the same."""
        rank = (self.global_rank,) if self.trainer.world_size > 1 else ()
        torch.manual_seed(key_of(self.seed, "dropout", self.step, *rank) >> 1)

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """The model's own loss of the batch, a scalar.

        A rank's part of a batch comes with its weight: the mean over ranks is the loss of the whole batch.
        """
        loss: Tensor = self.model.loss(batch)
        if "weight" in batch:
            loss = loss * batch["weight"]
            self.last_loss = self.trainer.strategy.reduce(loss.detach().clone(), reduce_op="mean")
        else:
            self.last_loss = loss.detach()
        return loss

    def configure_optimizers(self) -> Any:
        """The optimizer owns every parameter; its rate follows the schedule step by step."""
        optimizer = self.optimizer_spec.build(self.model.parameters(), lr=1.0)
        rate = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: self.schedule(self.first_step + step)
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": rate, "interval": "step"}}
