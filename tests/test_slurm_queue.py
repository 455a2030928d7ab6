"""What a watcher is told of stages that Slurm has: from its words alone, without a cluster."""

import errno
import json
import os
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from toy_stages import RUNTIME, Toy, make

from t5grid.config.schema import load_cell
from t5grid.execution import lock as lock_module
from t5grid.execution.control import cancel_stages, matching, status_lines
from t5grid.execution.local import Local
from t5grid.execution.progress import Progress
from t5grid.execution.slurm import executor, queue
from t5grid.execution.slurm.arrays import Array
from t5grid.execution.slurm.watch import Watch
from t5grid.execution.store import Store
from t5grid.execution.waiting import announced
from t5grid.files import write_whole
from t5grid.refused import Refused
from t5grid.stages.pretrain import PretrainStage

ONE = executor.Resources(nodes=1, cpus=1, gpus=None, memory=1, minutes=10)
SLURM = executor.Slurm({"other": ONE})
NAMES = ("tokens", "big", "small", "tuned", "scored", "other", "new")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "runs")


def chain(tmp_path: Path) -> list[Toy]:
    """tokens <- big, small; big <- tuned <- scored; other and new on their own."""
    diary = tmp_path / "diary"
    tokens, other, new = (make(Toy, name, diary) for name in ("tokens", "other", "new"))
    big, small = make(Toy, "big", diary, tokens), make(Toy, "small", diary, tokens)
    tuned = make(Toy, "tuned", diary, big)
    return [tokens, big, small, tuned, make(Toy, "scored", diary, tuned), other, new]


def cluster(
    monkeypatch: pytest.MonkeyPatch, queued: list[str] | str, accounts: list[str] | str, scancel: str = ""
) -> None:
    """Slurm's commands as they print: lines, or why there are none."""
    printed = {"squeue": queued, "sacct": accounts, "scancel": scancel or []}

    def lines(*command: str) -> list[str]:
        answer = printed[command[0]]
        if isinstance(answer, str):
            raise queue.NoAnswer(answer)
        return answer

    monkeypatch.setattr(queue, "_lines", lines)


def words(stages: list[Toy], store: Store) -> dict[str, str]:
    seen = queue.states(stages, store)
    return {stage.name: seen[stage.identity].word for stage in stages}


