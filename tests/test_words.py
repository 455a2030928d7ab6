"""A sentence as ids, one a word, and what objectives make of it."""

import numpy as np
import pytest

from t5grid.config.schema import load_cell
from t5grid.data.words import Words, draws
from t5grid.refused import Refused

WORDS = Words("One two . Three four")


def test_words_are_ids_and_ids_are_words_or_marks() -> None:
    ids = WORDS.ids()
    assert ids.tolist() == [[3, 4, 5, 6, 7]] and WORDS.texts(ids[0]) == WORDS.words
    assert WORDS.ids(marks_sentences=True).tolist() == [[3, 4, -5, 6, 7]]
    last = WORDS.size
    assert WORDS.texts([8, last - 1, last - 2, 0, last - 4, 1]) == [
        "One",
        "<X>",
        "<Y>",
        "<extra_id_3>",
        "</s>",
    ]
    assert WORDS.texts([last - 1, last - 2, 1], in_place=True) == ["[MASK]", "[CLS]", "[SEP]"]


@pytest.mark.parametrize(
    "name",
    ["prefix_lm", "bert_style", "mass_style", "replace_spans", "drop_tokens", "random_spans", "deshuffling"],
)
def test_every_objective_takes_any_sentence_and_targets_hold_what_inputs_lack(name: str) -> None:
    objective = load_cell([f"objective={name}"]).objective
    words = Words("Some sentence of a length that no paper has laid out .")
    for inputs, targets in draws(objective, words, seed=0, num=5):
        told = [*inputs, *targets]
        assert set(words.words) <= set(told), name


def test_draws_differ_from_each_other_and_not_from_time_to_time() -> None:
    objective = load_cell(["objective=bert_style"]).objective
    words = Words("Some sentence of a length that no paper has laid out .")
    first, again = (list(draws(objective, words, 0, 8)) for _ in range(2))
    assert first == again and len({tuple(inputs) for inputs, _ in first}) > 1


def test_targets_in_place_are_the_tokens_that_are_asked_for() -> None:
    objective = load_cell(["objective=masked_lm_without_nsp", "architecture=bert"]).objective
    ((inputs, targets),) = draws(objective, Words("One two three four five six ."), 0, 1)
    assert inputs[0] == "[CLS]" and inputs[-1] == "[SEP]" and targets
    assert set(targets) <= {"One", "two", "three", "four", "five", "six", "."}


def test_a_sentence_has_two_words() -> None:
    with pytest.raises(Refused, match="inspect: 'One': at least two words are needed"):
        Words("One")
    assert np.array_equal(Words("One two").ids(), [[3, 4]])
