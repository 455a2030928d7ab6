"""A stage that goes to another process as a file comes out the same, or not at all."""

import json
from pathlib import Path

import pytest
from toy_stages import Toy, make

from t5grid.config import load_cell
from t5grid.grid import handover
from t5grid.grid.store import Store
from t5grid.grid.strategies import with_parents


def test_every_stage_of_a_cell_comes_back_from_its_file(tmp_path: Path) -> None:
    cell, store = load_cell(["budget=smoke"]), Store(tmp_path)
    stages = with_parents(list(cell.strategy.stages(cell).values()))
    handover.write(stages, store)
    for stage in stages:
        back = handover.read(stage.identity, store)
        assert (type(back), back.describe()) == (type(stage), stage.describe())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"class": "os.system"}, "class=os.system: not from t5grid, torch, pytorch_lightning"),
        ({"class": "t5grid.grid.store.Store"}, "class=t5grid.grid.store.Store: not a kind of stage"),
        ({"name": "../../up"}, "a stage's name stands in a path"),
        ({"content": {"seed": 1}}, "the code changed since it was submitted"),
    ],
)
def test_a_file_that_was_tampered_with_is_refused(
    change: dict, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("T5GRID_ALLOW", "toy_stages")
    store, stage = Store(tmp_path), make(Toy, "a", tmp_path / "diary")
    handover.write([stage], store)
    path = store.folder(stage) / handover.FILE
    assert handover.read(stage.identity, store).name == "a"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ValueError, match=said):
        handover.read(stage.identity, store)


def test_a_stage_without_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no such stage"):
        handover.read("toy/a-0", Store(tmp_path))
