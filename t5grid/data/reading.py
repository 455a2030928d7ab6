"""a task's texts <-> ids: how a model is asked, taught and understood.

A text-to-text model reads and writes text. One with output layers reads `[CLS] first [SEP] second [SEP]`, is
taught by targets in their places, and answers with numbers that only the kind of answer makes a text of.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from t5grid.data.batching import finish
from t5grid.data.feeds import padded
from t5grid.data.place_targets import FIRST_TASK, asked
from t5grid.data.roundtrip import Unanswerable
from t5grid.data.special_ids import EOS, class_id, delimiter_id
from t5grid.data.vocabulary import BLANK, Vocabulary
from t5grid.refused import Refused
from t5grid.tasks.answer import Answer, Class, Number, Span, Tags
from t5grid.tasks.task import Record

Pair = tuple[list[int], list[int]]
Batch = dict[str, np.ndarray]
STEPS = 1000
"""Steps that the range of a number is divided into."""
SHOWN = 40
"""Characters of a text in a complaint."""
START, END = 1, 2
"""Answers in the places of a span; their sum where it is one piece."""


class LongRow(Unanswerable):
    """A row of a task that is longer than its column's room."""


@dataclass(frozen=True)
class TextReading:
    """Inputs and targets as text."""

    vocabulary: Vocabulary
    length: int

    def encode(self, task: str, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text."""
        return self.vocabulary.encode(list(texts))

    def batch(self, task: str, ids: Sequence[Sequence[int]]) -> Batch:
        """What a model is given to answer some of them."""
        return {"inputs": finish(padded(ids), self.length)}

    def text(self, task: str, ids: Sequence[int], answer: Sequence[int]) -> str:
        """What it answered."""
        return self.vocabulary.decode(answer)


@dataclass(frozen=True)
class Piece:
    """A piece of a text: its id, and where in the text it begins and ends."""

    id: int
    begin: int
    end: int


@dataclass(frozen=True)
class Marked:
    """Texts as an encoder reads them: their pieces by place, None at the marks, and the text each is of."""

    ids: list[int]
    pieces: list[Piece | None]
    part: list[int]

    def turned(self) -> "Marked":
        """The same with its first place last."""
        return Marked(*([*values[1:], values[0]] for values in (self.ids, self.pieces, self.part)))


@dataclass(frozen=True)
class LayerReading:
    """Rows of at most `length` ids for a model with an output layer for each of some tasks."""

    vocabulary: Vocabulary
    length: int
    answers: Mapping[str, Answer]
    at_end: bool = False
    """Whether a row is answered for at its end: `[start] first [delimiter] second [extract]`."""
    cuts: bool = False
    """Whether what is too long loses the end of the longer text, and is not refused."""
    class_last: bool = False
    """Whether [CLS] follows the texts, as in XLNet: `first [SEP] second [SEP] [CLS]`."""
    bare: bool = False
    """Whether the words that name a task and its texts are left out, where the task says which they are."""

    def refuse_longer(self, task: str, texts: Sequence[str]) -> None:
        """Raise LongRow for the longest of some texts, if it does not fit; nothing is refused that is cut."""
        parts = [] if self.cuts else [self._parts(task, text) for text in texts]
        lengths = map(len, self.vocabulary.encode([text for of_row in parts for text in of_row]))
        rows = [1 + sum(1 + next(lengths) for _ in of_row) for of_row in parts]
        if max(rows, default=0) > self.length:
            raise self._longer(task, parts[rows.index(max(rows))], max(rows))

    def _longer(self, task: str, parts: Sequence[str], num_ids: int) -> "LongRow":
        texts = f"{len(parts)} texts" if len(parts) > 1 else "text"
        row = f"task {task} has a row whose {texts} and marks are {num_ids} ids, {_beginning(parts[0])}"
        return LongRow(f"inputs_length={self.length}: {row}; give more, or write architecture.long_rows=cut")

    def pair(self, task: str, record: Record) -> Pair:
        """A record's ids, and beside them what is asked."""
        answer, parts = self.answers[task], self._parts(task, record["inputs"])
        marked = self._marked(task, parts)
        targets = [-number for number in marked.ids]
        row = len(targets) - 1 if self.at_end else 0
        for place, value in _wanted(answer, record, parts, marked, row).items():
            targets[place] = int(asked(self._head(task), value))
        return marked.ids, targets

    def encode(self, task: str, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text with its marks."""
        return [self._marked(task, self._parts(task, text)).ids for text in texts]

    def batch(self, task: str, ids: Sequence[Sequence[int]]) -> Batch:
        """What a model is given to answer some of them: the ids, and whose layer is asked."""
        return {"inputs": padded(ids), "heads": np.full((len(ids), 1), self._head(task))}

    def text(self, task: str, ids: Sequence[int], answer: Sequence[int]) -> str:
        """The answer of a layer as the task's targets are written."""
        kind = self.answers[task]
        if isinstance(kind, Class):
            return kind.labels[answer[0] - 1]
        if isinstance(kind, Number):
            return f"{kind.low + (answer[0] - 1) / STEPS * (kind.high - kind.low):.3f}"
        if isinstance(kind, Tags):
            return self._tagged(kind, ids, answer)
        return self.vocabulary.decode(ids[answer[0] : answer[1] + 1])

    def _tagged(self, kind: Tags, ids: Sequence[int], answer: Sequence[int]) -> str:
        """Each word under the tag of its first piece that has letters."""
        words: list[list[int]] = []
        tags: list[int] = []
        for number, tag in zip(ids, answer, strict=False):
            if number == EOS or number >= self.vocabulary.num_pieces:
                continue
            piece = self.vocabulary.piece(number)
            if piece.startswith(BLANK) or not words:
                words.append([])
            words[-1].append(number)
            if piece.strip(BLANK) and len(tags) < len(words):
                tags.append(tag)
        labels = [("", *kind.labels)[tag - 1] for tag in tags]
        return kind.written([self.vocabulary.decode(word) for word in words], labels)

    def _head(self, task: str) -> int:
        return FIRST_TASK + list(self.answers).index(task)

    def _parts(self, task: str, inputs: str) -> list[str]:
        answer = self.answers[task]
        return [part for part in (answer.bare if self.bare else answer.parts)(inputs) if part]

    def _marked(self, task: str, parts: Sequence[str]) -> Marked:
        """`[CLS] first [SEP] second [SEP]`. Raises LongRow for what is too long, unless that is cut."""
        pieces = [[Piece(*piece) for piece in self.vocabulary.spelled(part)] for part in parts]
        while (num_ids := sum(map(len, pieces)) + 1 + len(pieces)) > self.length:
            if not self.cuts:
                raise self._longer(task, parts, num_ids)
            max(pieces, key=len).pop()
        marked = Marked([class_id(self.vocabulary.size)], [None], [-1])
        for number, part in enumerate(pieces):
            delimits = self.at_end and not self.class_last and number + 1 < len(pieces)
            between = delimiter_id(self.vocabulary.size) if delimits else EOS
            marked.ids.extend([*(piece.id for piece in part), between])
            marked.pieces.extend([*part, None])
            marked.part.extend([number] * (len(part) + 1))
        return marked.turned() if self.class_last else marked


def _beginning(text: str) -> str:
    return repr(text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…")


def _wanted(answer: Answer, record: Record, parts: Sequence[str], marked: Marked, row: int) -> dict[int, int]:
    """Place -> answer of one record; empty where its target is none of those there can be.

    `row` is the place where the row is answered for.
    """
    target = record["targets"]
    if isinstance(answer, Class):
        return {row: answer.labels.index(target) + 1} if target in answer.labels else {}
    if isinstance(answer, Number):
        share = (float(target) - answer.low) / max(answer.high - answer.low, 1e-9)
        return {row: 1 + round(min(max(share, 0.0), 1.0) * STEPS)}
    if isinstance(answer, Tags):
        return _tags(answer, record["tags"], parts, marked)
    assert isinstance(answer, Span)
    return _span(target, parts, marked)


def _span(target: str, parts: Sequence[str], marked: Marked) -> dict[int, int]:
    """The first and the last place of the target in the last text that has it."""
    for number in reversed(range(len(parts))):
        if (at := parts[number].find(target)) >= 0:
            inside = _places(marked, number, at, at + len(target))
            if len(inside) > 1:
                return {inside[0]: START, inside[-1]: END}
            return dict.fromkeys(inside, START + END)
    return {}


def _places(marked: Marked, part: int, begin: int, end: int) -> list[int]:
    """The places whose pieces lie, at least in part, between two characters of a text."""
    return [
        place
        for place, piece in enumerate(marked.pieces)
        if piece is not None and marked.part[place] == part and piece.begin < end and piece.end > begin
    ]


def _tags(answer: Answer, tags: Sequence[str], parts: Sequence[str], marked: Marked) -> dict[int, int]:
    """The tag of each word in the place of its first piece: 1 for none, then the labels.

    Raises Refused where there are not as many tags as words.
    """
    assert isinstance(answer, Tags)
    words = [(number, *span) for number, part in enumerate(parts) for span in _words_of(part)]
    if len(words) != len(tags):
        raise Refused(
            f"{len(tags)} tags for {len(words)} words: {_beginning(parts[0])}; one a word is needed"
        )
    wanted = {}
    for (number, begin, end), tag in zip(words, tags, strict=True):
        if inside := _places(marked, number, begin, end):
            wanted[inside[0]] = 1 + ("", *answer.labels).index(tag)
    return wanted


def _words_of(text: str) -> Iterator[tuple[int, int]]:
    """Where each word begins and ends, as blanks part them."""
    at = 0
    for word in text.split(" "):
        yield at, at + len(word)
        at += len(word) + 1


def reading_of(model: Any, vocabulary: Vocabulary, length: int) -> TextReading | LayerReading:
    """How a model is asked and understood: by its output layers, or as one that writes text."""
    answers = getattr(model, "answers", None)
    if not answers:
        return TextReading(vocabulary, length)
    return LayerReading(
        vocabulary,
        length,
        answers,
        model.answers_at_end,
        model.cuts_rows,
        model.class_last,
        model.reads_bare,
    )
