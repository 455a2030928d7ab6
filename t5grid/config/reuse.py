"""overrides -> plain config, put together from what Hydra composed before.

A cell is the default config with some options exchanged and some values set. Where that is all, each option
is composed by Hydra once, and groups that are equal in two cells are one and the same object. Whatever goes
further (a key that is added or deleted, Hydra's own keys) Hydra composes whole. Both ways give the same
config, and complaints are always Hydra's.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from omegaconf import DictConfig, OmegaConf

from t5grid.config.compose import GROUPS, compose, load_option, multiplied, parse
from t5grid.refused import Refused

Node = dict[str, Any]
NESTED = ("corpus@strategy.corpus",)
"""Groups that stand inside another one's option: what is chosen there has a label too."""
NUM_SHARED = 2**14
"""Parts of cells that are kept for the next cells of this process."""


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
    given = config.hydra.runtime.choices
    choices = {group: str(given.get(group, group)) for group in GROUPS}
    choices |= {name: str(given[name]) for name in NESTED if given.get(name)}
    words = OmegaConf.to_container(config.hydra.overrides.task)  # unresolved, as written
    assert isinstance(words, list)
    return Composed({str(key): value for key, value in raw.items()}, choices, tuple(map(str, words)))


class ByObject:
    """A function of objects that nobody changes, remembered for as long as this lives.

    Objects are told apart by identity, texts by what they say. Where there is a limit to how many are kept,
    all are forgotten when it is reached.
    """

    def __init__(self, function: Callable[..., Any], limit: float = math.inf) -> None:
        self.function, self.limit, self.known = function, limit, dict[Any, Any]()

    def __call__(self, *arguments: Any) -> Any:
        key = tuple([value if type(value) is str else id(value) for value in arguments])
        known = self.known.get(key)
        if known is None:
            known = (arguments, self.function(*arguments))  # what is kept keeps its identity
            if len(self.known) >= self.limit:
                self.known.clear()
            self.known[key] = known
        return known[1]


class OneOfEqual:
    """plain node -> the first node that is equal in all parts, values and types; so are the parts of it."""

    def __init__(self) -> None:
        self.known = dict[Any, Any]()

    def __call__(self, node: Any) -> Any:
        if isinstance(node, dict):
            node = {name: self(value) for name, value in node.items()}
            key: Any = (dict, *node, *map(id, node.values()))
        elif isinstance(node, list):
            node = [self(value) for value in node]
            key = (list, *map(id, node))
        else:
            key = (type(node), repr(node))
        return self.known.setdefault(key, node)


class _Further(Exception):
    """A cell that Hydra must compose whole."""


class Parts:
    """Composes cells; what was composed once is used again, so files are read as they were at first.

    Options that reach into other groups are chosen first, by Hydra: what it makes of them is a default too.
    """

    def __init__(self) -> None:
        self._defaults: dict[tuple[str, ...], Composed] = {}
        self._parsed: dict[str, Any] = {}
        self._alone: dict[tuple[str, ...], Composed] = {}
        self._options: dict[tuple[str, str], Any] = {}
        self._groups: dict[tuple[str, ...], Any] = {}

    def compose(self, words: Sequence[str]) -> Composed:
        """The composed config of one cell. Raises Refused, one line, for anything Hydra refuses."""
        words = multiplied(words, self._look)
        for word in words:
            if word not in self._parsed:
                self._parsed[word] = Word.of(parse(word))
        reaching = tuple([word for word in words if self._reaches_out(word)])
        try:
            default = self._default(reaching)
            cell = self._put_together(default, [word for word in words if word not in reaching])
        except _Further:
            return composed(compose(words))
        return replace(cell, words=tuple(words))

    def options(self, choices: Mapping[str, str]) -> Composed:
        """The config under these options of the groups and no other words. Raises Refused."""
        key = tuple(choices.values())
        if key not in self._alone:
            self._alone[key] = self.compose([f"{name}={choice}" for name, choice in choices.items()])
        return self._alone[key]

    def _reaches_out(self, text: str) -> bool:
        """Whether a word chooses an option that says something of other groups too."""
        word = self._parsed[text]
        return word.is_plain and word.is_choice and self._option(word.top, word.value) is None

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
            parsed = self._parsed[word]
            if not parsed.is_plain or parsed.top not in default.raw:
                raise _Further
            if parsed.is_choice:
                choices[parsed.top] = parsed.value  # given twice, the last one counts
            else:
                values.setdefault(parsed.top, []).append(word)
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
                node = _with_value(node, self._parsed[word].path, self._parsed[word].value)
            self._groups[known] = node
        return self._groups[known]


@dataclass(frozen=True)
class Word:
    """What an override does: a plain one exchanges the option of a group, or sets a value by its path."""

    top: str
    path: list[str]
    value: Any
    is_choice: bool
    is_plain: bool

    @staticmethod
    def of(override: Any) -> "Word":
        """That of an override as Hydra understands it."""
        key, value = override.key_or_group, override.value()
        changes = not (override.is_add() or override.is_force_add() or override.is_delete())
        is_path = re.fullmatch(r"\w+(\.\w+)*", key) and override.package is None
        top, *path = key.split(".")
        return Word(
            top, path, value, key in GROUPS, changes and bool(is_path) and not isinstance(value, dict)
        )


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
        return {key: self.node(key, raw) for key in raw}

    def node(self, key: str, raw: Node) -> Any:
        """One top-level node of it."""
        return raw[key] if self._named(raw[key]) is None else self._resolve(key, raw)

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
