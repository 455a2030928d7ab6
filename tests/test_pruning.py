"""Which checkpoints nothing needs any more, and that no others go."""

from pathlib import Path

import pytest

from t5grid.cli import main
from t5grid.config.schema import load_cell
from t5grid.execution import pruning
from t5grid.execution.store import Store
from t5grid.stages.stage import Stage, with_parents
from t5grid.training.checkpoints import _digest

SMALL = ["budget=smoke", "suite.use=[questions]"]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.chdir(tmp_path)
    return Store("runs")


def stages_of(*words: str) -> dict[str, Stage]:
    """The stages of a cell of one column, by kind."""
    cell = load_cell([*SMALL, *words])
    return {stage.kind: stage for stage in with_parents(cell.strategy.stages(cell).values())}


def leave(store: Store, stage: Stage, *steps: int) -> None:
    """Sound checkpoints of a stage."""
    for step in steps:
        data = f"{stage.identity} {step}".encode()
        path = store.folder(stage) / "checkpoints" / f"step-{step:08d}-{_digest(data)}.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def finish(store: Store, *stages: Stage) -> None:
    for stage in stages:
        store.begin(stage)
        made = {"machine": "m", "python": "3", "versions": {"torch": "2"}}
        scores = {**made, "score": 1.0, "step": 4, "tasks": {"questions": {"em": 1.0, "step": 6}}}
        store.finish(stage, scores if stage.kind == "evaluate" else {})


def left(store: Store, stage: Stage) -> list[int]:
    return [int(path.name.split("-")[1]) for path in sorted(store.folder(stage).glob("checkpoints/*"))]


def test_the_last_and_the_reported_ones_stay(store: Store) -> None:
    stages = stages_of()
    leave(store, stages["pretrain"], 4, 8)
    leave(store, stages["finetune"], 2, 4, 6, 8)
    finish(store, *stages.values())
    found = {spare.stage.kind: spare for spare in pruning.spares(list(stages.values()), store)}
    steps = {kind: [pruning._step(path) for path in spare.unneeded] for kind, spare in found.items()}
    assert steps == {"pretrain": [4], "finetune": [2]}
    assert found["finetune"].size == len(f"{stages['finetune'].identity} 2")
    assert pruning.delete(found["finetune"], store) and left(store, stages["finetune"]) == [4, 6, 8]


@pytest.mark.parametrize("unfinished", ["evaluate", "finetune"])
def test_nothing_goes_of_what_an_unfinished_stage_stands_on(unfinished: str, store: Store) -> None:
    stages = stages_of()
    for kind in ("pretrain", "finetune"):
        leave(store, stages[kind], 2, 4, 6, 8)
    finish(store, *(stage for kind, stage in stages.items() if kind not in (unfinished, "evaluate")))
    found = [spare.stage.kind for spare in pruning.spares(list(stages.values()), store)]
    assert found == (["pretrain"] if unfinished == "evaluate" else [])


def test_a_training_that_nothing_is_known_to_stand_on_is_left_alone(store: Store) -> None:
    stages = stages_of()
    leave(store, stages["pretrain"], 2, 4)
    finish(store, stages["pretrain"])
    assert list(pruning.spares([stages["pretrain"]], store)) == []


def test_where_a_folder_that_an_evaluation_stands_on_is_gone_nothing_goes(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    stages = stages_of()
    leave(store, stages["finetune"], 2, 4, 6, 8)
    finish(store, *stages.values())
    (store.folder(stages["pretrain"]) / "config.yaml").unlink()
    assert list(pruning.spares([stages["finetune"]], store)) == []
    assert f"left alone: {stages['finetune'].identity}: " in capsys.readouterr().err


def test_an_evaluation_that_the_store_alone_knows_of_counts(store: Store) -> None:
    stages = stages_of()
    leave(store, stages["finetune"], 2, 4, 6, 8)
    finish(store, *(stage for kind, stage in stages.items() if kind != "evaluate"))
    store.begin(stages["evaluate"])  # begun, not done
    assert list(pruning.spares([stages["finetune"]], store)) == []


def test_what_is_damaged_or_held_is_left_alone(store: Store) -> None:
    stages = stages_of()
    leave(store, stages["finetune"], 2, 4, 6, 8)
    finish(store, *stages.values())
    (spare,) = pruning.spares([stages["finetune"]], store)
    with store.lock(stages["finetune"]):
        assert not pruning.delete(spare, store)
    spare.kept[-1].write_bytes(b"damaged")
    assert not pruning.delete(spare, store) and left(store, stages["finetune"]) == [2, 4, 6, 8]


def test_the_command_lists_and_deletes_only_when_it_is_told_to(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    stages = stages_of()
    leave(store, stages["finetune"], 2, 4, 6, 8)
    finish(store, *stages.values())
    assert main(["prune", "corruption_rate", *SMALL]) == 0
    line, total = capsys.readouterr().out.splitlines()
    assert line.startswith(f"{stages['finetune'].identity}: 1 of 4 checkpoints, 0.0 MiB")
    assert total.endswith("not needed; prune --delete deletes them")
    assert left(store, stages["finetune"]) == [2, 4, 6, 8]
    assert main(["prune", "corruption_rate", *SMALL, "--delete"]) == 0
    assert "deleted" in capsys.readouterr().out and left(store, stages["finetune"]) == [4, 6, 8]
    assert main(["prune", "nope", *SMALL]) == 2
    assert "no experiment 'nope'" in capsys.readouterr().err
    assert main(["prune", "--force"]) == 2
    assert "prune: unknown option --force" in capsys.readouterr().err
