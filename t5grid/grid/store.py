"""stages on disk: what is done, failed or running, and the lock that keeps two workers apart.

    runs/<kind>/<name>-<hash>/
        config.yaml  lock.1  status.json  log.txt  metrics.csv  checkpoints/  record.json | failed.json

Every file is written whole or not at all. A lock carries a heartbeat: an owner that stopped beating is taken
over, under the next number (lock.1, lock.2, ...), so that of several takers the file system lets one succeed.
"""

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

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
        if self.record(stage) is not None:
            return "done"
        if any(map(lock_is_alive, _locks(self.folder(stage)).values())):
            return "running"
        return "failed" if (self.folder(stage) / "failed.json").exists() else "missing"

    def begin(self, stage: Stage) -> None:
        """Say what the stage is; an earlier failure, and parts of files a kill left, are forgotten."""
        folder = self.folder(stage)
        for partial in folder.rglob(".*.partial"):
            partial.unlink(missing_ok=True)
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

    def lock(self, stage: Stage) -> AbstractContextManager[bool]:
        """Hold the stage's lock, heart beating; False if somebody alive holds it."""
        return locked(self.folder(stage))


def read_description(path: Path) -> dict[str, Any]:
    """What a stage's config.yaml says it is. Raises ValueError naming the file where that is not in it."""
    try:
        said: Any = OmegaConf.to_container(OmegaConf.load(path))
    except (OmegaConfBaseException, YAMLError, UnicodeDecodeError, OSError) as error:
        raise ValueError(f"{path}: {' '.join(str(error).split())}") from None
    keys = ("identity", "kind", "version", "config", "content", "parents")
    if not (
        isinstance(said, dict) and all(key in said for key in keys) and isinstance(said["parents"], list)
    ):
        raise ValueError(f"{path}: {', '.join(keys)} of a stage are needed")
    return said


@contextmanager
def locked(folder: Path) -> Iterator[bool]:
    """Hold the lock of a stage's folder, heart beating; yields False if somebody alive holds it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = _take(folder)
    if path is None:
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


def holder(folder: Path) -> dict[str, Any] | None:
    """Host and process of who works on the stage of a folder, None if nobody does."""
    alive = [path for path in _locks(folder).values() if lock_is_alive(path)]
    return read_json(alive[0]) if alive else None


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
    """Whether a process runs; one that ended but was never waited for, as in many containers, does not."""
    try:
        os.kill(pid, 0)
        with open(f"/proc/{pid}/stat") as file:  # Linux; elsewhere there is no such file
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except ProcessLookupError:
        return False
    except OSError:
        return True


def _locks(folder: Path) -> dict[int, Path]:
    """A stage's lock files by number; there is more than one only while a dead owner's is taken over."""
    return {int(path.suffix[1:]): path for path in folder.glob("lock.*") if path.suffix[1:].isdigit()}


def _take(folder: Path) -> Path | None:
    """Create the lock numbered after a dead owner's; None if somebody alive holds it or was quicker."""
    found = _locks(folder)
    if any(map(lock_is_alive, found.values())):
        return None
    mine = folder / f"lock.{max(found, default=0) + 1}"
    try:
        handle = os.open(mine, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    except FileExistsError:
        return None
    try:
        with os.fdopen(handle, "w") as file:
            json.dump({"host": socket.gethostname(), "pid": os.getpid(), "time": time.time()}, file)
    except OSError:  # a full disk
        mine.unlink(missing_ok=True)
        raise
    for dead in found.values():
        dead.unlink(missing_ok=True)
    return mine


def _beat(path: Path, stop: threading.Event) -> None:
    while not stop.wait(HEARTBEAT):
        try:
            os.utime(path)
        except FileNotFoundError:
            return
        except OSError:  # a shared file system that is away for a moment
            continue
