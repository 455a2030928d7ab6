"""stages -> what another shell sees and does: their states, their logs, their end."""

import socket
from collections import Counter
from collections.abc import Iterator, Sequence

from t5grid.execution.lock import holder
from t5grid.execution.progress import status_line
from t5grid.execution.slurm import queue
from t5grid.execution.store import Store
from t5grid.execution.worker_process import end_worker
from t5grid.refused import Refused
from t5grid.stages.stage import Stage

SHOWN = ("running", "queued", "failed", "cancelled", "blocked")
WORDS = ("done", "running", "queued", "failed", "cancelled", "blocked", "missing")


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
    if not identities:
        raise Refused(f"{part}: no stage in {store.root} has it in its name")
    return identities


def log_lines(identities: Sequence[str], store: Store, num: int) -> Iterator[str]:
    """The last lines of each stage's log, under its name."""
    for identity in identities:
        yield f"==> {identity}"
        yield from queue.log_of(identity, store).splitlines()[-num:]


def cancel_stages(identities: Sequence[str], store: Store) -> Iterator[str]:
    """End the stages: Slurm's jobs by scancel, a local worker by a signal; a line for each."""
    cancelled = queue.cancel_jobs(identities, store)
    yield from (f"cancelled {identity}" for identity in cancelled)
    for identity in set(identities) - set(cancelled):
        owner = holder(store.root / identity)
        if owner and owner.get("host") != socket.gethostname():
            yield f"runs on {owner.get('host')}, cancel it there: {identity}"
        elif owner and end_worker(owner):
            yield f"cancelled {identity}"
        elif owner:
            yield f"not cancelled, process {owner.get('pid')} is no worker of t5grid: {identity}"
