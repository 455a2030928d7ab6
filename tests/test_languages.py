"""Sentence tasks in four languages: rows that translate each other; corpora read at rates of languages."""

import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
from small_sweep import SMALL, write_rows

from t5grid.cli import main
from t5grid.config.schema import Cells
from t5grid.data.corpora import TextCorpus, every_document
from t5grid.data.tempered import Tempered
from t5grid.data.vocabulary import Vocabulary
from t5grid.grid.graph import expand
from t5grid.nano import languages
from t5grid.nano.dice import Dice
from t5grid.nano.facts import bucket
from t5grid.nano.language_tasks import (
    TAGS,
    LanguageDuplicates,
    LanguageEntailment,
    LanguageEntities,
    LanguageSentiment,
    LanguageTask,
    Parallel,
)
from t5grid.nano.languages import BAD, GOOD, Clause, NounPhrase
from t5grid.nano.multilingual import (
    BY_NAME,
    ENGLISH,
    KINDS_OF,
    OPPOSITE,
    LanguageCorpus,
    ask,
    contrasts,
    glossary,
    opinions,
    scene,
    stories,
    tell,
    words,
)
from t5grid.refused import Refused
from t5grid.stages.stage import with_parents
from t5grid.tasks.xnli import XNLI

TASKS = (LanguageSentiment, LanguageEntailment, LanguageDuplicates, LanguageEntities)
SPLITS = ("train", "validation", "test")
CELLS = Cells()
CATS = Clause(NounPhrase("cat", "red", True), "find", NounPhrase("bowl", "lovely", False), False, "mill")
every_task = pytest.mark.parametrize("task", TASKS)
every_language = pytest.mark.parametrize("name", BY_NAME)


@cache
def rows(task: type[LanguageTask], language: str) -> dict[str, list[dict[str, str]]]:
    made = task(language=language, num_train=18, num_validation=6, num_test=6)
    return {split: made.records(split) for split in SPLITS}


@every_language
def test_the_words_of_a_scene_are_its_translation_with_its_nouns_named(name: str) -> None:
    language = BY_NAME[name]
    for number in range(100):
        told = scene(Dice("test", number))
        said = words(language, told)
        assert " ".join(word.text for word in said) == language.translate(told)
        nouns = [(told.subject, ""), (told.object, language.object_suffix)]
        forms = {
            (
                language.phrase(NounPhrase(phrase.noun, "", phrase.plural), case).split()[-1],
                KINDS_OF[phrase.noun],
            )
            for phrase, case in nouns
        }
        places = {(language.word(told.place), "place")} if told.place else set()
        assert {(word.text, word.kind) for word in said if word.kind} == forms | places


def test_english_is_a_language_like_the_others() -> None:
    assert (
        ENGLISH.translate(CATS)
        == languages.english(CATS)
        == "the red cats find the lovely bowl near the mill"
    )
    assert tell(ENGLISH, CATS) == "the red cats find the lovely bowl near the mill."
    assert ask(ENGLISH, CATS) == "who finds the lovely bowl near the mill?"
    norvin = BY_NAME["norvin"]
    asked = ask(norvin, CATS).rstrip("?").split()
    assert asked[0] == norvin.word("who") and asked[-3] == norvin.verb(
        CATS._replace(subject=NounPhrase("cat", "", False))
    )


def test_further_lemmas_leave_the_stems_of_all_others_as_they_were() -> None:
    told = CATS._replace(object=NounPhrase("bowl", "red", False))
    assert [language.translate(told) for language in languages.LANGUAGES] == [
        "dizuri vadano dinaga dano vadiro nizo dadi",
        "tosa el hosish tiha el salo tiha sepa el lili",
        "ta mija mefim taje ta mija raji firi ta remi",
    ]


@every_task
def test_rows_of_all_languages_are_translations_of_the_english_ones(task: type[LanguageTask]) -> None:
    english = rows(task, "english")
    for name in ("norvin", "kelosh", "tamiri"):
        own = rows(task, name)
        for split in SPLITS:
            if task is LanguageEntities:
                tags = [[sorted(row["tags"]) for row in of[split]] for of in (english, own)]
                kept = (
                    [[tag for tag in row if tag] for row in tags[0]],
                    [[tag for tag in row if tag] for row in tags[1]],
                )
                assert kept[0] == kept[1]
            else:
                assert [row["targets"] for row in own[split]] == [row["targets"] for row in english[split]]


