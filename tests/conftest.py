"""Fixtures of the whole suite: where the shared reference data are, one torch thread, no hub."""

import os
import signal
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("WANDB_MODE", "offline")

import pytest

ROOT = Path(__file__).resolve().parent.parent


def heed_interrupts() -> None:
    """For `preexec_fn`: a shell starts background jobs with SIGINT ignored, and their children inherit it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference data: $T5GRID_SHARED, or `shared` beside the checkout."""
    folder = Path(os.environ.get("T5GRID_SHARED", ROOT.parent / "shared")).resolve()
    if not (folder / "reference").is_dir():
        pytest.skip(f"no reference data at {folder}: set T5GRID_SHARED")
    return folder
