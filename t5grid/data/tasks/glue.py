"""GLUE row -> {inputs, targets, label}: the sentence-level tasks as text to text.

Inputs are `<task> <column>: <text> <column>: <text>`, with the text as it stands; targets are the name of the
class (paper, section 2.4 and appendix D; column order and class names are the behaviour of the original
code). A prediction counts only if it equals a class name to the letter; any other is the invalid class -1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from t5grid.data.tasks.hub import Row, check_columns, digest, evenly_spaced, load_rows
from t5grid.data.tasks.task import Record
from t5grid.evaluation.metrics import (
    INVALID,
    Scores,
    accuracy,
    f1_with_invalid,
    matthews,
    pearson_spearman,
    string_to_float,
)

UNLABELLED = "<unk>"


@dataclass(frozen=True)
class GlueTask:
    """What the tasks of GLUE share: where rows come from, how many of them are used, and their inputs.

    Args:
        repository: name on the Hugging Face hub.
        root: folder with a local copy of the repository; None reads the hub.
        revision: commit or tag on the hub; None is the newest.
        num_train: rows of the train split to use, evenly spaced over it; None uses all.
        num_validation: the same for the validation split.
    """

    repository: str = "nyu-mll/glue"
    root: str | None = None
    revision: str | None = None
    num_train: int | None = None
    num_validation: int | None = None

    name: ClassVar[str]
    columns: ClassVar[tuple[str, ...]]
    reported: ClassVar[tuple[str, ...]]

    def records(self, split: str) -> list[Record]:
        """Records of "train", "validation" or "test"; only those of "test" may be unlabelled.

        Raises:
            ValueError: one line that names the data set, the split and the row.
        """
        rows = self._rows(split)
        where = f"data set {self.repository} ({self.name}, {split})"
        check_columns(rows, self.columns, ["label"], where)
        for number, row in enumerate(rows):
            self._check_label(row["label"], split, f"{where}, row {number}")
        count = {"train": self.num_train, "validation": self.num_validation}.get(split)
        return [self.record(row) for row in evenly_spaced(rows, count)]

    def record(self, row: Row) -> Record:
        """The record of one row; a row labelled -1 has the targets `<unk>`."""
        inputs = " ".join([self.name, *(f"{column}: {row[column]}" for column in self.columns)])
        return {"inputs": inputs, "targets": self.targets(row["label"]), "label": row["label"]}

    def targets(self, label: float) -> str:
        raise NotImplementedError

    def score(self, records: list[Record], predictions: list[str]) -> Scores:
        raise NotImplementedError

    def fingerprint(self) -> str:
        """Hash of the train and validation records; read once an instance."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        return digest([*self.records("train"), *self.records("validation")])

    def _rows(self, split: str) -> list[Row]:
        return load_rows(self.repository, self.name, split, self.root, self.revision)

    def _check_label(self, label: object, split: str, where: str) -> None:
        raise NotImplementedError


@dataclass(frozen=True)
class Classification(GlueTask):
    """A GLUE task whose targets are class names."""

    labels: ClassVar[tuple[str, ...]]

    def targets(self, label: float) -> str:
        return UNLABELLED if label == INVALID else self.labels[int(label)]

    def label(self, prediction: str) -> int:
        """Index of the class a prediction names, -1 for any other text."""
        return self.labels.index(prediction) if prediction in self.labels else INVALID

    def score(self, records: list[Record], predictions: list[str]) -> Scores:
        """The task's metrics, 0 to 100, of one prediction a record."""
        targets = [record["label"] for record in records]
        return self.metrics(targets, [self.label(text) for text in predictions])

    def metrics(self, targets: Sequence[int], predictions: Sequence[int]) -> Scores:
        return accuracy(targets, predictions)

    def _check_label(self, label: object, split: str, where: str) -> None:
        allowed = range(INVALID if split == "test" else 0, len(self.labels))
        if type(label) is not int or label not in allowed:
            classes = ", ".join(f"{index} {name}" for index, name in enumerate(self.labels))
            raise ValueError(f"{where}: label {label!r}, expected one of {classes}")


