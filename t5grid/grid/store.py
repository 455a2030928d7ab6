"""stages on disk: what is done, failed or running, and the lock that keeps two workers apart.

    runs/<kind>/<name>-<hash>/   config.yaml  status.json  log.txt  metrics.csv  checkpoints/  record.json | failed.json

Every file is written whole or not at all. A lock carries a heartbeat: an owner that stopped beating is taken over.
"""

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from t5grid.files import read_json, write_whole
from t5grid.grid.stages import Stage

HEARTBEAT, STALE_AFTER = 5.0, 60.0  # seconds


class Store:
    """The folder of all stages."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root).absolute()

    def folder(self, stage: Stage) -> Path:
        """Where a stage keeps what it makes."""
        return self.root / stage.identity

    def record(self, stage: Stage) -> dict[str, Any] | None:
        """What a finished stage recorded."""
        return read_json(self.folder(stage) / "record.json")

    def failure(self, stage: Stage) -> dict[str, Any] | None:
        """Why a stage failed, with the end of its traceback."""
        return read_json(self.folder(stage) / "failed.json")

    def status(self, stage: Stage) -> dict[str, Any]:
        """The last progress a running stage reported."""
        return read_json(self.folder(stage) / "status.json") or {}

    def state(self, stage: Stage) -> str:
        """done | running | failed | missing."""
        folder = self.folder(stage)
        if (folder / "record.json").exists():
            return "done"
        if lock_is_alive(folder / "lock"):
            return "running"
        return "failed" if (folder / "failed.json").exists() else "missing"

    def begin(self, stage: Stage) -> None:
        """Make the stage's folder and say what it is; an earlier failure is forgotten."""
        folder = self.folder(stage)
        write_whole(folder / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(stage.describe())))
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

    @contextmanager
    def lock(self, stage: Stage) -> Iterator[bool]:
        """Hold the stage's lock, heart beating; yields False if somebody alive holds it."""
        path = self.folder(stage) / "lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        if not _take(path):
            yield False
            return
        stop = threading.Event()
        beat = threading.Thread(target=_beat, args=(path, stop), daemon=True)
        beat.start()
        try:
            yield True
        finally:
            stop.set()
            beat.join()
            path.unlink(missing_ok=True)


def lock_is_alive(path: Path) -> bool:
    """Whether a lock's owner still beats; on this host a vanished process is noticed at once."""
    try:
        age = time.time() - path.stat().st_mtime
        owner = read_json(path)
    except FileNotFoundError:
        return False
    if owner and owner["host"] == socket.gethostname() and not _process_exists(owner["pid"]):
        return False
    return age < STALE_AFTER


def _process_exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _take(path: Path) -> bool:
    """Create the lock, or take it over from an owner that stopped; False if it is held."""
    if path.exists() and not lock_is_alive(path):
        _bury(path)
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    except FileExistsError:
        return False
    with os.fdopen(handle, "w") as file:
        json.dump({"host": socket.gethostname(), "pid": os.getpid(), "time": time.time()}, file)
    return True


def _bury(path: Path) -> None:
    """Move a dead lock out of the way; one that somebody took over in between is put back."""
    dead = read_json(path)
    grave = path.with_name(f"lock.dead.{socket.gethostname()}.{os.getpid()}")
    try:
        os.rename(path, grave)
        if read_json(grave) != dead:
            os.link(grave, path)
    except (FileNotFoundError, FileExistsError):
        pass
    grave.unlink(missing_ok=True)


def _beat(path: Path, stop: threading.Event) -> None:
    while not stop.wait(HEARTBEAT):
        try:
            os.utime(path)
        except FileNotFoundError:
            return
