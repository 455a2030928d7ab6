"""Execution under torture: killed, stopped, merged and left without its cluster; all of it slow.

Whatever happens to the processes, what is left is what the unbroken run leaves, or a line that says why not.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import kills
import owners
import pytest
from speck import SIZE
from torture_stages import Patient
from toy_stages import RUNTIME, Toy, lines, make, note

from t5grid.execution import lock
from t5grid.execution.control import cancel_stages
from t5grid.execution.run_stage import DONE, work_on
from t5grid.execution.slurm import queue
from t5grid.execution.slurm.executor import Resources, Slurm
from t5grid.execution.slurm.watch import Watch
from t5grid.execution.store import Store
from t5grid.refused import Refused
from t5grid.training.callbacks import read_metrics

pytestmark = pytest.mark.slow

EXPERIMENT = """
title: Two
reproduces: nothing
cost: two pre-trainings
command: t5grid sweep two
first_column: Row
rows:
  one: {title: One, overrides: [], starred: true, paper: null}
  two: {title: Two, overrides: [objective=deshuffling], paper: null}
"""
WORDS = [
    "budget=smoke",
    "size=speck",
    "suite.use=[questions,to_norvin]",
    "budget.num_documents=300",
    "vocabulary.num_pieces=300",
    "budget.pretrain.inputs_length=32",
    "budget.pretrain.num_rows=2",
    "budget.pretrain.num_steps=60",
    "budget.pretrain.checkpoint_every=4",
    "budget.finetune.num_steps=8",
    "budget.finetune.checkpoint_every=2",
    "budget.finetune.num_tokens=128",
    "executor.num_workers=2",
]
CLOCKS = ("seconds", "wall_seconds", "resumed_at", "runtime")
"""What of a record says how long it took and in which folder it was made."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in (("conf/size/speck.yaml", SIZE), ("experiments/two.yaml", EXPERIMENT)):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def made(folder: Path) -> dict[str, Any]:
    """All that stages leave: records without clocks, curves, checkpoints by a digest of their bytes."""
    left: dict[str, Any] = {}
    for path in (folder / "runs").glob("*/*/*"):
        name = str(path.relative_to(folder / "runs"))
        if path.name == "record.json":
            record = json.loads(path.read_text())
            left[name] = {key: value for key, value in record.items() if key not in CLOCKS}
        elif path.name == "metrics.csv":
            left[name] = path.read_text()
        elif path.name == "checkpoints":
            left[name] = sorted(file.name for file in path.iterdir())
    return left


def until(what: Callable[[], object], seconds: float = 120) -> None:
    """Wait until `what()` holds."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.02)


# --- kill -9, and the merge of what is left


def test_sweeps_killed_at_fifteen_random_moments_end_bit_for_bit_where_the_unbroken_one_does(
    folder: Path,
) -> None:
    """Workers, commands and all processes together, some of them in the middle of writing a file.

    Then the unbroken store is merged into another, by commands that are killed too, and agrees with each.
    """
    command = [sys.executable, kills.__file__, str(folder), "5", "15", "sweep", "two", *WORDS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    victims = report["kills"]
    assert Counter(who for who, *_ in victims) == dict.fromkeys(kills.WHO, 3)
    moments = {num_done for _, _, num_done in victims}
    assert len(moments) > 3 and max(moments) > 6  # of 12 stages: in the midst of training and scoring too
    expected = made(folder / "whole")
    assert sum(name.endswith("record.json") for name in expected) == 12
    for name in {"merged", *(sweep for _, sweep, _ in victims)}:
        assert made(folder / name) == expected
        left = [path.name for path in (folder / name / "runs").rglob("*")]
        assert not [file for file in left if file.startswith(("lock", "."))]
    assert len(report["merges"]) > 8 and report["merges"][-1] == 0
    log = (folder / "merged" / "log").read_text().splitlines()
    assert log[-2:] == ["0 taken, 12 same"] * 2


# --- stopped until another took the lock over


def state_of(pid: int) -> str:
    """A letter for what a process does: T where it is stopped."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def bytes_below(folder: Path) -> dict[str, bytes]:
    """All files of a stage but its log, which says what its processes said."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "log.txt"
    }


def test_an_owner_that_was_stopped_until_its_lock_was_taken_writes_nothing_beside_its_successor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped at a step, or in the middle of a write, for what looks like two minutes; then let go."""
    dice = random.Random(7)
    gates = [("gate", dice.randint(1, 14)) for _ in range(3)]
    writes = [("write", number) for number in sorted({1, 2, 3, *dice.sample(range(4, 19), 4)})]
    moments = [str(part) for moment in (*gates, *writes) for part in moment]
    here = [str(Path(__file__).parent), str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    program = subprocess.Popen(
        [sys.executable, owners.__file__, str(tmp_path), *moments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, here))},
    )
    monkeypatch.setattr(lock, "WATCHED", 0.2)
    try:
        for number, (how, _) in enumerate((*gates, *writes)):
            owner = tmp_path / str(number)
            until(lambda owner=owner: (owner / "pid").exists() and (owner / "pid").read_text())
            take_over(owner, int((owner / "pid").read_text()), how)
        assert program.wait(120) == 0
    finally:
        program.kill()
        program.wait()


