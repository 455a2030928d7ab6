"""overrides -> one cell run: the plain run, and a Hydra multirun under any launcher."""

import multiprocessing
import sys
from collections.abc import Mapping, Sequence
from contextlib import chdir, nullcontext
from typing import Any

from omegaconf import DictConfig, OmegaConf

from t5grid.commands.comparing import compared
from t5grid.config.build import check_allowed
from t5grid.config.compose import check_words, initialise, readable
from t5grid.config.schema import Cell, build_cell, load_cell
from t5grid.execution.local import Outcome
from t5grid.execution.store import Store
from t5grid.stages.stage import Stage, with_parents
from t5grid.tasks.availability import fetch

CALLED = ("_target_", "()", "class")
HYDRAS_OWN = ("hydra", "hydra_plugins", "logging", "colorlog")


def run_overrides(overrides: Sequence[str], wait: bool = False) -> int:
    """Run one cell and print the score of each column; 1 if a stage failed."""
    return run_cell(load_cell(overrides), wait)


def run_cell(cell: Cell, wait: bool = False) -> int:
    """Run what is missing of a cell and print its scores; `wait` for jobs that an executor submits."""
    store = Store(cell.runtime.runs_dir)
    columns = cell.strategy.stages(cell)
    stages = with_parents(list(columns.values()))
    for line in (line for stage in stages for line in stage.preface(store.folder)):
        print(line)
    unfinished = any(store.record(stage) is None for stage in columns.values())
    executor = cell.executor.waiting() if wait else cell.executor
    with compared(cell, fetch(cell.suite.chosen())) if unfinished else nullcontext():
        outcome = executor.run(stages, store, cell.runtime)
    _print_scores(cell, columns, store)
    _print_outcome(outcome, store)
    return 1 if outcome.failed or outcome.blocked else 0


def _print_scores(cell: Cell, columns: Mapping[str, Stage], store: Store) -> None:
    for key, stage in columns.items():
        record = store.record(stage)
        title = cell.suite.columns[key].title
        print(f"{title:<24}{record['score']:8.2f}" if record else f"{title:<24}{'–':>8}")


def _print_outcome(outcome: Outcome, store: Store) -> None:
    """How many stages were submitted; on standard error, those that failed and those that wait for them."""
    if outcome.submitted:
        print(f"{len(outcome.submitted)} stages submitted")
    for identity, reason in outcome.failed.items():
        print(f"failed: {identity}: {reason} (see {store.root / identity / 'failed.json'})", file=sys.stderr)
    for identity, culprit in outcome.blocked.items():
        print(f"blocked: {identity} by {culprit}", file=sys.stderr)


def multirun(overrides: Sequence[str]) -> int:
    """A normal Hydra multirun over cells; what one of them did, none does again."""
    from t5grid.config import hydra_api

    initialise()
    with readable(overrides):
        check_words(overrides, several=True)
        config = hydra_api.compose_multirun(overrides)
    _check_hydra(OmegaConf.to_container(config.hydra, resolve=False))
    _check_jobs(config)
    return max((code or 0 for code in hydra_api.launch(multirun_task, overrides)), default=0)


def _check_hydra(node: Any, key: str = "hydra") -> None:
    """Refuse what Hydra, or the logging it sets up, would call from an unknown package."""
    for name, value in node.items() if isinstance(node, dict) else enumerate(node):
        if name in CALLED and isinstance(value, str):
            check_allowed(value, f"{key}.{name}", HYDRAS_OWN)
        elif isinstance(value, dict | list):
            _check_hydra(value, f"{key}.{name}")


def _check_jobs(config: DictConfig) -> None:
    """Validate every cell before the first one runs, where Hydra's own sweeper says which cells there are."""
    from t5grid.config import hydra_api

    sweeper = config.hydra.sweeper
    if sweeper._target_.endswith(".BasicSweeper"):
        words = [f"{key}={values}" for key, values in (sweeper.params or {}).items()]
        for job in hydra_api.split_jobs([*words, *config.hydra.overrides.task]):
            load_cell(job)


def multirun_task(config: DictConfig) -> int:
    """One job of a multirun; folders are relative to where the command was given."""
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import open_dict

    whole = DictConfig(OmegaConf.to_container(config, resolve=False))
    with open_dict(whole):
        whole.hydra = HydraConfig.get()
    if multiprocessing.get_start_method() not in multiprocessing.get_all_start_methods():
        multiprocessing.set_start_method("spawn", force=True)  # joblib's own, which no new process knows
    if whole.hydra.runtime.cwd not in sys.path:
        sys.path.append(whole.hydra.runtime.cwd)
    with chdir(whole.hydra.runtime.cwd):
        return run_cell(build_cell(whole))
