"""findings: the paper agrees with itself, and the tests of a claim tell agreement from contradiction."""

from dataclasses import replace
from pathlib import Path

import pytest

from t5grid.config.schema import load_cell
from t5grid.grid.experiment import load_experiment
from t5grid.grid.graph import experiment_path
from t5grid.grid.published import load_paper, mirrored, paper_folder
from t5grid.results.evidence import (
    AGREES,
    CONTRADICTS,
    FLOOR,
    MIXED,
    NO_YARDSTICK,
    NOISE,
    NOT_RUN,
    PARTLY,
    UNJUDGED,
    UNPUBLISHED,
    Answer,
    Evidence,
    evidence_of,
    joined,
    joined_verdict,
    paper_evidence,
    verdict_of,
)
from t5grid.results.findings import Best, Better, Claim, Close, GainsMore, answer, findings, load_claims
from t5grid.results.table import Provenance, TableColumn, build_table

EVERY_CLAIM = load_claims()
CLAIMS = load_claims(paper_folder() / "claims.yaml")
OF_BERT = load_claims(paper_folder("bert") / "claims.yaml")
OF_RMT = load_claims(paper_folder("rmt") / "claims.yaml")
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


@pytest.mark.parametrize("name", [name for name, claim in OF_BERT.items() if claim.experiment != "lineage"])
def test_the_claims_of_bert_agree_with_its_own_numbers_if_a_tenth_of_a_point_is_a_deviation(
    name: str,
) -> None:
    claim = OF_BERT[name]
    experiment = load_experiment(experiment_path(claim.experiment))
    paper = paper_evidence(build_table(experiment, [], {}, Provenance("nano_bert", "nano", "nano")))
    assert answer(claim, paper).verdict != AGREES  # it printed none
    deviations = dict.fromkeys(paper.columns, 0.1)
    found = answer(claim, replace(paper, deviations=deviations))
    assert found.verdict in (AGREES, PARTLY), found.numbers


def rmt_evidence(deviation: float | None) -> Evidence:
    """The lecture's numbers, as if each had that deviation; it printed none."""
    experiment = load_experiment(experiment_path("long_inputs"))
    paper = paper_evidence(build_table(experiment, [], {}, Provenance("long", "nano", "nano")))
    return paper if deviation is None else replace(paper, deviations=dict.fromkeys(paper.columns, deviation))


@pytest.mark.parametrize("name", ["memory_beats_truncation", "more_segments_help_more"])
def test_the_lectures_numbers_agree_if_a_twentieth_of_a_point_is_a_deviation(name: str) -> None:
    assert answer(OF_RMT[name], rmt_evidence(None)).verdict == UNJUDGED
    found = answer(OF_RMT[name], rmt_evidence(0.05))
    assert found.verdict == AGREES, found.numbers
    paper = rmt_evidence(0.05)
    turned = {row: {c: 100 - score for c, score in of_row.items()} for row, of_row in paper.scores.items()}
    assert answer(OF_RMT[name], replace(paper, scores=turned)).verdict == CONTRADICTS


def test_of_rows_that_the_lecture_lacks_it_says_nothing() -> None:
    known = rmt_evidence(0.05).scores
    untold = [
        name for name, claim in OF_RMT.items() if any(not set(t.rows) <= set(known) for t in claim.tests)
    ]
    assert untold == ["early_evidence_needs_memory"]
    assert answer(OF_RMT[untold[0]], rmt_evidence(0.05)).verdict == NOT_RUN


@pytest.mark.parametrize("name", CLAIMS)
def test_every_claim_is_contradicted_by_the_papers_numbers_turned_round(name: str) -> None:
    """What agrees with every ranking would say nothing: with all scores negated around 50 some test fails."""
    claim = CLAIMS[name]
    experiment = load_experiment(experiment_path(claim.experiment))
    table = build_table(experiment, [], {}, Provenance("t5", "base", "paper"))
    paper = paper_evidence(table)
    turned = {row: {c: 100 - score for c, score in of_row.items()} for row, of_row in paper.scores.items()}
    directed = [test for test in claim.tests if isinstance(test, Better | Best)]
    round_about = replace(paper, scores=turned)
    assert [test for test in directed if test(round_about).verdict not in (CONTRADICTS, NOISE)] == []
    assert not directed or answer(claim, round_about).verdict in (CONTRADICTS, MIXED, NOISE)


def test_better_needs_more_than_chance_in_enough_columns() -> None:
    """Of infinitely many seeds, two rows of one seed are apart by more than 2.77 deviations."""
    both = Better(higher=["a"], lower=["b"], columns=["GLUE", "SQuAD"], at_least=2)
    assert both(evidence(a=(53, 52), b=(50, 50))).verdict == AGREES
    assert both(evidence(a=(52.7, 51.3), b=(50, 50))).verdict == NOISE
    assert both(evidence(b=(53, 50))).verdict == NOT_RUN


