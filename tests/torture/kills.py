"""A program that runs one command again and again and kills it at random moments until enough is killed.

    python kills.py FOLDER SEED NUM_KILLS WORD...

Torch is imported once; each command and each worker is forked from here, so that a new start costs little.
Prints JSON: for each kill who was killed, in which sweep and how far that was. Sweeps lie in FOLDER/0,
FOLDER/1 and so on, all brought to their end, the unbroken one in FOLDER/whole; in FOLDER/merged is what
`records merge` made of the unbroken one, killed at ever later writes until it came to its end.
"""

import contextlib
import json
import multiprocessing
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

import t5grid.evaluation.scores
import t5grid.training.fit  # noqa: F401
from t5grid import files
from t5grid.cli import main
from t5grid.execution import local as executors
from t5grid.execution import run_stage as work

WHO = ("worker", "command", "group", "before a write", "after a write")


def alone(connection: Any, *arguments: Any) -> None:
    """A worker without what a fork inherits and a spawn does not: the other end of its own connection."""
    for fd in map(int, os.listdir("/proc/self/fd")):
        if fd > 2 and fd != connection.fileno():
            with contextlib.suppress(OSError):
                os.close(fd)
    worker(connection, *arguments)


worker = work.run_worker


def start(folder: Path, words: list[str], num_writes: int = 0, after: bool = False) -> int:
    """Fork the command, in a process group of its own; its process id.

    With `num_writes` one of its processes kills them all at that write of a file, before or after the rename.
    """
    if pid := os.fork():
        return pid
    os.setsid()
    log = os.open(folder / "log", os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    os.dup2(log, 1)
    os.dup2(log, 2)
    executors.get_context = lambda how: multiprocessing.get_context("fork")  # type: ignore[assignment]
    executors.run_worker = alone
    if num_writes:
        kill_at_write(num_writes, after)
    os._exit(main([*words, f"runtime.runs_dir={folder}/runs", f"runtime.results_dir={folder}/results"]))


def kill_at_write(number: int, after: bool) -> None:
    """Make the write of that number, counted in each process, the last one of the process group."""
    replace, left = os.replace, [number]

    def deadly(*paths: Any) -> None:
        left[0] -= 1
        if left[0] or after:
            replace(*paths)
        if not left[0]:
            os.killpg(0, signal.SIGKILL)

    files.os = type(sys)("os")  # a copy, so that libraries keep theirs
    files.os.__dict__.update(os.__dict__)
    files.os.replace = deadly


def child_of(pid: int) -> int | None:
    """A process that `pid` started."""
    with contextlib.suppress(OSError, IndexError):
        return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
    return None


def kill(who: str, pid: int) -> None:
    """Kill a worker, the command or all of them; what a dead command leaves ends by itself."""
    if who == "group":
        os.killpg(pid, signal.SIGKILL)
    elif target := child_of(pid) if who == "worker" else pid:
        os.kill(target, signal.SIGKILL)


def ended(pid: int, seconds: float) -> bool:
    """Whether a command ends within some seconds."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if os.waitpid(pid, os.WNOHANG)[0]:
            return True
        time.sleep(0.002)
    return False


def done(folder: Path) -> int:
    return len(list((folder / "runs").glob("*/*/record.json")))


def attempt(folder: Path, words: list[str], who: str, dice: random.Random, longest: float) -> bool:
    """Run the command and kill it at a random moment; whether it was still there to be killed."""
    if who.endswith("write"):
        pid = start(folder, words, dice.randint(1, 12), who.startswith("after"))
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    pid = start(folder, words)
    if ended(pid, dice.uniform(0, longest)):
        return False
    kill(who, pid)
    os.waitpid(pid, 0)  # a worker's death is noted by the command, which does what else can be done
    return True


def finish(folder: Path, words: list[str]) -> None:
    """Run the command to its end."""
    folder.mkdir(exist_ok=True)
    if os.waitpid(start(folder, words), 0)[1]:
        raise SystemExit((folder / "log").read_text())


def killed(words: list[str], dice: random.Random, num_kills: int, longest: float) -> list[Any]:
    """Kills until there are enough, in as many sweeps as that takes; the last is brought to its end."""
    kills: list[tuple[str, str, int]] = []
    number = 0
    while len(kills) < num_kills:
        place, who = Path(str(number)), WHO[len(kills) % len(WHO)]
        place.mkdir(exist_ok=True)
        if attempt(place, words, who, dice, longest):
            kills.append((who, place.name, done(place)))
        else:
            number += 1
    finish(Path(str(number)), words)
    return kills


def merges() -> list[int]:
    """Merge the unbroken sweep's store, killed at writes ever further apart; the signals and the last status.

    Then once more, and into that of a sweep of its own: both find the same.
    """
    place, word = Path("merged"), ["records", "merge", "whole/runs"]
    place.mkdir()
    ends, number = [1], 1
    while ends[-1]:
        status = os.waitpid(start(place, word, number, number % 2 == 0), 0)[1]
        ends.append(abs(os.waitstatus_to_exitcode(status)))
        number += 2
    (place / "log").unlink()
    for other in ("whole/runs", "0/runs"):
        os.waitpid(start(place, ["records", "merge", other]), 0)
    return ends[1:]


def report(seed: int, num_kills: int, words: list[str]) -> dict[str, Any]:
    """The unbroken sweep, then the kills."""
    began = time.monotonic()
    finish(Path("whole"), words)
    took = time.monotonic() - began
    kills = killed(words, random.Random(seed), num_kills, took / 3)
    return {"seconds": took, "kills": kills, "merges": merges()}


if __name__ == "__main__":
    os.chdir(sys.argv[1])
    print(json.dumps(report(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])))
