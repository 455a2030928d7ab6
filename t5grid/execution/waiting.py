"""running commands -> the stages they are still to do: for other shells to see.

runs/.waiting-<command>/   lock.1  stages.json
"""

import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from t5grid.execution.lock import holder, locked, locks
from t5grid.execution.store import Store
from t5grid.files import read_json, write_whole
from t5grid.stages.stage import Stage

STAGES = "stages.json"


@contextmanager
def announced(stages: Iterable[Stage], store: Store) -> Iterator[None]:
    """Within, other shells see that these stages wait for this command."""
    folder = store.root / f".waiting-{uuid4().hex}"
    try:
        with locked(folder):
            write_whole(folder / STAGES, json.dumps({"stages": [stage.identity for stage in stages]}))
            yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class Command:
    """Who has announced a stage, as `process 7 on host`, and when, by the clock of the file system."""

    name: str
    since: float


def waiting_for(store: Store) -> dict[str, Command]:
    """Identity -> the command that has announced it; some are done by now, or have failed."""
    commands: dict[str, Command] = {}
    for folder in _folders(store):
        owner, stages = holder(folder), (read_json(folder / STAGES) or {}).get("stages")
        if owner and isinstance(stages, list):
            with suppress(FileNotFoundError):  # it has just ended
                since = (folder / STAGES).stat().st_mtime
                command = Command(f"process {owner.get('pid')} on {owner.get('host')}", since)
                commands |= {identity: command for identity in stages if isinstance(identity, str)}
    return commands


def discard_dead(store: Store) -> None:
    """Delete what killed commands announced."""
    for folder in _folders(store):
        if locks(folder) and not holder(folder):  # without a lock it may just be announced
            shutil.rmtree(folder, ignore_errors=True)


def _folders(store: Store) -> list[Path]:
    return sorted(store.root.glob(".waiting-*"))
