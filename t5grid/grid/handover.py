"""stage -> file -> stage: what a job of its own, on another machine and later, runs from.

`stage.json` in the stage's folder holds its class, name, config, content and its parents' identities: plain
values, resolved. A class is only looked for where a `_target_` may be (building.check_allowed).
"""

import importlib
import json
from typing import Any

from t5grid.building import check_allowed
from t5grid.files import read_json, write_whole
from t5grid.grid.stages import Stage
from t5grid.grid.store import Store

FILE = "stage.json"


def write(stages: list[Stage], store: Store) -> None:
    """Leave the files of stages, parents included, where they are not there yet."""
    for stage in stages:
        text = json.dumps(described(stage), indent=1, ensure_ascii=False)
        path = store.folder(stage) / FILE
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            write_whole(path, text)


def described(stage: Stage) -> dict[str, Any]:
    """A stage as plain values."""
    cls = type(stage)
    return {
        "class": f"{cls.__module__}.{cls.__qualname__}",
        "name": stage.name,
        "config": stage.config,
        "content": stage.content,
        "parents": [parent.identity for parent in stage.parents],
    }


def read(identity: str, store: Store) -> Stage:
    """The stage of a file. Raises ValueError if there is none, or if it has another identity by now."""
    path = store.root / identity / FILE
    found = read_json(path)
    if found is None:
        raise ValueError(f"{path}: no such stage")
    parents = tuple(read(each, store) for each in found["parents"])
    stage = _class(found["class"], str(path))(found["name"], found["config"], found["content"], parents)
    if stage.identity != identity:
        raise ValueError(f"{identity}: is {stage.identity} by now: the code changed since it was submitted")
    return stage


def _class(name: str, key: str) -> type[Stage]:
    check_allowed(name, f"{key}: class")
    module, _, last = name.rpartition(".")
    cls = getattr(importlib.import_module(module), last, None)
    if not (isinstance(cls, type) and issubclass(cls, Stage)):
        raise ValueError(f"{key}: class={name}: not a kind of stage")
    return cls
