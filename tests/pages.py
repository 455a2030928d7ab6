"""pages of the documentation -> commands, files, tables in them; `python tests/pages.py` renews the tables.

A fence of `bash` holds commands, one a line. A mark behind a command, such as `# [cluster]`, says what it
needs that a test has not. A fence below a line that ends in "`PATH`:" is the content of that file. A fence of
`text` right below a command holds lines that the command prints.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
FENCE = re.compile(r"(?P<above>[^\n]*)\n\n```(?P<language>\w+)\n(?P<text>.*?)\n```(?=\n)", re.DOTALL)
FILE = re.compile(r"`([\w./-]+)`(?: [\w ]+)?:$")
MARKS = ("cluster", "network", "data", "gpu", "server")
TABLE = re.compile(r"<!-- table: (?P<stem>[\w,=-]+) -->\n.*?<!-- end of table -->\n", re.DOTALL)


@dataclass(frozen=True)
class Command:
    """A command line of a page, what it needs that a test has not, and lines that it prints."""

    words: tuple[str, ...]
    mark: str = ""
    prints: tuple[str, ...] = ()


@dataclass(frozen=True)
class File:
    """A file that a page shows whole."""

    path: str
    text: str


def parts(text: str) -> Iterator[Command | File]:
    """Commands and files of a page, in its order."""
    commands: list[Command] = []
    for fence in FENCE.finditer(text):
        language, content = fence["language"], fence["text"]
        if language == "text" and commands and not fence["above"]:
            commands[-1] = Command(commands[-1].words, commands[-1].mark, tuple(content.splitlines()))
            continue
        yield from commands
        commands = list(commands_of(content)) if language == "bash" else []
        if language != "bash" and (named := FILE.search(fence["above"])):
            yield File(named[1], content + "\n")
    yield from commands


def commands_of(text: str) -> Iterator[Command]:
    """The command lines of a fence; a backslash at the end of a line joins it to the next."""
    for line in text.replace("\\\n", " ").splitlines():
        _, _, comment = line.partition(" # ")
        mark = re.match(r"\[(\w+)\]", comment)
        for part in line.split(" && "):
            if words := shlex.split(part, comments=True):
                yield Command(tuple(words), mark[1] if mark else "")


def rows(stem: str) -> str:
    """The first table of a committed result, without the line that says the metrics."""
    text = (ROOT / f"results/tables/{stem}.md").read_text(encoding="utf-8")
    table = text[text.index("\n| ") + 1 :].partition("\n\n")[0]
    kept = [line for line in table.splitlines() if not line.startswith(("| Metric", "| Perfect answer"))]
    return "\n".join(kept) + "\n"


def with_tables(text: str) -> str:
    """A page with every marked table as it is committed."""
    return TABLE.sub(
        lambda mark: f"<!-- table: {mark['stem']} -->\n\n{rows(mark['stem'])}\n<!-- end of table -->\n", text
    )


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(with_tables(page.read_text(encoding="utf-8")), encoding="utf-8")
