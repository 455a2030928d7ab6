"""stages -> what another shell sees and does: their states, their logs, their end."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from t5grid.execution.lock import holder, is_here
from t5grid.execution.progress import status_line
from t5grid.execution.slurm import queue
from t5grid.execution.store import Store
from t5grid.execution.waiting import waiting_for
from t5grid.execution.worker_process import end_worker
from t5grid.files import read_json
from t5grid.refused import Refused
from t5grid.stages.stage import Stage

SHOWN = ("running", "queued", "failed", "cancelled", "blocked", "unknown")
WORDS = ("done", "running", "queued", "failed", "cancelled", "blocked", "unknown", "missing")


def status_lines(stages: Sequence[Stage], store: Store) -> Iterator[str]:
    """A line for each stage that is neither done nor missing, and the counts; first what is damaged."""
    yield from (f"set aside: {fault}" for fault in queue.damaged(store))
    seen = queue.states(stages, store, watching=True)
    for stage in stages:
        state = seen[stage.identity]
        if state.word in SHOWN:
            detail = status_line(store.status(stage)) if state.word == "running" else ""
            by = "by " if state.word == "blocked" else ""
            yield f"{state.word:<9} {stage.identity}  {by}{detail or state.detail}".rstrip()
    counts = Counter(state.word for state in seen.values())
    always = ("done", "running", "failed", "missing")
    yield ", ".join(f"{counts[word]} {word}" for word in WORDS if counts[word] or word in always)


def matching(part: str, store: Store) -> list[str]:
    """Identities of the stages that `kind/part` is a part of. Raises Refused if there is none."""
    kind, _, name = part.partition("/")
    folders = sorted((store.root / kind).glob("*")) if kind not in ("", "..", ".") else []
    identities = [f"{kind}/{folder.name}" for folder in folders if name in folder.name]
    for waits in waiting_for(store):
        if waits.startswith(f"{kind}/") and name in waits.partition("/")[2] and waits not in identities:
            identities.append(waits)
    if not identities:
        raise Refused(f"{part}: no stage in {store.root} has it in its name")
    return identities


def log_lines(identities: Sequence[str], store: Store, num: int) -> Iterator[str]:
    """The last lines of each stage's log, under its name."""
    for identity in identities:
        yield f"==> {identity}"
        yield from queue.log_of(identity, store).splitlines()[-num:]


def cancel_stages(identities: Sequence[str], store: Store) -> list[str]:
    """Cancel the stages that run or wait, wherever that is; a line for each.

    They stay cancelled until a command asks for them again. Slurm's jobs end by scancel, a worker of this
    place by a signal, one elsewhere by itself when it next reports. Raises Refused where Slurm does not say
    what it has, or does not do as it is told; then nothing is cancelled.
    """
    jobs, announced = queue.live_jobs(identities, store), waiting_for(store)
    with store.cancelling(jobs):
        queue.cancel_jobs(jobs.values())
    lines = [f"cancelled {identity}" for identity in jobs]
    for identity in identities:
        folder = store.root / identity
        if identity in jobs or (read_json(folder / "record.json")):
            continue
        if identity in announced or holder(folder):
            with store.cancelling([identity]):
                lines.append(_end(identity, holder(folder)))
    return lines


def _end(identity: str, owner: dict[str, Any] | None) -> str:
    """End a worker of this place; a line that says what became of that."""
    if not owner:
        return f"cancelled {identity}"
    if not is_here(owner):
        return f"cancelled {identity}, which {owner.get('host')} will notice at its next step"
    if end_worker(owner):
        return f"cancelled {identity}"
    return f"not ended, process {owner.get('pid')} is no worker of t5grid: {identity}"
