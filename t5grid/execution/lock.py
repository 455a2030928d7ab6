"""the lock that keeps two workers apart on one stage, also on a shared file system.

A lock carries a heartbeat: an owner that stopped beating is taken over, under the next number (lock.1,
lock.2, ...), so that of several takers the file system lets one succeed.
"""

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from t5grid.files import read_json

HEARTBEAT, STALE_AFTER = 5.0, 60.0  # seconds


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
    alive = [path for path in locks(folder).values() if lock_is_alive(path)]
    return read_json(alive[0]) if alive else None


def discard_dead(folder: Path) -> None:
    """Delete the locks of a finished stage's folder whose owner was killed before it could."""
    for path in locks(folder).values():
        if not lock_is_alive(path):
            with suppress(OSError):  # a store that others wrote may be read only
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
    """Whether a process runs; one that ended but was never waited for, as in many containers, does not."""
    try:
        os.kill(pid, 0)
        with open(f"/proc/{pid}/stat") as file:  # Linux; elsewhere there is no such file
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except ProcessLookupError:
        return False
    except OSError:
        return True


def locks(folder: Path) -> dict[int, Path]:
    """A stage's lock files by number; there is more than one only while a dead owner's is taken over."""
    return {int(path.suffix[1:]): path for path in folder.glob("lock.*") if path.suffix[1:].isdigit()}


def _take(folder: Path) -> Path | None:
    """Create the lock numbered after a dead owner's; None if somebody alive holds it or was quicker."""
    existing = locks(folder)
    if any(map(lock_is_alive, existing.values())):
        return None
    path = folder / f"lock.{max(existing, default=0) + 1}"
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    except FileExistsError:
        return None
    try:
        with os.fdopen(handle, "w") as file:
            json.dump({"host": socket.gethostname(), "pid": os.getpid(), "time": time.time()}, file)
    except OSError:  # a full disk
        path.unlink(missing_ok=True)
        raise
    for dead in existing.values():
        dead.unlink(missing_ok=True)
    return path


def _beat(path: Path, stop: threading.Event) -> None:
    while not stop.wait(HEARTBEAT):
        try:
            os.utime(path)
        except FileNotFoundError:
            return
        except OSError:  # a shared file system that is away for a moment
            continue
