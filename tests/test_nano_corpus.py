"""The generated world: the same bytes everywhere, shards on their own, words and languages as promised."""

import hashlib
import subprocess
import sys
from itertools import combinations

import pytest

from t5grid.config.build import build
from t5grid.nano import languages, lexicon
from t5grid.nano import rubbish as crawl
from t5grid.nano.corpus import GENRES, NanoCorpus
from t5grid.nano.dice import Dice
from t5grid.nano.facts import KIND_NAMES, KINDS, Fact, answer, ask, bucket, change, draw, people, rival, say
from t5grid.nano.languages import Clause, NounPhrase


def digest(texts):
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]


def test_documents_are_the_same_bytes_on_every_machine():
    assert digest(NanoCorpus(200).documents(0)) == "638b52fcb5353236"
    assert digest(NanoCorpus(200, seed=1).documents(0)) == "38ac0dce9592020e"


def test_text_does_not_depend_on_hash_seeds():
    code = "from t5grid.nano.corpus import NanoCorpus; print(list(NanoCorpus(20).documents(0)))"
    said = [
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, check=True
        )
        for seed in ("1", "2")
    ]
    assert said[0].stdout == said[1].stdout != b""


def test_shards_do_not_depend_on_one_another():
    corpus = NanoCorpus(25, documents_per_shard=10)
    assert corpus.shards() == [0, 1, 2]
    backwards = {shard: list(corpus.documents(shard)) for shard in (2, 1, 0)}
    assert [len(backwards[shard]) for shard in corpus.shards()] == [10, 10, 5]
    assert backwards[1] == list(NanoCorpus(20, documents_per_shard=10).documents(1))
    assert len({text for texts in backwards.values() for text in texts}) == 25


def test_documents_have_24_to_85_words_and_60_on_average():
    lengths = [len(text.split()) for text in NanoCorpus(1000).documents(0)]
    assert min(lengths) >= 24 and max(lengths) <= 85
    assert 55 < sum(lengths) / len(lengths) < 65


@pytest.mark.parametrize("genre", GENRES)
def test_every_genre_writes_plain_text_without_task_prefixes(genre):
    for text in NanoCorpus(50, genres=(genre,)).documents(0):
        assert text.endswith(".") and text.isascii() and "\n" not in text and "  " not in text
        assert not any(
            mark in text for mark in ("question:", "context:", "sentence1:", "{", "}", "translate")
        )


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"num_documents": 0}, "num_documents=0: a whole number from 1 up"),
        ({"num_documents": 5, "documents_per_shard": 0}, "documents_per_shard=0: a whole number from 1 up"),
        ({"num_documents": 5, "genres": ["poem"]}, r"genres\[0\]=poem: one of life_story, opinion, "),
        ({"num_documents": 5, "genres": []}, r"genres=\[\]: a list, each one of life_story, .*, not empty,"),
        ({"num_documents": 5, "rubbish": 1.5}, r"rubbish=1\.5: a number from 0 up, at most 1, is needed"),
    ],
)
def test_impossible_corpora_are_refused_in_one_line(settings, words):
    with pytest.raises(ValueError, match=rf"^corpus\.{words}") as error:
        build(settings, "corpus", NanoCorpus)
    assert "\n" not in str(error.value)


def test_fingerprint_tells_settings_apart():
    corpora = [
        NanoCorpus(9),
        NanoCorpus(8),
        NanoCorpus(9, 1),
        NanoCorpus(9, genres=("opinion",)),
        NanoCorpus(9, 0, 3),
    ]
    assert len({corpus.fingerprint() for corpus in corpora}) == 5
    assert NanoCorpus(9).fingerprint() == NanoCorpus(9).fingerprint()


def test_buckets_do_not_depend_on_the_order_of_facts():
    one, two = Fact("Anna", "job", "baker"), Fact("Tom", "thing", "hat", "red")
    assert bucket([one, two]) == bucket([two, one])
    counts = [bucket([Fact("Anna", "job", str(number))]) for number in range(5000)]
    for name, share in (("pretraining", 0.6), ("train", 0.2), ("validation", 0.1), ("test", 0.1)):
        assert abs(counts.count(name) / 5000 - share) < 0.03


def test_a_word_of_a_class_is_in_no_other_class():
    classes = (lexicon.FOODS, lexicon.ANIMALS, lexicon.THINGS, lexicon.PLACES, lexicon.HOBBIES, lexicon.JOBS)
    for words in (*classes, lexicon.NAMES, lexicon.PRAISE, lexicon.BLAME, lexicon.COLOURS, lexicon.STATES):
        assert len(set(words)) == len(words)
    for one, other in combinations(classes, 2):
        assert not set(one) & set(other)
    assert not set(lexicon.PRAISE) & set(lexicon.BLAME)
    assert (len(lexicon.NAMES), len(lexicon.THINGS), len(lexicon.PRAISE), len(lexicon.BLAME)) == (
        100,
        60,
        40,
        40,
    )


