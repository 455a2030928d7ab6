"""The local executor: order, workers, failures, other commands at the same time, and what a kill leaves."""

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import heed_interrupts
from toy_stages import (
    RUNTIME,
    Dying,
    Endless,
    Failing,
    Meeting,
    Moody,
    Threads,
    Toy,
    await_line,
    lines,
    make,
    note,
)

from t5grid.config.build import build
from t5grid.execution import local as executors
from t5grid.execution.control import cancel_stages
from t5grid.execution.local import Local, num_cores
from t5grid.execution.run_stage import CANCELLED, work_on
from t5grid.execution.slurm import queue
from t5grid.execution.store import BEGAN, Store
from t5grid.refused import Refused
from t5grid.stages.stage import Context

HERE = Path(__file__).parent


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "runs")


@pytest.fixture
def diary(tmp_path: Path) -> Path:
    return tmp_path / "diary"


@pytest.fixture
def sweep(tmp_path: Path, diary: Path) -> Iterator[subprocess.Popen]:
    """Another command that runs one endless stage in this store."""
    code = (
        "import pathlib, sys; sys.path.insert(0, sys.argv[2])\n"
        "if __name__ == '__main__':\n"
        "    import toy_stages as t; from t5grid.execution.local import Local\n"
        "    from t5grid.execution.store import Store\n"
        "    stage = t.make(t.Endless, 'long', pathlib.Path(sys.argv[1]) / 'diary')\n"
        "    Local(1).run([stage], Store(pathlib.Path(sys.argv[1]) / 'runs'), t.RUNTIME)\n"
    )
    script = tmp_path / "sweep.py"
    script.write_text(code)
    process = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path), str(HERE)],
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_interrupts,
    )
    yield process
    process.kill()
    process.communicate()


def pid_of(diary: Path, who: str) -> int:
    """The process that noted itself as `who`, once it did."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        for line in lines(diary):
            if line.startswith(f"{who} "):
                return int(line.split()[1])
        time.sleep(0.02)
    raise TimeoutError(f"no {who} in {lines(diary)}")


def ends(pid: int) -> bool:
    """Whether a process ends within ten seconds (an unreaped one has ended)."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
            os.kill(pid, 0)
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.02)
    return False


def names(stages: list) -> list[str]:
    return sorted(stage.name for stage in stages)


@pytest.mark.slow
def test_what_is_checked_goes_first_and_is_checked_once_before_anything_else(
    store: Store, diary: Path
) -> None:
    first = make(Toy, "first", diary)
    stages = [make(Toy, "free", diary), first, make(Toy, "child", diary, first)]
    checks = {first.identity: lambda: note(diary, "check")}
    assert names(Local(2).run(stages, store, RUNTIME, checks).ran) == ["child", "first", "free"]
    assert lines(diary)[:3] == ["start first", "end first", "check"] and lines(diary).count("check") == 1
    Local(2).run(stages, store, RUNTIME, checks)  # done by now, by another command perhaps
    assert lines(diary)[-1] == "check" and lines(diary).count("check") == 2


def test_a_check_that_refuses_ends_the_run_and_keeps_what_is_done(store: Store, diary: Path) -> None:
    def refuse() -> None:
        raise Refused("labels")

    bad, first = make(Failing, "bad", diary), make(Toy, "first", diary)
    stages = [bad, first, make(Toy, "child", diary, first), make(Toy, "free", diary)]
    with pytest.raises(Refused, match="labels"):
        Local(1).run(stages, store, RUNTIME, {first.identity: refuse, bad.identity: refuse})
    assert lines(diary) == ["start bad", "start first", "end first"] and not list(
        store.root.glob(".waiting*")
    )
    assert [store.state(stage) for stage in stages] == ["failed", "done", "missing", "missing"]


