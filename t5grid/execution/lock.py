"""the lock that keeps two workers apart on one stage, also on a shared file system.

A lock carries a heartbeat: an owner that stopped beating is taken over, under the next number (lock.1,
lock.2, ...), so that of several takers the file system lets one succeed. Clocks differ, so nobody is taken
over whose beat changes while the taker looks; a process is only looked for where it has its number: in the
same namespace of processes, since the same start of the machine. Who lost a lock, having been stopped for a
while, is not dead: a fence keeps whatever it goes on to write from taking its place (`files.fenced`).
"""

import json
import os
import socket
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from t5grid.files import fenced, read_json

HEARTBEAT, STALE_AFTER = 5.0, 60.0  # seconds
WATCHED = 3 * HEARTBEAT  # seconds a taker looks at a beat that seems to have stopped
PLACE = {"boot": "/proc/sys/kernel/random/boot_id", "namespace": "/proc/self/ns/pid"}


class LostLock(Exception):
    """Somebody else holds the lock by now; what its former owner still computes is for nothing."""


@dataclass(frozen=True)
class Lock:
    """A lock file, and what tells the owner's from another of the same number."""

    path: Path
    token: str

    def is_held(self) -> bool:
        """Whether it is still the owner's."""
        return (read_json(self.path) or {}).get("token") == self.token

    def check(self) -> None:
        """Raise LostLock if it is not."""
        if not self.is_held():
            raise LostLock(f"{self.path.parent}: taken over by another, which took this process for dead")

    def release(self) -> None:
        """Delete the file; that of whoever took over stays."""
        if self.is_held():
            self.path.unlink(missing_ok=True)


@contextmanager
def locked(folder: Path) -> Iterator[bool]:
    """Hold the lock of a stage's folder, heart beating; yields False if somebody alive holds it.

    Within, what is written below the folder raises LostLock once the lock is lost.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = _take(folder)
    if lock is None:
        yield False
        return
    stop = threading.Event()
    beat = threading.Thread(target=_beat, args=(lock, stop), daemon=True)
    beat.start()
    try:
        with fenced({folder: lock.check}):
            yield True
    finally:
        stop.set()
        beat.join()
        lock.release()


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
    """Whether a lock's owner beats, as far as a glance tells; a vanished process of this place is dead.

    A beat that is long ago is none, nor is one in the future: a clock was set, or another's is wrong.
    """
    beat = _last_beat(path)
    return beat is not None and abs(time.time() - beat / 1e9) < STALE_AFTER and not _has_vanished(path)


def is_here(owner: dict[str, Any]) -> bool:
    """Whether the process that a lock names has its number in this place."""
    here = place()
    return None not in here.values() and all(owner.get(key) == value for key, value in here.items())


def place() -> dict[str, str | None]:
    """What processes share that know each other by number; None is what the system does not say."""
    told: dict[str, str | None] = {"host": socket.gethostname()}
    if sys.platform == "linux":
        told |= dict.fromkeys(PLACE)
        with suppress(OSError):
            told["boot"] = Path(PLACE["boot"]).read_text().strip()
            told["namespace"] = os.readlink(PLACE["namespace"])
    return told


def _last_beat(path: Path) -> int | None:
    """When a lock beat last, by the clock of the file system; None where there is no such file any more."""
    with (
        suppress(FileNotFoundError),
        open(path) as file,
    ):  # opened, as a mere stat may be answered from memory
        return os.fstat(file.fileno()).st_mtime_ns
    return None


def _has_vanished(path: Path) -> bool:
    """Whether a lock's owner is a process that would be here, and is not."""
    owner = read_json(path) or {}
    pid = owner.get("pid")
    return isinstance(pid, int) and is_here(owner) and not _process_exists(pid)


def _process_exists(pid: int) -> bool:
    """Whether a process runs; one that ended but was never waited for, as in many containers, does not."""
    if pid < 1:  # a group of processes, or all
        return False
    try:
        os.kill(pid, 0)
        with open(f"/proc/{pid}/stat") as file:  # Linux; elsewhere there is no such file
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True


def locks(folder: Path) -> dict[int, Path]:
    """A stage's lock files by number; there is more than one only while a dead owner's is taken over."""
    return {int(path.suffix[1:]): path for path in folder.glob("lock.*") if path.suffix[1:].isdigit()}


def _take(folder: Path) -> Lock | None:
    """Create the lock numbered after a dead owner's; None if somebody alive holds it or was quicker."""
    existing = locks(folder)
    if any(map(lock_is_alive, existing.values())) or _beats(existing.values()):
        return None
    number = max(existing, default=0) + 1
    lock = Lock(folder / f"lock.{number}", uuid4().hex)
    try:
        handle = os.open(lock.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    except FileExistsError:
        return None
    try:
        with os.fdopen(handle, "w") as file:
            json.dump({**place(), "pid": os.getpid(), "time": time.time(), "token": lock.token}, file)
    except OSError:  # a full disk
        lock.path.unlink(missing_ok=True)
        raise
    if max(locks(folder), default=0) > number:  # others took and left what this one saw
        lock.release()
        return None
    for dead in existing.values():
        dead.unlink(missing_ok=True)
    return lock


def _beats(paths: Iterable[Path]) -> bool:
    """Whether one of these locks that seem dead changes while one looks; a vanished process needs no look."""
    before = {path: _last_beat(path) for path in paths if not _has_vanished(path)}
    until = time.monotonic() + WATCHED
    while before and time.monotonic() < until:
        if any(beat is None or _last_beat(path) != beat for path, beat in before.items()):
            return True
        time.sleep(WATCHED / 30)
    return False


def _beat(lock: Lock, stop: threading.Event) -> None:
    while not stop.wait(HEARTBEAT):
        try:
            if not lock.is_held():
                return
            os.utime(lock.path)
        except FileNotFoundError:
            return
        except OSError:  # a shared file system that is away for a moment
            continue