def test_a_verdict_says_how_many_columns_it_rests_on() -> None:
    both = Better(higher=["a"], lower=["b"], columns=["GLUE", "SQuAD"], at_least=2)
    texts = {
        "agrees (2 of 2 columns)": evidence(a=(53, 52), b=(50, 50)),
        "partly (1 of 2 columns, none the other way)": evidence(a=(53, 50), b=(50, 50)),
        "mixed (1 of 2 columns, 1 the other way)": evidence(a=(53, 50), b=(50, 52)),
        "contradicts (1 of 2 columns the other way)": evidence(a=(50, 50), b=(53, 50)),
        "within noise": evidence(a=(52, 51), b=(50, 50)),
    }
    for text, scores in texts.items():
        assert str(both(scores)) == text


def test_most_columns_the_other_way_contradict_whatever_is_this_way() -> None:
    assert verdict_of(above=1, below=2, needed=3, columns=3) == CONTRADICTS
    assert verdict_of(above=2, below=3, needed=4, columns=7) == MIXED
    assert verdict_of(above=4, below=3, needed=4, columns=7) == AGREES


def test_two_rows_at_the_floor_are_not_compared() -> None:
    low = replace(
        evidence(a=(40, 10), b=(30, 9)), at_floor={"GLUE": frozenset("ab"), "SQuAD": frozenset("b")}
    )
    assert Better(["a"], ["b"], columns=["GLUE"])(low).verdict == FLOOR
    assert Close("a", "b", at_most=50, columns=["GLUE"])(low).verdict == FLOOR
    mixed = Better(["a"], ["b"], columns=["GLUE", "SQuAD"], at_least=1)(low)
    assert mixed.verdict == NOISE  # in SQuAD 2.0 deviations are not enough
    assert "both at the floor in 1;" in mixed.numbers
    assert (
        Best("a", at_least=1)(replace(low, at_floor=dict.fromkeys(COLUMNS, frozenset("ab")))).verdict == FLOOR
    )


def test_better_says_titles_columns_deviations_and_points() -> None:
    titled = replace(evidence(a=(54, 52), b=(50, 50)), titles={"a": "Row A"})
    found = Better(higher=["a"], lower=["b"], columns=["GLUE", "SQuAD"])(titled)
    assert found.numbers == (
        "Row A against b: above in 2 of 2 columns, below in 0; "
        "median +4.0 sd (+3.00 points), chance up to 2.8 sd"
    )
    (effect,) = found.effects
    assert (effect.title, effect.sizes) == ("Row A over b", {"GLUE": 4.0, "SQuAD": 4.0})
    assert effect.margin == pytest.approx(1.96 * 2**0.5, abs=0.001)


def test_close_is_a_relative_loss_and_contradicts_beyond_chance_only() -> None:
    close = Close(row="a", to="b", at_most=4, columns=["GLUE", "SQuAD"])
    assert close(evidence(a=(48.5, 48.5), b=(50, 50))).verdict == AGREES
    assert close(evidence(a=(47.5, 48.1), b=(50, 50))).verdict == MIXED  # 4.4 %, more than chance in SQuAD
    assert close(evidence(a=(40, 40), b=(50, 50))).verdict == CONTRADICTS
    assert close(evidence(a=(60, 60), b=(50, 50))).verdict == AGREES
    assert close(evidence(b=(50, 50))).verdict == NOT_RUN


def test_a_loss_that_could_not_be_seen_is_noise_not_agreement() -> None:
    """Chance alone makes a mean loss of ± 3.1 % of these columns."""
    rows = evidence(a=(50, 50), b=(50, 50))
    found = [Close("a", "b", at_most, ["GLUE", "SQuAD"])(rows).verdict for at_most in (4, 3)]
    assert found == [AGREES, NOISE]


def test_alike_is_judged_for_gains_as_for_losses() -> None:
    alike = Close(row="a", to="b", at_most=4, columns=["GLUE", "SQuAD"], alike=True)
    assert alike(evidence(a=(50.5, 50.5), b=(50, 50))).verdict == AGREES
    assert alike(evidence(a=(52.6, 51.9), b=(50, 50))).verdict == MIXED
    gained = alike(evidence(a=(60, 60), b=(50, 50)))
    assert gained.verdict == CONTRADICTS
    assert gained.numbers.startswith(
        "a gains 20.0 ± 3.1 % against b (either way at most 4 %); more than chance in 2 of 2 columns"
    )
    assert alike(evidence(a=(40, 40), b=(50, 50))).verdict == CONTRADICTS


def test_best_counts_the_columns_where_it_beats_some_row_and_none_beats_it() -> None:
    best = Best(row="a", at_least=2)
    assert best(evidence(a=(50, 50), b=(49, 49))).verdict == NOISE  # no row is above the other
    assert best(evidence(a=(53, 52), b=(50, 50))).verdict == AGREES
    assert best(evidence(a=(53, 50), b=(50, 50))).verdict == PARTLY
    assert best(evidence(a=(50, 52), b=(53, 50))).verdict == MIXED
    assert best(evidence(a=(50, 50), b=(53, 52))).verdict == CONTRADICTS
    assert best(evidence(a=(50, 50))).verdict == NOT_RUN
    three = best(evidence(a=(50, 50), b=(52.9, 51.45), c=(47, 48.5)))  # among two rivals 3.17 are needed
    assert three.numbers.startswith("a leads in 0 of 2 columns (at least 2), beaten in 0")


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
    assert (
        Better(higher=["a"], lower=["b"], columns=columns)(half).numbers == "a or b: 1 of 2 columns missing"
    )


