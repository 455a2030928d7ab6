"""tasks -> the texts of their training rows, as documents of a corpus."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class TaskTexts:
    """What the training rows of some tasks ask, without their answers: a document a row, a shard a task."""

    tasks: dict[str, Any]

    def shards(self) -> list[str]:
        """The names of the tasks."""
        return list(self.tasks)

    def documents(self, shard: str) -> Iterator[str]:
        """The inputs of a task's training rows."""
        return (record["inputs"] for record in self.tasks[shard].records("train"))

    def fingerprint(self) -> str:
        """Identity of the content."""
        parts = [f"{name} {task.fingerprint()}" for name, task in self.tasks.items()]
        return hashlib.blake2b("\n".join(["texts", *parts]).encode(), digest_size=16).hexdigest()
