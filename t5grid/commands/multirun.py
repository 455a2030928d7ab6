"""overrides -> one cell run: the plain run, and a Hydra multirun under any launcher."""

import multiprocessing
import shlex
import sys
from collections.abc import Mapping, Sequence
from contextlib import chdir
from functools import partial
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from t5grid.commands.comparing import compared
from t5grid.commands.joining import Job, write_joined
from t5grid.config import hydra_part
from t5grid.config.compose import (
    GROUPS,
    MULTIPLE,
    check_words,
    data_folder,
    initialise,
    look,
    multiplied,
    readable,
)
from t5grid.config.schema import Cell, Cells, build_cell
from t5grid.config.trust import allowed, trusting
from t5grid.execution.devices import check_machine
from t5grid.execution.outcome import Outcome
from t5grid.execution.store import Store
from t5grid.grid.effect import explained, key_of, refuse_idle, without_effect
from t5grid.grid.strategies import no_stage
from t5grid.refused import Refused
from t5grid.results.records import undefined_in
from t5grid.stages.record import is_undefined
from t5grid.stages.stage import Stage, with_parents

RUNS = "runs"
"""The folder that commands look into where they are not told of another."""


def run_overrides(overrides: Sequence[str], wait: bool = False) -> int:
    """Run one cell and print the score of each column; 1 if a stage failed."""
    loader = Cells()
    cell = loader.load(overrides)
    refuse_idle(overrides, cell, loader)
    return run_cell(cell, wait)


def run_cell(cell: Cell, wait: bool = False) -> int:
    """Run what is missing of a cell and print its scores; `wait` for jobs that an executor submits."""
    store = Store(cell.runtime.runs_dir)
    columns = cell.strategy.stages(cell)
    stages = with_parents(list(columns.values()))
    for note in cell.notes:
        print(f"t5grid: {note}", file=sys.stderr)
    if any(store.record(stage) is None for stage in stages):
        check_machine(cell.executor, cell.runtime)
    for line in (line for stage in stages for line in stage.preface(store.folder)):
        print(line)
    unfinished = any(store.record(stage) is None for stage in columns.values())
    executor = cell.executor.waiting() if wait else cell.executor
    with compared([cell] if unfinished else []) as checks:
        outcome = executor.run(stages, store, cell.runtime, checks)
    _print_scores(cell, columns, store)
    _print_outcome(outcome, store)
    return 1 if outcome.stuck else 0


def _print_scores(cell: Cell, columns: Mapping[str, Stage], store: Store) -> None:
    for key, column in cell.suite.chosen().items():
        if reason := no_stage(cell, key):
            print(f"{column.title:<24}{'–':>8}  {reason}")
    for key, stage in columns.items():
        record = store.record(stage)
        score = f"{record['score']:8.2f}" if record else f"{'–':>8}"
        if record and is_undefined(record["score"]):
            score = f"undefined: {', '.join(undefined_in(record))}"
        print(f"{cell.suite.columns[key].title:<24}{score}  {stage.identity}")
    if line := _predict_line(cell, columns, store):
        print(line)


def _predict_line(cell: Cell, columns: Mapping[str, Stage], store: Store) -> str:
    """The command by which the first column that is done answers lines of text; empty where none is."""
    done = (key for key, stage in columns.items() if store.record(stage) is not None)
    if (key := next(done, None)) is None:
        return ""
    tasks = list(cell.suite.columns[key].tasks)
    words = ["t5grid", "predict", columns[key].identity, "--input", "FILE"]
    words += ["--task", tasks[0]] if len(tasks) > 1 else []
    words += [f"runtime.runs_dir={cell.runtime.runs_dir}"] if cell.runtime.runs_dir != RUNS else []
    return f"to have lines of text answered: {shlex.join(words)}"


def _print_outcome(outcome: Outcome, store: Store) -> None:
    """How many stages were submitted; on standard error, those that failed and those that wait for them."""
    if outcome.submitted:
        print(f"{len(outcome.submitted)} stages submitted")
    for line in outcome.complaints(store):
        print(line, file=sys.stderr)


