"""a user's own file -> records: a text-to-text task that is one YAML, without code.

    _target_: t5grid.tasks.own.OwnTask
    name: complexity
    train: ratings.tsv                        # or .csv, .jsonl, .json.gz, .parquet
    inputs: "complexity sentence: {Sentence}"
    targets: "{Score}"
    metrics: [pearson, spearman]

A template's `{column}` is that column of the row, `{{` a brace.
"""

import dataclasses
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar

from t5grid.config.build import nearest
from t5grid.config.rules import Above, AtLeast, Because, Count, NotEmpty
from t5grid.refused import Refused
from t5grid.tasks import metrics
from t5grid.tasks.files import SUFFIXES, content_of, num_rows, read_table
from t5grid.tasks.labelled import Formatted, Split, digest, evenly_spaced
from t5grid.tasks.metrics import INVALID, Scores
from t5grid.tasks.task import Record, Row

FIELD = re.compile(r"\{\{|\}\}|\{([^{}]+)\}|[{}]")
PATHS = ("train", "validation", "test")
Labels = Sequence[str]
Cell = Annotated[str | float, Because('of a column of true and false the texts "True" and "False"')]
Metric = Callable[[list[str], list[str], Labels], Scores]


@dataclass(frozen=True)
class OwnTask:
    """A task of a user's own rows.

    Args:
        name: the task's name in records and messages.
        train: file of training rows.
        inputs: template of the inputs.
        targets: template of the targets.
        metrics: names out of `METRICS`; their mean is the task's score.
        validation: file of the rows that are scored; None holds rows of `train` out.
        test: file of rows to predict, if any.
        held_out: every how many rows of `train` one is held out, where there is no validation file.
        labels: what the values of a targets column mean, as `{0: easy, 1: hard}`; with them a prediction that
            is none of the texts is wrong, and the last is the positive class of "f1".
        round_to: step that numbers are rounded to (half to even), such as 0.2: a regression as text.
        num_train: rows of the train split to use, evenly spaced over it; None uses all.
        num_validation: the same for the validation split.

    Raises:
        Refused: a metric that is not there or needs labels, a broken template, labels that are one.
    """

    name: str
    train: str
    inputs: str
    targets: str
    metrics: Annotated[list[str], NotEmpty()]
    validation: str | None = None
    test: str | None = None
    held_out: Annotated[int, AtLeast(2)] = 10
    labels: dict[Cell, str] | None = None
    round_to: Annotated[float, Above(0)] | None = None
    num_train: Count | None = None
    num_validation: Count | None = None

    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        for metric in self.metrics:
            if metric not in METRICS:
                raise Refused(f"metrics: no metric {metric!r}{nearest(metric, METRICS)}")
            if metric in OF_CLASSES and not self.labels:
                raise Refused(f"metrics: {metric} needs labels, such as labels={{0: easy, 1: hard}}")
        for key in ("inputs", "targets"):
            columns_of(getattr(self, key), key)
        _check_labels(self.labels or {})

    @property
    def reported(self) -> tuple[str, ...]:
        return tuple(self.metrics)

    @property
    def roles(self) -> tuple[str, ...]:
        return ("train", "validation", *(["test"] if self.test else []))

    @property
    def source(self) -> "OwnFiles":
        """Where the rows are read."""
        held_out = self.held_out if self.validation is None else None
        return OwnFiles(self.name, self.train, self.validation, self.test, held_out)

    @property
    def needed_splits(self) -> list[Split]:
        """The splits that training and scoring need."""
        return [Split(role, role, self.source, None) for role in ("train", "validation")]

    def records(self, split: str) -> Sequence[Record]:
        """Records of "train", "validation" or "test".

        Raises:
            Refused: one line that names the file and the row (from 1) or the column.
        """
        if split not in self.roles:
            raise ValueError(f"task {self.name}: no {split} split, it has {', '.join(self.roles)}")
        table, where = self.source.table(split), str(self.source.files(split)[0])
        if not len(table):
            held = f", as held_out={self.held_out}" if split == "validation" and not self.validation else ""
            raise Refused(f"{where}: no rows for {split}{held}")
        for key in ("inputs", "targets"):
            for column in columns_of(getattr(self, key), key):
                if column not in table.schema.names and (key == "inputs" or split != "test"):
                    there = nearest(column, table.schema.names)
                    raise Refused(f"{where}: no column {column!r} of task {self.name}'s {key}{there}")
        count = {"train": self.num_train, "validation": self.num_validation}.get(split)
        rows = evenly_spaced(table, count)
        records = []
        for place, row in enumerate(Formatted(rows, dict)):
            try:
                records.append(self._checked(self.record(row), split))
            except Refused as error:
                number = self.source.places(split)[place * len(table) // len(rows)] + 1
                raise Refused(f"{where}, row {number}: {error}") from None
        return records

    def _checked(self, record: Record, split: str) -> Record:
        """The record if it can be learnt and scored; rows of "test" need no targets. Raises Refused."""
        text = record["targets"]
        if split != "test" and not text.strip():
            raise Refused(f"targets={self.targets!r} leaves no text")
        numbers = [name for name in self.metrics if METRICS[name] is _correlation]
        if split != "test" and numbers and not math.isfinite(metrics.string_to_float(text, math.nan)):
            raise Refused(f"the target is {text!r}, expected a number, as {numbers[0]} compares")
        return record

    def record(self, row: Row) -> Record:
        """The record of one row. Raises Refused for a missing value or an unknown label."""
        shown = dict(row)
        for column in columns_of(self.targets, "targets"):
            if column in row:
                shown[column] = self._target(row[column], column)
        known = all(column in row for column in columns_of(self.targets, "targets"))
        return {"inputs": fill(self.inputs, row), "targets": fill(self.targets, shown) if known else ""}

    def _target(self, value: Any, column: str) -> Any:
        if self.labels is not None:
            texts = {str(key): text for key, text in self.labels.items()}
            if str(value) not in texts:
                raise Refused(f"column {column!r} is {value!r}, expected one of {', '.join(texts)}")
            return texts[str(value)]
        if self.round_to is None or value is None:
            return value
        number = metrics.string_to_float(str(value), math.nan)
        if not math.isfinite(number):
            raise Refused(f"column {column!r} is {value!r}, expected a number")
        decimals = max(0, -math.floor(math.log10(self.round_to) + 1e-9))
        return f"{round(number / self.round_to) * self.round_to:.{decimals}f}"

    def score(self, records: Sequence[Record], predictions: list[str]) -> Scores:
        """Each metric, 0 to 100, of one prediction a record."""
        targets = [record["targets"] for record in records]
        labels = list(dict.fromkeys(self.labels.values())) if self.labels else []
        return {name: METRICS[name](targets, predictions, labels)[name] for name in self.metrics}

    def fingerprint(self) -> str:
        """Hash of the files' bytes and the settings that decide the records."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        fields = [field.name for field in dataclasses.fields(self) if field.name not in (*PATHS, "labels")]
        settings = {name: getattr(self, name) for name in fields}
        labels = {str(key): text for key, text in (self.labels or {}).items()}
        content = [[split.role, self.source.content(split.name)] for split in self.needed_splits]
        return digest([self.version, settings, labels, content])


@dataclass(frozen=True)
class OwnFiles:
    """The files of a task; without one for validation, every `held_out`-th row of `train` is held out."""

    task: str
    train: str
    validation: str | None
    test: str | None
    held_out: int | None
    root: ClassVar[str] = "."

    def label(self, split: str) -> str:
        """How messages call a split."""
        return f"{self._path(split)} ({self.task} {split})"

    def files(self, split: str) -> list[Path]:
        """The file of a split. Raises Refused if there is none, or of an unknown kind."""
        path = Path(self._path(split)).expanduser()
        if not path.is_file():
            raise Refused(f"task {self.task}: {path}: no such file")
        if not path.name.endswith(SUFFIXES):
            raise Refused(f"task {self.task}: {path}: its name ends in none of {', '.join(SUFFIXES)}")
        return [path]

    def has(self, split: str) -> bool:
        """Whether the file of a split is there."""
        return Path(self._path(split)).expanduser().is_file()

    def table(self, split: str) -> Any:
        """The rows of a split."""
        import pyarrow as pa

        table = read_table(self.files(split))
        if self.held_out is None or split == "test":
            return table
        return table.take(pa.array(self.places(split), pa.int64()))

    def places(self, split: str) -> list[int]:
        """Where a split's rows stand in its file, from 0."""
        every = range(num_rows(self.files(split)))
        if self.held_out is None or split == "test":
            return list(every)
        last = self.held_out - 1
        return [row for row in every if (row % self.held_out == last) == (split == "validation")]

    def rows(self, split: str) -> int | None:
        """Rows of a split, None where its file is absent."""
        if not self.has(split):
            return None
        total = num_rows(self.files(split))
        if self.held_out is None or split == "test":
            return total
        held = total // self.held_out
        return held if split == "validation" else total - held

    def content(self, split: str) -> str:
        """Identity of a split's rows: the bytes of its file."""
        return content_of(self.files(split))

    def _path(self, split: str) -> str:
        path = {"train": self.train, "validation": self.validation, "test": self.test}[split]
        return self.train if path is None else path


def _check_labels(labels: Mapping[Any, str]) -> None:
    """Refuse two labels of one text, which no prediction tells apart, and two of one value of a cell."""
    keys, texts = dict[str, Any](), dict[str, Any]()
    for key, text in labels.items():
        if str(key) in keys:
            raise Refused(f"labels: {keys[str(key)]!r} and {key!r} are one value of a column")
        if text in texts:
            raise Refused(f"labels: {texts[text]!r} and {key!r} are both {text!r}; each takes its own text")
        keys[str(key)], texts[text] = key, key


def columns_of(template: str, key: str) -> list[str]:
    """The columns a template names. Raises Refused for a lone brace."""
    fields = [match for match in FIELD.finditer(template)]
    if any(match[0] in "{}" for match in fields):
        raise Refused(
            f"{key}={template!r}: a brace without its other half; a column is {{name}}, a brace {{{{"
        )
    return [match[1] for match in fields if match[1]]


def fill(template: str, row: Row) -> str:
    """A template with the values of a row. Raises Refused for a missing value.

    >>> fill("{a} in {{{b}}}", {"a": 1, "b": "x"})
    '1 in {x}'
    """

    def value(match: re.Match[str]) -> str:
        if not match[1]:
            return match[0][0]
        cell = row[match[1]]
        if cell is None or cell != cell:  # nothing, or not a number
            raise Refused(f"column {match[1]!r} is empty")
        return str(cell)

    return FIELD.sub(value, template)


def _classes(targets: list[str], predictions: list[str], labels: Labels) -> tuple[list[int], list[int]]:
    numbers = {label: number for number, label in enumerate(labels)}
    return [numbers[text] for text in targets], [numbers.get(text, INVALID) for text in predictions]


def _accuracy(targets: list[str], predictions: list[str], labels: Labels) -> Scores:
    return metrics.accuracy(targets, predictions)


def _f1(targets: list[str], predictions: list[str], labels: Labels) -> Scores:
    expected, predicted = _classes(targets, predictions, labels)
    last = len(labels) - 1
    is_last = [INVALID if label == INVALID else int(label == last) for label in predicted]
    return metrics.f1_with_invalid([int(label == last) for label in expected], is_last)


def _macro_f1(targets: list[str], predictions: list[str], labels: Labels) -> Scores:
    (value,) = metrics.mean_multiclass_f1(len(labels))(*_classes(targets, predictions, labels)).values()
    return {"macro_f1": value}


def _matthews(targets: list[str], predictions: list[str], labels: Labels) -> Scores:
    return metrics.matthews(*_classes(targets, predictions, labels))


def _correlation(targets: list[str], predictions: list[str], labels: Labels) -> Scores:
    """Of the numbers that the texts spell; what has no correlation scores 0."""
    expected, predicted = (
        [metrics.string_to_float(text) for text in side] for side in (targets, predictions)
    )
    scores = metrics.pearson_spearman(expected, predicted)
    return {name: 0.0 if math.isnan(value) else value for name, value in scores.items()}


def _squad(targets: list[str], predictions: list[str], labels: Labels) -> Scores:
    scores = metrics.squad([[text] for text in targets], predictions)
    return {"exact_match": scores["em"], "word_f1": scores["f1"]}


def _rouge(targets: list[str], predictions: list[str], labels: Labels) -> Scores:
    return metrics.rouge(targets, predictions)


def _bleu(targets: list[str], predictions: list[str], labels: Labels) -> Scores:
    return metrics.bleu(targets, predictions)


OF_CLASSES = {"f1": _f1, "macro_f1": _macro_f1, "matthews": _matthews}
METRICS: dict[str, Metric] = {
    "accuracy": _accuracy,
    **OF_CLASSES,
    **dict.fromkeys(("pearson", "spearman"), _correlation),
    **dict.fromkeys(("exact_match", "word_f1"), _squad),
    **dict.fromkeys(("rouge1", "rouge2", "rougeLsum"), _rouge),
    "bleu": _bleu,
}
"""The metrics of an own task by name: of texts as they stand, of classes, numbers, answers and sentences."""
