"""Wall time and memory of a whole sweep in an empty folder, and of the same command again.

    python benchmarks/sweep.py objectives budget=smoke

Prints seconds of the first run, the peak memory of all its processes together (proportional set size, so that
pages they share count once), and seconds of the second run, which finds everything done. Linux only.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

EVERY = 1.0  # seconds between looks at the memory


def memory_of_session(leader: int) -> int:
    """Bytes of proportional set size of every process in the session of `leader`."""
    total = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if os.getsid(int(folder.name)) == leader:
                lines = (folder / "smaps_rollup").read_text().splitlines()
                total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
        except (OSError, ProcessLookupError):
            continue
    return total


def run(words: list[str], folder: str) -> tuple[float, int]:
    """Seconds and peak bytes of one `t5grid sweep`; the process must succeed."""
    started, peak = time.monotonic(), 0
    command = [sys.executable, "-m", "t5grid.cli", "sweep", *words]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, start_new_session=True)
    while process.poll() is None:
        peak = max(peak, memory_of_session(process.pid))
        time.sleep(EVERY if time.monotonic() - started > 10 else 0.1)
    if process.returncode:
        raise SystemExit(f"the sweep ended with {process.returncode}")
    return time.monotonic() - started, peak


def main() -> None:
    words = sys.argv[1:] or ["objectives", "budget=smoke"]
    folder = tempfile.mkdtemp(prefix="t5grid-")
    first, peak = run(words, folder)
    second, _ = run(words, folder)
    print(f"t5grid sweep {' '.join(words)}, left in {folder}")
    print(f"first run   {first:8.1f} s   peak memory {peak / 2**30:.2f} GiB")
    print(f"again       {second:8.1f} s   ratio {first / second:.0f}")


if __name__ == "__main__":
    main()
