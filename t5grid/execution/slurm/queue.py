"""stages <-> Slurm's jobs: which job runs which stage; what the cluster says of it.

    runs/.slurm/<array>/stages.json     the stages of an array, in the order of its tasks

A killed job leaves nothing behind: only the queue and, once it is gone from there, the accounting know.
"""

import json
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from t5grid.execution.store import Store
from t5grid.files import is_regular, write_whole
from t5grid.refused import Refused
from t5grid.stages.stage import Stage

WAITING = ("PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SUSPENDED", "STOPPED", "RESV_DEL_HOLD")
ACTIVE = ("RUNNING", "COMPLETING", "CONFIGURING", "SIGNALING", "STAGE_OUT", "RESIZING")
NEVER = "DependencyNeverSatisfied"
CHUNK = 500  # arrays asked for in one call


@dataclass(frozen=True)
class State:
    """A stage as a watcher sees it: done, running, queued, failed, cancelled, blocked or missing, and why."""

    word: str
    detail: str = ""


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


def ask(jobs: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Job -> Slurm's word for its state, and the reason of one that waits; no entry where nobody knows it."""
    wanted = set(jobs)
    if not wanted or not shutil.which("squeue"):
        return {}
    answers = {}
    for line in _lines("squeue", "--me", "-h", "-r", "-o", "%i|%T|%r"):
        job, state, reason = line.split("|", 2)
        answers[job] = (state, reason)
    gone = sorted({job.partition("_")[0] for job in wanted - answers.keys()}, key=int)
    for start in range(0, len(gone), CHUNK):
        chunk = ",".join(gone[start : start + CHUNK])
        for line in _lines("sacct", "-n", "-P", "-X", "-o", "JobID,State", "-j", chunk):
            job, state = line.split("|", 1)
            answers.setdefault(job, (state.split()[0].rstrip("+"), ""))
    return {job: answers[job] for job in wanted & answers.keys()}


def _lines(*command: str) -> list[str]:
    """What a command of Slurm's prints; nothing where it fails, as sacct does without accounting."""
    shown = subprocess.run(command, capture_output=True, text=True)
    return shown.stdout.splitlines() if shown.returncode == 0 else []


def states(stages: Sequence[Stage], store: Store, watching: bool = False) -> dict[str, State]:
    """Identity -> state, of stages parents first; `watching` passes over what is `damaged`."""
    jobs = _jobs(store, [] if watching else None)
    job_of = {stage.identity: jobs[stage.identity] for stage in stages if stage.identity in jobs}
    in_store = {stage.identity: store.state(stage) for stage in stages}
    asked = ask(job for identity, job in job_of.items() if in_store[identity] != "done")
    seen: dict[str, State] = {}
    for stage in stages:
        job = job_of.get(stage.identity)
        state = _state(stage, in_store[stage.identity], job, asked.get(job or ""), store)
        culprit = next((p.identity for p in stage.parents if seen.get(p.identity, state).word in STUCK), None)
        if culprit and state.word in ("missing", "cancelled", "queued"):
            state = State("blocked", seen[culprit].detail if seen[culprit].word == "blocked" else culprit)
        seen[stage.identity] = state
    return seen


STUCK = ("failed", "cancelled", "blocked")


def _state(
    stage: Stage, in_store: str, job: str | None, answer: tuple[str, str] | None, store: Store
) -> State:
    """What store and cluster together say of one stage."""
    if in_store in ("done", "running"):
        return State(in_store)
    word, reason = answer or ("", "")
    if word in WAITING and reason != NEVER:
        return State("queued", f"job {job}, {reason}" if reason else f"job {job}")
    if word in ACTIVE:
        return State("running", f"job {job}")
    if in_store == "failed":
        return State("failed", (store.failure(stage) or {}).get("error", ""))
    if word == "COMPLETED":
        return State("running", f"job {job} has ended, its record is not to be seen yet")
    if word == "CANCELLED":
        return State("cancelled", f"job {job}")
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


def cancel_jobs(identities: Iterable[str], store: Store) -> list[str]:
    """Cancel what waits or runs of the jobs of these stages; their identities."""
    jobs = jobs_of(store)
    identity_of = {jobs[identity]: identity for identity in identities if identity in jobs}
    live = [job for job, (word, _) in ask(identity_of).items() if word in WAITING + ACTIVE]
    for start in range(0, len(live), CHUNK):
        subprocess.run(["scancel", *live[start : start + CHUNK]], check=True)
    return sorted(identity_of[job] for job in live)
