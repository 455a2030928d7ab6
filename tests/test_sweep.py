"""Whole sweeps through the command line, on a model small enough to see them end: all of them slow."""

import contextlib
import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import heed_interrupts
from speck import SIZE

pytestmark = pytest.mark.slow

SMALL = [
    "budget=smoke",
    "size=speck",
    "suite.use=[questions]",
    "budget.num_documents=300",
    "vocabulary.num_pieces=300",
    "budget.pretrain.inputs_length=32",
    "budget.pretrain.num_rows=2",
    "budget.pretrain.num_steps=100",
    "budget.pretrain.checkpoint_every=5",
    "budget.finetune.num_tokens=128",
    "executor.num_workers=2",
]
TASK = """
from dataclasses import dataclass

from t5grid.nano.passage_tasks import Questions


@dataclass(frozen=True)
class Unscorable(Questions):
    def score(self, records, predictions):
        raise ValueError(f"questions: {len(records)} rows cannot be scored")
"""
EXPERIMENT = """
title: Mine
reproduces: nothing
cost: one pre-training
command: t5grid sweep mine
first_column: Row
rows:
  only: {title: Only, overrides: [], starred: true, paper: null}
"""
SUITE = """
name: mine
columns:
  sound:
    title: Sound
    inputs_length: 96
    targets_length: 16
    tasks:
      one: {_target_: t5grid.nano.passage_tasks.Questions, name: a, num_train: 9, num_validation: 4}
  broken:
    title: Broken
    inputs_length: 96
    targets_length: 16
    tasks:
      one: {_target_: mine.Unscorable, name: b, num_train: 9, num_validation: 4, seed: 0}
"""
FORMATS = ("md", "csv", "tex", "html")
COLUMNS = ("GLUE", "CNN/DailyMail", "SQuAD", "SuperGLUE", "WMT EnDe", "WMT EnFr", "WMT EnRo")
KEPT = {
    "glue": {
        "cola": "step matthews",
        "sst2": "step accuracy",
        "mrpc": "step f1 accuracy",
        "stsb": "step pearson spearman",
        "qqp": "step f1 accuracy",
        "mnli": "step accuracy_matched",
        "qnli": "step accuracy",
        "rte": "step accuracy",
    },
    "cnn_dailymail": {"cnn_dailymail": "step rouge1 rouge2 rougeLsum"},
    "squad": {"squad": "step em f1"},
    "super_glue": {
        "boolq": "step accuracy",
        "cb": "step mean_3class_f1 accuracy",
        "copa": "step accuracy",
        "multirc": "step f1 exact_match",
        "record": "step em f1",
        "rte": "step accuracy",
        "wic": "step accuracy",
        "wsc": "step accuracy",
    },
    "wmt_ende": {"wmt_ende": "step bleu"},
    "wmt_enfr": {"wmt_enfr": "step bleu"},
    "wmt_enro": {"wmt_enro": "step bleu"},
}
MARKS = (
    "NOT THE REAL DATA",
    "cola (train 8551, validation 1043)",
    "squad (train 5169 of 87599, validation 1082 of 10570)",
    "Scored on the first 2 validation rows of each task.",
    "squad da8e6139",
)


def start(folder: Path, *words: str) -> subprocess.Popen:
    """The command in a process group of its own, as a shell starts it."""
    (folder / "conf" / "size").mkdir(parents=True, exist_ok=True)
    (folder / "conf" / "size" / "speck.yaml").write_text(SIZE)
    (folder / "mine.py").write_text(TASK)
    return subprocess.Popen(
        [sys.executable, "-m", "t5grid.cli", *words],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=heed_interrupts,
    )


def run(folder: Path, *words: str) -> tuple[int, str, str]:
    """Exit code, output and error output of a command."""
    process = start(folder, *words)
    try:
        out, err = process.communicate(timeout=300)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    return process.returncode, out, err


def records(folder: Path) -> dict[str, dict[str, Any]]:
    """Every record by identity."""
    paths = (folder / "runs").glob("*/*/record.json")
    return {str(path.parent.relative_to(folder / "runs")): json.loads(path.read_text()) for path in paths}


