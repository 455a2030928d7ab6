"""step -> what happens beside it: checkpoints, the metrics file, the status."""

import csv
import io
import math
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from torch import Tensor, nn

from t5grid.files import check_fence, write_whole
from t5grid.refused import Refused
from t5grid.training import checkpoints
from t5grid.training.finetuning import Episodes, episode_at
from t5grid.training.learner import Learner
from t5grid.training.sharding import own

Report = Callable[[dict[str, Any]], None]
READ = ("inputs", "targets")  # arrays of a batch (of a model, where it has several) whose ids are tokens


class OptimizerState(pl.Callback):
    """Starts the optimizer from the state of pre-training, and then from an earlier part of the run.

    Parameters that are `fresh` have none of pre-training.
    """

    def __init__(
        self, pretrained: Path | None, resumed: Path | None, fresh: Collection[str] = frozenset()
    ) -> None:
        self.pretrained, self.resumed, self.fresh = pretrained, resumed, fresh

    def setup(self, trainer: pl.Trainer, learner: pl.LightningModule, stage: str) -> None:
        """Let the ranks share every gradient: those a method leaves out at first may be trained later."""
        if trainer.world_size > 1:
            learner.requires_grad_(True)

    def on_train_start(self, trainer: pl.Trainer, learner: pl.LightningModule) -> None:
        assert isinstance(learner, Learner)
        optimizer = trainer.optimizers[0]
        if self.pretrained:
            places = checkpoints.places_of(self.pretrained, learner.model, self.fresh)
            checkpoints.load_optimizer(self.pretrained, optimizer, places)
        if self.resumed:
            checkpoints.load_optimizer(self.resumed, optimizer)


class Checkpoints(pl.Callback):
    """Writes a checkpoint every `every` steps and at the end; none of a model that is no longer finite."""

    def __init__(
        self,
        folder: Path,
        every: int,
        num_steps: int,
        keep: int | None,
        without: frozenset[str] = frozenset(),
    ) -> None:
        self.folder, self.every, self.num_steps, self.keep = folder, every, num_steps, keep
        self.without = without

    def on_train_batch_end(self, trainer: pl.Trainer, learner: pl.LightningModule, *rest: Any) -> None:
        assert isinstance(learner, Learner)
        step = learner.step
        if step % self.every and step != self.num_steps:
            return
        if not math.isfinite(float(learner.last_loss)):
            raise FloatingPointError(f"the loss is {float(learner.last_loss)} at step {step}")
        for name, parameter in learner.model.named_parameters():
            if not own(parameter).isfinite().all():
                raise FloatingPointError(f"{name} is no longer finite after step {step}")
        leads = trainer.is_global_zero
        checkpoints.save(self.folder, step, learner.model, trainer.optimizers[0], self.without, leads)
        if leads and self.keep is not None:
            checkpoints.keep_last(self.folder, self.keep)


MEAN_LOSS = "mean_loss"
"""The column of metrics.csv with the mean over the steps since the row before; files of old lack it."""