@every_language
def test_a_row_says_its_scenes_in_the_grammar_of_its_language(name: str) -> None:
    task, language = LanguageSentiment(num_train=20), BY_NAME[name]
    dice = Dice("nano task", "LanguageSentiment", "sentiment", 0, "train")
    told, order = [], list[int]()
    while len(told) < 20:
        order = order or dice.shuffled(range(2))
        label = order.pop()
        (drawn,) = task.scenes(dice, label)
        while bucket([drawn.core]) != "train":
            (drawn,) = task.scenes(dice, label)
        told.append(f"sentiment sentence: {language.translate(drawn)}.")
    assert [row["inputs"] for row in LanguageSentiment(num_train=20, language=name).records("train")] == told


@every_task
def test_rows_are_balanced_disjoint_and_begin_larger_splits(task: type[LanguageTask]) -> None:
    for name in ("english", "kelosh"):
        made = rows(task, name)
        inputs = [row["inputs"] for split in SPLITS for row in made[split]]
        assert len(set(inputs)) == len(inputs) == 30
        if task is not LanguageEntities:
            for split in SPLITS:
                counts = Counter(row["targets"] for row in made[split])
                assert set(counts) == set(task.labels) and len(set(counts.values())) == 1
        assert task(language=name, num_train=5).records("train") == made["train"][:5]


def test_what_is_good_or_bad_is_the_thing() -> None:
    for row in rows(LanguageSentiment, "english")["train"]:
        told = set(re.findall("[a-z]+", row["inputs"]))
        assert bool(told & set(GOOD)) == (row["targets"] == "good") != bool(told & set(BAD))


def test_an_entailed_sentence_says_less_and_a_contradicted_one_the_opposite() -> None:
    for row in rows(LanguageEntailment, "english")["train"]:
        hypothesis, premise = re.fullmatch(
            r"entailment hypothesis: (.*)\. premise: (.*)\.", row["inputs"]
        ).groups()  # type: ignore[union-attr]
        new = [word for word in hypothesis.split() if word not in premise.split()]
        assert hypothesis != premise
        if row["targets"] == "yes":
            assert not new
        else:
            opposed = any(OPPOSITE.get(word) in premise.split() for word in new)
            assert len(new) == 1 and opposed == (row["targets"] == "no")


def test_questions_that_are_the_same_ask_of_the_same_deed_in_another_tense() -> None:
    for row in rows(LanguageDuplicates, "english")["train"]:
        first, second = re.findall(r"who [^?]*", row["inputs"])
        rest = [re.sub(r" near .*", "", question).split()[2:] for question in (first, second)]
        assert row["targets"] == "different" or rest[0] == rest[1]
        assert first != second


@every_language
def test_entities_are_the_nouns(name: str) -> None:
    for row in rows(LanguageEntities, name)["train"]:
        spelt = row["inputs"].split()
        tagged = {(tag, word) for word, tag in zip(spelt, row["tags"], strict=True) if tag}
        assert 2 <= len(tagged) <= 3 and spelt[-1] == "."
        assert len(TAGS.entities(row["targets"])) == len(tagged)


def test_parallel_rows_are_english_and_its_translation() -> None:
    for row in Parallel(language="tamiri", num_test=10).records("test"):
        assert row["inputs"].startswith("the ") and row["targets"].startswith("ta ")


def test_documents_hold_scenes_that_no_row_is_made_of(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Clause] = []
    spoken = ENGLISH.__class__.translate
    monkeypatch.setattr(
        ENGLISH.__class__, "translate", lambda self, clause: told.append(clause) or spoken(self, clause)
    )
    for number in range(10):
        for genre in (stories, opinions):
            genre(Dice("test", number), ENGLISH)
    assert len(told) == 160 and {bucket([clause.core]) for clause in told} == {"pretraining"}


