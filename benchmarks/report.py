"""Processor seconds of the commands that show and plan: the page twice, a large plan, a suite's rows.

    python benchmarks/report.py

The page is of the committed records, in a copy whose figures are still to be drawn. Linux only.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from scale import experiment

RECORDS = Path(__file__).parents[1] / "results" / "records"


def seconds(folder: str, *words: str) -> float:
    """Processor time of one command of t5grid, and of the processes it starts."""
    before = os.times()
    command = [sys.executable, "-m", "t5grid.cli", *words]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    return sum(after[2:4]) - sum(before[2:4])


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="t5grid-") as folder:
        (Path(folder) / "experiments").mkdir()
        shutil.copytree(RECORDS, Path(folder) / "results" / "records")
        for name in ("report, first time", "report, again"):
            print(f"{name:<24}{seconds(folder, 'report'):8.1f} s", flush=True)
        (Path(folder) / "experiments" / "generated.yaml").write_text(experiment(10_000))
        words = ("plan", "generated", "budget.num_baseline_seeds=1")
        print(f"{'plan of 10,000 cells':<24}{seconds(folder, *words):8.1f} s", flush=True)
        print(f"{'inspect suite=nano':<24}{seconds(folder, 'inspect', 'suite=nano'):8.1f} s", flush=True)


if __name__ == "__main__":
    main()