def take_over(owner: Path, pid: int, how: str) -> None:
    """Stop the owner, do its stage here, let it go on, and see that it changes nothing."""
    store = Store(owner / "runs")
    stage = owners.steps(owner)
    if how == "gate":
        until(lambda: "at the gate" in lines(owner / "diary"))
        os.kill(pid, signal.SIGSTOP)
    until(lambda: state_of(pid) == "T")
    (path,) = lock.locks(store.folder(stage)).values()
    os.utime(path, (time.time() - 120,) * 2)
    assert work_on(stage, store, RUNTIME, 1) == DONE
    steps = [int(row["step"]) for row in read_metrics(store.folder(stage) / "metrics.csv")]
    assert steps == list(range(1, 16))
    before = bytes_below(store.folder(stage))
    note(str(owner / "diary"), "go")
    os.kill(pid, signal.SIGCONT)
    until(lambda: (owner / "result").exists() and (owner / "result").read_text())
    assert (owner / "result").read_text() == "held"
    assert bytes_below(store.folder(stage)) == before
    assert "lock" not in " ".join(before) and "partial" not in " ".join(before)


# --- a cluster that does not answer


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A cluster that answers, and a folder first on PATH; what is left in the queue is cancelled."""
    if not shutil.which("sinfo"):
        pytest.skip("no Slurm is installed (.ci/run installs one where it can)")
    if subprocess.run(["sinfo"], capture_output=True).returncode:
        pytest.skip("no Slurm answers: set SLURM_CONF to that of a cluster")
    here = Path(__file__).parent
    shims = tmp_path / "shims"
    shims.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("PATH", f"{shims}{os.pathsep}{os.environ['PATH']}")
    paths = [str(here), str(here.parent), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
    monkeypatch.setenv("T5GRID_ALLOW", "toy_stages,torture_stages")
    yield shims
    for shim in shims.iterdir():
        shim.unlink()
    if jobs := sorted(queue.jobs_of(Store(tmp_path / "runs")).values()):
        subprocess.run(["scancel", *jobs], check=True)


ONE = Resources(nodes=1, cpus=1, gpus=None, memory=1, minutes=10)
SLURM = Slurm({"other": ONE}, poll=1, signal_delay=30)


def chain(tmp_path: Path) -> list[Toy]:
    """A stage that waits for a word, and what waits for it."""
    long = make(Patient, "long", tmp_path / "diary")
    return [long, make(Toy, "child", tmp_path / "diary", long)]


def arrays(store: Store) -> int:
    """How many arrays were submitted."""
    return len(list(queue.folder_of(store).glob("*/stages.json")))


def through_silence(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    silent: Callable[[], None],
    answering: Callable[[], None],
    said: str,
) -> None:
    """Submit, wait in another thread, silence the cluster and let it speak again: all is done once."""
    store, (long, child), look = Store(tmp_path / "runs"), chain(tmp_path), Watch.look
    SLURM.run([long, child], store, RUNTIME)
    until(lambda: "start long" in lines(tmp_path / "diary"))
    outcomes: list[Any] = []
    waiter = threading.Thread(
        target=lambda: outcomes.append(replace(SLURM, wait=True).run([long, child], store, RUNTIME))
    )
    looks: list[bool] = []
    monkeypatch.setattr(Watch, "look", lambda self, outcome: looks.append(look(self, outcome)) or looks[-1])
    waiter.start()
    until(lambda: looks)
    silent()
    try:
        seen = queue.states([long, child], store)
        assert (seen[long.identity].word, seen[child.identity].word) == ("running", "unknown")
        assert said in seen[child.identity].detail
        with pytest.raises(Refused, match=f"{said}.*nothing is submitted"):
            SLURM.run([long, child], store, RUNTIME)
        with pytest.raises(Refused, match=f"{said}.*nothing is cancelled"):
            cancel_stages([child.identity], store)
        assert waiter.is_alive() and arrays(store) == 2
    finally:
        answering()
    until(lambda: queue.states([long, child], store)[child.identity].word == "queued")
    note(str(tmp_path / "diary"), "go")
    waiter.join(120)
    assert [stage.name for stage in outcomes[0].ran] == ["long", "child"] and not outcomes[0].failed
    assert sorted(lines(tmp_path / "diary")) == ["end child", "end long", "go", "start child", "start long"]
    assert arrays(store) == 2 and not (store.root / long.identity / "failed.json").exists()


def test_a_queue_that_cannot_be_read_says_nothing_of_its_jobs(
    cluster: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shim = cluster / "squeue"

    def break_it() -> None:
        shim.write_text("#!/bin/sh\necho 'slurm_load_jobs error: broken for a while' >&2\nexit 1\n")
        shim.chmod(0o755)

    through_silence(
        tmp_path, monkeypatch, break_it, shim.unlink, "squeue: slurm_load_jobs error: broken for a while"
    )


def test_a_controller_that_is_away_says_nothing_of_its_jobs(
    cluster: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That of a throw-away cluster alone is stopped: one whose configuration says so by its name."""
    told = subprocess.run(["scontrol", "show", "config"], capture_output=True, text=True, check=True).stdout
    config = {
        key.strip(): value.strip() for key, _, value in (row.partition("=") for row in told.splitlines())
    }
    if config["ClusterName"] != "t5local":
        pytest.skip("not a throw-away cluster: its controller is not to be stopped")

    def is_up() -> bool:
        return not subprocess.run(["squeue"], capture_output=True).returncode

    def stop() -> None:
        os.kill(int(Path(config["SlurmctldPidFile"]).read_text()), signal.SIGTERM)
        until(lambda: not is_up())

    def start() -> None:
        subprocess.run(["slurmctld"], check=True)
        until(is_up)

    through_silence(tmp_path, monkeypatch, stop, start, "Unable to contact slurm controller")
