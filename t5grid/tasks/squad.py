"""SQuAD row -> {inputs, targets, answers}: extractive question answering.

Inputs are `question: <question> context: <context>`, targets the first answer (paper, appendix D). As in the
original code, punctuation stands apart from words in all of them (the sample of appendix D does not show it),
and runs of blanks become one; predictions are compared with all answers in that same form.
"""

import re
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from t5grid.config.rules import OneOf
from t5grid.refused import Refused
from t5grid.tasks.answer import Answer, Span
from t5grid.tasks.labelled import HubTask
from t5grid.tasks.metrics import Scores, squad
from t5grid.tasks.task import Record, Row

_NON_WORDS = re.compile(r"([^0-9A-Za-z_])")


def _punctuation_apart(text: str) -> str:
    for mark in string.punctuation:  # a pass in C for each mark there is: four times as fast as one pattern
        if mark in text:
            text = text.replace(mark, f" {mark} ")
    return text


def _single_blanks(text: str) -> str:
    for blank in "\t\n\f\r":
        text = text.replace(blank, " ")
    while "  " in text:
        text = text.replace("  ", " ")
    return text


SPACINGS: dict[str, Callable[[str], str]] = {
    "ascii": _punctuation_apart,
    "non_word_2019": lambda text: _NON_WORDS.sub(r" \1 ", text),
    "none": str,
}
"""What gets a blank on both sides, by name: ASCII punctuation (the authors' code since 2020); every character
that is no ASCII letter, digit or `_` (the release of 2019, which split accented letters off too); nothing."""


@dataclass(frozen=True)
class SQuAD(HubTask):
    """`question: Who ' s it ? context: Zoe , a chef .` -> `Zoe`.

    Args:
        spacing: which characters are set apart, a key of `SPACINGS`.
        with_context: whether the inputs hold the context; without it they are `squad trivia question: ...`.

    Raises:
        Refused: an unknown spacing.
    """

    repository: str = "rajpurkar/squad"
    spacing: Annotated[str, OneOf(tuple(SPACINGS))] = "ascii"
    with_context: bool = True

    name: ClassVar[str] = "squad"
    config: ClassVar[str] = "plain_text"
    pinned: ClassVar[str | None] = "7b6d24c440a36b6815f21b70d25016731768db1f"
    texts: ClassVar[tuple[str, ...]] = ("question", "context")
    others: ClassVar[tuple[str, ...]] = ("answers",)
    reported: ClassVar[tuple[str, ...]] = ("em",)
    chosen_by: ClassVar[tuple[str, ...]] = ("em", "f1")
    answer: ClassVar[Answer] = Span(second="context:")
    full: ClassVar[Mapping[str, int]] = {"train": 87599, "validation": 10570}

    @property
    def splits(self) -> Mapping[str, tuple[str, ...]]:
        return {"train": ("train",), "validation": ("validation",)}

    def record(self, row: Row) -> Record:
        """The record of one row: all its `answers`, spaced like the inputs, and its `title` if it has one."""
        answers = [self.spaced(answer) for answer in row["answers"]["text"]]
        question = self.spaced(row["question"])
        if self.with_context:
            inputs = f"question: {question} context: {self.spaced(row['context'])}"
        else:
            inputs = f"squad trivia question: {question}"
        title = {"title": row["title"]} if row.get("title") else {}
        return {"inputs": _single_blanks(inputs), "targets": answers[0], "answers": answers, **title}

    def _marked(self, table: Any, split: str) -> Any:
        titles = [name for name in ("title",) if name in table.schema.names]
        return table.select([*self.texts, *self.others, *titles])

    def spaced(self, text: str) -> str:
        """The text with a blank on both sides of what the spacing names, and single blanks throughout.

        >>> SQuAD().spaced("it's 3.5%")
        "it ' s 3 . 5 % "
        """
        return _single_blanks(SPACINGS[self.spacing](text))

    def score(self, records: Sequence[Record], predictions: list[str]) -> Scores:
        """Exact match and F1, 0 to 100, each the best over a question's answers."""
        return squad([record["answers"] for record in records], predictions)

    def _check(self, table: Any, role: str, where: str) -> None:
        for number, answers in enumerate(table["answers"].to_pylist()):
            texts = answers.get("text") if isinstance(answers, dict) else None
            if not texts or not all(isinstance(text, str) for text in texts):
                shown = str(answers)[:80]
                raise Refused(
                    f"{where}, row {number}: answers are {shown}, expected a dict with at least one text"
                )
