"""Start-up of the light commands, interleaved with a bare interpreter and with importing torch.

    python benchmarks/startup.py

Prints the median seconds of each over seven rounds; the aim for the commands is under 1.5 seconds.
"""

import statistics
import subprocess
import sys
import tempfile
import time

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "python -c 'import torch'": ["-c", "import torch"],
    "t5grid --help": ["-m", "t5grid.cli", "--help"],
    "t5grid plan objectives": ["-m", "t5grid.cli", "plan", "objectives"],
    "t5grid status objectives": ["-m", "t5grid.cli", "status", "objectives"],
}


def main(rounds: int = 7) -> None:
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(rounds):
            for name, words in COMMANDS.items():
                started = time.monotonic()
                subprocess.run([sys.executable, *words], cwd=folder, check=True, stdout=subprocess.DEVNULL)
                seconds[name].append(time.monotonic() - started)
    for name, each in seconds.items():
        print(f"{name:<28}{statistics.median(each):6.2f} s")


if __name__ == "__main__":
    main()
