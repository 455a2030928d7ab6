"""test rows + answers -> the files that GLUE's and SuperGLUE's servers take, zipped.

Names, headers and values are those of the benchmarks' own toolkit (jiant, `scripts/benchmarks`) and of the
study's script for its own submissions. GLUE takes tab-separated files with the head `index`, `prediction`;
SuperGLUE a JSON object a line, with `idx` and `label`, MultiRC's answers grouped by question and passage.
"""

import io
import json
import math
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from t5grid.refused import Refused
from t5grid.tasks import glue, super_glue, winograd
from t5grid.tasks.labelled import PLACE, Classification, HubTask
from t5grid.tasks.metrics import string_to_float
from t5grid.tasks.task import Record

NUMBERS = (0, 1)
WORDS = ("false", "true")
FIRST_DAY = (1980, 1, 1, 0, 0, 0)
"""The date of every file in the zip, so that the same answers are the same bytes."""


@dataclass(frozen=True)
class Entry:
    """One file: the task whose test rows it answers, what a model must be trained on, and what it says.

    `values` are written for class 0, 1, ...; without them the answer is, as a number or a text. `counted` is
    the task whose training rows say which answer is the usual one.
    """

    file: str
    task: type[HubTask]
    trained: type[HubTask]
    num_rows: int
    values: tuple[Any, ...] = ()
    part: str = ""
    counted: type[HubTask] | None = None

    @property
    def split(self) -> str:
        """The split of the data set that its rows are in."""
        return f"test_{self.part}" if self.part else "test"

    def records(self, task: HubTask) -> list[Record]:
        """The test rows, in the data set's order."""
        return [row for row in task.records("test") if not self.part or row["part"] == self.part]

    def indices(self, task: HubTask) -> list[Any]:
        """What each row is called. Raises Refused where the data set does not say it."""
        table = task.source.table(self.split)
        if "idx" not in table.schema.names:
            raise Refused(f"{task.source.where(self.split)}: no column 'idx', which {self.file} is made of")
        return table["idx"].to_pylist()

    def value(self, task: Any, record: Record, text: str) -> Any:
        """What is written for an answer; None for one that is no answer of the task."""
        if self.values:
            verdict = task.label(text) if isinstance(task, Classification) else named(task, record, text)
            return self.values[verdict] if verdict in range(len(self.values)) else None
        if self.task is glue.STSB:
            number = string_to_float(text)
            return f"{min(number, 5.0):.3f}" if math.isfinite(number) and number >= 0 else None
        return text.strip() or None


def named(task: Any, record: Record, text: str) -> int:
    """Whether a text names the candidate of a record: 1 if so, 0 if not."""
    return max(0, winograd.same_referent(record["targets"], text))


def _of_glue(file: str, task: type[HubTask], num_rows: int, values: tuple[Any, ...] = NUMBERS) -> Entry:
    return Entry(f"{file}.tsv", task, task, num_rows, values)


def _of_super_glue(file: str, task: type[HubTask], num_rows: int, values: tuple[Any, ...]) -> Entry:
    return Entry(f"{file}.jsonl", task, task, num_rows, values)


GLUE = (
    _of_glue("CoLA", glue.CoLA, 1063),
    _of_glue("SST-2", glue.SST2, 1821),
    _of_glue("MRPC", glue.MRPC, 1725),
    _of_glue("STS-B", glue.STSB, 1379, ()),
    _of_glue("QQP", glue.QQP, 390965),
    Entry("MNLI-m.tsv", glue.MNLI, glue.MNLI, 9796, glue.MNLI.labels, part="matched"),
    Entry("MNLI-mm.tsv", glue.MNLI, glue.MNLI, 9847, glue.MNLI.labels, part="mismatched"),
    _of_glue("QNLI", glue.QNLI, 5463, glue.QNLI.labels),
    _of_glue("RTE", glue.RTE, 3000, glue.RTE.labels),
    Entry("WNLI.tsv", winograd.WNLI, winograd.WSC, 146, NUMBERS, counted=winograd.WNLI),
    Entry("AX.tsv", glue.AX, glue.MNLI, 1104, glue.MNLI.labels),
)
SUPER_GLUE = (
    _of_super_glue("BoolQ", super_glue.BoolQ, 3245, WORDS),
    _of_super_glue("CB", super_glue.CB, 250, super_glue.CB.labels),
    _of_super_glue("COPA", super_glue.COPA, 500, NUMBERS),
    _of_super_glue("MultiRC", super_glue.MultiRC, 9693, NUMBERS),
    _of_super_glue("ReCoRD", super_glue.ReCoRD, 10000, ()),
    _of_super_glue("RTE", super_glue.RTE, 3000, super_glue.RTE.labels),
    _of_super_glue("WiC", super_glue.WiC, 1400, WORDS),
    _of_super_glue("WSC", winograd.WSC, 146, ("False", "True")),
    Entry("AX-b.jsonl", super_glue.AXb, super_glue.RTE, 1104, super_glue.RTE.labels),
    Entry("AX-g.jsonl", super_glue.AXg, super_glue.RTE, 356, super_glue.RTE.labels),
)
LEADERBOARDS: dict[str, tuple[Entry, ...]] = {"glue": GLUE, "super_glue": SUPER_GLUE}


def usual(entry: Entry, task: HubTask) -> list[Any]:
    """The usual answer, once a test row: the class most training rows have, or their mean number.

    Of ReCoRD, which has no classes, each row's first entity.
    """
    rows = task.source.table(entry.split)
    if entry.task is super_glue.ReCoRD:
        return [entities[0] for entities in rows["entities"].to_pylist()]
    counted = (entry.counted or entry.trained)(**{name: getattr(task, name) for name in PLACE})
    labels = counted.source.table("train")["label"].to_pylist()
    num_rows = rows.num_rows
    if not entry.values:
        return [f"{sum(labels) / len(labels):.3f}"] * num_rows
    counts = Counter(labels)
    return [entry.values[max(sorted(counts), key=counts.__getitem__)]] * num_rows


def content(entry: Entry, indices: Sequence[Any], values: Sequence[Any]) -> str:
    """The text of a file."""
    if entry.file.endswith(".tsv"):
        lines = [f"{index}\t{value}" for index, value in zip(indices, values, strict=True)]
        return "\n".join(["index\tprediction", *lines, ""])
    if entry.task is super_glue.MultiRC:
        rows = _grouped(indices, values)
    else:
        of_query = entry.task is super_glue.ReCoRD
        names = [index["query"] if of_query else index for index in indices]
        rows = [{"idx": name, "label": value} for name, value in zip(names, values, strict=True)]
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _grouped(indices: Sequence[Mapping[str, int]], values: Sequence[int]) -> list[dict[str, Any]]:
    """Labels of answers, by question and passage."""
    passages: dict[int, dict[int, list[dict[str, int]]]] = {}
    for index, value in zip(indices, values, strict=True):
        answers = passages.setdefault(index["paragraph"], {}).setdefault(index["question"], [])
        answers.append({"idx": index["answer"], "label": value})
    return [
        {
            "idx": passage,
            "passage": {"questions": [{"idx": number, "answers": q} for number, q in questions.items()]},
        }
        for passage, questions in passages.items()
    ]


def zipped(files: Mapping[str, str]) -> bytes:
    """The files side by side in one zip, the same bytes for the same texts."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name, FIRST_DAY), text.encode(), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()
