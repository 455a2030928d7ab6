"""stages <-> Slurm's jobs: which job runs which stage; what the cluster says of it.

    runs/.slurm/<array>/stages.json     the stages of an array, in the order of its tasks

A killed job leaves nothing behind: only the queue and, once it is gone from there, the accounting know. Where
these do not answer, what became of a job is unknown: neither failed, nor missing, nor to be submitted again.
"""

import json
import os
import re
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from t5grid.execution.lock import holder, is_here, locked
from t5grid.execution.store import Store
from t5grid.execution.waiting import Command, waiting_for
from t5grid.files import is_regular, write_whole
from t5grid.refused import Refused
from t5grid.stages.stage import Stage

WAITING = ("PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SUSPENDED", "STOPPED", "RESV_DEL_HOLD")
ACTIVE = ("RUNNING", "COMPLETING", "CONFIGURING", "SIGNALING", "STAGE_OUT", "RESIZING")
NEVER = "DependencyNeverSatisfied"
UNKNOWN = "UNKNOWN"  # our word, where Slurm has none
CHUNK = 500  # arrays asked for in one call
PATIENCE = 60  # seconds that a command of Slurm's may take
TASKS = re.compile(r"(\d+)_\[([\d,-]+)(?:%\d+)?\]")
WHOLE = {"SLURM_BITSTR_LEN": "0"}  # the tasks of an array are not to be cut short
NO_ACCOUNTS = ("accounting storage is disabled", "sacct is not installed")


class NoAnswer(Exception):
    """What Slurm says instead of an answer."""


@dataclass(frozen=True)
class State:
    """A stage as a watcher sees it, and why.

    It is done, running, queued, failed, cancelled, blocked, missing, or unknown, where Slurm does not answer;
    `job` is the job that waits or runs for it.
    """

    word: str
    detail: str = ""
    job: str | None = None


def folder_of(store: Store) -> Path:
    """Where Slurm's side of a store lies."""
    return store.root / ".slurm"


def note(array: str, stages: Sequence[Stage], store: Store) -> None:
    """Keep which stages an array runs."""
    text = json.dumps([stage.identity for stage in stages], indent=0)
    write_whole(folder_of(store) / array / "stages.json", text)


def jobs_of(store: Store) -> dict[str, str]:
    """Identity -> the last job submitted for it, as 12_3. Raises Refused for a damaged stages.json."""
    return _jobs(store, None)


def damaged(store: Store) -> list[str]:
    """What is wrong with each stages.json that is of no use: a watcher names them and shows the others."""
    faults: list[str] = []
    _jobs(store, faults)
    return faults


def _jobs(store: Store, faults: list[str] | None) -> dict[str, str]:
    """The jobs; with `faults`, what is wrong with a damaged file goes there."""
    jobs: dict[str, str] = {}
    folders = [path.parent for path in folder_of(store).glob("*/stages.json") if path.parent.name.isdigit()]
    for folder in sorted(folders, key=lambda path: ((path / "stages.json").stat().st_mtime, int(path.name))):
        try:
            identities = _identities(folder / "stages.json")
        except Refused as error:
            if faults is None:
                raise
            faults.append(str(error))
            continue
        single = len(identities) == 1
        for task, identity in enumerate(identities):
            jobs[identity] = folder.name if single else f"{folder.name}_{task}"
    return jobs


def _identities(path: Path) -> list[str]:
    """The stages of an array. Raises Refused naming the file: who runs what is not to be guessed."""
    try:
        identities = json.loads(path.read_text(encoding="utf-8")) if is_regular(path) else None
    except (ValueError, RecursionError):
        identities = None
    if not (
        identities and isinstance(identities, list) and all(isinstance(name, str) for name in identities)
    ):
        raise Refused(
            f"{path}: damaged, no list of stages; once no job of array {path.parent.name} is left, delete it"
        )
    return identities


@contextmanager
def submitting(store: Store) -> Iterator[None]:
    """Within, no other command submits what this one is about to; waits for one that does."""
    while True:
        with locked(folder_of(store)) as is_held:
            if is_held:
                yield
                return
        time.sleep(0.2)


