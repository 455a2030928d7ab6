"""Every benchmark that needs a CPU only: today's ratios beside the committed ones, in about ten minutes.

    python benchmarks/all.py [--against FOLDER] [--record]

Each command is run as it stands in benchmarks/README.md, whose table holds the committed ratios; `--record`
writes today's there. `--against` names a folder with another version of t5grid, for benchmarks/step.py. A
ratio is of one run on one machine; seconds drift with what else the machine does and are not compared.
"""

import argparse
import platform
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
README = HERE / "README.md"
SHARED = HERE.parents[1] / "shared"
ROW = re.compile(r"^\| (?P<figure>[^|]+?) \| `(?P<command>[^`]+)` \| (?P<ratio>[0-9.]+|–) \|$")
START = "| figure | command | ratio |"

Ratios = Iterator[tuple[str, float]]
Reader = Callable[[str], Ratios]


def columns(pattern: str) -> Reader:
    """A reader of the lines that match; the groups are the figure's name and its ratio."""

    def read(printed: str) -> Ratios:
        for line in printed.splitlines():
            if match := re.match(pattern, line):
                yield match[1].strip(), float(match[2])

    return read


def startup(printed: str) -> Ratios:
    """Seconds of each command over those of importing torch, of which the light ones must stay below."""
    seconds = dict(columns(r"(.+?)\s+([0-9.]+) s$")(printed))
    torch = next(value for name, value in seconds.items() if "torch" in name)
    for name, value in seconds.items():
        if "t5grid" in name:
            yield f"{name} over importing torch", value / torch


BENCHMARKS: dict[str, Reader] = {
    "startup.py": startup,
    "objectives.py": columns(r"(\w+)\s+[0-9,]+\s+[0-9,]+\s+([0-9.]+)$"),
    "tokens.py": columns(r"(memory, [a-z ]+?) [0-9,]+ tokens/s, ratio ([0-9.]+)$"),
    "finetuning.py": columns(r"\| ([a-z_, 0-9=]+?) \| [0-9.]+ \| ([0-9.]+) \|"),
    "formatting.py": columns(r"(\S+)\s+[0-9]+.*?([0-9.]+)\s+\S+$"),
    "huggingface.py tiny:2048": columns(r"(.+?)\s+[0-9.]+ s\s+[0-9.]+ s\s+([0-9.]+)$"),
    "bert.py": columns(r"(.+?)\s+[0-9.]+ s\s+[0-9.]+ s\s+([0-9.]+)$"),
    "segments.py": columns(r"(kept: .+?)\s{2,}[0-9. ]+\s([0-9.]+)$"),
    "step.py": columns(r"()[0-9.]+ ms a step there, .*ratio ([0-9.]+)$"),
}


def committed() -> dict[tuple[str, str], str]:
    """(figure, command) -> ratio, of the README's table."""
    rows = map(ROW.match, README.read_text(encoding="utf-8").splitlines())
    return {(row["figure"], row["command"]): row["ratio"] for row in rows if row}


def commands(against: Path | None) -> Iterator[tuple[str, list[str], Reader]]:
    """What is run here: the command as it is written, its words, the reader of what it prints."""
    for name, reader in BENCHMARKS.items():
        words = name.split()
        if name == "formatting.py" and not (SHARED / "mirror").is_dir():
            continue
        if name == "step.py":
            if against is None:
                continue
            words += ["--against", str(against)]
        yield f"python benchmarks/{name}", words, reader


def table(rows: dict[tuple[str, str], str]) -> str:
    """The README's table."""
    lines = [f"| {figure} | `{command}` | {ratio} |" for (figure, command), ratio in rows.items()]
    return "\n".join([START, "| --- | --- | ---: |", *lines])


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--against", type=Path, help="a folder with another version of t5grid")
    parser.add_argument("--record", action="store_true", help="write today's into benchmarks/README.md")
    arguments = parser.parse_args()
    before, today, failed = committed(), dict[tuple[str, str], str](), 0
    print(f"{platform.machine()}, Python {platform.python_version()}")
    print(f"{'figure':<56}{'committed':>10}{'today':>10}")
    for command, (script, *words), reader in commands(arguments.against):
        run = subprocess.run([sys.executable, str(HERE / script), *words], capture_output=True, text=True)
        if run.returncode:
            failed += 1
            print(
                f"{command}: ended with {run.returncode}: {run.stderr.strip().splitlines()[-1:]}", flush=True
            )
        for figure, ratio in reader(run.stdout):
            key = (figure or "training step", command)
            today[key] = f"{ratio:.2f}"
            shown = f"{script.removesuffix('.py')}: {key[0]}"
            print(f"{shown:<56}{before.get(key, '–'):>10}{today[key]:>10}", flush=True)
    if arguments.record:
        text = README.read_text(encoding="utf-8")
        README.write_text(f"{text.partition(START)[0]}{table(before | today)}\n", encoding="utf-8")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
