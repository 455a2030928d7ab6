"""Rates of mixtures: literal values, the study's own figures, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from t5grid.config.schema import load_cell
from t5grid.data.mixing import (
    Equal,
    ExamplesProportional,
    MixturePart,
    TemperatureScaled,
    rate,
    shares,
    table,
)

SMALL = [
    MixturePart("a", 10),
    MixturePart("b", 500),
    MixturePart("c", 9000),
    MixturePart("unsupervised", None),
]


@pytest.fixture(scope="module")
def golden(goldens: Path) -> dict[str, Any]:
    return json.loads((goldens / "mixing_rates.json").read_text())


def parts_of(names: Any, sizes: dict[str, Any]) -> list[MixturePart]:
    """The golden file's tasks; the two RTEs are one data set, in as many columns as are mixed."""
    copies = sum("_rte_" in name for name in names)
    return [
        MixturePart(
            name,
            sizes[name]["examples"],
            copies=copies if "_rte_" in name else 1,
            of_benchmark=name.startswith(("glue", "super_glue", "dpr")),
        )
        for name in names
    ]


def mixing_of(case: dict[str, Any]) -> Any:
    halve = case["kind"] != "all_no_dedupe"
    if case["strategy"] == "equal":
        return Equal()
    if case["strategy"] == "temperature":
        return TemperatureScaled(case["K"], halve_repeated=halve, temperature=case["T"])
    return ExamplesProportional(case["K"], halve_repeated=halve)


def test_every_mixture_of_the_study_has_its_rates_and_proportions(golden: dict[str, Any]) -> None:
    cases = [case for case in golden["cases"] if "strategy" in case]
    assert len(cases) > 15
    for case in cases:
        parts = parts_of(case["rates"], golden["meta"]["train_sizes"])
        rates = mixing_of(case).rates(parts)
        assert rates == pytest.approx(list(case["rates"].values()), rel=1e-9), case["id"]
        assert sum(rates) == pytest.approx(case["total_rate"], rel=1e-9), case["id"]
        assert shares(rates) == pytest.approx(list(case["proportions"].values()), rel=1e-9), case["id"]


def test_every_single_rate_of_the_study(golden: dict[str, Any]) -> None:
    cases = [case for case in golden["cases"] if case["kind"] == "single"]
    assert len(cases) > 10
    for case in cases:
        got = rate(case["num_examples"], case["maximum"], case["temperature"], case["scale"])
        assert got == pytest.approx(case["rate"], rel=1e-9), case["id"]


def test_without_limits_on_benchmarks_their_tasks_keep_the_constants_of_todays_code(
    golden: dict[str, Any],
) -> None:
    registry = next(case for case in golden["cases"] if case["kind"] == "registry")["registry"]
    sizes = golden["meta"]["train_sizes"]
    for name in ("all_proportional", "leave_one_out_glue_v002_proportional"):
        fixed = {task: value for task, value in registry[name].items() if value and task in sizes}
        parts = parts_of(fixed, sizes)
        rates = TemperatureScaled(65536, limit_parts=False, temperature=2.0).rates(parts)
        constants = {part.name: got for part, got in zip(parts, rates, strict=True) if part.of_benchmark}
        assert constants == {task: value for task, value in fixed.items() if isinstance(value, float)}


def test_equal_draws_all_alike_and_proportional_by_size_up_to_the_limit() -> None:
    assert Equal().rates(SMALL) == (1, 1, 1, 1)
    assert ExamplesProportional(1000).rates(SMALL) == (10, 500, 1000, 1000)


def test_temperature_one_is_proportional_and_a_high_one_nearly_equal() -> None:
    assert TemperatureScaled(1000, temperature=1.0).rates(SMALL) == (10, 500, 1000, 1000)
    assert TemperatureScaled(1000, temperature=2.0).rates(SMALL) == pytest.approx(
        (3.1622777, 22.3606798, 31.6227766, 31.6227766)
    )
    assert shares(TemperatureScaled(1000, temperature=1e9).rates(SMALL)) == pytest.approx([0.25] * 4)


@pytest.mark.parametrize("temperature", [1e-3, 0.009737])  # a rate that is too large, and a sum that is
def test_a_temperature_too_low_for_any_number_is_refused(temperature: float) -> None:
    with pytest.raises(ValueError, match=rf"^mixing\.temperature={temperature:g}: too low, no number holds"):
        TemperatureScaled(1000, temperature=temperature).rates(SMALL)


def test_a_limit_is_scaled_to_the_suite() -> None:
    assert ExamplesProportional(2**19, limit_scale=1 / 256).rates(SMALL) == (10, 500, 2048, 2048)


def test_unlabelled_text_may_have_a_limit_of_its_own() -> None:
    assert ExamplesProportional(1000, unlabelled_limit=200).rates(SMALL) == (10, 500, 1000, 200)
    assert ExamplesProportional(None, unlabelled_limit=200, limit_scale=0.5).rates(SMALL) == (
        10,
        500,
        9000,
        100,
    )


def test_a_task_in_two_columns_counts_once_in_all_unless_told_otherwise() -> None:
    twice = [MixturePart("x.rte", 2490, copies=2), MixturePart("y.rte", 2490, copies=2)]
    assert ExamplesProportional(None).rates(twice) == (1245, 1245)
    assert ExamplesProportional(None, halve_repeated=False).rates(twice) == (2490, 2490)


def test_a_corpus_of_unknown_size_counts_as_the_limit_and_needs_one() -> None:
    with pytest.raises(ValueError, match=r"mixing\.limit=null: the number of documents is known once"):
        ExamplesProportional(None).rates(SMALL)


def test_the_papers_limits_at_the_papers_suite_and_a_256th_of_them_at_nano() -> None:
    for words, limit in (("suite=t5", 2**19), ("", 2**11), ("suite=t5 mixing=temperature_scaled", 2**21)):
        assert load_cell(words.split()).mixing.scaled_limit == limit
    own = load_cell(["mixing.limit=500", "mixing.limit_scale=1"])
    assert own.mixing.scaled_limit == 500 and own.labels["mixing"].startswith(
        "examples_proportional,limit=500"
    )


def test_rates_are_printed_as_a_table() -> None:
    mixing = ExamplesProportional(1000)
    assert table(SMALL, mixing.phases(SMALL)) == [
        "part            examples          rate     share",
        "a                     10            10     0.40%",
        "b                    500           500    19.92%",
        "c                  9,000         1,000    39.84%",
        "unsupervised     unknown         1,000    39.84%",
    ]