def test_a_synonym_is_nobody_elses_word():
    stand_ins = list(lexicon.SYNONYM.values())
    assert len(set(stand_ins)) == len(stand_ins)
    taken = {word for kind in KINDS.values() for word in (*kind.values, *kind.extras)}
    assert sorted(set(stand_ins) & taken) == []


@pytest.mark.parametrize("kind", KIND_NAMES)
def test_every_phrasing_shows_subject_and_answer(kind):
    dice = Dice("test")
    fact = draw(dice, "Anna", kind)
    for template in KINDS[kind].phrases:
        text = say(fact, dice, synonyms=0.0, template=template)
        assert "Anna" in text and answer(fact) in text
    assert answer(fact) not in ask(fact, dice).split()
    assert answer(change(fact, dice)) != answer(fact) != answer(rival(dice, fact, "Tom"))


def test_individuals_share_no_value():
    for number in range(50):
        facts = [fact for person in people(Dice(number), (3, 3, 2)) for fact in person]
        words = [word for fact in facts for word in fact[2:] if word]
        assert len(set(words)) == len(words)


def test_pronouns_follow_the_name():
    fact = Fact("Tom", "job", "actor")
    assert say(fact, Dice(0), pronoun=True, template="{s} works as {a}") == "he works as an actor"


def test_the_three_languages_differ_in_order_and_affixes():
    said = Clause(NounPhrase("cat", "red", True), "clean", NounPhrase("bowl", "", False), True, "mill")
    assert languages.english(said) == "the red cats cleaned the bowl near the mill"
    assert [language.translate(said) for language in languages.LANGUAGES] == [
        "dizuri vadano dinaga varunazu nizo dadi",
        "kokake el hosish tiha el salo sepa el lili",
        "ta mija mefim tiriri ta raji firi ta remi",
    ]


@pytest.mark.parametrize("language", languages.LANGUAGES, ids=lambda language: language.name)
def test_a_language_has_one_stem_a_lemma(language):
    stems = {lemma: language.word(lemma) for lemma in languages.LEMMAS}
    assert len(set(stems.values())) == len(stems)


@pytest.mark.parametrize(
    ("one", "many"),
    [("fox", "foxes"), ("butterfly", "butterflies"), ("donkey", "donkeys"), ("wolf", "wolves")],
)
def test_english_plurals(one, many):
    assert languages.plural(one) == many


def test_dice_samples_distinct_items():
    assert sorted(Dice("x").shuffled(range(50))) == list(range(50))
    assert len(set(Dice("x").sample(range(50), 10))) == 10
    assert (
        Dice("a", 1).sample(range(9), 3)
        == Dice("a", 1).sample(range(9), 3)
        != Dice("a", 2).sample(range(9), 3)
    )


def test_variants_leave_the_plain_world_as_it_is():
    assert NanoCorpus(9, rubbish=0.0, other_world=False).fingerprint() == NanoCorpus(9).fingerprint()
    variants = [NanoCorpus(9, rubbish=0.3), NanoCorpus(9, rubbish=0.4), NanoCorpus(9, other_world=True)]
    assert len({corpus.fingerprint() for corpus in [NanoCorpus(9), *variants]}) == 4


def test_a_crawl_holds_the_worlds_documents_among_rubbish():
    plain = list(NanoCorpus(600).documents(0))
    pages = [page.split("\n") for page in NanoCorpus(600, rubbish=0.3).documents(0)]
    whole = [" ".join(page) == text for page, text in zip(pages, plain, strict=True)]
    among = [text in " ".join(page) for page, text in zip(pages, plain, strict=True)]
    assert abs(sum(whole) / 600 - 0.7 * 0.7) < 0.06
    assert abs(sum(among) / 600 - 0.7) < 0.06
    shown = {page[0].split()[0] for page, kept in zip(pages, among, strict=True) if not kept}
    assert {"Lorem", "function", "Buy"} <= shown


def test_pages_with_rubbish_are_the_same_bytes_on_every_machine():
    assert digest(NanoCorpus(200, rubbish=0.33).documents(0)) == "ec2d2a1500e95b09"
    assert digest(NanoCorpus(200, other_world=True).documents(0)) == "5d008332d61d2746"


def test_in_another_world_every_open_word_stands_for_another_of_its_form():
    exchanged = crawl.exchange()
    assert sorted(exchanged) == sorted(exchanged.values())
    assert exchanged["baker"] in (
        *lexicon.ANIMALS,
        *lexicon.THINGS,
        *lexicon.PLACES,
        *lexicon.JOBS,
        *STAND_INS,
    )
    assert crawl.in_other_words("Tom is a baker.") == f"Tom is a {exchanged['baker']}."
    assert crawl.in_other_words("Apples are red.").split()[0] == exchanged["apples"].capitalize()
    one, other = (next(NanoCorpus(1, **kind).documents(0)) for kind in ({}, {"other_world": True}))
    assert crawl.in_other_words(one) == other != one


STAND_INS = tuple(lexicon.SYNONYM.values())
