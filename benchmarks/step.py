"""A training step of another version of t5grid against this one's, in one run.

    python benchmarks/step.py --against FOLDER [OVERRIDE ...]

FOLDER holds the other version (`git worktree add FOLDER REF`). Each version has a process of its own with one
thread; both hold the same weights and batches, and they take turns of a few steps. Printed are, for
pre-training's steps (forward, loss, backward, Adafactor), the medians of processor seconds and of the ratios
of the pairs: above 1, this version is faster. Overrides choose another cell, e.g. `size=tiny`.
"""

import argparse
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import IO

STEPS, ROUNDS = 4, 40

CHILD = """
import sys, time, torch
from t5grid.config.schema import load_cell
torch.set_num_threads(1)
torch.set_flush_denormal(True)
cell = load_cell(sys.argv[2:])
budget, vocab_size = cell.budget.pretrain, 2000
torch.manual_seed(0)
model = cell.architecture.build(cell.size, vocab_size).train()
optimizer = budget.optimizer.build(model.parameters(), lr=0.01)
raw, targets_length = cell.objective.lengths(budget.inputs_length)

import numpy as np
def batch(step):
    noise = np.random.default_rng(step)
    ids = noise.integers(3, vocab_size - 100, (budget.num_rows, raw))
    inputs, targets = cell.objective(ids, noise, vocab_size)
    arrays = cell.architecture.batching(inputs, targets, budget.inputs_length, targets_length)
    return {key: torch.as_tensor(value) for key, value in arrays.items()}

batches = [batch(step) for step in range(8)]
def train(step):
    loss = model.loss(batches[step % len(batches)])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()

for turn, line in enumerate(sys.stdin):
    started = time.process_time()
    losses = [train(step) for step in range(int(line))]
    print((time.process_time() - started) / len(losses), losses[-1], flush=True)
"""


def start(folder: Path, words: list[str]) -> "subprocess.Popen[str]":
    """A process with the version of t5grid in `folder`, waiting for numbers of steps on its input."""
    environment = {**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", CHILD, str(folder), *words]
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def take(child: "subprocess.Popen[str]", steps: int) -> tuple[float, float]:
    """Processor seconds a step, and the loss of the last one."""
    into: IO[str] = child.stdin  # type: ignore[assignment]
    out: IO[str] = child.stdout  # type: ignore[assignment]
    into.write(f"{steps}\n")
    into.flush()
    seconds, loss = out.readline().split()
    return float(seconds), float(loss)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--against", type=Path, required=True, help="a folder with the other version")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    arguments, words = parser.parse_known_args()
    folders = (arguments.against.resolve(), Path(__file__).resolve().parents[1])
    children = [start(folder, words) for folder in folders]
    losses = [take(child, STEPS)[1] for child in children]
    pairs = [tuple(take(child, STEPS)[0] for child in children) for _ in range(arguments.rounds)]
    for child in children:
        child.communicate()
    other, ours = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(theirs / mine for theirs, mine in pairs)
    print(f"loss after {STEPS} steps: {losses[0]:.7f} there, {losses[1]:.7f} here")
    print(f"{other * 1e3:.1f} ms a step there, {ours * 1e3:.1f} ms here, ratio {ratio:.3f}")


if __name__ == "__main__":
    main()
