"""What has no effect is said: refused where no cell of a command depends on it."""

from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra

from t5grid.cli import main
from t5grid.commands.joining import Job
from t5grid.config import hydra_api
from t5grid.config.schema import Cells
from t5grid.execution.local import Local
from t5grid.grid.effect import without_effect

LOADER = Cells()
SCHEDULE = "budget.finetune.schedule.peak=0.5"
LINE = f"{SCHEDULE}: has no effect with strategy=no_pretraining: it trains under budget.pretrain.schedule"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Local, "run", lambda *_: pytest.fail("a stage was about to run"))
    GlobalHydra.instance().clear()


@pytest.mark.parametrize(
    ("words", "idle"),
    [
        (["strategy=no_pretraining", SCHEDULE], [SCHEDULE]),
        (["strategy=pretrain_finetune", SCHEDULE], []),
        (["strategy=no_pretraining", "budget.finetune.schedule.peak=0.014"], []),  # as it was
        (
            ["strategy=no_pretraining", "budget.pretrain.schedule.peak=0.1", "budget.finetune.num_steps=900"],
            [],
        ),
        (["strategy=no_pretraining", "objective=bert_style"], ["objective=bert_style"]),
        (["strategy=multitask", "finetune=adapters", "mixing=equal"], ["finetune=adapters"]),
        (["mixing=equal", "seed=1"], ["mixing=equal"]),
        (["strategy=multitask_finetune", "mixing=temperature_scaled", "mixing.temperature=3"], []),
        (["suite.use=[questions]", "budget.evaluate.num_beams=4"], ["budget.evaluate.num_beams=4"]),
        (["suite.use=[summarization]", "budget.evaluate.num_beams=4"], []),
        (["budget.num_seeds=4", "budget.note=x", "runtime.mfu=0.3", "executor.retries=1"], []),
    ],
)
@pytest.mark.slow
def test_a_word_without_effect_is_one_without_which_the_stages_are_the_same(
    words: list[str], idle: list[str]
) -> None:
    assert without_effect(words, LOADER.load(words), LOADER) == idle


def test_a_run_refuses_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "strategy=no_pretraining", SCHEDULE, "objective=bert_style"]) == 2
    other = "objective=bert_style: has no effect with strategy=no_pretraining"
    assert capsys.readouterr().err == f"t5grid: {LINE}; {other}\n"


@pytest.mark.slow
def test_a_multirun_refuses_what_has_no_effect_in_any_job(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hydra_api, "launch", lambda *_: [Job(("seed=0",), 3, Path())])
    assert main(["run", "-m", "strategy=no_pretraining", "objective=bert_style,mass_style"]) == 2
    assert "objective=bert_style: has no effect" in capsys.readouterr().err
    assert main(["run", "-m", "strategy=no_pretraining,pretrain_finetune", SCHEDULE]) == 3
    assert capsys.readouterr().err == f"t5grid: {LINE}\n"


@pytest.mark.slow
def test_a_table_says_in_which_rows_and_refuses_what_has_none_anywhere(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["plan", "objectives", "budget=smoke", SCHEDULE]) == 0
    assert capsys.readouterr().err == f"t5grid: {SCHEDULE}: has no effect in no_pretraining (objectives)\n"
    assert main(["plan", "objectives", "mixing=equal"]) == 2
    assert capsys.readouterr().err == "t5grid: mixing=equal: has no effect in any row\n"
    assert main(["plan", "objectives", "strategies", "mixing.limit_parts=false"]) == 0
    assert "mixing.limit_parts=false: has no effect in prefix_lm (objectives)" in capsys.readouterr().err
    assert main(["plan", "corruption_rate", "objective.targets_length_at_512=500"]) == 0
    assert capsys.readouterr().err == ""  # rows that set it themselves
