"""Stages on disk: locks, states, and files that are whole or not there; and the work on one stage."""

import errno
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import toy_stages
from toy_stages import RUNTIME, Toy, make

from t5grid.execution import lock as lock_module
from t5grid.execution.local import Local
from t5grid.execution.lock import STALE_AFTER, LostLock, lock_is_alive
from t5grid.execution.run_stage import DONE, FAILED, FOUND, HELD, work_on
from t5grid.execution.store import Store
from t5grid.files import write_whole
from t5grid.stages.stage import Context


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "runs")


@pytest.fixture
def stage(tmp_path: Path) -> Toy:
    return make(Toy, "first", tmp_path / "diary")


def test_states_are_those_of_each_stage_and_what_has_no_folder_is_missing_at_once(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done, failed, absent, other = (make(Toy, name, tmp_path / "diary") for name in ("a", "b", "c", "d"))
    assert store.states([done, absent]) == {done.identity: "missing", absent.identity: "missing"}
    store.finish(done, {"pid": 1})
    store.fail(failed, "error", "")
    store.folder(other).mkdir()
    stages, look, looked = [absent, done, failed, other], store.state, list[str]()
    monkeypatch.setattr(store, "state", lambda stage: looked.append(stage.name) or look(stage))
    assert list(store.states(stages).values()) == ["missing", "done", "failed", "missing"]
    assert looked == ["a", "b", "d"]
    monkeypatch.setattr(os, "listdir", lambda _: (_ for _ in ()).throw(PermissionError))
    assert list(store.states(stages).values()) == ["missing", "done", "failed", "missing"]
    assert looked[3:] == ["c", "a", "b", "d"]


@pytest.fixture(autouse=True)
def watched(monkeypatch: pytest.MonkeyPatch) -> None:
    """A taker looks only for a moment."""
    monkeypatch.setattr(lock_module, "WATCHED", 0.03)


@pytest.fixture(scope="module")
def dead_pid() -> int:
    """A process that has ended."""
    process = subprocess.Popen([sys.executable, "-S", "-c", ""])
    process.wait()
    return process.pid


def leave_lock(store: Store, stage: Toy, number: int = 1, age: float = 0.0, **owner: Any) -> Path:
    """A lock as somebody else left it `age` seconds ago."""
    path = store.folder(stage) / f"lock.{number}"
    here = {**lock_module.place(), "pid": os.getpid(), "time": 0.0}
    write_whole(path, json.dumps({**here, **owner}))
    os.utime(path, (time.time() - age,) * 2)
    return path


def locks(store: Store, stage: Toy) -> list[str]:
    return sorted(path.name for path in store.folder(stage).glob("lock*"))


# --- locks


def test_a_lock_keeps_a_second_taker_out_and_is_free_again_after(store: Store, stage: Toy) -> None:
    with store.lock(stage) as mine:
        with store.lock(stage) as second:
            assert (mine, second) == (True, False)
        assert locks(store, stage) == ["lock.1"]
    with store.lock(stage) as third:
        assert third
    assert locks(store, stage) == []


def test_a_lock_is_released_by_an_error(store: Store, stage: Toy) -> None:
    with pytest.raises(KeyError), store.lock(stage):
        raise KeyError
    assert locks(store, stage) == []


def test_the_lock_of_a_vanished_process_of_this_host_is_taken_over_at_once(
    store: Store, stage: Toy, dead_pid: int
) -> None:
    leave_lock(store, stage, pid=dead_pid)
    with store.lock(stage) as mine:
        assert mine
        assert locks(store, stage) == ["lock.2"]
    assert locks(store, stage) == []


def test_a_process_that_ended_and_was_not_waited_for_is_dead(store: Store, stage: Toy) -> None:
    zombie = subprocess.Popen([sys.executable, "-S", "-c", ""], stdout=subprocess.PIPE)
    assert zombie.stdout and zombie.stdout.read() == b""  # closed by its end, or just before
    path, until = leave_lock(store, stage, pid=zombie.pid), time.monotonic() + 10
    while lock_is_alive(path) and time.monotonic() < until:
        time.sleep(0.01)
    assert not lock_is_alive(path)
    zombie.communicate()


@pytest.mark.parametrize(("age", "free"), [(0.0, False), (STALE_AFTER - 10, False), (STALE_AFTER + 10, True)])
def test_the_lock_of_another_host_is_taken_over_once_it_stopped_beating(
    store: Store, stage: Toy, dead_pid: int, age: float, free: bool
) -> None:
    leave_lock(store, stage, age=age, host="elsewhere", pid=dead_pid)
    with store.lock(stage) as mine:
        assert mine is free


def test_a_lock_that_is_not_written_yet_is_held(store: Store, stage: Toy) -> None:
    write_whole(store.folder(stage) / "lock.1", "")
    with store.lock(stage) as mine:
        assert not mine


def test_of_two_takers_that_saw_the_same_dead_lock_one_gets_it(
    store: Store, stage: Toy, dead_pid: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The slower one found the lock dead, and looks no further until the quicker one holds the next."""
    leave_lock(store, stage, pid=dead_pid)
    judge, holding = lock_module.lock_is_alive, [store.lock(stage)]

    def overtaken(path: Path) -> bool:
        alive = judge(path)
        monkeypatch.setattr(lock_module, "lock_is_alive", judge)
        assert holding[0].__enter__()
        return alive

    monkeypatch.setattr(lock_module, "lock_is_alive", overtaken)
    with store.lock(stage) as slower:
        assert not slower
    assert store.state(stage) == "running"
    holding[0].__exit__(None, None, None)
    assert locks(store, stage) == []


def test_only_the_dead_locks_of_a_finished_stage_are_discarded(
    store: Store, stage: Toy, dead_pid: int
) -> None:
    """A kill between the record and the end of the lock leaves one, and nobody takes a finished stage's."""
    store.finish(stage, {"score": 1.0})
    leave_lock(store, stage, pid=dead_pid)
    leave_lock(store, stage, number=2)
    Local(num_workers=1).run([stage], store, RUNTIME)
    assert locks(store, stage) == ["lock.2"]


def test_of_many_takers_at_once_exactly_one_gets_a_dead_lock(store: Store, stage: Toy, dead_pid: int) -> None:
    leave_lock(store, stage, pid=dead_pid)
    got, ready, over = [], threading.Barrier(8), threading.Event()

    def take() -> None:
        ready.wait()
        with store.lock(stage) as mine:
            got.append(mine)
            over.wait(10)

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    until = time.monotonic() + 10
    while len(got) < 8 and time.monotonic() < until:
        time.sleep(0.01)
    over.set()
    for thread in threads:
        thread.join()
    assert sorted(got) == [False] * 7 + [True]


def test_the_heart_beats_while_the_lock_is_held(
    store: Store, stage: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock_module, "HEARTBEAT", 0.01)
    with store.lock(stage):
        path = store.folder(stage) / "lock.1"
        os.utime(path, (0, 0))
        until = time.monotonic() + 10
        while path.stat().st_mtime == 0 and time.monotonic() < until:
            time.sleep(0.01)
        assert time.time() - path.stat().st_mtime < STALE_AFTER and lock_is_alive(path)


def test_an_owner_that_lost_its_lock_leaves_the_new_one_alone(store: Store, stage: Toy) -> None:
    with store.lock(stage):
        os.utime(store.folder(stage) / "lock.1", (0, 0))  # it stood still, and was taken for dead
        with store.lock(stage) as second:
            assert second and locks(store, stage) == ["lock.2"]
    leave_lock(store, stage, number=2)
    assert store.state(stage) == "running"


def test_a_lock_of_the_same_number_that_is_anothers_is_neither_kept_alive_nor_released(
    store: Store, stage: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    beats = []
    monkeypatch.setattr(lock_module, "HEARTBEAT", 0.001)
    with store.lock(stage):
        other = leave_lock(store, stage, token="another's")
        monkeypatch.setattr(os, "utime", lambda *_: beats.append(1))
        for thread in threading.enumerate():
            if thread.name.endswith("(_beat)"):
                thread.join(10)
                assert not thread.is_alive()
    assert other.exists() and len(beats) < 2  # one may have been on its way


@pytest.mark.parametrize("where", [{"namespace": "pid:[1]"}, {"boot": "yesterday"}, {"host": "elsewhere"}])
def test_a_process_is_only_looked_for_where_it_has_its_number(
    store: Store, stage: Toy, dead_pid: int, where: dict[str, str]
) -> None:
    leave_lock(store, stage, pid=dead_pid, **where)
    assert store.state(stage) == "running"
    with store.lock(stage) as mine:
        assert not mine


@pytest.mark.parametrize("age", [-3600.0, 100.0, 1e9])
def test_a_beat_that_changes_while_one_looks_is_alive_whatever_clocks_say(
    store: Store, stage: Toy, monkeypatch: pytest.MonkeyPatch, age: float
) -> None:
    path = leave_lock(store, stage, host="elsewhere", age=age)
    monkeypatch.setattr(lock_module, "WATCHED", 100)
    monkeypatch.setattr(
        lock_module.time, "sleep", lambda seconds: os.utime(path, (time.time() - age + 5,) * 2)
    )
    with store.lock(stage) as mine:
        assert not mine


def test_a_beat_in_the_future_is_stale(store: Store, stage: Toy) -> None:
    leave_lock(store, stage, host="elsewhere", age=-STALE_AFTER - 10)
    assert store.state(stage) == "missing"
    with store.lock(stage) as mine:
        assert mine


@pytest.mark.parametrize("owner", [{"pid": 0}, {"pid": -1}, {"pid": "7"}, {"pid": None}, {"pid": 10**30}])
def test_a_lock_with_a_number_that_is_no_process_is_judged_by_its_beat(
    store: Store, stage: Toy, owner: dict[str, Any]
) -> None:
    leave_lock(store, stage, age=STALE_AFTER + 1, **owner)
    with store.lock(stage) as mine:
        assert mine


def test_whoever_lost_a_lock_writes_nothing_more(store: Store, stage: Toy, tmp_path: Path) -> None:
    """Stopped for a minute, it goes on beside its successor."""
    from t5grid.training import checkpoints

    folder, other = store.folder(stage), make(Toy, "other", tmp_path / "diary")
    with store.lock(stage):
        store.report(stage, {"step": 1})
        write_whole(folder / "checkpoints" / "step-00000001-00.safetensors", "1")
        before = {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        os.utime(folder / "lock.1", (0, 0))
        with store.lock(stage):
            (folder / "lock.2").rename(tmp_path / "lock.2")  # what comes is not the successor's doing
        (tmp_path / "lock.2").rename(folder / "lock.2")
        for write in (
            lambda: store.finish(stage, {}),
            lambda: store.fail(stage, "no", "no"),
            lambda: store.report(stage, {"step": 2}),
            lambda: store.begin(stage),
            lambda: write_whole(folder / "checkpoints" / "step-00000002-00.safetensors", "2"),
            lambda: checkpoints.keep_last(folder / "checkpoints", 0),
            lambda: checkpoints.discard_others(folder / "checkpoints", ()),
        ):
            with pytest.raises(LostLock, match="taken over by another"):
                write()
        store.finish(other, {})  # of other stages it says what it likes
    del before["lock.1"]
    left = {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert {name: data for name, data in left.items() if name != "lock.2"} == before


class Overtaken(Toy):
    """Loses its lock to another while it works."""

    def act(self, context: Context) -> dict[str, Any]:
        lock = context.folder_of(self) / "lock.1"
        lock.write_text(lock.read_text().replace('"token"', '"taken"'))
        if self.config["fails"]:
            raise ValueError("what a stage meets whose files are another's")
        return {}


@pytest.mark.parametrize("fails", [False, True])
def test_work_whose_lock_is_lost_is_anothers(store: Store, tmp_path: Path, fails: bool) -> None:
    stage = make(Overtaken, "a", tmp_path / "diary", fails=fails)
    assert work_on(stage, store, RUNTIME, 1) == HELD
    assert store.record(stage) is None and store.failure(stage) is None
    assert locks(store, stage) == ["lock.1"]


# --- states


def test_states_go_from_missing_through_running_and_failed_to_done(store: Store, stage: Toy) -> None:
    seen = [store.state(stage)]
    with store.lock(stage):
        store.begin(stage)
        seen.append(store.state(stage))
        store.fail(stage, "no", "Traceback")
    seen.append(store.state(stage))
    with store.lock(stage):
        store.begin(stage)
        assert store.failure(stage) is None
        seen.append(store.state(stage))
        store.finish(stage, {"score": 1.5})
    seen.append(store.state(stage))
    assert seen == ["missing", "running", "failed", "running", "done"]


def test_a_killed_stage_is_missing_again(store: Store, stage: Toy, dead_pid: int) -> None:
    store.begin(stage)
    store.report(stage, {"step": 1, "num_steps": 2})
    leave_lock(store, stage, pid=dead_pid)
    assert store.state(stage) == "missing"


@pytest.mark.parametrize("text", ["{", "{}", "[1]", "3", b"\xff"])
def test_a_record_that_cannot_be_read_is_no_record(store: Store, stage: Toy, text: str | bytes) -> None:
    write_whole(store.folder(stage) / "record.json", text)
    assert (store.state(stage), store.record(stage)) == ("missing", None)


def test_a_record_says_what_the_stage_is_and_what_came_out(store: Store, tmp_path: Path) -> None:
    parent = make(Toy, "first", tmp_path / "diary")
    stage = make(Toy, "second", tmp_path / "diary", parent)
    store.finish(stage, {"score": 1.5})
    assert store.record(stage) == {
        "identity": stage.identity,
        "kind": "toy",
        "version": 1,
        "config": {"diary": str(tmp_path / "diary")},
        "content": {"class": "Toy"},
        "parents": [parent.identity],
        "score": 1.5,
    }


# --- whole or not at all


def test_a_crash_while_writing_leaves_the_old_file(
    store: Store, stage: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.finish(stage, {"score": 1.0})
    store.fail(stage, "old", "old")
    store.report(stage, {"step": 1})
    before = {path.name: path.read_bytes() for path in store.folder(stage).iterdir()}

    def refuse(*paths: Any) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    for write in (
        lambda: store.finish(stage, {"score": 2.0}),
        lambda: store.fail(stage, "new", "new"),
        lambda: store.report(stage, {"step": 2}),
    ):
        with pytest.raises(OSError, match="no space"):
            write()
    assert {path.name: path.read_bytes() for path in store.folder(stage).iterdir()} == before


PARTS = (
    ".record.json.7-0a.partial",
    "checkpoints/.a.7.partial",
    ".shard-00000.bin.7-0b.partial",
    "shard-00000.bin.partial",
    "shard-00000.partial.npy",
)


def test_parts_of_files_that_a_kill_left_are_cleared_away(store: Store, stage: Toy) -> None:
    parts = [store.folder(stage) / name for name in PARTS]
    for path in parts:
        write_whole(path, "half")
    store.begin(stage)
    assert not any(path.exists() for path in parts)


# --- work on one stage


def test_finished_work_is_recorded_and_never_done_again(store: Store, stage: Toy, tmp_path: Path) -> None:
    assert work_on(stage, store, RUNTIME, 3) == DONE
    record = store.record(stage)
    assert record and (record["pid"], record["num_threads"]) == (os.getpid(), 3)
    assert work_on(stage, store, RUNTIME, 3) == FOUND
    assert toy_stages.lines(tmp_path / "diary") == ["start first", "end first"]
    assert store.record(stage) == record


def test_work_that_somebody_else_does_is_left_to_them(store: Store, stage: Toy, tmp_path: Path) -> None:
    leave_lock(store, stage)
    assert work_on(stage, store, RUNTIME, 1) == HELD
    assert toy_stages.lines(tmp_path / "diary") == []


@pytest.mark.parametrize(
    ("kind", "error", "last"),
    [
        ("Failing", "rate=2: at most 1 is possible", "  is possible"),
        ("Breaking", "KeyError: 'width'", "KeyError: 'width'"),
        (
            "Unwritable",
            "TypeError: Object of type object is not JSON serializable",
            "TypeError: Object of type object is not JSON serializable",
        ),
    ],
)
def test_failing_work_leaves_one_line_and_the_end_of_the_traceback(
    store: Store, tmp_path: Path, kind: str, error: str, last: str
) -> None:
    stage = make(getattr(toy_stages, kind), "bad", tmp_path / "diary")
    assert work_on(stage, store, RUNTIME, 1) == FAILED
    failure = store.failure(stage)
    assert failure and (failure["identity"], failure["error"]) == (stage.identity, error)
    assert failure["traceback"].splitlines()[0] == "Traceback (most recent call last):"
    assert failure["traceback"].splitlines()[-1] == last
    assert (store.state(stage), locks(store, stage)) == ("failed", [])


def test_of_a_long_traceback_the_last_thirty_lines_are_kept(store: Store, stage: Toy) -> None:
    store.fail(stage, "no", "\n".join(map(str, range(100))))
    failure = store.failure(stage)
    assert failure and failure["traceback"].splitlines() == [str(i) for i in range(70, 100)]


@pytest.mark.slow
def test_what_a_stage_prints_goes_to_its_log_and_nothing_after_it(tmp_path: Path) -> None:
    code = (
        "import pathlib, toy_stages as t; from t5grid.execution.store import Store;"
        "from t5grid.execution.run_stage import work_on;"
        "stage = t.make(t.Chatty, 'chatty', pathlib.Path('diary')); store = Store('runs');"
        "print(work_on(stage, store, t.RUNTIME, 1).word); print(store.folder(stage))"
    )
    paths = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    result, folder = done.stdout.splitlines()
    assert (result, done.stderr) == ("done", "")
    log = (Path(folder) / "log.txt").read_text().splitlines()
    assert sorted(log) == ["a line of Python", "a line of a child", "a line of trouble"]


# --- a full disk

FULL = "no space is left on the disk; make room, and the same command goes on: what is done is kept"


def test_a_full_disk_ends_a_stage_with_a_message_and_leaves_the_store_as_it_was(
    store: Store, stage: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First while the stage writes; then not even its lock, or its failure, can be written."""
    store.finish(stage, {"score": 1.0})
    filling = make(toy_stages.Filling, "filling", tmp_path / "diary")
    result = work_on(filling, store, RUNTIME, 1)
    assert (result, result.reason) == (FAILED, FULL)
    assert (store.failure(filling) or {})["error"] == FULL and locks(store, filling) == []
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda handle: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
        result = work_on(make(toy_stages.Failing, "bad", tmp_path / "diary"), store, RUNTIME, 1)
        assert (result, result.reason) == (FAILED, FULL)
        assert store.record(stage) == {**stage.describe(), "score": 1.0}
    assert work_on(make(Toy, "bad", tmp_path / "diary"), store, RUNTIME, 1) == DONE
    left = [path for path in store.root.rglob("*") if "lock" in path.name or "partial" in path.name]
    assert [path.name for path in left] == [".half.partial"]  # cleared when the stage begins again
