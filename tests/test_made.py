"""A report given again: said again while nothing that it is made of has changed, and else made again."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from t5grid.cli import main
from t5grid.commands import tables
from t5grid.results import made

RECORD, STATUS = "results/records/evaluate/a-0.json", "runs/evaluate/a-0/status.json"
EXPERIMENT, OWN = "experiments/objectives.yaml", "conf/corpus/mine.yaml"
FILES = {
    RECORD: "{}",
    STATUS: "{}",
    EXPERIMENT: "rows: {a: [corpus=mine]}",
    OWN: "path: texts  # not texts/of/others\nother: [absent.txt, /nowhere/else]",
    "texts/deep/a.txt": "a text",
    "published/table.csv": "1",
    "package/module.py": "pass",
    "results/floors/a.json": "{}",
}
RESULTS = Path(__file__).parents[1] / "results"
Asked = Callable[..., int]


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Asked:
    """Gives the command, in a folder with all that a report is made of; how often it has been made."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(made, "PACKAGE", Path("package"))
    monkeypatch.setattr(made, "data_folder", Path)
    monkeypatch.setattr(tables, "_report", lambda options: report(options))
    for path, text in FILES.items():
        write(path, text)
    times = []

    def report(options: Any) -> tuple[list[Any], Path]:
        times.append(options)
        write("page.html", "a page")
        print(f"written: page.html, {len(times)}")
        store = SimpleNamespace(root=Path("runs").absolute())
        return [SimpleNamespace(grids={}, results=Path("results"), store=store)], Path("page.html")

    def ask(*words: str) -> int:
        assert main(["report", *words]) == 0
        return len(times)

    return ask


def write(path: str, text: str) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)


def test_a_report_given_again_says_the_same_and_is_not_made_again(
    asked: Asked, capsys: pytest.CaptureFixture[str]
) -> None:
    assert [asked() for _ in range(3)] == [1, 1, 1]
    assert capsys.readouterr().out.splitlines() == ["written: page.html, 1"] * 3
    assert sorted(path.name for path in Path("results/.drawn").iterdir())[0] == ".gitignore"


@pytest.mark.parametrize(
    "path",
    [
        *FILES,
        "results/records/evaluate/b-0.json",
        "results/attention/a-0.json",
        "runs/evaluate/b-0/failed.json",
        "experiments/other.yaml",
        "conf/corpus/other.yaml",
        "texts/deep/b.txt",
        "absent.txt",
        "page.html",
    ],
)
def test_a_file_that_it_is_made_of_or_wrote_makes_it_again_once(asked: Asked, path: str) -> None:
    asked()
    write(path, "something else")
    assert (asked(), asked()) == (2, 2)


@pytest.mark.parametrize("path", [RECORD, EXPERIMENT, "published/table.csv", "page.html"])
def test_a_file_that_is_gone_makes_it_again(asked: Asked, path: str) -> None:
    asked()
    Path(path).unlink()
    assert asked() == 2


def test_a_file_of_the_same_size_that_was_written_later_makes_it_again(asked: Asked) -> None:
    asked()
    os.utime(RECORD, (1, 1))
    assert asked() == 2


@pytest.mark.parametrize("path", ["results/tables/a.md", "notes.txt", "package/__pycache__/module.pyc"])
def test_what_it_is_not_made_of_does_not(asked: Asked, path: str) -> None:
    asked()
    write(path, "something else")
    assert asked() == 1


def test_other_words_are_another_report_and_so_is_a_page_that_another_has_written_over(asked: Asked) -> None:
    assert (asked("budget=nano"), asked(), asked("-o", "page.html")) == (1, 2, 3)
    assert (asked("-o", "page.html"), asked("budget=nano")) == (3, 4)


@pytest.mark.parametrize("word", ["runtime.runs_dir=elsewhere", "runtime.results_dir=elsewhere"])
def test_folders_that_words_do_not_tell_rightly_are_not_trusted(asked: Asked, word: str) -> None:
    assert (asked(word), asked(word)) == (1, 2)


@pytest.mark.slow
def test_a_real_report_is_made_once_and_again_after_a_record_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    copy, make, times = shutil.copytree(RESULTS, tmp_path / "results"), tables._report, []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tables, "_report", lambda options: times.append("made") or make(options))
    words = ["report", "objectives", "-o", "page.html"]
    assert main(words) == 0
    page, said = Path("page.html").read_bytes(), capsys.readouterr()
    assert main(words) == 0 and len(times) == 1
    assert (Path("page.html").read_bytes(), capsys.readouterr()) == (page, said)
    next(copy.glob("records/evaluate/*.json")).unlink()
    assert main(words) == 0 and len(times) == 2


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("runs/pretrain/a-0/lock.1", ""),
        ("conf/corpus/other.yaml", "path: ${where}/texts"),
        ("results/.drawn", "no folder"),
    ],
)
def test_what_cannot_be_told_or_kept_is_made_every_time(asked: Asked, path: str, text: str) -> None:
    write(path, text)
    assert (asked(), asked()) == (1, 2)


@pytest.mark.parametrize("word", ["--wandb", "--serve", "--allow=mine"])
def test_what_does_more_than_write_a_page_is_done_every_time(asked: Asked, word: str) -> None:
    assert (asked(word), asked(word)) == (1, 2)


def test_a_change_while_it_was_made_is_not_taken_for_what_it_shows(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = tables._report

    def report(options: Any) -> Any:
        write(RECORD, "landed meanwhile")
        return first(options)

    monkeypatch.setattr(tables, "_report", report)
    assert (asked(), asked()) == (1, 2)


@pytest.mark.parametrize(
    ("source", "fixed"),
    [
        (None, True),
        (SimpleNamespace(root=None, revision=None), False),
        (SimpleNamespace(root=None, revision="b4325f0"), True),
        (SimpleNamespace(root="copies", revision=None), True),
    ],
)
def test_what_is_newest_on_the_hub_is_not_fixed(source: Any, fixed: bool) -> None:
    column = SimpleNamespace(tasks={"a": SimpleNamespace(source=source)})
    cell = SimpleNamespace(suite=SimpleNamespace(columns={"a": column}))
    study = SimpleNamespace(grids={"a": SimpleNamespace(rows={"a": [(cell, {})]})})
    assert made.is_fixed([study]) is fixed
