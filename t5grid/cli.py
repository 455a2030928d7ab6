"""the `t5grid` command: sub-commands that pass Hydra overrides through unchanged.

Start-up is light: nothing here imports torch, and each sub-command imports what it needs when it runs.
"""

import argparse
import io
import os
import select
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from t5grid import __version__
from t5grid.commands import FAILURE, completion, copying, examining, exchange, grids, records, tables
from t5grid.config.compose import searching
from t5grid.config.trust import trusting
from t5grid.files import FULL, is_full, is_of_place
from t5grid.refused import Refused

USAGE_ERROR, INTERRUPTED = 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a sub-command; what is refused is one line on standard error and exit code 2.

    Whatever else is raised shows its traceback and ends with exit code 1.
    """
    _open_streams()
    try:
        options, rest = _parse(arguments)
        _check_folder()
        with trusting(options.allow), searching(options.config_dir):
            code = options.command(options, rest)
        if sys.stdout:
            sys.stdout.flush()  # a full disk or a closed pipe is met here, not after the last line of Python
        return code
    except Refused as error:
        print(f"t5grid: {' '.join(str(error).split())}", file=sys.stderr)
        return USAGE_ERROR
    except KeyboardInterrupt:
        print("\nt5grid: stopped; the same command goes on from here", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        if not _nobody_reads():
            raise
        sys.stderr.close()
        return 0
    except OSError as error:
        if not is_full(error) and not is_of_place(error):
            raise
        full = is_full(error)
        print(f"t5grid: {FULL if full else f'{error.filename}: {error.strerror}'}", file=sys.stderr)
        return FAILURE if full else USAGE_ERROR


def _nobody_reads() -> bool:
    """Whether who read standard output or standard error is gone: another pipe may have broken, too."""
    streams = select.poll()
    for descriptor in (1, 2):
        streams.register(descriptor, 0)  # which tells of errors alone
    return bool(streams.poll(0))


def _open_streams() -> None:
    """Let a terminal show what it can, and no file take the place of a stream that is closed."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: this one
    if sys.stdin is None:
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _check_folder() -> None:
    try:
        os.getcwd()
    except FileNotFoundError:
        raise Refused("the working directory is gone; cd to one that is there") from None


def _parse(arguments: Sequence[str] | None) -> tuple[Any, list[str]]:
    """The options, names and overrides wherever they stand, and what only Hydra knows."""
    options, rest = _parser().parse_known_args(arguments)
    if hasattr(options, "names"):  # argparse leaves out those after an option
        options.names += [word for word in rest if not word.startswith("-")]
        rest = [word for word in rest if word.startswith("-")]
    if rest and not getattr(options, "hydra", False):
        raise Refused(f"{options.name}: unknown option {rest[0]}")
    for name, value in vars(options).items():
        setattr(options, name, _at_home(value))
    return options, rest


def _at_home(value: Any) -> Any:
    """An option or name, `~` of a path in it expanded: no shell does so behind `--input=`, or in quotes."""
    if isinstance(value, list):
        return [_at_home(item) for item in value]
    if isinstance(value, Path):
        return Path(os.path.expanduser(value))
    return os.path.expanduser(value) if isinstance(value, str) and value.startswith("~/") else value


class Parser(argparse.ArgumentParser):
    """Says what is wrong as everything else does: one line, refused."""

    tail: Callable[[], str] = staticmethod(str)
    """What its help ends with, made when it is asked for."""

    def format_help(self) -> str:
        return super().format_help() + self.tail()

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
    for module in (grids, tables, examining, exchange, copying, records, completion):
        module.add_commands(commands)
    for add in commands.choices.values():
        text = "trust the classes of a package of yours"
        add.add_argument("--allow", metavar="PACKAGE", action="append", default=[], help=text)
        text = "look for options of groups in that folder too"
        add.add_argument("--config-dir", "-cd", metavar="DIR", type=Path, help=text)
    return parser


if __name__ == "__main__":
    sys.exit(main())
