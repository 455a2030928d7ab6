"""records + template + vocabulary -> questions as ids, with examples that fit.

A pre-trained model is asked in the form of what it was trained to do: an objective says which
(`Objective.prompt_form`).
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from t5grid.data.prompts import Fields, Template
from t5grid.data.roundtrip import Unanswerable
from t5grid.data.special_ids import mask_id
from t5grid.data.stream import generator
from t5grid.data.vocabulary import Vocabulary
from t5grid.refused import Refused
from t5grid.tasks.answer import Class, answer_of
from t5grid.tasks.task import Record

Ids = list[int]
Form = Callable[[Ids, int], tuple[Ids, Ids]]
FORMS: Mapping[str, Form] = {
    "continuation": lambda prompt, vocab_size: ([], prompt),
    "prefix": lambda prompt, vocab_size: (prompt, []),
    "sentinel": lambda prompt, vocab_size: ([*prompt, mask_id(vocab_size)], [mask_id(vocab_size)]),
}
"""(ids of a prompt, size of the vocabulary) -> the inputs, without end mark, and how the targets begin.

A text that goes on: `A B` -> ``, `A B`. Inputs that the targets go on with: `A B` -> `A B`, ``. A text with
a gap at its end: `A B` -> `A B <X>`, `<X>`.
"""


@dataclass(frozen=True)
class Question:
    """A prompt: its words, how many examples it has, and the ids that a model gets.

    `inputs` come without their end mark; `start` is what the targets begin with. `choices` are the ids of
    each answer there can be, by target; none where the answer is written.
    """

    text: str
    num_shots: int
    fields: Fields
    inputs: Ids
    start: Ids
    choices: dict[str, Ids]


@dataclass(frozen=True)
class Shots:
    """Which solved examples stand in a prompt.

    `number` is how many, None as many as fit. `balanced` takes classes in turn; `anew` draws others for each
    question.
    """

    number: int | None
    balanced: bool
    anew: bool
    seed: int

    def order(self, name: str, labels: Sequence[str] | None, size: int, question: int) -> list[int]:
        """The places of `size` records as they are drawn; a larger number of them begins with a smaller.

        With `labels`, one a record, the classes take turns.
        """
        drawn = self._generator(name, question).permutation(size).tolist()
        return drawn if labels is None else _in_turn(drawn, labels)

    def _generator(self, name: str, question: int) -> Any:
        return generator(self.seed, "examples", name, *([question] if self.anew else []))


def _in_turn(drawn: Sequence[int], labels: Sequence[str]) -> list[int]:
    """The same places, those of each label in turn; labels come as they were drawn first."""
    of_label: dict[str, list[int]] = {}
    for place in drawn:
        of_label.setdefault(labels[place], []).append(place)
    rounds = range(max(map(len, of_label.values()), default=0))
    return [places[i] for i in rounds for places in of_label.values() if i < len(places)]


@dataclass(frozen=True)
class Asking:
    """How the records of one task become questions; a prompt has at most `length` ids, marks counted."""

    name: str
    task: Any
    template: Template
    shots: Shots
    form: str
    length: int
    vocabulary: Vocabulary

    def questions(self, records: Sequence[Record], training: Sequence[Record]) -> Iterator[Question]:
        """A question for each record. Raises Refused naming the template's key and the record (from 0).

        Examples come from the training rows, or where they share a field with the question from the records
        before it.
        """
        if not self.template.shares:
            refuse_too_many(self.shots.number, f"task {self.name}{named(self.task)}", len(training))
        with placed(self.key):
            examples = self._shared(records) if self.template.shares else self._drawn(training)
        for place, record in enumerate(records):
            with placed(self.key, f" (record {place} of {self.name})"):
                question = self.question(record, examples(place))
            yield question

    def alone(self) -> "Asking":
        """The same without examples."""
        return replace(self, shots=replace(self.shots, number=0))

    @property
    def key(self) -> str:
        """Where its template is set."""
        return f"strategy.templates.{self.name}"

    def question(self, record: Record, examples: Sequence[str]) -> Question:
        """The question of a record after as many of the last examples as fit. Raises Refused."""
        fields = self.template.fields(record)
        num_shots = self._most_that_fit(fields, examples)
        text = self.template.prompt(fields, examples[len(examples) - num_shots :])
        prompt, choices = self._encoded(text, fields)
        return Question(text, num_shots, fields, *self._formed(prompt), choices)

    def unconditional(self, question: Question) -> Question:
        """The same answers after no question."""
        text = self.template.unconditional
        texts = [f"{text} {words}" for words in self.template.choices(self.task, question.fields).values()]
        prompt, answers = self._apart(text, texts)
        choices = dict(zip(question.choices, answers, strict=True))
        return Question(text, 0, question.fields, *self._formed(prompt), choices)

    # --- which examples -------------------------------------------------------------------------

    def _drawn(self, training: Sequence[Record]) -> Callable[[int], list[str]]:
        """Solved training rows for the question at a place, the first drawn next to the question."""
        number = min(self.length, len(training)) if self.shots.number is None else self.shots.number
        has_classes = self.template.answers is not None or isinstance(answer_of(self.task), Class)
        balanced = self.shots.balanced and has_classes
        labels = [record["targets"] for record in training] if balanced and number else None
        known: dict[int, list[str]] = {}

        def examples(place: int) -> list[str]:
            place = place if self.shots.anew else 0
            if place not in known:
                order = self.shots.order(self.name, labels, len(training), place)[:number] if number else []
                known.clear()
                known[place] = [self._solved(training[i]) for i in reversed(order)]
            return known[place]

        return examples

    def _shared(self, records: Sequence[Record]) -> Callable[[int], list[str]]:
        """Solved earlier records that share a field with the one at a place, the nearest last."""
        shares, number = self.template.shares, self.shots.number
        before, places = dict[str, list[int]](), []
        for i, record in enumerate(records):
            alike = before.setdefault(self.template.fields(record)[shares or ""], [])
            places.append(alike[max(0, len(alike) - (len(alike) if number is None else number)) :])
            alike.append(i)
        solved = dict[int, str]()

        def examples(place: int) -> list[str]:
            for i in places[place]:
                if i not in solved:
                    solved[i] = self._solved(records[i])
            return [solved[i] for i in places[place]]

        return examples

    def _solved(self, record: Record) -> str:
        fields = self.template.fields(record)
        return self.template.solved(fields, self.template.answer(record, fields))

    # --- how it becomes ids ---------------------------------------------------------------------

    def _most_that_fit(self, fields: Fields, examples: Sequence[str]) -> int:
        """How many of the last examples a prompt has room for. Raises Unanswerable."""

        def size(number: int) -> int:
            return self._size(self.template.prompt(fields, examples[len(examples) - number :]))

        if size(len(examples)) <= self.length:
            return len(examples)
        if size(0) > self.length:
            room = f"strategy.prompt_length={self.length}"
            raise Unanswerable(f"question: alone it has {size(0)} ids, more than {room}")
        return bisect_left(range(len(examples)), True, key=lambda number: size(number) > self.length) - 1

    def _size(self, text: str) -> int:
        """How many ids a prompt has, with its marks."""
        inputs, start = self._formed(self.vocabulary.encode([text])[0])
        return len(inputs) + 1 if inputs else len(start)

    def _formed(self, prompt: Ids) -> tuple[Ids, Ids]:
        return FORMS[self.form](prompt, self.vocabulary.size)

    def _encoded(self, text: str, fields: Fields) -> tuple[Ids, dict[str, Ids]]:
        """The ids of a prompt, and those of each answer there can be after it."""
        if not self.template.closed(self.task):
            return self.vocabulary.encode([text])[0], {}
        said = self.template.choices(self.task, fields)
        texts = [self.template.gone_on(text, fields, words) for words in said.values()]
        prompt, answers = self._apart(text, texts)
        for target, ids in zip(said, answers, strict=True):
            first = list(said)[answers.index(ids)]
            if not ids or first != target:
                two = (
                    f"{said[first]!r} and {said[target]!r} are one" if ids else f"{said[target]!r} is nothing"
                )
                raise Unanswerable(f"answers: {two} in the ids of this vocabulary")
        return prompt, dict(zip(said, answers, strict=True))

    def _apart(self, prompt: str, texts: Sequence[str]) -> tuple[Ids, list[Ids]]:
        """The ids of a prompt that all texts which go on with it begin with, and what is left of each."""
        start, *wholes = self.vocabulary.encode([prompt, *texts])
        end = min(_num_common(start, whole) for whole in wholes)
        return start[:end], [whole[end:] for whole in wholes]


def refuse_too_many(number: int | None, name: str, num_rows: int) -> None:
    """Raise Refused for more examples than a task has training rows."""
    if number is not None and number > num_rows:
        raise Refused(f"strategy.num_shots={number}: {name} has {num_rows} training rows")


def named(task: Any) -> str:
    """The file or data set that a task's training rows are in, in brackets; empty if it reads none."""
    files = [str(split) for split in getattr(task, "needed_splits", ()) if split.role == "train"]
    return f" ({files[0]})" if files else ""


@contextmanager
def placed(key: str, where: str = "") -> Iterator[None]:
    """What a template refuses within, with the key where it is set."""
    try:
        yield
    except Refused as error:
        raise type(error)(f"{key}.{error}{where}") from None


def _num_common(one: Ids, other: Ids) -> int:
    """How many ids two begin with in common."""
    pairs = zip(one, other, strict=False)
    return next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))
