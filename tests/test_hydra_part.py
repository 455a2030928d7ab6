"""A stranger's config runs no code: not through Hydra's part, not through what lies in the folder."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest
from hydra.core.global_hydra import GlobalHydra
from test_multirun import CELL
from test_sweep import records, run

from t5grid.cli import main
from t5grid.commands.joining import Job
from t5grid.config import hydra_api, hydra_part, trust
from t5grid.config.compose import data_folder
from t5grid.config.schema import load_cell
from t5grid.config.trust import allowed, check_allowed, trusting
from t5grid.refused import Refused

OPTION = "# @package _global_\nobjective: {_target_: t5grid.data.objectives.ReplaceSpans, rate: 0.15}\n"
TRUST = "set by a config; say it on the command line, or trust your configs with Hydra's part: --allow hydra"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A working directory of a stranger's, where nothing is to be launched."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("T5GRID_ALLOW", raising=False)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(hydra_api, "launch", lambda *_: pytest.fail("nothing is to be launched"))
    yield tmp_path
    GlobalHydra.instance().clear()


def option(folder: Path, text: str, path: str = "objective/mine") -> None:
    file = folder / f"conf/{path}.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def complaint(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line that a refused command says."""
    assert main(list(arguments)) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1
    return captured.err


STRANGERS = [
    ("callbacks: {x: '${oc.create:{_target_: shutil.copyfile, src: a, dst: b}}'}", "hydra.callbacks.x"),
    ("callbacks: {x: {_target_: hydra.experimental.callbacks.LogJobReturnCallback}}", "hydra.callbacks.x"),
    ("job: {env_set: {PATH: evil}}", "hydra.job.env_set.PATH"),
    ("job: {env_set: {T5GRID_ALLOW: evil}}", "hydra.job.env_set.T5GRID_ALLOW"),
    ("job: {env_copy: [PATH]}", "hydra.job.env_set.PATH"),
    ("job: {name: ../../x}", "hydra.job.name"),
    ("sweep: {dir: /elsewhere}", "hydra.sweep.dir"),
    ("sweep: {subdir: ../..}", "hydra.sweep.subdir"),
    ("output_subdir: ../..", "hydra.output_subdir"),
    ("overrides: {hydra: ['hydra.job.env_set={T5GRID_ALLOW: evil}']}", "hydra.overrides.hydra"),
    ("launcher: {_target_: evil.Launcher}", "hydra.launcher._target_"),
    ("sweeper: {_target_: hydra._internal.utils._locate}", "hydra.sweeper._target_"),
    ("sweeper: {max_batch_size: 1}", "hydra.sweeper.max_batch_size"),
    (
        "job_logging: {handlers: {x: {class: logging.FileHandler, filename: /x}}}",
        "hydra.job_logging.handlers.x",
    ),
    (
        "job_logging: {handlers: {console: {stream: ext://evil.x}}}",
        "hydra.job_logging.handlers.console.stream",
    ),
    ("hydra_logging: {formatters: {simple: {'()': evil.X}}}", "hydra.hydra_logging.formatters.simple.()"),
]


@pytest.fixture(scope="module")
def complaints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What is said of each of the strangers' options, where Hydra has started once."""
    folder = tmp_path_factory.mktemp("strangers")
    for i, (part, _) in enumerate(STRANGERS):
        option(folder, f"{OPTION}hydra:\n  {part}\n", f"objective/mine{i}")
    hydra_api.start(data_folder("conf"), folder / "conf")
    check = hydra_part.check_of(hydra_api.compose_multirun([]))
    return {part: said_of(f"objective=mine{i}", check) for i, (part, _) in enumerate(STRANGERS)}


def said_of(word: str, check: hydra_part.Check) -> str:
    with pytest.raises(Refused) as refused:
        check(hydra_api.compose_multirun([word]))
    return str(refused.value)


