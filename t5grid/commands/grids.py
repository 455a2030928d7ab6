"""`t5grid run`, `sweep`, `plan`, `status` and the like: cells and whole tables."""

import argparse
import gc
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from t5grid.commands import FAILURE, configs
from t5grid.refused import Refused


def add_commands(commands: Any) -> None:
    """Add the sub-commands to those of the parser."""
    add = commands.add_parser("run", help="one cell; -m is a Hydra multirun over cells")
    add.add_argument("overrides", nargs="*")
    add.set_defaults(command=run, hydra=True)
    for name, command, text in (
        ("sweep", sweep, "the tables named: run what is missing, then write them"),
        ("plan", plan, "what a sweep would do and cost: stages, shared, done, to run"),
        ("status", status, "the state of every stage of the tables named"),
        ("logs", logs, "the end of a stage's log (kind/part of its name), or of a table's unfinished ones"),
        ("cancel", cancel, "end stages (kind/part of a name), or a table's, where they run or wait"),
    ):
        add = commands.add_parser(name, help=text)
        add.add_argument("names", nargs="+", metavar="NAME|OVERRIDE")
        add.set_defaults(command=command)
    text = "`experiment new NAME` writes experiments/NAME.yaml, a table to fill in"
    add = commands.add_parser("experiment", help=text)
    add.add_argument("action", choices=["new"])
    add.add_argument("name_of_table", metavar="NAME")
    add.set_defaults(command=new_experiment)
    commands.choices["logs"].add_argument("-n", "--num", type=int, default=20, help="how many lines of each")
    for name in ("run", "sweep"):
        text = "stay until jobs that were submitted have ended"
        commands.choices[name].add_argument("--wait", action="store_true", help=text)
        configs.add_options(commands.choices[name])


def new_experiment(options: Any, rest: list[str]) -> int:
    """Write a table to fill in, and say how it is run."""
    from t5grid.grid.template import write_template

    path = write_template(options.name_of_table)
    print(f"written: {path}; t5grid sweep {path.stem} budget=smoke runs it as it stands")
    return 0


