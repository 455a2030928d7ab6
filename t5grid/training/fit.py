"""feed + model -> checkpoints: one training run, whole or resumed.

Where the machine gives a stage several devices, each has a process (a rank) that runs all of this; together
they take the steps one process would take, and the first of them writes the files.
"""

import re
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins.environments import LightningEnvironment
from pytorch_lightning.strategies import DDPStrategy, ModelParallelStrategy
from torch import distributed, nn

from t5grid.config.schema import Runtime
from t5grid.data.datamodule import FeedModule, FewShapes
from t5grid.data.rank import Rank, rank_of
from t5grid.data.stream import key_of
from t5grid.refused import Refused
from t5grid.training import checkpoints
from t5grid.training.callbacks import (
    Checkpoints,
    MetricsFile,
    OptimizerState,
    Report,
    StatusReports,
    TrainableSet,
    read_metrics,
)
from t5grid.training.compiled import compiled_loss, is_compiled, on_gpu, prepare_device
from t5grid.training.finetuning import AllParameters, Method, episodes_of, fresh
from t5grid.training.learner import Learner
from t5grid.training.plugged import callbacks_of, loggers_of
from t5grid.training.schedules import AdafactorSpec

PRECISION = {"fp32": "32-true", "bf16": "bf16-mixed"}
METRICS_EVERY = 50
# What Lightning says and nobody can act on: its own use of torch, that feeds might need workers, and that
# Slurm's srun is there and does not start the ranks.
ASIDES = (
    r"`isinstance\(treespec, LeafSpec\)` is deprecated",
    r"The '\w+' does not have many workers",
    r"The `srun` command is available",
)


@dataclass(frozen=True)
class Plan:
    """What a training run does, apart from its data."""

    num_steps: int
    checkpoint_every: int
    keep: int | None
    optimizer: Any
    schedule: Callable[[int], float]
    seed: int
    method: Method = field(default_factory=AllParameters)
    optimizer_from: Path | None = None
    without: frozenset[str] = frozenset()
    """Parameters left out of the checkpoints: never trained, and kept by another stage."""


def initialise(build: Callable[[], Any], seed: int, of: str = "initialisation") -> Any:
    """A freshly initialised model, or part of one named by `of`: a function of the seed alone."""
    torch.manual_seed(key_of(seed, of) >> 1)
    return build()


def fit(
    model: nn.Module, feed: Any, plan: Plan, folder: Path, runtime: Runtime, report: Report, run: str
) -> dict:
    """Train to `plan.num_steps`, going on from the newest sound checkpoint; returns what the record keeps."""
    torch.set_flush_denormal(True)  # tiny models under a decayed rate run into them, at a tenth of the speed
    started = time.monotonic()
    prepare_device(runtime)
    rank = rank_of(runtime)
    where = folder / "checkpoints"
    resumed = _resumed_from(model, plan, where, rank)
    first_step = checkpoints.step_of(resumed) if resumed else 0
    if runtime.recompute:
        _recompute(model)
    learner = _learner(model, plan, first_step, runtime)
    metrics = _metrics(model, plan, folder, first_step, rank)
    if first_step < plan.num_steps:
        callbacks = [*_callbacks(model, plan, where, resumed, metrics), *callbacks_of(runtime)]
        if rank.leads:
            callbacks.append(StatusReports(report, metrics, plan.num_steps))
        data = _data(feed, first_step, plan.num_steps, rank, runtime)
        with _without_asides(), compiled_loss(model, runtime):
            trainer = _trainer(plan, first_step, folder, runtime, run, callbacks)
            try:
                trainer.fit(learner, datamodule=data)
            finally:
                _finish(trainer)
            if learner.step < plan.num_steps:
                raise Refused(f"runtime.callbacks: ended training at step {learner.step} of {plan.num_steps}")
    if rank.leads and plan.keep is not None:  # one killed between its last checkpoint and this left more
        checkpoints.keep_last(where, plan.keep)
    written = read_metrics(metrics.path)
    return {
        "steps": plan.num_steps,
        "resumed_at": first_step,
        "tokens": metrics.tokens,
        "loss": float(written[-1]["loss"]) if written else None,
        "seconds": round(time.monotonic() - started, 2),
    }


def _learner(model: nn.Module, plan: Plan, first_step: int, runtime: Runtime) -> Learner:
    """The learner, with the learning rates of the method where it has its own."""
    schedule, rates, method = plan.schedule, None, cast(Any, plan.method)
    if hasattr(method, "rates"):
        rates = method.rates([name for name, _ in model.named_parameters()])
        schedule = method.schedule(plan.schedule, plan.num_steps)
    return Learner(model, plan.optimizer, schedule, plan.seed, first_step, runtime.micro_batch, rates)


def _metrics(model: nn.Module, plan: Plan, folder: Path, first_step: int, rank: Rank) -> MetricsFile:
    """Where the losses are written, of a model with several each."""
    named = tuple(getattr(model, "named_losses", ()))
    rhythm = (METRICS_EVERY, first_step, plan.checkpoint_every, plan.num_steps)
    return MetricsFile(folder / "metrics.csv", *rhythm, rank.leads, named)


