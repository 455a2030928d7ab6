"""Prompts as ids: which examples, how many fit, and where an answer goes."""

import string
from dataclasses import dataclass
from typing import Any

import pytest

from t5grid.data.prompts import Template
from t5grid.data.roundtrip import Unanswerable
from t5grid.data.shots import Asking, Shots
from t5grid.data.vocabulary import Trained, Vocabulary
from t5grid.refused import Refused
from t5grid.tasks.answer import Answer, Class, Text

CITY = [f"{one}{two}" for one in ("Ka", "Mi", "Te", "So", "Na") for two in ("lo", "ru", "pi")]


@dataclass(frozen=True)
class Toy:
    """A task of so many classes; none is free text."""

    labels: tuple[str, ...] = ()

    @property
    def answer(self) -> Answer:
        return Class(self.labels) if self.labels else Text()


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    texts = [f'{one} is {two}. Q: {string.ascii_letters} A: yes no {two} "x"' for one in CITY for two in CITY]
    return Vocabulary(Trained(num_pieces=72).make(iter(texts)))


def rows(number: int, labels: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """Rows of which the first half has the first label."""
    of = [labels[i * len(labels) // number] if labels else CITY[i] for i in range(number)]
    return [{"inputs": f"{CITY[i]} is", "targets": target} for i, target in enumerate(of)]


def asking(vocabulary: Vocabulary, **changed: Any) -> Asking:
    shots = Shots(changed.pop("number", 0), changed.pop("balanced", False), changed.pop("anew", False), 0)
    how = {"task": Toy(), "template": Template(), "form": "continuation", "length": 400} | changed
    return Asking(name="toy", shots=shots, vocabulary=vocabulary, **how)


def texts(given: Asking, records: list[Any], training: list[Any]) -> list[str]:
    return [question.text for question in given.questions(records, training)]


# --- which examples -------------------------------------------------------------------------------


def test_examples_are_drawn_once_for_all_questions_and_more_begin_with_fewer(vocabulary: Vocabulary) -> None:
    records, training = rows(3), rows(12)
    two, four = (texts(asking(vocabulary, number=number), records, training) for number in (2, 4))
    alone = texts(asking(vocabulary), records, training)
    assert alone == ["Kalo is", "Karu is", "Kapi is"]
    examples = [text.removesuffix(question) for text, question in zip(four, alone, strict=True)]
    assert len(set(examples)) == 1 and examples[0].count(" is ") == 4
    assert all(long.endswith(short) for long, short in zip(four, two, strict=True))


def test_examples_drawn_anew_differ_from_question_to_question_and_come_again(vocabulary: Vocabulary) -> None:
    given = asking(vocabulary, number=3, anew=True)
    found = texts(given, rows(4), rows(12))
    assert len({text.rsplit(" ", 2)[0] for text in found}) == 4
    assert found == texts(given, rows(4), rows(12))


def test_classes_take_turns_in_balanced_examples() -> None:
    labels = ["a"] * 8 + ["b"] * 3 + ["c"]
    order = Shots(6, True, False, 1).order("toy", labels, 12, 0)
    assert sorted(order) == list(range(12))
    drawn = [labels[place] for place in order]
    assert sorted(drawn[:3]) == ["a", "b", "c"] and drawn[3:8].count("b") == 2 and drawn[8:] == ["a"] * 4


def test_only_classes_are_balanced(vocabulary: Vocabulary) -> None:
    training = rows(12, ("no", "yes"))
    shown = asking(vocabulary, number=4, balanced=True, task=Toy(("no", "yes")))
    (text,) = texts(shown, rows(1), training)
    assert (text.count(" no"), text.count(" yes")) == (2, 2)
    free = [texts(asking(vocabulary, number=4, balanced=value), rows(1), training) for value in (True, False)]
    assert free[0] == free[1]


def test_examples_that_share_a_field_are_the_records_before(vocabulary: Vocabulary) -> None:
    template = Template(
        inputs="{q} of {text}", prefix="{text}: ", question="{q}", example="{q} {answer}", shares="text",
        separator="; ",
    )  # fmt: skip
    pairs = [("a", "X"), ("b", "Y"), ("c", "X"), ("d", "X"), ("e", "Y")]
    records = [{"inputs": f"{q} of {text}", "targets": q.upper()} for q, text in pairs]
    found = texts(asking(vocabulary, number=None, template=template), records, [])
    assert found == ["X: a", "Y: b", "X: a A; c", "X: a A; c C; d", "Y: b B; e"]
    assert texts(asking(vocabulary, number=1, template=template), records, [])[3] == "X: c C; d"


def test_more_examples_than_training_rows_are_refused(vocabulary: Vocabulary) -> None:
    with pytest.raises(Refused, match=r"^strategy\.num_shots=13: task toy has 12 training rows$"):
        texts(asking(vocabulary, number=13), rows(1), rows(12))


# --- what fits ------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["continuation", "prefix", "sentinel"])
def test_whole_examples_are_dropped_from_the_front_until_the_prompt_fits(
    vocabulary: Vocabulary, form: str
) -> None:
    records, training = rows(3), rows(12)
    whole = texts(asking(vocabulary, number=12, form=form), records, training)
    for length in (12, 30, 55):
        given = asking(vocabulary, number=12, form=form, length=length)
        for text, question in zip(whole, given.questions(records, training), strict=True):
            assert 0 < question.num_shots < 12 and text.endswith(question.text)
            assert question.text.count(" is") == question.num_shots + 1
            marks = {"continuation": 0, "prefix": 1, "sentinel": 2}[form]
            size = len(vocabulary.encode([question.text])[0]) + marks
            assert size <= length and size == len(question.inputs or question.start) + (
                form != "continuation"
            )
            one_more = " ".join(text.split()[-(3 * (question.num_shots + 1) + 2) :])
            assert len(vocabulary.encode([one_more])[0]) + marks > length


def test_as_many_as_fit_are_no_fewer_than_a_number_that_is_too_large(vocabulary: Vocabulary) -> None:
    records, training = rows(3), rows(12)
    found = [
        [question.num_shots for question in given.questions(records, training)]
        for given in (asking(vocabulary, number=number, length=40) for number in (None, 12))
    ]
    assert found[0] == found[1] and min(found[0]) >= 3
    everything = asking(vocabulary, number=None).questions(records, training)
    assert [question.num_shots for question in everything] == [12, 12, 12]


def test_a_question_that_does_not_fit_alone_is_refused_by_key_and_record(vocabulary: Vocabulary) -> None:
    records = [*rows(1), {"inputs": "Kalo " * 20, "targets": "no"}]
    size = len(vocabulary.encode([records[1]["inputs"].rstrip()])[0])
    line = (
        rf"^strategy\.templates\.toy\.question: alone it has {size} ids, more than strategy\.prompt_length=9"
    )
    with pytest.raises(Unanswerable, match=rf"{line} \(record 1 of toy\)$"):
        texts(asking(vocabulary, length=9, number=2), records, rows(12))


# --- ids ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "inputs", "start"),
    [("continuation", 0, 1), ("prefix", 1, 0), ("sentinel", 1, 0)],
)
def test_a_model_is_asked_in_the_form_it_was_taught(
    vocabulary: Vocabulary, form: str, inputs: int, start: int
) -> None:
    (ids,) = vocabulary.encode(["Kalo is"])
    gap = [vocabulary.size - 1] if form == "sentinel" else []
    (question,) = asking(vocabulary, form=form).questions(rows(1), [])
    assert (question.inputs, question.start) == ((ids + gap) * inputs, ids * start + gap)


def test_choices_are_the_ids_that_follow_the_prompt_in_the_whole_text(vocabulary: Vocabulary) -> None:
    task = Toy(("no", "yes", "Kalo"))
    (question,) = asking(vocabulary, task=task).questions([{"inputs": "Miru is", "targets": "no"}], [])
    for label, ids in question.choices.items():
        assert question.start + ids == vocabulary.encode([f"Miru is {label}"])[0]
        assert vocabulary.decode(ids) == label
    quoted = Template(example='{inputs} "{answer}".', scoring="likelihood")
    (question,) = asking(vocabulary, task=task, template=quoted).questions(rows(1), [])
    for label, ids in question.choices.items():
        assert question.start + ids == vocabulary.encode([f'Kalo is "{label}'])[0]


def test_an_answer_without_its_question_follows_the_unconditional_text(vocabulary: Vocabulary) -> None:
    given = asking(vocabulary, task=Toy(("no", "yes")), template=Template(scoring="unconditional"))
    (question,) = given.questions(rows(1), [])
    alone = given.unconditional(question)
    assert {label: vocabulary.decode(alone.start + ids) for label, ids in alone.choices.items()} == {
        "no": "Answer: no", "yes": "Answer: yes",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("labels", "line"),
    [
        (("yes", "~", "|"), "'~' and '|' are one"),
        (("no", " "), "' ' is nothing"),
        (("no", "n o"), ""),
    ],
)
def test_answers_that_the_vocabulary_takes_for_one_are_refused(
    vocabulary: Vocabulary, labels: tuple[str, ...], line: str
) -> None:
    given = asking(vocabulary, task=Toy(labels))
    if not line:
        assert texts(given, rows(1), [])
        return
    with pytest.raises(Unanswerable) as refused:
        texts(given, rows(1), [])
    place = "in the ids of this vocabulary (record 0 of toy)"
    assert str(refused.value) == f"strategy.templates.toy.answers: {line} {place}"
