"""stages on disk: what is done, failed or running.

    runs/<kind>/<name>-<hash>/
        config.yaml  lock.1  status.json  log.txt  metrics.csv  checkpoints/  record.json | failed.json

Every file is written whole or not at all.
"""

import json
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from t5grid.execution.lock import lock_is_alive, locked, locks
from t5grid.files import read_json, write_whole
from t5grid.stages import stage_file
from t5grid.stages.record import read_record
from t5grid.stages.stage import Stage


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

    def status(self, stage: Stage) -> dict[str, Any]:
        """The last progress a running stage reported."""
        return read_json(self.folder(stage) / "status.json") or {}

    def state(self, stage: Stage) -> str:
        """done | running | failed | missing."""
        if self.record(stage) is not None:
            return "done"
        if any(map(lock_is_alive, locks(self.folder(stage)).values())):
            return "running"
        return "failed" if (self.folder(stage) / "failed.json").exists() else "missing"

    def begin(self, stage: Stage) -> None:
        """Say what the stage is; an earlier failure, and parts of files a kill left, are forgotten."""
        folder = self.folder(stage)
        for partial in folder.rglob(".*.partial"):
            partial.unlink(missing_ok=True)
        stage_file.write([stage], self.folder)
        (folder / "failed.json").unlink(missing_ok=True)

    def report(self, stage: Stage, progress: dict[str, Any]) -> None:
        """Write the stage's status for whoever watches."""
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
