"""What identifies a stage: no changed default or code gives an old result, and no new key loses one."""

import dataclasses
import importlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from t5grid import identity
from t5grid.building import ALLOW
from t5grid.config import EvaluateBudget, FinetuneBudget, PretrainBudget, load_cell
from t5grid.grid.stages import PretrainStage
from t5grid.grid.store import Store
from t5grid.grid.strategies import pretrain_stage, vocabulary_stage
from t5grid.identity import REGISTER, SCALARS, essential, neutral_values

MODULES = (
    "t5grid.data.curriculum",
    "t5grid.data.mixing",
    "t5grid.data.objectives",
    "t5grid.model.architectures",
    "t5grid.training.finetuning",
    "t5grid.training.schedules",
)
BUDGETS = (PretrainBudget, FinetuneBudget, EvaluateBudget)
OBJECTIVE = """
from dataclasses import dataclass, field
from typing import ClassVar
from t5grid.data.objectives import MassStyle

@dataclass(frozen=True)
class Mine(MassStyle):
    {body}
"""


def defaults(cls: Any) -> dict[str, Any]:
    return {
        field.name: field.default for field in dataclasses.fields(cls) if isinstance(field.default, SCALARS)
    }


@pytest.fixture(autouse=True)
def forget() -> Any:
    """Classes are redefined here; what is remembered of them is forgotten."""
    yield
    for known in (identity.neutral_values, identity._beyond, identity._register):
        known.cache_clear()


def test_every_default_of_ours_is_registered() -> None:
    """A new key at its class default is left out of identities: write that into neutral.json, for good."""
    found = {f"t5grid.config.{cls.__name__}": defaults(cls) for cls in BUDGETS}
    for name in MODULES:
        module = importlib.import_module(name)
        every = [each for each in vars(module).values() if dataclasses.is_dataclass(each)]
        found |= {f"{name}.{cls.__name__}": defaults(cls) for cls in every if cls.__module__ == name}
    registered = json.loads(REGISTER.read_text())
    missing = {
        name: {key: value for key, value in values.items() if key not in registered.get(name, {})}
        for name, values in found.items()
    }
    assert {name: values for name, values in missing.items() if values} == {}
    assert found.keys() >= registered.keys()


def mine(body: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What identifies `objective: {_target_: mine.Mine}` with a class of a user's in this form."""
    (folder / "mine.py").write_text(OBJECTIVE.format(body=body))
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv(ALLOW, "mine")
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    sys.modules.pop("mine", None)
    importlib.invalidate_caches()
    return essential({"_target_": "mine.Mine"})


def test_a_default_of_a_users_class_counts_and_a_registered_new_key_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = mine("rate: float = 0.15", tmp_path, monkeypatch)
    assert first == {"_target_": "mine.Mine", "rate": 0.15}
    assert mine("rate: float = 0.3", tmp_path, monkeypatch) == {"_target_": "mine.Mine", "rate": 0.3}
    more = mine("rate: float = 0.15\n    twist: int = 0", tmp_path, monkeypatch)
    assert more == {**first, "twist": 0}
    neutral = "twist: int = field(default=0, metadata={'neutral': 0})"
    assert mine(f"rate: float = 0.15\n    {neutral}", tmp_path, monkeypatch) == first
    later = neutral.replace("default=0", "default=5")  # changed, once registered
    assert mine(f"rate: float = 0.15\n    {later}", tmp_path, monkeypatch) == {**first, "twist": 5}
    version = "rate: float = 0.15\n    version: ClassVar[int] = 2"
    assert mine(version, tmp_path, monkeypatch) == {**first, "version": 2}


@dataclasses.dataclass(frozen=True)
class Spec:
    """Stands for a class of ours; `kept` was added first, `added` later."""

    rate: float
    kept: int = 3
    added: str | None = None


def test_a_changed_default_of_ours_never_meets_what_was_made_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Spec, "__module__", "t5grid.model.architectures")
    monkeypatch.setattr(identity, "registered_values", lambda cls: {"kept": 3, "added": None})
    before = essential({"rate": 1.0}, Spec)
    assert before == essential({"rate": 1.0, "kept": 3, "added": None}, Spec) == {"rate": 1.0}
    monkeypatch.setattr(Spec.__dataclass_fields__["kept"], "default", 4)
    for known in (identity.neutral_values, identity._beyond):
        known.cache_clear()
    assert (
        essential({"rate": 1.0}, Spec)
        == essential({"rate": 1.0, "kept": 4}, Spec)
        == {"rate": 1.0, "kept": 4}
    )
    assert essential({"rate": 1.0, "kept": 3}, Spec) == before


def test_a_new_key_of_ours_is_neutral_at_its_default_until_it_is_registered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Spec, "__module__", "t5grid.model.architectures")
    assert neutral_values(Spec) == {"kept": 3, "added": None}


def test_a_stage_whose_code_changed_is_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cell, store = load_cell(["budget=smoke"]), Store(tmp_path)
    before = pretrain_stage(cell, vocabulary_stage(cell))
    store.finish(before, {"loss": 1.0})
    again = pretrain_stage(cell, vocabulary_stage(cell))
    assert (store.state(again), again.identity) == ("done", before.identity)
    monkeypatch.setattr(PretrainStage, "version", 2)
    assert store.state(pretrain_stage(cell, vocabulary_stage(cell))) == "missing"