def test_parents_run_before_children_and_nothing_runs_twice(store: Store, diary: Path) -> None:
    root = make(Toy, "root", diary)
    left, right = make(Toy, "left", diary, root), make(Toy, "right", diary, root)
    end = make(Toy, "end", diary, left, right)
    stages = [root, left, right, end]
    outcome = Local(2).run(stages, store, RUNTIME)
    assert names(outcome.ran) == ["end", "left", "right", "root"]
    assert (outcome.done_before, outcome.failed, outcome.blocked) == ([], {}, {})
    seen = lines(diary)
    assert sorted(seen) == sorted(f"{what} {s.name}" for s in stages for what in ("start", "end"))
    for stage in stages:
        for parent in stage.parents:
            assert seen.index(f"end {parent.name}") < seen.index(f"start {stage.name}")
    again = Local(2).run(stages, store, RUNTIME)
    assert (again.ran, names(again.done_before)) == ([], ["end", "left", "right", "root"])
    assert lines(diary) == seen


@pytest.mark.slow
def test_independent_stages_run_at_the_same_time_on_two_workers(store: Store, diary: Path) -> None:
    pair = [make(Meeting, "he", diary, other="she"), make(Meeting, "she", diary, other="he")]
    assert names(Local(2).run(pair, store, RUNTIME).ran) == ["he", "she"]
    assert len({store.record(stage)["pid"] for stage in pair} | {os.getpid()}) == 3  # type: ignore[index]


@pytest.mark.slow
def test_a_failed_or_killed_stage_blocks_its_children_only(store: Store, diary: Path) -> None:
    """One worker, so what comes after the killed one runs on its replacement."""
    bad, dying = make(Failing, "bad", diary), make(Dying, "dying", diary)
    child = make(Toy, "child", diary, bad)
    grandchild = make(Toy, "grandchild", diary, child)
    orphan = make(Toy, "orphan", diary, dying)
    other = make(Toy, "other", diary)
    stages = [dying, bad, child, grandchild, orphan, other]
    outcome = Local(1).run(stages, store, RUNTIME)
    assert names(outcome.ran) == ["other"]
    assert outcome.failed == {
        bad.identity: "rate=2: at most 1 is possible",
        dying.identity: "the worker was killed by signal 9",
    }
    assert outcome.blocked == {
        child.identity: bad.identity,
        grandchild.identity: bad.identity,
        orphan.identity: dying.identity,
    }
    states = [store.state(stage) for stage in stages]
    assert states == ["failed", "failed", "missing", "missing", "missing", "done"]
    assert store.failure(dying)["error"] == "the worker was killed by signal 9"  # type: ignore[index]


@pytest.mark.slow
def test_after_a_failure_nothing_more_is_started_where_that_is_asked_for(store: Store, diary: Path) -> None:
    bad, other = make(Failing, "bad", diary), make(Toy, "other", diary)
    child, later = make(Toy, "child", diary, bad), make(Toy, "later", diary, other)
    outcome = Local(1, on_failure="stop").run([bad, other, child, later], store, RUNTIME)
    assert list(outcome.failed) == [bad.identity] and outcome.blocked == {child.identity: bad.identity}
    assert (outcome.ran, names(outcome.left)) == ([], ["later", "other"])
    assert lines(diary) == ["start bad"]


@pytest.mark.slow
def test_a_failed_stage_is_tried_again_as_often_as_is_asked_for(store: Store, diary: Path) -> None:
    moody = make(Moody, "moody", diary)
    child = make(Toy, "child", diary, moody)
    outcome = Local(1, retries=1).run([moody, child], store, RUNTIME)
    assert (outcome.failed, list(outcome.blocked)) == ({moody.identity: "not yet"}, [child.identity])
    outcome = Local(1, retries=1).run([moody, child], store, RUNTIME)
    assert (names(outcome.ran), outcome.failed) == (["child", "moody"], {})
    assert lines(diary).count("start moody") == 3 and store.failure(moody) is None


