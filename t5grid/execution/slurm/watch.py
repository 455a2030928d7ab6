"""submitted stages -> how they end: what a command sees that stays with its jobs."""

from contextlib import suppress

from t5grid.execution.outcome import Outcome
from t5grid.execution.progress import Progress
from t5grid.execution.slurm import queue
from t5grid.execution.store import Store
from t5grid.stages.stage import Stage

PATIENCE = 12  # looks at the queue until a job that ended without a record counts as failed


class Watch:
    """What is known of submitted stages from look to look."""

    def __init__(self, todo: list[Stage], store: Store, progress: Progress) -> None:
        self.todo, self.store, self.progress = todo, store, progress
        self.seen: dict[str, queue.State] = {}
        self.late: dict[str, int] = {}
        self.silence = ""

    def look(self, outcome: Outcome) -> bool:
        """Show how things stand; whether anything still waits or runs, or may."""
        seen = queue.states(self.todo, self.store)
        self._listen(seen)
        for stage in self.todo:
            if seen[stage.identity].word == "done" and self._word(stage) != "done":
                self.progress.finished(stage)
        self.seen = {name: self._known(name, state) for name, state in seen.items()}
        running = [stage for stage in self.todo if self._word(stage) == "running"]
        for stage in running:
            late = "has ended" in self.seen[stage.identity].detail
            self.late[stage.identity] = self.late.get(stage.identity, 0) + 1 if late else 0
        self.progress.show([(stage, self.store.status(stage)) for stage in running], outcome)
        active = any(self.late[stage.identity] < PATIENCE for stage in running)
        return active or any(state.word == "queued" for state in seen.values()) or bool(self.silence)

    def _word(self, stage: Stage) -> str:
        """The last known state of a stage."""
        state = self.seen.get(stage.identity)
        return state.word if state else ""

    def _known(self, identity: str, state: queue.State) -> queue.State:
        """A state, or what was known before of one that is unknown now."""
        return self.seen.get(identity, state) if state.word == "unknown" else state

    def _listen(self, seen: dict[str, queue.State]) -> None:
        """Say once that Slurm does not answer, in its own words, and that it does again."""
        silence = next((state.detail for state in seen.values() if state.word == "unknown"), "")
        if bool(silence) != bool(self.silence):
            self.progress.say(f"waiting for Slurm: {silence}" if silence else "Slurm answers again")
        self.silence = silence

    def conclude(self, outcome: Outcome) -> None:
        """Sort what the jobs left; a killed one left nothing, so its failure is written here."""
        for stage in self.todo:
            state = self.seen[stage.identity]
            if state.word == "done":
                outcome.ran.append(stage)
            elif state.word == "blocked":
                outcome.blocked[stage.identity] = state.detail
            elif state.word == "cancelled":
                outcome.cancelled.append(stage.identity)
            else:
                self._fail(stage, state, outcome)

    def _fail(self, stage: Stage, state: queue.State, outcome: Outcome) -> None:
        reason = state.detail if state.word == "failed" else f"{state.word}: {state.detail}".strip(": ")
        outcome.failed[stage.identity] = reason
        if self.store.failure(stage) is None:
            with suppress(OSError):  # a full disk may be what killed it
                self.store.fail(stage, f"Slurm: {reason}", "no traceback: see the log")
