"""graph -> jobs: submits to Slurm whatever has not run yet, and leaves or waits.

One job a stage, from a file of its own (stage_file); alike ones as arrays (arrays). A job that is told to
end, for want of time or for one of higher priority, is requeued by submitit and its stage goes on from its
last checkpoint: nobody else heeds the signal.
"""

import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

from t5grid.config.contracts import NO_CHECKS, Checks
from t5grid.config.rules import AtLeast, Count, FileName, OneLine
from t5grid.config.schema import Runtime
from t5grid.config.trust import ALLOW, allowed, check_shell
from t5grid.execution import ranks
from t5grid.execution.outcome import Outcome
from t5grid.execution.progress import Progress
from t5grid.execution.ranks import Node, RankError
from t5grid.execution.run_stage import CANCELLED, FAILED, HELD, work_on
from t5grid.execution.slurm import queue
from t5grid.execution.slurm.arrays import Array, arrays_of
from t5grid.execution.slurm.watch import Watch
from t5grid.execution.store import Store
from t5grid.refused import Refused
from t5grid.stages import stage_file
from t5grid.stages.stage import Stage, with_parents

GPUS = ("gpu", "cuda")
RUNNING = ("chdir", "container", "container-id", "error", "export", "export-file", "input", "output", "wrap")
"""Flags of sbatch that change what a job runs, under which environment, or what it writes to."""
PORTS = range(20000, 60000)
HELD_POLL = 2.0  # seconds between looks at a stage that somebody else runs
EARLY = 90  # seconds before its moment at which Slurm may signal, and in which a job's Python starts
STARTED = time.monotonic()  # in a job, about when it began
NOT_KEPT = (".", "lock.", "config.yaml", "status.json", "log.txt", "metrics.csv", "failed.json", "wandb")


@dataclass(frozen=True)
class Resources:
    """What a job takes on each of its nodes: memory in GB; no `gpus` given means those the runtime uses."""

    nodes: Count
    cpus: Count
    gpus: Annotated[int, AtLeast(0)] | None
    memory: Count
    minutes: Count
    partition: Annotated[str, OneLine()] | None = None
    account: Annotated[str, OneLine()] | None = None
    flags: dict[Annotated[str, FileName()], Annotated[Any, OneLine()]] | None = None

    def machine(self, stage: Stage, runtime: Runtime) -> tuple[Runtime, int]:
        """The runtime of a stage on these nodes, and how many GPUs it takes of each."""
        several = stage.takes_every_device(runtime)
        used = (runtime.num_devices if several else 1) if runtime.accelerator in GPUS else 0
        gpus = used if self.gpus is None else self.gpus
        devices = (gpus or runtime.num_devices) if several else 1
        return replace(runtime, num_devices=devices, num_nodes=self.nodes if several else 1), gpus


@dataclass(frozen=True)
class Slurm:
    """Jobs on a cluster whose nodes share this folder."""

    resources: dict[str, Resources]
    partition: Annotated[str, OneLine()] | None = None
    account: Annotated[str, OneLine()] | None = None
    wait: bool = False
    poll: Count = 5
    max_parallel: Count = 256
    max_array_size: Count = 1000
    max_timeouts: Annotated[int, AtLeast(0)] = 100
    signal_delay: Count = 60
    setup: list[str] = field(default_factory=list)
    retries: Annotated[int, AtLeast(0)] = 0

    def __post_init__(self) -> None:
        check_shell("setup", self.setup)
        for kind, resources in self.resources.items():
            flags = [name for name in resources.flags or {} if name.replace("_", "-") in RUNNING]
            check_shell(f"resources.{kind}.flags.{'.'.join(flags[:1])}", flags)
        if "other" not in self.resources:
            raise Refused("resources.other: is needed, for kinds of stage that are not listed")
        for kind, resources in self.resources.items():
            if self.signal_delay >= resources.minutes * 60:
                where = f"resources.{kind}.minutes={resources.minutes}"
                raise Refused(f"signal_delay={self.signal_delay}: seconds, less than {where}")

    def waiting(self) -> "Slurm":
        """The same, staying until all is done."""
        return replace(self, wait=True)

    def run(self, stages: list[Stage], store: Store, runtime: Runtime, checks: Checks = NO_CHECKS) -> Outcome:
        """Submit every stage that is not done and not in the queue; a failed one blocks its children only.

        The jobs start one another, so nobody is there for `checks`: stages refuse what they cannot train on.

        Raises Refused, and submits nothing, where Slurm does not say what is in the queue.
        """
        stages = with_parents(stages)
        if all(store.record(stage) is not None for stage in stages):
            return Outcome(done_before=stages)
        with queue.submitting(store):
            seen = queue.states(stages, store)
            outcome = Outcome(done_before=[stage for stage in stages if seen[stage.identity].word == "done"])
            todo = [stage for stage in stages if seen[stage.identity].word != "done"]
            _refuse_unknown(seen)
            flying = {identity: state.job for identity, state in seen.items() if state.job}
            if fresh := [stage for stage in todo if stage.identity not in flying]:
                store.ask_again(fresh)
                Submission(self, store, runtime, flying).submit(fresh)
        if self.wait and todo:
            self._follow(todo, store, outcome)
        else:
            outcome.submitted = todo
        return outcome

    def runtime_of(self, stage: Stage, runtime: Runtime) -> Runtime:
        """The machine a stage's job gets."""
        return self.resources.get(stage.kind, self.resources["other"]).machine(stage, runtime)[0]

    def outlook(self, todo: list[Stage], runtime: Runtime) -> tuple[int, str]:
        """How many stages run at a time at most, and the jobs in words."""
        number = sum(1 for _ in arrays_of(todo, set(), self.max_array_size))
        return (
            self.max_parallel,
            f"{len(todo)} Slurm jobs in {number} arrays, up to {self.max_parallel} at a time",
        )

    def _follow(self, todo: list[Stage], store: Store, outcome: Outcome) -> None:
        """Show the jobs until none waits or runs; while Slurm does not answer, what it said last holds."""
        total = sum(stage.work for stage in todo)
        with Progress(len(outcome.done_before), len(todo), total) as progress:
            watch = Watch(todo, store, progress)
            while watch.look(outcome):
                time.sleep(self.poll)
        watch.conclude(outcome)


