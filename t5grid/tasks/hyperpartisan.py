"""article -> {inputs, targets}: hyperpartisan news detection (Kiesel et al., 2019).

SemEval-2019 Task 4, by which Longformer and recurrent memory were measured: 645 articles that people judged.
Titles are left out, as there, and HTML is read as plain text. The data have no split of their own: every
tenth article is held out. Whoever wants the 516, 64 and 65 of Longformer's authors gives the files that their
script writes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from t5grid.config.rules import AtLeast
from t5grid.refused import Refused
from t5grid.tasks.articles import ArticleFiles, ArticleSource, plain_text
from t5grid.tasks.labelled import PLACE, Classification, Split
from t5grid.tasks.metrics import Scores, f1_with_invalid
from t5grid.tasks.task import Row

JUDGED = ("hyperpartisan", "label")
"""Columns of which the first that is there says what was judged: of true and false, or the texts of them."""
CLASSES = {False: 0, True: 1, "false": 0, "true": 1, "False": 0, "True": 1}


@dataclass(frozen=True)
class Hyperpartisan(Classification):
    """`hyperpartisan text: They lie, as ever.` -> `true`; F1 of those that are.

    Args:
        train: a file of one's own (.jsonl, .csv, .tsv, .parquet) with columns text, and hyperpartisan or
            label, in place of the hub.
        validation: a file of those that are scored; None holds rows out.
        held_out: every how many articles one is held out, where there is no validation split.
    """

    repository: str = "SemEvalWorkshop/hyperpartisan_news_detection"
    train: str | None = None
    validation: str | None = None
    held_out: Annotated[int, AtLeast(2)] = 10

    name: ClassVar[str] = "hyperpartisan"
    config: ClassVar[str] = "byarticle"
    pinned: ClassVar[str | None] = "c315cc4a12a27cde08fd55c0beda41ced8b75923"
    texts: ClassVar[tuple[str, ...]] = ("text",)
    labels: ClassVar[tuple[str, ...]] = ("false", "true")
    reported: ClassVar[tuple[str, ...]] = ("f1",)
    places: ClassVar[tuple[str, ...]] = (*PLACE, "train", "validation")
    full: ClassVar[Mapping[str, int]] = {"train": 581, "validation": 64}

    def __post_init__(self) -> None:
        if self.validation is not None and self.train is None:
            raise Refused(f"validation={self.validation}: train is needed too, a file of one's own")
        if self.train is not None and self.root is not None:
            raise Refused(f"train={self.train}: rows are read from there or from root={self.root}, not both")

    @property
    def splits(self) -> Mapping[str, tuple[str, ...]]:
        return {"train": ("train",), "validation": ("validation",)}

    @property
    def source(self) -> Any:
        """Where the rows are read: the hub, a copy of its folder, or files of one's own."""
        if self.train is not None:
            held_out = self.held_out if self.validation is None else None
            return ArticleFiles(self.name, self.train, self.validation, None, held_out)
        hub = super().source
        return ArticleSource(hub.repository, hub.config, hub.root, hub.revision, self.held_out)

    @property
    def needed_splits(self) -> list[Split]:
        """The splits that training and scoring need; of one's own files nobody knows how many there are."""
        own = self.train is not None or self.held_out != 10
        return [
            Split(role, role, self.source, None if own else self.full[role])
            for role in ("train", "validation")
        ]

    def num_rows(self, role: str) -> int | None:
        """Records of a role; None where the hub alone knows."""
        split = next(split for split in self.needed_splits if split.role == role)
        total = split.full if split.source.root is None else split.rows or 0
        limit = {"train": self.num_train, "validation": self.num_validation}[role]
        return total if total is None or limit is None else min(total, limit)

    def inputs(self, row: Row) -> str:
        """The task's name and the article as plain text."""
        return f"{self.name} text: {plain_text(row['text'])}"

    def _shaped(self, table: Any, where: str) -> Any:
        """The table with a column `label` of class indices."""
        import pyarrow as pa

        column = next((name for name in JUDGED if name in table.schema.names), None)
        if column is None:
            there = ", ".join(table.schema.names)
            raise Refused(f"{where}: no column {' or '.join(map(repr, JUDGED))}, it has {there}")
        values = table.column(column).to_pylist()
        for number, value in enumerate(values):
            if type(value) not in (bool, str) or value not in CLASSES:
                raise Refused(f"{where}, row {number}: {column} is {value!r}, expected true or false")
        kept = [name for name in table.schema.names if name != "label"]
        return table.select(kept).append_column("label", pa.array([CLASSES[v] for v in values], pa.int64()))

    def metrics(self, targets: Sequence[int], predictions: Sequence[int]) -> Scores:
        """F1 of the class true; an answer that is neither counts as the opposite of its target."""
        return f1_with_invalid(targets, predictions)
