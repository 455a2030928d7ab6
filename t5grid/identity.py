"""plain config node -> what of it identifies a stage: values, whoever's default they are.

A key is left out only at its neutral value, the one that means "as before there was this key". Of our own
classes `neutral.json` registers those; it is never changed for a key that stands there, so that a default
that changes later is another identity, and only a new key's is added. A class of a user's registers one with
`field(default=0.0, metadata={"neutral": 0.0})`; without it every value counts. Where the meaning of the code
changes and no value does, a class says so: `version: ClassVar[int] = 2`.
"""

import dataclasses
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from t5grid.building import located, plain_hint, type_hints

REGISTER = Path(__file__).with_name("neutral.json")
SCALARS = (type(None), bool, int, float, str)


def essential(node: Any, hint: Any = None) -> Any:
    """A canonical node without what stands at its neutral value, and with the defaults that do not."""
    if not isinstance(node, Mapping):
        return node
    cls = located(node["_target_"], "") if "_target_" in node else plain_hint(hint)
    if not (isinstance(cls, type) and dataclasses.is_dataclass(cls)):
        return {name: essential(value) for name, value in node.items()}
    neutral, hints = neutral_values(cls), type_hints(cls)
    kept = {name: value for name, value in node.items() if name not in neutral or value != neutral[name]}
    content = {name: essential(value, hints.get(name)) for name, value in kept.items()}
    return content | {name: value for name, value in _beyond(cls).items() if name not in node}


@cache
def neutral_values(cls: Any) -> dict[str, Any]:
    """The values of a class's keys that identify nothing."""
    ours, registered = f"{cls.__module__}.".startswith("t5grid."), registered_values(cls)
    found = {}
    for field in dataclasses.fields(cls):
        if "neutral" in field.metadata:
            found[field.name] = field.metadata["neutral"]
        elif field.name in registered:
            found[field.name] = registered[field.name]
        elif ours and isinstance(field.default, SCALARS):
            found[field.name] = field.default
    return found


@cache
def _beyond(cls: Any) -> dict[str, Any]:
    """What a class adds to a node that leaves it out: defaults that are not neutral, and a version."""
    neutral, found = neutral_values(cls), {}
    for field in dataclasses.fields(cls):
        if isinstance(field.default, SCALARS) and neutral.get(field.name, ...) != field.default:
            found[field.name] = field.default
    if "version" not in found and (version := vars(cls).get("version", 1)) != 1:
        found["version"] = version
    return found


def registered_values(cls: Any) -> dict[str, Any]:
    """What `neutral.json` says of a class."""
    return _register().get(f"{cls.__module__}.{cls.__qualname__}", {})


@cache
def _register() -> dict[str, dict[str, Any]]:
    return json.loads(REGISTER.read_text(encoding="utf-8"))
