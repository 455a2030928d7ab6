"""The user's own conf/ may be another project's, or lead round in a circle."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import ConfigCompositionException

from t5grid.config import compose
from t5grid.config.compose import GROUPS, data_folder
from t5grid.config.own_folder import circle, foreign_primary
from t5grid.config.schema import load_cell
from t5grid.refused import Refused

OURS = (data_folder("conf") / "config.yaml").read_text()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    GlobalHydra.instance().clear()
    compose._say_once.cache_clear()
    return tmp_path / "conf"


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


@pytest.mark.parametrize(
    "files",
    [
        {
            "config.yaml": "defaults: [model: resnet, _self_]\ntrainer: {}\n",
            "model/resnet.yaml": "width: 3\n",
        },
        {"config.yaml": "lr: 0.1\n"},
        {"config.yaml": ""},
        {"config.yaml": "- 1\n"},
        {"config.yaml": "defaults: [config, _self_]\n"},
        {
            "config.yaml": "defaults: [override hydra/launcher: ray, budget: big]\n",
            "budget/big.yaml": "a: 1\n",
        },
        {"config.yaml": "defaults: [/a@b, optional c: null]\n", "a.yaml": "defaults: [a]\n"},
    ],
    ids=str,
)
@pytest.mark.slow
def test_a_primary_config_of_another_project_is_set_aside_with_one_line(
    files: dict[str, str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(folder, {**files, "objective/mine.yaml": "defaults: [bert_style]\nrate: 0.2\n"})
    assert load_cell(["objective=mine"]).config["objective"]["rate"] == 0.2
    assert load_cell(["objective=mine", "seed=1"]).seed == 1
    assert capsys.readouterr().err == "t5grid: conf/config.yaml is another project's: it is set aside\n"


@pytest.mark.parametrize(
    "files",
    [
        {"config.yaml": OURS.replace("seed: 0", "seed: 7")},
        {"config.yaml": "defaults: [base, _self_]\nseed: 7\n", "base.yaml": OURS},
        {
            "config.yaml": OURS.replace("seed: 0", "seed: 7")
            .replace("  - ", "  - /")
            .replace("/_self_", "_self_")
        },
    ],
    ids=["whole", "by another", "with slashes"],
)
def test_one_of_our_form_is_the_users_own(
    files: dict[str, str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(folder, files)
    assert foreign_primary(folder, GROUPS) is None
    assert load_cell([]).seed == 7
    assert capsys.readouterr().err == ""


def test_a_broken_one_is_not_set_aside(folder: Path) -> None:
    write(folder, {"config.yaml": "defaults: [\n"})
    with pytest.raises(Refused, match=r"^conf: [^\n]+$"):
        load_cell([])
    write(folder, {"config.yaml": OURS.replace("objective: replace_spans", "objective: nope")})
    with pytest.raises(Refused, match="objective=nope: no such option"):
        load_cell([])


@pytest.mark.parametrize(
    ("files", "way"),
    [
        (
            {"objective/a.yaml": "defaults: [b]\n", "objective/b.yaml": "defaults: [a, _self_]\n"},
            "a -> b -> a",
        ),
        ({"objective/a.yaml": "defaults: [a, _self_]\n"}, "a -> a"),
        (
            {
                "objective/a.yaml": "defaults: [/objective/b]\n",
                "objective/b.yaml": "defaults: [/objective/a]\n",
            },
            "",
        ),
    ],
)
def test_a_circle_of_defaults_is_one_line(files: dict[str, str], way: str, folder: Path) -> None:
    write(folder, files)
    names = [f"objective/{name}" for name in (way.split(" -> ") if way else "aba")]
    with pytest.raises(Refused, match=f"^conf: a circle of defaults: {' -> '.join(names)}$"):
        load_cell(["objective=a"])
    assert circle(folder) == " -> ".join(names)


def test_no_explanation_explains_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the same options cannot be composed at all, their complaint is all there is to say."""
    asked: list[Sequence[str]] = []

    def fail(words: Sequence[str]) -> None:
        asked.append(words)
        raise ConfigCompositionException("Could not override 'nope'")

    monkeypatch.setattr(compose, "_composed", fail)
    with pytest.raises(Refused, match=r"^nope=1: Could not override 'nope'$"):
        compose.compose(["size=base", "nope=1"])
    assert asked == [["size=base", "nope=1"], ["size=base"]]


@pytest.mark.slow
def test_a_config_nested_without_end_is_one_line(folder: Path) -> None:
    write(folder, {"objective/mine.yaml": f"rate: {'[' * 3000}{']' * 3000}\n"})
    with pytest.raises(Refused, match=r"^[^\n]*nest[^\n]*$"):
        load_cell(["objective=mine"])
