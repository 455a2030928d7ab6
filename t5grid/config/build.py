"""plain config node -> frozen dataclass: every key and type checked before it is built.

A mapping with `_target_`, or one whose type hint is a dataclass, becomes that dataclass; lists become tuples.
Hints say what a key takes, with `Annotated` rules where a type says too little: `Annotated[int, AtLeast(1)]`.

A config may be a stranger's: a `_target_` is imported only from t5grid, torch and pytorch_lightning, and from
packages the user names outside of any config (`--allow mine`, or T5GRID_ALLOW=mine,other in the environment).
"""

import dataclasses
import difflib
import importlib
import json
import math
import os
import re
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from t5grid.refused import Refused

PACKAGES = ("t5grid", "torch", "pytorch_lightning")
ALLOW = "T5GRID_ALLOW"
MOVED = Path(__file__).with_name("moved.json")


@dataclass(frozen=True)
class AtLeast:
    """Rule: a number from `least` up."""

    least: int

    def allows(self, value: Any) -> bool:
        return value >= self.least

    def wanted(self, base: str) -> str:
        return f"{base} from {self.least} up"


@dataclass(frozen=True)
class Above:
    """Rule: a number larger than `bound`."""

    bound: int

    def allows(self, value: Any) -> bool:
        return value > self.bound

    def wanted(self, base: str) -> str:
        return f"{base} above {self.bound}"


@dataclass(frozen=True)
class AtMost:
    """Rule: a number up to `most`."""

    most: int

    def allows(self, value: Any) -> bool:
        return value <= self.most

    def wanted(self, base: str) -> str:
        return f"{base}, at most {self.most},"


