"""SuperGLUE row -> {inputs, targets, ...}: the harder sentence-level tasks.

Most are `<task> <column>: <text> <column>: <text>` -> `<class>`, as in `glue`. Where appendix D of the paper
shows something else than the authors' own runs did, the runs decide: WiC without `pos:`, COPA's classes
`choice1` and `choice2` (not `True`), MultiRC without its HTML tags. WSC is in `winograd`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from t5grid.refused import Refused
from t5grid.tasks.answer import Answer, Span
from t5grid.tasks.labelled import UNLABELLED, Classification, Formatted, HubTask, rows_of
from t5grid.tasks.metrics import Scores, accuracy, mean_multiclass_f1, multirc
from t5grid.tasks.metrics import record as grouped_squad
from t5grid.tasks.task import Record, Row

COMMIT = "3de24cf8022e94f4ee4b9d55a6f539891524d646"
Release = Literal["current", "2019"]
"""Edition of the authors' metric: corrected since, or as it was when the paper's numbers were made."""


@dataclass(frozen=True)
class SuperGlueTask(Classification):
    """A SuperGLUE task whose targets are class names."""

    repository: str = "aps/super_glue"
    pinned: ClassVar[str | None] = COMMIT
    reported: ClassVar[tuple[str, ...]] = ("accuracy",)

    @property
    def _config(self) -> str:
        return self.name


@dataclass(frozen=True)
class BoolQ(SuperGlueTask):
    """`boolq passage: The moon is small. question: is the moon big` -> `False`."""

    name = "boolq"
    texts = ("passage", "question")
    labels = ("False", "True")
    full: ClassVar[Mapping[str, int]] = {"train": 9427, "validation": 3270}


@dataclass(frozen=True)
class CB(SuperGlueTask):
    """`cb hypothesis: he left premise: Did he say he left?` -> `neutral`."""

    name = "cb"
    texts = ("hypothesis", "premise")
    labels = ("entailment", "contradiction", "neutral")
    reported: ClassVar[tuple[str, ...]] = ("mean_3class_f1", "accuracy")
    full: ClassVar[Mapping[str, int]] = {"train": 250, "validation": 56}

    def metrics(self, targets: Sequence[int], predictions: Sequence[int]) -> Scores:
        return {**mean_multiclass_f1(3)(targets, predictions), **accuracy(targets, predictions)}


@dataclass(frozen=True)
class COPA(SuperGlueTask):
    """`copa choice1: He slept. choice2: He was tired. premise: He studied. question: effect` -> `choice2`."""

    name = "copa"
    texts = ("choice1", "choice2", "premise", "question")
    labels = ("choice1", "choice2")
    second = "premise"
    full: ClassVar[Mapping[str, int]] = {"train": 400, "validation": 100}


@dataclass(frozen=True)
class MultiRC(SuperGlueTask):
    """`multirc question: Who ate it? answer: Mia paragraph: Sent 1: Leo ate it.` -> `False`; a row an answer.

    The tags `<br>` (a blank), `<b>` and `</b>` (nothing) are taken out; the sample of appendix D still has
    them. Reported by F1 and by the questions with every answer right; a question is known by its number.

    Args:
        f1: "current", over all answers, or "2019", the mean over questions.
    """

    f1: Release = "current"

    name = "multirc"
    texts = ("question", "answer", "paragraph")
    others = ("label", "idx")
    second = "paragraph"
    labels = ("False", "True")
    reported: ClassVar[tuple[str, ...]] = ("f1", "exact_match")
    full: ClassVar[Mapping[str, int]] = {"train": 27243, "validation": 4848}

    def record(self, row: Row) -> Record:
        """The record of one answer."""
        return {**super().record(row), "group": row["idx"]["question"]}

    def inputs(self, row: Row) -> str:
        """As of any task, with the tags taken out of the whole."""
        return re.sub("</?b>", "", super().inputs(row).replace("<br>", " "))

    def score(self, records: Sequence[Record], predictions: list[str]) -> Scores:
        """F1, and the share of questions with every answer right."""
        targets = [record["label"] for record in records]
        groups = [record["group"] for record in records]
        return multirc(groups, targets, [self.label(text) for text in predictions], self.f1 == "2019")


@dataclass(frozen=True)
class RTE(SuperGlueTask):
    """`rte hypothesis: All goats. premise: Some goats.` -> `not_entailment`.

    GLUE's RTE has the same rows as `rte sentence1: ... sentence2: ...`.
    """

    name = "rte"
    texts = ("hypothesis", "premise")
    labels = ("entailment", "not_entailment")
    full: ClassVar[Mapping[str, int]] = {"train": 2490, "validation": 277}


@dataclass(frozen=True)
class AXg(RTE):
    """The diagnostic set on gender, in the form of RTE; tested only."""

    reported: ClassVar[tuple[str, ...]] = ()
    full: ClassVar[Mapping[str, int]] = {"test": 356}

    @property
    def _config(self) -> str:
        return "axg"

    @property
    def splits(self) -> Mapping[str, tuple[str, ...]]:
        return {"test": ("test",)}


@dataclass(frozen=True)
class AXb(AXg):
    """The broad diagnostic set, in the form of RTE: its first sentence is the premise; tested only."""

    texts = ("sentence2", "sentence1")
    second = "premise"
    full: ClassVar[Mapping[str, int]] = {"test": 1104}

    def inputs(self, row: Row) -> str:
        """In the form of RTE."""
        return f"{self.name} hypothesis: {row['sentence2']} premise: {row['sentence1']}"

    @property
    def _config(self) -> str:
        return "axb"


@dataclass(frozen=True)
class WiC(SuperGlueTask):
    """`wic sentence1: They run daily. sentence2: We run in the park. word: run` -> `True`."""

    name = "wic"
    texts = ("sentence1", "sentence2", "word")
    labels = ("False", "True")
    full: ClassVar[Mapping[str, int]] = {"train": 5428, "validation": 638}


HIGHLIGHT = re.compile(r"([.?!\"']?)\n@highlight\n")


@dataclass(frozen=True)
class ReCoRD(HubTask):
    """`record query: @placeholder won. entities: Lee, Bob passage: Lee won the race.` -> `Lee`.

    A record per answer, all with the same inputs (one with `<unk>` where there is none). A highlight joins
    the passage as a sentence.

    Args:
        counted: "current", the first record of each query, or "2019", every record.
    """

    repository: str = "aps/super_glue"
    counted: Release = "current"

    name: ClassVar[str] = "record"
    config: ClassVar[str] = "record"
    pinned: ClassVar[str | None] = COMMIT
    texts: ClassVar[tuple[str, ...]] = ("passage", "query")
    others: ClassVar[tuple[str, ...]] = ("entities", "answers", "idx")
    reported: ClassVar[tuple[str, ...]] = ("f1", "em")
    answer: ClassVar[Answer] = Span(second="passage:")
    full: ClassVar[Mapping[str, int]] = {"train": 100730, "validation": 10000}
    made: ClassVar[Mapping[str, int]] = {"train": 138854}

    def expanded(self, row: Row) -> list[Record]:
        """The records of one row."""
        passage = HIGHLIGHT.sub(self._sentence_end, row["passage"])
        entities = ", ".join(row["entities"])
        inputs = f"record query: {row['query']} entities: {entities} passage: {passage}"
        shared = {"answers": row["answers"], "group": [row["idx"]["passage"], row["idx"]["query"]]}
        return [{"inputs": inputs, "targets": text, **shared} for text in row["answers"] or [UNLABELLED]]

    def score(self, records: Sequence[Record], predictions: list[str]) -> Scores:
        """F1 and exact match, each the best over a query's answers."""
        groups = [tuple(record["group"]) for record in records]
        answers = [record["answers"] for record in records]
        return grouped_squad(groups, answers, predictions, self.counted == "2019")

    def _formatted(self, table: Any, split: str) -> Sequence[Record]:
        return [record for row in Formatted(table, dict) for record in self.expanded(row)]

    def _check(self, table: Any, role: str, where: str) -> None:
        for number, row in enumerate(rows_of(table.select(["entities", "answers"]))):
            for column, texts in row.items():
                if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
                    raise Refused(f"{where}, row {number}: {column} are {str(texts)[:80]}, expected texts")
            if role == "validation" and not row["answers"]:
                raise Refused(f"{where}, row {number}: no answer")

    @staticmethod
    def _sentence_end(match: re.Match[str]) -> str:
        return f"{match[1] or '.'} "
