"""plain config node -> frozen dataclass: every key and type checked before it is built.

A mapping with `_target_`, or one whose type hint is a dataclass, becomes that dataclass; lists become tuples.
Hints say what a key takes, with `Annotated` rules where a type says too little: `Annotated[int, AtLeast(1)]`.
They are checked as deep as they go, in lists and in keys and values of mappings, and a complaint names the
innermost key. Nothing is converted but a whole number where a float is meant: YAML's `no` is no text.

A config may be a stranger's: a `_target_` is imported only from packages that are trusted (`config.trust`).
"""

import dataclasses
import difflib
import importlib
import json
import math
import re
import types
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from t5grid.config.called import Called
from t5grid.config.rules import Rule
from t5grid.config.trust import check_allowed
from t5grid.refused import Refused

MOVED = Path(__file__).with_name("moved.json")
UNIONS, LISTS, MAPPINGS = (typing.Union, types.UnionType), (list, tuple, Sequence), (dict, Mapping)


def build(node: Any, key: str, hint: Any = None) -> Any:
    """The value of a plain node found at `key`. Raises Refused, one line, naming the key it is about."""
    if plain_hint(hint) is Called:
        return Called.of(node, key)
    if isinstance(node, list):
        return tuple(build(item, where, inner) for where, item, inner in _children(node, hint, key))
    if not isinstance(node, Mapping):
        return node
    cls = located(node["_target_"], key) if "_target_" in node else _mapping_hint(hint, node)
    if dataclasses.is_dataclass(cls):
        return _construct(cls, node, key)
    children = zip(node, _children(node, cls, key), strict=True)
    return {name: build(item, where, inner) for name, (where, item, inner) in children}


def canonical(node: Any, hint: Any = None) -> Any:
    """A valid plain node, equal for equal values: 2 where a float is meant becomes 2.0."""
    if not isinstance(node, Mapping):
        return _number(node, hint)
    if plain_hint(hint) is Called:
        return node
    cls = located(node["_target_"], "") if "_target_" in node else _mapping_hint(hint, node)
    if isinstance(cls, type) and dataclasses.is_dataclass(cls):
        hints = type_hints(cls)
        return {name: canonical(value, hints.get(name)) for name, value in node.items()}
    children = zip(node, _children(node, cls, ""), strict=True)
    return {name: canonical(item, inner) for name, (_, item, inner) in children}


@cache
def type_hints(cls: Any) -> dict[str, Any]:
    """The hints of a dataclass with their rules."""
    return typing.get_type_hints(cls, include_extras=True)


def plain_hint(hint: Any) -> Any:
    """A hint without its rules."""
    return typing.get_args(hint)[0] if typing.get_origin(hint) is typing.Annotated else hint


def _options(hint: Any) -> list[Any]:
    """The types that a hint leaves the choice of, without their rules."""
    plain = plain_hint(hint)
    if typing.get_origin(plain) in UNIONS:
        return [option for choice in typing.get_args(plain) for option in _options(choice)]
    return [plain]


def _mapping_hint(hint: Any, node: Mapping[Any, Any]) -> Any:
    """What a mapping is meant as: a dataclass that has all its keys, a dict, or the first dataclass."""
    options = _options(hint)
    classes = [option for option in options if dataclasses.is_dataclass(option)]
    fitting = [cls for cls in classes if set(node) <= {field.name for field in dataclasses.fields(cls)}]
    dicts = [option for option in options if (typing.get_origin(option) or option) in MAPPINGS]
    return next(iter((*fitting, *dicts, *classes)), None)


Children = list[tuple[str, Any, Any]]


def _children(value: Any, hint: Any, key: str) -> Children:
    """Key, value and hint of what is in a list or mapping; without a hint where `hint` has no such type."""
    untyped = dict[Any, Any] if isinstance(value, Mapping) else list[Any]
    tried = (_contents(value, option, key) for option in (*_options(hint), untyped))
    return next(contents for contents in tried if contents is not None)


