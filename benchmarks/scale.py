"""Planning and status of a generated grid of 10,000 cells, and 10,000 records made into tables.

    python benchmarks/scale.py [NUM_CELLS]

Prints the time on the clock and of the processor, and the peak memory, of each command; the aims are 60
seconds and 1 GiB for `plan` and for `status`, and 10 seconds for the tables. Linux only.
"""

import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

OBJECTIVES = ("replace_spans", "random_spans", "mass_style", "bert_style")
SIZES = ("nano", "tiny", "small", "base", "large")
SEEDS, NUM_COLUMNS = 20, 7
RECORDED = [f"budget.num_baseline_seeds={SEEDS}", f"budget.num_seeds={SEEDS}"]
HEAD = """title: Generated
reproduces: nothing
cost: not meant to be run
command: t5grid sweep generated
first_column: Row
rows:
  baseline: {title: Baseline, overrides: [], starred: true}
"""


def experiment(num_cells: int, num_seeds: int = SEEDS) -> str:
    """An experiment file of so many different cells: objectives at many rates, sizes and seeds."""
    rates = [0.1 + i / 10_000 for i in range(-(-num_cells // (len(OBJECTIVES) * len(SIZES) * num_seeds)))]
    rows = itertools.product(OBJECTIVES, rates, SIZES, range(1, num_seeds + 1))
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
    clock, processor = time.monotonic() - started, usage.ru_utime + usage.ru_stime
    memory = usage.ru_maxrss / 2**20
    print(f"{name:<40}{clock:8.1f} s, processor {processor:8.1f} s, {memory:8.2f} GiB", flush=True)
    return out


def write_records(num_records: int, folder: str) -> int:
    """Kept records of evaluate stages, for every column of as many rows of many seeds as it takes."""
    from t5grid.execution.provenance import provenance
    from t5grid.grid.graph import expand

    num_rows = max(2, round(num_records / SEEDS / NUM_COLUMNS))
    text = experiment(num_rows, num_seeds=1)
    (Path(folder) / "experiments" / "recorded.yaml").write_text(text)
    os.chdir(folder)
    grid = expand("recorded", RECORDED)
    made = provenance(grid.baseline.runtime, 1)
    stages = {
        stage.identity: stage
        for _, cells in grid.rows.items()
        for _, ends in cells
        for stage in ends.values()
    }
    for number, stage in enumerate(stages.values()):
        path = Path("results/records") / f"{stage.identity}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        record = {**stage.describe(), **made, "score": 50 + number % 97 / 7, "step": 1, "data": {}}
        path.write_text(json.dumps(record, indent=1))
    return len(stages)


def main() -> None:
    num_cells = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    folder = tempfile.mkdtemp(prefix="t5grid-")
    (Path(folder) / "experiments").mkdir()
    (Path(folder) / "experiments" / "generated.yaml").write_text(experiment(num_cells))
    command = [sys.executable, "-m", "t5grid.cli"]
    words = ["generated", "budget.num_baseline_seeds=1"]
    print(timed(f"plan of {num_cells:,} cells", [*command, "plan", *words], folder))
    print(timed("status", [*command, "status", *words], folder))
    num_records = write_records(num_cells, folder)
    name = f"{num_records:,} records into tables"
    print(timed(name, [*command, "table", "recorded", *RECORDED], folder).splitlines()[-1])


if __name__ == "__main__":
    main()
