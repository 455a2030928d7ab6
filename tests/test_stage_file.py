"""A stage that goes to another process as a file comes out the same, or not at all."""

import os
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


def test_a_stage_that_stands_on_itself_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("T5GRID_ALLOW", "toy_stages")
    store, parent = Store(tmp_path), make(Toy, "a", tmp_path / "diary")
    child = make(Toy, "b", tmp_path / "diary", parent)
    stage_file.write([parent, child], store.folder)
    path = store.folder(parent) / stage_file.FILE
    path.write_text(path.read_text().replace("parents: []", f"parents:\n- {child.identity}"))
    with pytest.raises(ValueError, match=f"{path}: parents: {child.identity} stands on this stage itself"):
        stage_file.read(store.folder(child))


def test_a_file_that_waits_for_a_writer_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / stage_file.FILE)
    with pytest.raises(ValueError, match=r"config\.yaml: not a file"):
        stage_file.description(tmp_path / stage_file.FILE)


@pytest.mark.slow
def test_evaluations_are_those_of_a_stage_and_a_spoilt_one_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path)
    cell = load_cell(["budget=smoke", "suite.use=[questions,to_norvin]"])
    ends = list(cell.strategy.stages(cell).values())
    stage_file.write(with_parents(ends), store.folder)
    (tmp_path / "evaluate" / "other-1").mkdir()
    (tmp_path / "evaluate" / "other-1" / stage_file.FILE).write_text("a: [")
    (found,) = stage_file.evaluations(tmp_path, ends[1].trained[0].identity)
    assert found.identity == ends[1].identity
    said = capsys.readouterr().err
    assert said.startswith("t5grid: set aside: ") and "evaluate/other-1/config.yaml" in said
