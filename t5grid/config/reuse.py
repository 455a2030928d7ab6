"""overrides -> plain config, put together from what Hydra composed before.

A cell is the default config with some options exchanged and some values set. Where that is all, each option
is composed by Hydra once, and groups that are equal in two cells are one and the same object. Whatever goes
further (a key that is added or deleted, Hydra's own keys) Hydra composes whole. Both ways give the same
config, and complaints are always Hydra's.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from omegaconf import DictConfig, OmegaConf

from t5grid.config.compose import GROUPS, compose, load_option, multiplied, parse
from t5grid.refused import Refused

Node = dict[str, Any]


@dataclass(frozen=True)
class Composed:
    """A config without Hydra's part, interpolations not resolved; the option of each group; and the words."""

    raw: Node
    choices: dict[str, str]
    words: tuple[str, ...]


def composed(config: DictConfig) -> Composed:
    """What Hydra composed, as plain values."""
    science = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
    raw = OmegaConf.to_container(science)
    assert isinstance(raw, dict)
    choices = {group: str(config.hydra.runtime.choices.get(group, group)) for group in GROUPS}
    words = tuple(config.hydra.overrides.task)
    return Composed({str(key): value for key, value in raw.items()}, choices, words)


class ByObject:
    """A function of an object, remembered for as long as this lives; objects are told apart by identity."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function, self.known = function, dict[Any, Any]()

    def __call__(self, *arguments: Any) -> Any:
        key = tuple(value if isinstance(value, str) else id(value) for value in arguments)
        if key not in self.known:
            self.known[key] = (arguments, self.function(*arguments))  # what is kept keeps its identity
        return self.known[key][1]


class _Further(Exception):
    """A cell that Hydra must compose whole."""


class Parts:
    """Composes cells; what was composed once is used again, so files are read as they were at first.

    Options that reach into other groups are chosen first, by Hydra: what it makes of them is a default too.
    """

    def __init__(self) -> None:
        self._defaults: dict[tuple[str, ...], Composed] = {}
        self._parsed: dict[str, Any] = {}
        self._options: dict[tuple[str, str], Any] = {}
        self._groups: dict[tuple[str, ...], Any] = {}

    def compose(self, words: Sequence[str]) -> Composed:
        """The composed config of one cell. Raises Refused, one line, for anything Hydra refuses."""
        words = multiplied(words, self._look)
        for word in words:
            self._parsed[word] = self._parsed.get(word) or parse(word)
        reaching = tuple(word for word in words if self._reaches_out(word))
        try:
            default = self._default(reaching)
            cell = self._put_together(default, [word for word in words if word not in reaching])
        except _Further:
            return composed(compose(words))
        return replace(cell, words=tuple(words))

    def _reaches_out(self, word: str) -> bool:
        """Whether a word chooses an option that says something of other groups too."""
        override = self._parsed[word]
        if override.key_or_group not in GROUPS or not _is_plain(override):
            return False
        return self._option(override.key_or_group, override.value()) is None

    def _default(self, reaching: tuple[str, ...]) -> Composed:
        """The default config under options that reach further. Raises _Further if they cannot stand alone."""
        if reaching not in self._defaults:
            try:
                self._defaults[reaching] = composed(compose(reaching))
            except Refused:
                raise _Further from None
        return self._defaults[reaching]

    def _look(self, words: Sequence[str]) -> tuple[dict[str, str], DictConfig]:
        cell = self.compose(words)
        return cell.choices, OmegaConf.create(cell.raw)

    def _put_together(self, default: Composed, words: Sequence[str]) -> Composed:
        """The default config with options exchanged and values set. Raises _Further where that is not all."""
        choices, values = self._sort_out(default, words)
        raw = {}
        for key in default.raw:
            node = self._chosen(default, key, choices.get(key, ""))
            raw[key] = self._with_values(key, choices.get(key, ""), node, values.get(key, []))
        return Composed(raw, choices, tuple(words))

    def _sort_out(
        self, default: Composed, words: Sequence[str]
    ) -> tuple[dict[str, str], dict[str, list[str]]]:
        """The option of each group, and the words that set values below each key. Raises _Further."""
        choices, values = dict(default.choices), dict[str, list[str]]()
        for word in words:
            override = self._parsed[word]
            top = override.key_or_group.split(".")[0]
            if not _is_plain(override) or top not in default.raw:
                raise _Further
            if override.key_or_group in GROUPS:
                choices[top] = override.value()  # given twice, the last one counts
            else:
                values.setdefault(top, []).append(word)
        return choices, values

    def _chosen(self, default: Composed, key: str, choice: str) -> Any:
        """The top-level node under a choice of its option. Raises _Further if the option is not all of it."""
        if choice == default.choices.get(key, ""):
            return default.raw[key]
        if self._option(key, default.choices[key]) != default.raw[key]:  # another file has a say in it
            raise _Further
        node = self._option(key, choice)
        if node is None:
            raise _Further
        return node

    def _option(self, group: str, option: str) -> Any:
        """An option by itself; None if there is none, or it says something of other groups."""
        if (group, option) not in self._options:
            self._options[group, option] = load_option(group, option)
        return self._options[group, option]

    def _with_values(self, key: str, choice: str, node: Any, words: list[str]) -> Any:
        """A top-level node with values set in it, the same object for the same values."""
        if not words:
            return node
        known = (key, choice, *words)
        if known not in self._groups:
            for word in words:
                override = self._parsed[word]
                node = _with_value(node, override.key_or_group.split(".")[1:], override.value())
            self._groups[known] = node
        return self._groups[known]


def _is_plain(override: Any) -> bool:
    """Whether an override exchanges an option, or sets a value by its plain path."""
    changes = not (override.is_add() or override.is_force_add() or override.is_delete())
    is_path = re.fullmatch(r"\w+(\.\w+)*", override.key_or_group) and override.package is None
    return changes and bool(is_path) and not isinstance(override.value(), dict)


def _with_value(node: Any, path: Sequence[str], value: Any) -> Any:
    """A copy, along the path only, with another value at its end. Raises _Further if there is none."""
    if not path:
        if isinstance(node, dict):
            raise _Further
        return value
    if not isinstance(node, dict) or path[0] not in node:
        raise _Further
    return {**node, path[0]: _with_value(node[path[0]], path[1:], value)}


class Resolver:
    """Resolves what was put together; nodes that refer to nothing are returned as they are."""

    def __init__(self) -> None:
        self._named = ByObject(_named)
        self._resolved: dict[tuple[Any, ...], Any] = {}

    def __call__(self, raw: Node) -> Node:
        """The config with every interpolation replaced. Raises OmegaConf's errors."""
        return {
            key: node if self._named(node) is None else self._resolve(key, raw) for key, node in raw.items()
        }

    def _resolve(self, key: str, raw: Node) -> Any:
        """A top-level node that refers to others, or lacks a value; remembered for the very same others."""
        needed, added = {key: raw[key]}, [key]
        while added:  # what is referred to may refer further
            named = set().union(*(self._named(raw[name]) or () for name in added))
            added = [name for name in raw if name in named and name not in needed]
            needed |= {name: raw[name] for name in added}
        objects = tuple(map(id, needed.values()))
        if (key, *objects) not in self._resolved:
            config = OmegaConf.create(needed)
            resolved: Any = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
            self._resolved[key, *objects] = (needed, resolved[key])
        return self._resolved[key, *objects][1]


def leaves(node: Any) -> Iterator[Any]:
    """Every value below a node, and every key."""
    if isinstance(node, dict):
        yield from node
        for value in node.values():
            yield from leaves(value)
    elif isinstance(node, list):
        for value in node:
            yield from leaves(value)
    else:
        yield node


def _named(node: Any) -> set[str] | None:
    """The words of every interpolation below a node; None if there is none, nor a value that is missing."""
    texts = [text for text in leaves(node) if isinstance(text, str) and ("${" in text or text == "???")]
    return set(re.findall(r"\w+", " ".join(texts))) if texts else None
