"""Hydra's own habits: --cfg, --resolve, --package, --info, --config-dir, groups in --help."""

import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from t5grid.cli import main
from t5grid.commands.configs import text_of
from t5grid.config.compose import GROUPS, options
from t5grid.config.schema import load_cell

SMALL = ["budget=smoke", "suite.use=[questions]"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory; Hydra's `--info` sets logging up for itself."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    handlers, level = list(logging.root.handlers), logging.root.level
    yield tmp_path
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(list(words)) == 0
    return capsys.readouterr().out


def test_the_jobs_config_is_shown_as_it_is_written_and_composes_to_the_same_cell() -> None:
    node = OmegaConf.create(text_of(SMALL, "job"))
    assert set(node) == {*GROUPS, "seed"}
    assert "${" in text_of(SMALL, "job") and "${" not in text_of(SMALL, "job", resolve=True)
    shown, cell = OmegaConf.create(text_of(SMALL, "job", resolve=True)), load_cell(SMALL)
    assert shown.budget.pretrain.num_steps == cell.budget.pretrain.num_steps
    assert list(shown.suite.use) == ["questions"]


def test_hydras_part_is_shown_alone_or_with_all() -> None:
    assert list(OmegaConf.create(text_of(SMALL, "hydra"))) == ["hydra"]
    assert {"hydra", "seed"} <= set(OmegaConf.create(text_of(SMALL, "all")))


@pytest.mark.parametrize("command", ["run", "inspect"])
def test_a_part_of_a_config_is_shown_under_its_package(
    command: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = said(capsys, command, *SMALL, "objective.rate=0.2", "--cfg", "job", "--package", "objective")
    assert out.startswith("# @package objective\n_target_: ") and "\nrate: 0.2\n" in out
    assert said(capsys, command, *SMALL, "-c", "job", "-p", "seed") == "0\n"
    assert list(folder.iterdir()) == []


def test_a_sweep_shows_the_starred_cell_of_each_table(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["corruption_rate", "baseline", *SMALL, "--cfg", "job", "--package", "objective.rate"]
    out = said(capsys, "sweep", *words)
    assert out == "# corruption_rate, row rate_15\n0.15\n# baseline, row baseline\n0.15\n"


def test_what_hydra_knows_is_shown(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "more").mkdir()
    out = said(capsys, "run", "--info", "searchpath", "--config-dir", "more")
    assert f"| command-line | file://{folder}/more" in out and "| main " in out
    assert "objective/bert_style" in said(capsys, "inspect", "objective=bert_style", "-i", "defaults")


@pytest.mark.slow
def test_options_are_found_in_a_further_folder_but_hide_none(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "conf").mkdir()  # so that nothing is remembered of other tests
    for name, rate in (("mine", 0.2), ("replace_spans", 0.9)):
        path = folder / "more" / "objective" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"_target_: t5grid.data.objectives.ReplaceSpans\nrate: {rate}\n")
    place = ["-c", "job", "-p", "objective.rate", "--config-dir", "more"]
    assert said(capsys, "run", "objective=mine", *place) == "0.2\n"
    assert said(capsys, "run", "objective=replace_spans", *place) == "0.15\n"
    assert main(["plan", "baseline", *SMALL, "objective=mine", "--config-dir", "more"]) == 0
    assert "mine" not in options("objective")  # of that command alone
    assert main(["inspect", "objective=mine"]) == 2


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("run --resolve", "run: --resolve goes with --cfg job, hydra or all"),
        ("inspect --package objective", "inspect: --package goes with --cfg job, hydra or all"),
        ("run --cfg job --info defaults", "run: --cfg or --info, not both"),
        ("run --cfg job --package nope", "--package nope: not in the config; --cfg job shows it whole"),
        ("run --cfg science", "argument --cfg/-c: invalid choice: 'science'"),
        ("run --info science", "argument --info/-i: invalid choice: 'science'"),
        ("run -m --cfg job seed=1,2", "run -m: --cfg and --info show one cell; leave -m out"),
        ("run --config-dir nope", "--config-dir nope: no such folder"),
        ("run --cfg job objective=nope", "objective=nope: no such option"),
        ("run --cfg job --resolve objective.rate=${nope}", "Interpolation key 'nope' not found"),
    ],
)
def test_what_cannot_be_shown_is_refused_in_one_line(
    words: str, told: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words.split()) == 2
    out = capsys.readouterr()
    assert told in out.err and out.err.count("\n") == 1 and list(folder.iterdir()) == []


@pytest.mark.parametrize("command", ["run", "sweep", "inspect"])
def test_help_lists_every_option_of_every_group(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([command, "--help"])
    text = " ".join(capsys.readouterr().out.split())
    listed = text.partition("configuration groups (group=option): ")[2]
    for group in GROUPS:
        assert f"{group}: {', '.join(options(group))}" in listed