def _contents(value: Any, option: Any, key: str) -> Children | None:
    """Key, value and hint of what is in a list or mapping; None where that is not what is meant."""
    origin, arguments = typing.get_origin(option) or option, typing.get_args(option)
    if origin in MAPPINGS and isinstance(value, Mapping):
        inner = arguments[1] if arguments else Any
        return [(f"{key}.{_shown(name)}", item, inner) for name, item in value.items()]
    if origin in LISTS and isinstance(value, list | tuple):
        hints = arguments if _has_length(option) else [*arguments[:1], Any][:1] * len(value)
        if len(hints) == len(value):
            return [(f"{key}[{i}]", item, hints[i]) for i, item in enumerate(value)]
    return None


def _has_length(option: Any) -> bool:
    """Whether it is a tuple with a hint for each place."""
    return typing.get_origin(option) is tuple and Ellipsis not in typing.get_args(option)


def _construct(cls: Any, node: Mapping[str, Any], key: str) -> Any:
    """The dataclass; its own keys are checked before those further in, which may point to them."""
    fields = {field.name: field for field in dataclasses.fields(cls) if field.init}
    given = {name: value for name, value in node.items() if name != "_target_"}
    for name in given:
        if name not in fields:
            raise Refused(f"{key}.{_shown(name)}: no such key{nearest(name, fields)}")
    lacking = [name for name, field in fields.items() if name not in given and _is_needed(field)]
    if len(lacking) == 1:
        raise Refused(f"{key}.{lacking[0]}: a value is needed (write {key}.{lacking[0]}=...)")
    if lacking:
        raise Refused(f"{', '.join(f'{key}.{name}' for name in lacking)}: a value is needed for each")
    hints = type_hints(cls)
    values = {}
    for name, value in sorted(given.items(), key=lambda item: isinstance(item[1], Mapping | list)):
        where = f"{key}.{name}"
        values[name] = check_type(build(value, where, hints[name]), hints[name], where)
    try:
        return cls(**values)
    except ValueError as error:
        raise Refused(_placed(str(error), key)) from None


def _is_needed(field: Any) -> bool:
    return field.default is field.default_factory is dataclasses.MISSING


def nearest(name: str, names: Iterable[str]) -> str:
    """What stands instead of `name`, the likeliest first: ` (did you mean 'rate'?); there are rate, mean`."""
    names = [str(option) for option in names]
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


def refuse_hidden_targets(key: str, node: Any) -> None:
    """Raise Refused for a `_target_` that is an interpolation: elsewhere it may be another class."""
    items = node.items() if isinstance(node, Mapping) else enumerate(node if isinstance(node, list) else ())
    for name, value in items:
        if name == "_target_" and "${" in str(value):
            raise Refused(f"{key}._target_={value}: an interpolation; write the class out")
        if isinstance(value, Mapping | list):
            refuse_hidden_targets(f"{key}.{name}", value)


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


def check_type(value: Any, hint: Any, key: str) -> Any:
    """`value` if it fits `hint` (whole numbers serve as floats, tuples as lists). Raises Refused."""
    if not _fits(value, hint):
        raise Refused(_complaint(value, hint, key))
    return _with_floats(value, hint)


def _with_floats(value: Any, hint: Any) -> Any:
    """A value that fits, with floats where they are meant."""
    if not isinstance(value, Mapping):
        return _number(value, hint)
    children = zip(value, _children(value, hint, ""), strict=True)
    return {name: _with_floats(item, inner) for name, (_, item, inner) in children}


def _number(value: Any, hint: Any) -> Any:
    """A whole number as a float where nothing but that is meant; whatever else as it is.

    Numbers in lists, and those in whose place null may stand, stay as written: stages are identified by them.
    """
    return float(value) if type(value) is int and plain_hint(hint) is float else value