def times(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in (folder / "runs").rglob("*") if path.is_file()}


def tables(folder: Path, stem: str) -> dict[str, str]:
    return {ending: (folder / "results" / "tables" / f"{stem}.{ending}").read_text() for ending in FORMATS}


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A finished sweep of the objectives and what it printed."""
    folder = tmp_path_factory.mktemp("unbroken")
    code, out, err = run(folder, "sweep", "objectives", *SMALL)
    assert code == 0, err
    return folder, out


def test_a_sweep_runs_every_stage_and_writes_every_format(unbroken: tuple[Path, str]) -> None:
    folder, out = unbroken
    assert out.splitlines()[-1] == "28 stages: 28 run now, 0 done before, 0 failed, 0 blocked"
    kinds = Counter(record["kind"] for record in records(folder).values())
    assert kinds == {"vocabulary": 1, "tokens": 1, "pretrain": 8, "finetune": 9, "evaluate": 9}
    texts = tables(folder, "objectives-speck-smoke")
    for ending in ("md", "tex", "html"):
        assert "the scores mean nothing" in texts[ending]
    rows = [row for row in csv.DictReader(texts["csv"].splitlines()) if row["row"]]
    assert len(rows) == 9 and all(0 <= float(row["Questions"]) <= 100 for row in rows)
    assert texts["md"] in out
    left = [
        path.name for path in folder.rglob("*") if path.name.startswith("lock.") or "partial" in path.name
    ]
    assert left == []


def test_the_same_command_again_touches_no_stage_and_writes_the_same_tables(
    unbroken: tuple[Path, str],
) -> None:
    folder, _ = unbroken
    before, texts = times(folder), tables(folder, "objectives-speck-smoke")
    code, out, _ = run(folder, "sweep", "objectives", *SMALL)
    assert (code, out.splitlines()[-1]) == (0, "28 stages: 0 run now, 28 done before, 0 failed, 0 blocked")
    assert times(folder) == before and tables(folder, "objectives-speck-smoke") == texts


def go_on_until(folder: Path, process: subprocess.Popen, num_checkpoints: int) -> None:
    """Wait until so many checkpoints are there."""
    until = time.monotonic() + 120
    while len(list((folder / "runs").glob("pretrain/*/checkpoints/step-*"))) < num_checkpoints:
        assert process.poll() is None and time.monotonic() < until, process.communicate()
        time.sleep(0.005)


@pytest.fixture
def group() -> Iterator[list[subprocess.Popen]]:
    """Commands to be ended with the test, whatever happens."""
    processes: list[subprocess.Popen] = []
    yield processes
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def weights(folder: Path) -> dict[str, list[str]]:
    """Names of the checkpoints of each stage: a step and a digest of every byte."""
    every = (folder / "runs").glob("*/*/checkpoints")
    return {path.parent.name: sorted(each.name for each in path.iterdir()) for path in every}


def outcome(record: dict[str, Any]) -> dict[str, Any]:
    """What of a record does not depend on when and where it was made."""
    keys = (
        "identity",
        "content",
        "parents",
        "score",
        "by_step",
        "tasks",
        "samples",
        "loss",
        "tokens",
        "steps",
    )
    return {key: record.get(key) for key in keys}


def test_stopped_and_killed_sweeps_go_on_and_end_bit_for_bit_where_the_unbroken_one_did(
    unbroken: tuple[Path, str], tmp_path: Path, group: list[subprocess.Popen]
) -> None:
    """Ctrl-C and kill -9 of the process group; what runs after is the other table, on the same stages."""
    whole = unbroken[0]
    words = ["sweep", "corruption_rate", *SMALL]
    dice = random.Random(5)

    group.append(start(tmp_path, *words))
    go_on_until(tmp_path, group[-1], 1)
    os.killpg(group[-1].pid, signal.SIGINT)  # what a terminal does
    began = time.monotonic()
    out, err = group[-1].communicate(timeout=60)
    assert time.monotonic() - began < 15
    assert group[-1].returncode == 130
    assert err.splitlines()[-1] == "t5grid: stopped; the same command goes on from here"
    assert "Traceback" not in err

    group.append(start(tmp_path, *words))
    go_on_until(tmp_path, group[-1], dice.randint(3, 6))
    time.sleep(dice.random() / 2)
    os.killpg(group[-1].pid, signal.SIGKILL)
    group[-1].communicate(timeout=60)

    code, out, err = run(tmp_path, *words)
    assert code == 0, err
    resumed = [record["resumed_at"] for record in records(tmp_path).values() if "resumed_at" in record]
    assert max(resumed) > 0

    before = times(whole)
    code, out, err = run(whole, *words)
    assert (code, out.splitlines()[-1]) == (0, "14 stages: 9 run now, 5 done before, 0 failed, 0 blocked")
    assert {path: when for path, when in times(whole).items() if path in before} == before
    broken, expected = records(tmp_path), records(whole)
    assert len(broken) == 14
    assert {key: outcome(record) for key, record in broken.items()} == {
        key: outcome(expected[key]) for key in broken
    }
    here, there = weights(tmp_path), weights(whole)
    assert len(here) == 8 and here == {name: there[name] for name in here}
    assert tables(tmp_path, "corruption_rate-speck-smoke") == tables(whole, "corruption_rate-speck-smoke")


def test_a_column_that_fails_leaves_its_reason_and_the_others_done(tmp_path: Path) -> None:
    for folder, text in (("experiments", EXPERIMENT), ("conf/suite", SUITE)):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "mine.yaml").write_text(text)
    words = [word for word in SMALL if not word.startswith("suite.use")]
    code, out, err = run(tmp_path, "sweep", "mine", "--allow", "mine", "suite=mine", *words)
    assert code == 1, err
    assert out.splitlines()[-1] == "7 stages: 6 run now, 0 done before, 1 failed, 0 blocked"
    failed = list((tmp_path / "runs").rglob("failed.json"))
    assert [path.parent.name[:27] for path in failed] == ["broken-replace_spans-encode"]
    failure = json.loads(failed[0].read_text())
    assert failure["error"] == "ValueError: questions: 4 rows cannot be scored"
    assert "in score" in failure["traceback"]
    assert f"failed: {failure['identity']}: {failure['error']} (see {failed[0]})" in err.splitlines()
    assert (
        "failed: evaluate: ValueError: questions: 4 rows cannot be scored"
        in tables(tmp_path, "mine-mine-speck-smoke")["md"]
    )
    kinds = Counter(record["kind"] for record in records(tmp_path).values())
    assert kinds == {"vocabulary": 1, "tokens": 1, "pretrain": 1, "finetune": 2, "evaluate": 1}


def test_the_papers_suite_fills_its_seven_columns_and_marks_what_is_not_the_real_data(
    shared: Path, tmp_path: Path
) -> None:
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "mine.yaml").write_text(EXPERIMENT)
    words = [
        *(word for word in SMALL if not word.startswith(("suite.use", "vocabulary."))),
        "budget.evaluate.num_examples=2",
    ]
    words.append("vocabulary=characters")  # a small trained one has no 1 and 2 for COPA's choices
    code, out, err = run(tmp_path, "sweep", "mine", "suite=t5", f"suite.root={shared / 'mirror'}", *words)
    assert code == 0, err
    assert out.splitlines()[-1] == "17 stages: 17 run now, 0 done before, 0 failed, 0 blocked"
    assert "gone without, as suite.root lacks them: nyu-mll/glue mnli validation_mismatched" in err
    text = tables(tmp_path, "mine-t5-speck-smoke")
    (row,) = [row for row in csv.DictReader(text["csv"].splitlines()) if row["row"]]
    assert all(0 <= float(row[title]) <= 100 for title in COLUMNS) and not row["holes"]
    kept = {
        key.split("/")[1].split("-")[0]: {name: " ".join(each) for name, each in record["tasks"].items()}
        for key, record in records(tmp_path).items()
        if "tasks" in record
    }
    assert kept == KEPT
    for ending in ("md", "tex", "html"):
        for part in MARKS:
            assert part in text[ending]
