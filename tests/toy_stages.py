"""Stages without training for the tests of store, work and executors; spawned workers import them here."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from t5grid.config.schema import Runtime
from t5grid.refused import Refused
from t5grid.stages.stage import Context, Stage

RUNTIME = Runtime(
    accelerator="cpu",
    num_devices=1,
    precision="fp32",
    num_loader_workers=0,
    evaluation_batch=4,
    wandb="off",
    wandb_project="t5grid",
    runs_dir="runs",
    results_dir="results",
)
PATIENCE = 20.0  # seconds after which a stage that waits for another gives up


class Toy(Stage):
    """Notes start and end in `config["diary"]`, then records who it is."""

    kind = "toy"

    def run(self, context: Context) -> dict[str, Any]:
        note(self.config["diary"], f"start {self.name}")
        result = self.act(context)
        note(self.config["diary"], f"end {self.name}")
        return {"pid": os.getpid(), **result}

    def act(self, context: Context) -> dict[str, Any]:
        return {}


class Chatty(Toy):
    """Prints through Python, through a child process and to standard error."""

    def act(self, context: Context) -> dict[str, Any]:
        print("a line of Python")
        subprocess.run([sys.executable, "-S", "-c", "print('a line of a child')"], check=True)
        print("a line of trouble", file=sys.stderr)
        return {}


class Failing(Toy):
    """Raises what a user's mistake raises."""

    def act(self, context: Context) -> dict[str, Any]:
        raise Refused("rate=2: at most 1\n  is possible")


class Moody(Toy):
    """Fails until it has been started three times."""

    def act(self, context: Context) -> dict[str, Any]:
        if lines(Path(self.config["diary"])).count(f"start {self.name}") < 3:
            raise Refused("not yet")
        return {}


class Filling(Toy):
    """Meets a disk that is full, in the middle of writing a file."""

    def act(self, context: Context) -> dict[str, Any]:
        with open(context.folder_of(self) / ".half.partial", "w") as file:
            file.write("half")
        raise OSError(errno.ENOSPC, "No space left on device")


class Breaking(Toy):
    """Raises what a fault of the code raises."""

    def act(self, context: Context) -> dict[str, Any]:
        raise KeyError("width")


class Unwritable(Toy):
    """Returns what JSON cannot hold."""

    def act(self, context: Context) -> dict[str, Any]:
        return {"score": object()}


class Dying(Toy):
    """Is killed, as by a machine that is out of memory."""

    def act(self, context: Context) -> dict[str, Any]:
        os.kill(os.getpid(), signal.SIGKILL)
        return {}


class Meeting(Toy):
    """Ends only when the stage named in `config["other"]` has started as well."""

    def act(self, context: Context) -> dict[str, Any]:
        await_line(self.config["diary"], f"start {self.config['other']}")
        return {}


class Endless(Toy):
    """Waits for a line `go` in the diary; has a child process of its own meanwhile."""

    def act(self, context: Context) -> dict[str, Any]:
        from multiprocessing import get_context

        child = get_context("spawn").Process(target=time.sleep, args=(PATIENCE,))
        child.start()
        note(self.config["diary"], f"child {child.pid}")
        note(self.config["diary"], f"worker {os.getpid()}")
        await_line(self.config["diary"], "go")
        child.kill()
        child.join()
        return {}


class Threads(Toy):
    """Records the threads it may use and those that torch takes."""

    def act(self, context: Context) -> dict[str, Any]:
        import torch

        return {"given": context.num_threads, "torch": torch.get_num_threads()}


def make(cls: type[Toy], name: str, diary: Path, *parents: Stage, **config: Any) -> Toy:
    """A toy stage whose identity is its class and name."""
    content = {"class": cls.__name__}
    return cls(name, {"diary": str(diary), **config}, content, parents)


def note(diary: str, line: str) -> None:
    """Append a line; one write, so that lines of several processes stay whole."""
    with open(diary, "a") as file:
        file.write(line + "\n")


def lines(diary: Path) -> list[str]:
    """The diary so far."""
    return diary.read_text().splitlines() if diary.exists() else []


def await_line(diary: str, line: str) -> None:
    """Wait until `line` stands in the diary. Raises TimeoutError."""
    until = time.monotonic() + PATIENCE
    while line not in lines(Path(diary)):
        if time.monotonic() > until:
            raise TimeoutError(f"no {line!r} in {lines(Path(diary))}")
        time.sleep(0.02)
