"""raw rows -> records: what a labelled task must offer, whatever its data.

A task says only `inputs` and `targets` (text); a batching fits the pair to an architecture later.
"""

from collections.abc import Sequence
from typing import Any, Protocol

Record = dict[str, Any]
Row = dict[str, Any]


class Task(Protocol):
    """One labelled data set cast to text-to-text records.

    Three attributes are optional. `answer` says what kind of answer it asks for (`tasks.answer`), free text
    where it is left out; text-to-text models ignore it. `roles` names the splits there are, where they are
    not both "train" and "validation": a task without "validation" is trained on only, one with "test" alone
    neither trained on nor scored. `chosen_by` names the metrics whose mean chooses the step a task is
    reported at, where they are more than `reported` (SQuAD is reported by exact match, at the best step of
    exact match and F1).
    """

    name: str
    reported: tuple[str, ...]
    """Names of the metrics whose mean is the task's share of its column (paper, section 3.1.5)."""

    def records(self, split: str) -> Sequence[Record]:
        """Records of `split` ("train", "validation"): `inputs`, `targets` and what `score` needs."""

    def score(self, records: Sequence[Record], predictions: list[str]) -> dict[str, float]:
        """Metric values, 0 to 100, of one prediction a record."""

    def fingerprint(self) -> str:
        """Identity of the content: equal fingerprints mean equal records."""


def has(task: Any, role: str) -> bool:
    """Whether a task has a split `role`; one that does not say has every split."""
    return role in getattr(task, "roles", (role,))


def chosen_by(task: Any) -> tuple[str, ...]:
    """The metrics whose mean chooses a task's step."""
    return getattr(task, "chosen_by", task.reported)
