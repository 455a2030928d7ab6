"""How the training strategies unroll, what they share, what a multi-task stage leaves and goes on from."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from toy_stages import RUNTIME

from t5grid.config.schema import Cell, load_cell
from t5grid.execution.run_stage import DONE, work_on
from t5grid.execution.store import Store
from t5grid.grid.graph import expand, merged
from t5grid.nano.sentence_tasks import Entailment
from t5grid.stages.multitask import parts_of
from t5grid.stages.stage import Context, Stage, with_parents

TWO = "suite.use=[questions,to_tamiri]"


def graph(*words: str) -> dict[str, list[Stage]]:
    """The stages of one cell, by kind."""
    cell = load_cell([TWO, *words])
    found: dict[str, list[Stage]] = {}
    for stage in with_parents(list(cell.strategy.stages(cell).values())):
        found.setdefault(stage.kind, []).append(stage)
    return found


def kinds(*words: str) -> dict[str, int]:
    return {kind: len(stages) for kind, stages in graph(*words).items()}


def test_each_strategy_has_the_studys_stages() -> None:
    base = {"vocabulary": 1, "evaluate": 2}
    assert kinds("strategy=multitask") == base | {"tokens": 1, "multitask": 1}
    assert kinds("strategy=multitask_finetune") == base | {"tokens": 1, "multitask": 1, "finetune": 2}
    assert kinds("strategy=leave_one_out") == base | {"tokens": 1, "multitask": 2, "finetune": 2}
    assert kinds("strategy=supervised_multitask") == base | {"multitask": 1, "finetune": 2}


def test_multitask_only_trains_for_the_sum_of_steps_under_the_pretraining_schedule() -> None:
    (stage,) = graph("strategy=multitask", "budget=paper", "size=nano")["multitask"]
    budget = stage.config["budget"]
    assert budget["num_steps"] == 786432 and budget["checkpoint_every"] == 5000 and stage.config["keep_all"]
    assert budget["schedule"]["_target_"].endswith("InverseSquareRoot")
    (stage,) = graph("strategy=multitask")["multitask"]
    assert (
        stage.config["budget"]["num_steps"] == stage.config["budget"]["schedule"]["num_steps"] == 4500 + 900
    )


@pytest.mark.parametrize("strategy", ["multitask_finetune", "supervised_multitask", "leave_one_out"])
def test_multitask_pretraining_takes_the_steps_of_pretraining(strategy: str) -> None:
    for stage in graph(f"strategy={strategy}")["multitask"]:
        assert stage.config["budget"]["num_steps"] == 4500 and not stage.config["keep_all"]


def test_mixtures_have_the_lengths_of_the_authors_runs() -> None:
    for strategy in ("multitask", "supervised_multitask"):
        (stage,) = graph(f"strategy={strategy}", "budget=paper", "size=nano")["multitask"]
        assert (stage.config["budget"]["inputs_length"], stage.config["targets_length"]) == (512, 192)


def test_the_papers_mixture_is_the_studys(goldens: Path) -> None:
    """At `suite=t5` the rates are the original's; the hub has three QQP rows fewer."""

    golden = json.loads((goldens / "mixing_rates.json").read_text())["cases"]
    expected = next(case for case in golden if case["kind"] == "all" and case.get("K") == 2**19)["rates"]
    words = ["suite=t5", "size=base", "budget=paper", "strategy=multitask"]
    cell = load_cell(words)
    (stage,) = [
        stage for stage in with_parents([*cell.strategy.stages(cell).values()]) if stage.kind == "multitask"
    ]
    parts = stage.parts(lambda each: Path("nowhere") / each.identity)
    rates = {part.name: rate for part, rate in zip(parts, cell.mixing.rates(parts), strict=True)}
    assert rates.pop("glue.qqp") == 363846
    assert sorted(rates.values()) == sorted(
        value for name, value in expected.items() if name != "glue_qqp_v002"
    )
    assert rates["unsupervised"] == 2**19 and rates["glue.rte"] == rates["super_glue.rte"] == 1245


