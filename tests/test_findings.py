"""findings: the paper agrees with itself, and the tests of a claim tell agreement from contradiction."""

from pathlib import Path

import pytest

from t5grid.grid.experiment import load_experiment
from t5grid.grid.graph import experiment_path
from t5grid.grid.published import load_paper
from t5grid.results.findings import (
    AGREES,
    CONTRADICTS,
    NO_YARDSTICK,
    NOISE,
    NOT_RUN,
    Best,
    Better,
    Close,
    Evidence,
    answer,
    evidence_of,
    load_claims,
    paper_evidence,
    worst,
)
from t5grid.results.table import Provenance, TableColumn, build_table

CLAIMS = load_claims()
COLUMNS = load_paper().columns
DEVIATIONS = {"GLUE": 1.0, "SQuAD": 0.5}


def evidence(**rows: tuple[float, float]) -> Evidence:
    return Evidence(
        {row: {"GLUE": glue, "SQuAD": squad} for row, (glue, squad) in rows.items()}, DEVIATIONS, COLUMNS
    )


@pytest.mark.parametrize("name", CLAIMS)
def test_every_claim_agrees_with_the_papers_own_numbers(name: str) -> None:
    claim = CLAIMS[name]
    experiment = load_experiment(experiment_path(claim.experiment))
    table = build_table(experiment, [], {}, Provenance("t5", "base", "paper"))
    found = answer(claim, paper_evidence(table))
    assert found.verdict == AGREES, found.numbers


@pytest.mark.parametrize("name", CLAIMS)
def test_every_claim_is_contradicted_by_the_papers_numbers_turned_round(name: str) -> None:
    """What agrees with every ranking would say nothing: with all scores negated around 50 some test fails."""
    claim = CLAIMS[name]
    experiment = load_experiment(experiment_path(claim.experiment))
    table = build_table(experiment, [], {}, Provenance("t5", "base", "paper"))
    paper = paper_evidence(table)
    turned = {row: {c: 100 - score for c, score in of_row.items()} for row, of_row in paper.scores.items()}
    directed = [test for test in claim.tests if isinstance(test, Better | Best)]
    if directed:
        assert answer(claim, Evidence(turned, paper.deviations, COLUMNS)).verdict in (CONTRADICTS, NOISE)


def test_better_needs_two_deviations_in_enough_columns() -> None:
    both = Better(higher=["a"], lower=["b"], columns=["GLUE", "SQuAD"], at_least=2)
    assert both(evidence(a=(53, 52), b=(50, 50))).verdict == AGREES
    assert both(evidence(a=(52, 52), b=(50, 50))).verdict == NOISE  # exactly two deviations is not more
    assert both(evidence(a=(50, 50), b=(53, 52))).verdict == CONTRADICTS
    assert both(evidence(a=(53, 50), b=(50, 52))).verdict == NOISE
    assert both(evidence(b=(53, 50))).verdict == NOT_RUN


def test_better_is_contradicted_by_most_columns_whatever_it_asks_for() -> None:
    columns = ["GLUE", "SQuAD", "EnDe"]
    found = Evidence(
        {"a": dict.fromkeys(columns, 50.0), "b": {"GLUE": 55, "SQuAD": 55, "EnDe": 50}},
        dict.fromkeys(columns, 1.0),
        COLUMNS,
    )
    assert Better(higher=["a"], lower=["b"], columns=columns, at_least=3)(found).verdict == CONTRADICTS


def test_better_says_columns_points_and_deviations() -> None:
    found = Better(higher=["a"], lower=["b"], columns=["GLUE", "SQuAD"])(evidence(a=(54, 52), b=(50, 50)))
    assert found.numbers == "a against b: above in 2 of 2, below in 0; median +3.00 (+4.0 sd)"