def test_an_opinion_is_of_one_polarity_and_a_contrast_of_opposites() -> None:
    for number in range(10):
        said = set(re.findall("[a-z]+", " ".join(opinions(Dice("test", number), ENGLISH))))
        assert bool(said & set(GOOD)) != bool(said & set(BAD))
        lines = contrasts(Dice("test", number), ENGLISH)
        for first, second in zip(lines[::2], lines[1::2], strict=True):
            pairs = zip(first.split(), second.split(), strict=True)
            ((left, right),) = [pair for pair in pairs if pair[0] != pair[1]]
            assert OPPOSITE[left] == right


def test_a_glossary_translates_as_the_grammar_does() -> None:
    spelt = [re.fullmatch(r'in (\w+), "(.*)" is "(.*)"\.', line).groups() for line in glossary(Dice("test"))]  # type: ignore[union-attr]
    language = BY_NAME[spelt[0][0].lower()]
    stems = {language.word(lemma): lemma for lemma in languages.LEMMAS}
    for _, english, foreign in spelt[:-1]:
        nouns = [
            stems[part[:4]] for part in foreign.split() if part != language.article and part[:4] in stems
        ]
        assert any(noun[:3] in english for noun in nouns), (english, foreign)


@every_language
def test_documents_have_about_fifty_words_of_one_language(name: str) -> None:
    documents = list(LanguageCorpus(name, 12).documents(0))
    assert documents == list(LanguageCorpus(name, 12).documents(0))
    assert all(30 <= len(document.split()) <= 90 for document in documents)
    assert all(
        (" the " in document or document.startswith("the ")) == (name == "english") for document in documents
    )


def test_the_share_of_a_language_is_how_much_text_there_is() -> None:
    few = LanguageCorpus("norvin", 100, share=0.07, documents_per_shard=5)
    assert [len(list(few.documents(shard))) for shard in few.shards()] == [5, 2]
    assert (
        len(
            {
                few.fingerprint(),
                LanguageCorpus("norvin", 100).fingerprint(),
                LanguageCorpus("kelosh", 100).fingerprint(),
            }
        )
        == 3
    )


class Named:
    """A corpus of numbered documents."""

    def __init__(self, name: str, num: int) -> None:
        self.name, self.num = name, num

    def shards(self) -> list[int]:
        return [0]

    def documents(self, shard: int):
        return (f"{self.name}{i}" for i in range(self.num))

    def fingerprint(self) -> str:
        return f"{self.name}{self.num}"


BOTH = {"a": Named("a", 8), "b": Named("b", 2)}


def test_documents_are_in_proportion_to_how_many_there_are() -> None:
    assert " ".join(Tempered(BOTH).documents(0)) == "a0 a1 a2 a3 b0 a4 a5 a6 a7 b1"


def test_a_temperature_flattens_rates_and_what_is_at_its_end_begins_again() -> None:
    flat = Tempered({"a": Named("a", 32), "b": Named("b", 2)}, temperature=2)
    assert flat.rates() == {"a": 32**0.5, "b": 2**0.5}
    said = list(flat.documents(0))
    assert len(said) == 34 and Counter(word[0] for word in said) == {"a": 28, "b": 6}
    assert [word for word in said if word[0] == "b"] == ["b0", "b1"] * 3


def test_sizes_stand_in_for_counts_and_0_leaves_a_part_out() -> None:
    assert Counter(
        word[0] for word in Tempered(BOTH, sizes={"a": 1, "b": 3}, num_documents=8).documents(0)
    ) == {"a": 2, "b": 6}
    assert set(Tempered(BOTH, sizes={"a": 1, "b": 0}, num_documents=3).documents(0)) == {"a0", "a1", "a2"}


def test_rates_identify_a_corpus_and_a_part_that_is_left_out_does_not() -> None:
    sized = [Tempered(BOTH, sizes=sizes) for sizes in ({"a": 1, "b": 3}, {"a": 1, "b": 0}, {"a": 3, "b": 1})]
    prints = [corpus.fingerprint() for corpus in (*sized, Tempered(BOTH), Tempered(BOTH, temperature=2))]
    assert len(set(prints)) == 5
    other = {"a": BOTH["a"], "b": Named("b", 5)}
    assert Tempered(other, sizes={"a": 1, "b": 0}).fingerprint() == sized[1].fingerprint()
    assert Tempered(other).fingerprint() != Tempered(BOTH).fingerprint()


