"""machine -> what a record says of where it was made: never part of an identity."""

import os
import platform
import subprocess
from dataclasses import asdict
from functools import lru_cache
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

from t5grid.config.schema import Runtime

FOLDERS = ("runs_dir", "results_dir")


def provenance(runtime: Runtime, num_threads: int) -> dict[str, Any]:
    """Machine, versions and commit, for the record: never part of an identity."""
    packages = ("t5grid", "torch", "pytorch-lightning", "hydra-core", "numpy", "sentencepiece", "datasets")
    return {
        "runtime": _told_of(runtime),
        "num_threads": num_threads,
        "machine": machine(),
        "python": platform.python_version(),
        "versions": {name: _installed(name) for name in packages},
        "commit": _commit(),
    }


def _told_of(runtime: Runtime) -> dict[str, Any]:
    """The machine, without its folders, and of loggers and callbacks the classes alone.

    Where a run lay and what a logger is told say nothing of how a score came about; records are published.
    """
    told = {name: value for name, value in asdict(runtime).items() if name not in FOLDERS}
    for name in ("loggers", "callbacks"):
        classes = [called["target"] for called in told.pop(name).values()]
        told |= {name: classes} if classes else {}
    return told


def machine() -> str:
    """The machine in words."""
    return f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}"


def _installed(name: str) -> str | None:
    try:
        return installed(name)
    except Exception:
        return None


@lru_cache(maxsize=1)
def _commit() -> str | None:
    """The commit of the checkout this code runs from; None for an installed wheel."""
    here = Path(__file__).parent
    try:
        shown = subprocess.run(
            ["git", "-C", here, "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return shown.stdout.strip() or None