def _refuse_unknown(seen: dict[str, queue.State]) -> None:
    """Refuse to submit what may be in the queue already."""
    for identity, state in seen.items():
        if state.word == "unknown":
            raise Refused(
                f"{identity}: whether it waits or runs is unknown: {state.detail}; nothing is submitted"
            )


class Submission:
    """Hands stages to sbatch, array by array."""

    def __init__(self, settings: Slurm, store: Store, runtime: Runtime, flying: dict[str, str]) -> None:
        self.settings, self.store, self.runtime = settings, store, runtime
        self.flying, self.jobs = set(flying), dict(flying)

    def submit(self, stages: list[Stage]) -> None:
        """Submit all of them, parents first; what is queued when this is interrupted stays queued."""
        stage_file.write(with_parents(stages), self.store.folder)
        ids: dict[int, str] = {}
        for array in arrays_of(stages, self.flying, self.settings.max_array_size):
            ids[id(array)] = job = self._submit(array, self._dependency(array, ids))
            self._note(job, array.stages)
            single = len(array.stages) == 1
            for task, stage in enumerate(array.stages):
                self.jobs[stage.identity] = job if single else f"{job}_{task}"

    def _note(self, job: str, stages: Sequence[Stage]) -> None:
        """Keep which stages a job runs; one that nobody could find again is not left in the queue."""
        try:
            queue.note(job, stages, self.store)
        except BaseException:
            queue.cancel_jobs([job])
            raise

    def _dependency(self, array: Array, ids: dict[int, str]) -> str | None:
        if array.pairwise:
            return f"aftercorr:{ids[id(array.pairwise)]}"
        left = [stage for stage in array.after if self.store.record(stage) is None]
        return ":".join(["afterok", *(self.jobs[stage.identity] for stage in left)]) if left else None

    def _submit(self, array: Array, dependency: str | None) -> str:
        """The number of the array, or of the job where it is one stage. Raises Refused as sbatch does."""
        from submitit import SlurmExecutor
        from submitit.core.utils import FailedJobError

        settings, stage = self.settings, array.stages[0]
        resources = settings.resources.get(stage.kind, settings.resources["other"])
        runtime, gpus = resources.machine(stage, self.runtime)
        try:
            executor = SlurmExecutor(
                queue.folder_of(self.store) / "%A", max_num_timeout=settings.max_timeouts
            )
        except RuntimeError:
            raise Refused(
                "executor=slurm: no srun here; give this command on a node of the cluster"
            ) from None
        executor.update_parameters(**self._parameters(stage, resources, runtime, gpus, dependency))
        trusted = ",".join(allowed())
        where = (str(self.store.root), runtime, resources.cpus, os.getcwd(), trusted, settings.retries)
        limit = (resources.minutes, settings.signal_delay)
        tasks = [StageJob(stage.identity, *where, *limit) for stage in array.stages]
        try:
            with executor.batch():
                submitted = [executor.submit(task) for task in tasks]
        except (FailedJobError, subprocess.CalledProcessError) as error:
            raise Refused(f"executor=slurm: {' '.join(str(error).split())}") from None
        return submitted[0].job_id.partition("_")[0]

    def _parameters(
        self, stage: Stage, resources: Resources, runtime: Runtime, gpus: int, dependency: str | None
    ) -> dict[str, Any]:
        """What submitit makes of it for sbatch."""
        threads = max(1, resources.cpus // runtime.num_devices)
        return {
            "job_name": f"t5grid-{stage.kind}",
            "time": resources.minutes,
            "nodes": runtime.num_nodes,
            "ntasks_per_node": 1,
            "cpus_per_task": resources.cpus,
            "mem": f"{resources.memory}GB",
            "gpus_per_node": gpus or None,
            "partition": resources.partition,
            "account": resources.account,
            "signal_delay_s": self.settings.signal_delay,
            "array_parallelism": self.settings.max_parallel,
            "setup": [f"export {ranks.THREADS}={threads}", *self.settings.setup],
            "stderr_to_stdout": True,
            "dependency": dependency,
            "srun_args": ["--kill-on-bad-exit=1"],
            "additional_parameters": {
                "kill-on-invalid-dep": "yes",
                "requeue": True,
                **(resources.flags or {}),
            },
        }


class StageFailed(Exception):
    """Ends a job so that Slurm knows it failed, and what waits for it never starts."""


@dataclass(frozen=True)
class StageJob:
    """What a job runs: one stage, from its file in the store."""

    identity: str
    root: str
    runtime: Runtime
    num_threads: int
    folder: str
    allowed: str
    retries: int = 0
    minutes: int = 0
    signal_delay: int = 0
    fruitless: int = 0
    """How often in a row its time was over and nothing more was kept than before."""
    memory: dict[str, Any] = field(default_factory=dict, compare=False)
    """Of this run of the job: what was kept before it, and whether another run would not help."""

    def __call__(self) -> str:
        """Run the stage to its end; wait for it where somebody else is at it."""
        os.chdir(self.folder)
        os.environ[ALLOW] = self.allowed
        store = Store(self.root)
        stage, node = stage_file.read(store.root / self.identity), _node()
        self.memory["kept"] = self._kept()
        if node.number:
            return self._help(stage, store, node)
        for _ in range(1 + self.retries):
            while (result := work_on(stage, store, self.runtime, self.num_threads, node)) == HELD:
                time.sleep(HELD_POLL)
            if result == CANCELLED:
                raise StageFailed("cancelled")
            if result != FAILED:
                return result.word
            if "is hopeless" in self.memory:
                break
        raise StageFailed(result.reason)

    def _help(self, stage: Stage, store: Store, node: Node) -> str:
        """Run this node's ranks; the first node holds the lock and writes the record."""
        if stage.has_ranks(self.runtime) and store.record(stage) is None:
            try:
                ranks.run_ranks(stage, store, self.runtime, self.num_threads, node)
            except RankError as error:
                raise StageFailed(str(error)) from error
        return "helped"

    def checkpoint(self) -> Any:
        """What a requeued job runs: the same; the stage finds its own last checkpoint.

        Raises Refused, which fails the stage, where its time was over again before anything was kept.
        """
        from submitit.helpers import DelayedSubmission

        in_vain = self._time_is_over() and self._kept() == self.memory["kept"]
        fruitless = self.fruitless + 1 if in_vain else 0
        if fruitless > 1:
            self.memory["is hopeless"] = True
            key = f"executor.resources.{self.identity.partition('/')[0]}.minutes={self.minutes}"
            raise Refused(f"{key}: over twice before anything was kept; give it more, or more checkpoints")
        return DelayedSubmission(replace(self, fruitless=fruitless, memory={}))

    def _time_is_over(self) -> bool:
        """Whether this job has had most of the time until it is told to end, however that is to be."""
        limit = self.minutes * 60 - self.signal_delay - EARLY
        return bool(self.minutes) and time.monotonic() - STARTED >= limit

    def _kept(self) -> frozenset[str]:
        """The files of the stage that a later job goes on from."""
        folder = Store(self.root).root / self.identity
        paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
        return frozenset(str(path) for path in paths if not str(path).startswith(NOT_KEPT))


def _node() -> Node:
    """Which of the job's nodes this is, and where its ranks meet."""
    from submitit import JobEnvironment

    environment = JobEnvironment()
    address = os.environ.get("MASTER_ADDR") or environment.hostnames[0]
    if environment.num_nodes == 1:
        return Node()
    return Node(environment.node, address, PORTS[int(environment.raw_job_id) % len(PORTS)])