@pytest.mark.parametrize("retries", [0, 1])
@pytest.mark.slow
def test_what_is_cancelled_stays_so_until_a_command_asks_for_it_again(
    store: Store, diary: Path, monkeypatch: pytest.MonkeyPatch, retries: int
) -> None:
    """One stage runs and another waits; what neither has to do with goes on, and nothing has failed."""
    monkeypatch.setenv("T5GRID_ALLOW", "")  # as every command sets it, by which its workers are known
    long, later = make(Endless, "long", diary), make(Toy, "later", diary)
    child, free = make(Toy, "child", diary, long), make(Toy, "free", diary)
    lines_of: list[str] = []

    def cancel() -> None:
        await_line(str(diary), "start long")
        lines_of.extend(cancel_stages([long.identity, later.identity], store))

    helper = threading.Thread(target=cancel)
    helper.start()
    outcome = Local(1, retries=retries).run([long, later, child, free], store, RUNTIME)
    helper.join()
    assert lines_of == [f"cancelled {long.identity}", f"cancelled {later.identity}"]
    assert (sorted(outcome.cancelled), names(outcome.ran)) == (
        sorted([long.identity, later.identity]),
        ["free"],
    )
    assert (outcome.failed, outcome.blocked) == ({}, {child.identity: long.identity})
    assert [line for line in lines(diary) if line.startswith("start")] == ["start long", "start free"]
    states = queue.states([long, later, child, free], store)
    assert [state.word for state in states.values()] == ["cancelled", "cancelled", "blocked", "done"]
    assert store.failure(long) is None and list(outcome.complaints(store)) == [
        f"cancelled: {long.identity}; the same command asks for it again",
        f"cancelled: {later.identity}; the same command asks for it again",
        f"blocked: {child.identity} by {long.identity}",
    ]
    note(str(diary), "go")
    assert names(Local(1).run([long, later, child, free], store, RUNTIME).ran) == ["child", "later", "long"]


def test_a_stage_that_runs_elsewhere_ends_when_it_next_reports(store: Store, diary: Path) -> None:
    """Where no signal reaches it, or a command cancels it before its worker has taken it."""
    stage = make(Reporting, "a", diary)
    with store.cancelling([stage.identity]):
        assert work_on(stage, store, RUNTIME, 1) == CANCELLED and lines(diary) == []
    store.ask_again([stage])
    assert work_on(stage, store, RUNTIME, 1) == CANCELLED and lines(diary) == ["start a", "cancel"]
    assert store.failure(stage) is None and store.state(stage) == "missing"


class Reporting(Toy):
    """Is cancelled, as from another machine, and reports."""

    def act(self, context: Context) -> dict[str, Any]:
        with Store(context.folder_of(self).parents[1]).cancelling([self.identity]):
            note(self.config["diary"], "cancel")
        context.report({"step": 1})
        return {}