def test_a_run_begins_with_the_shares_of_its_mixture() -> None:
    (stage,) = graph("strategy=multitask", "mixing=equal")["multitask"]
    assert stage.preface(lambda each: Path("nowhere") / each.identity) == [
        f"mixture of {stage.name}",
        "part                   examples          rate     share",
        "questions.questions       8,000             1    33.33%",
        "to_tamiri.to_tamiri         350             1    33.33%",
        "unsupervised             60,000             1    33.33%",
    ]


def test_one_model_a_column_trains_on_its_own_tasks() -> None:
    found = graph("strategy=single_task")
    assert {stage.name.split("-")[0]: list(stage.config["columns"]) for stage in found["multitask"]} == {
        "questions": ["questions"],
        "to_tamiri": ["to_tamiri"],
    }
    assert "tokens" not in found


def test_leave_one_out_trains_on_all_other_columns_and_finetunes_on_the_one_left_out() -> None:
    for tuned in graph("strategy=leave_one_out")["finetune"]:
        (trained,) = [parent for parent in tuned.parents if parent.kind == "multitask"]
        left_out = tuned.name.split("-")[0]
        assert trained.name.startswith(f"without_{left_out}-")
        assert {*trained.config["columns"], left_out} == {"questions", "to_tamiri"}


def test_parts_are_the_tasks_of_the_columns_and_the_corpus() -> None:
    stage = graph("strategy=multitask", "suite.use=[reasoning,to_tamiri]")["multitask"][0]
    parts = {part.name: part for part in stage.parts(lambda each: Path(each.identity))}
    assert list(parts) == [
        *(f"reasoning.{name}" for name in ("boolean", "commitment", "word_sense")),
        *("to_tamiri.to_tamiri", "unsupervised"),
    ]
    assert parts["reasoning.boolean"].num_examples == 800 and parts["unsupervised"].num_examples == 60000
    assert parts["reasoning.boolean"].of_benchmark and not parts["to_tamiri.to_tamiri"].of_benchmark


def test_a_task_of_the_same_name_in_two_columns_is_two_copies_of_one() -> None:
    columns = load_cell(["suite.use=[questions,to_tamiri]"]).suite.chosen()
    shared = {**columns["questions"].tasks, "to_tamiri": columns["to_tamiri"].tasks["to_tamiri"]}
    both = {**columns, "questions": replace(columns["questions"], tasks=shared)}
    assert {part.name: part.copies for part in parts_of(both)} == {
        "questions.questions": 1,
        "questions.to_tamiri": 2,
        "to_tamiri.to_tamiri": 2,
    }
    assert [part.copies for part in parts_of(columns)] == [1, 1]


def test_the_tables_share_what_is_equal() -> None:
    grids = {name: expand(name, [TWO]) for name in ("baseline", "mixing", "strategies", "objectives")}
    of_mixing, of_strategies = (grids[name].rows for name in ("mixing", "strategies"))
    assert [stage.identity for stage in of_mixing["limit_2_19"][0][1].values()] == [
        stage.identity for stage in of_strategies["multitask"][0][1].values()
    ]
    both = merged([grids["baseline"], grids["objectives"]])
    assert {stage.identity for stage in both} == {stage.identity for stage in grids["objectives"].stages}


@pytest.mark.parametrize(
    ("override", "changes"),
    [
        ("mixing=equal", True),
        ("mixing.limit=65536", True),
        ("mixing.limit_parts=false", True),
        ("objective=mass_style", True),
        ("seed=1", True),
        ("suite.use=[questions]", True),
        ("budget.pretrain.num_rows=9", True),
        ("budget.finetune.num_tokens=9", False),
        ("finetune=all_parameters", False),
        ("suite.columns.questions.title=Other", False),
        ("runtime.evaluation_batch=7", False),
    ],
)
@pytest.mark.slow
def test_what_identifies_a_multitask_training(override: str, changes: bool) -> None:
    plain = graph("strategy=multitask")["multitask"][0].identity
    words = ["strategy=multitask", override, *([] if "suite.use" in override else [TWO])]
    cell = load_cell(words)
    found = with_parents(list(cell.strategy.stages(cell).values()))
    (stage,) = [stage for stage in found if stage.kind == "multitask"]
    assert (stage.identity != plain) is changes