def _data(feed: Any, first_step: int, num_steps: int, rank: Rank, runtime: Runtime) -> FeedModule:
    """The batches of the steps that are left, in few shapes where steps are compiled."""
    few_shapes = FewShapes.of(feed, num_steps, rank, runtime.micro_batch) if is_compiled(runtime) else None
    return FeedModule(
        feed, first_step, num_steps, runtime.num_loader_workers, rank, few_shapes, pinned=on_gpu(runtime)
    )


def _recompute(model: Any) -> None:
    """Have the model keep the inputs of its blocks only. Raises Refused where it cannot."""
    if not hasattr(model, "recompute"):
        raise Refused(f"runtime.recompute=true: {type(model).__name__} has no `recompute`; set it to false")
    model.recompute()


def _resumed_from(model: nn.Module, plan: Plan, where: Path, rank: Rank) -> Path | None:
    """The newest sound checkpoint, its weights put into the model; None where training starts afresh.

    Where all are kept it is the newest before the first that is missing, which is then made again.
    """
    kept = checkpoints.steps_made(plan.checkpoint_every, plan.num_steps) if plan.keep is None else ()
    sound = checkpoints.unbroken(where, kept)
    if rank.leads:
        checkpoints.discard_others(where, sound.values())
    resumed = sound[max(sound)] if sound else None
    if resumed:
        checkpoints.load_model(resumed, model, plan.without)
    return resumed


def _callbacks(
    model: nn.Module, plan: Plan, where: Path, resumed: Path | None, metrics: MetricsFile
) -> list[pl.Callback]:
    """What is done at steps, in this order."""
    names = [name for name, _ in model.named_parameters()]
    return [
        OptimizerState(plan.optimizer_from, resumed, fresh(plan.method, names)),
        TrainableSet(episodes_of(plan.method, names, plan.num_steps)),
        metrics,
        Checkpoints(where, plan.checkpoint_every, plan.num_steps, plan.keep, plan.without),
    ]


@contextmanager
def _without_asides() -> Iterator[None]:
    with warnings.catch_warnings():
        for aside in ASIDES:
            warnings.filterwarnings("ignore", aside)
        yield


def _trainer(
    plan: Plan, first_step: int, folder: Path, runtime: Runtime, run: str, callbacks: list[pl.Callback]
) -> pl.Trainer:
    return pl.Trainer(
        accelerator=runtime.accelerator,
        devices=runtime.num_devices,
        num_nodes=runtime.num_nodes,
        strategy=_strategy(plan, runtime),
        plugins=[LightningEnvironment()],  # a job's requeueing is ours, not Lightning's
        precision=PRECISION[runtime.precision],  # type: ignore[arg-type]
        max_steps=plan.num_steps - first_step,
        max_epochs=1,
        callbacks=callbacks,
        logger=_loggers(folder, runtime, run),
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=1,
        default_root_dir=folder,
        use_distributed_sampler=False,
    )


def _strategy(plan: Plan, runtime: Runtime) -> Any:
    """How ranks share their gradients; a method that leaves parameters out has unused ones."""
    world = rank_of(runtime).world
    if world == 1:
        return "auto"
    if runtime.parallel == "fsdp" and runtime.micro_batch:
        raise Refused("runtime.micro_batch: not with runtime.parallel=fsdp; use runtime.recompute=true")
    if runtime.parallel == "fsdp":
        if not isinstance(plan.optimizer, AdafactorSpec):
            raise Refused("runtime.parallel=fsdp: the optimizer must be Adafactor; use runtime.parallel=ddp")
        return ModelParallelStrategy(data_parallel_size=world, tensor_parallel_size=1)
    return DDPStrategy(find_unused_parameters=not isinstance(plan.method, AllParameters))


def _loggers(folder: Path, runtime: Runtime, run: str) -> Any:
    """The loggers that are asked for, of the leading rank; False without any."""
    if not rank_of(runtime).leads:
        return False
    weights_and_biases = [] if runtime.wandb == "off" else [_wandb(folder, runtime, run)]
    return [*weights_and_biases, *loggers_of(runtime, folder, run)] or False


def _wandb(folder: Path, runtime: Runtime, run: str) -> Any:
    """Weights & Biases: one run a stage, its id the stage's identity."""
    from pytorch_lightning.loggers import WandbLogger

    return WandbLogger(
        project=runtime.wandb_project,
        name=run,
        id=re.sub("[^A-Za-z0-9_.=-]+", "-", run),  # commas and slashes are refused
        group=run.partition("/")[0],
        save_dir=folder,
        offline=runtime.wandb == "offline",
        resume="allow",
    )


def _finish(trainer: pl.Trainer) -> None:
    """End the ranks' talk and the run in Weights & Biases, or the next stage would be written into it."""
    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()
    if trainer.loggers and (wandb := sys.modules.get("wandb")):
        wandb.finish()
