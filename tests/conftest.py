"""Fixtures of the whole suite: where reference data are, one torch thread, no hub."""

import os
import pickle
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("WANDB_MODE", "offline")

import pytest
from absl import logging as absl_logging
from omegaconf import OmegaConf

from t5grid.config import compose as composing
from t5grid.config import reuse as parts
from t5grid.config import schema as config
from t5grid.refused import Refused

ROOT = Path(__file__).resolve().parent.parent

# rouge-score brings absl, whose handler closes the stream that it was made with, pytest's own, when a
# multirun of Hydra ends all handlers while a test has put another stream in its place
absl_logging.get_absl_handler().python_handler.stream = sys.__stderr__


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


def package_only() -> bool:
    """Whether a test sees the package's own configs alone, which never change."""
    return Path.cwd() == ROOT or not (Path.cwd() / "conf").is_dir()


def once(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function of the package's configs, asked once a session; anew where there are others too."""
    values, complaints = dict[str, Any](), dict[str, str]()

    def remembered(*arguments: Any) -> Any:
        if not package_only():
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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """For `pytest -n 2 --dist loadgroup`: a file stays in one process, as do all that share the cluster."""
    for item in items:
        shares_cluster = "slurm" in item.path.name or item.path.parent.name == "torture"
        item.add_marker(pytest.mark.xdist_group("cluster" if shares_cluster else item.path.name))


READ, FILES = OmegaConf.load, dict[str, bytes]()


def read_once(file: Any) -> Any:
    """`OmegaConf.load`, which reads and parses a file of the package once a session."""
    path = str(getattr(file, "name", file))
    if not path.startswith(f"{composing.data_folder('conf')}{os.sep}"):
        return READ(file)
    if path not in FILES:
        FILES[path] = pickle.dumps(READ(file))
    return pickle.loads(FILES[path])


COMPOSE, LOAD_OPTION = once(composing.compose), once(composing.load_option)
PARTS, RESOLVER = once(parts.Parts), once(parts.Resolver)


@pytest.fixture(autouse=True)
def composed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same words are composed, resolved and complained of once a session; cells are built anew."""
    monkeypatch.setattr(OmegaConf, "load", read_once)
    monkeypatch.setattr(composing, "compose", COMPOSE)
    monkeypatch.setattr(parts, "compose", COMPOSE)
    monkeypatch.setattr(parts, "load_option", LOAD_OPTION)
    monkeypatch.setattr(config, "Parts", PARTS)
    monkeypatch.setattr(config, "Resolver", RESOLVER)


@pytest.fixture(scope="session")
def transformers() -> Any:
    """The library that some models are held against; its tests are skipped where it is not installed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip(
            "transformers", reason="transformers is not installed: pip install t5grid[hf]"
        )
