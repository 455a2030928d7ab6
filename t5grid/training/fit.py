"""feed + model -> checkpoints: one training run, whole or resumed, the same for every stage that trains."""

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import nn

from t5grid.config import Runtime
from t5grid.data.module import FeedModule
from t5grid.data.stream import key_of
from t5grid.training import checkpoints
from t5grid.training.callbacks import Checkpoints, MetricsFile, Report, StatusReports, TrainableSet
from t5grid.training.finetuning import AllParameters
from t5grid.training.learner import Learner

PRECISION = {"fp32": "32-true", "bf16": "bf16-mixed"}
METRICS_EVERY = 50


@dataclass(frozen=True)
class Plan:
    """What a training run does, apart from its data."""

    num_steps: int
    checkpoint_every: int
    keep: int | None
    optimizer: Any
    schedule: Callable[[int], float]
    seed: int
    method: Any = AllParameters()
    optimizer_from: Path | None = None


def initialise(build: Callable[[], nn.Module], seed: int) -> nn.Module:
    """A freshly initialised model, a function of the seed alone."""
    torch.manual_seed(key_of(seed, "initialisation") >> 1)
    return build()


def fit(
    model: nn.Module, feed: Any, plan: Plan, folder: Path, runtime: Runtime, report: Report, run: str
) -> dict:
    """Train to `plan.num_steps`, going on from the newest sound checkpoint; returns what the record keeps."""
    torch.set_flush_denormal(True)  # tiny models under a decayed rate run into them, at a tenth of the speed
    started = time.monotonic()
    where = folder / "checkpoints"
    first_step = max(checkpoints.steps(where), default=0)
    resume = checkpoints.newest(where) if first_step else None
    if resume:
        checkpoints.load_model(resume, model)
    learner = _Started(model, plan.optimizer, plan.schedule, plan.seed, first_step)
    learner.optimizer_from = resume or plan.optimizer_from
    metrics = MetricsFile(folder / "metrics.csv", METRICS_EVERY, first_step)
    callbacks: list[pl.Callback] = [
        TrainableSet(plan.method, plan.num_steps),
        metrics,
        Checkpoints(where, plan.checkpoint_every, plan.num_steps, plan.keep),
        StatusReports(report, metrics, plan.num_steps),
    ]
    if first_step < plan.num_steps:
        trainer = _trainer(plan, first_step, folder, runtime, run, callbacks)
        data = FeedModule(feed, first_step, plan.num_steps, runtime.num_loader_workers)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            trainer.fit(learner, datamodule=data)
    loss = float(learner.last_loss)
    return {
        "steps": plan.num_steps,
        "resumed_at": first_step,
        "tokens": metrics.tokens,
        "loss": None if loss != loss else round(loss, 6),
        "seconds": round(time.monotonic() - started, 2),
    }


class _Started(Learner):
    """A learner whose optimizer starts from the state another run, or an earlier part of this one, left."""

    optimizer_from: Path | None = None

    def on_train_start(self) -> None:
        if self.optimizer_from:
            checkpoints.load_optimizer(self.optimizer_from, self.trainer.optimizers[0])


def _trainer(
    plan: Plan, first_step: int, folder: Path, runtime: Runtime, run: str, callbacks: list[pl.Callback]
) -> pl.Trainer:
    return pl.Trainer(
        accelerator=runtime.accelerator,
        devices=runtime.num_devices,
        precision=PRECISION[runtime.precision],  # type: ignore[arg-type]
        max_steps=plan.num_steps - first_step,
        max_epochs=1,
        callbacks=callbacks,
        logger=_loggers(folder, runtime, run),
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
        use_distributed_sampler=False,
    )


def _loggers(folder: Path, runtime: Runtime, run: str) -> Any:
    """Weights & Biases where it is asked for: one run a stage, its id the stage's identity."""
    if runtime.wandb == "off":
        return False
    from pytorch_lightning.loggers import WandbLogger

    kind, _, name = run.partition("/")
    return WandbLogger(
        project=runtime.wandb_project,
        name=run,
        id=run.replace("/", "-"),
        group=kind,
        save_dir=folder,
        offline=runtime.wandb == "offline",
        resume="allow",
    )
