"""running sweep -> one line: stages done of all; step, loss, speed, time left."""

import math
import sys
import time
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from t5grid.stages.stage import Stage

PLAIN_EVERY = 30.0  # seconds between lines where there is no terminal


def clock(seconds: float) -> str:
    """Seconds as h:mm:ss or m:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class Progress:
    """A live display on a terminal, plain lines elsewhere; written to standard error."""

    def __init__(self, num_done_before: int, num_stages: int, total_work: float) -> None:
        self.num_done_before, self.num_stages, self.total_work = num_done_before, num_stages, total_work
        self.done_work, self.num_done = 0.0, 0
        self.started = time.monotonic()
        self.last_line = self.started
        self.console = Console(file=sys.stderr)
        self.live = Live(console=self.console, refresh_per_second=4, transient=True)

    def __enter__(self) -> "Progress":
        if self.console.is_terminal:
            self.live.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self.console.is_terminal:
            self.live.stop()

    def finished(self, stage: Stage) -> None:
        """Count a stage as done."""
        self.num_done += 1
        self.done_work += stage.work

    def failed(self, stage: Stage, reason: str) -> None:
        """Say at once that a stage failed."""
        self.console.print(Text(f"failed: {stage.identity}: {reason}", style="red"))

    def say(self, line: str) -> None:
        """Say something of the sweep as a whole."""
        self.console.print(Text(line))

    def cancelled(self, stage: Stage) -> None:
        """Say at once that a stage was cancelled."""
        self.console.print(Text(f"cancelled: {stage.identity}"))

    def show(self, running: list[tuple[Stage, dict[str, Any]]], outcome: Any) -> None:
        """Draw the state of the sweep."""
        head = self._head(running, len(outcome.failed), len(outcome.blocked))
        if self.console.is_terminal:
            self.live.update(Group(Text(head, style="bold"), self._table(running)))
        elif time.monotonic() - self.last_line > PLAIN_EVERY:
            self.last_line = time.monotonic()
            stages = "; ".join(f"{stage.identity} {status_line(status)}".strip() for stage, status in running)
            print(f"{head} | {stages}", file=sys.stderr, flush=True)

    def _head(self, running: list[tuple[Stage, dict[str, Any]]], num_failed: int, num_blocked: int) -> str:
        spent = time.monotonic() - self.started
        part = sum(stage.work * fraction(status) for stage, status in running)
        share = (self.done_work + part) / max(self.total_work, 1e-9)
        left = f", about {clock(spent / share - spent)} left" if 0.01 < share <= 1 and spent > 10 else ""
        bad = f", {num_failed} failed, {num_blocked} blocked" if num_failed else ""
        before = f" (+ {self.num_done_before} done before)" if self.num_done_before else ""
        stages = f"{self.num_done} of {self.num_stages} stages{before}{bad}"
        return f"{stages}, {percent(share)}, {clock(spent)} so far{left}"

    def _table(self, running: list[tuple[Stage, dict[str, Any]]]) -> Table:
        table = Table.grid(padding=(0, 2))
        for stage, status in running:
            bar = "━" * round(20 * fraction(status))
            table.add_row(stage.identity, Text(f"{bar:╌<20}", style="cyan"), status_line(status))
        return table


def percent(share: float) -> str:
    """A share as `99%`: 100% is said of what is all done alone."""
    return f"{math.floor(100 * share + 1e-9)}%"


def fraction(status: dict[str, Any]) -> float:
    """Share of a running stage's steps that are taken; of a status that makes no sense, none."""
    try:
        return status["step"] / max(status["num_steps"], 1) if "num_steps" in status else 0.0
    except (KeyError, TypeError, OverflowError):
        return 0.0


def status_line(status: dict[str, Any]) -> str:
    """A running stage's status in words; one that makes no sense is said to be none."""
    if "num_steps" not in status:
        return ""
    try:
        text = f"step {status['step']}/{status['num_steps']}"
        if "loss" in status:
            text += f", loss {status['loss']:.3f}, {status['tokens_per_second']:,} tokens/s"
            text += f", {clock(status['seconds_left'])} left"
    except (KeyError, TypeError, ValueError, OverflowError):
        return "its status.json makes no sense"
    return text
