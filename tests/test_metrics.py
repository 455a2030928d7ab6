"""The metrics agree with the original code, case by case."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from t5grid.tasks import metrics

Case = dict[str, Any]


def _values(rows: list[dict]) -> list:
    return [row["value"] for row in rows]


def _groups(rows: list[dict]) -> list:
    return [tuple(g) if isinstance(g, list) else g for g in (row["group"] for row in rows)]


RUN: dict[str, Callable[[list, list], dict[str, float]]] = {
    "accuracy": metrics.accuracy,
    "matthews": metrics.matthews,
    "f1_and_accuracy": lambda t, p: {**metrics.f1_with_invalid(t, p), **metrics.accuracy(t, p)},
    "pearson_spearman": metrics.pearson_spearman,
    "cb": lambda t, p: {**metrics.mean_multiclass_f1(3)(t, p), **metrics.accuracy(t, p)},
    "multirc": lambda t, p: metrics.multirc(_groups(t), _values(t), _values(p)),
    "squad": metrics.squad,
    "record": lambda t, p: metrics.record(_groups(t), _values(t), _values(p)),
    "span_squad": lambda t, p: metrics.span_squad([r["answers"] for r in t], [r["context"] for r in t], p),
    "bleu": metrics.bleu,
    "rouge": metrics.rouge,
}
NAMES = {"matthews_corrcoef": "matthews", "pearson_corrcoef": "pearson", "spearman_corrcoef": "spearman"}


def _cases(goldens: Path, kind: str) -> list[Case]:
    golden = json.loads((goldens / "metrics.json").read_text())
    cases = [case for case in golden["cases"] if case["kind"] == kind]
    assert cases
    return cases


@pytest.mark.parametrize("kind", RUN)
def test_every_case_of_the_original_gives_its_value(goldens: Path, kind: str) -> None:
    for case in (case for case in _cases(goldens, kind) if "original_raises" not in case):
        expected = {NAMES.get(name, name): float(value) for name, value in case["value"].items()}
        got = RUN[kind](case["targets"], case["predictions"])
        assert got == pytest.approx(expected, abs=1e-6, rel=0, nan_ok=True), case["id"]


@pytest.mark.parametrize(
    ("kind", "metric"),
    [
        ("multirc", lambda t, p: metrics.multirc(_groups(t), _values(t), _values(p), f1_of_questions=True)),
        ("record", lambda t, p: metrics.record(_groups(t), _values(t), _values(p), every_row=True)),
    ],
)
def test_the_release_of_2019_scored_as_it_did(
    goldens: Path, kind: str, metric: Callable[[list, list], dict[str, float]]
) -> None:
    for case in _cases(goldens, kind):
        got = metric(case["targets"], case["predictions"])
        expected = case["first_release_2019"]
        assert {name: got[name] for name in expected} == pytest.approx(expected, abs=1e-6), case["id"]


def test_every_kind_of_case_of_the_original_is_here_or_in_test_averages(goldens: Path) -> None:
    kinds = {each["kind"] for each in json.loads((goldens / "metrics.json").read_text())["cases"]}
    assert kinds == {*RUN, "normalise", "averages", "best_step"}


def test_answers_are_normalised_as_in_the_original(goldens: Path) -> None:
    for case in _cases(goldens, "normalise"):
        assert metrics.normalise_answer(case["text"]) == case["squad"], case["id"]
        assert metrics.normalise_trivia_answer(case["text"]) == case["trivia_qa"], case["id"]


def test_a_question_without_answers_is_an_error_that_names_its_row() -> None:
    with pytest.raises(ValueError, match="row 1 has no answer"):
        metrics.squad([["x"], []], ["x", "x"])


def test_two_empty_texts_match_exactly_with_f1_zero() -> None:
    assert metrics.squad([["the"]], [" "]) == {"em": 100.0, "f1": 0.0}


def test_a_constant_prediction_has_no_correlation() -> None:
    assert all(map(math.isnan, metrics.pearson_spearman([1.0, 2.0], [3.0, 3.0]).values()))


def test_a_prediction_that_spells_nan_leaves_no_correlation() -> None:
    assert all(map(math.isnan, metrics.pearson_spearman([1.0, 2.0], [3.0, math.nan]).values()))


@pytest.mark.parametrize(
    ("text", "number"), [("3.4 ", 3.4), ("1e1", 10.0), ("", -1.0), ("4,0", -1.0), ("three", -1.0)]
)
def test_string_to_float_reads_numbers_and_nothing_else(text: str, number: float) -> None:
    assert metrics.string_to_float(text) == number


@pytest.mark.parametrize("metric", [metrics.accuracy, metrics.matthews, metrics.bleu, metrics.rouge])
def test_unequal_or_empty_sides_are_refused(metric: Callable[..., dict]) -> None:
    for targets, predictions in ([], []), (["a"], []):
        with pytest.raises(ValueError, match="equally many"):
            metric(targets, predictions)


def test_whatever_is_no_class_counts_against_f1_as_minus_one_does() -> None:
    assert metrics.f1_with_invalid([1, 0, 1], [2, 7, 1]) == metrics.f1_with_invalid([1, 0, 1], [-1, -1, 1])
    assert metrics.f1_with_invalid([1, 0, 1], [2, 7, 1])["f1"] == pytest.approx(50.0)


@pytest.mark.parametrize(
    ("text", "unicode", "characters"),
    [
        ("Ein Weg, 2.", ["ein", "weg", "2"], ["e", "i", "n", "w", "e", "g", "2"]),
        ("cafe\u0301", ["café"], ["c", "a", "f", "é"]),
        ("漢字。", ["漢字"], ["漢", "字"]),
        ("हिन्दी", ["हिन्दी"], ["हि", "न्", "दी"]),
        ("…!", [], []),
    ],
)
def test_the_words_of_rouge_in_every_script(text: str, unicode: list[str], characters: list[str]) -> None:
    assert metrics.rouge_words(text, "unicode") == unicode
    assert metrics.rouge_words(text, "characters") == characters


def test_the_words_of_rouge_are_by_default_those_of_its_library() -> None:
    from rouge_score.tokenizers import DefaultTokenizer

    for text in ("Größe 3.5% it's_so", "ﬁne Ａ ² e\u0301", "…"):
        assert metrics.rouge_words(text, "ascii") == DefaultTokenizer(False).tokenize(text)
