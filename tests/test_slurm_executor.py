"""The Slurm executor: what it asks of a cluster, and on a real one what becomes of its jobs."""

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from test_ranks import Model, Training
from test_sweep import SMALL, outcome, records, run, start, weights
from toy_stages import RUNTIME, Endless, Failing, Toy, lines, make, note

from t5grid.config.schema import load_cell
from t5grid.execution import control as watch
from t5grid.execution.run_stage import DONE, work_on
from t5grid.execution.slurm import queue
from t5grid.execution.slurm.executor import Resources, Slurm
from t5grid.execution.store import Store
from t5grid.stages.evaluate import EvaluateStage
from t5grid.stages.pretrain import PretrainStage
from t5grid.stages.stage import Stage
from t5grid.training import checkpoints

HERE = Path(__file__).parent
ONE = Resources(nodes=1, cpus=1, gpus=None, memory=1, minutes=10)
EXPERIMENT = """
title: Two
reproduces: nothing
cost: two pre-trainings
command: t5grid sweep two
first_column: Row
rows:
  one: {title: One, overrides: [], starred: true, paper: null}
  two: {title: Two, overrides: [objective=bert_style], paper: null}
"""


def slurm(**changes: object) -> Slurm:
    return replace(Slurm({"other": ONE}, wait=True, poll=1, signal_delay=30), **changes)


def test_a_kind_of_stage_has_the_resources_of_its_own() -> None:
    words = ["executor=slurm", "executor.partition=main", "executor.resources.pretrain.gpus=8"]
    resources = load_cell([*words, "runtime.num_nodes=2", "executor.resources.pretrain.minutes=99"]).executor
    pretrain, evaluate = resources.resources["pretrain"], resources.resources["evaluate"]
    assert (pretrain.gpus, pretrain.nodes, pretrain.minutes, pretrain.partition) == (8, 2, 99, "main")
    assert (evaluate.gpus, evaluate.nodes, evaluate.minutes, evaluate.partition) == (None, 2, 120, "main")


def test_a_stage_that_trains_or_scores_in_parts_takes_every_device_of_its_nodes_and_others_one() -> None:
    training, other, scoring = PretrainStage("a", {}, {}), Stage("a", {}, {}), EvaluateStage("a", {}, {})
    gpu = replace(RUNTIME, accelerator="gpu", num_devices=4)
    two = replace(ONE, nodes=2)

    def taken(resources: Resources, stage: Stage, runtime: object) -> tuple[int, int, int]:
        machine, gpus = resources.machine(stage, runtime)  # type: ignore[arg-type]
        return machine.num_nodes, machine.num_devices, gpus

    assert taken(two, training, gpu) == (2, 4, 4)
    assert taken(replace(two, gpus=8), training, gpu) == (2, 8, 8)
    assert taken(two, other, gpu) == (1, 1, 1)
    assert taken(replace(two, gpus=0), other, gpu) == (1, 1, 0)
    assert taken(two, scoring, gpu) == (1, 1, 1)
    assert taken(two, scoring, replace(gpu, parallel="fsdp")) == (2, 4, 4)
    assert taken(ONE, training, replace(RUNTIME, num_devices=3)) == (1, 3, 0)


def test_a_signal_after_the_end_of_a_jobs_time_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^executor\.signal_delay=7200: seconds, less than"):
        load_cell(["executor=slurm", "executor.signal_delay=7200"])


