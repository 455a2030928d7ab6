"""stages on disk: what is done, failed or running.

    runs/<kind>/<name>-<hash>/
        config.yaml  lock.1  status.json  log.txt  metrics.csv  checkpoints/  record.json | failed.json
        cancelled.json    while nobody has asked for it again

Every file is written whole or not at all.
"""

import json
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

from t5grid.execution.lock import lock_is_alive, locked, locks
from t5grid.files import check_fence, read_json, write_whole
from t5grid.stages import stage_file
from t5grid.stages.record import read_record
from t5grid.stages.stage import Stage

PARTIAL = (".*.partial", "*.bin.partial", "*.partial.npy")  # the latter two as older versions named shards

CANCELLED = "cancelled.json"
BEGAN = "T5GRID_BEGAN"  # when a command of several jobs began, as seconds: none of them asks again


def discard_partials(folder: Path) -> None:
    """Delete the parts of files that a kill left in the folder of a stage whose lock is held."""
    check_fence(folder)
    for pattern in PARTIAL:
        for partial in folder.rglob(pattern):
            partial.unlink(missing_ok=True)


class Cancelled(Exception):
    """Ends a stage that was cancelled from elsewhere."""


class Store:
    """The folder of all stages."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root).absolute()

    def folder(self, stage: Stage) -> Path:
        """Where a stage keeps what it makes."""
        return self.root / stage.identity

    def record(self, stage: Stage) -> dict[str, Any] | None:
        """What a finished stage recorded; None too where the file is of no use, and the stage runs again."""
        return read_record(self.folder(stage) / "record.json", stage.identity)

    def failure(self, stage: Stage) -> dict[str, Any] | None:
        """Why a stage failed, with the end of its traceback."""
        return read_json(self.folder(stage) / "failed.json")

    def failed_at(self, stage: Stage) -> float:
        """When a stage failed, by the clock of the file system; 0 if it did not."""
        with suppress(FileNotFoundError):
            return (self.folder(stage) / "failed.json").stat().st_mtime
        return 0.0

    def status(self, stage: Stage) -> dict[str, Any]:
        """The last progress a running stage reported."""
        return read_json(self.folder(stage) / "status.json") or {}

    def state(self, stage: Stage) -> str:
        """done | running | failed | missing; a cancelled one is one of the latter two."""
        if self.record(stage) is not None:
            return "done"
        if any(map(lock_is_alive, locks(self.folder(stage)).values())):
            return "running"
        if self.record(stage) is not None:  # it ended between the two looks
            return "done"
        return "failed" if (self.folder(stage) / "failed.json").exists() else "missing"

    def states(self, stages: Iterable[Stage]) -> dict[str, str]:
        """Identity -> state; what has no folder is missing, and not looked for further."""
        listed, states = dict[str, frozenset[str] | None](), dict[str, str]()
        for stage in stages:
            kind, _, name = stage.identity.partition("/")
            if kind not in listed:
                listed[kind] = _listing(self.root / kind)
            names = listed[kind]
            states[stage.identity] = self.state(stage) if names is None or name in names else "missing"
        return states

    def begin(self, stage: Stage) -> None:
        """Say what the stage is; an earlier failure, and parts of files a kill left, are forgotten."""
        folder = self.folder(stage)
        discard_partials(folder)
        stage_file.write([stage], self.folder)
        (folder / "failed.json").unlink(missing_ok=True)

    @contextmanager
    def cancelling(self, identities: Iterable[str]) -> Iterator[None]:
        """Keep stages from running until somebody asks for them again, unless what is done within fails.

        One that runs ends when it next reports, if not before.
        """
        marks = [self.root / identity / CANCELLED for identity in identities]
        for mark in marks:
            write_whole(mark, json.dumps({"time": round(time.time(), 1)}))
        try:
            yield
        except BaseException:
            for mark in marks:
                mark.unlink(missing_ok=True)
            raise

    def is_cancelled(self, stage: Stage) -> bool:
        """Whether nobody has asked for a stage since it was cancelled."""
        return (self.folder(stage) / CANCELLED).exists()

    def ask_again(self, stages: Iterable[Stage]) -> None:
        """Forget that stages were cancelled, if that was before this command, or its first job, began."""
        began = float(os.environ.get(BEGAN, "inf"))
        for path in (self.folder(stage) / CANCELLED for stage in stages):
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < began:
                    path.unlink()

    def report(self, stage: Stage, progress: dict[str, Any]) -> None:
        """Write the stage's status for whoever watches. Raises Cancelled."""
        if self.is_cancelled(stage):
            raise Cancelled(stage.identity)
        write_whole(
            self.folder(stage) / "status.json", json.dumps({**progress, "time": round(time.time(), 1)})
        )

    def finish(self, stage: Stage, result: dict[str, Any]) -> None:
        """Write the record that makes the stage done."""
        record = {**stage.describe(), **result}
        write_whole(self.folder(stage) / "record.json", json.dumps(record, indent=1, ensure_ascii=False))

    def fail(self, stage: Stage, error: str, traceback: str) -> None:
        """Leave failed.json with one line of error and the end of the traceback."""
        tail = "\n".join(traceback.splitlines()[-30:])
        failure = {
            "identity": stage.identity,
            "error": error,
            "traceback": tail,
            "time": round(time.time(), 1),
        }
        write_whole(self.folder(stage) / "failed.json", json.dumps(failure, indent=1))

    def lock(self, stage: Stage) -> AbstractContextManager[bool]:
        """Hold the stage's lock, heart beating; False if somebody alive holds it."""
        return locked(self.folder(stage))


def _listing(folder: Path) -> frozenset[str] | None:
    """The names in a folder, none where it is not there; None where it cannot be said."""
    try:
        return frozenset(os.listdir(folder))
    except FileNotFoundError:
        return frozenset()
    except OSError:
        return None
