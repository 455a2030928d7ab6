"""SQuAD row -> {inputs, targets, answers}: extractive question answering as text to text.

Inputs are `question: <question> context: <context>`, targets the first answer (paper, appendix D). As in the
original code, punctuation stands apart from words in all of them, and runs of blanks become one; predictions
are compared with all answers in that same form.
"""

import re
import string
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from t5grid.data.tasks.hub import Row, check_columns, digest, evenly_spaced, load_rows
from t5grid.data.tasks.task import Record
from t5grid.evaluation.metrics import Scores, squad

SPACINGS = {
    "ascii": re.compile(f"([{re.escape(string.punctuation)}])"),
    "non_word_2019": re.compile(r"([^0-9A-Za-z_])"),
    "none": re.compile(r"((?!))"),  # matches nowhere
}
"""What gets a blank on both sides, by name: ASCII punctuation (the authors' code since 2020); every character
that is no ASCII letter, digit or `_` (the release of 2019, which split accented letters off too); nothing."""
_BLANKS = re.compile(r"[\t\n\f\r ]+")


@dataclass(frozen=True)
class SQuAD:
    """`question: Who ' s it ? context: Zoe , a chef .` -> `Zoe`.

    Args:
        repository: name on the Hugging Face hub.
        root: folder with a local copy of the repository; None reads the hub.
        revision: commit or tag on the hub; None is the newest.
        num_train: rows of the train split to use, evenly spaced over it; None uses all.
        num_validation: the same for the validation split.
        spacing: which characters are set apart, a key of `SPACINGS`.

    Raises:
        ValueError: an unknown spacing.
    """

    repository: str = "rajpurkar/squad"
    root: str | None = None
    revision: str | None = None
    num_train: int | None = None
    num_validation: int | None = None
    spacing: str = "ascii"

    name: ClassVar[str] = "squad"
    config: ClassVar[str] = "plain_text"
    reported: ClassVar[tuple[str, ...]] = ("em",)

    def __post_init__(self) -> None:
        if self.spacing not in SPACINGS:
            raise ValueError(f"squad spacing is {self.spacing!r}, expected one of {', '.join(SPACINGS)}")

    def records(self, split: str) -> list[Record]:
        """Records of "train" or "validation".

        Raises:
            ValueError: one line that names the data set, the split and the row.
        """
        rows = load_rows(self.repository, self.config, split, self.root, self.revision)
        where = f"data set {self.repository} ({self.config}, {split})"
        check_columns(rows, ["question", "context"], ["answers"], where)
        for number, row in enumerate(rows):
            _check_answers(row["answers"], f"{where}, row {number}")
        count = {"train": self.num_train, "validation": self.num_validation}.get(split)
        return [self.record(row) for row in evenly_spaced(rows, count)]

    def record(self, row: Row) -> Record:
        """The record of one row, with all its `answers` spaced like the inputs."""
        answers = [self.spaced(answer) for answer in row["answers"]["text"]]
        inputs = f"question: {self.spaced(row['question'])} context: {self.spaced(row['context'])}"
        return {"inputs": _BLANKS.sub(" ", inputs), "targets": answers[0], "answers": answers}

    def spaced(self, text: str) -> str:
        """The text with a blank on both sides of what the spacing names, and single blanks throughout.

        >>> SQuAD().spaced("it's 3.5%")
        "it ' s 3 . 5 % "
        """
        return _BLANKS.sub(" ", SPACINGS[self.spacing].sub(r" \1 ", text))

    def score(self, records: list[Record], predictions: list[str]) -> Scores:
        """Exact match and F1, 0 to 100, each the best over a question's answers."""
        return squad([record["answers"] for record in records], predictions)

    def fingerprint(self) -> str:
        """Hash of the train and validation records; read once an instance."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        return digest([*self.records("train"), *self.records("validation")])


def _check_answers(answers: object, where: str) -> None:
    texts = answers.get("text") if isinstance(answers, dict) else None
    if not texts or not all(isinstance(text, str) for text in texts):
        raise ValueError(f"{where}: answers are {str(answers)[:80]}, expected a dict with at least one text")