def multirun(overrides: Sequence[str]) -> int:
    """A normal Hydra multirun over cells; what one of them did, none does again.

    Every config that Hydra loads for it, in whatever process, is checked as it is loaded.
    """
    from t5grid.config import hydra_api

    initialise()
    overrides = _multiplied(overrides)
    with readable(overrides):
        check_words(overrides, several=True)
        check = hydra_part.check_of(_alone(hydra_part.words_of(overrides)))
        initialise()
        config = hydra_api.compose_multirun(overrides)
        check(config)
    _check_jobs(config)
    task = partial(multirun_task, packages=allowed())
    jobs = hydra_api.launch(task, overrides, check)
    try:
        for line in write_joined(jobs, shlex.join(["t5grid", "run", "-m", *overrides])):
            print(line)
    except Refused as error:
        print(f"t5grid: the jobs make no table: {error}", file=sys.stderr)
    return max((job.code for job in jobs), default=0)


def _multiplied(words: Sequence[str]) -> Sequence[str]:
    """The words with each `KEY*=FACTOR` as a plain one: a value for each that `KEY=` has. Raises Refused."""
    for word in sorted(filter(MULTIPLE.match, words), key=lambda word: word.partition("*=")[0] not in GROUPS):
        key = word.partition("*=")[0]
        others = [other for other in words if not MULTIPLE.match(other)]
        with readable(others):
            check_words(others, several=True)
            values = _values_of(word, others)
        kept = [other for other in words if other != word and other.partition("=")[0] != key]
        words = [*kept, f"{key}={','.join(values)}"]
    return words


def _values_of(word: str, others: Sequence[str]) -> list[str]:
    """What a multiple comes to in the jobs of the other words. Raises Refused where it is not one sweep's."""
    from t5grid.config import hydra_api

    key = word.partition("*=")[0]
    values: dict[str, set[str]] = {}
    for job in hydra_api.split_jobs(others):
        own = next((given for given in job if given.partition("=")[0] == key), "")
        values.setdefault(own, set()).add(multiplied([*job, word], look)[-1].partition("=")[2])
    if any(len(results) > 1 for results in values.values()):
        raise Refused(
            f"{word}: comes to {', '.join(sorted(set().union(*values.values())))}, by the job; write them out"
        )
    return [next(iter(results)) for results in values.values()]


def _alone(words: Sequence[str]) -> DictConfig:
    """What words make of Hydra's part where no config has a say. Raises MissingConfigException."""
    from hydra.errors import MissingConfigException

    from t5grid.config import hydra_api

    hydra_api.start(data_folder("conf"), None)
    try:
        return hydra_api.compose_multirun(words)
    except MissingConfigException:
        if "hydra" not in allowed():
            raise
        return hydra_api.compose_multirun([])


def _check_jobs(config: DictConfig) -> None:
    """Validate every cell before the first one runs, where Hydra's own sweeper says which cells there are."""
    from t5grid.config import hydra_api

    sweeper = config.hydra.sweeper
    if not sweeper._target_.endswith(".BasicSweeper"):
        return
    words = [f"{key}={values}" for key, values in (sweeper.params or {}).items()]
    loader, idle = Cells(), list[dict[str, str]]()
    for job in hydra_api.split_jobs([*words, *config.hydra.overrides.task]):
        cell = loader.load(job)
        idle.append({key_of(word): explained(word, cell) for word in without_effect(job, cell, loader)})
    if everywhere := set.intersection(*map(set, idle)):
        raise Refused("; ".join(sorted(idle[0][key] for key in everywhere)))
    for line in sorted({line for lines in idle for line in lines.values()}):
        print(f"t5grid: {line}", file=sys.stderr)


def multirun_task(config: DictConfig, packages: Sequence[str] = ()) -> Job:
    """One job of a multirun; folders, and who is trusted, are those of where the command was given."""
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import open_dict

    whole = DictConfig(OmegaConf.to_container(config, resolve=False))
    with open_dict(whole):
        whole.hydra = HydraConfig.get()
    if multiprocessing.get_start_method() not in multiprocessing.get_all_start_methods():
        multiprocessing.set_start_method("spawn", force=True)  # joblib's own, which no new process knows
    with chdir(whole.hydra.runtime.cwd), trusting(packages):
        code = run_cell(build_cell(whole))
        return Job(tuple(whole.hydra.overrides.task), code, _folder_of_all(whole.hydra))


def _folder_of_all(node: DictConfig) -> Path:
    """The folder of all jobs of a multirun: that of this one without its own part."""
    own = Path(node.runtime.output_dir)
    for _ in Path(node.sweep.subdir or "").parts:
        own = own.parent
    return own
