"""The forest plot: every comparison at its median effect, ours beside the paper's, as far as run."""

from t5grid.results.evidence import CONTRADICTS, NOT_RUN, Answer, Effect
from t5grid.results.findings import Claim, Finding
from t5grid.results.forest import compared_claims, forest_plot

CLAIM = Claim("A beats B and C", "section 1", "objectives", [])


def effect(title: str, *sizes: float) -> Effect:
    columns = [f"c{k}" for k in range(len(sizes))]
    return Effect(title, dict(zip(columns, sizes, strict=True)), dict.fromkeys(columns, 3.0))


OURS = Answer(CONTRADICTS, "", effects=(effect("A over B", -9.0, -7.0, 1.0), effect("A over C", 2.0)))
PAPER = Answer("agrees", "", effects=(effect("A over C", 30.0), effect("A over B", 4.0, 5.0, 6.0)))


def test_each_comparison_stands_at_its_median_beside_the_papers() -> None:
    claims = compared_claims([Finding("a", CLAIM, OURS, PAPER)])
    (panel,) = forest_plot("Suite nano", claims).axes
    assert [label.get_text() for label in panel.get_yticklabels()] == ["A over B", "A over C"]
    found = {
        marker: [
            line.get_xdata()[0]
            for line in panel.get_lines()
            if line.get_marker() == marker and len(line.get_xdata()) == 1
        ]
        for marker in "os"
    }
    assert found == {"o": [-7.0, 2.0], "s": [5.0, 30.0]}
    specks = [list(line.get_xdata()) for line in panel.get_lines() if line.get_marker() == "|"]
    assert [-9.0, -7.0, 1.0] in specks and [4.0, 5.0, 6.0] in specks
    assert [text.get_text() for text in panel.texts] == ["contradicts: A beats B and C"]


def test_claims_without_an_effect_of_ours_are_left_out() -> None:
    claims = compared_claims([Finding("a", CLAIM, Answer(NOT_RUN, ""), PAPER)])
    assert claims == () and forest_plot("Suite nano", claims) is None
