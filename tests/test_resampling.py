"""The bootstrap over validation rows: its error is that of rows of known truth, and cells are drawn alike."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from t5grid.config.schema import Column
from t5grid.evaluation.resampling import NUM_RESAMPLES, resampled_scores, standard_error
from t5grid.tasks.metrics import accuracy, multirc

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Toy:
    """The share of right answers; the metric `part` has no value where every answer is the same."""

    name: str = "toy"
    reported: tuple[str, ...] = ("accuracy",)

    def score(self, records: Rows, predictions: list[str]) -> dict[str, float]:
        part = math.nan if len(set(predictions)) == 1 else 50.0
        return accuracy([row["targets"] for row in records], predictions) | {"part": part}


@dataclass(frozen=True)
class Questions(Toy):
    """The share of groups whose rows are all right."""

    reported: tuple[str, ...] = ("exact_match",)

    def score(self, records: Rows, predictions: list[str]) -> dict[str, float]:
        targets, given = (
            [int(text) for text in texts] for texts in ([row["targets"] for row in records], predictions)
        )
        return multirc([row["group"] for row in records], targets, given)


def column(**tasks: Any) -> Column:
    return Column("Toys", 8, 8, tasks)


def rows(count: int, **more: list[Any]) -> Rows:
    return [{"inputs": "", "targets": "1"} | {k: v[place] for k, v in more.items()} for place in range(count)]


def answers(right: int, wrong: int) -> list[str]:
    return ["1"] * right + ["0"] * wrong


def test_the_error_of_a_share_is_the_binomials() -> None:
    scores = resampled_scores(column(toy=Toy()), {"toy": rows(400)}, {"toy": answers(280, 120)})
    assert len(scores) == NUM_RESAMPLES
    assert standard_error(scores) == pytest.approx(100 * math.sqrt(0.7 * 0.3 / 400), rel=0.15)
    assert np.mean(scores) == pytest.approx(70, abs=0.6)


@pytest.mark.slow
def test_an_interval_of_two_errors_holds_the_truth_nineteen_times_in_twenty() -> None:
    rng = np.random.default_rng(0)
    held = []
    for _ in range(100):
        right = int(rng.binomial(100, 0.6))
        scores = resampled_scores(column(toy=Toy()), {"toy": rows(100)}, {"toy": answers(right, 100 - right)})
        held.append(abs(right - 60) <= 1.96 * (standard_error(scores) or 0))
    assert np.mean(held) >= 0.89


def test_rows_of_a_group_are_drawn_together_and_a_group_drawn_twice_counts_twice() -> None:
    """Of 100 groups of two rows half are right: the error is that of 100 answers, not of 200."""
    groups = [[place // 2] for place in range(200)]  # a list, as of ReCoRD
    records = {"toy": rows(200, group=[str(group) for group in groups])}
    scores = resampled_scores(column(toy=Questions()), records, {"toy": answers(100, 100)})
    assert standard_error(scores) == pytest.approx(5.0, rel=0.15)


def test_two_cells_are_drawn_alike_whatever_stands_beside_the_task() -> None:
    records = {"toy": rows(50), "other": rows(30)}
    first, second = (
        resampled_scores(column(toy=Toy()), records, {"toy": answers(right, 50 - right)})
        for right in (40, 39)
    )
    gaps = [a - b for a, b in zip(first, second, strict=True)]
    assert min(gaps) >= 0 and np.std(gaps) < 0.5 * np.std(first)  # one row apart, always the same way
    both = resampled_scores(
        column(toy=Toy(), other=Toy("other")), records, {"toy": answers(40, 10), "other": answers(30, 0)}
    )
    assert both == [pytest.approx((score + 100) / 2, abs=1e-3) for score in first]


def test_a_resample_without_a_value_is_none_and_too_many_make_no_error() -> None:
    part = column(toy=Toy(reported=("part",)))
    scores = resampled_scores(part, {"toy": rows(12)}, {"toy": answers(11, 1)})
    assert None in scores and 50.0 in scores
    assert standard_error(scores) == 0.0
    assert standard_error([1.0] * 99 + [None] * 101) is None and standard_error(()) is None


def test_too_few_rows_are_not_resampled() -> None:
    pair = column(toy=Toy(), other=Toy("other"))
    few, enough = {"toy": rows(30), "other": rows(9)}, {"toy": rows(30), "other": rows(10)}
    assert resampled_scores(pair, few, {"toy": answers(30, 0), "other": answers(9, 0)}) == []
    scores = resampled_scores(pair, enough, {"toy": answers(30, 0), "other": answers(10, 0)})
    assert len(scores) == NUM_RESAMPLES