def test_what_cannot_be_read_is_refused_in_one_line(tmp_path: Path) -> None:
    for sizes, message in (({"a": 1}, "one for each of a, b"), ({"a": 0, "b": 0}, "no part is left")):
        with pytest.raises(Refused, match=message):
            Tempered(BOTH, sizes=sizes)
    with pytest.raises(Refused, match=r"temperature=0\.0001: too low"):
        Tempered(BOTH, temperature=0.0001).rates()
    with pytest.raises(Refused, match=r"corpus\.parts\.a: it holds no document"):
        list(Tempered({"a": Named("a", 0)}, sizes={"a": 1}, num_documents=2).documents(0))


def test_own_files_of_several_languages_are_one_corpus(tmp_path: Path) -> None:
    for name, num in (("en", 6), ("de", 2)):
        (tmp_path / f"{name}.txt").write_text("\n\n".join(f"{name} {i}" for i in range(num)))
    files = {name: TextCorpus(str(tmp_path / f"{name}.txt")) for name in ("en", "de")}
    assert Counter(text[:2] for text in Tempered(files).documents(0)) == {"en": 6, "de": 2}
    assert Counter(text[:2] for text in Tempered(files, temperature=100).documents(0)) == {"en": 4, "de": 4}


def test_xnli_is_asked_in_english_words_in_every_language() -> None:
    row = {"hypothesis": "Es war kalt.", "premise": "Es fror.", "label": 0}
    assert XNLI(language="de").record(row) == {
        "inputs": "xnli hypothesis: Es war kalt. premise: Es fror.",
        "targets": "entailment",
        "label": 0,
    }
    source = XNLI(language="de").source
    assert (source.repository, source.config) == ("facebook/xnli", "de") and len(source.revision or "") == 40
    suite = CELLS.load(["suite=xnli", "suite.trained_on=en", "suite.use=[de,sw]"]).suite
    assert len(suite.columns) == 15 and list(suite.read()) == ["de", "sw", "en"]
    assert [column.tasks["xnli"].language for column in suite.columns.values()] == list(suite.columns)


def test_the_vocabulary_writes_every_word_of_questions_and_answers() -> None:
    cell = CELLS.load(["suite=nano_languages", "vocabulary=multilingual", "budget.num_documents=2000"])
    vocabulary = Vocabulary(cell.vocabulary.make(every_document(cell.vocabulary.corpus)))
    for column in cell.suite.chosen().values():
        for task in column.tasks.values():
            texts = [row[side] for row in task.records("validation")[:20] for side in ("inputs", "targets")]
            assert [vocabulary.decode(ids) for ids in vocabulary.encode(texts)] == texts


@pytest.mark.slow
def test_rows_of_the_experiment_share_pretrainings_and_english_finetunings() -> None:
    grid = expand("cross_lingual", ["budget=nano"])
    stages = {
        stage.identity: stage
        for seeds in grid.rows.values()
        for stage in with_parents(list(seeds[0][1].values()))
    }
    kinds = Counter(stage.kind for stage in stages.values())
    assert (kinds["vocabulary"], kinds["pretrain"], kinds["finetune"]) == (1, 5, 5 + 3 * 3)
    assert kinds["evaluate"] == 5 * 4 + 3 * 3


@pytest.mark.slow
def test_a_sweep_scores_all_languages_after_english_rows_and_few_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_rows(tmp_path, "cross_lingual", "english_few_rows")
    small = [word for word in SMALL if not word.startswith("budget.finetune.num_tokens")]
    few = [f"suite.columns.{column}.num_tokens=128" for column in ("english", "tamiri")]
    assert main(["sweep", "some", *small, *few, "suite.use=[english,tamiri]"]) == 0
    table = next((tmp_path / "results/tables").glob("*.md")).read_text()
    assert "| English | Tamiri |" in table and "fine-tuned on first" in table
    shown = [word for word in small if not word.startswith("executor")]
    of_languages = ["suite=nano_languages", "corpus=multilingual", "vocabulary=multilingual"]
    assert main(["inspect", "--translations", "--figure", "found.svg", *of_languages, *shown]) == 0
    assert "Tamiri" in (tmp_path / "found.svg").read_text()
