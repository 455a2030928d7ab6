"""Student's t over the seeds: on simulated rows of known truth it keeps its level and finds what is there."""

import numpy as np
import pytest

from t5grid.results.evidence import AGREES, CONTRADICTS, NOISE, Evidence
from t5grid.results.findings import Better, Close, GainsMore
from t5grid.results.significance import margin, of_rows, quantile

NUM_TABLES = 4000
NAIVE = 2.0


def simulated(num_seeds: int, effect: float, columns: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """(gap, baseline's deviation) of `NUM_TABLES` tables: a baseline of seeds, a row of one seed above it."""
    rng = np.random.default_rng(num_seeds)
    baseline = rng.normal(50, 3, (NUM_TABLES, columns, num_seeds))
    row = rng.normal(50 + 3 * effect, 3, (NUM_TABLES, columns))
    return row - baseline.mean(-1), baseline.std(-1, ddof=1)


def test_quantiles_are_those_of_tables() -> None:
    assert [round(quantile(freedom), 3) for freedom in (2, 4, 9, float("inf"))] == [4.303, 2.776, 2.262, 1.96]
    assert round(margin(2, 3, 1), 2) == 4.97 and round(margin(9, 1, 1), 2) == 3.20
    assert margin(4, 5, 1, comparisons=8) > margin(4, 5, 1)


def test_where_seeds_agree_the_validation_rows_say_what_is_chance() -> None:
    """At a constant answer five seeds are within 0.1 of each other, and every other row would be apart."""
    scores = {"a": {"GLUE": 50.0}, "b": {"GLUE": 53.0}, "c": {"GLUE": 60.0}, "d": {"GLUE": 50.0}}
    seeds = {"a": {"GLUE": 5}}
    errors = {row: {"GLUE": 3.0} for row in "bcd"}
    without = Evidence(scores, {"GLUE": 0.1}, ["GLUE"], freedom={"GLUE": 4}, seeds=seeds)
    given = Evidence(scores, {"GLUE": 0.1}, ["GLUE"], freedom={"GLUE": 4}, seeds=seeds, errors=errors)
    assert [given.chance(*pair, "GLUE") for pair in ("ab", "bd")] == pytest.approx(
        [1.96 * 3, 1.96 * 18**0.5], rel=1e-3
    )
    better = {pair: Better([pair[0]], [pair[1]]) for pair in ("ba", "ca", "cb")}
    assert {pair: test(without).verdict for pair, test in better.items()} == dict.fromkeys(better, AGREES)
    assert {pair: test(given).verdict for pair, test in better.items()} == {
        "ba": NOISE,
        "ca": AGREES,
        "cb": NOISE,
    }
    close = Close("a", "b", at_most=1)
    assert (close(without).verdict, close(given).verdict) == (CONTRADICTS, NOISE)
    gains = GainsMore("b", "a", "d", "a")
    assert (gains(without).verdict, gains(given).verdict) == (AGREES, NOISE)
    wide = Evidence(scores, {"GLUE": 4.0}, ["GLUE"], freedom={"GLUE": 4}, seeds=seeds, errors=errors)
    assert wide.chance("a", "b", "GLUE") == pytest.approx(4.0 * margin(4, 5, 1))  # seeds differ by more
    assert of_rows([3.0, 4.0]) == pytest.approx(9.8, rel=1e-3) and of_rows([0.0, 0.0]) == 0
    assert of_rows([3.0], comparisons=8) > of_rows([3.0])


@pytest.mark.parametrize("num_seeds", [2, 3, 5, 10])
def test_of_rows_that_do_not_differ_one_in_twenty_is_apart(num_seeds: int) -> None:
    gap, deviation = simulated(num_seeds, effect=0)
    apart = np.mean(np.abs(gap) > deviation * margin(num_seeds - 1, num_seeds, 1))
    assert apart == pytest.approx(0.05, abs=0.012)


def test_two_deviations_would_find_a_difference_in_a_fifth_of_rows_that_have_none() -> None:
    gap, deviation = simulated(3, effect=0)
    assert 0.18 < np.mean(np.abs(gap) > NAIVE * deviation) < 0.27


def test_two_rows_of_one_seed_keep_the_level_too() -> None:
    rng = np.random.default_rng(1)
    deviation = rng.normal(50, 3, (NUM_TABLES, 3)).std(-1, ddof=1)
    gap = rng.normal(50, 3, NUM_TABLES) - rng.normal(50, 3, NUM_TABLES)
    assert np.mean(np.abs(gap) > deviation * margin(2, 1, 1)) == pytest.approx(0.05, abs=0.012)


@pytest.mark.parametrize(("num_seeds", "effect", "power"), [(3, 12, 0.95), (5, 6, 0.95), (10, 4, 0.9)])
def test_a_large_difference_is_found(num_seeds: int, effect: float, power: float) -> None:
    gap, deviation = simulated(num_seeds, effect)
    assert np.mean(gap > deviation * margin(num_seeds - 1, num_seeds, 1)) > power


@pytest.mark.parametrize(
    ("effect", "agrees", "contradicts"), [(0, (0, 0.01), (0, 0.2)), (12, (0.97, 1), (0, 0.001))]
)
def test_verdicts_on_simulated_tables(
    effect: float, agrees: tuple[float, float], contradicts: tuple[float, float]
) -> None:
    """A claim on most of seven columns is not said to hold where nothing differs, and is where much does."""
    gaps, deviations = simulated(3, effect, columns=7)
    columns = [f"c{k}" for k in range(7)]
    verdicts = []
    for gap, deviation in zip(gaps[:300], deviations[:300], strict=True):
        scores = {"row": dict(zip(columns, gap, strict=True)), "baseline": dict.fromkeys(columns, 0.0)}
        seeds = {"baseline": dict.fromkeys(columns, 3)}
        of_table = dict(zip(columns, deviation, strict=True))
        evidence = Evidence(scores, of_table, columns, freedom=dict.fromkeys(columns, 2), seeds=seeds)
        verdicts.append(Better(["row"], ["baseline"])(evidence).verdict)
    assert agrees[0] <= verdicts.count(AGREES) / 300 <= agrees[1]
    assert contradicts[0] <= verdicts.count(CONTRADICTS) / 300 <= contradicts[1]
    assert effect or verdicts.count(NOISE) / 300 > 0.6
