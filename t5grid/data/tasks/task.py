"""raw rows -> records: what a labelled task must offer, whatever its data.

A task says only `inputs` and `targets` (text); a batching fits the pair to an architecture later.
"""

from typing import Any, Protocol

Record = dict[str, Any]


class Task(Protocol):
    """One labelled data set cast to text-to-text records."""

    name: str
    reported: tuple[str, ...]
    """Names of the metrics whose mean is the task's share of its column (paper, section 3.1.5)."""

    def records(self, split: str) -> list[Record]:
        """Records of `split` ("train", "validation"): `inputs`, `targets` and what `score` needs."""

    def score(self, records: list[Record], predictions: list[str]) -> dict[str, float]:
        """Metric values, 0 to 100, of one prediction a record."""

    def fingerprint(self) -> str:
        """Identity of the content: equal fingerprints mean equal records."""