def test_the_mixing_changes_nothing_where_nothing_is_mixed() -> None:
    plain, mixed = (graph(*words)["evaluate"][0].identity for words in ([], ["mixing=equal"]))
    assert plain == mixed


# --- what is refused


@dataclass(frozen=True)
class NoTraining(Entailment):
    """A task for validation only."""

    def num_rows(self, split: str) -> int:
        return 0 if split == "train" else 100


def test_a_task_without_training_rows_is_refused_by_its_key() -> None:
    column = load_cell([TWO]).suite.columns["questions"]
    columns = {"questions": replace(column, tasks={**column.tasks, "only_scored": NoTraining()})}
    with pytest.raises(ValueError) as caught:
        parts_of(columns)
    assert str(caught.value) == (
        "suite.columns.questions.tasks.only_scored: no training rows to mix in; "
        "leave it out with ~suite.columns.questions.tasks.only_scored"
    )


def test_a_supervised_mixture_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"strategy: no column is left to train on"):
        graph("strategy=leave_one_out", "strategy.unsupervised=false", "suite.use=[questions]")


# --- training

SMALL = [
    *("budget=smoke", "strategy=multitask", TWO, "budget.num_documents=300", "vocabulary.num_pieces=300"),
    *("budget.pretrain.num_rows=2", "budget.pretrain.num_steps=4", "budget.finetune.num_steps=2"),
    *("budget.pretrain.checkpoint_every=2", "budget.finetune.checkpoint_every=1"),
    *("budget.pretrain.schedule.num_warmup_steps=0", "size.d_model=16", "size.d_ff=32", "size.num_layers=1"),
]


def small(*words: str) -> Cell:
    return load_cell([*SMALL, *words])


def run_all(cell: Cell, root: Path) -> dict[str, dict[str, Any]]:
    store = Store(root)
    stages = with_parents(list(cell.strategy.stages(cell).values()))
    for stage in stages:
        assert work_on(stage, store, RUNTIME, 1) == DONE, store.failure(stage)
    return {stage.kind: store.record(stage) or {} for stage in stages}


@pytest.mark.slow
def test_a_multitask_training_keeps_every_checkpoint_and_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    cell = small()
    records = run_all(cell, tmp_path / "whole")
    assert [part["part"] for part in records["multitask"]["mixture"]] == [
        "questions.questions",
        "to_tamiri.to_tamiri",
        "unsupervised",
    ]
    assert list(records["evaluate"]["by_step"]) == ["2", "4", "6"]
    (stage,) = [s for s in with_parents(list(cell.strategy.stages(cell).values())) if s.kind == "multitask"]
    whole, folder = Store(tmp_path / "whole"), tmp_path / "resumed"
    kept = {path.name: path for path in (whole.folder(stage) / "checkpoints").iterdir()}
    last = sorted(kept)[-1]
    expected = snapshot(kept[last])
    (whole.folder(stage) / "record.json").unlink()
    for name in sorted(kept)[1:]:
        remove(kept[name])
    context = Context(whole.folder, RUNTIME, 1, lambda progress: None)
    assert stage.run(context)["resumed_at"] == 2
    assert snapshot(kept[last]) == expected and not folder.exists()


def snapshot(path: Path) -> dict[str, bytes]:
    files = path.rglob("*") if path.is_dir() else [path]
    return {file.name: file.read_bytes() for file in files if file.is_file()}


def remove(path: Path) -> None:
    for file in [*path.iterdir()] if path.is_dir() else []:
        file.unlink()
    path.rmdir() if path.is_dir() else path.unlink()


@pytest.mark.slow
@pytest.mark.parametrize("words", ["objective=deshuffling", "strategy=supervised_multitask", "mixing=equal"])
def test_other_objectives_and_strategies_run_to_their_scores(words: str, tmp_path: Path) -> None:
    overrides = [word for word in SMALL if word.partition("=")[0] != words.partition("=")[0]]
    assert "score" in run_all(load_cell([*overrides, words]), tmp_path)["evaluate"]
