"""Fixtures of the whole suite: where reference data are, one torch thread, no hub."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("WANDB_MODE", "offline")

import pytest

from t5grid.config import compose as composing
from t5grid.config import reuse as parts
from t5grid.refused import Refused

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


def once(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, asked once a session; always where a folder has a `conf/` of its own."""
    values, complaints = dict[str, Any](), dict[str, str]()

    def remembered(*arguments: Any) -> Any:
        if (Path.cwd() / "conf").is_dir() and Path.cwd() != ROOT:
            return function(*arguments)
        key = repr(arguments)
        if key in complaints:
            raise Refused(complaints[key])
        if key not in values:
            try:
                values[key] = function(*arguments)
            except Refused as error:
                complaints[key] = str(error)
                raise
        return values[key]

    return remembered


COMPOSE, LOAD_OPTION = once(composing.compose), once(composing.load_option)


@pytest.fixture(autouse=True)
def composed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hydra composes the same words of the package's own files, and complains of them, once a session."""
    monkeypatch.setattr(composing, "compose", COMPOSE)
    monkeypatch.setattr(parts, "compose", COMPOSE)
    monkeypatch.setattr(parts, "load_option", LOAD_OPTION)
