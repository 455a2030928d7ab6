"""Whatever the terminal, the shell and the words: what can be shown is, and the rest is said as it works."""

import io
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from t5grid import cli
from t5grid.cli import main
from t5grid.commands.multirun import _multiplied
from t5grid.config.compose import initialise, parse
from t5grid.config.schema import load_cell
from t5grid.data.vocabulary import Given
from t5grid.refused import Refused

ENTRY = "import sys; from t5grid.cli import main; sys.exit(main())"


@pytest.mark.parametrize(
    "value",
    [
        "größe.txt",
        "日本.txt",
        "a=b",
        "~/x",
        "x#y",
        "a&b",
        "a!b",
        "it's",
        'say "it"~',
        "a(b).txt",
        "{a",
        "${x",
    ],
)
def test_the_message_shows_the_quoted_form_that_works(value: str) -> None:
    with pytest.raises(Refused, match=r"no override \(.*\); quote the value: ") as refused:
        parse(f"corpus.path={value}")
    [word] = shlex.split(str(refused.value).partition("quote the value: ")[2])
    assert parse(word).value() == value


@pytest.mark.parametrize("word", ["corpus.path", "x#y", "corpus.path=a'\"~"])
def test_what_quotes_do_not_mend_is_said_as_before(word: str) -> None:
    with pytest.raises(Refused, match="write key=value"):
        parse(word)


@pytest.mark.parametrize(
    ("words", "plain"),
    [
        (["size*=2"], ["size=nano_2x"]),
        (["size*=2", "seed=0,1"], ["seed=0,1", "size=nano_2x"]),
        (["size=nano,base", "size*=2"], ["size=nano_2x,base_2x"]),
        (["seed=0,1", "budget.pretrain.num_steps*=4", "size*=2"], None),
        (["seed=0,1"], ["seed=0,1"]),
    ],
)
@pytest.mark.slow
def test_a_multirun_multiplies(words: list[str], plain: list[str] | None) -> None:
    initialise()
    multiples = ["seed=0,1", "size=nano_2x", "budget.pretrain.num_steps=18000"]
    assert list(_multiplied(words)) == (plain or multiples)


@pytest.mark.slow
def test_a_multiple_that_is_another_in_each_job_is_refused() -> None:
    initialise()
    with pytest.raises(Refused, match=r"num_steps\*=4: comes to 18000, 32, by the job; write them out"):
        _multiplied(["budget=nano,smoke", "budget.pretrain.num_steps*=4"])


def test_the_home_folder_is_meant_in_every_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    cell = load_cell(["runtime.runs_dir='~/a'", "runtime.results_dir='~/b'"])
    assert cell.runtime.runs_dir == f"{tmp_path}/a" and cell.runtime.results_dir == f"{tmp_path}/b"
    assert Given("~/x.model").path == f"{tmp_path}/x.model"
    options, _ = cli._parse(["predict", "questions", "--input=~/in.txt", "--output", "~/out.txt"])
    assert (options.input, options.output) == (tmp_path / "in.txt", tmp_path / "out.txt")
    options, _ = cli._parse(["records", "merge", "~/store", "~key", "a=~/b"])
    assert options.names == [f"{tmp_path}/store", "~key", "a=~/b"]
    with pytest.raises(Refused, match=f"pretrained={tmp_path}/none: no such folder"):
        cell = load_cell(["strategy.pretrained='~/none'"])
        cell.strategy.stages(cell)


@pytest.mark.slow
def test_a_terminal_without_a_letter_shows_what_it_can(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    shown = io.TextIOWrapper(io.BytesIO(), encoding="ascii", write_through=True)
    monkeypatch.setattr(sys, "stdout", shown)
    assert main(["table", "objectives", "budget=smoke", "suite.use=[questions]"]) == 0
    text = shown.buffer.getvalue().decode("ascii")  # type: ignore[attr-defined]
    assert "\\u2605" in text and "written: " in text


def test_a_word_that_is_no_text_is_shown_as_it_can_be(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    shown = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    monkeypatch.setattr(sys, "stderr", shown)
    assert main(["plan", "gr\udcf6"]) == 2
    assert "experiment=gr\\udcf6: a name" in shown.buffer.getvalue().decode()  # type: ignore[attr-defined]


def test_a_working_directory_that_is_gone_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = Path.cwd()
    (tmp_path / "gone").mkdir()
    os.chdir(tmp_path / "gone")
    try:
        (tmp_path / "gone").rmdir()
        assert main(["plan", "objectives"]) == 2
    finally:
        os.chdir(before)
    assert capsys.readouterr().err == "t5grid: the working directory is gone; cd to one that is there\n"


@pytest.mark.slow
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_stream_that_is_closed_is_missed_by_none(closed: str, tmp_path: Path) -> None:
    command = shlex.join([sys.executable, "-c", ENTRY, "table", "objectives", "budget=smoke"])
    assert (
        subprocess.run(f"{command} {closed}", shell=True, cwd=tmp_path, capture_output=True).returncode == 0
    )
    assert (tmp_path / "results/tables/objectives-smoke.md").is_file()


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_disk_that_is_full_is_met_before_the_command_ends(tmp_path: Path) -> None:
    command = shlex.join([sys.executable, "-c", ENTRY, "status", "objectives", "budget=smoke"])
    ended = subprocess.run(f"{command} > /dev/full", shell=True, cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 1 and ended.stderr.startswith("t5grid: no space is left on the disk")
    assert ended.stderr.count("\n") == 1
