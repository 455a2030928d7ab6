"""Fixtures of the whole suite: where reference data are, one torch thread, no hub."""

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
def goldens() -> Path:
    """The folder of the original code's inputs and outputs, which travels with the project."""
    return ROOT / "tests" / "goldens"


def outside(folder: Path, *, required: bool) -> Path:
    """The folder with the mirror and the vocabularies, where it is whole: else a skip, or a failure."""
    if absent := [name for name in ("mirror", "sentencepiece") if not (folder / name).is_dir()]:
        end = pytest.fail if required else pytest.skip
        end(f"{folder} has no {' and no '.join(absent)}: set T5GRID_SHARED")
    return folder


@pytest.fixture(scope="session")
def shared() -> Path:
    """What does not travel: $T5GRID_SHARED, or `shared` beside the checkout; on CI it has to be there."""
    folder = Path(os.environ.get("T5GRID_SHARED", ROOT.parent / "shared")).resolve()
    return outside(folder, required=bool(os.environ.get("CI")))
