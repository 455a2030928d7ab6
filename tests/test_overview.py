"""What the page opens with: a summary that says how far the numbers can be read, and scores as heat."""

from dataclasses import replace

import pytest

from t5grid.evaluation.constant import Bounds
from t5grid.grid.experiment import Experiment, RowSpec
from t5grid.results.evidence import AGREES, CONTRADICTS, FLOOR, NOT_RUN, Answer
from t5grid.results.findings import Claim, Finding
from t5grid.results.overview import groups, heat, summary, warmth
from t5grid.results.table import Provenance, Table, TableColumn, build_table

COLUMNS = [TableColumn("reading", "Reading"), TableColumn("writing", "Writing")]


def table(budget: str = "nano") -> Table:
    rows = {"star": RowSpec("Star", [], True), "low": RowSpec("Low", ["a"]), "none": RowSpec("None", ["b"])}
    experiment = Experiment("Two", "Objective", rows, "Table 5", "", "t5grid sweep two")
    scores = {"star": {"reading": [49.0, 50.0, 51.0]}, "low": {"reading": [32.0], "writing": [7.0]}}
    bounds = {"reading": Bounds(30.0, 100.0, 300, {})}
    return build_table(experiment, COLUMNS, scores, Provenance("nano", "nano", budget), bounds=bounds)


def finding(claim: str, verdict: str, rests_on: str = "") -> Finding:
    answer = Answer(verdict, "", rests_on)
    return Finding(claim, Claim(claim, "section 1", "two", []), answer, answer)


JUDGED = [
    finding("A helps", AGREES, "6 of 7 columns"),
    finding("B hurts", CONTRADICTS),
    finding("C is equal", FLOOR),
    finding("D is cheap", NOT_RUN),
]


def test_the_summary_says_what_was_asked_how_much_ran_and_what_can_be_read() -> None:
    question, how_much, at_floor, claims = summary({"two": table()}, JUDGED)
    assert "asks what such a model's success depends on" in question
    assert how_much == (
        "1 table: 3 of 6 cells have a score, from 5 evaluations; the baseline has 3 seeds, most rows one."
    )
    assert at_floor.startswith("1 of 2 scores are within two standard deviations of what a constant answer")
    assert claims == (
        "Of 4 claims of the papers 3 could be put to the test: agrees with the paper 1, does not agree 1, "
        "cannot be told 1."
    )


def test_claims_are_grouped_by_what_a_stranger_is_told() -> None:
    assert [(group.head, group.claims) for group in groups(JUDGED)] == [
        ("Agrees with the paper", ("A helps — agrees (6 of 7 columns)",)),
        ("Does not agree", ("B hurts — contradicts",)),
        ("Cannot be told", ("C is equal — at the floor",)),
        ("Not run", ("D is cheap — not run",)),
    ]


def test_a_smoke_summary_says_that_its_scores_mean_nothing() -> None:
    assert summary({"two": table("smoke")}, JUDGED)[-1].endswith("its scores mean nothing.")


def test_a_study_of_which_nothing_has_run_is_told_without_numbers_that_are_not_there() -> None:
    empty = replace(
        table(),
        rows=tuple(
            replace(row, cells={k: replace(c, by_seed=(), hole="not run") for k, c in row.cells.items()})
            for row in table().rows
        ),
    )
    assert summary({"two": empty}, [finding("A helps", NOT_RUN)])[1:] == [
        "1 table: 0 of 6 cells have a score."
    ]
    assert heat({"two": empty}) == {}


def test_heat_lies_between_the_floor_and_the_best_of_a_column_in_the_whole_study() -> None:
    other = replace(table(), bounds={})
    best = replace(
        other,
        rows=(
            replace(
                other.rows[0],
                cells={
                    "reading": replace(other.rows[0].cells["reading"], by_seed=(90.0,)),
                    "writing": other.rows[0].cells["writing"],
                },
            ),
        ),
    )
    assert heat({"two": table(), "three": best}) == {"reading": (30.0, 90.0), "writing": (7.0, 7.0)}
    assert warmth(60.0, 30.0, 90.0) == pytest.approx(0.5)
    assert (warmth(20.0, 30.0, 90.0), warmth(95.0, 30.0, 90.0), warmth(7.0, 7.0, 7.0)) == (0.0, 1.0, 0.0)