@dataclass(frozen=True)
class CoLA(Classification):
    """`cola sentence: Painted was lamp.` -> `unacceptable`."""

    name = "cola"
    columns = ("sentence",)
    labels = ("unacceptable", "acceptable")
    reported = ("matthews",)

    def metrics(self, targets: Sequence[int], predictions: Sequence[int]) -> Scores:
        return matthews(targets, predictions)


@dataclass(frozen=True)
class SST2(Classification):
    """`sst2 sentence: a moving walk` -> `positive`."""

    name = "sst2"
    columns = ("sentence",)
    labels = ("negative", "positive")
    reported = ("accuracy",)


@dataclass(frozen=True)
class RTE(Classification):
    """`rte sentence1: Some goats. sentence2: All goats.` -> `not_entailment`."""

    name = "rte"
    columns = ("sentence1", "sentence2")
    labels = ("entailment", "not_entailment")
    reported = ("accuracy",)


@dataclass(frozen=True)
class QNLI(Classification):
    """`qnli question: When? sentence: Then.` -> `entailment`."""

    name = "qnli"
    columns = ("question", "sentence")
    labels = ("entailment", "not_entailment")
    reported = ("accuracy",)


@dataclass(frozen=True)
class MRPC(Classification):
    """`mrpc sentence1: It shut. sentence2: It closed.` -> `equivalent`."""

    name = "mrpc"
    columns = ("sentence1", "sentence2")
    labels = ("not_equivalent", "equivalent")
    reported = ("f1", "accuracy")

    def metrics(self, targets: Sequence[int], predictions: Sequence[int]) -> Scores:
        return {**f1_with_invalid(targets, predictions), **accuracy(targets, predictions)}


@dataclass(frozen=True)
class QQP(MRPC):
    """`qqp question1: A? question2: B?` -> `not_duplicate`."""

    name = "qqp"
    columns = ("question1", "question2")
    labels = ("not_duplicate", "duplicate")


@dataclass(frozen=True)
class MNLI(Classification):
    """`mnli hypothesis: It was cold. premise: It froze.` -> `entailment`.

    Validation is the matched and the mismatched part together; each has its own accuracy, and both count.
    """

    name = "mnli"
    columns = ("hypothesis", "premise")
    labels = ("entailment", "neutral", "contradiction")
    parts: ClassVar[tuple[str, ...]] = ("matched", "mismatched")
    reported = ("accuracy_matched", "accuracy_mismatched")

    def record(self, row: Row) -> Record:
        return {**super().record(row), "part": row.get("part", "train")}

    def score(self, records: list[Record], predictions: list[str]) -> Scores:
        """Accuracy of each part."""
        scores = {}
        for part in self.parts:
            places = [place for place, record in enumerate(records) if record["part"] == part]
            here = super().score([records[i] for i in places], [predictions[i] for i in places])
            scores[f"accuracy_{part}"] = here["accuracy"]
        return scores

    def _rows(self, split: str) -> list[Row]:
        if split == "train":
            return super()._rows(split)
        parts = {part: super(MNLI, self)._rows(f"{split}_{part}") for part in self.parts}
        return [{**row, "part": part} for part, rows in parts.items() for row in rows]


@dataclass(frozen=True)
class STSB(GlueTask):
    """`stsb sentence1: A man cuts bread. sentence2: Someone slices a loaf.` -> `4.8`.

    The similarity, 0 to 5, is rounded to the nearest fifth (paper, section 2.4), and the metric's target is
    that rounded number. A prediction that is no number counts as -1.
    """

    name = "stsb"
    columns = ("sentence1", "sentence2")
    reported = ("pearson", "spearman")

    def targets(self, label: float) -> str:
        """The label rounded to a fifth (half to even, in single precision) with one decimal."""
        import numpy as np

        return f"{np.round(np.float32(label) * np.float32(5)) / np.float32(5):.1f}"

    def score(self, records: list[Record], predictions: list[str]) -> Scores:
        """Pearson's and Spearman's correlation; nan for constant predictions."""
        targets = [float(record["targets"]) for record in records]
        return pearson_spearman(targets, [string_to_float(text) for text in predictions])

    def _check_label(self, label: object, split: str, where: str) -> None:
        if split == "test" and label == INVALID:
            return
        if not isinstance(label, int | float) or not 0 <= label <= 5:
            raise ValueError(f"{where}: label {label!r}, expected a number from 0 to 5")