class MetricsFile(pl.Callback):
    """Appends step, its loss and rate, and tokens so far to metrics.csv, at every checkpoint and in between.

    After them the mean loss of the steps since the row before, and the parts of the step's loss that are
    `named`. A resumed run drops the rows it will write again and counts on from the row of its checkpoint. Of
    several ranks all count and the leader writes. Between rows tokens and losses are summed on the device,
    which no step waits for.
    """

    FIELDS = ("step", "loss", "learning_rate", "tokens", MEAN_LOSS)

    def __init__(
        self,
        path: Path,
        every: int,
        first_step: int,
        checkpoint_every: int,
        num_steps: int,
        leads: bool = True,
        named: tuple[str, ...] = (),
    ) -> None:
        self.path, self.every, self.named = path, every, named
        self.checkpoint_every, self.num_steps = checkpoint_every, num_steps
        kept = [row for row in read_metrics(path) if int(row["step"]) <= first_step]
        self.tokens = int(kept[-1]["tokens"]) if kept else 0
        """Tokens up to the last row."""
        self._since: Tensor | int = 0
        self._losses: tuple[Tensor | float, int] = (0.0, 0)
        """Sum and number of the losses since the last row."""
        if not leads:
            return
        out = io.StringIO()
        writer = csv.DictWriter(out, (*self.FIELDS, *named), lineterminator="\n")
        writer.writeheader()
        writer.writerows(kept)
        write_whole(path, out.getvalue())

    def on_train_batch_end(
        self, trainer: pl.Trainer, learner: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(learner, Learner)
        self._since = self._since + sum(
            (batch[key] != 0).sum() for key in batch if key.rpartition(".")[2] in READ
        )
        self._losses = (self._losses[0] + learner.last_loss, self._losses[1] + 1)
        step = learner.step
        if step % self.every and step % self.checkpoint_every and step != self.num_steps:
            return
        self.tokens += int(trainer.strategy.reduce(self._since, reduce_op="sum"))
        mean = float(self._losses[0]) / self._losses[1]
        self._since, self._losses = 0, (0.0, 0)
        parts = {name: float(_mean(trainer, learner.loss_parts[name])) for name in self.named}
        if not trainer.is_global_zero:
            return
        row = (step, f"{float(learner.last_loss):.6f}", f"{learner.schedule(step - 1):.6g}")
        with open(self.path, "a", newline="") as file:
            check_fence(self.path)  # once it is open: a successor puts another file in its place
            csv.writer(file, lineterminator="\n").writerow(
                [*row, self.tokens, *(f"{value:.6f}" for value in (mean, *parts.values()))]
            )
        for logger in trainer.loggers:
            values = {"loss": float(learner.last_loss), MEAN_LOSS: mean, "tokens": self.tokens, **parts}
            logger.log_metrics(values, step=step)

    def tokens_so_far(self, num_ranks: int) -> int:
        """Tokens up to now; since the last row the other ranks are taken to have read as many as this one."""
        return self.tokens + int(self._since) * num_ranks


def _mean(trainer: pl.Trainer, value: Tensor) -> Tensor | float:
    """A number's mean over the ranks."""
    if trainer.world_size == 1:
        return value
    mean: Tensor = trainer.strategy.reduce(value.clone(), reduce_op="mean")
    return mean


def read_metrics(path: Path) -> list[dict[str, str]]:
    """Rows of a metrics file; a last line cut short by a kill is left out. Raises Refused naming the file."""
    if not path.exists():
        return []
    try:
        text = path.read_text(encoding="utf-8")
        rows = list(csv.DictReader(text[: text.rfind("\n") + 1].splitlines()))
        _ = [(int(row["step"]), float(row["loss"]), int(row["tokens"])) for row in rows]
    except (ValueError, KeyError, TypeError, csv.Error) as error:
        raise Refused(f"{path}: not the metrics of a training ({error!r}); delete it") from None
    return rows


class StatusReports(pl.Callback):
    """Tells a watcher the step, loss, tokens a second and time left, about once a second."""

    def __init__(self, report: Report, metrics: MetricsFile, num_steps: int, seconds: float = 1.0) -> None:
        self.report, self.metrics, self.num_steps, self.seconds = report, metrics, num_steps, seconds
        self.started, self.last = time.monotonic(), 0.0
        self.first_tokens = metrics.tokens

    def on_train_batch_end(self, trainer: pl.Trainer, learner: pl.LightningModule, *rest: Any) -> None:
        assert isinstance(learner, Learner)
        now = time.monotonic()
        if now - self.last < self.seconds:
            return
        self.last = now
        spent = max(now - self.started, 1e-9)
        tokens = self.metrics.tokens_so_far(trainer.world_size)
        self.report(
            {
                "step": learner.step,
                "num_steps": self.num_steps,
                "loss": round(float(learner.last_loss), 4),
                "tokens_per_second": round((tokens - self.first_tokens) / spent),
                "seconds_left": round(spent / max(trainer.global_step, 1) * (self.num_steps - learner.step)),
            }
        )


class TrainableSet(pl.Callback):
    """Applies a fine-tuning method: before each step, gradients only for the parameters it trains.

    What is no longer below a trained parameter is then not back-propagated through. A resumed run starts in
    the episode of its step, whatever was trained before.
    """

    def __init__(self, episodes: Episodes) -> None:
        self.episodes, self.current = episodes, frozenset[str]()

    def on_train_batch_start(self, trainer: pl.Trainer, learner: pl.LightningModule, *rest: Any) -> None:
        assert isinstance(learner, Learner)
        wanted = episode_at(self.episodes, learner.step)
        if wanted == self.current:
            return
        self.current = wanted
        for name, parameter in learner.model.named_parameters():
            parameter.requires_grad_(name in wanted)
            if name not in wanted:
                parameter.grad = None
        trained, total = num_trained(learner.model, wanted), num_trained(learner.model)
        share = f"{trained:,} of {total:,} parameters are trained ({trained / total:.2%})"
        print(f"from step {learner.step}: {share}")


def num_trained(model: nn.Module, names: Collection[str] | None = None) -> int:
    """Numbers in the parameters named, or in all; shared ones once."""
    return sum(p.numel() for name, p in model.named_parameters() if names is None or name in names)
