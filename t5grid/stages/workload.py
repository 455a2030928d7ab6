"""sizes of what a stage computes -> operations, tokens, memory, disk; no torch."""

import math
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from t5grid.config.reuse import ByObject
from t5grid.config.schema import Runtime
from t5grid.data.special_ids import FIRST_ORDINARY_ID
from t5grid.data.stream import generator
from t5grid.model.costs import BLOCK, Flops, Product, forward_only, kept, mean_step, parameters
from t5grid.tasks.availability import standing
from t5grid.training.finetuning import AllParameters

Built = Callable[..., Any]  # as `build`, perhaps remembering

# Bytes autograd keeps for an element that a product writes, in fp32: measured, without and with dropout
# (whose masks and scaled copies it keeps as well). Under bf16 all but softmax and norms are half as large.
KEPT, KEPT_WITH_DROPOUT = 4.4, 6.6
BF16 = 0.6
EVERYTHING = AllParameters()
LOGITS = 2  # copies of the logits beside them, at the start of the backward pass, in fp32


@dataclass(frozen=True)
class Workload:
    """Batches of [rows, inputs] and [rows, targets] ids through a model, `num_steps` times.

    Without a `method` nothing is learned: each of `num_models` answers every batch.
    """

    architecture: Any
    size: Any
    vocab_size: int
    rows: int
    inputs: int
    targets: int
    num_steps: int
    dropout: float = 0.0
    method: Any = None
    optimizer: Any = None
    num_kept: int = 0
    num_models: int = 1
    starts_trained: bool = False  # its checkpoints leave out what is never trained


@dataclass(frozen=True)
class Estimate:
    """What a stage takes: `memory` in bytes at the peak of one device, `disk` in bytes left behind."""

    parameters: int = 0
    flops: Flops = field(default_factory=Flops)
    tokens: int = 0
    memory: float = 0.0
    disk: float = 0.0


def num_checkpoints(budget: dict[str, Any]) -> int:
    """Checkpoints of a training that keeps all of them."""
    return -(-budget["num_steps"] // budget["checkpoint_every"])


@cache
def batch_shape(
    objective: Any, batching: Any, num_rows: int, length: int, vocab_size: int
) -> tuple[int, int, int]:
    """The shape of a pre-training batch, tried with pieces of nothing but one id."""
    raw, targets_length = objective.lengths(length)
    pieces = np.full((num_rows, raw), FIRST_ORDINARY_ID, np.int32)
    inputs, targets = objective(pieces, generator(0, "noise", 0), vocab_size)
    return shape_of(batching(inputs, targets, length, targets_length))


def shape_of(batch: dict[str, Any]) -> tuple[int, int, int]:
    """Rows, and the widths of inputs (0 where they stand in one row with the targets) and of targets."""
    rows, targets = batch["targets"].shape
    return rows, batch["inputs"].shape[1] if "inputs" in batch else 0, targets


def _num_scored(column: Any, limit: int | None) -> int:
    """Rows a column is scored on, `limit` of each task; 0 for a task whose real size is not known."""
    total = 0
    for name, task in column.tasks.items():
        sizes = standing({"": column}).get("", {}).get(name, {}).get("validation")
        rows = getattr(task, "num_validation", None) if sizes is None else sizes["rows"]
        total += min(rows or 0, limit or sys.maxsize)
    return total


num_scored = ByObject(_num_scored)


@cache
def estimate(work: Workload, runtime: Runtime) -> Estimate:
    """What a workload takes on a machine; tokens count padding, as batches are taken to be full."""
    products = _products(work, work.rows)
    num_parameters = sum(map(math.prod, parameters(products).values()))
    tokens = work.num_steps * work.rows * (work.inputs + work.targets)
    if work.method is None:
        flops = forward_only(products) * (work.num_steps * work.num_models)
        return Estimate(num_parameters, flops, tokens, _answering(work, runtime, num_parameters))
    flops = mean_step(products, work.method, work.num_steps) * work.num_steps
    return Estimate(num_parameters, flops, tokens, _training(work, runtime), _left(work, products))


def _products(work: Workload, rows: int) -> list[Product]:
    products = work.architecture.products(work.size, work.vocab_size, rows, work.inputs, work.targets)
    return work.method.products(products, work.size.d_model) if work.method else products


def _training(work: Workload, runtime: Runtime) -> float:
    """Peak bytes of one device: weights, gradients, the optimizer's numbers, and what a step keeps."""
    num_devices = runtime.num_devices * runtime.num_nodes
    rows = -(-work.rows // num_devices)
    products = _products(work, min(rows, runtime.micro_batch or rows))
    shapes = parameters(products)
    everything = sum(map(math.prod, shapes.values()))
    episodes = work.method.episodes(list(shapes), work.num_steps).values()
    ever = frozenset().union(*episodes)
    gradients = max(sum(math.prod(shapes[name]) for name in trained) for trained in episodes)
    moments = sum(work.optimizer.num_moments(shapes[name]) for name in ever)
    numbers = everything + gradients * (2 if num_devices > 1 else 1) + moments
    if is_spread(runtime):
        outside, block = _gathered(shapes)
        numbers = (everything + gradients + moments) / num_devices + 2 * outside + 3 * block
    half = runtime.precision == "bf16"
    elements = max(kept(products, trained.__contains__, runtime.recompute) for trained in episodes)
    activations = elements * (KEPT_WITH_DROPOUT if work.dropout else KEPT) * (BF16 if half else 1)
    logits = sum(product.size for product in products if product.writes == "logits")
    return 4 * numbers + (2 * everything if half else 0) + activations + 4 * LOGITS * logits


def _answering(work: Workload, runtime: Runtime, num_parameters: int) -> float:
    """Peak bytes while nothing is learned: the models, and the largest arrays of a pass."""
    products = _products(work, min(work.rows, runtime.evaluation_batch))
    numbers: float = num_parameters * work.num_models
    if is_spread(runtime):
        outside, block = _gathered(parameters(products))
        numbers = numbers / (runtime.num_devices * runtime.num_nodes) + outside * work.num_models + block
    return 4.0 * (numbers + 4 * max(product.size for product in products))


def is_spread(runtime: Runtime) -> bool:
    """Whether each device keeps a part of the parameters."""
    return runtime.parallel == "fsdp" and runtime.num_devices * runtime.num_nodes > 1


def _gathered(shapes: Mapping[str, tuple[int, ...]]) -> tuple[int, int]:
    """Parameters that a device has whole beside its part: those in no block, and the largest block's."""
    blocks: Counter[str] = Counter()
    for name, shape in shapes.items():
        block = BLOCK.match(name)
        blocks[block[0] if block else ""] += math.prod(shape)
    return blocks.pop("", 0), max(blocks.values(), default=0)


def _left(work: Workload, products: list[Product]) -> float:
    """Bytes of the checkpoints that stay: weights and the optimizer's numbers, in fp32."""
    shapes = parameters(products)
    ever = frozenset().union(*work.method.episodes(list(shapes), work.num_steps).values())
    saved = ever if work.starts_trained else shapes.keys()
    numbers = sum(math.prod(shapes[name]) for name in saved)
    numbers += sum(work.optimizer.num_moments(shapes[name]) for name in ever)
    return 4.0 * numbers * work.num_kept
