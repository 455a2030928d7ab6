"""The entities of a sentence: what is tagged, and what their F1 counts."""

import random

import pytest
from sklearn.metrics import precision_recall_fscore_support

from t5grid.config.schema import load_cell
from t5grid.data.characters import Characters
from t5grid.data.reading import LayerReading
from t5grid.data.vocabulary import Vocabulary
from t5grid.nano import lexicon
from t5grid.nano.tagging import TAGS, Entities, tagged
from t5grid.refused import Refused
from t5grid.tasks.metrics import entity_f1

TASK = Entities(num_train=200, num_validation=60, num_test=60)
CLASSES = {"person": lexicon.NAMES, "place": lexicon.PLACES, "thing": lexicon.THINGS}


def test_words_with_a_mark_are_the_entities_in_their_order() -> None:
    record = tagged(
        "the cup|thing of Anna|person fell and Bo|person met a friend at the old|place mill|place"
    )
    assert record["targets"] == "thing: cup; person: Anna; person: Bo; place: old mill"
    assert (
        record["inputs"].startswith("entities sentence: The cup of Anna fell and")
        and "mill ." in record["inputs"]
    )
    assert list(zip(record["inputs"].split(" "), record["tags"], strict=True))[3:6] == [
        ("cup", "thing"), ("of", ""), ("Anna", "person")
    ]  # fmt: skip


def test_names_places_and_things_are_tagged_and_a_word_with_two_senses_by_the_one_it_has() -> None:
    senses: dict[str, set[str]] = {}
    synonyms = {second: first for first, second in lexicon.SYNONYM.items()}
    for record in TASK.records("train"):
        for word, tag in zip(record["inputs"].split(" "), record["tags"], strict=True):
            if word in lexicon.TWO_SENSES:
                senses.setdefault(word, set()).add(tag)
            elif tag:
                assert {word, synonyms.get(word, word)} & set(CLASSES[tag]), (word, tag)
            else:
                assert word not in lexicon.NAMES
    assert {word for word, tags in senses.items() if len(tags) > 1} >= {"bank", "club"} | {"bat", "ruler"}


def test_splits_share_no_facts_and_a_larger_one_begins_with_a_smaller() -> None:
    texts = {split: {record["inputs"] for record in TASK.records(split)} for split in ("train", "validation")}
    assert not texts["train"] & texts["validation"] and len(texts["train"]) == 200
    assert Entities(num_train=20).records("train") == TASK.records("train")[:20]


def spans(tags: list[str]) -> set[tuple[str, int, int]]:
    """Tag, first place and end of each run, as conlleval and seqeval take them of tags without B and I."""
    found, start = set(), 0
    for place in range(1, len(tags) + 1):
        if place == len(tags) or tags[place] != tags[start]:
            found |= {(tags[start], start, place)} if tags[start] else set()
            start = place
    return found


def test_entity_f1_is_that_of_the_spans_where_no_word_stands_twice() -> None:
    rng = random.Random(0)
    words = [f"w{number}" for number in range(30)]
    gold, guessed = ([rng.choices(["", "", "person", "thing"], k=30) for _ in range(20)] for _ in range(2))
    guessed = [
        [g if rng.random() < 0.7 else h for g, h in zip(*rows, strict=True)]
        for rows in zip(gold, guessed, strict=True)
    ]
    texts = [[TAGS.entities(TAGS.written(words, tags)) for tags in rows] for rows in (gold, guessed)]
    pairs = [(spans(own), spans(given)) for own, given in zip(gold, guessed, strict=True)]
    every = [(span in own, span in given) for own, given in pairs for span in own | given]
    *_, f1, _ = precision_recall_fscore_support(*zip(*every, strict=True), average="binary")
    assert entity_f1(*texts)["entity_f1"] == pytest.approx(100 * f1) and 10 < 100 * f1 < 90


@pytest.mark.parametrize(
    ("target", "prediction", "score"),
    [
        ("person: Anna; place: mill", "person: Anna; place: mill", 100.0),
        ("person: Anna; place: mill", "place: mill ;person:  Anna", 100.0),
        ("person: Anna; place: mill", "person: Anna; thing: mill", 50.0),
        ("person: Anna", "person: Anna; person: Anna", 200 / 3),
        ("person: Anna; person: Anna", "person: Anna", 200 / 3),
        ("person: Anna", "Anna", 0.0),
        ("person: Anna", "", 0.0),
        ("person: old Anna", "person: Anna", 0.0),
    ],
)
def test_an_entity_is_right_once_with_all_its_words_under_its_tag(
    target: str, prediction: str, score: float
) -> None:
    assert TASK.score([{"targets": target}], [prediction])["entity_f1"] == pytest.approx(score)


def test_the_suite_is_nano_with_a_column_that_encoders_answer_by_tags_and_t5_by_text() -> None:
    suite = load_cell(["suite=nano_tagging"]).suite
    assert (
        list(suite.columns)[:-1] == list(load_cell([]).suite.columns)
        and list(suite.columns)[-1] == "entities"
    )
    cell = load_cell(["suite=nano_tagging", "architecture=bert", "objective=masked_lm"])
    assert list(cell.strategy.stages(cell)) == ["sentences", "questions", "reasoning", "entities"]
    task = suite.columns["entities"].tasks["entities"]
    reading = LayerReading(Vocabulary(Characters().make(iter(()))), 400, {"entities": task.answer})
    for record in TASK.records("test")[:20]:
        ids, targets = reading.pair("entities", record)
        answer = [max(1, number & 0xFFFFF) if number > 0 else 1 for number in targets]
        assert TAGS.entities(reading.text("entities", ids, answer)) == TAGS.entities(record["targets"])


def test_as_many_tags_as_words_are_needed() -> None:
    reading = LayerReading(Vocabulary(Characters().make(iter(()))), 40, {"task": TAGS})
    with pytest.raises(Refused, match=r"^1 tags for 2 words: 'Anna left'; one a word is needed"):
        reading.pair("task", {"inputs": "Anna left", "targets": "", "tags": ["person"]})
