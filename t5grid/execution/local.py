"""graph -> done: runs whatever of a graph has not run yet, on this machine.

Memory is bounded twice: no more workers are started than have a gibibyte each, and one that holds more than
its share after a stage, from whatever libraries keep, is replaced by a fresh one.
"""

import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Annotated, Any, Literal

from t5grid.config.contracts import NO_CHECKS, Checks
from t5grid.config.rules import AtLeast, Count
from t5grid.config.schema import Runtime
from t5grid.execution import waiting
from t5grid.execution.devices import refuse_absent
from t5grid.execution.lock import discard_dead
from t5grid.execution.outcome import Outcome
from t5grid.execution.progress import Progress
from t5grid.execution.ranks import blocked
from t5grid.execution.run_stage import CANCELLED, DONE, FAILED, FOUND, HELD, Result, run_worker
from t5grid.execution.store import Store
from t5grid.refused import Refused
from t5grid.stages.stage import Stage

GB = 2**30
LEAST_MEMORY = GB  # what a worker takes with everything imported and a small model
POLL = 0.5  # seconds between looks at the status of running stages
ATTEMPTS = 20  # how often a worker is started before there is none
PATIENCE = 5.0  # seconds a worker gets to end by itself
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass
class _Worker:
    process: BaseProcess
    connection: Connection
    stage: Stage | None = None

    def end(self, patience: float = 0.0) -> None:
        """Close the connection: an idle one returns, a busy one ends at once; a deaf one is killed."""
        self.connection.close()
        self.process.join(patience)
        self.process.kill()
        self.process.join()