def test_no_slurm_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ValueError, match="executor=slurm: no srun here"):
        slurm().run([make(Toy, "a", tmp_path / "diary")], Store(tmp_path / "runs"), RUNTIME)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster that answers; toy stages are found beside the tests."""
    if not shutil.which("sinfo"):
        pytest.skip("no Slurm is installed (.ci/run installs one where it can)")
    if subprocess.run(["sinfo"], capture_output=True).returncode:
        pytest.skip("no Slurm answers: set SLURM_CONF to that of a cluster")
    monkeypatch.chdir(HERE)
    monkeypatch.setenv("T5GRID_ALLOW", "toy_stages,test_ranks")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "runs")


def until(what: object, seconds: float = 60) -> None:
    """Wait until `what()` holds."""
    end = time.monotonic() + seconds
    while not what():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.05)


def word(stage: Stage, store: Store) -> str:
    return queue.states([*stage.parents, stage], store)[stage.identity].word


@pytest.mark.slow
def test_a_failed_job_is_shown_as_failed_and_its_children_as_blocked(
    cluster: None, tmp_path: Path, store: Store
) -> None:
    diary = tmp_path / "diary"
    bad, good = make(Failing, "bad", diary), make(Toy, "good", diary)
    child = make(Toy, "child", diary, bad)
    ran = slurm().run([bad, good, child], store, RUNTIME)
    assert ([stage.name for stage in ran.ran], ran.done_before) == (["good"], [])
    assert ran.failed == {bad.identity: "rate=2: at most 1 is possible"}
    assert ran.blocked == {child.identity: bad.identity}
    assert [word(stage, store) for stage in (bad, good, child)] == ["failed", "done", "blocked"]
    assert "Submitted job triggered an exception" in queue.log_of(bad.identity, store)


@pytest.mark.slow
def test_jobs_are_left_in_the_queue_not_submitted_twice_and_cancelled_from_elsewhere(
    cluster: None, tmp_path: Path, store: Store
) -> None:
    diary = tmp_path / "diary"
    long = make(Endless, "long", diary)
    child = make(Toy, "child", diary, long)
    first = slurm(wait=False).run([long, child], store, RUNTIME)
    assert [stage.name for stage in first.submitted] == ["long", "child"]
    assert slurm(wait=False).run([long, child], store, RUNTIME).submitted == first.submitted
    assert len(list(queue.folder_of(store).glob("*/stages.json"))) == 2
    until(lambda: "start long" in lines(diary))
    assert [word(stage, store) for stage in (long, child)] == ["running", "queued"]
    said = watch.cancel_stages([long.identity, child.identity], store)
    assert sorted(said) == sorted(f"cancelled {each}" for each in (long.identity, child.identity))
    until(lambda: word(long, store) == "cancelled" and word(child, store) == "blocked")


@pytest.mark.slow
def test_a_job_that_is_told_to_end_is_requeued_and_runs_its_stage_again(
    cluster: None, tmp_path: Path, store: Store
) -> None:
    """The signal that comes before a time limit and at a preemption."""
    diary = tmp_path / "diary"
    long = make(Endless, "long", diary)
    slurm(wait=False).run([long], store, RUNTIME)
    until(lambda: "start long" in lines(diary))
    job = queue.jobs_of(store)[long.identity]
    subprocess.run(["scancel", "--signal=USR2", job], check=True)
    until(lambda: lines(diary).count("start long") == 2)
    note(str(diary), "go")
    until(lambda: word(long, store) == "done")
    assert queue.jobs_of(store) == {long.identity: job}


@pytest.mark.slow
def test_two_nodes_take_the_steps_of_one_process(
    cluster: None, tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "n2" in subprocess.run(["sinfo", "-h", "-N", "-o", "%N"], capture_output=True, text=True).stdout:
        monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")  # the nodes of a throw-away cluster are this host
    stage = make(Training, "stage", tmp_path / "diary", frozen=False, adafactor=False)
    ran = slurm(resources={"other": replace(ONE, nodes=2)}).run([stage], store, RUNTIME)
    assert ran.failed == {}
    record = store.record(stage)
    assert record is not None and record["runtime"]["num_nodes"] == 2
    alone = Store(tmp_path / "alone")
    assert work_on(stage, alone, RUNTIME, 1) == DONE
    ends = []
    for each in (store, alone):
        model = Model()
        checkpoints.load_model(checkpoints.newest(each.folder(stage) / "checkpoints"), model)
        ends.append(torch.cat([parameter.flatten() for parameter in model.parameters()]))
    assert (ends[0] - ends[1]).abs().max() < 1e-5
    assert lines(tmp_path / "diary").count("start stage") == 3  # a rank on each node, and alone


@pytest.mark.slow
def test_a_sweep_through_slurm_leaves_what_a_local_one_does_though_a_job_was_requeued(
    cluster: None, tmp_path: Path
) -> None:
    here, there = tmp_path / "local", tmp_path / "slurm"
    for folder in (here, there):
        (folder / "experiments").mkdir(parents=True)
        (folder / "experiments" / "two.yaml").write_text(EXPERIMENT)
    words = [each for each in SMALL if not each.startswith(("executor", "budget.pretrain.num_steps"))]
    words += ["budget.pretrain.num_steps=300"]
    kinds = ("vocabulary", "tokens", "pretrain", "finetune", "evaluate")
    small = [f"executor.resources.{kind}.{what}" for kind in kinds for what in ("cpus=1", "memory=2")]
    process = start(there, "sweep", "--wait", "two", *words, "executor=slurm", "executor.poll=1", *small)
    try:
        until(lambda: list((there / "runs").glob("pretrain/*-bert_style-*/checkpoints/step-*")), 120)
        (identity,) = (f"pretrain/{path.name}" for path in (there / "runs").glob("pretrain/*-bert_style-*"))
        job = queue.jobs_of(Store(there / "runs"))[identity]
        subprocess.run(["scancel", "--signal=USR2", job], check=True)
        out, err = process.communicate(timeout=300)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            subprocess.run([sys.executable, "-m", "t5grid.cli", "cancel", "two", *words], cwd=there)
    assert process.returncode == 0, err
    assert out.splitlines()[-1] == "8 stages: 8 run now, 0 done before, 0 failed, 0 blocked"
    assert run(here, "sweep", "two", *words)[0] == 0
    found, expected = records(there), records(here)
    assert {key: outcome(record) for key, record in found.items()} == {
        key: outcome(record) for key, record in expected.items()
    }
    assert weights(there) == weights(here)
    assert found[identity]["resumed_at"] > 0
