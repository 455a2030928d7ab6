"""stages -> what a sweep did with each, and what of that is told."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from t5grid.execution.store import Store
from t5grid.stages.stage import Stage


@dataclass
class Outcome:
    """Stages run now, done before, failed with their error, cancelled, or blocked by a parent of these.

    An executor that does not wait has `submitted` the rest; one that stops at a failure has `left` it.
    """

    ran: list[Stage] = field(default_factory=list)
    done_before: list[Stage] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    blocked: dict[str, str] = field(default_factory=dict)
    submitted: list[Stage] = field(default_factory=list)
    left: list[Stage] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)

    @property
    def stuck(self) -> set[str]:
        """The identities of stages whose children cannot run."""
        return {*self.failed, *self.blocked, *self.cancelled}

    def complaints(self, store: Store) -> Iterator[str]:
        """A line for each stage that failed, was cancelled or is blocked."""
        for identity, reason in self.failed.items():
            path = store.root / identity / "failed.json"
            yield f"failed: {identity}: {reason}" + (f" (see {path})" if path.exists() else "")
        for identity in self.cancelled:
            yield f"cancelled: {identity}; the same command asks for it again"
        for identity, culprit in self.blocked.items():
            yield f"blocked: {identity} by {culprit}"
