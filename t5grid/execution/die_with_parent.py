"""worker <-> the process that started it: ends with it, children of its own included."""

import contextlib
import multiprocessing
import os
import threading
from collections.abc import Iterator
from multiprocessing.connection import Connection, wait


@contextlib.contextmanager
def watching(connection: Connection) -> Iterator[None]:
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
