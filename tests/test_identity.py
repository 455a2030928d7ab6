"""What identifies a stage: no changed default or code gives an old result, and no new key loses one."""

import dataclasses
import hashlib
import importlib
import json
import pkgutil
import sys
from pathlib import Path
from typing import Any

import pytest

import t5grid
from t5grid.config import identity
from t5grid.config.build import located
from t5grid.config.identity import (
    FIRST_NAMES,
    REGISTER,
    SCALARS,
    digest_of,
    essential,
    in_stable_names,
    neutral_values,
    stable_name,
)
from t5grid.config.schema import load_cell
from t5grid.config.trust import ALLOW
from t5grid.execution.store import Store
from t5grid.grid.strategies import pretrain_stage, vocabulary_stage
from t5grid.stages.pretrain import PretrainStage

COMMITTED = (Path(__file__).parent.parent / "results" / "records").glob("*/*.json")
FIRST = (Path(__file__).parent / "goldens" / "records").glob(
    "*/*.json"
)  # of the first default, names by path
RECORDS = sorted([*COMMITTED, *FIRST])
OBJECTIVE = """
from dataclasses import dataclass, field
from typing import ClassVar
from t5grid.data.objectives import MassStyle

@dataclass(frozen=True)
class Mine(MassStyle):
    {body}
"""


def axis_classes() -> list[Any]:
    """Every class of ours that enters identities: the dataclasses with an axis in the whole package."""
    names = [info.name for info in pkgutil.walk_packages(t5grid.__path__, "t5grid.")]
    values = [value for name in names for value in vars(importlib.import_module(name)).values()]
    classes = [value for value in values if isinstance(value, type) and dataclasses.is_dataclass(value)]
    return list(dict.fromkeys(cls for cls in classes if hasattr(cls, "axis")))


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
    found = {stable_name(cls): defaults(cls) for cls in axis_classes()}
    registered = json.loads(REGISTER.read_text())
    missing = {
        name: {key: value for key, value in values.items() if key not in registered.get(name, {})}
        for name, values in found.items()
    }
    assert {name: values for name, values in missing.items() if values} == {}
    assert found.keys() >= registered.keys()


def test_no_two_classes_have_one_stable_name_and_every_first_name_has_its_class() -> None:
    names = [stable_name(cls) for cls in axis_classes()]
    assert len(set(names)) == len(names)
    assert set(names) >= json.loads(FIRST_NAMES.read_text()).keys()


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"seed": 3},
        {"b": {"x": [1, {"y": None}]}, "seed": True, "a": [2.5, "é"], "none": None, "text": 'quoted "\n"'},
        {"_target_": "mine.Own", "rate": 0.5},
        {"list": [], "dict": {}, "ü": {"z": 1, "a": 2}},
    ],
)
def test_a_stage_is_hashed_as_the_json_of_all_it_is(content: dict[str, Any]) -> None:
    text = json.dumps(["kind", 2, content, ["a/b", "ü"]], sort_keys=True, ensure_ascii=False)
    digest = hashlib.blake2b(text.encode(), digest_size=6).hexdigest()
    assert [digest_of("kind", 2, content, ["a/b", "ü"]) for _ in range(2)] == [digest, digest]


def test_every_committed_record_hashes_to_its_own_name() -> None:
    assert len(RECORDS) > 300
    for path in RECORDS:
        record = json.loads(path.read_text(encoding="utf-8"))
        parts = [record[key] for key in ("kind", "version", "content", "parents")]
        assert record["identity"] == f"{path.parent.name}/{path.stem}"
        assert path.stem.endswith(f"-{digest_of(*parts)}"), path.name
        named = in_stable_names(record["content"])
        assert path.stem.endswith(f"-{digest_of(*parts[:2], named, parts[3])}"), path.name
        assert "t5grid." not in json.dumps(named)


def test_the_stored_config_of_a_record_gives_its_content_again() -> None:
    """Old paths are read as before, and what they name enters an identity as it did."""
    for path in RECORDS:
        record = json.loads(path.read_text(encoding="utf-8"))
        if record["kind"] in ("pretrain", "multitask"):
            config = {key: record["config"][key] for key in record["content"] if key != "tasks"}
            told = essential({key: value for key, value in config.items() if key != "budget"})
            content = in_stable_names(record["content"])
            assert told == {key: content[key] for key in told}, path.name


def test_a_record_of_a_users_own_class_keeps_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its class is known by its path, one of ours inside it as before names were stable."""
    mine("rate: float = 0.15", tmp_path, monkeypatch)
    node = {"_target_": "mine.Mine", "rate": 0.3}
    content = essential({"objective": node, "inner": {"_target_": "t5grid.data.objectives.MassStyle"}})
    assert content["objective"] == node
    assert content["inner"] == {"_target_": "objective/MassStyle"}
    before = {"objective": node, "inner": {"_target_": "t5grid.data.objectives.MassStyle"}}
    assert digest_of("pretrain", 1, content, []) == digest_of("pretrain", 1, before, []) == "5a13993a556b"


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


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ("t5grid.data.objectives.LanguageModel", "t5grid.data.objectives.LanguageModeling"),
        ("t5grid.data.objectives.PrefixLM", "t5grid.data.objectives.PrefixLanguageModeling"),
        ("t5grid.data.tasks.own.OwnTask", "t5grid.tasks.own.OwnTask"),
        ("t5grid.data.tasks.nano_passages.Questions", "t5grid.nano.passage_tasks.Questions"),
        ("t5grid.data.world.NanoCorpus", "t5grid.nano.corpus.NanoCorpus"),
        ("t5grid.grid.executors.Local", "t5grid.execution.local.Local"),
        ("t5grid.grid.slurm.Slurm", "t5grid.execution.slurm.executor.Slurm"),
        ("t5grid.model.architectures.Size", "t5grid.model.size.Size"),
    ],
)
def test_a_config_may_name_a_class_by_the_path_it_had(before: str, now: str) -> None:
    module, _, name = now.rpartition(".")
    assert located(before, "key") is getattr(importlib.import_module(module), name)
