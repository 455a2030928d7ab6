"""stage -> ranks: the processes, one a device, that train a stage together.

The process that holds the stage's lock starts those of its node and ends them when it ends; each runs the
stage, and the leading rank's result is the stage's.
"""

import multiprocessing
import os
import signal
import socket
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from t5grid.config.schema import Runtime
from t5grid.execution.die_with_parent import watching
from t5grid.execution.store import Store
from t5grid.files import Check, fences, inherit
from t5grid.refused import Refused
from t5grid.stages.stage import Context, Stage

IGNORED = (signal.SIGINT, signal.SIGUSR2)  # the process that started a rank heeds them and ends it
THREADS = "OMP_NUM_THREADS"


@dataclass(frozen=True)
class Node:
    """One of a stage's nodes, and where its leading rank listens."""

    number: int = 0
    address: str = "127.0.0.1"
    port: int | None = None

    def environment(self, rank: int, num_threads: int) -> dict[str, str]:
        """What tells a rank its place."""
        assert self.port is not None
        return {
            "NODE_RANK": str(self.number),
            "LOCAL_RANK": str(rank),
            "MASTER_ADDR": self.address,
            "MASTER_PORT": str(self.port),
            THREADS: str(num_threads),
        }


class RankError(Exception):
    """A rank's own error, in one line."""


def run_ranks(stage: Stage, store: Store, runtime: Runtime, num_threads: int, node: Node) -> dict[str, Any]:
    """Run a stage on the devices of this node; its result. Raises RankError if a rank fails or is killed."""
    if node.port is None:
        node = Node(node.number, node.address, _free_port())
    ranks: list[tuple[BaseProcess, Connection]] = []
    try:
        for i in range(runtime.num_devices):
            threads = max(1, num_threads // runtime.num_devices)
            ranks.append(_start(node.environment(i, threads), (stage, store.root, runtime, threads)))
        return _results(ranks)[0]
    finally:
        for process, connection in ranks:
            connection.close()
            process.kill()
            process.join()


def _results(ranks: list[tuple[BaseProcess, Connection]]) -> list[dict[str, Any]]:
    """What each rank returned; the first failure ends the wait."""
    results: dict[int, dict[str, Any]] = {}
    connections = {connection: i for i, (_, connection) in enumerate(ranks)}
    while len(results) < len(ranks):
        ready: list[Any] = wait([connection for connection, i in connections.items() if i not in results])
        for connection in ready:
            i = connections[connection]
            try:
                results[i], error = connection.recv()
            except (EOFError, OSError):
                ranks[i][0].join()
                error = f"rank {i} ended with status {ranks[i][0].exitcode}"
            if error:
                raise RankError(error)
    return [results[i] for i in range(len(ranks))]


def _start(environment: dict[str, str], arguments: tuple[Any, ...]) -> tuple[BaseProcess, Connection]:
    context = multiprocessing.get_context("spawn")
    near_end, far_end = context.Pipe()
    process = context.Process(target=_rank, args=(far_end, fences(), *arguments), daemon=False)
    with _environment(environment), blocked(IGNORED):  # until the rank ignores them itself
        process.start()
    far_end.close()
    return process, near_end


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


@contextmanager
def blocked(signals: tuple[signal.Signals, ...]) -> Iterator[None]:
    """Within, the signals wait, also in a process that is started, until that lets them through."""
    resource_tracker.ensure_running()  # lets SIGINT through when it starts, as it would with the process
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _rank(
    connection: Connection,
    fences: dict[Path, Check],
    stage: Stage,
    root: str,
    runtime: Runtime,
    num_threads: int,
) -> None:
    """One rank: the stage's result and no error, or an error, through the connection."""
    inherit(fences)
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, IGNORED)
    store = Store(root)
    context = Context(store.folder, runtime, num_threads, lambda progress: store.report(stage, progress))
    with watching(connection):
        answer: tuple[dict[str, Any], str | None]
        try:
            answer = (stage.run(context), None)
        except Exception as error:
            traceback.print_exc()
            answer = ({}, error_line(error))
    connection.send(answer)


def error_line(error: Exception) -> str:
    """An error in a line: the message of what is refused, with its type of anything else."""
    text = " ".join(str(error).split())
    return text if isinstance(error, Refused | RankError) and text else f"{type(error).__name__}: {text}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
