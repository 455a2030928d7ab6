"""Two workers against one: wall time of the same sweep, each in an empty folder, in one run.

    python benchmarks/workers.py objectives budget=smoke

One worker is timed on both cores (its torch takes a thread for each) and on one core alone, with a ratio to
either. Linux only.
"""

import os
import subprocess
import sys
import tempfile
import time


def seconds(words: list[str], num_workers: int, cores: set[int]) -> float:
    """Wall time of one `t5grid sweep` on these cores; it must succeed."""
    command = [sys.executable, "-m", "t5grid.cli", "sweep", *words, f"executor.num_workers={num_workers}"]
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="t5grid-") as folder:
        subprocess.run(
            command,
            cwd=folder,
            stdout=subprocess.DEVNULL,
            check=True,
            preexec_fn=lambda: os.sched_setaffinity(0, cores),
        )
    return time.monotonic() - started


def main() -> None:
    words = sys.argv[1:] or ["objectives", "budget=smoke"]
    cores = set(sorted(os.sched_getaffinity(0))[:2])
    print(f"t5grid sweep {' '.join(words)}; load before {os.getloadavg()[0]:.1f}")
    two = seconds(words, 2, cores)
    print(f"two workers on two cores   {two:8.1f} s", flush=True)
    for where, of_one in (("two cores", cores), ("one core", {min(cores)})):
        spent = seconds(words, 1, of_one)
        print(f"one worker on {where:9}    {spent:8.1f} s, ratio {two / spent:.2f}", flush=True)
    print(f"load after {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
