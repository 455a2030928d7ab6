"""machine + finished records -> operations a second: stated, recorded or tried out."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from t5grid.config.schema import Runtime
from t5grid.execution.local import num_cores
from t5grid.execution.provenance import machine
from t5grid.execution.store import Store
from t5grid.stages.record import read_record

ENOUGH = 40  # records of a kind that are looked at
SHARE = 0.4  # of the rate of a small matrix product that training reaches on a CPU, roughly


@dataclass(frozen=True)
class Speed:
    """Operations a second of one device, and where that number is from."""

    flops: float
    source: str


def speed_of(runtime: Runtime, store: Store, size: dict[str, Any], num_workers: int) -> Speed:
    """Of the stages recorded here, else of the runtime's stated peak, else of a product tried out now.

    Records of models of `size` come first, and where a peak is stated no others count. On a CPU a device is a
    worker's share of the cores.
    """
    comparable = [record for record in _recorded(store) if _is_alike(record, runtime)]
    alike = [record for record in comparable if _values(_size_of(record)) == _values(size)]
    if runtime.peak_tflops:
        peak = runtime.peak_tflops * 1e12
        of_peak = f"of runtime.peak_tflops={runtime.peak_tflops:g}"
        if not alike:
            return Speed(peak * runtime.mfu, f"{runtime.mfu:.0%} {of_peak}")
        flops = _rate(alike, runtime)
        return Speed(flops, f"MFU {flops / peak:.1%} {of_peak}, as recorded of {len(alike)} stages here")
    if alike := alike or comparable:
        return Speed(_rate(alike, runtime), f"as recorded of {len(alike)} stages here")
    flops = SHARE * _product_rate() * max(1, num_cores() // num_workers)
    return Speed(flops, f"{SHARE:.0%} of a matrix product's rate here, there being no record yet")


def _rate(records: list[dict[str, Any]], runtime: Runtime) -> float:
    """Operations a second of one device, by records of stages that had all of the runtime's."""
    total = sum(record["flops"] for record in records) / sum(record["seconds"] for record in records)
    return total / (runtime.num_devices * runtime.num_nodes)


def _recorded(store: Store) -> Iterator[dict[str, Any]]:
    """Some records of each kind that took a second at least to train, unbroken."""
    for kind in store.root.glob("*/"):
        with os.scandir(kind) as folders:
            for folder, _ in zip(folders, range(ENOUGH), strict=False):
                path = kind / folder.name / "record.json"
                record = read_record(path, f"{kind.name}/{folder.name}") or {}
                if record.get("flops") and record.get("seconds", 0) > 1 and not record.get("resumed_at"):
                    yield record


def _size_of(record: dict[str, Any]) -> Any:
    """The size of a record's model; None where it says none."""
    config = record.get("config")
    return config.get("size") if isinstance(config, dict) else None


def _values(size: dict[str, Any]) -> dict[str, Any]:
    """The measures of a size, wherever its class lay when they were recorded."""
    return {key: value for key, value in size.items() if key != "_target_"}


def _is_alike(record: dict[str, Any], runtime: Runtime) -> bool:
    """Whether a record was made on this machine, in the same way."""
    keys = ("accelerator", "precision", "num_devices", "num_nodes")
    made = record.get("runtime")
    same = isinstance(made, dict) and all(made.get(key, 1) == getattr(runtime, key) for key in keys)
    if isinstance(made, dict) and same and runtime.peak_tflops:  # another card, or not compiled
        same = all(made.get(key) == getattr(runtime, key) for key in ("peak_tflops", "compile"))
    return same and record.get("machine") == machine() and isinstance(_size_of(record), dict)


def _product_rate(width: int = 64, seconds: float = 0.05) -> float:
    """Operations a second of a product of two matrices on one core: so small that it takes one thread.

    The quickest of many tries: what else the machine does then matters little.
    """
    matrix = np.ones((width, width), np.float32)
    until, best = time.perf_counter() + seconds, float("inf")
    while (started := time.perf_counter()) < until:
        matrix @ matrix
        best = min(best, time.perf_counter() - started)
    return 2 * width**3 / best
