"""CNN/DailyMail row -> {inputs, targets}: abstractive summarization.

Inputs are `summarize: <article>`, targets the highlights, both as they stand (paper, appendix D). The runs of
2019 used an older edition of the data set, before line breaks between highlights and upper case were kept.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from t5grid.tasks.labelled import HubTask
from t5grid.tasks.metrics import Scores, rouge
from t5grid.tasks.task import Record, Row


@dataclass(frozen=True)
class CNNDailyMail(HubTask):
    """`summarize: A storm hit the coast. Two roads were closed.` -> `Storm hits coast .`

    Reported by ROUGE-2 (paper, section 3.1.5), at the step with the best mean of the three.
    """

    repository: str = "abisee/cnn_dailymail"

    name: ClassVar[str] = "cnn_dailymail"
    config: ClassVar[str] = "3.0.0"
    pinned: ClassVar[str | None] = "96df5e686bee6baa90b8bee7c28b81fa3fa6223d"
    texts: ClassVar[tuple[str, ...]] = ("article", "highlights")
    reported: ClassVar[tuple[str, ...]] = ("rouge2",)
    chosen_by: ClassVar[tuple[str, ...]] = ("rouge1", "rouge2", "rougeLsum")
    full: ClassVar[Mapping[str, int]] = {"train": 287113, "validation": 13368, "test": 11490}

    def record(self, row: Row) -> Record:
        """The record of one row."""
        return {"inputs": f"summarize: {row['article']}", "targets": row["highlights"]}

    def score(self, records: Sequence[Record], predictions: list[str]) -> Scores:
        """ROUGE-1, -2 and -Lsum against the highlights."""
        return rouge([record["targets"] for record in records], predictions)