def test_close_is_a_relative_loss_and_contradicts_beyond_noise_only() -> None:
    close = Close(row="a", to="b", at_most=2, columns=["GLUE", "SQuAD"])
    assert close(evidence(a=(49.5, 49.5), b=(50, 50))).verdict == AGREES
    assert close(evidence(a=(49, 48), b=(50, 50))).verdict == NOISE
    assert close(evidence(a=(40, 40), b=(50, 50))).verdict == CONTRADICTS
    assert close(evidence(a=(60, 60), b=(50, 50))).verdict == AGREES
    assert close(evidence(b=(50, 50))).verdict == NOT_RUN


def test_alike_is_judged_for_gains_as_for_losses() -> None:
    alike = Close(row="a", to="b", at_most=2, columns=["GLUE", "SQuAD"], alike=True)
    assert alike(evidence(a=(50.5, 50.5), b=(50, 50))).verdict == AGREES
    assert alike(evidence(a=(51, 52), b=(50, 50))).verdict == NOISE
    gained = alike(evidence(a=(60, 60), b=(50, 50)))
    assert gained.verdict == CONTRADICTS
    assert gained.numbers.startswith(
        "a gains 20.0 % against b (either way at most 2 %); beyond two deviations in 2 of 2"
    )
    assert alike(evidence(a=(40, 40), b=(50, 50))).verdict == CONTRADICTS


def test_best_counts_the_columns_no_other_row_beats() -> None:
    best = Best(row="a", at_least=2)
    assert best(evidence(a=(50, 50), b=(51, 51))).verdict == AGREES
    assert best(evidence(a=(50, 50), b=(51, 52))).verdict == CONTRADICTS
    assert best(evidence(a=(50, 50))).verdict == NOT_RUN


def test_rows_that_ran_without_a_yardstick_are_not_called_missing() -> None:
    """A baseline of one seed has no standard deviation."""
    found = Evidence({row: dict.fromkeys(["GLUE", "SQuAD"], 50.0) for row in "ab"}, {}, COLUMNS)
    columns = ["GLUE", "SQuAD"]
    for test in (
        Better(higher=["a"], lower=["b"], columns=columns),
        Close(row="a", to="b", at_most=2, columns=columns),
        Best(row="a", at_least=2),
    ):
        assert (test(found).verdict, test(found).numbers) == (NOT_RUN, NO_YARDSTICK)
    half = Evidence({"a": {"GLUE": 50.0}, "b": dict.fromkeys(columns, 50.0)}, {}, COLUMNS)
    assert Better(higher=["a"], lower=["b"], columns=columns)(half).numbers == "a or b: 1 of 2 missing"


def test_one_contradiction_decides_and_a_missing_test_leaves_a_claim_open() -> None:
    assert worst([AGREES, NOISE, CONTRADICTS, NOT_RUN]) == CONTRADICTS
    assert worst([AGREES, NOT_RUN, NOISE]) == NOT_RUN
    assert worst([AGREES, NOISE]) == NOISE


def test_our_columns_are_judged_as_what_they_mirror() -> None:
    experiment = load_experiment(experiment_path("objectives"))
    columns = [TableColumn("sentences", "Sentences", "GLUE"), TableColumn("extra", "Extra")]
    scores = {experiment.starred: {"sentences": [50.0, 52.0], "extra": [1.0, 2.0]}}
    found = evidence_of(build_table(experiment, columns, scores, Provenance("nano", "nano", "nano")))
    assert found.scores[experiment.starred] == {"GLUE": 51.0}
    assert found.deviations == {"GLUE": pytest.approx(2**0.5)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "a: {claim: x, source: y, experiment: z, tests: [{_target_: t5grid.results.findings.Wurst}]}",
            "Wurst",
        ),
        ("a: {claim: x, sauce: y, experiment: z, tests: []}", "sauce"),
        ("a: {", "claims.yaml"),
    ],
)
def test_a_wrong_claims_file_is_named(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "claims.yaml").write_text(text)
    with pytest.raises(ValueError, match=message):
        load_claims(tmp_path / "claims.yaml")
