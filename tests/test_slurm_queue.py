"""What a watcher is told of stages that Slurm has: from its words alone, without a cluster."""

import os
from pathlib import Path

import pytest
from toy_stages import Toy, make

from t5grid.execution.control import matching, status_lines
from t5grid.execution.slurm import queue
from t5grid.execution.store import Store

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


def cluster(monkeypatch: pytest.MonkeyPatch, queued: list[str], accounts: list[str]) -> None:
    """Slurm's commands as they print."""
    printed = {"squeue": queued, "sacct": accounts}
    monkeypatch.setattr(queue, "_lines", lambda *command: printed[command[0]])
    monkeypatch.setattr(queue.shutil, "which", lambda name: f"/usr/bin/{name}")


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
    assert queue.states([stage], store)[stage.identity] == queue.State("queued", "job 10, BeginTime")


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
