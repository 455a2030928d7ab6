"""A lock names a process: only a worker of ours is signalled."""

import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from t5grid.execution import worker_process
from t5grid.execution.control import cancel_stages
from t5grid.execution.lock import place
from t5grid.execution.store import Store
from t5grid.execution.worker_process import end_worker

pytestmark = pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks into /proc")


@pytest.fixture
def started() -> Iterator[Any]:
    """Starts a process with an environment; ended afterwards."""
    processes = []

    def start(environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        processes.append(subprocess.Popen(["sleep", "600"], env={**environment}))
        while b"sleep" not in Path(f"/proc/{processes[-1].pid}/cmdline").read_bytes():
            pass  # the system shows what it was started with a moment later
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.wait()


def test_a_worker_of_ours_is_ended(started: Any) -> None:
    process = started({"T5GRID_ALLOW": ""})
    assert end_worker({"pid": process.pid, "time": time.time()})
    assert process.wait() == -15


def test_a_process_that_is_no_worker_of_ours_goes_on(started: Any) -> None:
    process = started({})
    assert not end_worker({"pid": process.pid, "time": time.time()})
    assert process.poll() is None


def test_a_worker_that_began_after_the_lock_was_taken_is_another(started: Any) -> None:
    process = started({"T5GRID_ALLOW": ""})
    assert not end_worker({"pid": process.pid, "time": time.time() - 3600})
    assert not end_worker({"pid": process.pid, "time": "now"}) and not end_worker({"pid": process.pid})
    assert process.poll() is None


PIDS = {"0": 0, "-1": -1, "1": 1, "own group": -os.getpid(), "own": os.getpid(), "none": 2**22 + 1}
NO_PIDS = {"too large": 2**70, "true": True, "text": "5", "float": 5.0, "null": None}


@pytest.mark.parametrize("pid", (PIDS | NO_PIDS).values(), ids=PIDS | NO_PIDS)
def test_a_number_of_no_process_or_of_many_is_never_signalled(
    pid: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "kill", lambda *_: pytest.fail("a signal was sent"))
    monkeypatch.setattr(worker_process, "_is_ours", lambda pid: pid < 2**22)
    monkeypatch.setattr(worker_process, "_started", lambda pid: 0.0)
    assert not end_worker({"pid": pid, "time": time.time() + 1e9})


def test_cancel_says_what_it_did_not_end(
    started: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, ours = started({}), started({"T5GRID_ALLOW": ""})
    owners = {"a/theirs": other.pid, "a/all": -1, "a/ours": ours.pid}
    owner = {**place(), "time": time.time()}
    monkeypatch.setattr(
        "t5grid.execution.control.holder",
        lambda folder: {**owner, "pid": owners[f"a/{folder.name}"]},
    )
    assert sorted(cancel_stages(list(owners), Store(tmp_path))) == [
        "cancelled a/ours",
        "not ended, process -1 is no worker of t5grid: a/all",
        f"not ended, process {other.pid} is no worker of t5grid: a/theirs",
    ]
    assert ours.wait() == -15 and other.poll() is None
