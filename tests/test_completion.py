"""What may stand next in a line, and the scripts by which shells ask."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from t5grid.cli import main
from t5grid.commands.completion import SCRIPTS, experiments
from t5grid.config.compose import GROUPS, options


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def offered(line: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    assert main(["complete", "--", line]) == 0
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("t5grid sw", ["sweep"]),
        ("t5grid sweep obj", ["objective=", "objectives"]),
        ("t5grid run obj", ["objective="]),
        ("t5grid run objective", ["objective.", "objective="]),
        ("t5grid run objective=bert", ["objective=bert_style"]),
        ("t5grid run -m objective=prefix_lm,bert", ["objective=prefix_lm,bert_style"]),
        ("t5grid run objective.", ["objective.rate=", "objective.targets_length_at_512="]),
        ("t5grid run objective=random_spans objective.m", ["objective.mean_span_length="]),
        ("t5grid run architecture=prefix_lm architecture.", ["architecture.loss_on_targets_only="]),
        ("t5grid inspect --c", ["--cfg", "--config-dir"]),
        ("t5grid inspect --cfg ", ["all", "hydra", "job"]),
        ("t5grid experiment ", ["new"]),
        ("t5grid completion z", ["zsh"]),
        ("t5grid run objective=bert_style", []),
        ("t5grid run nope.", []),
        ("t5grid nope ", []),
        ('t5grid run "size*=2" objective=bert', ["objective=bert_style"]),
        ("t5grid run 'open objective=bert", ["objective=bert_style"]),
    ],
)
def test_the_last_word_is_completed(
    line: str, expected: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert offered(line, capsys) == expected


def test_commands_experiments_and_groups_are_all_offered(capsys: pytest.CaptureFixture[str]) -> None:
    commands = offered("t5grid ", capsys)
    assert {"run", "sweep", "experiment", "completion", "--help"} <= set(commands)
    assert "complete" not in commands
    words = offered("t5grid plan ", capsys)
    assert set(experiments()) | {f"{group}=" for group in GROUPS} <= set(words)
    for group in GROUPS:
        assert offered(f"t5grid plan {group}=", capsys) == [f"{group}={option}" for option in options(group)]


def test_the_users_own_options_and_experiments_are_offered(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for place in ("conf", "more"):
        (folder / place / "objective").mkdir(parents=True)
        (folder / place / "objective" / f"mine_{place}.yaml").write_text("defaults: [bert_style]\nown: 1\n")
    (folder / "experiments").mkdir()
    (folder / "experiments/mine.yaml").write_text("")
    assert offered("t5grid sweep mi", capsys) == ["mine", "mixing", "mixing="]
    assert offered("t5grid run objective=mi", capsys) == ["objective=mine_conf"]
    line = "t5grid run --config-dir more objective=mi"
    assert offered(line, capsys) == ["objective=mine_conf", "objective=mine_more"]
    keys = offered("t5grid run objective=mine_conf objective.", capsys)
    assert "objective.own=" in keys and "objective.random_token_rate=" in keys


def test_a_shell_without_a_script_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "csh"]) == 2
    assert "invalid choice: 'csh'" in capsys.readouterr().err


ASK = {
    "bash": "COMP_LINE='t5grid run objective=bert'; COMP_POINT=${#COMP_LINE}\n"
    '_t5grid 2>/dev/null; echo "${COMPREPLY[@]}"',
    "zsh": "compadd() { print -r -- ${@[-1]} }; words=(t5grid run objective=bert); CURRENT=3; _t5grid",
    "fish": 'complete -C "t5grid run objective=bert"',
}


@pytest.mark.slow
@pytest.mark.parametrize("shell", SCRIPTS)
def test_a_shell_completes_by_its_script(
    shell: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    command = folder / "bin" / "t5grid"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m t5grid.cli "$@"\n')
    command.chmod(0o755)
    assert main(["completion", shell]) == 0
    stub = "compdef() { : }\n" if shell == "zsh" else ""
    (folder / "script").write_text(f"{stub}{capsys.readouterr().out}\n{ASK[shell]}\n")
    environment = {**os.environ, "PATH": f"{command.parent}:{os.environ['PATH']}"}
    done = subprocess.run([shell, folder / "script"], env=environment, capture_output=True, text=True)
    expected = "bert_style" if shell == "bash" else "objective=bert_style"  # bash completes behind the "="
    assert done.stdout.split() == [expected], done.stderr
