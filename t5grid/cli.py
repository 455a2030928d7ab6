"""the `t5grid` command: sub-commands that pass Hydra overrides through unchanged.

Start-up is light: nothing here imports torch, and each sub-command imports what it needs when it runs.
"""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

from t5grid import __version__
from t5grid.commands import FAILURE, examining, exchange, grids, records, tables
from t5grid.config.build import ALLOW
from t5grid.files import FULL, is_full, is_of_place
from t5grid.refused import Refused

USAGE_ERROR, INTERRUPTED = 2, 130
PLACES = (FileExistsError, FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a sub-command; what is refused is one line on standard error and exit code 2.

    Whatever else is raised shows its traceback and ends with exit code 1.
    """
    if (here := os.getcwd()) not in sys.path:
        sys.path.append(here)  # a user's own classes stand beside the conf/ that names them
    try:
        options, rest = _parse(arguments)
        with _allowed(options.allow):
            return options.command(options, rest)
    except Refused as error:
        print(f"t5grid: {' '.join(str(error).split())}", file=sys.stderr)
        return USAGE_ERROR
    except KeyboardInterrupt:
        print("\nt5grid: stopped; the same command goes on from here", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except OSError as error:
        if not is_full(error) and not ((isinstance(error, PLACES) or is_of_place(error)) and error.filename):
            raise
        full = is_full(error)
        print(f"t5grid: {FULL if full else f'{error.filename}: {error.strerror}'}", file=sys.stderr)
        return FAILURE if full else USAGE_ERROR


def _parse(arguments: Sequence[str] | None) -> tuple[Any, list[str]]:
    """The options, names and overrides wherever they stand, and what only Hydra knows."""
    options, rest = _parser().parse_known_args(arguments)
    if hasattr(options, "names"):  # argparse leaves out those after an option
        options.names += [word for word in rest if not word.startswith("-")]
        rest = [word for word in rest if word.startswith("-")]
    if rest and not getattr(options, "hydra", False):
        raise Refused(f"{options.name}: unknown option {rest[0]}")
    return options, rest


@contextmanager
def _allowed(packages: Sequence[str]) -> Iterator[None]:
    """Within, a `_target_` may be of these packages too, in processes started from here as well."""
    before = os.environ.get(ALLOW)
    os.environ[ALLOW] = ",".join(filter(None, [before, *packages]))
    try:
        yield
    finally:
        os.environ.pop(ALLOW) if before is None else os.environ.update({ALLOW: before})


class Parser(argparse.ArgumentParser):
    """Says what is wrong as everything else does: one line, refused."""

    def error(self, message: str) -> NoReturn:
        raise Refused(f"{message} (see {self.prog} --help)")


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="t5grid",
        description="The study grid of Raffel et al. (2020), T5: run what is missing, write the tables.",
        epilog="Overrides are Hydra's: objective=bert_style budget=lab objective.rate=0.25",
    )
    parser.add_argument("--version", action="version", version=f"t5grid {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="name")
    for module in (grids, tables, examining, exchange, records):
        module.add_commands(commands)
    for add in commands.choices.values():
        text = "trust the classes of a package of yours"
        add.add_argument("--allow", metavar="PACKAGE", action="append", default=[], help=text)
    return parser


if __name__ == "__main__":
    sys.exit(main())
