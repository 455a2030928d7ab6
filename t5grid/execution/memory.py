"""workloads + memory of a device -> fits, or with how small a micro-batch it would."""

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import replace

from t5grid.config.schema import Runtime
from t5grid.stages.workload import Workload, estimate, is_spread

GIB = 2**30


def device_memory(runtime: Runtime) -> float | None:
    """GiB of one device: as stated, else of the first GPU here where one is asked for; None if unknown."""
    if runtime.device_memory or runtime.accelerator not in ("gpu", "cuda", "auto"):
        return runtime.device_memory
    if not shutil.which("nvidia-smi"):
        return None
    query = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    lines = subprocess.run(query, capture_output=True, text=True, check=False).stdout.split()
    return float(lines[0]) / 1024 if lines and lines[0].isdigit() else None


def smaller(work: Workload, runtime: Runtime) -> Iterator[Runtime]:
    """Machines that take a workload in ever less memory: fewer rows at once, then blocks computed again."""
    if work.method is None:
        for rows in halves(min(work.rows, runtime.evaluation_batch)):
            yield replace(runtime, evaluation_batch=rows)
        return
    if is_spread(runtime):  # which goes with no micro-batch
        yield replace(runtime, recompute=True)
        return
    rows = -(-work.rows // (runtime.num_devices * runtime.num_nodes))
    for recompute in sorted({runtime.recompute, True}):
        for micro_batch in halves(min(rows, runtime.micro_batch or rows)):
            yield replace(runtime, micro_batch=micro_batch, recompute=recompute)


def halves(number: int) -> Iterator[int]:
    """A number of rows, and ever half as many down to one."""
    yield number
    while number > 1:
        number = -(-number // 2)
        yield number


def fitting(work: Workload, runtime: Runtime, room: float) -> Runtime | None:
    """The first of the smaller machines whose devices have `room` bytes for a workload; None if none."""
    return next((each for each in smaller(work, runtime) if estimate(work, each).memory <= room), None)


def memory_line(works: Sequence[tuple[Workload, Runtime]]) -> str:
    """What a plan says of the most that a stage takes; empty where a device's memory is not known."""
    if not works:
        return ""
    work, runtime = max(works, key=lambda pair: estimate(*pair).memory)
    gib = device_memory(runtime)
    if gib is None:
        return ""
    needed = f"memory: {estimate(work, runtime).memory / GIB:.1f} GiB at most"
    if estimate(work, runtime).memory <= gib * GIB:
        return f"{needed}, which fits a device of {gib:g} GiB"
    machine = fitting(work, runtime, gib * GIB)
    short = f"{needed}, which does not fit a device of {gib:g} GiB"
    if machine is None and is_spread(runtime):
        return f"{short}, nor does less at once (each of more devices keeps a smaller part of the weights)"
    if machine is None:
        return f"{short}, nor does a single row (runtime.parallel=fsdp spreads the weights over devices)"
    settings = " ".join(_changed(machine, runtime))
    return f"{short}; with {settings} it takes {estimate(work, machine).memory / GIB:.1f} GiB"


def _changed(machine: Runtime, runtime: Runtime) -> Iterator[str]:
    """The settings by which a smaller machine differs."""
    for key in ("evaluation_batch", "micro_batch", "recompute"):
        value = getattr(machine, key)
        if value != getattr(runtime, key):
            yield f"runtime.{key}={str(value).lower()}"
