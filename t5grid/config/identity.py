"""config node -> what of it identifies a stage: values, whoever's default they are.

A class of ours enters by a stable name, its axis and its own (`objective/ReplaceSpans`), wherever its module
lies; one of a user's by its path. A key is left out only at its neutral value, the one that means "as before
there was this key". Of our own classes `neutral.json` registers those; it is never changed for a key that
stands there, so that a default that changes later is another identity, and only a new key's is added. A class
of a user's registers one with `field(default=0.0, metadata={"neutral": 0.0})`; without it every value counts.
Where the meaning of the code changes and no value does, a class says so: `version: ClassVar[int] = 2`.
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from t5grid.config.build import located, plain_hint, type_hints
from t5grid.config.reuse import NUM_SHARED, ByObject

REGISTER = Path(__file__).with_name("neutral.json")
FIRST_NAMES = Path(__file__).with_name("first_names.json")
"""Stable name -> the path a class was hashed under before names were stable. Frozen: nothing is added."""

SCALARS = (type(None), bool, int, float, str)
HOLE = "\0"
"""What no JSON text has in it."""


def digest_of(kind: str, version: int, content: dict[str, Any], parents: list[str]) -> str:
    """Twelve hex digits: what tells a stage from every other; `parents` are identities.

    Classes that were hashed by their path before they had a stable name still are, so that no stage that was
    made then has to be made again.
    """
    above = ", ".join([_quoted(parent) for parent in parents])
    text = f"[{_quoted(kind)}, {version}, {_text_of(content)}, [{above}]]"
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


_text = json.JSONEncoder(sort_keys=True, ensure_ascii=False).encode
_quoted = json.encoder.encode_basestring
"""As `_text`, of a text."""


def _text_of(content: dict[str, Any]) -> str:
    """The JSON of a content; what several have in common is written once."""
    nodes, own = dict[str, Any](), list[str]()
    for name, value in content.items():
        if type(name) is not str or name == "_target_":
            return _part(content)
        if type(value) in (dict, list):
            nodes[name] = value
        else:
            own.append(name)
    own.sort()
    around = _around(HOLE.join(nodes), HOLE.join(own), *nodes.values())
    return around % tuple([_part(content[name]) for name in own])


def _part(node: Any) -> str:
    return str(node) if type(node) is int else _text(_with_names(node, _first_names()))


def _text_around(names: str, own: str, *nodes: Any) -> str:
    """The JSON of a content with `%s` for the values of the names in `own`, in their order."""
    texts = dict.fromkeys(own.split(HOLE) if own else (), HOLE)
    texts |= dict(zip(names.split(HOLE), map(_part, nodes), strict=False))
    whole = ", ".join([f"{_text(name)}: {texts[name]}" for name in sorted(texts)])
    return f"{{{whole}}}".replace("%", "%%").replace(HOLE, "%s")


_around = ByObject(_text_around, limit=NUM_SHARED)


def in_stable_names(content: Any) -> Any:
    """The content of a stage as it is said today, also of one that was made under older names."""
    return _with_names(content, {path: name for name, path in _first_names().items()})


def _with_names(node: Any, names: Mapping[str, str]) -> Any:
    """The node with every `_target_` that `names` knows exchanged."""
    if isinstance(node, list):
        return [_with_names(item, names) for item in node]
    if not isinstance(node, Mapping):
        return node
    return {
        key: names.get(value, value) if key == "_target_" else _with_names(value, names)
        for key, value in node.items()
    }


def is_ours(cls: type) -> bool:
    """Whether a class is the package's own."""
    return f"{cls.__module__}.".startswith("t5grid.")


def stable_name(cls: Any) -> str:
    """What a class is called in identities: `objective/ReplaceSpans`, or `mine.Objective` of a user's own."""
    axis = getattr(cls, "axis", None)
    return f"{axis}/{cls.__qualname__}" if axis and is_ours(cls) else f"{cls.__module__}.{cls.__qualname__}"


def essential(node: Any, hint: Any = None) -> Any:
    """A canonical node under stable names, without neutral values, and with the defaults that are not."""
    if isinstance(node, list):
        return [_in_full(item) for item in node]
    if not isinstance(node, Mapping):
        return node
    cls = located(node["_target_"], "") if "_target_" in node else plain_hint(hint)
    if not (isinstance(cls, type) and dataclasses.is_dataclass(cls)):
        return {name: essential(value) for name, value in node.items()}
    neutral, hints = neutral_values(cls), type_hints(cls)
    kept = {name: value for name, value in node.items() if name not in neutral or value != neutral[name]}
    content = {name: essential(value, hints.get(name)) for name, value in kept.items()}
    named = {"_target_": stable_name(cls)} if "_target_" in node else {}
    return content | named | {name: value for name, value in _beyond(cls).items() if name not in node}


def _in_full(node: Any) -> Any:
    """A node under stable names: in a list every value counts."""
    if isinstance(node, list):
        return [_in_full(item) for item in node]
    if not isinstance(node, Mapping):
        return node
    named = {"_target_": stable_name(located(node["_target_"], ""))} if "_target_" in node else {}
    return {name: _in_full(value) for name, value in node.items()} | named


@cache
def neutral_values(cls: Any) -> dict[str, Any]:
    """The values of a class's keys that identify nothing."""
    registered = registered_values(cls)
    neutral = {}
    for field in dataclasses.fields(cls):
        if "neutral" in field.metadata:
            neutral[field.name] = field.metadata["neutral"]
        elif field.name in registered:
            neutral[field.name] = registered[field.name]
        elif is_ours(cls) and isinstance(field.default, SCALARS):
            neutral[field.name] = field.default
    return neutral


@cache
def _beyond(cls: Any) -> dict[str, Any]:
    """What a class adds to a node that leaves it out: defaults that are not neutral, and a version."""
    neutral, added = neutral_values(cls), {}
    for field in dataclasses.fields(cls):
        if isinstance(field.default, SCALARS) and neutral.get(field.name, ...) != field.default:
            added[field.name] = field.default
    if "version" not in added and (version := vars(cls).get("version", 1)) != 1:
        added["version"] = version
    return added


def registered_values(cls: Any) -> dict[str, Any]:
    """What `neutral.json` says of a class."""
    return _register().get(stable_name(cls), {})


@cache
def _register() -> dict[str, dict[str, Any]]:
    return json.loads(REGISTER.read_text(encoding="utf-8"))


@cache
def _first_names() -> dict[str, str]:
    return json.loads(FIRST_NAMES.read_text(encoding="utf-8"))
