"""A stage that goes to another process as a file comes out the same, or not at all."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf
from toy_stages import Toy, make

from t5grid.config.schema import load_cell
from t5grid.execution.store import Store
from t5grid.stages import stage_file
from t5grid.stages.stage import with_parents


@pytest.mark.slow
def test_every_stage_of_a_cell_comes_back_from_its_file(tmp_path: Path) -> None:
    cell, store = load_cell(["budget=smoke"]), Store(tmp_path)
    stages = with_parents(list(cell.strategy.stages(cell).values()))
    stage_file.write(stages, store.folder)
    for stage in stages:
        back = stage_file.read(store.folder(stage))
        assert (type(back), back.describe()) == (type(stage), stage.describe())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"class": "os.system"}, "class=os.system: not from t5grid, torch, pytorch_lightning"),
        (
            {"class": "t5grid.execution.store.Store"},
            "class=t5grid.execution.store.Store: not a kind of stage",
        ),
        ({"identity": "toy/../../up-0123456789ab"}, "a stage's name stands in a path"),
        ({"content": {"seed": 1}}, "of another version of t5grid, which called it toy/a-"),
    ],
)
def test_a_file_that_was_tampered_with_is_refused(
    change: dict, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("T5GRID_ALLOW", "toy_stages")
    store, stage = Store(tmp_path), make(Toy, "a", tmp_path / "diary")
    stage_file.write([stage], store.folder)
    path = store.folder(stage) / stage_file.FILE
    assert stage_file.read(store.folder(stage)).name == "a"
    told = OmegaConf.to_container(OmegaConf.load(path)) | change
    path.write_text(OmegaConf.to_yaml(OmegaConf.create(told)))
    with pytest.raises(ValueError, match=said):
        stage_file.read(store.folder(stage))


def test_a_kind_that_nobody_knows_is_refused_by_name(tmp_path: Path) -> None:
    store, stage = Store(tmp_path), make(Toy, "a", tmp_path / "diary")
    stage_file.write([stage], store.folder)
    path = store.folder(stage) / stage_file.FILE
    told = OmegaConf.to_container(OmegaConf.load(path))
    del told["class"]
    path.write_text(OmegaConf.to_yaml(OmegaConf.create(told)))
    with pytest.raises(ValueError, match="kind=toy: no such kind; there are vocabulary, tokens, pretrain"):
        stage_file.read(store.folder(stage))


def test_a_stage_without_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no such file"):
        stage_file.read(tmp_path / "toy" / "a-0")
