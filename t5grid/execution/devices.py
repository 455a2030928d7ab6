"""runtime -> the devices it asks for are here, or it is refused before anything runs."""

from typing import Any

from t5grid.config.schema import Runtime
from t5grid.refused import Refused


def check_machine(executor: Any, runtime: Runtime) -> None:
    """Raise Refused, before anything is read or run, where an executor lacks what the runtime asks for.

    Loggers and callbacks are tried here too: what is missing of them would end the first training.
    """
    if runtime.loggers or runtime.callbacks:
        from t5grid.training.plugged import check_plugged

        check_plugged(runtime)
    getattr(executor, "check", lambda runtime: None)(runtime)


def refuse_absent(runtime: Runtime) -> None:
    """Raise Refused where this machine lacks a device that is asked for by name."""
    if runtime.accelerator in ("cpu", "auto"):
        return
    here = num_here(runtime.accelerator)
    if not here:
        instead = "write runtime=cpu, or executor=slurm where its nodes have some"
        raise Refused(
            f"runtime.accelerator={runtime.accelerator}: torch sees none on this machine; {instead}"
        )
    if here < runtime.num_devices:
        raise Refused(f"runtime.num_devices={runtime.num_devices}: torch sees {here} on this machine")


def num_here(accelerator: str) -> int:
    """How many devices of this kind torch sees here; `gpu` is whichever there are."""
    import torch

    counts = {"mps": int(torch.backends.mps.is_available()), "cuda": torch.cuda.device_count()}
    return counts[accelerator] if accelerator in counts else max(counts.values())
