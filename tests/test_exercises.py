"""Lists of solved exercises: one kind a document, no row of a task, a corpus that is unchanged without."""

from itertools import islice

import pytest

from t5grid.config.schema import load_cell
from t5grid.data.corpora import every_document
from t5grid.nano import lexicon
from t5grid.nano.arithmetic import CALCULATIONS
from t5grid.nano.corpus import NanoCorpus
from t5grid.nano.dice import Dice
from t5grid.nano.exercise_tasks import FIXED, SolvedExercise
from t5grid.nano.exercises import FORMS, KINDS, NUM_WORDS, OF_WORDS, NanoExercises, exercises
from t5grid.nano.facts import bucket


@pytest.mark.parametrize("kind", KINDS)
def test_a_list_has_several_solved_items_of_one_kind(kind: str) -> None:
    content, lines = exercises(Dice("test", kind), (kind,))
    assert content[0] == kind and len(lines) >= 3 and len(set(lines)) > 2
    words = [len(line.split()) for line in lines]
    assert sum(words[:-1]) < NUM_WORDS <= sum(words)
    starts = {line.partition(" ")[0] for line in lines} & {"Q:", "Dan"}
    assert starts in (set(), {"Q:"}, {"Dan"})
    assert (kind == "sums") == (lines[0].startswith("Q: What is "))


def test_marks_mean_something_in_one_list_only() -> None:
    found = []
    for seed in range(6):
        _, lines = exercises(Dice("test", seed), ("marks",))
        found.append(frozenset(line.rstrip('".').rpartition(" ")[2].strip('"') for line in lines))
    assert all(len(pair) <= 2 for pair in found) and len(set(found)) > 3


def test_good_and_bad_and_he_and_she_are_said_alike_in_every_list() -> None:
    for seed in range(6):
        content, lines = exercises(Dice("moods", seed), ("moods",))
        for word, line in zip(content[3::3], lines, strict=True):
            assert line.rstrip('".').endswith("good" if word in lexicon.PRAISE else "bad")
        content, lines = exercises(Dice("pronouns", seed), ("pronouns",))
        for name, line in zip(content[2::3], lines, strict=True):
            assert line.rstrip('".').rpartition(" ")[2].strip('"') == lexicon.PRONOUN[name]


@pytest.mark.parametrize("kind", FIXED)
def test_no_row_of_a_task_stands_in_a_list(kind: str) -> None:
    few = {"num_train": 4, "num_validation": 4, "num_test": 1}
    task = SolvedExercise(name=kind, kind=kind, **few)
    rows = [*task.records("train"), *task.records("validation")]
    asked = [row["inputs"].removeprefix(f"{kind}: ") for row in rows]
    text = " ".join(line for seed in range(300) for line in exercises(Dice(seed), (kind,))[1])
    begun = [form.partition("{answer}")[0] for form in FORMS]
    assert len(rows) == 8 and not any(f" {each.format(asked=one)}" in text for one in asked for each in begun)


def test_kinds_whose_answers_belong_to_one_list_are_no_task() -> None:
    with pytest.raises(ValueError, match=r"\.sorts\.kind=marks: one of opposites, sorts, moods"):
        load_cell(["suite=nano_exercises", "suite.columns.sorts.tasks.sorts.kind=marks"])


@pytest.mark.parametrize("seed", range(3))
def test_no_calculation_of_a_task_is_an_exercise(seed: int) -> None:
    _, lines = exercises(Dice("sums", seed), ("sums",))
    texts = [line.removeprefix("Q: What is ").partition("?")[0] for line in lines]
    assert texts and all(bucket(["arithmetic", text]) == "pretraining" for text in texts)
    for cls in CALCULATIONS:
        rows = cls(num_train=40, num_validation=10).records("train")
        assert all(
            bucket(["arithmetic", row["inputs"].removeprefix("calculate: ")]) == "train" for row in rows
        )


def test_without_a_share_the_text_is_that_of_the_world_and_with_all_of_it_none_is() -> None:
    def first(corpus: NanoCorpus) -> list[str]:
        return list(islice(every_document(corpus), 5))

    plain = first(NanoCorpus(20))
    assert {bool(set(first(NanoExercises(20, share=share))) & set(plain)) for share in (1.0,)} == {False}
    assert len(first(NanoExercises(20, share=0.5))) == 5
    assert first(NanoExercises(20, share=0.5)) == first(NanoExercises(20, share=0.5))


def test_a_corpus_is_known_by_its_share_and_kinds() -> None:
    corpora = [
        NanoCorpus(20),
        NanoExercises(20),
        NanoExercises(20, share=0.1),
        NanoExercises(20, kinds=("sorts",)),
        NanoExercises(20, kinds=("sorts",), seed=1),
    ]
    assert len({corpus.fingerprint() for corpus in corpora}) == 5
    assert NanoExercises(20, kinds=tuple(OF_WORDS)).fingerprint() == NanoExercises(20).fingerprint()


@pytest.mark.slow
def test_the_options_read_exercises_and_the_vocabulary_of_the_world() -> None:
    cell, plain = load_cell(["corpus=exercises"]), load_cell(["corpus=nano_other_world"])
    assert isinstance(cell.corpus, NanoExercises) and cell.corpus.share == 0.5
    assert cell.vocabulary == plain.vocabulary
    assert load_cell(["corpus=sums", "vocabulary=characters"]).corpus.kinds == ("sums",)
    with pytest.raises(
        ValueError, match=r"^corpus\.kinds\[0\]=sum: one of opposites, sorts, moods, pronouns, phrases"
    ):
        load_cell(["corpus=exercises", "corpus.kinds=[sum]"])
