"""`t5grid stage`: what cells read from the hub, into a folder of copies, or as a list."""

from pathlib import Path
from typing import Any

from t5grid.refused import Refused


def add_commands(commands: Any) -> None:
    """Add the sub-command to those of the parser."""
    add = commands.add_parser("stage", help="fetch what cells read from the hub into a folder of copies")
    text = "experiments whose rows count, each; overrides (without an experiment, of the one cell they are)"
    add.add_argument("names", nargs="*", metavar="NAME|OVERRIDE", help=text)
    text = "the folder: suite.root=DIR and corpus.root=DIR read it; a fetch that was cut off goes on"
    add.add_argument("--to", metavar="DIR", type=Path, help=text)
    text = "print the commands for a machine that has the network, and fetch nothing"
    add.add_argument("--list", action="store_true", help=text)
    add.set_defaults(command=stage)


def stage(options: Any, rest: list[str]) -> int:
    """Fetch the files of the hub that cells read, or print how another machine fetches them."""
    from t5grid.data import copies

    if options.to is None and not options.list:
        raise Refused("stage: --to DIR fetches, --list prints the commands for a machine with the network")
    splits = copies.wanted(_cells(options))
    if options.list:
        for command in copies.commands(splits, str(options.to or "DIR")):
            print(command)
        return 0
    files = copies.files_of(splits)
    num_fetched = copies.fetch(files, options.to)
    size = sum(file.size for file in files) / copies.MEBIBYTE
    print(f"{options.to}: {len(files)} files, {size:.1f} MiB, {num_fetched} of them fetched now")
    if files:
        print(f"read it with suite.root={options.to}, and a corpus with corpus.root={options.to}")
    return 0


def _cells(options: Any) -> list[Any]:
    from t5grid.commands.grids import grids_of
    from t5grid.config.schema import load_cell

    if all("=" in word for word in options.names):
        return [load_cell(options.names)]
    return [cell for grid in grids_of(options)[0] for row in grid.rows.values() for cell, _ in row]
