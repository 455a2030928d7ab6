"""the `t5grid` command: sub-commands that pass Hydra overrides through unchanged.

Start-up is light: nothing here imports torch, and each sub-command imports what it needs when it runs.
"""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from t5grid import __version__, exchange
from t5grid.building import ALLOW
from t5grid.files import FULL, is_full

USAGE_ERROR, FAILURE, INTERRUPTED = 2, 1, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a sub-command; a user's mistake is one line on standard error and exit code 2."""
    if (here := os.getcwd()) not in sys.path:
        sys.path.append(here)  # a user's own classes stand beside the conf/ that names them
    try:
        options, rest = _parse(arguments)
        with _allowed(options.allow):
            return options.command(options, rest)
    except ValueError as error:
        print(f"t5grid: {' '.join(str(error).split())}", file=sys.stderr)
        return USAGE_ERROR
    except KeyboardInterrupt:
        print("\nt5grid: stopped; the same command goes on from here", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except OSError as error:
        if not is_full(error):
            raise
        print(f"t5grid: {FULL}", file=sys.stderr)
        return FAILURE


def _parse(arguments: Sequence[str] | None) -> tuple[Any, list[str]]:
    """The options, names and overrides wherever they stand, and what only Hydra knows."""
    options, rest = _parser().parse_known_args(arguments)
    if hasattr(options, "names"):  # argparse leaves out those after an option
        options.names += [word for word in rest if not word.startswith("-")]
        rest = [word for word in rest if word.startswith("-")]
    if rest and not getattr(options, "hydra", False):
        raise ValueError(f"{options.name}: unknown option {rest[0]}")
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
    """Says what is wrong as everything else does: one line, a ValueError."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(f"{message} (see {self.prog} --help)")


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="t5grid",
        description="The study grid of Raffel et al. (2020), T5: run what is missing, write the tables.",
        epilog="Overrides are Hydra's: objective=bert_style budget=lab objective.rate=0.25",
    )
    parser.add_argument("--version", action="version", version=f"t5grid {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="name")
    add = commands.add_parser("run", help="one cell; -m is a Hydra multirun over cells")
    add.add_argument("overrides", nargs="*")
    add.set_defaults(command=run, hydra=True)
    for name, command, text in (
        ("sweep", sweep, "the tables named: run what is missing, then write them"),
        ("plan", plan, "what a sweep would do: stages, shared, done, to run"),
        ("status", status, "the state of every stage of the tables named"),
        (
            "logs",
            logs,
            "the end of a stage's log (kind/part of its name), or of a table's unfinished ones",
        ),
        ("cancel", cancel, "end stages (kind/part of a name), or a table's, where they run or wait"),
        ("table", table, "write the tables again from the records"),
    ):
        add = commands.add_parser(name, help=text)
        add.add_argument("names", nargs="*" if command is table else "+", metavar="NAME|OVERRIDE")
        add.set_defaults(command=command)
    commands.choices["logs"].add_argument("-n", "--num", type=int, default=20, help="how many lines of each")
    for name in ("run", "sweep"):
        text = "stay until jobs that were submitted have ended"
        commands.choices[name].add_argument("--wait", action="store_true", help=text)
    add = commands.choices["table"]
    add.add_argument("--all", action="store_true", help="every experiment that has records, and the findings")
    _report_options(commands.add_parser("report", help="one HTML page of the whole study"))
    add = commands.add_parser("findings", help="the paper's claims, each with our evidence")
    add.add_argument("overrides", nargs="*", metavar="OVERRIDE")
    add.set_defaults(command=findings)
    add = commands.add_parser(
        "doctor",
        help="what a cell needs and what of it is missing: data, packages, GPU, Slurm",
    )
    add.add_argument("overrides", nargs="*", metavar="OVERRIDE")
    add.set_defaults(command=doctor)
    add = commands.add_parser(
        "inspect", help="what an objective, a corpus or a suite really produces, as text"
    )
    add.add_argument("overrides", nargs="*", metavar="OVERRIDE | SENTENCE")
    add.add_argument("-n", "--num", type=int, default=3, help="how many examples to show")
    add.set_defaults(command=inspect)
    add = commands.add_parser("clean", help="C4's cleaning rules over a corpus: what each of them drops")
    add.add_argument("overrides", nargs="*", metavar="OVERRIDE")
    add.add_argument("--to", metavar="DIR", type=Path, help="write the clean text there, as jsonl.gz")
    add.set_defaults(command=clean)
    add = commands.add_parser("predict", help="answers of a fine-tuned model to lines of text")
    add.add_argument("names", nargs="+", metavar="COLUMN|STAGE|OVERRIDE")
    add.add_argument("--input", type=Path, metavar="FILE", help="a text a line; standard input if not given")
    add.add_argument("--output", type=Path, metavar="FILE", help="an answer a line; else standard output")
    add.add_argument("--task", help="which of the column's tasks the lines are of")
    add.add_argument("--raw", action="store_true", help="take lines as they are, without the task's words")
    add.add_argument("--step", type=int, help="which checkpoint; the one that is reported if not given")
    add.add_argument(
        "--beams", type=int, default=1, help="width of a beam search (the study's: 4); 1: greedy"
    )
    add.set_defaults(command=predict)
    exchange.add_commands(commands)
    for add in commands.choices.values():
        text = "trust the classes of a package of yours"
        add.add_argument("--allow", metavar="PACKAGE", action="append", default=[], help=text)
    return parser


def _report_options(add: argparse.ArgumentParser) -> None:
    add.add_argument(
        "names", nargs="*", metavar="NAME|OVERRIDE", help="experiments (default: all), overrides"
    )
    add.add_argument("-o", "--output", help="where to write (default: results/report-<scale>.html)")
    add.add_argument("--serve", action="store_true", help="serve it live on 127.0.0.1 while a sweep runs")
    add.add_argument("--port", type=int, default=8321, help="of --serve; 0 takes any free port")
    add.add_argument("--open", action="store_true", help="open a browser on --serve")
    add.add_argument("--wandb", action="store_true", help="log tables and figures to a run too")
    add.set_defaults(command=report)


def split_names(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Experiment names and overrides. Raises ValueError where no name is given."""
    names = [word for word in words if "=" not in word and not word.startswith("~")]
    if not names:
        raise ValueError("name at least one experiment, such as: objectives")
    return names, [word for word in words if word not in names]


def _grids(options: Any) -> tuple[list[Any], Any]:
    """The grids named, all composed and validated, and the store of their runtime."""
    from t5grid.composing import check_repeats
    from t5grid.config import Cells
    from t5grid.grid.graph import expand
    from t5grid.grid.store import Store

    names, overrides = split_names(options.names)
    check_repeats(overrides)
    loader = Cells()
    grids = [expand(name, overrides, loader) for name in names]
    for grid in grids:
        _refuse_equal_rows(grid)
    return grids, Store(grids[0].baseline.runtime.runs_dir)


def _refuse_equal_rows(grid: Any) -> None:
    """An override of what the rows themselves vary would print one cell under two names."""
    seen: dict[str, str] = {}
    for key, ((cell, _), *_) in grid.rows.items():
        other = seen.setdefault(repr(cell.config), key)
        if other != key:
            where = f"experiments/{grid.experiment.name}.yaml"
            rows = f"{where}, rows {other} and {key}"
            raise ValueError(f"{rows}: one and the same cell; override only what no row varies")


def sweep(options: Any, rest: list[str]) -> int:
    """Run what is missing of the tables named, write them, say what failed."""
    from t5grid.data.tasks.presence import fetch
    from t5grid.grid.graph import merged
    from t5grid.grid.publishing import publish

    grids, store = _grids(options)
    cell = grids[0].baseline
    stages = merged(grids)
    if any(store.record(stage) is None for stage in stages):
        fetch(cell.suite.chosen())
    try:
        executor = cell.executor.waiting() if options.wait else cell.executor
        outcome = executor.run(stages, store, cell.runtime)
    finally:
        written = [publish(grid, store, redraw=False) for grid in grids]
    for text, path in written:
        print(text)
        print(f"written: {path}")
    print(f"{len(stages)} stages: {len(outcome.ran)} run now, {len(outcome.found)} done before", end="")
    print(f", {len(outcome.failed)} failed, {len(outcome.blocked)} blocked", end="")
    print(f", {len(outcome.left)} not started" if outcome.left else "", end="")
    print(f", {len(outcome.submitted)} submitted: t5grid status shows them" if outcome.submitted else "")
    return _report_failures(outcome, store)


def _report_failures(outcome: Any, store: Any) -> int:
    for identity, reason in outcome.failed.items():
        print(f"failed: {identity}: {reason} (see {store.root / identity / 'failed.json'})", file=sys.stderr)
    for identity, culprit in outcome.blocked.items():
        print(f"blocked: {identity} by {culprit}", file=sys.stderr)
    return FAILURE if outcome.failed or outcome.blocked else 0


def table(options: Any, rest: list[str]) -> int:
    """Write the tables again from the records, part-done ones too."""
    from t5grid.grid.publishing import publish, publish_all
    from t5grid.grid.study import load_study

    if options.all:
        if named := [word for word in options.names if "=" not in word]:
            raise ValueError(f"table: --all is every experiment, so {named[0]!r} cannot be named beside it")
        print("\n".join(publish_all(load_study(options.names))))
        return 0
    grids, store = _grids(options)
    for grid in grids:
        text, path = publish(grid, store)
        print(text)
        print(f"written: {path}")
    return 0


def report(options: Any, rest: list[str]) -> int:
    """Write the page of the whole study, or serve it live, or log it."""
    from t5grid.grid.publishing import log_report, serve_report, write_report
    from t5grid.grid.study import load_study

    names = [word for word in options.names if "=" not in word]
    study = load_study([word for word in options.names if "=" in word], names)
    if options.serve:
        serve_report(study, options.port, options.open)
    else:
        path = Path(options.output or study.results / f"report-{study.stem}.html")
        write_report(study, path)
        print(f"written: {path}")
        if options.wandb:
            log_report(study)
    return 0


def findings(options: Any, rest: list[str]) -> int:
    """Test the paper's claims on our records, and on the paper's own numbers; write the page."""
    from t5grid.grid.study import write_findings

    print(write_findings(options.overrides))
    return 0


def plan(options: Any, rest: list[str]) -> int:
    """Count the stages of the tables named, by kind."""
    from t5grid.grid.graph import merged
    from t5grid.grid.plan import lines

    grids, store = _grids(options)
    print("\n".join(lines(grids, merged(grids), store)))
    return 0


def status(options: Any, rest: list[str]) -> int:
    """One line a stage that is neither done nor missing, and the counts."""
    from t5grid.grid.graph import merged
    from t5grid.grid.watch import status

    grids, store = _grids(options)
    print("\n".join(status(merged(grids), store)))
    return 0


def logs(options: Any, rest: list[str]) -> int:
    """The end of the logs of stages, or of those of the tables named that are running or failed."""
    from t5grid.grid.watch import logs

    identities, store = _stages_named(options.names, ("running", "failed", "cancelled"))
    print("\n".join(logs(identities, store, options.num)))
    return 0


def cancel(options: Any, rest: list[str]) -> int:
    """End stages, or all of the tables named that run or wait in a queue."""
    from t5grid.grid.watch import cancel

    identities, store = _stages_named(options.names, ("running", "queued"))
    lines = list(cancel(identities, store))
    print("\n".join(lines) if lines else "nothing of these runs or waits")
    return 0


def _stages_named(words: Sequence[str], states: Sequence[str]) -> tuple[list[str], Any]:
    """Identities of the stages named as kind/part, and of those in `states` of the tables named."""
    from t5grid.config import load_cell
    from t5grid.grid import jobs
    from t5grid.grid.graph import merged
    from t5grid.grid.store import Store
    from t5grid.grid.watch import matching

    overrides = [word for word in words if "=" in word]
    names = [word for word in words if "=" not in word and "/" not in word]
    parts = [word for word in words if "=" not in word and "/" in word]
    if names:
        grids, store = _grids(argparse.Namespace(names=[*names, *overrides]))
        seen = jobs.states(merged(grids), store)
        found = [identity for identity, state in seen.items() if state.word in states]
    else:
        found, store = [], Store(load_cell(overrides).runtime.runs_dir)
    return [*found, *(each for part in parts for each in matching(part, store))], store


def run(options: Any, rest: list[str]) -> int:
    """One cell, or with -m a Hydra multirun; both share identity and store with sweeps."""
    from t5grid.composing import check_repeats
    from t5grid.grid.cells import multirun, run_overrides

    words = [*options.overrides, *rest]
    check_repeats(words)
    if "-m" in words or "--multirun" in words:
        if options.wait:
            raise ValueError("run -m --wait: for jobs of executor=slurm write executor.wait=true")
        return multirun([word for word in words if word not in ("-m", "--multirun")])
    if unknown := [word for word in words if word.startswith("-")]:
        raise ValueError(f"run: unknown option {unknown[0]}; -m runs a Hydra multirun")
    return run_overrides(words, options.wait)


def doctor(options: Any, rest: list[str]) -> int:
    """List what a cell needs and whether it is here; 1 where anything is missing."""
    from t5grid.composing import check_repeats
    from t5grid.config import load_cell
    from t5grid.doctor import examine, report

    check_repeats(options.overrides)
    width = None if sys.stdout.isatty() else 150
    return FAILURE if report(list(examine(load_cell(options.overrides))), width) else 0


def inspect(options: Any, rest: list[str]) -> int:
    """Show what the axis values of a cell produce."""
    from t5grid.inspection import show

    print("\n".join(show(options.overrides, options.num)))
    return 0


def clean(options: Any, rest: list[str]) -> int:
    """Count what each of C4's rules drops of a cleaned corpus; write what is left."""
    from collections import Counter

    from t5grid.config import load_cell
    from t5grid.data.cleaning import Cleaned, clean_whole

    chosen = any(word.startswith("corpus=") for word in options.overrides)
    corpus = load_cell([*([] if chosen else ["corpus=cleaned"]), *options.overrides]).corpus
    if not isinstance(corpus, Cleaned):
        raise ValueError("clean: corpus=cleaned or corpus=cleaned_v3, with corpus.source.path=DIR")
    if options.to is not None and options.to.exists() and any(options.to.iterdir()):
        raise ValueError(f"clean: --to {options.to}: is not empty")
    counts: Counter[str] = Counter()
    for done, _ in enumerate(clean_whole(corpus, counts, options.to), start=1):
        pages = f"{counts['pages kept']} of {counts['pages read']} pages"
        print(f"\r{done} shards, {pages}", end="", file=sys.stderr)
    print(file=sys.stderr)
    print("\n".join(f"{count:>12,}  {what}" for what, count in sorted(counts.items()) if count))
    return 0


def predict(options: Any, rest: list[str]) -> int:
    """Answer each line of a file or of standard input."""
    from t5grid.files import read_lines, write_whole
    from t5grid.grid.predicting import answers

    if options.beams < 1:
        raise ValueError(f"--beams {options.beams}: at least 1")
    lines = read_lines(options.input)
    how = {"task": options.task, "step": options.step, "num_beams": options.beams, "raw": options.raw}
    found = answers(options.names, lines, **how)
    text = "".join(answer.replace("\n", " ") + "\n" for answer in found)
    if options.output:
        write_whole(options.output, text)
    else:
        sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