@pytest.mark.slow
def test_a_job_of_a_multirun_does_not_ask_for_what_was_cancelled_since_it_began(
    store: Store, diary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = make(Toy, "a", diary)
    monkeypatch.setenv(BEGAN, str(time.time() - 10))
    with store.cancelling([stage.identity]):
        outcome = Local(1).run([stage], store, RUNTIME)
    assert outcome.cancelled == [stage.identity] and lines(diary) == []
    monkeypatch.setenv(BEGAN, str(time.time() + 10))
    assert names(Local(1).run([stage], store, RUNTIME).ran) == ["a"]


@pytest.mark.slow
def test_a_stage_that_ends_between_two_looks_at_it_is_counted_once(
    store: Store, diary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another command writes the record just after the first look; and, of a single look, in its middle."""
    stage, state = make(Toy, "a", diary), Store.state
    looks: list[str] = []

    def look(self: Store, stage: Toy) -> str:
        looks.append(state(self, stage))
        self.finish(stage, {})
        return looks[-1]

    monkeypatch.setattr(Store, "state", look)
    outcome = Local(1).run([stage], store, RUNTIME)
    assert names([*outcome.ran, *outcome.done_before]) == ["a"]
    (store.folder(stage) / "record.json").unlink()
    monkeypatch.setattr("t5grid.execution.store.locks", lambda folder: store.finish(stage, {}) or {})
    assert state(store, stage) == "done"


@pytest.mark.slow
def test_a_worker_that_cannot_be_replaced_has_done_what_it_did(
    store: Store, diary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First of two that share what is left; then there is no other, and memory comes back, or does not."""
    start, refusals = executors._Run._start, [0]

    def without_memory(self: executors._Run) -> executors._Worker:
        if self.outcome.ran and refusals[0]:
            refusals[0] -= 1
            raise OSError(errno.ENOMEM, "Cannot allocate memory")
        return start(self)

    monkeypatch.setattr(executors._Run, "_start", without_memory)
    monkeypatch.setattr(executors, "POLL", 0.01)
    monkeypatch.setattr(executors, "memory_of", lambda pid: executors.GB * (pid == large.setdefault(0, pid)))
    for number, (num_workers, few) in enumerate([(2, 1000), (1, 3)]):
        refusals[0] = few
        stages = [make(Toy, f"{number}{name}", diary) for name in "abc"]
        outcome, large = executors.Outcome(), dict[int, int]()
        todo = {stage.identity: stage for stage in stages}
        executors._Run(todo, outcome, store, RUNTIME, num_workers, 1, 1).to_the_end()
        assert (names(outcome.ran), outcome.failed) == (names(stages), {})
    refusals[0], large, outcome = 1000, {}, executors.Outcome()
    stages = [make(Toy, f"never {name}", diary) for name in "ab"]
    with pytest.raises(Refused, match=r"^no worker can be started: Cannot allocate memory; 1 stage is left"):
        executors._Run({s.identity: s for s in stages}, outcome, store, RUNTIME, 1, 1, 1).to_the_end()


@pytest.mark.slow
def test_two_commands_at_once_run_every_stage_once(store: Store, diary: Path, tmp_path: Path) -> None:
    code = (
        "import pathlib, sys; sys.path.insert(0, sys.argv[2])\n"
        "if __name__ == '__main__':\n"
        "    from test_local import twenty; from toy_stages import RUNTIME\n"
        "    from t5grid.execution.local import Local; from t5grid.execution.store import Store\n"
        "    here = pathlib.Path(sys.argv[1])\n"
        "    outcome = Local(1).run(twenty(here / 'diary'), Store(here / 'runs'), RUNTIME)\n"
        "    assert len(outcome.ran) + len(outcome.done_before) == 20, outcome\n"
    )
    (tmp_path / "two.py").write_text(code)
    command = [sys.executable, str(tmp_path / "two.py"), str(tmp_path), str(HERE)]
    commands = [subprocess.Popen(command) for _ in range(2)]
    assert [command.wait(120) for command in commands] == [0, 0]
    assert sorted(lines(diary)) == sorted(f"{w} {s.name}" for s in twenty(diary) for w in ("start", "end"))
    assert {store.state(stage) for stage in twenty(diary)} == {"done"}


def twenty(diary: Path) -> list[Toy]:
    """Two roots with nine children each."""
    roots = [make(Toy, name, diary) for name in "ab"]
    return [*roots, *(make(Toy, f"{root.name}{i}", diary, root) for root in roots for i in range(9))]


@pytest.mark.slow
def test_an_idle_worker_that_vanished_is_replaced(
    store: Store, diary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, started = executors._Run._start, []

    def start_one_that_ends(self: executors._Run) -> executors._Worker:
        each = start(self)
        if not started:
            each.process.kill()
            each.process.join()
        started.append(each)
        return each

    monkeypatch.setattr(executors._Run, "_start", start_one_that_ends)
    stage = make(Toy, "only", diary)
    outcome = Local(1).run([stage], store, RUNTIME)
    assert (names(outcome.ran), len(started)) == (["only"], 2)


@pytest.mark.slow
def test_a_worker_that_still_starts_is_not_interrupted(
    store: Store, diary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C in a terminal reaches it too: the command ends it, without a traceback of its own."""
    start = executors._Run._start

    def start_and_interrupt(self: executors._Run) -> executors._Worker:
        started = start(self)
        assert started.process.pid is not None
        os.kill(started.process.pid, signal.SIGINT)
        return started

    monkeypatch.setattr(executors._Run, "_start", start_and_interrupt)
    assert names(Local(1).run([make(Toy, "a", diary)], store, RUNTIME).ran) == ["a"]


@pytest.mark.slow
def test_a_second_command_waits_for_a_stage_of_the_first_and_does_not_repeat_it(
    store: Store, diary: Path, sweep: subprocess.Popen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executors, "POLL", 0.05)
    long = make(Endless, "long", diary)
    after, free = make(Toy, "after", diary, long), make(Toy, "free", diary)
    await_line(str(diary), "start long")

    def let_go() -> None:
        await_line(str(diary), "end free")  # the second command did what was free meanwhile
        note(str(diary), "go")

    helper = threading.Thread(target=let_go)
    helper.start()
    outcome = Local(1).run([long, after, free], store, RUNTIME)
    helper.join()
    assert (names(outcome.ran), names(outcome.done_before)) == (["after", "free"], ["long"])
    assert lines(diary).count("start long") == 1
    assert sweep.wait(20) == 0


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.slow
def test_workers_and_their_children_end_with_the_command(
    store: Store, diary: Path, sweep: subprocess.Popen, how: signal.Signals
) -> None:
    child, worker = pid_of(diary, "child"), pid_of(diary, "worker")
    sweep.send_signal(how)
    sweep.wait(20)
    assert ends(worker) and ends(child)
    assert store.state(make(Endless, "long", diary)) == "missing"


@pytest.mark.slow
def test_what_a_killed_command_left_is_run_again_at_once(
    store: Store, diary: Path, sweep: subprocess.Popen
) -> None:
    worker = pid_of(diary, "worker")
    sweep.kill()
    sweep.wait(20)
    assert ends(worker)
    note(str(diary), "go")
    assert names(Local(1).run([make(Endless, "long", diary)], store, RUNTIME).ran) == ["long"]


@pytest.mark.slow
@pytest.mark.parametrize(("cores", "workers", "each"), [(5, 2, 2), (2, 3, 1)])
def test_the_cores_are_divided_among_the_workers(
    store: Store, diary: Path, monkeypatch: pytest.MonkeyPatch, cores: int, workers: int, each: int
) -> None:
    monkeypatch.setattr(executors, "num_cores", lambda: cores)
    stages = [make(Threads, str(i), diary) for i in range(2)]
    before = {name: os.environ.get(name) for name in executors.THREAD_VARIABLES}
    Local(workers).run(stages, store, RUNTIME)
    records = [store.record(stage) or {} for stage in stages]
    assert [(r["given"], r["torch"], r["num_threads"]) for r in records] == [(each, each, each)] * 2
    assert {name: os.environ.get(name) for name in executors.THREAD_VARIABLES} == before


def test_no_more_workers_than_stages_are_started(store: Store, diary: Path) -> None:
    stages = [make(Toy, name, diary) for name in "ab"]
    assert Local(None)._num_workers(stages) == min(2, num_cores())
    assert Local(3)._num_workers(stages) == 2


def test_no_more_workers_than_have_memory_are_started(store: Store, diary: Path) -> None:
    stages = [make(Toy, name, diary) for name in "abc"]
    assert Local(3)._num_workers(stages, 1, 2 * executors.GB) == 2
    assert Local(3)._num_workers(stages, 1, executors.GB // 2) == 1
    assert 0 < executors.memory_of(os.getpid()) < executors.free_memory() + 2 * executors.GB


@pytest.mark.slow
def test_a_worker_that_keeps_more_than_its_share_is_replaced(store: Store, diary: Path) -> None:
    stages = [make(Toy, name, diary) for name in "ab"]
    todo = {stage.identity: stage for stage in stages}
    for share, num_processes in ((executors.GB, 1), (1, 2)):
        outcome = executors.Outcome()
        executors._Run(dict(todo), outcome, store, RUNTIME, 1, 1, share).to_the_end()
        assert names(outcome.ran) == ["a", "b"]
        assert len({(store.record(stage) or {})["pid"] for stage in stages}) == num_processes
        for stage in stages:
            (store.folder(stage) / "record.json").unlink()


def test_less_than_one_worker_is_refused() -> None:
    for key in ("num_workers", "memory"):
        with pytest.raises(
            ValueError, match=rf"^executor\.{key}=0: a whole number from 1 up or null is needed$"
        ):
            build({key: 0}, "executor", Local)