@dataclass(frozen=True)
class FileName:
    """Rule: a text that can stand in a file name."""

    def allows(self, value: Any) -> bool:
        return bool(re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", value))

    def wanted(self, base: str) -> str:
        return "a name of letters, digits and _ . -"


@dataclass(frozen=True)
class Because:
    """No rule, but the reason of a narrow type, for who meets it."""

    reason: str

    def allows(self, value: Any) -> bool:
        return True

    def wanted(self, base: str) -> str:
        return f"{base} ({self.reason})"


class Having:
    """Rule: an object of a class with these attributes, as every value of the axis has."""

    def __init__(self, *names: str) -> None:
        self.names = names

    def allows(self, value: Any) -> bool:
        return dataclasses.is_dataclass(value) and all(hasattr(value, name) for name in self.names)

    def wanted(self, base: str) -> str:
        return f"a _target_ whose class has {', '.join(self.names)}"


def build(node: Any, key: str, hint: Any = None) -> Any:
    """The value of a plain node found at `key`. Raises ValueError, one line, naming the key it is about."""
    if isinstance(node, list):
        return tuple(build(item, f"{key}[{i}]") for i, item in enumerate(node))
    if not isinstance(node, Mapping):
        return node
    cls = located(node["_target_"], key) if "_target_" in node else _mapping_hint(hint)
    if dataclasses.is_dataclass(cls):
        return _construct(cls, node, key)
    inner = typing.get_args(cls)[1] if typing.get_origin(cls) is dict else None
    return {name: build(value, f"{key}.{name}", inner) for name, value in node.items()}


def canonical(node: Any, hint: Any = None) -> Any:
    """A valid plain node, equal for equal values: 2 where a float is meant becomes 2.0."""
    if not isinstance(node, Mapping):
        is_number = isinstance(node, int) and not isinstance(node, bool)
        return float(node) if is_number and plain_hint(hint) is float else node
    cls = located(node["_target_"], "") if "_target_" in node else plain_hint(hint)
    if isinstance(cls, type) and dataclasses.is_dataclass(cls):
        hints = type_hints(cls)
        return {name: canonical(value, hints.get(name)) for name, value in node.items()}
    inner = typing.get_args(cls)[1] if typing.get_origin(cls) is dict else None
    return {name: canonical(value, inner) for name, value in node.items()}


@cache
def type_hints(cls: Any) -> dict[str, Any]:
    """The hints of a dataclass with their rules."""
    return typing.get_type_hints(cls, include_extras=True)


def plain_hint(hint: Any) -> Any:
    """A hint without its rules."""
    return typing.get_args(hint)[0] if typing.get_origin(hint) is typing.Annotated else hint


def _mapping_hint(hint: Any) -> Any:
    """What a mapping may be: of a choice the one dataclass."""
    plain = plain_hint(hint)
    if typing.get_origin(plain) in (typing.Union, types.UnionType):
        return next(filter(dataclasses.is_dataclass, typing.get_args(plain)), plain)
    return plain


def _construct(cls: Any, node: Mapping[str, Any], key: str) -> Any:
    """The dataclass; its own keys are checked before those further in, which may point to them."""
    fields = {field.name: field for field in dataclasses.fields(cls) if field.init}
    given = {name: value for name, value in node.items() if name != "_target_"}
    for name in given:
        if name not in fields:
            raise Refused(f"{key}.{name}: no such key{nearest(name, fields)}")
    for name, field in fields.items():
        if name not in given and field.default is field.default_factory is dataclasses.MISSING:
            raise Refused(f"{key}.{name}: a value is needed (write {key}.{name}=...)")
    hints = type_hints(cls)
    values = {}
    for name, value in sorted(given.items(), key=lambda item: isinstance(item[1], Mapping)):
        where = f"{key}.{name}"
        values[name] = check_type(build(value, where, hints[name]), hints[name], where)
    try:
        return cls(**values)
    except ValueError as error:
        raise Refused(_placed(str(error), key)) from None


def nearest(name: str, names: Iterable[str]) -> str:
    """What stands instead of `name`, the likeliest first: ` (did you mean 'rate'?); there are rate, mean`."""
    names = [str(each) for each in names]
    near = difflib.get_close_matches(str(name), names, 1)
    return f"{f' (did you mean {near[0]!r}?)' if near else ''}; there are {', '.join(names) or 'none'}"


def _placed(message: str, key: str) -> str:
    """A class' message with the key as a user writes it: a class knows its own name, not where it stands."""
    top, last = key.split(".")[0], key.split(".")[-1]
    if re.match(rf"{re.escape(top)}\b", message):
        return message
    if re.match(rf"{re.escape(last)}\b", message):
        return key + message[len(last) :]
    return f"{key}.{message}" if re.match(r"[\w.]+[=:]", message) else f"{key}: {message}"


def located(target: Any, key: str) -> Any:
    """The dataclass a `_target_` names; nothing else is called, and no unknown package is imported."""
    check_allowed(target, f"{key}._target_")
    module, _, name = current_path(str(target)).rpartition(".")
    try:
        cls = getattr(importlib.import_module(module), name)
    except Exception as error:  # whatever a user's own module does when it is imported
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise Refused(f"{key}._target_={target}: not found ({reason})") from error
    if not (isinstance(cls, type) and dataclasses.is_dataclass(cls)):
        raise Refused(f"{key}._target_={target}: not a dataclass, and only dataclasses are built")
    return cls


def current_path(target: str) -> str:
    """Where a class of ours is now that a config, perhaps an older one, calls `target`."""
    for old in (target, target.rpartition(".")[0]):
        if old in _moved():
            return _moved()[old] + target[len(old) :]
    return target


@cache
def _moved() -> dict[str, str]:
    """Paths of modules, and of classes that have another name, as they were -> as they are."""
    return json.loads(MOVED.read_text(encoding="utf-8"))


def check_allowed(target: Any, key: str, packages: tuple[str, ...] = PACKAGES) -> None:
    """Refuse a dotted name outside `packages` and those the user allows. Raises ValueError."""
    allowed = (*packages, *filter(None, os.environ.get(ALLOW, "").split(",")))
    if not any(str(target).startswith(f"{package}.") for package in allowed):
        package = str(target).partition(".")[0]
        raise Refused(
            f"{key}={target}: not from {', '.join(packages)}; if you trust {package}, say --allow {package}"
        )


def check_type(value: Any, hint: Any, key: str) -> Any:
    """`value` if it fits `hint` (whole numbers serve as floats, tuples as lists). Raises ValueError."""
    if typing.get_origin(hint) is dict and isinstance(value, Mapping):
        inner = typing.get_args(hint)[1]
        return {name: check_type(each, inner, f"{key}.{name}") for name, each in value.items()}
    if not _fits(value, hint):
        raise Refused(f"{key}={_shown(value)}: {_wanted(hint)} is needed")
    return float(value) if plain_hint(hint) is float else value


def _fits(value: Any, hint: Any) -> bool:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return _fits(value, arguments[0]) and all(rule.allows(value) for rule in hint.__metadata__)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, option) for option in arguments)
    if origin is typing.Literal:
        return value in arguments
    if origin in (list, tuple):
        return isinstance(value, list | tuple) and all(_fits(item, arguments[0]) for item in value)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return hint is Any or isinstance(value, origin or hint)


WORDS = {int: "a whole number", float: "a number", str: "text", bool: "true or false", types.NoneType: "null"}


def _wanted(hint: Any) -> str:
    """A hint in words."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        base = _wanted(arguments[0])
        for rule in hint.__metadata__:
            base = rule.wanted(base)
        return base
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_wanted(option) for option in arguments)
    if origin is typing.Literal:
        return f"one of {', '.join(map(str, arguments))}"
    if origin in (list, tuple):
        return f"a list, each {_wanted(arguments[0])},"
    if dataclasses.is_dataclass(hint):
        return f"a mapping with {', '.join(field.name for field in dataclasses.fields(hint))}"
    return WORDS.get(hint, "a mapping" if origin is dict else str(hint))


def _shown(value: Any) -> str:
    """A value as it would be written in an override."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_shown, value))}]"
    if isinstance(value, Mapping):
        return f"{{{','.join(f'{name}: {_shown(each)}' for name, each in value.items())}}}"
    return type(value).__name__ if dataclasses.is_dataclass(value) else str(value)
