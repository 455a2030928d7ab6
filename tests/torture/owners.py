"""A program that runs stages, one in a process each, until they are stopped: torch is imported once.

    python owners.py FOLDER MOMENT...

A moment is `gate 7` (the stage waits at step 7, to be stopped) or `write 5` (it stops itself at its fifth
write of a file, just before that takes its place). FOLDER/<i>/ holds the store and the diary of the i-th;
what came of its work, in a word, is left in FOLDER/<i>/result.
"""

import os
import signal
import sys
from pathlib import Path

import test_ranks  # noqa: F401
import toy_stages
from torture_stages import Steps

import t5grid.training.fit  # noqa: F401
from t5grid import files
from t5grid.execution.run_stage import work_on
from t5grid.execution.store import Store


def steps(folder: Path, gate: int = -1) -> Steps:
    """The stage of a folder, its diary beside the store."""
    return toy_stages.make(Steps, "steps", folder / "diary", gate=gate)  # type: ignore[return-value]


def stop_at_write(number: int) -> None:
    """Stop this process just before its write of that number takes its place."""
    replace, left = os.replace, [number]

    def stopping(*paths: Path) -> None:
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGSTOP)
        replace(*paths)

    files.os = type(sys)("os")  # a copy, so that libraries keep theirs
    files.os.__dict__.update(os.__dict__)
    files.os.replace = stopping


def work(folder: Path, how: str, number: int) -> None:
    """Do the stage of a folder, its process id beside it, and leave what came of it."""
    folder.mkdir()
    (folder / "pid").write_text(str(os.getpid()))
    if how == "write":
        stop_at_write(number)
    stage = steps(folder, number if how == "gate" else -1)
    result = work_on(stage, Store(folder / "runs"), toy_stages.RUNTIME, 1)
    (folder / "result").write_text(f"{result.word} {result.reason}".strip())


if __name__ == "__main__":
    for i, (how, number) in enumerate(zip(sys.argv[2::2], sys.argv[3::2], strict=True)):
        if not os.fork():
            work(Path(sys.argv[1]) / str(i), how, int(number))
            os._exit(0)
    while True:
        try:
            os.wait()
        except ChildProcessError:
            break