@pytest.mark.parametrize(
    ("parts", "verdict"),
    [
        ([AGREES, AGREES], AGREES),
        ([AGREES, NOISE], PARTLY),
        ([NOISE, FLOOR], NOISE),
        ([FLOOR, FLOOR], FLOOR),
        ([AGREES, CONTRADICTS, NOT_RUN], MIXED),
        ([NOISE, CONTRADICTS, NOT_RUN], CONTRADICTS),
        ([AGREES, NOT_RUN, NOISE], NOT_RUN),
        ([PARTLY, MIXED, AGREES], MIXED),
    ],
)
def test_the_parts_of_a_claim_make_one_verdict(parts: list[str], verdict: str) -> None:
    assert joined_verdict(parts) == verdict
    assert joined([Answer(part, "") for part in parts], "; ").verdict == verdict


def test_our_columns_are_judged_as_what_they_mirror() -> None:
    experiment = load_experiment(experiment_path("objectives"))
    columns = [TableColumn("sentences", "Sentences", "GLUE"), TableColumn("extra", "Extra")]
    scores = {experiment.starred: {"sentences": [50.0, 52.0], "extra": [1.0, 2.0]}}
    found = evidence_of(build_table(experiment, columns, scores, Provenance("nano", "nano", "nano")))
    assert found.scores[experiment.starred] == {"GLUE": 51.0, "extra": 1.5}
    assert found.deviations == {"GLUE": pytest.approx(2**0.5), "extra": pytest.approx(0.5**0.5)}
    assert found.freedom == {"GLUE": 1, "extra": 1}
    assert found.seeds[experiment.starred] == {"GLUE": 2, "extra": 2} and "extra" not in found.columns
    assert found.title(experiment.starred) == "Replace corrupted spans"


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


def test_what_two_comparisons_say_in_the_same_words_is_said_once() -> None:
    lacking = Answer(NOT_RUN, NO_YARDSTICK)
    assert joined([lacking, Answer(NOT_RUN, "A: 1 of 2 columns missing"), lacking], "; ").numbers == (
        f"{NO_YARDSTICK}; A: 1 of 2 columns missing"
    )


def test_a_gain_is_compared_with_another_gain_and_the_chance_of_both() -> None:
    """The chance of a difference of two differences is sqrt(2) that of one: 3.9 deviations."""
    more = GainsMore("a", "b", "c", "d", columns=["GLUE", "SQuAD"])
    start = {"b": (50, 50), "c": (52, 51), "d": (50, 50)}
    assert more(evidence(a=(56.1, 53.1), **start)).verdict == AGREES
    assert more(evidence(a=(55.8, 52.8), **start)).verdict == NOISE
    assert more(evidence(a=(56.1, 52.8), **start)).verdict == PARTLY
    assert more(evidence(a=(47, 48), **start)).verdict == CONTRADICTS
    assert more(evidence(a=(56, 53), b=(50, 50))).verdict == NOT_RUN
    assert "median +3.05 points" in more(evidence(a=(56, 53.1), **start)).numbers


@pytest.mark.parametrize("name", [name for name in EVERY_CLAIM if name not in CLAIMS])
def test_a_claim_of_another_paper_is_left_out_until_its_rows_have_run(name: str) -> None:
    claim = EVERY_CLAIM[name]
    experiment = load_experiment(experiment_path(claim.experiment))
    here = [word for word in experiment.common if word != "vocabulary=minilm"]  # a model that is not
    suite = load_cell(here).suite
    columns = [
        TableColumn(key, column.title, mirrored(column.mirrors, experiment.published))
        for key, column in suite.chosen().items()
    ]
    keys = [experiment.starred, *(key for test in claim.tests for key in test.rows)]
    scores = {key: {column.key: [50.0, 51.0] for column in columns} for key in keys}
    where = Provenance("nano", "nano", "nano")
    for known, number in (({}, 0), (scores, 1)):
        table = build_table(experiment, columns, known, where)
        assert len(findings({name: claim}, {claim.experiment: table})) == number
    study = Claim(claim.claim, claim.source, claim.experiment, claim.tests)
    assert findings({name: study}, {claim.experiment: build_table(experiment, columns, {}, where)})


def test_a_column_that_mirrors_none_goes_by_its_own_key() -> None:
    experiment = load_experiment(experiment_path("domains"))
    columns = [TableColumn("things_people", "Things and people", None)]
    seeds = {"nothing": [63.0, 64.0, 65.0], "domain_text": [90.0], "same_text": [64.0]}
    scores = {row: {"things_people": of_row} for row, of_row in seeds.items()}
    table = build_table(experiment, columns, scores, Provenance("nano_domains", "nano", "nano"))
    name = "text_of_the_domain_helps"
    (finding,) = findings({name: EVERY_CLAIM[name]}, {"domains": table})
    assert finding.ours.verdict == AGREES, finding.ours.numbers
    assert finding.paper.verdict == UNPUBLISHED
