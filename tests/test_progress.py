"""The line of a running sweep: what is left of it, evaluations included."""

import time

import pytest

from t5grid.config.schema import load_cell
from t5grid.execution.progress import Progress, percent
from t5grid.stages.stage import with_parents


def test_an_evaluation_counts_as_the_tokens_it_answers() -> None:
    """10 checkpoints of 500 steps, 300 rows of 96 + 16 ids, at a share of a trained token's time."""
    cell = load_cell(["suite.use=[questions]"])
    stage = cell.strategy.stages(cell)["questions"]
    budget, column = cell.budget.finetune, cell.suite.columns["questions"]
    checkpoints = -(-budget.num_steps // budget.checkpoint_every)
    rows = min(column.tasks["questions"].num_validation, cell.budget.evaluate.num_examples or 10**9)
    tokens = rows * checkpoints * (column.inputs_length + column.targets_length)
    assert stage.work == pytest.approx(0.15 * tokens)
    long = "+suite.columns.questions.long_texts=true"
    beams = load_cell(["suite.use=[questions]", long, "budget.evaluate.num_beams=4"])
    assert beams.strategy.stages(beams)["questions"].work == pytest.approx(4 * stage.work)


def test_while_an_evaluation_is_left_there_is_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    cell = load_cell(["suite.use=[questions]"])
    stages = with_parents(cell.strategy.stages(cell).values())
    progress = Progress(0, len(stages), sum(stage.work for stage in stages))
    for stage in stages[:-1]:
        progress.finished(stage)
    monkeypatch.setattr(time, "monotonic", lambda: progress.started + 1000)
    head = progress._head([(stages[-1], {"step": 0, "num_steps": 10})], 0, 0)
    assert "100%" not in head and "about 0:00 left" not in head and "left" in head


@pytest.mark.parametrize(("share", "text"), [(0.0, "0%"), (0.999, "99%"), (0.29, "29%"), (1.0, "100%")])
def test_only_what_is_all_done_is_a_hundred_per_cent(share: float, text: str) -> None:
    assert percent(share) == text