def ask(jobs: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Job -> Slurm's word for its state, and the reason of one that waits; no entry where nobody knows it.

    Where Slurm does not answer the word is UNKNOWN, the reason Slurm's own line.
    """
    wanted = set(jobs)
    answers: dict[str, tuple[str, str]] = {}
    try:
        if wanted:
            answers |= _queued()
        gone = sorted({job.partition("_")[0] for job in wanted - answers.keys()}, key=int)
        for start in range(0, len(gone), CHUNK):
            answers = _accounted(gone[start : start + CHUNK]) | answers
    except NoAnswer as error:
        answers = dict.fromkeys(wanted, (UNKNOWN, str(error))) | answers
    return {job: answers[job] for job in wanted & answers.keys()}


def _queued() -> dict[str, tuple[str, str]]:
    """What the queue holds. Raises NoAnswer."""
    rows = [line.split("|", 2) for line in _lines("squeue", "--me", "-h", "-r", "-o", "%i|%T|%r")]
    return {job: (row[1], row[-1]) for row in rows if len(row) > 1 for job in _tasks(row[0])}


def _accounted(arrays: Sequence[str]) -> dict[str, tuple[str, str]]:
    """What the accounting says of the jobs of arrays; nothing where there is none. Raises NoAnswer."""
    try:
        lines = _lines("sacct", "-n", "-P", "-X", "-o", "JobID,State", "-j", ",".join(arrays))
    except NoAnswer as error:
        if any(words in str(error) for words in NO_ACCOUNTS):
            return {}
        raise
    rows = [line.partition("|") for line in lines]
    words = {job: (state.split() or [""])[0].rstrip("+") for job, _, state in rows}
    return {task: (word, "") for job, word in words.items() for task in _tasks(job)}


def _tasks(job: str) -> list[str]:
    """22_[0-1,4%2], tasks of an array that wait, -> 22_0, 22_1, 22_4; one job is itself."""
    match = TASKS.fullmatch(job)
    if not match:
        return [job]
    ranges = [part.partition("-") for part in match[2].split(",") if part]
    return [
        f"{match[1]}_{task}"
        for first, _, last in ranges
        for task in range(int(first), int(last or first) + 1)
    ]


def _lines(*command: str) -> list[str]:
    """What a command of Slurm's prints. Raises NoAnswer with its own first line where it fails."""
    name, environment = command[0], {**os.environ, **WHOLE}
    try:
        shown = subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE, env=environment, errors="replace"
        )
    except FileNotFoundError:
        raise NoAnswer(f"{name} is not installed here") from None
    except OSError as error:
        raise NoAnswer(f"{name}: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise NoAnswer(f"{name}: no answer in {PATIENCE} s") from None
    if shown.returncode:
        told = next(filter(None, map(str.strip, shown.stderr.splitlines())), f"status {shown.returncode}")
        raise NoAnswer(told if told.startswith(name) else f"{name}: {told}")
    return shown.stdout.splitlines()


def states(stages: Sequence[Stage], store: Store, watching: bool = False) -> dict[str, State]:
    """Identity -> state, of stages parents first; `watching` passes over what is `damaged`."""
    jobs, announced = _jobs(store, [] if watching else None), waiting_for(store)
    job_of = {stage.identity: jobs[stage.identity] for stage in stages if stage.identity in jobs}
    in_store = store.states(stages)
    asked = ask(job for identity, job in job_of.items() if in_store[identity] != "done")
    seen: dict[str, State] = {}
    for stage in stages:
        name = stage.identity
        job = job_of.get(name)
        state = _state(stage, in_store[name], job, asked.get(job or ""), announced.get(name), store)
        parents = [parent.identity for parent in stage.parents if parent.identity in seen]
        culprit = next((parent for parent in parents if seen[parent].word in STUCK), None)
        if culprit and state.word in ("missing", "cancelled", "queued"):
            detail = seen[culprit].detail if seen[culprit].word == "blocked" else culprit
            state = State("blocked", detail, state.job)
        seen[name] = state
    return seen


STUCK = ("failed", "cancelled", "blocked")


def _state(
    stage: Stage,
    in_store: str,
    job: str | None,
    answer: tuple[str, str] | None,
    command: Command | None,
    store: Store,
) -> State:
    """What store, cluster and the commands of other shells together say of one stage."""
    word, reason = answer or ("", "")
    live = job if word in WAITING + ACTIVE and reason != NEVER else None
    failed = (store.failure(stage) or {}).get("error", "") if in_store == "failed" else ""
    if in_store in ("done", "running"):
        return State(in_store, job=live)
    if word == UNKNOWN:
        before = f", which failed before ({failed})" if failed else ""
        return State("unknown", f"job {job}{before}: {reason}")
    if live and word in WAITING:
        return State("queued", f"job {job}, {reason}" if reason else f"job {job}", live)
    if live:
        return State("running", f"job {job}", live)
    if word == "CANCELLED" or store.is_cancelled(stage):
        return State("cancelled", f"job {job}" if job else "")
    if command and (in_store == "missing" or command.since > store.failed_at(stage)):
        return State("queued", command.name)
    if in_store == "failed":
        return State("failed", failed)
    if word == "COMPLETED":
        return State("running", f"job {job} has ended, its record is not to be seen yet")
    return State("failed", f"job {job}: {word}") if word and reason != NEVER else State("missing")


def log_of(identity: str, store: Store) -> str:
    """The log of a stage; before it what its job printed outside of it, such as why it was requeued."""
    texts = []
    if job := jobs_of(store).get(identity):
        folder = folder_of(store) / job.partition("_")[0]
        texts = [path.read_text(errors="replace") for path in sorted(folder.glob(f"{job}_*_log.out"))]
    log = store.root / identity / "log.txt"
    if log.exists():
        texts.append(log.read_text(errors="replace"))
    return "".join(texts)


def live_jobs(identities: Sequence[str], store: Store) -> dict[str, str]:
    """Identity -> the job that waits or runs for the stage. Raises Refused where Slurm does not say."""
    jobs = {identity: job for identity, job in jobs_of(store).items() if identity in identities}
    asked = ask(jobs.values())
    for identity, job in jobs.items():
        word, line = asked.get(job, ("", ""))
        owner = holder(store.root / identity)
        done = (store.root / identity / "record.json").exists()
        if word == UNKNOWN and not done and not (owner and is_here(owner)):
            raise Refused(
                f"{identity}: whether job {job} waits or runs is unknown: {line}; nothing is cancelled"
            )
    return {identity: job for identity, job in jobs.items() if asked.get(job, ("",))[0] in WAITING + ACTIVE}


def cancel_jobs(jobs: Iterable[str]) -> None:
    """Cancel jobs that wait or run. Raises Refused as scancel does; one that has just ended is left."""
    every = sorted(jobs)
    for start in range(0, len(every), CHUNK):
        try:
            _lines("scancel", *every[start : start + CHUNK])
        except NoAnswer as error:
            left = [job for job, (word, _) in ask(every).items() if word in (*WAITING, *ACTIVE, UNKNOWN)]
            if left:
                raise Refused(f"executor=slurm: {error}") from None
