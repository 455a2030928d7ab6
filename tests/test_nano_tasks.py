"""The generated suite: rows that are disjoint, balanced, derivable and the same bytes everywhere."""

import hashlib
import importlib
import json
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
import yaml

from t5grid.config import build as building
from t5grid.nano import lexicon
from t5grid.nano import passage_tasks as nano_passages
from t5grid.nano import sentence_tasks as nano
from t5grid.nano.nano_task import NanoTask
from t5grid.nano.passage_tasks import Commitment, Questions, Translation
from t5grid.nano.sentence_tasks import Grammatical, Sentiment

CONF = Path(__file__).parent.parent / "conf/suite"
SUITE, ALL = (yaml.safe_load((CONF / f"{name}.yaml").read_text()) for name in ("nano", "nano_all"))
SPLITS = ("train", "validation", "test")


def build(settings):
    settings = dict(settings)
    module, name = settings.pop("_target_").rsplit(".", 1)
    return getattr(importlib.import_module(module), name)(**settings)


TASKS = {
    name: build(settings)
    for suite in (SUITE, ALL)
    for column in suite["columns"].values()
    for name, settings in column["tasks"].items()
}
every_task = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)


@cache
def made(task):
    """The rows of each split, and for each content that was admitted the splits that it was admitted to."""
    admitted, usable = {}, type(task).usable

    def observed(self, content, split):
        if fits := usable(self, content, split):
            admitted.setdefault(repr(sorted(map(repr, content))), set()).add(split)
        return fits

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(task), "usable", observed)
        return {split: task.records(split) for split in SPLITS}, admitted


def rows_of(task, split):
    """Rows that are made once a session: not to be changed."""
    return made(task)[0][split]


def test_the_suite_has_seven_columns():
    assert {key: len(column["tasks"]) for key, column in SUITE["columns"].items()} == {
        "sentences": 4,
        "summarization": 1,
        "questions": 1,
        "reasoning": 3,
        "to_norvin": 1,
        "to_kelosh": 1,
        "to_tamiri": 1,
    }


@pytest.mark.slow
def test_rows_are_the_same_bytes_on_every_machine():
    rows = {name: rows_of(task, "train")[:20] for name, task in TASKS.items()}
    assert hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16] == "aba85da2bfd293af"


@every_task
@pytest.mark.slow
def test_splits_have_the_sizes_asked_for_and_share_no_input(task):
    rows = {split: rows_of(task, split) for split in SPLITS}
    assert [len(rows[split]) for split in SPLITS] == [task.num_train, task.num_validation, task.num_test]
    inputs = [record["inputs"] for split in SPLITS for record in rows[split]]
    assert len(set(inputs)) == len(inputs)


@every_task
@pytest.mark.slow
def test_splits_share_no_content(task):
    _, admitted = made(task)
    assert admitted and all(len(splits) == 1 for splits in admitted.values())


@every_task
def test_labels_are_balanced(task):
    if len(task.labels) < 2 or task.name in ("similarity", "coreference"):
        pytest.skip("free targets")
    counts = Counter(record["targets"] for record in rows_of(task, "train"))
    assert set(counts) == set(task.labels)
    assert max(counts.values()) - min(counts.values()) <= 1


@every_task
def test_gold_scores_100_and_one_answer_for_all_stays_low(task):
    records = rows_of(task, "validation")
    gold = task.score(records, [record["targets"] for record in records])
    assert all(gold[name] == pytest.approx(100) for name in task.reported)
    common, _ = Counter(record["targets"] for record in rows_of(task, "train")).most_common(1)[0]
    constant = task.score(records, [common] * len(records))
    assert sum(constant[name] for name in task.reported) / len(task.reported) < 60


@every_task
def test_a_larger_split_begins_with_the_smaller_one(task):
    small = type(task)(**{**vars(task), "num_train": 20})
    assert small.records("train") == rows_of(task, "train")[:20]
    assert small.fingerprint() != task.fingerprint() != type(task)(**{**vars(task), "seed": 1}).fingerprint()


@every_task
def test_rows_fit_the_lengths_of_their_column_with_room_for_word_pieces(task):
    (key,) = {
        key
        for suite in (ALL, SUITE)
        for key, column in suite["columns"].items()
        if task.name in column["tasks"]
    }
    column = SUITE["columns"][key]
    for record in rows_of(task, "train"):
        assert 1.5 * len(record["inputs"].split()) < column["inputs_length"]
        assert 1.5 * len(record["targets"].split()) < column["targets_length"]


