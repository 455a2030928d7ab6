"""lock -> the process that it names, ended if it is a worker of ours.

A lock is a file, and anybody's to write.
"""

import os
import re
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from t5grid.config.trust import ALLOW

PROC = Path("/proc")
WORKER = re.compile(r"\bt5grid\b")
ANY_WORKER = re.compile(r"\bt5grid\b|multiprocessing|submitit")
SLACK = 60.0  # seconds that clocks may differ by


def end_worker(owner: Mapping[str, Any]) -> bool:
    """Ask the process to end; False, and nothing is done, where it is not the worker that took the lock.

    Numbers below 2 stand for groups of processes, or for the first of all.
    """
    pid, taken = owner.get("pid"), owner.get("time")
    if (
        type(pid) is not int
        or not 1 < pid < 2**31
        or pid == os.getpid()
        or not isinstance(taken, int | float)
    ):
        return False
    try:
        if not (_is_ours(pid) and _started(pid) <= taken + SLACK):
            return False
        os.kill(pid, signal.SIGTERM)
    except (OSError, ValueError):
        return False
    return True


def _is_ours(pid: int) -> bool:
    """Whether a process was started by t5grid, as its command line or its first environment says."""
    if not PROC.is_dir():
        return bool(ANY_WORKER.search(_told_by_ps(pid)))
    if WORKER.search((PROC / str(pid) / "cmdline").read_bytes().decode(errors="replace")):
        return True
    environment = (PROC / str(pid) / "environ").read_bytes().split(b"\0")
    return any(entry.startswith(f"{ALLOW}=".encode()) for entry in environment)


def _told_by_ps(pid: int) -> str:
    command = ["ps", "-o", "command=", "-p", str(pid)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def _started(pid: int) -> float:
    """When a process began, in seconds since 1970; 0 where the system does not say."""
    if not PROC.is_dir():
        return 0.0
    ticks = int((PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[19])
    boot = next(line for line in (PROC / "stat").read_text().splitlines() if line.startswith("btime "))
    return int(boot.split()[1]) + ticks / os.sysconf("SC_CLK_TCK")
