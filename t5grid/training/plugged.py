"""runtime.loggers, runtime.callbacks -> Lightning's objects, tried beforehand.

They see a training, and are no part of what identifies it: a callback that changes what is trained is its
user's to answer for.
"""

import importlib
import inspect
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from t5grid.config.called import Called
from t5grid.config.schema import Runtime
from t5grid.config.trust import check_allowed
from t5grid.refused import Refused

LIGHTNINGS_NAME = "lightning_logs"
"""What Lightning's loggers call a run that has no name."""


def check_plugged(runtime: Runtime) -> None:
    """Raise Refused, naming the key, for a logger or callback that cannot be made."""
    if runtime.loggers or runtime.callbacks:
        with tempfile.TemporaryDirectory() as folder:
            loggers_of(runtime, Path(folder), "check")
        callbacks_of(runtime)


def loggers_of(runtime: Runtime, folder: Path, run: str) -> list[Any]:
    """The loggers of a stage called `run` whose files are in `folder`, where a logger asks for one."""
    if not runtime.loggers:
        return []
    from pytorch_lightning.loggers import Logger

    return [
        _made(called, f"runtime.loggers.{key}", Logger, {"save_dir": str(folder), "key": key, "run": run})
        for key, called in runtime.loggers.items()
    ]


def callbacks_of(runtime: Runtime) -> list[Any]:
    """The callbacks, in their order: after those of the stage itself."""
    if not runtime.callbacks:
        return []
    from pytorch_lightning import Callback

    called = runtime.callbacks.items()
    return [_made(one, f"runtime.callbacks.{key}", Callback, {}) for key, one in called]


def _made(called: Called, key: str, kind: type, known: Mapping[str, str]) -> Any:
    """An object of a class, called with its arguments and what it asks for of a run. Raises Refused."""
    check_allowed(called.target, f"{key}._target_")
    module, _, name = called.target.rpartition(".")
    try:
        cls = getattr(importlib.import_module(module), name)
    except Exception as error:  # whatever a user's own module does when it is imported
        raise Refused(f"{key}._target_={called.target}: not found ({_line(error)})") from error
    if not (isinstance(cls, type) and issubclass(cls, kind)):
        raise Refused(f"{key}._target_={called.target}: no {kind.__name__} of pytorch_lightning")
    try:
        return cls(**{**_asked_for(cls, known), **called.arguments})
    except Exception as error:
        raise Refused(f"{key}: {_line(error)}") from error


def _asked_for(cls: type, known: Mapping[str, str]) -> dict[str, str]:
    """What a logger is told unless its user says otherwise: where its files go, and of which run they are."""
    asked: dict[str, str] = {}
    for name, parameter in inspect.signature(cls).parameters.items() if known else ():
        if name == "save_dir" and parameter.default is inspect.Parameter.empty:
            asked[name] = known["save_dir"]
        elif name == "name" and parameter.default == LIGHTNINGS_NAME:
            asked[name] = known["key"]
        elif name in ("name", "run_name") and parameter.default is None:
            asked[name] = known["run"]
    return asked


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