def test_the_answer_occurs_in_the_context():
    for record in rows_of(TASKS["questions"], "train"):
        question, context = record["inputs"].split(" context: ")
        assert question.startswith("question: ") and question.endswith("?")
        assert record["targets"] in context.replace(".", "").split()
        assert record["answers"] == [record["targets"]]


def test_a_question_has_no_second_answer_in_its_context():
    for record in rows_of(TASKS["questions"], "train"):
        assert record["targets"] not in record["inputs"].split(" context: ")[0].rstrip("?").split()


def test_the_name_asked_for_is_among_those_in_the_input():
    for record in rows_of(TASKS["fill_entity"], "train"):
        assert record["targets"] in lexicon.NAMES
        assert record["targets"] in record["inputs"].replace(",", " ").replace(".", " ").split()


def test_a_pronoun_fits_the_one_it_is_said_to_mean():
    for record in rows_of(TASKS["coreference"], "train"):
        words = record["inputs"].replace(".", " ").split()
        named = [word for word in words if word in lexicon.NAMES]
        pronoun = next(word for word in words if word.startswith("*")).strip("*")
        assert lexicon.PRONOUN[named[("first", "second").index(record["targets"])]] == pronoun


def test_the_summary_names_the_main_individual_and_copies_no_sentence():
    for record in rows_of(TASKS["summarization"], "train"):
        document = record["inputs"].removeprefix("summarize: ").split(". ")
        name = record["targets"].split(",")[0]
        assert any(name in sentence for sentence in document)
        assert not any(sentence.rstrip(".") in record["targets"] for sentence in document)


def test_each_group_has_one_true_and_one_false_answer():
    groups = {}
    for record in rows_of(TASKS["grouped"], "validation"):
        groups.setdefault(record["group"], []).append(record["targets"])
    assert all(sorted(truths) == ["no", "yes"] for truths in groups.values())


@pytest.mark.slow
def test_half_of_the_telling_words_are_new_in_validation():
    telling = set(lexicon.PRAISE + lexicon.BLAME)

    def words(split):
        texts = " ".join(record["inputs"] for record in Sentiment(num_train=800).records(split))
        return set(texts.replace(".", "").replace(",", "").split()) & telling

    assert words("train") == set(nano.TAUGHT)
    assert len(words("validation") - words("train")) > 20


def test_half_of_the_verbs_of_belief_are_new_in_validation():
    unseen = [verb for verb in ("remembers that", "learnt that", "guesses that", "imagines that")]
    texts = {split: " ".join(r["inputs"] for r in Commitment().records(split)) for split in SPLITS}
    assert nano_passages.TAUGHT_VERBS[0] == "knows"
    assert any(verb in texts["validation"] for verb in unseen)
    assert not any(
        f" {verb} that" in texts["train"] for verb in ("found out", "guesses", "imagines", "made up")
    )


def test_similarity_is_in_steps_of_a_fifth():
    targets = {record["targets"] for record in rows_of(TASKS["similarity"], "train")}
    assert targets == {"0.0", "2.4", "5.0"}


def test_a_prediction_that_is_no_label_is_wrong():
    records = rows_of(TASKS["paraphrase"], "validation")
    assert TASKS["paraphrase"].score(records, ["nonsense"] * len(records)) == {"f1": 0.0, "accuracy": 0.0}


@dataclass(frozen=True)
class Echo(NanoTask):
    """A toy with a hundred possible rows."""

    name: str = "echo"

    def candidate(self, dice, label):
        number = dice.below(100)
        return [(number,)], [nano.row(str(number), str(number))]


def test_an_exhausted_split_is_refused_in_one_line():
    with pytest.raises(ValueError, match=r"^echo: train has no more than about \d+ rows, got num_train=99$"):
        Echo(num_train=99).records("train")


def test_unknown_names_are_refused_in_one_line():
    with pytest.raises(
        ValueError, match=r"grammatical: no split 'dev': expected one of \['train', 'validation', 'test'\]"
    ):
        Grammatical(name="grammatical").records("dev")
    with pytest.raises(ValueError, match=r"^task\.language=Elvish: one of Norvin, Kelosh, Tamiri is needed$"):
        building.build({"language": "Elvish"}, "task", Translation)


def test_translation_pairs_are_the_grammars_own():
    record = Translation(language="Tamiri", num_train=1).records("train")[0]
    assert record == {
        "inputs": "translate English to Tamiri: the long coat hides the cow.",
        "targets": "ta tafe fama mibe ta bifi.",
    }


def test_questions_of_another_seed_are_other_rows():
    one, other = (Questions(num_train=50, seed=seed).records("train") for seed in (0, 1))
    assert not {record["inputs"] for record in one} & {record["inputs"] for record in other}
    assert isinstance(Questions(), NanoTask)