@dataclass(frozen=True)
class Local:
    """Long-lived worker processes; the machine's cores are divided among them."""

    num_workers: Count | None = None  # None is one a core
    memory: Count | None = None  # GB for all of them; None is what is free when they start
    on_failure: Literal["continue", "stop"] = "continue"  # stop: start nothing more, end what runs
    retries: Annotated[int, AtLeast(0)] = 0  # how often a failed stage is tried again

    def waiting(self) -> "Local":
        """The same: it always stays until all is done."""
        return self

    def check(self, runtime: Runtime) -> None:
        """Raise Refused for a machine that this one is not."""
        if runtime.num_nodes > 1:
            raise Refused(f"runtime.num_nodes={runtime.num_nodes}: executor=local has one; executor=slurm")
        refuse_absent(runtime)

    def run(self, stages: list[Stage], store: Store, runtime: Runtime, checks: Checks = NO_CHECKS) -> Outcome:
        """Run every stage that is not done, parents first; a failed stage blocks its children only.

        What `checks` names goes before everything else, and its check is called when it is done.
        """
        waiting.discard_dead(store)
        done = {identity for identity, state in store.states(stages).items() if state == "done"}
        outcome = Outcome(done_before=[stage for stage in stages if stage.identity in done])
        for stage in outcome.done_before:
            discard_dead(store.folder(stage))
        for identity in done & checks.keys():  # another command was faster
            checks[identity]()
        todo = {stage.identity: stage for stage in stages if stage.identity not in done}
        if todo:
            self.check(runtime)
            store.ask_again(todo.values())
            memory = self.memory * GB if self.memory else free_memory()
            num_workers = self._num_workers(todo.values(), runtime.num_devices, memory)
            threads = max(1, num_cores() // self._most_workers(runtime.num_devices))
            share = memory // num_workers
            with waiting.announced(todo.values(), store):
                _Run(todo, outcome, store, runtime, num_workers, threads, share, self, checks).to_the_end()
        return outcome

    def runtime_of(self, stage: Stage, runtime: Runtime) -> Runtime:
        """The machine a stage gets: this one."""
        return runtime

    def outlook(self, todo: list[Stage], runtime: Runtime) -> tuple[int, str]:
        """How many stages run at a time, and that in words."""
        number = self._num_workers(todo, runtime.num_devices)
        return number, f"{number} worker{'s' * (number > 1)}"

    def _num_workers(self, todo: Iterable[Stage], num_devices: int = 1, memory: int = sys.maxsize) -> int:
        """One a core (or as many as are asked for), fewer where stages or memory are scarcer."""
        wanted = self._most_workers(num_devices)
        return max(1, min(wanted, sum(1 for _ in todo), memory // (LEAST_MEMORY * num_devices)))

    def _most_workers(self, num_devices: int) -> int:
        """Those the cores are shared out to, however few are left to start: sums depend on the threads."""
        return self.num_workers or max(1, num_cores() // num_devices)


def num_cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def free_memory() -> int:
    """Bytes that new processes may take; no bound where the system does not say."""
    with suppress(OSError):
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    return sys.maxsize


def memory_of(pid: int | None) -> int:
    """Bytes of memory a process holds; 0 where the system does not say."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


class _Run:
    """One pass over a graph with a fixed set of workers."""

    def __init__(
        self,
        todo: dict[str, Stage],
        outcome: Outcome,
        store: Store,
        runtime: Runtime,
        num_workers: int,
        num_threads: int,
        share: int,
        settings: Local = Local(),
        checks: Checks = NO_CHECKS,
    ) -> None:
        self.todo, self.outcome, self.store, self.runtime = todo, outcome, store, runtime
        self.num_threads = num_threads
        self.share = share  # bytes of memory that an idle worker may keep
        self.settings, self.checks, self.failures = settings, checks, Counter[str]()
        self.held: dict[str, float] = {}
        self.num_workers, self.workers = num_workers, list[_Worker]()
        self.attempts = 0

    def _start(self) -> _Worker:
        """A spawned worker that sees its share of the cores from its first import on."""
        context = get_context("spawn")
        near_end, far_end = context.Pipe()
        before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
        os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(self.num_threads)))
        arguments = (far_end, str(self.store.root), self.runtime, self.num_threads)
        process = context.Process(target=run_worker, args=arguments, daemon=False)
        with blocked((signal.SIGINT,)):  # until the worker ignores it itself
            process.start()
        far_end.close()
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
        return _Worker(process, near_end)

    def to_the_end(self) -> None:
        """Hand out ready stages until none is left or can become ready."""
        total = sum(stage.work for stage in self.todo.values())
        with Progress(len(self.outcome.done_before), len(self.todo), total) as progress:
            try:
                with suppress(OSError):  # those there is no memory for are tried again when they are needed
                    for _ in range(self.num_workers):
                        self.workers.append(self._start())
                while self.todo or self._busy():
                    self._hand_out()
                    if not self._busy() and (self._stopped() or not self._waiting_for_others()):
                        break
                    self._collect(progress)
                    progress.show(self._running(), self.outcome)
            finally:
                self._stop()
        self.outcome.left = list(self.todo.values())

    def _stopped(self) -> bool:
        """Whether nothing more is to be started."""
        return self.settings.on_failure == "stop" and bool(self.outcome.failed)

    def _busy(self) -> list[_Worker]:
        return [worker for worker in self.workers if worker.stage is not None]

    def _waiting_for_others(self) -> bool:
        """Whether somebody else runs a stage this graph needs; it is looked at again after a while."""
        return bool(self.held)

    def _running(self) -> list[tuple[Stage, dict[str, Any]]]:
        return [(worker.stage, self.store.status(worker.stage)) for worker in self._busy() if worker.stage]

    def _ready(self) -> list[Stage]:
        """Stages whose parents are done, costliest first; children of failures are blocked on the way."""
        gone = self.outcome.stuck
        for identity, stage in list(self.todo.items()):
            if culprit := next((p.identity for p in stage.parents if p.identity in gone), None):
                self.outcome.blocked[identity] = self.outcome.blocked.get(culprit, culprit)
                gone = gone | {identity}
                del self.todo[identity]
        if self._stopped():
            return []
        now = time.monotonic()
        for identity in [identity for identity, until in self.held.items() if until < now]:
            del self.held[identity]
        taken = {worker.stage.identity for worker in self._busy() if worker.stage}
        first = {identity for identity in self.checks if identity in self.todo or identity in taken}
        ready = [
            stage
            for identity, stage in self.todo.items()
            if identity not in self.held
            and (identity in first or not first)
            and not any(p.identity in self.todo or p.identity in taken for p in stage.parents)
        ]
        return sorted(ready, key=lambda stage: -stage.work)

    def _hand_out(self) -> None:
        """Give every idle worker a stage that is ready; those that were cancelled meanwhile are left out."""
        ready = self._ready()
        while ready and (worker := self._idle()):
            stage = self.todo.pop(ready.pop(0).identity)
            if self.store.is_cancelled(stage):
                self.outcome.cancelled.append(stage.identity)
                ready = self._ready()  # its children are not
            elif not self._send(worker, stage):
                self.todo[stage.identity] = stage
                ready = self._ready()

    def _idle(self) -> _Worker | None:
        """A worker without a stage, started where there are fewer than may be; None where there is none.

        Raises Refused if none at all can be started, having tried for a while.
        """
        idle = next((worker for worker in self.workers if worker.stage is None), None)
        while idle is None and len(self.workers) < self.num_workers:
            try:
                idle = self._start()
                self.workers.append(idle)
                self.attempts = 0
            except OSError as error:  # want of memory, or of processes; others may give it back
                if self.workers:
                    break
                self._try_again(error)
        return idle

    def _try_again(self, error: OSError) -> None:
        self.attempts += 1
        if self.attempts > ATTEMPTS:
            left = len(self.todo)
            what = f"{left} stage{'s are' if left > 1 else ' is'} left, and the same command goes on"
            raise Refused(f"no worker can be started: {error.strerror or error}; {what}") from None
        time.sleep(POLL)

    def _send(self, worker: _Worker, stage: Stage) -> bool:
        """Give a worker a stage; False, and it is let go, where it vanished while it was idle."""
        try:
            worker.connection.send(stage)
        except OSError:
            self._dismiss(worker)
            return False
        worker.stage = stage
        return True

    def _dismiss(self, worker: _Worker, patience: float = 0.0) -> None:
        """Do without a worker; another takes its place when there is something to do."""
        self.workers.remove(worker)
        worker.end(patience)

    def _collect(self, progress: Progress) -> None:
        busy = {worker.connection: worker for worker in self._busy()}
        for connection in wait(list(busy), timeout=POLL) if busy else self._pause():
            worker = busy[connection]  # type: ignore[index]
            stage, worker.stage = worker.stage, None
            assert stage is not None
            try:
                result = worker.connection.recv()
            except (EOFError, OSError):
                result = self._bury(stage, worker)
            self._note(stage, result, progress)
            if worker in self.workers and memory_of(worker.process.pid) > self.share:
                self._dismiss(worker, PATIENCE)

    def _pause(self) -> list[Any]:
        time.sleep(POLL)
        return []

    def _note(self, stage: Stage, result: Result, progress: Progress) -> None:
        if result == HELD:
            self.todo[stage.identity] = stage
            self.held[stage.identity] = time.monotonic() + 4 * POLL
        elif result in (DONE, FOUND):
            (self.outcome.ran if result == DONE else self.outcome.done_before).append(stage)
            progress.finished(stage)
            if check := self.checks.get(stage.identity):
                check()
        elif result == CANCELLED:
            self.outcome.cancelled.append(stage.identity)
            progress.cancelled(stage)
        else:
            self.failures[stage.identity] += 1
            again = self.failures[stage.identity] <= self.settings.retries
            progress.failed(stage, result.reason + ("; it is tried again" if again else ""))
            if again:
                self.todo[stage.identity] = stage
            else:
                self.outcome.failed[stage.identity] = result.reason

    def _bury(self, stage: Stage, dead: _Worker) -> Result:
        """A worker that vanished fails its stage, unless that was just done or cancelled."""
        dead.process.join()
        self._dismiss(dead)
        with suppress(OSError):
            discard_dead(self.store.folder(stage))
        if self.store.state(stage) == "done":
            return DONE
        if self.store.is_cancelled(stage):
            return CANCELLED
        code = dead.process.exitcode or 0
        how = f"was killed by signal {-code}" if code < 0 else f"ended with status {code}"
        with suppress(OSError):  # a full disk may be what killed it
            self.store.fail(stage, f"the worker {how}", "no traceback: see log.txt")
        return replace(FAILED, reason=f"the worker {how}")

    def _stop(self) -> None:
        """End the workers, all of them told at once."""
        for worker in self.workers:
            worker.connection.close()
        for worker in self.workers:
            worker.end(PATIENCE)
