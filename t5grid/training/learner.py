"""batch -> loss -> step: the one LightningModule."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from itertools import groupby
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.strategies import ParallelStrategy
from torch import Tensor
from torch.distributed.fsdp import register_fsdp_forward_method

from t5grid.data.datamodule import micro_batches
from t5grid.data.stream import key_of
from t5grid.training.sharding import shard

Schedule = Callable[[int], float]


class Learner(pl.LightningModule):
    """Model, loss, optimizer and schedule; `first_step` is where a resumed run goes on.

    `rates` are shares of the schedule's rate by the name of a parameter; without them all have the whole one.
    A batch of more than `micro_batch` rows goes through the model in parts, whose gradients add up.
    """

    def __init__(
        self,
        model: Any,
        optimizer: Any,
        schedule: Schedule,
        seed: int,
        first_step: int = 0,
        micro_batch: int | None = None,
        rates: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__()
        self.model, self.rates = model, rates
        self.optimizer_spec, self.schedule = optimizer, schedule
        self.seed, self.first_step, self.micro_batch = seed, first_step, micro_batch
        self.last_loss = torch.tensor(float("nan"))
        self.loss_parts: dict[str, Tensor] = {}
        """What the last loss is the sum of, where the model names it (`named_losses`)."""

    @property
    def step(self) -> int:
        """Steps taken since the very start of the stage, before any resume."""
        return self.first_step + self.trainer.global_step

    def configure_model(self) -> None:
        """Keep only this rank's part of the model, where it is spread over the ranks."""
        if self.device_mesh is not None:
            shard(self.model, self.device_mesh["data_parallel"])
            register_fsdp_forward_method(self.model, "loss")  # not every loss begins with `forward`

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Dropout of step t is a function of (seed, t), so that a resumed run draws the same."""
        self.optimizers().zero_grad()  # type: ignore[union-attr]
        rank = (self.global_rank,) if self.trainer.world_size > 1 else ()
        torch.manual_seed(key_of(self.seed, "dropout", self.step, *rank) >> 1)

    def optimizer_zero_grad(self, *_: Any) -> None:
        """Nothing: the gradients of a batch's parts add up, and were cleared before the first."""

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """The model's own loss of the batch, a scalar; of its last part, where it is taken in parts.

        A rank's part of a batch comes with its weight: the mean over ranks is the loss of the whole batch.
        """
        *parts, last = micro_batches(batch, self.micro_batch)
        self.loss_parts = {}
        with self._without_exchange():
            losses = [self._backward(part) for part in parts]
        loss = self._loss(last)
        self.last_loss = sum(losses, loss.detach())
        if "weight" in batch:
            self.last_loss = self.trainer.strategy.reduce(self.last_loss.clone(), reduce_op="mean")
        return loss

    def _loss(self, part: dict[str, Tensor]) -> Tensor:
        loss: Tensor = self.model.loss(part)
        weight = part.get("weight", 1.0)
        for name in getattr(self.model, "named_losses", ()):
            self.loss_parts[name] = self.loss_parts.get(name, 0.0) + self.model.loss_parts[name] * weight
        return loss * part["weight"] if "weight" in part else loss

    def _backward(self, part: dict[str, Tensor]) -> Tensor:
        loss = self._loss(part)
        loss.backward()
        return loss.detach()

    def _without_exchange(self) -> AbstractContextManager[Any]:
        """Where ranks train together, only the last part's backward pass has their gradients exchanged."""
        strategy = self.trainer.strategy
        return strategy.block_backward_sync() if isinstance(strategy, ParallelStrategy) else nullcontext()

    def configure_optimizers(self) -> Any:
        """The optimizer owns every parameter; its rate follows the schedule step by step.

        Parameters whose rates are shares of it are groups of those that follow each other at one share, so
        that all stay in their order.
        """
        groups, rates = self.model.parameters(), self.rates
        if rates is not None:
            runs = groupby(self.model.named_parameters(), lambda named: rates[named[0]])
            groups = [{"params": [parameter for _, parameter in run], "lr": share} for share, run in runs]
        optimizer = self.optimizer_spec.build(groups, lr=1.0)
        rate = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: self.schedule(self.first_step + step)
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": rate, "interval": "step"}}
