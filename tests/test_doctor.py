"""The doctor lists what a cell needs, split by split; its exit code says whether anything is missing."""

import sys
from pathlib import Path

import pytest

from t5grid.cli import main
from t5grid.commands import doctor
from t5grid.config.schema import load_cell
from t5grid.tasks import hub


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path


def said(capsys: pytest.CaptureFixture[str]) -> dict[str, list[str]]:
    """name -> the words of its line."""
    return {
        line.split("  ")[0]: line.split() for line in capsys.readouterr().out.splitlines() if line.strip()
    }


def test_the_papers_suite_is_listed_split_by_split(shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "suite=t5", f"suite.root={shared / 'mirror'}"]) == 0
    lines = said(capsys)
    assert lines["cola train"][2:5] == ["present", "8,551", "8,551"]
    assert lines["qqp validation"][2:5] == ["partial", "1,000", "40,430"]
    assert lines["mnli validation (validation_mismatched)"][3:5] == ["none", "9,832"]
    assert lines["dpr train"][2:4] == ["none", "1,322"]
    assert lines["wmt_enfr validation (test)"][3:6] == ["present", "3,003", "3,003"]
    assert lines["nothing is missing; 18 splits are not the real data"]
    assert "none compared when a run has trained the vocabulary" in " ".join(lines["labels and targets"])


def test_a_missing_split_is_an_exit_code(
    shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mirror/rajpurkar").mkdir(parents=True)
    (tmp_path / "mirror/rajpurkar/squad").symlink_to(shared / "mirror/rajpurkar/squad")
    words = ["suite=t5", "suite.use=[squad,glue]", "suite.root=mirror"]
    assert main(["doctor", *words]) == 1
    lines = said(capsys)
    assert lines["squad train"][2] == "partial" and lines["cola train"][2] == "missing"
    assert main(["run", *words]) == 2
    refused = capsys.readouterr().err
    assert "data set nyu-mll/glue (cola, train): no folder nyu-mll/glue in suite.root=mirror" in refused
    assert "nyu-mll/glue rte validation" in refused and refused.count("\n") == 1


def test_without_network_every_split_is_missing_and_the_two_ways_are_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for name in hub.OFFLINE_SWITCHES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert main(["doctor", "suite=t5", "suite.use=[squad]"]) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "rajpurkar/squad plain_text train: not in the cache" in out
    told = "the Hugging Face hub does not answer: to get the data, run with network access"
    assert told in out and "suite.root=DIR" in out
    assert out.count("does not answer") == 2  # of the machine, and with what to do


def test_a_cached_split_is_present_with_its_rows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    source = load_cell(["suite=t5"]).suite.columns["squad"].tasks["squad"].source
    place = tmp_path / f"rajpurkar___squad/plain_text/0.0.0/{source.revision}"
    place.mkdir(parents=True)
    (place / "dataset_info.json").write_text('{"splits": {"train": {"num_examples": 87599}}}')
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path))
    assert doctor.cached_rows(source, "train") == 87599
    assert doctor.cached_rows(source, "validation") is None


def test_what_the_cell_asks_of_the_machine_is_missing_where_it_is_not_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(doctor, "asked", lambda *_: "")
    plain = {finding.name: finding.state for finding in doctor.machine_checks(load_cell([]))}
    wanting = {finding.name: finding.state for finding in doctor.machine_checks(load_cell(["runtime=gpu"]))}
    assert (plain["GPU"], wanting["GPU"], plain["Slurm"]) == ("none", "missing", "none")


def test_runs_cannot_be_kept_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("")
    *_, found = doctor.machine_checks(load_cell([f"runtime.runs_dir={tmp_path}/runs"]))
    assert (found.name, found.state, found.says) == (
        "runs",
        "missing",
        f"{tmp_path}/runs cannot be written to",
    )
