"""stage -> record: does one stage under its lock, and leaves a record or a failure."""

import contextlib
import os
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from t5grid.config import Runtime
from t5grid.grid.stages import Context, Stage, provenance
from t5grid.grid.store import Store

DONE, FAILED, HELD = "done", "failed", "held"


def work_on(stage: Stage, store: Store, runtime: Runtime, num_threads: int) -> str:
    """Run a stage unless it is done: "done", "failed" (failed.json says why), or "held" by somebody else."""
    with store.lock(stage) as mine:
        if not mine:
            return HELD
        if store.record(stage):
            return DONE
        store.begin(stage)
        context = Context(store.folder, runtime, num_threads, lambda progress: store.report(stage, progress))
        started = time.time()
        try:
            with _output_to(store.folder(stage) / "log.txt"):
                result = stage.run(context)
        except Exception as error:
            store.fail(stage, _one_line(error), traceback.format_exc())
            return FAILED
        seconds = {"wall_seconds": round(time.time() - started, 2)}
        store.finish(stage, {**result, **seconds, **provenance(runtime, num_threads)})
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


def worker(connection: Any, root: str, runtime: Runtime, num_threads: int) -> None:
    """A long-lived worker process: takes stages from the connection until it is closed."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    store = Store(root)
    limited = False
    while True:
        try:
            stage = connection.recv()
        except EOFError:
            return
        if not limited:
            import torch

            torch.set_num_threads(num_threads)
            limited = True
        connection.send(work_on(stage, store, runtime, num_threads))
