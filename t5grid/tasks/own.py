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
from functools import cached_property, partial
from typing import Annotated, Any, ClassVar

from t5grid.config.build import nearest
from t5grid.config.rules import Above, AtLeast, Because, Count, NotEmpty
from t5grid.refused import Refused
from t5grid.tasks import metrics
from t5grid.tasks.answer import Answer, Class, Number, Text
from t5grid.tasks.files import Quotes, read_anew
from t5grid.tasks.labelled import Formatted, Split, digest, evenly_spaced
from t5grid.tasks.metrics import INVALID, RougeWords, Scores
from t5grid.tasks.own_files import OwnFiles
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
            is none of the texts is wrong, and the last is the positive class of "f1". A key that is a number
            is any spelling of it: 0 is 0.0 too.
        round_to: step that numbers are rounded to (half to even), such as 0.2: a regression as text.
        num_train: rows of the train split to use, evenly spaced over it; None uses all.
        num_validation: the same for the validation split.
        quotes: "none" takes quotation marks of TSV and CSV as they stand, as in GLUE's own files.
        rouge_words: what ROUGE takes for a word: "ascii" (a-z and 0-9 alone, as in the study), "unicode", or
            "characters" for scripts without blanks.

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
    labels: Annotated[dict[Cell, str], NotEmpty()] | None = None
    round_to: Annotated[float, Above(0)] | None = None
    num_train: Count | None = None
    num_validation: Count | None = None
    quotes: Quotes = "double"
    rouge_words: RougeWords = "ascii"

    version: ClassVar[int] = 1
    later: ClassVar[tuple[str, ...]] = ("quotes", "rouge_words")
    """Settings that came after tasks had fingerprints: they enter where they are not the default."""

    def __post_init__(self) -> None:
        for metric in self.metrics:
            if metric not in METRICS:
                raise Refused(f"metrics: no metric {metric!r}{nearest(metric, METRICS)}")
            if metric in OF_CLASSES and not self.labels:
                raise Refused(f"metrics: {metric} needs labels, such as labels={{0: easy, 1: hard}}")
        for key in ("inputs", "targets"):
            columns_of(getattr(self, key), key)
        _check_labels(self.labels or {})
        if self.labels and self.round_to is not None:
            raise Refused(
                f"round_to={self.round_to}: labels say what the targets are; leave out one of the two"
            )
        of_classes = [metric for metric in self.metrics if metric in OF_CLASSES]
        if of_classes and self._class_column is None:
            why = f"{of_classes[0]} compares classes, so they name one column"
            raise Refused(f"targets={self.targets!r}: {why}, as {{label}}")

    @property
    def _class_column(self) -> str | None:
        """The column that the targets are the class of; None where they name none or several."""
        columns = set(columns_of(self.targets, "targets"))
        return columns.pop() if len(columns) == 1 else None

    @property
    def class_targets(self) -> tuple[str, ...]:
        """The targets that the labels make, in their order; the labels' texts where they share a target."""
        texts, column = dict.fromkeys((self.labels or {}).values()), self._class_column
        return tuple(fill(self.targets, {column: text}) if column else text for text in texts)

    @property
    def answer(self) -> Answer:
        """A class where there are labels, a number where it is scored as one, else text.

        The numbers of the training rows are its range, so these are read.
        """
        if self.labels:
            return Class(self.class_targets)
        if not set(self.metrics) <= OF_NUMBERS:
            return Text()
        values = [metrics.string_to_float(row["targets"]) for row in self.records("train")]
        return Number(min(values), max(values))

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
        return OwnFiles(self.name, self.train, self.validation, self.test, held_out, self.quotes)

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
        table, where = self.source.table(split, self._columns), str(self.source.files(split)[0])
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
        self._check_words(records, split, where)
        return records

    @property
    def _columns(self) -> list[str]:
        return [*columns_of(self.inputs, "inputs"), *columns_of(self.targets, "targets")]

    def _check_words(self, records: Sequence[Record], split: str, where: str) -> None:
        """Refuse targets none of which has a word that ROUGE sees: whatever is answered scores 0."""
        rouge = next((name for name in self.metrics if METRICS[name] is _rouge), None)
        if split == "test" or not rouge:
            return
        if not any(metrics.rouge_words(record["targets"], self.rouge_words) for record in records):
            text = records[0]["targets"][:60]
            why = f"{rouge} sees no word in any target, such as {text!r}"
            raise Refused(f"{where}: {why}; rouge_words: unicode reads every script (or characters)")

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
        if value is None or value != value or (self.labels is None and self.round_to is None):
            return value  # what is empty is refused when the template is filled
        if self.labels is not None:
            return self._label(value, column)
        number = metrics.string_to_float(str(value), math.nan)
        if not math.isfinite(number):
            raise Refused(f"column {column!r} is {value!r}, expected a number")
        step = self.round_to or 1.0
        decimals = max(0, -math.floor(math.log10(step) + 1e-9))
        return f"{round(number / step) * step:.{decimals}f}"

    def _label(self, value: Any, column: str) -> str:
        """The text of a cell's label. Raises Refused where it has none."""
        texts, numbers = self._texts
        number = metrics.string_to_float(str(value), math.nan)
        text = texts.get(str(value), numbers.get(number))
        if text is None:
            raise Refused(f"column {column!r} is {value!r}, expected one of {', '.join(texts)}")
        return text

    @cached_property
    def _texts(self) -> tuple[dict[str, str], dict[float, str]]:
        """The labels by what a cell says, and by the number that it is."""
        labels = self.labels or {}
        numbers = {float(key): text for key, text in labels.items() if not isinstance(key, str)}
        return {str(key): text for key, text in labels.items()}, numbers

    def score(self, records: Sequence[Record], predictions: list[str]) -> Scores:
        """Each metric, 0 to 100, of one prediction a record."""
        targets = [record["targets"] for record in records]
        return {
            name: self._metric(name)(targets, predictions, self.class_targets)[name] for name in self.metrics
        }

    def _metric(self, name: str) -> Metric:
        metric = METRICS[name]
        return partial(_rouge, words=self.rouge_words) if metric is _rouge else metric

    def fingerprint(self) -> str:
        """Hash of the files' bytes and the settings that decide the records."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        fields = {field.name: field.default for field in dataclasses.fields(self)}
        unsaid = {name for name in self.later if getattr(self, name) == fields[name]}
        settings = {name: getattr(self, name) for name in fields.keys() - {*PATHS, "labels", *unsaid}}
        labels = {str(key): text for key, text in (self.labels or {}).items()}
        content = [[split.role, self.source.content(split.name)] for split in self.needed_splits]
        files = [file for split in self.needed_splits for file in self.source.files(split.name)]
        anew = ["cells"] if any(read_anew(file, self._columns) for file in files) else []
        return digest([self.version, settings, labels, content, *anew])


def _check_labels(labels: Mapping[Any, str]) -> None:
    """Refuse labels without text, two of one text, which no prediction tells apart, and two of one cell."""
    keys, texts = dict[str, Any](), dict[str, Any]()
    for key, text in labels.items():
        if not text.strip():
            raise Refused(f"labels: {key!r} is {text!r}, which leaves no text to learn")
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


def _rouge(targets: list[str], predictions: list[str], labels: Labels, words: RougeWords = "ascii") -> Scores:
    return metrics.rouge(targets, predictions, words)


def _bleu(targets: list[str], predictions: list[str], labels: Labels) -> Scores:
    return metrics.bleu(targets, predictions)


OF_CLASSES = {"f1": _f1, "macro_f1": _macro_f1, "matthews": _matthews}
OF_NUMBERS = {"pearson", "spearman"}
METRICS: dict[str, Metric] = {
    "accuracy": _accuracy,
    **OF_CLASSES,
    **dict.fromkeys(("pearson", "spearman"), _correlation),
    **dict.fromkeys(("exact_match", "word_f1"), _squad),
    **dict.fromkeys(("rouge1", "rouge2", "rougeLsum"), _rouge),
    "bleu": _bleu,
}
"""The metrics of an own task by name: of texts as they stand, of classes, numbers, answers and sentences."""