def test_the_queue_and_the_accounts_say_what_became_of_a_stage(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages = chain(tmp_path)
    tokens, big, small, tuned, scored, other, _ = stages
    for array, members in (("7", [tokens]), ("8", [big, small]), ("9", [tuned]), ("10", [scored])):
        queue.note(array, members, store)
    queue.note("11", [other], store)
    store.finish(tokens, {})
    queued = ["8_1|RUNNING|None", "10|PENDING|Dependency", "99|RUNNING|None"]
    accounts = ["8_0|OUT_OF_MEMORY", "9|CANCELLED by 0", "11|CANCELLED by 1000"]
    cluster(monkeypatch, queued, accounts)
    assert words(stages, store) == dict(
        zip(NAMES, ("done", "failed", "running", "blocked", "blocked", "cancelled", "missing"), strict=True)
    )
    assert list(status_lines(stages, store)) == [
        f"failed    {big.identity}  job 8_0: OUT_OF_MEMORY",
        f"running   {small.identity}  job 8_1",
        f"blocked   {tuned.identity}  by {big.identity}",
        f"blocked   {scored.identity}  by {big.identity}",
        f"cancelled {other.identity}  job 11",
        "1 done, 1 running, 1 failed, 1 cancelled, 2 blocked, 1 missing",
    ]


def test_a_later_job_counts_and_one_that_waits_again_is_queued(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = make(Toy, "a", tmp_path / "diary")
    store.fail(stage, "as before", "")
    for array in ("9", "10"):
        queue.note(array, [stage], store)
    cluster(monkeypatch, ["10|PENDING|BeginTime"], ["9|FAILED"])
    assert queue.states([stage], store)[stage.identity] == queue.State("queued", "job 10, BeginTime", "10")


def test_what_can_never_start_is_not_in_the_queue(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = make(Toy, "a", tmp_path / "diary")
    queue.note("9", [stage], store)
    cluster(monkeypatch, ["9|PENDING|DependencyNeverSatisfied"], [])
    assert queue.states([stage], store)[stage.identity].word == "missing"


def test_without_accounts_a_job_that_is_gone_counts_as_missing(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = make(Toy, "a", tmp_path / "diary")
    queue.note("9", [stage], store)
    cluster(monkeypatch, [], [])
    assert queue.states([stage], store)[stage.identity].word == "missing"


AWAY = "slurm_load_jobs error: Unable to contact slurm controller (connect failure)"


@pytest.mark.parametrize(
    ("queued", "accounts", "expected"),
    [
        (f"squeue: {AWAY}", [], "unknown"),
        ([], "sacct: error: Problem talking to the database: Connection refused", "unknown"),
        ([], f"sacct: Slurm {queue.NO_ACCOUNTS[0]}", "missing"),
        ([], "sacct is not installed here", "missing"),
        (f"squeue: {AWAY}", ["9|FAILED"], "unknown"),
        (["8|RUNNING|None"], f"sacct: {AWAY}", "unknown"),
        (["9|RUNNING|None"], f"sacct: {AWAY}", "running"),
    ],
)
def test_where_slurm_does_not_answer_a_state_is_unknown_in_its_own_words(
    tmp_path: Path,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    queued: list[str] | str,
    accounts: list[str] | str,
    expected: str,
) -> None:
    stage, child = chain(tmp_path)[:2]
    queue.note("9", [stage], store)
    cluster(monkeypatch, queued, accounts)
    seen = queue.states([stage, child], store)
    assert (seen[stage.identity].word, seen[child.identity].word) == (expected, "missing")
    if expected == "unknown":
        line = next(answer for answer in (queued, accounts) if isinstance(answer, str))
        assert seen[stage.identity].detail == f"job 9: {line}"
        assert list(status_lines([stage], store)) == [
            f"unknown   {stage.identity}  job 9: {line}",
            "0 done, 0 running, 0 failed, 1 unknown, 0 missing",
        ]
        store.fail(stage, "as before", "")
        assert queue.states([stage], store)[stage.identity].word == "unknown"
        store.finish(stage, {})
        assert queue.states([stage], store)[stage.identity].word == "done"


def test_nothing_is_submitted_or_cancelled_where_slurm_does_not_answer(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage, child = chain(tmp_path)[:2]
    queue.note("9", [stage], store)
    cluster(monkeypatch, f"squeue: {AWAY}", [])
    monkeypatch.setattr(executor.Submission, "submit", lambda *_: pytest.fail("submitted"))
    with pytest.raises(
        Refused, match=r"^toy/tokens-.*job 9: squeue: .*connect failure.*nothing is submitted$"
    ):
        SLURM.run([stage, child], store, RUNTIME)
    with pytest.raises(
        Refused, match=r"^toy/tokens-.*job 9 waits or runs.*connect failure.*nothing is cancelled$"
    ):
        cancel_stages([stage.identity], store)
    assert not store.is_cancelled(stage)


def test_what_scancel_refuses_is_not_cancelled(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = chain(tmp_path)[0]
    queue.note("9", [stage], store)
    cluster(monkeypatch, ["9|RUNNING|None"], [], "scancel: error: Access denied")
    with pytest.raises(Refused, match=r"^executor=slurm: scancel: error: Access denied$"):
        cancel_stages([stage.identity], store)
    assert not store.is_cancelled(stage)


def test_a_watcher_keeps_what_slurm_said_last_and_waits(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Away while one job waits and another runs; then both have ended."""
    tokens, big = chain(tmp_path)[:2]
    for job, stage in (("9", tokens), ("10", big)):
        queue.note(job, [stage], store)
    answers = iter(
        [
            (["9|RUNNING|None", "10|PENDING|Dependency"], []),
            (f"squeue: {AWAY}", []),
            (f"squeue: {AWAY}", []),
            ([], ["9|FAILED", "10|CANCELLED by 0"]),
        ]
    )
    looks: list[list[str]] = []

    def look(_: object) -> None:
        cluster(monkeypatch, *next(answers))

    monkeypatch.setattr(
        Progress, "show", lambda self, running, outcome: looks.append([s.name for s, _ in running])
    )
    monkeypatch.setattr(executor.time, "sleep", look)
    look(0)
    outcome = SLURM.waiting().run([tokens, big], store, RUNTIME)
    assert looks == [["tokens"], ["tokens"], ["tokens"], []]
    assert outcome.failed == {tokens.identity: "job 9: FAILED"}
    assert outcome.blocked == {big.identity: tokens.identity}
    told = " ".join(capsys.readouterr().err.split())
    assert f"waiting for Slurm: job 9: squeue: {AWAY} Slurm answers again" in told


@pytest.mark.parametrize(
    ("job", "tasks"),
    [
        ("22", ["22"]),
        ("22_3", ["22_3"]),
        ("22_[0-1%2]", ["22_0", "22_1"]),
        ("22_[7]", ["22_7"]),
        ("22_[0,3-5,9%100]", ["22_0", "22_3", "22_4", "22_5", "22_9"]),
        ("22.batch", ["22.batch"]),
    ],
)
def test_the_tasks_of_an_array_that_wait_are_named_one_by_one(job: str, tasks: list[str]) -> None:
    assert queue._tasks(job) == tasks


def test_an_array_that_waits_is_known_from_the_accounts_alone(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    big, small = chain(tmp_path)[1:3]
    queue.note("22", [big, small], store)
    cluster(monkeypatch, [], ["22_[0-1%2]|PENDING"])
    assert words([big, small], store) == {"big": "queued", "small": "queued"}


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo 'slurm_load_jobs error: away' >&2; exit 1", "squeue: slurm_load_jobs error: away"),
        ("echo 'squeue: error: no' >&2; echo more >&2; exit 1", "squeue: error: no"),
        ("exit 7", "squeue: status 7"),
        (None, "squeue is not installed here"),
    ],
)
def test_a_command_that_fails_is_told_by_its_own_first_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str | None, said: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    if script:
        (tmp_path / "squeue").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "squeue").chmod(0o755)
    assert queue.ask(["9"]) == {"9": ("UNKNOWN", said)}


@pytest.mark.parametrize("word", ["CANCELLED by 0", "FAILED"])
def test_a_stage_that_ends_badly_does_not_need_its_parents_in_view(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    """Its parents were done before, so whoever waits looks at it alone."""
    tokens, big = chain(tmp_path)[:2]
    store.finish(tokens, {})
    queue.note("9", [big], store)
    cluster(monkeypatch, [], [f"9|{word}"])
    outcome = executor.Outcome()
    watch = Watch([big], store, Progress(0, 1, 1.0))
    assert not watch.look(outcome)
    watch.conclude(outcome)
    if word == "FAILED":
        assert outcome.failed == {big.identity: "job 9: FAILED"} and store.failure(big)
    else:
        assert outcome.cancelled == [big.identity] and not outcome.failed and not store.failure(big)


def test_a_parent_that_another_command_runs_here_has_a_job_that_waits_for_it(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens, big = chain(tmp_path)[:2]
    submitted = submissions(monkeypatch)
    with store.lock(tokens):
        outcome = SLURM.run([tokens, big], store, RUNTIME)
    assert submitted == [(["tokens"], None), (["big"], "afterok:100")]
    assert [stage.name for stage in outcome.submitted] == ["tokens", "big"]


def submissions(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], str | None]]:
    """What sbatch is given, by a cluster where all that is submitted waits from then on."""
    submitted: list[tuple[list[str], str | None]] = []

    def submit(self: executor.Submission, array: Array, dependency: str | None) -> str:
        submitted.append(([stage.name for stage in array.stages], dependency))
        job = str(99 + len(submitted))
        queued.extend([job] if len(array.stages) == 1 else [f"{job}_{i}" for i in range(len(array.stages))])
        return job

    queued: list[str] = []
    monkeypatch.setattr(executor.Submission, "_submit", submit)
    monkeypatch.setattr(queue, "_lines", lambda *command: [f"{job}|PENDING|Priority" for job in queued])
    return submitted


def test_two_commands_at_once_submit_every_stage_once(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second looks at the queue when the first is in the middle of it."""
    submitted, submit = submissions(monkeypatch), executor.Submission._submit
    second: list[threading.Thread] = []
    outcomes: list[executor.Outcome] = []

    def submit_slowly(self: executor.Submission, array: Array, dependency: str | None) -> str:
        if not second:
            second.append(threading.Thread(target=run))
            second[0].start()
            assert looked.wait(10)
        return submit(self, array, dependency)

    def run() -> None:
        outcomes.append(SLURM.run(chain(tmp_path), store, RUNTIME))

    looked, submitting = threading.Event(), queue.locked

    def look(folder: Path) -> Any:
        if second:
            looked.set()
        return submitting(folder)

    monkeypatch.setattr(queue, "locked", look)
    monkeypatch.setattr(executor.Submission, "_submit", submit_slowly)
    run()
    second[0].join(20)
    assert sorted(name for names, _ in submitted for name in names) == sorted(NAMES)
    assert len(outcomes) == 2 and not list(queue.folder_of(store).glob("lock.*"))


def test_a_job_that_cannot_be_noted_is_not_left_in_the_queue(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    cancelled: list[str] = []
    submissions(monkeypatch)
    monkeypatch.setattr(queue, "cancel_jobs", cancelled.extend)
    monkeypatch.setattr(
        queue, "note", lambda *_: (_ for _ in ()).throw(OSError(errno.EROFS, "read-only", "here"))
    )
    with pytest.raises(OSError, match="read-only"):
        SLURM.run(chain(tmp_path)[:1], store, RUNTIME)
    assert cancelled == ["100"]


def test_a_job_whose_time_is_over_twice_before_anything_is_kept_fails(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = executor.StageJob("toy/a", str(store.root), RUNTIME, 1, ".", "", minutes=10, signal_delay=60)
    folder, now = store.root / "toy/a", [0.0]
    write_whole(folder / "log.txt", "as ever")

    def run(job: executor.StageJob, seconds: float, *kept: str) -> executor.StageJob:
        job.memory["kept"] = job._kept()
        now[0] = executor.STARTED + seconds
        for name in kept:
            write_whole(folder / name, "something")
        again: executor.StageJob = job.checkpoint().function
        return again

    monkeypatch.setattr(executor.time, "monotonic", lambda: now[0])
    job = run(job, 500)
    assert job.fruitless == 1
    job = run(job, 500, "checkpoints/step-00000001-00.safetensors", "metrics.csv")
    assert job.fruitless == 0
    job = run(
        run(run(job, 100, "status.json"), 100), 500, "lock.7", "metrics.csv"
    )  # preempted, preempted, late
    assert job.fruitless == 1
    with pytest.raises(Refused, match=r"^executor\.resources\.toy\.minutes=10: over twice before anything"):
        run(job, 500)
    assert "is hopeless" in job.memory


def test_other_flags_of_sbatch_are_given_as_any_value_is() -> None:
    flags = "executor.resources.pretrain.flags={constraint: a100, comment: mine}"
    resources = load_cell(["executor=slurm", flags]).executor.resources
    assert resources["pretrain"].flags == {"constraint": "a100", "comment": "mine"}
    assert resources["finetune"].flags is None
    settings = executor.Submission(replace(SLURM, resources=resources), Store("runs"), RUNTIME, {})
    told = settings._parameters(PretrainStage("a", {}, {}), resources["pretrain"], RUNTIME, 0, None)
    assert {"constraint": "a100", "comment": "mine"}.items() <= told["additional_parameters"].items()


def test_what_a_running_command_is_still_to_do_waits_and_is_cancelled_from_elsewhere(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens, big, small, *_ = chain(tmp_path)
    with announced([tokens, big], store):
        assert words([tokens, big, small], store) == {"tokens": "queued", "big": "queued", "small": "missing"}
        assert matching("toy/bi", store) == [big.identity]
        store.fail(tokens, "no", "")
        os.utime(store.folder(tokens) / "failed.json", (time.time() + 1,) * 2)
        assert words([tokens, big], store) == {"tokens": "failed", "big": "blocked"}
        assert cancel_stages([big.identity, small.identity], store) == [f"cancelled {big.identity}"]
        assert words([big, small], store) == {"big": "cancelled", "small": "missing"}
    assert words([tokens, big], store) == {"tokens": "failed", "big": "blocked"}
    assert [path.name for path in store.root.iterdir()] == ["toy"]
    store.ask_again([big])
    assert words([big], store) == {"big": "missing"}


def test_what_a_killed_command_announced_does_not_wait(tmp_path: Path, store: Store) -> None:
    stage, folder = chain(tmp_path)[0], store.root / ".waiting-0a"
    write_whole(folder / "stages.json", json.dumps({"stages": [stage.identity]}))
    write_whole(folder / "lock.1", json.dumps({**lock_module.place(), "pid": 2**22 + 1}))
    assert words([stage], store) == {"tokens": "missing"}
    with announced([], store):
        Local(1).run([], store, RUNTIME)
        assert not folder.exists() and len(list(store.root.glob(".waiting-*"))) == 1


def test_a_stage_is_named_by_its_kind_and_a_part_of_its_name(tmp_path: Path, store: Store) -> None:
    stage = make(Toy, "tokens", tmp_path / "diary")
    store.finish(stage, {})
    assert matching("toy/oke", store) == [stage.identity]
    for part in ("toy/none", "../toy", "/etc", "./toy"):
        with pytest.raises(ValueError, match="has it in its name"):
            matching(part, store)


def test_a_watcher_names_a_damaged_list_of_stages_and_shows_the_others(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = make(Toy, "a", tmp_path / "diary")
    queue.note("9", [stage], store)
    (queue.folder_of(store) / "10").mkdir()
    path = queue.folder_of(store) / "10" / "stages.json"
    path.write_text("")
    cluster(monkeypatch, ["9|PENDING|Resources"], [])
    damaged, *lines = status_lines([stage], store)
    assert damaged.startswith(f"set aside: {path}: damaged, no list of stages")
    assert lines[0] == f"queued    {stage.identity}  job 9, Resources"
    with pytest.raises(ValueError, match="damaged, no list of stages"):
        queue.states([stage], store)
    path.unlink()
    os.mkfifo(path)
    assert len(queue.damaged(store)) == 1
