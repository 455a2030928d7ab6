"""stage -> record: does one stage under its lock, and leaves a record or a failure.

A worker process ends at once, children of its own included, when the process that started it closes their
connection or dies.
"""

import contextlib
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from pathlib import Path

from t5grid.config.schema import Runtime
from t5grid.execution import ranks
from t5grid.execution.die_with_parent import watching
from t5grid.execution.lock import LostLock
from t5grid.execution.provenance import provenance
from t5grid.execution.ranks import Node, error_line
from t5grid.execution.store import Store
from t5grid.files import FULL, is_full
from t5grid.stages.stage import Context, Stage


@dataclass(frozen=True)
class Result:
    """What came of a stage in a word, and why it failed."""

    word: str
    reason: str = field(default="", compare=False)


DONE, FOUND, FAILED, HELD, CANCELLED = map(Result, ("done", "found", "failed", "held", "cancelled"))


def work_on(
    stage: Stage, store: Store, runtime: Runtime, num_threads: int, node: Node | None = None
) -> Result:
    """Run a stage: "done"; "found" done; "failed" (failed.json says why); "cancelled"; or "held" by another.

    Held is also one whose lock was lost on the way: its new owner brings it to its end.
    """
    try:
        with store.lock(stage) as is_held:
            if not is_held:
                return HELD
            if store.record(stage) is not None:
                return FOUND
            if store.is_cancelled(stage):
                return CANCELLED
            return _run(stage, store, runtime, num_threads, node)
    except LostLock:
        return HELD
    except OSError as error:  # neither a record nor a failure can be written
        return replace(FAILED, reason=_reason(error))


def _run(stage: Stage, store: Store, runtime: Runtime, num_threads: int, node: Node | None) -> Result:
    """Run a stage whose lock is held."""
    context = Context(store.folder, runtime, num_threads, lambda progress: store.report(stage, progress))
    started = time.time()
    try:
        store.begin(stage)
        with _output_to(store.folder(stage) / "log.txt"):
            if stage.has_ranks(runtime):
                result = ranks.run_ranks(stage, store, runtime, num_threads, node or Node())
            else:
                result = stage.run(context)
        seconds = {"wall_seconds": round(time.time() - started, 2)}
        store.finish(stage, {**result, **seconds, **provenance(runtime, num_threads)})
    except LostLock:
        raise
    except Exception as error:
        if store.is_cancelled(stage):
            return CANCELLED
        store.fail(stage, _reason(error), traceback.format_exc())
        return replace(FAILED, reason=_reason(error))
    return DONE


def _reason(error: Exception) -> str:
    """An error in a line; what to do where the disk is full."""
    return FULL if is_full(error) else error_line(error)


@contextlib.contextmanager
def _output_to(path: Path) -> Iterator[None]:
    """Send everything the process prints to a file, libraries' own writes included."""
    saved = [os.dup(1), os.dup(2)]
    sys.stdout.flush()
    sys.stderr.flush()
    with open(path, "a") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        try:
            yield
        finally:
            with contextlib.suppress(OSError):  # the disk is full
                sys.stdout.flush()
                sys.stderr.flush()
            for target, source in enumerate(saved, start=1):
                os.dup2(source, target)
                os.close(source)


def run_worker(connection: Connection, root: str, runtime: Runtime, num_threads: int) -> None:
    """A long-lived worker process: takes stages from the connection until it is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT,))
    store = Store(root)
    while True:
        try:
            stage = connection.recv()
        except (EOFError, OSError):
            return
        with watching(connection):
            result = work_on(stage, store, runtime, num_threads)
        with contextlib.suppress(OSError):  # nobody is left to hear it: the next turn ends
            connection.send(result)
