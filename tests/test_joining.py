"""Jobs of a multirun -> one table and one figure over what was varied."""

from pathlib import Path

import pytest

from t5grid.commands.joining import Job, joined, write_joined
from t5grid.config.schema import load_cell
from t5grid.execution.store import Store
from t5grid.refused import Refused
from t5grid.stages.stage import with_parents

SMALL = ("budget=smoke", "suite.use=[questions]")
PROVENANCE = {"machine": "m", "python": "3", "versions": {"torch": "2"}, "step": 1, "tasks": {}}


def jobs(*words: str, folder: Path = Path(), common: tuple[str, ...] = SMALL) -> list[Job]:
    """A job for each text of words, as Hydra gives them to it."""
    return [Job((*common, *text.split()), 0, folder) for text in words]


def test_jobs_that_differ_in_their_seed_alone_are_one_row() -> None:
    rates = ("objective.rate=0.1", "objective.rate=0.15")
    grid = joined(jobs(*(f"{rate} seed={seed}" for rate in rates for seed in (0, 1))), "t5grid run -m")
    titles = [(row.title, row.starred, row.x) for row in grid.experiment.rows.values()]
    assert titles == [("0.1", False, 0.1), ("0.15", True, 0.15)]  # the starred one is the config's own
    assert [[cell.seed for cell, _ in cells] for cells in grid.rows.values()] == [[0, 1], [0, 1]]
    assert (grid.experiment.x_title, grid.experiment.x_log) == ("objective.rate", False)


def test_several_keys_make_lines_over_the_first_number_and_decades_a_logarithm() -> None:
    words = [
        f"objective={name} budget.pretrain.num_steps={steps}"
        for name in ("prefix_lm", "deshuffling")
        for steps in (10, 100)
    ]
    grid = joined(jobs(*words, common=(*SMALL, "budget.pretrain.checkpoint_every=5")), "")
    rows = list(grid.experiment.rows.values())
    assert rows[1].title == "objective=prefix_lm, budget.pretrain.num_steps=100"
    assert [(row.x, row.series) for row in rows[1:3]] == [
        (100.0, "objective=prefix_lm"),
        (10.0, "objective=deshuffling"),
    ]
    assert grid.experiment.x_log and rows[0].starred


def test_jobs_of_other_columns_make_no_table() -> None:
    several = jobs("suite.use=[questions]", "suite.use=[to_norvin]", common=SMALL[:1])
    with pytest.raises(Refused, match="columns questions in one job, to_norvin in another"):
        joined(several, "")


def test_one_job_or_jobs_without_scores_leave_nothing(tmp_path: Path) -> None:
    common = (*SMALL, f"runtime.runs_dir={tmp_path}/runs", f"runtime.results_dir={tmp_path}/results")
    assert write_joined(jobs("seed=0", folder=tmp_path, common=common), "") == []
    assert write_joined(jobs("seed=0", "seed=1", folder=tmp_path, common=common), "") == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_scores_become_a_table_and_a_figure_in_the_folder_of_the_jobs(tmp_path: Path) -> None:
    common = (*SMALL, f"runtime.runs_dir={tmp_path}/runs", f"runtime.results_dir={tmp_path}/results")
    of_rates = jobs("objective.rate=0.1", "objective.rate=0.15", folder=tmp_path / "all", common=common)
    for score, job in enumerate(of_rates):
        cell = load_cell(job.words)
        for stage in with_parents(cell.strategy.stages(cell).values()):
            Store(cell.runtime.runs_dir).finish(stage, {"score": 10.0 + score, **PROVENANCE})
    text, written = write_joined(of_rates, "t5grid run -m it")
    assert "| ★ 0.15 | 11.00 |" in text and "Command: `t5grid run -m it`" in text
    assert "Reproduces" not in text
    names = {"table.md", "table.csv", "table.tex", "table.html", "figure.svg", "figure.png"}
    assert {path.name for path in (tmp_path / "all").iterdir()} == names
    assert all(str(tmp_path / "all" / name) in written for name in names)
    assert b"objective.rate" in (tmp_path / "all/figure.svg").read_bytes()
