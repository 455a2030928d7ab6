"""How a cell of several models unrolls into stages, and what those share with single models."""

from pathlib import Path

import pytest

from t5grid.config.schema import load_cell
from t5grid.evaluation.scores import common_checkpoints
from t5grid.stages.stage import Stage, with_parents
from t5grid.training.checkpoints import save


def end(*overrides: str) -> Stage:
    cell = load_cell(["suite.use=[questions]", *overrides])
    return cell.strategy.stages(cell)["questions"]


def identities(stage: Stage, kind: str) -> list[str]:
    return [each.identity for each in with_parents([stage]) if each.kind == kind]


def test_members_are_the_baseline_of_the_first_seeds() -> None:
    found = end("strategy=ensemble")
    alone = [end(f"seed={seed}") for seed in range(4)]
    assert identities(found, "finetune") == [identities(each, "finetune")[0] for each in alone]
    assert identities(found, "pretrain") == [identities(each, "pretrain")[0] for each in alone]
    assert [parent.kind for parent in found.parents] == ["finetune"] * 4 + ["vocabulary"]
    assert identities(found, "evaluate") == [found.identity]


def test_one_pretraining_can_be_finetuned_several_times() -> None:
    found = end("strategy=ensemble_finetune")
    assert identities(found, "pretrain") == identities(end(), "pretrain")
    tuned = identities(found, "finetune")
    assert len(set(tuned)) == 4 and tuned[0] == identities(end(), "finetune")[0]
    assert found.identity != end("strategy=ensemble").identity


def test_ensembles_of_different_seeds_have_no_member_in_common() -> None:
    first, second = (set(identities(end("strategy=ensemble", f"seed={seed}"), "finetune")) for seed in (0, 1))
    assert len(first | second) == 8


def test_the_number_of_members_counts() -> None:
    assert len(end("strategy=ensemble", "strategy.num_members=2").parents) == 3
    with pytest.raises(ValueError, match=r"^strategy\.num_members=1: a whole number from 2 up is needed$"):
        load_cell(["strategy=ensemble", "strategy.num_members=1"])


def test_members_are_scored_at_the_steps_all_have(tmp_path: Path) -> None:
    import torch

    for folder, steps in (("a", (2, 4, 6)), ("b", (4, 6, 8))):
        for step in steps:
            save(tmp_path / folder / "checkpoints", step, torch.nn.Linear(1, 1), None)
    found = common_checkpoints([tmp_path / "a", tmp_path / "b"])
    assert {step: [path.parents[1].name for path in paths] for step, paths in found.items()} == {
        4: ["a", "b"],
        6: ["a", "b"],
    }
    save(tmp_path / "c" / "checkpoints", 3, torch.nn.Linear(1, 1), None)
    with pytest.raises(ValueError, match="a and other members: no step has a checkpoint of each"):
        common_checkpoints([tmp_path / "a", tmp_path / "c"])
