"""stage -> record: does one stage under its lock, and leaves a record or a failure.

A worker process ends at once, children of its own included, when the process that started it closes their
connection or dies.
"""

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from multiprocessing.connection import Connection, wait
from pathlib import Path

from t5grid.config import Runtime
from t5grid.grid.stages import Context, Stage, provenance
from t5grid.grid.store import Store

DONE, FOUND, FAILED, HELD = "done", "found", "failed", "held"


def work_on(stage: Stage, store: Store, runtime: Runtime, num_threads: int) -> str:
    """Run a stage: "done"; "found" done; "failed" (failed.json says why); or "held" by somebody else."""
    with store.lock(stage) as mine:
        if not mine:
            return HELD
        if store.record(stage) is not None:
            return FOUND
        context = Context(store.folder, runtime, num_threads, lambda progress: store.report(stage, progress))
        started = time.time()
        try:
            store.begin(stage)
            with _output_to(store.folder(stage) / "log.txt"):
                result = stage.run(context)
            seconds = {"wall_seconds": round(time.time() - started, 2)}
            store.finish(stage, {**result, **seconds, **provenance(runtime, num_threads)})
        except Exception as error:
            store.fail(stage, _one_line(error), traceback.format_exc())
            return FAILED
        return DONE


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, ValueError) and text else f"{type(error).__name__}: {text}"


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
            sys.stdout.flush()
            sys.stderr.flush()
            for target, source in enumerate(saved, start=1):
                os.dup2(source, target)
                os.close(source)


def worker(connection: Connection, root: str, runtime: Runtime, num_threads: int) -> None:
    """A long-lived worker process: takes stages from the connection until it is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    store = Store(root)
    while True:
        try:
            stage = connection.recv()
        except (EOFError, OSError):
            return
        with _watching(connection):
            result = work_on(stage, store, runtime, num_threads)
        with contextlib.suppress(OSError):  # nobody is left to hear it: the next turn ends
            connection.send(result)


@contextlib.contextmanager
def _watching(connection: Connection) -> Iterator[None]:
    """End this process if the connection is closed meanwhile: nothing is ever sent to a busy worker."""
    stop, stopped = multiprocessing.Pipe(duplex=False)
    watcher = threading.Thread(target=_watch, args=(connection, stop), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        stopped.send(None)
        watcher.join()
        stop.close()
        stopped.close()


def _watch(connection: Connection, stop: Connection) -> None:
    if stop not in wait([connection, stop]):
        for child in multiprocessing.active_children():
            child.kill()
        os._exit(1)
