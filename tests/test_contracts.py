"""Every axis has a contract that is all its users ask: minimal classes of one's own run, others are named."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from axis_values import cell_of

from t5grid.cli import main
from t5grid.config import contracts
from t5grid.config.build import type_hints
from t5grid.config.compose import GROUPS, options
from t5grid.config.contracts import Meets, members, refuse_lacking
from t5grid.config.schema import Cell, load_cell
from t5grid.refused import Refused

OWN = ("objective", "mixing", "finetune", "architecture", "corpus", "strategy")
SUITE = """
name: mine
columns:
  first:
    title: First word
    inputs_length: 16
    targets_length: 8
    tasks:
      first: {_target_: own_axes.Task}
"""
CLASSES = {"finetune": "Method"}


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A working directory whose conf/ has an option `mine` in every group, and the words that choose them."""
    for group in OWN:
        (tmp_path / "conf" / group).mkdir(parents=True)
        name = CLASSES.get(group, group.capitalize())
        (tmp_path / "conf" / group / "mine.yaml").write_text(f"_target_: own_axes.{name}\n")
    (tmp_path / "conf" / "suite").mkdir()
    (tmp_path / "conf" / "suite" / "mine.yaml").write_text(SUITE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    return [f"{group}=mine" for group in (*OWN, "suite")]


@pytest.mark.slow
def test_a_cell_of_minimal_classes_runs_from_text_to_score(own: list[str], tmp_path: Path) -> None:
    words = [
        "--allow",
        "own_axes",
        "budget=smoke",
        "vocabulary.num_pieces=34",
        "executor.num_workers=1",
        *own,
    ]
    assert main(["plan", "baseline", *words]) == 0  # costs are worked out without running anything
    assert main(["run", *words]) == 0
    record = json.loads(next((tmp_path / "runs" / "evaluate").glob("*/record.json")).read_text())
    assert record["tasks"]["first"]["share"] == record["score"]
    kinds = {path.parent.parent.name for path in (tmp_path / "runs").glob("*/*/record.json")}
    assert kinds == {"vocabulary", "tokens", "multitask", "finetune", "evaluate"}
    tuned = json.loads(next((tmp_path / "runs" / "finetune").glob("*/record.json")).read_text())
    assert tuned["content"]["finetune"] == {"_target_": "own_axes.Method"}


def test_the_axes_of_a_cell_have_contracts() -> None:
    hints = type_hints(Cell)
    for group in set(GROUPS) - {"suite", "budget", "runtime"}:
        assert any(isinstance(rule, Meets) for rule in hints[group].__metadata__), group


@pytest.mark.parametrize("group", sorted(set(GROUPS) - {"suite", "budget", "runtime"}))
def test_what_a_class_lacks_is_named_before_anything_runs(group: str) -> None:
    hint = type_hints(Cell)[group]
    contract = next(rule.contract for rule in hint.__metadata__ if isinstance(rule, Meets))
    names = members(contract)
    partial = dataclass(frozen=True)(type("Partial", (), {name: None for name in names[:-1]}))
    with pytest.raises(Refused, match=f"^{group}=Partial: the class lacks {names[-1]}; every "):
        refuse_lacking(partial(), hint, group)
    whole = dataclass(frozen=True)(type("Whole", (), dict.fromkeys(names)))
    refuse_lacking(whole(), hint, group)


def test_a_contract_is_its_methods_and_its_attributes() -> None:
    assert members(contracts.Objective) == ("__call__", "lengths", "concatenate")
    assert members(contracts.Task) == ("records", "score", "fingerprint", "name", "reported")
    assert members(contracts.Model) == ("loss", "answer")


@dataclass(frozen=True)
class NoLoss:
    """An architecture whose model cannot say its loss."""

    def build(self, size: Any, vocab_size: int, dropout: float | None = None) -> object:
        return object()


def test_a_model_that_lacks_loss_or_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from t5grid.stages.model import build_model

    monkeypatch.setattr("t5grid.stages.model.build", lambda node, key: node)
    size = load_cell(["budget=smoke"]).size
    with pytest.raises(Refused, match=r"^architecture=NoLoss: the model it builds lacks loss"):
        build_model({"architecture": NoLoss(), "size": size, "seed": 0}, 10)


@pytest.mark.slow
def test_every_option_of_ours_meets_its_contract() -> None:
    """A class of ours that lacks a member would be refused here as anybody's is."""
    for group in ("architecture", "objective", "mixing", "finetune", "strategy", "executor", "size"):
        for option in options(group):
            value = getattr(cell_of(group, option), group)
            refuse_lacking(value, type_hints(Cell)[group], group)
