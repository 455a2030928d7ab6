"""two stages -> why they are not one, key by key, down through their parents."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from t5grid.config.identity import in_stable_names
from t5grid.execution.store import Store
from t5grid.files import read_json
from t5grid.refused import Refused
from t5grid.stages.stage import Stage
from t5grid.stages.stage_file import description

LEFT_OUT = "(left out: neutral)"
DESCRIBED = {"kind", "version", "content", "parents"}
Description = dict[str, Any]


class Known:
    """Descriptions of the stages of a store, of kept records and of grids that may not have run."""

    def __init__(self, store: Store, records: Path, stages: Iterable[Stage] = ()) -> None:
        self.store, self.records = store, records
        self.planned = {stage.identity: stage for stage in stages}

    def identities(self, kind: str) -> list[str]:
        """Every stage of a kind."""
        identities = {identity for identity in self.planned if identity.startswith(f"{kind}/")}
        if kind not in ("", ".", ".."):
            identities |= {
                f"{kind}/{path.parent.name}" for path in (self.store.root / kind).glob("*/config.yaml")
            }
            identities |= {
                f"{kind}/{path.parent.name}" for path in (self.store.root / kind).glob("*/record.json")
            }
            identities |= {f"{kind}/{path.stem}" for path in (self.records / kind).glob("*.json")}
        return sorted(identities)

    def named(self, part: str) -> str:
        """The one stage that `kind/part` is a part of. Raises Refused for none or several."""
        kind, _, name = part.partition("/")
        matches = [identity for identity in self.identities(kind) if name in identity.partition("/")[2]]
        if part in matches:
            return part
        if len(matches) != 1:
            several = f"{len(matches)} stages have it in their name: {', '.join(matches[:5])}; say more of it"
            none = f"no stage in {self.store.root} or {self.records} has it in its name"
            raise Refused(f"{part}: {several if matches else none}")
        return matches[0]

    def describe(self, identity: str) -> Description | None:
        """What a stage is; None of one that nobody knows."""
        if identity in self.planned:
            return self.planned[identity].describe()
        folder = self.store.root / identity
        if (folder / "config.yaml").exists():
            return description(folder / "config.yaml")
        record = read_json(folder / "record.json") or read_json(self.records / f"{identity}.json")
        return record if record and record.keys() >= DESCRIBED else None


def explain_difference(a: str, b: str, known: Known) -> Iterator[str]:
    """Lines: what differs between two stages, first their own content, then their parents'."""
    if a == b:
        yield f"one and the same stage: {a}"
        return
    yield f"A: {a}"
    yield f"B: {b}"
    differences = list(_differences(a, b, known.describe, "  ", set()))
    yield from differences or ["  nothing but the name: the same content under two labels"]


def _differences(
    a: str, b: str, describe: Callable[[str], Description | None], indent: str, compared: set[tuple[str, str]]
) -> Iterator[str]:
    """`compared` are the pairs that have been: a damaged file may say that a stage stands on itself."""
    if (a, b) in compared:
        yield f"{indent}(compared above)"
        return
    compared.add((a, b))
    left, right = describe(a), describe(b)
    if left is None or right is None:
        yield f"{indent}of {a if left is None else b} nothing is known here"
        return
    for key in ("kind", "version"):
        if left[key] != right[key]:
            yield f"{indent}{key}: {left[key]} | {right[key]}"
    left_values, right_values = (dict(_flat(in_stable_names(side["content"]))) for side in (left, right))
    for key in dict.fromkeys([*left_values, *right_values]):
        if left_values.get(key, LEFT_OUT) != right_values.get(key, LEFT_OUT):
            yield f"{indent}{key}: {left_values.get(key, LEFT_OUT)} | {right_values.get(key, LEFT_OUT)}"
    yield from _of_parents(left["parents"], right["parents"], describe, indent, compared)


def _of_parents(
    left: list[str],
    right: list[str],
    describe: Callable[[str], Description | None],
    indent: str,
    compared: set[tuple[str, str]],
) -> Iterator[str]:
    """Parents are compared kind by kind, in order."""
    for kind in dict.fromkeys(parent.partition("/")[0] for parent in [*left, *right]):
        pair = [[parent for parent in parents if parent.startswith(f"{kind}/")] for parents in (left, right)]
        for i in range(max(map(len, pair))):
            a, b = (parents[i] if i < len(parents) else None for parents in pair)
            if a == b:
                continue
            yield f"{indent}parent: {a or '(none)'} | {b or '(none)'}"
            if a and b:
                yield from _differences(a, b, describe, indent + "  ", compared)


def _flat(node: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every value with its dotted key, as JSON writes it."""
    if isinstance(node, Mapping) and node:
        for key, value in node.items():
            yield from _flat(value, f"{path}.{key}" if path else str(key))
    else:
        yield path, json.dumps(node, ensure_ascii=False)
