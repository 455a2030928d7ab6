"""graph -> jobs: submits to Slurm whatever has not run yet, and leaves or waits.

One job a stage, from a file of its own (stage_file); alike ones as arrays (arrays). A job that is told to
end, for want of time or for one of higher priority, is requeued by submitit and its stage goes on from its
last checkpoint: nobody else heeds the signal.
"""

import os
import subprocess
import time
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

from t5grid.config.rules import AtLeast, Count, FileName, OneLine
from t5grid.config.schema import Runtime
from t5grid.config.trust import ALLOW, allowed, check_shell
from t5grid.execution import ranks
from t5grid.execution.local import Outcome
from t5grid.execution.progress import Progress
from t5grid.execution.ranks import Node, RankError
from t5grid.execution.run_stage import FAILED, HELD, several_ranks, work_on
from t5grid.execution.slurm import queue
from t5grid.execution.slurm.arrays import Array, arrays_of
from t5grid.execution.store import Store
from t5grid.refused import Refused
from t5grid.stages import stage_file
from t5grid.stages.stage import Stage, with_parents

GPUS = ("gpu", "cuda")
RUNNING = ("chdir", "container", "container-id", "error", "export", "export-file", "input", "output", "wrap")
"""Flags of sbatch that change what a job runs, under which environment, or what it writes to."""
PORTS = range(20000, 60000)
HELD_POLL = 2.0  # seconds between looks at a stage that somebody else runs
PATIENCE = 12  # looks at the queue until a job that ended without a record counts as failed


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
    flags: dict[Annotated[str, FileName()], Annotated[Any, OneLine()]] = field(default_factory=dict)

    def machine(self, stage: Stage, runtime: Runtime) -> tuple[Runtime, int]:
        """The runtime of a stage on these nodes, and how many GPUs it takes of each."""
        several = stage.trains
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
            flags = [name for name in resources.flags if name.replace("_", "-") in RUNNING]
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

    def run(self, stages: list[Stage], store: Store, runtime: Runtime) -> Outcome:
        """Submit every stage that is not done and not in the queue; a failed one blocks its children only."""
        stages = with_parents(stages)
        seen = queue.states(stages, store)
        outcome = Outcome(done_before=[stage for stage in stages if seen[stage.identity].word == "done"])
        todo = [stage for stage in stages if seen[stage.identity].word != "done"]
        flying = {stage.identity for stage in todo if seen[stage.identity].word in ("queued", "running")}
        fresh = [stage for stage in todo if stage.identity not in flying]
        if fresh:
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
        """Show the jobs until none waits or runs."""
        ended: dict[str, int] = {}
        with Progress(len(outcome.done_before), len(todo), sum(stage.work for stage in todo)) as progress:
            counted: set[str] = set()
            while True:
                seen = queue.states(todo, store)
                for stage in todo:
                    if seen[stage.identity].word == "done" and stage.identity not in counted:
                        counted.add(stage.identity)
                        progress.finished(stage)
                running = [stage for stage in todo if seen[stage.identity].word == "running"]
                for stage in running:
                    late = "has ended" in seen[stage.identity].detail
                    ended[stage.identity] = ended.get(stage.identity, 0) + 1 if late else 0
                progress.show([(stage, store.status(stage)) for stage in running], outcome)
                active = [stage for stage in running if ended[stage.identity] < PATIENCE]
                if not active and not any(state.word == "queued" for state in seen.values()):
                    break
                time.sleep(self.poll)
        _conclude(todo, seen, store, outcome)


def _conclude(todo: list[Stage], seen: dict[str, queue.State], store: Store, outcome: Outcome) -> None:
    """Sort what the jobs left; a killed one left nothing, so its failure is written here."""
    for stage in todo:
        state = seen[stage.identity]
        if state.word == "done":
            outcome.ran.append(stage)
        elif state.word == "blocked":
            outcome.blocked[stage.identity] = state.detail
        else:
            reason = state.detail if state.word == "failed" else f"{state.word}: {state.detail}".strip(": ")
            outcome.failed[stage.identity] = reason
            if store.failure(stage) is None:
                store.fail(stage, f"Slurm: {reason}", "no traceback: see the log")


class Submission:
    """Hands stages to sbatch, array by array."""

    def __init__(self, settings: Slurm, store: Store, runtime: Runtime, flying: set[str]) -> None:
        self.settings, self.store, self.runtime, self.flying = settings, store, runtime, flying
        self.jobs = {identity: job for identity, job in queue.jobs_of(store).items() if identity in flying}

    def submit(self, stages: list[Stage]) -> None:
        """Submit all of them, parents first; what is queued when this is interrupted stays queued."""
        stage_file.write(with_parents(stages), self.store.folder)
        ids: dict[int, str] = {}
        for array in arrays_of(stages, self.flying, self.settings.max_array_size):
            ids[id(array)] = job = self._submit(array, self._dependency(array, ids))
            queue.note(job, array.stages, self.store)
            single = len(array.stages) == 1
            for task, stage in enumerate(array.stages):
                self.jobs[stage.identity] = job if single else f"{job}_{task}"

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
        tasks = [StageJob(stage.identity, *where) for stage in array.stages]
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
            "additional_parameters": {"kill-on-invalid-dep": "yes", "requeue": True, **resources.flags},
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

    def __call__(self) -> str:
        """Run the stage to its end; wait for it where somebody else is at it."""
        os.chdir(self.folder)
        os.environ[ALLOW] = self.allowed
        store = Store(self.root)
        stage, node = stage_file.read(store.root / self.identity), _node()
        if node.number:
            return self._help(stage, store, node)
        for _ in range(1 + self.retries):
            while (result := work_on(stage, store, self.runtime, self.num_threads, node)) == HELD:
                time.sleep(HELD_POLL)
            if result != FAILED:
                return result.word
        raise StageFailed(result.reason)

    def _help(self, stage: Stage, store: Store, node: Node) -> str:
        """Run this node's ranks; the first node holds the lock and writes the record."""
        if several_ranks(stage, self.runtime) and store.record(stage) is None:
            try:
                ranks.run_ranks(stage, store, self.runtime, self.num_threads, node)
            except RankError as error:
                raise StageFailed(str(error)) from error
        return "helped"

    def checkpoint(self) -> Any:
        """What a requeued job runs: the same; the stage finds its own last checkpoint."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def _node() -> Node:
    """Which of the job's nodes this is, and where its ranks meet."""
    from submitit import JobEnvironment

    environment = JobEnvironment()
    address = os.environ.get("MASTER_ADDR") or environment.hostnames[0]
    if environment.num_nodes == 1:
        return Node()
    return Node(environment.node, address, PORTS[int(environment.raw_job_id) % len(PORTS)])
