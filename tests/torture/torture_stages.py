"""Stages for the torture of execution: spawned workers and Slurm's jobs import them here."""

import time
from pathlib import Path
from typing import Any

import numpy as np
from toy_stages import Toy, lines

from t5grid.stages.stage import Context

PATIENCE = 240.0  # seconds after which a stage that waits for a word gives up


def await_word(diary: str, word: str) -> None:
    """Wait until a line stands in the diary. Raises TimeoutError."""
    until = time.monotonic() + PATIENCE
    while word not in lines(Path(diary)):
        if time.monotonic() > until:
            raise TimeoutError(word)
        time.sleep(0.02)


class Patient(Toy):
    """Waits for a line `go` in the diary, however long the cluster is away."""

    def act(self, context: Context) -> dict[str, Any]:
        await_word(self.config["diary"], "go")
        return {}


class Steps(Toy):
    """Fifteen steps of a small model, each with a checkpoint and a row; waits at that of `config["gate"]`."""

    trains = True

    def act(self, context: Context) -> dict[str, Any]:
        from test_ranks import Model, Plain

        from t5grid.training.fit import Plan, fit

        plan = Plan(
            num_steps=15,
            checkpoint_every=1,
            keep=3,
            optimizer=Plain(),
            schedule=lambda step: 0.1,
            seed=0,
        )
        folder = context.folder_of(self)
        return fit(Model(), self.feed, plan, folder, context.runtime, context.report, "steps")

    def feed(self, step: int) -> dict[str, np.ndarray]:
        """The batch of a step; that of the gate once the diary says `go`."""
        if step == self.config["gate"]:
            with open(self.config["diary"], "a") as file:
                file.write("at the gate\n")
            await_word(self.config["diary"], "go")
        inputs = np.random.default_rng(step).integers(1, 11, (4, 4))
        return {"inputs": inputs, "targets": inputs}