def split_names(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Experiment names and overrides. Raises Refused where no name is given."""
    names = [word for word in words if "=" not in word and not word.startswith("~")]
    if not names:
        raise Refused("name at least one experiment, such as: objectives")
    return names, [word for word in words if word not in names]


def sort_words(words: Sequence[str]) -> tuple[list[str], list[str], list[str]]:
    """Stages (kind/name, with whatever `=` in the name), experiment names and overrides."""
    parts = [word for word in words if "/" in word.partition("=")[0]]
    overrides = [word for word in words if word not in parts and "=" in word]
    return parts, [word for word in words if word not in parts and word not in overrides], overrides


@contextmanager
def _growing() -> Iterator[None]:
    """Without looks for circles of objects: a graph that grows has none, and each look takes all of it in."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.freeze()  # what has grown counts as old,
            gc.unfreeze()  # and is not looked at as soon as looks begin again
            gc.enable()


@_growing()
def grids_of(options: Any) -> tuple[list[Any], Any]:
    """The grids named, all composed and validated, and the store of their runtime."""
    from t5grid.config.compose import check_repeats
    from t5grid.config.schema import Cells
    from t5grid.execution.store import Store
    from t5grid.grid.graph import expand

    names, overrides = split_names(options.names)
    check_repeats(overrides)
    loader = Cells()
    grids = [expand(name, overrides, loader) for name in names]
    for grid in grids:
        _refuse_equal_rows(grid)
    return grids, Store(grids[0].baseline.runtime.runs_dir)


def _say_idle(grids: Sequence[Any], words: Sequence[str]) -> None:
    """Refuse an override without effect in every row; on standard error, those without effect in some."""
    from t5grid.config.schema import Cells
    from t5grid.grid.effect import rows_without_effect

    overrides, loader = split_names(words)[1], Cells()
    idle = [rows_without_effect(grid, overrides, loader) for grid in grids]
    for word in overrides:
        rows = [(grid, key) for grid, found in zip(grids, idle, strict=True) for key in found.get(word, ())]
        named = ", ".join(f"{key} ({grid.experiment.name})" for grid, key in rows)
        if len(rows) == sum(len(grid.rows) for grid in grids):
            raise Refused(f"{word}: has no effect in any row")
        if rows:
            print(f"t5grid: {word}: has no effect in {named}", file=sys.stderr)


def _say_notes(grids: Sequence[Any]) -> None:
    """What a reader should know of the cells, on standard error, each line once."""
    cells = (cell for grid in grids for ((cell, _), *_) in grid.rows.values())
    for note in dict.fromkeys(note for cell in cells for note in cell.notes):
        print(f"t5grid: {note}", file=sys.stderr)


def _refuse_equal_rows(grid: Any) -> None:
    """An override of what the rows themselves vary would print one cell under two names."""
    from t5grid.config.reuse import ByObject

    seen, shown = dict[tuple[str, ...], str](), ByObject(repr)
    for key, ((cell, _), *_) in grid.rows.items():
        first = seen.setdefault(tuple(map(shown, cell.config.values())), key)
        if first != key:
            where = f"experiments/{grid.experiment.name}.yaml"
            rows = f"{where}, rows {first} and {key}"
            raise Refused(f"{rows}: one and the same cell; override only what no row varies")


def tell_set_aside(grids: Sequence[Any], store: Any) -> None:
    """Name on standard error the records that cannot be used; tables show the others."""
    from t5grid.grid.graph import merged
    from t5grid.results.records import set_aside

    records = Path(grids[0].baseline.runtime.results_dir) / "records"
    for line in set_aside(merged(grids), store, records):
        print(f"t5grid: set aside: {line}", file=sys.stderr)


def sweep(options: Any, rest: list[str]) -> int:
    """Run what is missing of the tables named, write them, say what failed."""
    from t5grid.commands.comparing import compared
    from t5grid.execution.devices import check_machine
    from t5grid.files import require_writable
    from t5grid.grid.graph import merged

    if configs.is_asked(options):
        return configs.show(options, list(configs.starred_cells(*split_names(options.names))))
    grids, store = grids_of(options)
    _say_idle(grids, options.names)
    _say_notes(grids)
    cell = grids[0].baseline
    stages = merged(grids)
    unfinished = any(store.record(stage) is None for stage in stages)
    if unfinished:
        check_machine(cell.executor, cell.runtime)
    cells = (cell for grid in grids for ((cell, _), *_) in grid.rows.values())
    with compared(cells if unfinished else ()) as checks:
        require_writable(Path(cell.runtime.results_dir))
        executor = cell.executor.waiting() if options.wait else cell.executor
        with _publishing(grids, store) as written:
            outcome = executor.run(stages, store, cell.runtime, checks)
    for text, path in written:
        print(text)
        print(f"written: {path}")
    print(f"{len(stages)} stages: {len(outcome.ran)} run now, {len(outcome.done_before)} done before", end="")
    print(f", {len(outcome.failed)} failed, {len(outcome.blocked)} blocked", end="")
    print(f", {len(outcome.cancelled)} cancelled" if outcome.cancelled else "", end="")
    print(f", {len(outcome.left)} not started" if outcome.left else "", end="")
    print(f", {len(outcome.submitted)} submitted: t5grid status shows them" if outcome.submitted else "")
    return _report_failures(outcome, store)


@contextmanager
def _publishing(grids: Sequence[Any], store: Any) -> Iterator[list[tuple[str, Path]]]:
    """However what is run within ends, the tables are written after it, unless labels were refused."""
    from t5grid.data.roundtrip import Unanswerable
    from t5grid.results.publishing import publish

    written: list[tuple[str, Path]] = []
    began = True
    try:
        yield written
    except Unanswerable:
        began = False
        raise
    finally:
        if began:
            tell_set_aside(grids, store)
            written += [publish(grid, store, redraw=False) for grid in grids]


def _report_failures(outcome: Any, store: Any) -> int:
    for line in outcome.complaints(store):
        print(line, file=sys.stderr)
    return FAILURE if outcome.stuck else 0


@_growing()
def plan(options: Any, rest: list[str]) -> int:
    """Count the stages of the tables named, by kind."""
    from t5grid.execution.plan import plan_lines
    from t5grid.grid.graph import merged

    grids, store = grids_of(options)
    _say_idle(grids, options.names)
    _say_notes(grids)
    print("\n".join(plan_lines(grids, merged(grids), store)))
    return 0


@_growing()
def status(options: Any, rest: list[str]) -> int:
    """One line a stage that is neither done nor missing, and the counts."""
    from t5grid.execution.control import status_lines
    from t5grid.grid.graph import merged

    grids, store = grids_of(options)
    tell_set_aside(grids, store)
    print("\n".join(status_lines(merged(grids), store)))
    return 0


def logs(options: Any, rest: list[str]) -> int:
    """The end of the logs of stages, or of those of the tables named that are running or failed."""
    from t5grid.execution.control import log_lines

    if options.num < 1:
        raise Refused(f"logs: --num {options.num}: at least 1")
    identities, store = _stages_named(options.names, ("running", "failed", "cancelled", "unknown"))
    for line in log_lines(identities, store, options.num):
        print(line)
    return 0


def cancel(options: Any, rest: list[str]) -> int:
    """End stages, or all of the tables named, where they run, and keep those that wait from starting."""
    from t5grid.execution.control import cancel_stages

    identities, store = _stages_named(options.names)
    lines = cancel_stages(identities, store)
    print("\n".join(lines) if lines else "nothing of these runs or waits")
    return 0


def _stages_named(words: Sequence[str], states: Sequence[str] = ()) -> tuple[list[str], Any]:
    """Identities of the stages named as kind/part, and of those (in `states`, if any) of the tables named."""
    from t5grid.config.schema import load_cell
    from t5grid.execution.control import matching
    from t5grid.execution.slurm import queue
    from t5grid.execution.store import Store
    from t5grid.grid.graph import merged

    parts, names, overrides = sort_words(words)
    if names:
        grids, store = grids_of(argparse.Namespace(names=[*names, *overrides]))
        stages = merged(grids)
        seen = queue.states(stages, store) if states else {}
        identities = [s.identity for s in stages if not states or seen[s.identity].word in states]
    else:
        identities, store = [], Store(load_cell(overrides).runtime.runs_dir)
    return [*identities, *(identity for part in parts for identity in matching(part, store))], store


def run(options: Any, rest: list[str]) -> int:
    """One cell, or with -m a Hydra multirun; both share identity and store with sweeps."""
    from t5grid.commands.multirun import multirun, run_overrides
    from t5grid.config.compose import check_repeats
    from t5grid.execution.store import BEGAN

    words = [*options.overrides, *rest]
    check_repeats(words)
    if "-m" in words or "--multirun" in words:
        if configs.is_asked(options):
            raise Refused("run -m: --cfg and --info show one cell; leave -m out")
        if options.wait:
            raise Refused("run -m --wait: for jobs of executor=slurm write executor.wait=true")
        os.environ[BEGAN] = str(time.time())
        try:
            return multirun([word for word in words if word not in ("-m", "--multirun")])
        finally:
            del os.environ[BEGAN]
    if unknown := [word for word in words if word.startswith("-")]:
        raise Refused(f"run: unknown option {unknown[0]}; -m runs a Hydra multirun")
    if configs.is_asked(options):
        return configs.show(options, [("", words)])
    return run_overrides(words, options.wait)