def _complaint(value: Any, hint: Any, key: str) -> str:
    """What does not fit, as far in as the value has the shape of the hint, and what is wanted there."""
    for option in _options(hint):
        for where, item, inner in _contents(value, option, key) or ():
            if not _fits(item, inner):
                return _complaint(item, inner, where)
        for name in _odd_keys(value, option):
            wanted = typing.get_args(option)[0]
            return f"{key}: the key {_shown(name)}: {_wanted(wanted)} is needed{_quoted(name, wanted)}"
    return f"{key}={_shown(value)}: {_wanted(hint)} is needed{_quoted(value, hint)}"


def _odd_keys(value: Any, option: Any) -> Iterator[Any]:
    """The keys of a mapping that do not fit."""
    if typing.get_origin(option) in MAPPINGS and isinstance(value, Mapping):
        yield from (name for name in value if not _fits(name, typing.get_args(option)[0]))


def _quoted(value: Any, hint: Any) -> str:
    """How to write a value that YAML took for something else, where its spelling is what is meant."""
    spellings = _spellings(value)
    fitting = [text for text in spellings if _fits(text, hint)]
    if not fitting:
        return ""
    read = f"; YAML reads {', '.join(spellings)} as {spellings[-1]}" if len(spellings) > 1 else ""
    return f'{read}; quote it: "{fitting[0]}"'


def _spellings(value: Any) -> tuple[str, ...]:
    """What may have been written for a value that is no text, by YAML 1.1."""
    if isinstance(value, bool):
        return ("yes", "on", "true") if value else ("no", "off", "false")
    return (_shown(value),) if value is None or isinstance(value, int | float) else ()


def _fits(value: Any, hint: Any) -> bool:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return _fits(value, arguments[0]) and all(rule.allows(value) for rule in _rules(hint))
    if origin in UNIONS:
        return any(_fits(value, option) for option in arguments)
    if origin is typing.Literal:
        return any(type(value) is type(option) and value == option for option in arguments)
    if (origin or hint) in (*LISTS, *MAPPINGS):
        contents = _contents(value, hint, "")
        inside = contents is not None and all(_fits(item, inner) for _, item, inner in contents)
        return inside and not any(True for _ in _odd_keys(value, hint))
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return hint is Any or isinstance(value, origin or hint)


def _rules(hint: Any) -> list[Rule]:
    """The rules of an annotated hint; what else it is annotated with is somebody else's."""
    return [rule for rule in hint.__metadata__ if isinstance(rule, Rule)]


WORDS: dict[Any, str] = {
    **{int: "a whole number", float: "a number", str: "text", bool: "true or false", types.NoneType: "null"},
    Any: "a value",
    **dict.fromkeys(LISTS, "a list"),
    **dict.fromkeys(MAPPINGS, "a mapping"),
}


def _wanted(hint: Any) -> str:
    """A hint in words."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        base = _wanted(arguments[0])
        for rule in _rules(hint):
            base = rule.wanted(base)
        return base
    if origin in UNIONS:
        return " or ".join(_wanted(option) for option in arguments)
    if origin is typing.Literal:
        return f"one of {', '.join(map(_shown, arguments))}"
    if _has_length(hint):
        return f"a list of {len(arguments)}: {', '.join(map(_wanted, arguments))},"
    if origin in LISTS:
        return f"a list, each {_wanted(arguments[0])},"
    if dataclasses.is_dataclass(hint):
        return f"a mapping with {', '.join(field.name for field in dataclasses.fields(hint))}"
    return WORDS.get(hint, "a mapping" if origin in MAPPINGS else str(hint))


def _shown(value: Any) -> str:
    """A value as it would be written in an override."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_shown, value))}]"
    if isinstance(value, Mapping):
        return f"{{{','.join(f'{name}: {_shown(item)}' for name, item in value.items())}}}"
    return type(value).__name__ if dataclasses.is_dataclass(value) else str(value)
