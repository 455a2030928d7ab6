"""another store -> this one: what disagrees is shown, never overwritten.

    OTHER/<kind>/<name>-<hash>/record.json    a store: the stage's files come too: others go on from it
    OTHER/<kind>/<name>-<hash>.json           kept records, as in results/records: they join the kept ones

Records of others are data: one whose place is not what its content hashes to is refused, and no link is
followed.
"""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from t5grid.config.identity import digest_of
from t5grid.execution.lock import locked
from t5grid.execution.store import Store, discard_partials
from t5grid.files import file_whole, read_json, write_whole
from t5grid.refused import Refused
from t5grid.stages.record import read_record, record_fault

MADE = {
    "config": "where its data lie",
    "resamples": "older records have none",
    "content": "what its classes are called",  # the digest says whether it is the same
    **dict.fromkeys(("seconds", "wall_seconds", "resumed_at"), "when"),
    **dict.fromkeys(("machine", "python", "versions", "commit", "runtime", "num_threads"), "by what"),
}
"""What of a record may differ between two that agree."""

LEFT = ("lock.", ".", "status.json", "failed.json", "record.json")
"""Files that do not come along, or not with the others."""


@dataclass(frozen=True)
class Merged:
    """What became of one record: taken, same, conflict, held (somebody is at it here) or refused; and why."""

    identity: str
    word: str
    detail: str = ""


def merge_store(source: Path, store: Store, records: Path) -> Iterator[Merged]:
    """Bring in every finished stage of `other`. Raises Refused where there is none."""
    paths = sorted([*source.glob("*/*/record.json"), *source.glob("*/*.json")])
    if not paths:
        raise Refused(f"{source}: no records; a store (runs/) or kept records (results/records/) is needed")
    for path in paths:
        is_stage = path.name == "record.json"
        identity = (
            f"{path.parent.parent.name}/{path.parent.name}" if is_stage else f"{path.parent.name}/{path.stem}"
        )
        foreign = read_json(path)
        below = [path, *(folder for folder in path.parents if source in folder.parents)]
        fault = record_fault(path, identity)
        if reason := _distrust(identity, foreign, any(place.is_symlink() for place in below)) or fault:
            yield Merged(identity, "refused", reason)
            continue
        assert foreign is not None
        local = read_record(store.root / identity / "record.json", identity)
        local = local or read_record(records / f"{identity}.json", identity)
        if local is not None and (detail := disagreement(local, foreign)):
            yield Merged(identity, "conflict", detail)
        elif is_stage:
            yield _take_stage(path.parent, identity, store)
        else:
            yield _take_record(path, identity, local, records)


def disagreement(local: dict[str, Any], foreign: dict[str, Any]) -> str:
    """The values that differ in two records of a stage, apart from when and by what it was made."""
    keys = [key for key in dict.fromkeys([*local, *foreign]) if key not in MADE]
    return "; ".join(
        f"{key}: {_short(local.get(key))} here, {_short(foreign.get(key))} there"
        for key in keys
        if local.get(key) != foreign.get(key)
    )


def _distrust(identity: str, record: dict[str, Any] | None, is_link: bool) -> str:
    """Why a record is not what it says; empty if it is."""
    if record is None or is_link:
        return "not a record"
    try:
        parts = [record[key] for key in ("kind", "version", "content", "parents")]
        is_its_own = record["identity"] == identity and identity.startswith(f"{record['kind']}/")
        digest = digest_of(*parts)
    except (KeyError, TypeError, ValueError, RecursionError):
        return "not a record"
    if not is_its_own or not identity.endswith(f"-{digest}"):
        return f"its content belongs to another stage ({digest})"
    return ""


def _take_stage(source: Path, identity: str, store: Store) -> Merged:
    """All files of a stage, its record last; what an unfinished run left here makes way."""
    target = store.root / identity
    with locked(target) as is_held:
        if not is_held:
            return Merged(identity, "held", "it runs here")
        if read_record(target / "record.json", identity):
            return Merged(identity, "same")
        discard_partials(target)
        shutil.rmtree(target / "checkpoints", ignore_errors=True)
        for path in sorted(source.rglob("*")):
            if path.is_file() and not path.is_symlink() and not path.name.startswith(LEFT):
                with file_whole(target / path.relative_to(source)) as copy:
                    shutil.copyfile(path, copy)
        (target / "failed.json").unlink(missing_ok=True)
        write_whole(target / "record.json", (source / "record.json").read_bytes())
    return Merged(identity, "taken")


def _take_record(path: Path, identity: str, local: dict[str, Any] | None, records: Path) -> Merged:
    """A kept record and its curve."""
    if local is not None:
        return Merged(identity, "same")
    curve = path.with_suffix(".csv")
    if curve.is_file() and not curve.is_symlink():
        write_whole(records / f"{identity}.csv", curve.read_bytes())
    write_whole(records / f"{identity}.json", path.read_bytes())
    return Merged(identity, "taken")


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."
