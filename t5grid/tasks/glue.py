"""GLUE row -> {inputs, targets, label}: the sentence-level tasks.

Inputs are `<task> <column>: <text> <column>: <text>`, with the text as it stands; targets are the name of the
class (paper, section 2.4 and appendix D; column order and class names are the behaviour of the original
code). The running example of section 2.4 shows MNLI's premise first; the authors' own runs, and appendix D,
have the columns in alphabetical order, hypothesis first.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from t5grid.refused import Refused
from t5grid.tasks.answer import Answer, Number
from t5grid.tasks.labelled import Classification, HubTask
from t5grid.tasks.metrics import (
    INVALID,
    Scores,
    accuracy,
    f1_with_invalid,
    matthews,
    pearson_spearman,
    string_to_float,
)
from t5grid.tasks.task import Record, Row

COMMIT = "bcdcba79d07bc864c1c254ccfcedcce55bcc9a8c"


@dataclass(frozen=True)
class GlueTask(Classification):
    """A GLUE task whose targets are class names."""

    repository: str = "nyu-mll/glue"
    pinned: ClassVar[str | None] = COMMIT

    @property
    def _config(self) -> str:
        return self.name


@dataclass(frozen=True)
class CoLA(GlueTask):
    """`cola sentence: Painted was lamp.` -> `unacceptable`."""

    name = "cola"
    texts = ("sentence",)
    labels = ("unacceptable", "acceptable")
    reported = ("matthews",)
    full: ClassVar[Mapping[str, int]] = {"train": 8551, "validation": 1043}

    def metrics(self, targets: Sequence[int], predictions: Sequence[int]) -> Scores:
        return matthews(targets, predictions)


@dataclass(frozen=True)
class SST2(GlueTask):
    """`sst2 sentence: a moving walk` -> `positive`."""

    name = "sst2"
    texts = ("sentence",)
    labels = ("negative", "positive")
    reported = ("accuracy",)
    full: ClassVar[Mapping[str, int]] = {"train": 67349, "validation": 872}


@dataclass(frozen=True)
class RTE(GlueTask):
    """`rte sentence1: Some goats. sentence2: All goats.` -> `not_entailment`."""

    name = "rte"
    texts = ("sentence1", "sentence2")
    labels = ("entailment", "not_entailment")
    reported = ("accuracy",)
    full: ClassVar[Mapping[str, int]] = {"train": 2490, "validation": 277}


@dataclass(frozen=True)
class QNLI(GlueTask):
    """`qnli question: When? sentence: Then.` -> `entailment`."""

    name = "qnli"
    texts = ("question", "sentence")
    labels = ("entailment", "not_entailment")
    reported = ("accuracy",)
    full: ClassVar[Mapping[str, int]] = {"train": 104743, "validation": 5463}


@dataclass(frozen=True)
class MRPC(GlueTask):
    """`mrpc sentence1: It shut. sentence2: It closed.` -> `equivalent`."""

    name = "mrpc"
    texts = ("sentence1", "sentence2")
    labels = ("not_equivalent", "equivalent")
    reported = ("f1", "accuracy")
    full: ClassVar[Mapping[str, int]] = {"train": 3668, "validation": 408}

    def metrics(self, targets: Sequence[int], predictions: Sequence[int]) -> Scores:
        return {**f1_with_invalid(targets, predictions), **accuracy(targets, predictions)}


@dataclass(frozen=True)
class QQP(MRPC):
    """`qqp question1: A? question2: B?` -> `not_duplicate`."""

    name = "qqp"
    texts = ("question1", "question2")
    labels = ("not_duplicate", "duplicate")
    full: ClassVar[Mapping[str, int]] = {"train": 363846, "validation": 40430}


@dataclass(frozen=True)
class MNLI(GlueTask):
    """`mnli hypothesis: It was cold. premise: It froze.` -> `entailment`.

    Validation is the matched and the mismatched part together; each has its own accuracy, and both count. A
    local copy without the mismatched part is scored on the matched one.
    """

    name = "mnli"
    texts = ("hypothesis", "premise")
    labels = ("entailment", "neutral", "contradiction")
    parts_scored: ClassVar[tuple[str, ...]] = ("matched", "mismatched")
    reported = ("accuracy_matched", "accuracy_mismatched")
    spare = ("validation_mismatched",)
    full: ClassVar[Mapping[str, int]] = {
        "train": 392702,
        "validation_matched": 9815,
        "validation_mismatched": 9832,
    }

    @property
    def splits(self) -> Mapping[str, tuple[str, ...]]:
        halves = {
            role: tuple(f"{role}_{part}" for part in self.parts_scored) for role in ("validation", "test")
        }
        return {"train": ("train",), **halves}

    def record(self, row: Row) -> Record:
        return {**super().record(row), "part": row.get("part", "train")}

    def score(self, records: Sequence[Record], predictions: list[str]) -> Scores:
        """Accuracy of each part that has records."""
        scores = {}
        for part in self.parts_scored:
            places = [place for place, record in enumerate(records) if record["part"] == part]
            if places:
                here = super().score([records[i] for i in places], [predictions[i] for i in places])
                scores[f"accuracy_{part}"] = here["accuracy"]
        return scores

    def _marked(self, table: Any, split: str) -> Any:
        import pyarrow as pa

        marks = pa.array([split.rpartition("_")[2]] * table.num_rows)
        return super()._marked(table, split).append_column("part", marks)


@dataclass(frozen=True)
class AX(GlueTask):
    """`mnli hypothesis: ... premise: ...`: the diagnostic set, for testing a model trained on MNLI only."""

    name = "mnli"
    texts = ("hypothesis", "premise")
    labels = MNLI.labels
    reported: ClassVar[tuple[str, ...]] = ()
    full: ClassVar[Mapping[str, int]] = {"test": 1104}

    @property
    def _config(self) -> str:
        return "ax"

    @property
    def splits(self) -> Mapping[str, tuple[str, ...]]:
        return {"test": ("test",)}


@dataclass(frozen=True)
class WNLI(GlueTask):
    """`wnli sentence1: The cup was by the jug. sentence2: The jug was.` -> `not_entailment`.

    In the format of its neighbours. The study neither trained on it nor scored it (paper, section 2.4): its
    test predictions come from the form in `winograd`.
    """

    name = "wnli"
    texts = ("sentence1", "sentence2")
    labels = ("not_entailment", "entailment")
    reported: ClassVar[tuple[str, ...]] = ()
    full: ClassVar[Mapping[str, int]] = {"test": 146}

    @property
    def splits(self) -> Mapping[str, tuple[str, ...]]:
        return {"test": ("test",)}


@dataclass(frozen=True)
class STSB(HubTask):
    """`stsb sentence1: A man cuts bread. sentence2: Someone slices a loaf.` -> `4.8`.

    The similarity, 0 to 5, is rounded to the nearest fifth (paper, section 2.4, which counts 21 values from 1
    to 5; the authors' own runs had all 26 from 0), and the metric's target is that rounded number. A
    prediction that is no number counts as -1.
    """

    repository: str = "nyu-mll/glue"

    name = "stsb"
    config = "stsb"
    pinned: ClassVar[str | None] = COMMIT
    texts = ("sentence1", "sentence2")
    others = ("label",)
    reported = ("pearson", "spearman")
    answer: ClassVar[Answer] = Number(0.0, 5.0, second="sentence2:", first="stsb sentence1:")
    full: ClassVar[Mapping[str, int]] = {"train": 5749, "validation": 1500}

    def record(self, row: Row) -> Record:
        """The record of one row."""
        inputs = f"stsb sentence1: {row['sentence1']} sentence2: {row['sentence2']}"
        return {"inputs": inputs, "targets": self.targets(row["label"]), "label": row["label"]}

    def targets(self, label: float) -> str:
        """The label rounded to a fifth (half to even, in single precision) with one decimal."""
        import numpy as np

        return f"{np.round(np.float32(label) * np.float32(5)) / np.float32(5):.1f}"

    def score(self, records: Sequence[Record], predictions: list[str]) -> Scores:
        """Pearson's and Spearman's correlation.

        Constant predictions, and any `nan`, have none and score 0, so that GLUE always has an average; the
        original reports nan there.
        """
        targets = [float(record["targets"]) for record in records]
        scores = pearson_spearman(targets, [string_to_float(text) for text in predictions])
        return {name: 0.0 if math.isnan(value) else value for name, value in scores.items()}

    def _check(self, table: Any, role: str, where: str) -> None:
        for number, label in enumerate(table["label"].to_pylist()):
            if role == "test" and label == INVALID:
                continue
            if not isinstance(label, int | float) or not 0 <= label <= 5:
                raise Refused(f"{where}, row {number}: label {label!r}, expected a number from 0 to 5")
