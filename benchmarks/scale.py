"""Planning and status of a generated grid of 10,000 cells, and 10,000 records made into tables.

    python benchmarks/scale.py [NUM_CELLS]

Prints seconds and peak memory of each command; the aims are 60 seconds and 1 GiB for `plan` and for `status`,
and 10 seconds for the tables. Linux only.
"""

import itertools
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

OBJECTIVES = ("replace_spans", "random_spans", "mass_style", "bert_style")
SIZES = ("nano", "tiny", "small", "base", "large")
SEEDS = 20
HEAD = """title: Generated
reproduces: nothing
cost: not meant to be run
command: t5grid sweep generated
first_column: Row
rows:
  baseline: {title: Baseline, overrides: [], starred: true}
"""


def experiment(num_cells: int) -> str:
    """An experiment file of so many different cells: objectives at many rates, sizes and seeds."""
    rates = [0.1 + i / 10_000 for i in range(-(-num_cells // (len(OBJECTIVES) * len(SIZES) * SEEDS)))]
    rows = itertools.product(OBJECTIVES, rates, SIZES, range(1, SEEDS + 1))
    lines = [
        f"  r{i}: {{title: r{i}, overrides: "
        f"[objective={objective}, objective.rate={rate:.6g}, size={size}, seed={seed}]}}\n"
        for i, (objective, rate, size, seed) in enumerate(itertools.islice(rows, num_cells - 1))
    ]
    return HEAD + "".join(lines)


def timed(name: str, words: list[str], folder: str) -> str:
    """Run a command; its last line of output."""
    started = time.monotonic()
    done = subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, text=True)
    assert done.stdout
    out = done.stdout.read()
    _, status, usage = os.wait4(done.pid, 0)
    if status:
        raise SystemExit(f"{name} ended with {os.waitstatus_to_exitcode(status)}")
    print(f"{name:<46}{time.monotonic() - started:8.1f} s{usage.ru_maxrss / 2**20:8.2f} GiB")
    return out


def main() -> None:
    num_cells = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    folder = tempfile.mkdtemp(prefix="t5grid-")
    (Path(folder) / "experiments").mkdir()
    (Path(folder) / "experiments" / "generated.yaml").write_text(experiment(num_cells))
    command = [sys.executable, "-m", "t5grid.cli"]
    words = ["generated", "budget.num_baseline_seeds=1"]
    print(timed(f"plan of {num_cells:,} cells", [*command, "plan", *words], folder))
    print(timed("status", [*command, "status", *words], folder))


if __name__ == "__main__":
    main()
