"""What identifies a stage and what does not, and which stages the cells of the study share."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from t5grid.config.schema import load_cell
from t5grid.execution import plan
from t5grid.execution.provenance import provenance
from t5grid.execution.store import Store
from t5grid.grid.graph import Grid, expand, merged
from t5grid.stages.finetune import FinetuneStage
from t5grid.stages.pretrain import PretrainStage
from t5grid.stages.stage import Stage, with_parents

KINDS = ("vocabulary", "tokens", "pretrain", "finetune", "evaluate")


def graph(*overrides: str) -> dict[str, Stage]:
    """The stages of one cell with one column, by kind."""
    cell = load_cell(["suite.use=[questions]", *overrides])
    return {stage.kind: stage for stage in with_parents(list(cell.strategy.stages(cell).values()))}


def identities(*overrides: str) -> dict[str, str]:
    return {kind: stage.identity for kind, stage in graph(*overrides).items()}


@pytest.fixture(scope="module")
def plain() -> dict[str, str]:
    return identities()


@pytest.fixture(scope="module")
def grids() -> list[Grid]:
    return [
        expand(name, ["budget.num_baseline_seeds=3"])
        for name in ("objectives", "corruption_rate", "span_length")
    ]


def corpus(folder: Path, text: str = "The cat sleeps.\n\nThe dog barks.\n") -> str:
    folder.mkdir(parents=True)
    (folder / "some.txt").write_text(text)
    return f"corpus.path={folder}"


def model(path: Path, num_pieces: int = 40) -> str:
    """A small SentencePiece model."""
    from t5grid.data.vocabulary import Trained

    text = "the cat sleeps and a dog barks while many birds sing over quiet hills of juniper fox wax zebra"
    words = text.split()
    path.parent.mkdir(parents=True)
    path.write_bytes(Trained(num_pieces).make(iter([f"{a} {b}" for a in words for b in words])))
    return f"vocabulary.path={path}"


def test_a_cell_unrolls_from_the_vocabulary_to_the_scores() -> None:
    found = graph()
    assert tuple(found) == KINDS
    assert {kind: [parent.kind for parent in stage.parents] for kind, stage in found.items()} == {
        "vocabulary": [],
        "tokens": ["vocabulary"],
        "pretrain": ["tokens", "vocabulary"],
        "finetune": ["vocabulary", "pretrain"],
        "evaluate": ["finetune", "vocabulary"],
    }


@pytest.mark.parametrize(
    "overrides",
    [
        ["runtime=gpu"],
        ["runtime.evaluation_batch=7", "runtime.num_loader_workers=2", "runtime.precision=bf16"],
        ["runtime.runs_dir=elsewhere", "runtime.results_dir=there", "runtime.wandb=offline"],
        ["executor.num_workers=1"],
        ["budget.num_baseline_seeds=9", "budget.note=text"],
        ["suite.columns.questions.title=Other"],
        ["suite.use=[questions,sentences]"],
    ],
    ids=" ".join,
)
def test_the_machine_the_folders_and_the_printing_do_not_enter_an_identity(
    plain: dict[str, str], overrides: list[str]
) -> None:
    cell = load_cell([*([] if "suite.use" in overrides[0] else ["suite.use=[questions]"]), *overrides])
    ends = cell.strategy.stages(cell)
    assert {stage.kind: stage.identity for stage in with_parents([ends["questions"]])} == plain


@pytest.mark.parametrize(
    ("override", "first"),
    [
        ("vocabulary.num_pieces=500", "vocabulary"),
        ("corpus.seed=1", "vocabulary"),
        ("budget.num_documents=70000", "vocabulary"),
        ("seed=1", "pretrain"),
        ("objective=deshuffling", "pretrain"),
        ("objective.rate=0.2", "pretrain"),
        ("size=tiny", "pretrain"),
        ("size.dropout=0.1", "pretrain"),
        ("budget.pretrain.num_steps=1999", "pretrain"),
        ("budget.pretrain.num_rows=9", "pretrain"),
        ("budget.pretrain.inputs_length=64", "pretrain"),
        ("budget.pretrain.schedule.peak=0.02", "pretrain"),
        ("budget.finetune.num_steps=599", "finetune"),
        ("budget.finetune.num_tokens=1000", "finetune"),
        ("budget.finetune.continue_optimizer=true", "finetune"),
        ("budget.finetune.schedule.peak=0.03", "finetune"),
        ("suite.columns.questions.inputs_length=80", "finetune"),
        ("suite.columns.questions.tasks.questions.seed=1", "finetune"),
        ("suite.columns.questions.tasks.questions.num_train=700", "finetune"),
        ("budget.evaluate.num_examples=10", "evaluate"),
    ],
)
@pytest.mark.slow
def test_every_science_key_changes_the_stage_that_reads_it_and_all_that_stand_on_it(
    plain: dict[str, str], override: str, first: str
) -> None:
    changed = identities(override)
    assert [kind for kind in KINDS if changed[kind] != plain[kind]] == list(KINDS[KINDS.index(first) :])


def test_beams_change_the_evaluation_of_columns_of_long_texts_alone(plain: dict[str, str]) -> None:
    assert identities("budget.evaluate.num_beams=4") == plain
    cells = [load_cell(["suite.use=[to_norvin]", *more]) for more in ([], ["budget.evaluate.num_beams=4"])]
    greedy, searched = (cell.strategy.stages(cell)["to_norvin"] for cell in cells)
    assert searched.hash != greedy.hash and searched.parents[0].hash == greedy.parents[0].hash
    assert [stage.config["evaluate"].get("num_beams") for stage in (greedy, searched)] == [None, 4]


def test_a_column_may_have_a_batch_and_checkpoints_of_its_own(plain: dict[str, str]) -> None:
    own = ["+suite.columns.questions.num_tokens=512", "+suite.columns.questions.checkpoint_every=50"]
    changed = graph(*own)
    assert changed["pretrain"].identity == plain["pretrain"]
    assert (
        changed["finetune"].identity
        == identities("budget.finetune.num_tokens=128", "budget.finetune.checkpoint_every=50")["finetune"]
    ), "four times the budget's, which is what the column takes that does not say"


@pytest.mark.parametrize("cls", [PretrainStage, FinetuneStage])
def test_a_raised_version_changes_the_stage_and_all_that_stand_on_it(
    plain: dict[str, str], monkeypatch: pytest.MonkeyPatch, cls: type[Stage]
) -> None:
    monkeypatch.setattr(cls, "version", 2)
    changed = identities()
    assert [kind for kind in KINDS if changed[kind] != plain[kind]] == list(KINDS[KINDS.index(cls.kind) :])


def test_identity_is_a_fixed_function_of_kind_version_content_and_parents() -> None:
    """A literal hash: a change of how it is made would orphan every finished stage."""
    parent = Stage("vocabulary of mine", {}, {"a": 1})
    child = Stage("child", {"path": "somewhere"}, {"b": [1.5, None, "é"]}, (parent,))
    assert (parent.hash, child.hash) == ("cc7cda32f545", "9d3c90ddbbdf")
    assert Stage("child", {}, child.content, (parent,)).hash == child.hash
    assert Stage("child", {}, child.content).hash != child.hash


@pytest.mark.parametrize(("option", "make"), [("corpus=text", corpus), ("vocabulary=given", model)])
def test_a_users_own_files_count_by_content_not_by_path(
    tmp_path: Path, option: str, make: Callable[..., str]
) -> None:
    places = [make(tmp_path / "here" / "f"), make(tmp_path / "a longer" / "place" / "f")]
    here, there = (identities(option, place) for place in places)
    assert here == there


def test_another_corpus_gives_other_stages(tmp_path: Path) -> None:
    one = identities("corpus=text", corpus(tmp_path / "a"))
    other = identities("corpus=text", corpus(tmp_path / "b", "The cat sleeps.\n\nThe dog howls.\n"))
    assert [kind for kind in KINDS if one[kind] == other[kind]] == []


def test_another_given_vocabulary_gives_other_stages_and_the_corpus_does_not_enter_it(tmp_path: Path) -> None:
    given = model(tmp_path / "a" / "f")
    one = identities("vocabulary=given", given)
    other = identities("vocabulary=given", model(tmp_path / "b" / "f", num_pieces=41))
    assert [kind for kind in KINDS if one[kind] == other[kind]] == []
    elsewhere = identities("vocabulary=given", given, "corpus.seed=1")
    assert [kind for kind in KINDS if one[kind] == elsewhere[kind]] == ["vocabulary"]


def test_a_trained_vocabulary_and_a_given_one_are_different_stages(
    tmp_path: Path, plain: dict[str, str]
) -> None:
    given = identities("vocabulary=given", model(tmp_path / "a" / "f"))
    assert given["vocabulary"] != plain["vocabulary"]


def test_no_pretraining_has_no_pretraining_and_its_schedule_over_the_length_of_finetuning() -> None:
    lengths = ["budget.pretrain.num_steps=1500", "budget.finetune.num_steps=700"]
    found = graph("strategy=no_pretraining", *lengths, "budget.pretrain.schedule.peak=0.02")
    assert tuple(found) == ("vocabulary", "finetune", "evaluate")
    assert [parent.kind for parent in found["finetune"].parents] == ["vocabulary"]
    budget = found["finetune"].config["budget"]
    assert (budget["num_steps"], budget["schedule"]) == (
        700,
        {
            "_target_": "t5grid.training.schedules.WarmupDecay",
            "peak": 0.02,
            "num_warmup_steps": 100,
            "decay_fraction": 0.3,
            "num_steps": 700,
        },
    )


def test_a_schedule_without_a_length_of_its_own_is_taken_as_it_is() -> None:
    found = graph("strategy=no_pretraining", "budget=paper", "size=nano")
    assert found["finetune"].config["budget"]["schedule"] == {
        "_target_": "t5grid.training.schedules.InverseSquareRoot",
        "num_warmup_steps": 10000,
    }


@pytest.mark.parametrize("override", ["objective=prefix_lm", "budget.pretrain.num_rows=9"])
def test_no_pretraining_does_not_depend_on_what_it_leaves_out(override: str) -> None:
    assert identities("strategy=no_pretraining", override) == identities("strategy=no_pretraining")


# --- sharing


def count(stages: Sequence[Stage]) -> dict[str, int]:
    return dict(Counter(stage.kind for stage in stages))


@pytest.mark.slow
def test_the_tables_share_equal_cells(grids: list[Grid]) -> None:
    """8 objectives and none; 3 more rates; 3 more span lengths; 2 more seeds of the one baseline."""
    counts = [[count(grid.stages).get(kind, 0) for kind in KINDS] for grid in grids]
    assert counts == [[1, 1, 10, 77, 77], [1, 1, 6, 42, 42], [1, 1, 7, 49, 49]]
    assert [count(merged(grids))[kind] for kind in KINDS] == [1, 1, 16, 119, 119]
    span_3, random_spans = grids[2].rows["span_3"][0][1], grids[0].rows["random_spans"][0][1]
    assert [s.identity for s in span_3.values()] == [s.identity for s in random_spans.values()]


@pytest.mark.slow
def test_plan_counts_what_is_asked_for_shared_done_and_to_run(grids: list[Grid], tmp_path: Path) -> None:
    store = Store(tmp_path)
    for stage in grids[1].stages:
        if stage.kind in ("vocabulary", "tokens"):
            store.finish(stage, {})
    found = [line.split()[:6] for line in plan.plan_lines(grids, merged(grids), store)[:7]]
    assert found == [
        ["stage", "asked", "for", "distinct", "shared", "done"],
        ["largest", "sum", "sum", "largest", "sum", "sum"],
        ["vocabulary", "24", "1", "23", "1", "0"],
        ["tokens", "23", "1", "22", "1", "0"],
        ["pretrain", "23", "16", "7", "0", "16"],
        ["finetune", "168", "119", "49", "0", "119"],
        ["evaluate", "168", "119", "49", "0", "119"],
    ]


# --- names


def test_names_are_readable() -> None:
    names = {kind: identity.rpartition("-")[0] for kind, identity in identities("objective.rate=0.1").items()}
    assert names == {
        "vocabulary": "vocabulary/nano",
        "tokens": "tokens/nano",
        "pretrain": "pretrain/encoder_decoder-replace_spans,rate=0.1-nano-nano-seed0",
        "finetune": "finetune/questions-replace_spans,rate=0.1-encoder_decoder-nano-nano-seed0",
        "evaluate": "evaluate/questions-replace_spans,rate=0.1-encoder_decoder-nano-nano-seed0",
    }


def test_every_identity_is_unique_and_safe_as_a_folder(grids: list[Grid]) -> None:
    every = merged(grids)
    assert len({stage.identity for stage in every}) == len(every)
    for stage in every:
        assert re.fullmatch(r"[a-z]+/[A-Za-z0-9_.,=-]+-[0-9a-f]{12}", stage.identity)


def test_a_long_name_is_cut_to_what_file_systems_take() -> None:
    long = Stage("x" * 400, {}, {})
    assert long.identity == f"stage/{'x' * 150}-{long.hash}"


def test_provenance_names_machine_and_versions() -> None:
    from toy_stages import RUNTIME

    found: dict[str, Any] = provenance(RUNTIME, 2)
    assert (found["runtime"]["precision"], found["num_threads"]) == ("fp32", 2)
    assert {"torch", "pytorch-lightning", "hydra-core", "numpy"} <= found["versions"].keys()