@pytest.mark.parametrize(("part", "key"), STRANGERS, ids=[part for part, _ in STRANGERS])
def test_a_config_sets_nothing_of_hydras_part(part: str, key: str, complaints: dict[str, str]) -> None:
    assert complaints[part] == f"{key}: {TRUST}"


def test_a_config_that_sets_something_is_one_line_and_leaves_nothing_behind(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    option(folder, f"{OPTION}hydra: {{job: {{env_set: {{PATH: evil}}}}}}\n")
    assert complaint(capsys, "run", "-m", "objective=mine") == f"t5grid: hydra.job.env_set.PATH: {TRUST}\n"
    assert [path.name for path in folder.iterdir()] == ["conf"]


@pytest.mark.slow
def test_an_option_that_only_a_job_has_is_checked_before_any_job_runs(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    monkeypatch.setattr("t5grid.commands.multirun.run_cell", lambda *_: pytest.fail("a job ran"))
    option(folder, f"{OPTION}hydra: {{job: {{env_set: {{T5GRID_ALLOW: evil}}}}}}\n")
    assert main(["run", "-m", "objective=random_spans,mine"]) == 2
    assert f"hydra.job.env_set.T5GRID_ALLOW: {TRUST}" in capsys.readouterr().err


@pytest.mark.slow
def test_an_option_of_hydras_groups_is_an_installed_one(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    option(folder, "n_jobs: 2\n", "hydra/launcher/mine")
    line = complaint(capsys, "run", "-m", "hydra/launcher=mine")
    assert "hydra/launcher=mine: no such option" in line and "basic" in line
    option(folder, "version: 1\n", "hydra/job_logging/default")
    assert TRUST in complaint(capsys, "run", "-m", "seed=0,1")
    option(folder, f"{OPTION}hydra: {{job: {{env_set: {{X: y}}}}}}\n")
    assert TRUST in complaint(capsys, "run", "-m", f"hydra.searchpath=[{folder}/conf]", "objective=mine")


@pytest.mark.slow
def test_the_command_line_sets_hydras_part_but_no_callback_and_no_name_of_ours(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["+hydra.callbacks.x._target_=hydra.experimental.callbacks.LogJobReturnCallback"]
    assert "hydra.callbacks: nothing is called" in complaint(capsys, "run", "-m", *words)
    line = complaint(capsys, "run", "-m", "+hydra.job.env_set.T5GRID_ALLOW=evil")
    assert "hydra.job.env_set.T5GRID_ALLOW: set it in your shell" in line
    line = complaint(capsys, "run", "-m", "hydra.launcher=${size}")
    assert "hydra.launcher: an interpolation; what is called must be written out" in line
    monkeypatch.setattr(hydra_api, "launch", lambda *_: [Job(("seed=0",), 3, Path())])
    words = ["+hydra.job.env_set.OMP_NUM_THREADS='1'", "hydra.sweep.dir=/elsewhere", "hydra/job_logging=none"]
    assert main(["run", "-m", "seed=0,1", *words]) == 3


@pytest.mark.slow
def test_a_user_may_trust_the_configs_with_hydras_part(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    option(folder, f"{OPTION}hydra: {{job: {{env_set: {{PATH: mine}}}}}}\n")
    option(folder, "_target_: evil.Launcher\n", "hydra/launcher/mine")
    monkeypatch.setattr(hydra_api, "launch", lambda *_: [Job(("seed=0",), 3, Path())])
    assert main(["run", "-m", "objective=mine", "--allow", "hydra"]) == 3
    line = complaint(capsys, "run", "-m", "hydra/launcher=mine", "--allow", "hydra")
    assert "hydra.launcher._target_=evil.Launcher: not from hydra" in line


TARGETS = [
    "_target_: ${oc.env:WHICH,t5grid.data.objectives.ReplaceSpans}",
    "_target_: t5grid.data.objectives.${oc.env:WHICH,ReplaceSpans}",
    "{_target_: t5grid.data.objectives.ReplaceSpans, rate: {_target_: '${seed}'}}",
]


@pytest.mark.parametrize("text", TARGETS)
def test_an_interpolated_target_is_refused(text: str, folder: Path) -> None:
    option(folder, f"{text}\n")
    with pytest.raises(
        Refused, match=r"objective\.(rate\.)?_target_=.*: an interpolation; write the class out"
    ):
        load_cell(["objective=mine"])


@pytest.mark.slow
def test_a_target_made_by_an_interpolation_is_checked_as_it_resolves(folder: Path) -> None:
    option(folder, "# @package _global_\nobjective: '${oc.create:{_target_: evil.X}}'\n")
    with pytest.raises(Refused, match=r"objective\._target_=evil\.X: not from t5grid"):
        load_cell(["objective=mine"])


def test_the_environment_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("T5GRID_ALLOW", "mine")
    with trusting(["other"]):
        assert os.environ["T5GRID_ALLOW"] == "mine,other"  # for processes started from here
        monkeypatch.setenv("T5GRID_ALLOW", "evil")
        assert allowed() == ("mine", "other")
        with pytest.raises(Refused, match="say --allow evil"):
            check_allowed("evil.X", "key")
    assert os.environ["T5GRID_ALLOW"] == "mine"


def test_only_packages_that_are_trusted_are_looked_for_in_the_folder(folder: Path) -> None:
    """A `hydra_plugins` that lies there is no plugin of Hydra's, nor any other module an optional one."""
    before = list(sys.path)
    assert main(["plan", "objectives", "suite.use=[questions]", "budget=smoke"]) == 0
    assert sys.path == before
    (folder / "mine_alone.py").write_text("")
    with trusting(["mine_alone", "json"]):
        check_allowed("json.X", "key")
        assert sys.path == before
        check_allowed("mine_alone.X", "key")
        assert sys.path == [*before, str(folder)]


@pytest.mark.slow
def test_what_a_job_does_beside_its_stage_is_refused(folder: Path) -> None:
    words = ["executor=slurm", "executor.setup=[touch here]"]
    with pytest.raises(Refused, match=r"executor\.setup: .* say --allow setup"):
        load_cell(words)
    flags = "+executor.resources.pretrain.flags"
    with pytest.raises(Refused, match=r"executor\.resources\.pretrain\.flags\.export: .* --allow setup"):
        load_cell(["executor=slurm", f"{flags}.export='ALL,BASH_ENV=x'"])
    with trusting(["setup"]):
        assert load_cell(words).executor.setup == ("touch here",)
    for word in (f"{flags}.comment='a\ntouch here'", "executor.partition='a\nb'"):
        with pytest.raises(Refused, match="of one line"):
            load_cell(["executor=slurm", word])
    assert load_cell(["executor=slurm", f"{flags}.constraint=a100"])
    assert trust.PACKAGES == ("t5grid", "torch", "pytorch_lightning")


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["basic", "joblib"])
def test_who_is_trusted_is_the_same_in_every_process(launcher: str, tmp_path: Path) -> None:
    """The command line's `--allow` reaches jobs; one that is set for them as they start does not."""
    option(tmp_path, "_target_: mine_here.Mine\n", "finetune/mine")
    (tmp_path / "mine_here.py").write_text(
        "from dataclasses import dataclass\nfrom t5grid.training.finetuning import AllParameters\n"
        "@dataclass(frozen=True)\nclass Mine(AllParameters):\n    pass\n"
    )
    words = [*CELL, "finetune=mine", f"hydra/launcher={launcher}", "seed=0,1"]
    code, _, err = run(tmp_path, "run", "-m", *words)
    assert code == 2 and "finetune._target_=mine_here.Mine: not from t5grid" in err
    code, _, err = run(tmp_path, "run", "-m", *words, "--allow", "mine_here")
    assert code == 0, err
    assert len(records(tmp_path)) == 5
