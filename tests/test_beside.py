"""Beside the paper: effects in deviations, their signs, the order of rows; points only of its own columns."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from t5grid.grid.experiment import Experiment, RowSpec
from t5grid.grid.graph import expand
from t5grid.grid.published import PaperReference
from t5grid.results.beside import NOISE, OPPOSITE, SAME, Gain, gains, order, spearman, spearman_interval
from t5grid.results.beside_lines import gain_lines, paper_lines, paper_rule
from t5grid.results.collect import _is_own, table_columns
from t5grid.results.rendering import to_html, to_latex, to_markdown
from t5grid.results.styles import HTML, MARKDOWN
from t5grid.results.table import Provenance, Table, TableColumn, build_table

COLUMNS = [TableColumn("reading", "Reading", "SQuAD"), TableColumn("writing", "Writing")]
PRINTED = {  # SQuAD 80.88 ± 0.343
    "replace": "Replace corrupted spans",
    "mass": "MASS-style (Song et al., 2019)",  # 80.10, -2.3 deviations: chance up to 2.4
    "drop": "Drop corrupted tokens",  # 80.52, -1.0
}
NO_PRETRAINING = PaperReference("table01", "No pre-training")  # 50.31, -89 deviations


def table(budget: str = "nano", **scores: float) -> Table:
    rows = {
        key: RowSpec(key.title(), [key], paper=PaperReference("table05", PRINTED[key])) for key in PRINTED
    }
    rows["replace"] = replace(rows["replace"], starred=True)
    rows["nothing"] = RowSpec("Nothing", ["n"], paper=NO_PRETRAINING)
    rows["alone"] = RowSpec("Alone", ["a"])
    experiment = Experiment("Two", "Objective", rows, "Table 5", "", "t5grid sweep two")
    given = {"replace": [49.0, 50.0, 51.0], **{key: [score] for key, score in scores.items()}}
    of_row = {key: {"reading": of_key, "writing": of_key} for key, of_key in given.items()}
    return build_table(experiment, COLUMNS, of_row, Provenance("nano", "nano", budget))


def test_a_gain_is_in_each_baselines_deviations_and_says_whether_the_signs_agree() -> None:
    """Of three seeds a row of one is apart from 4.97 deviations on."""
    found = gains(table(mass=60.0, drop=45.5, nothing=40.0, alone=90.0))
    assert found["nothing"] == {"reading": Gain(-10.0, pytest.approx((50.31 - 80.88) / 0.343), SAME)}
    assert found["mass"]["reading"] == Gain(10.0, pytest.approx((80.10 - 80.88) / 0.343), NOISE)
    assert found["drop"]["reading"].agreement == NOISE
    assert gains(table(nothing=60.0))["nothing"]["reading"].agreement == OPPOSITE
    assert gains(table(nothing=54.0))["nothing"]["reading"].agreement == NOISE
    assert "alone" not in found and "replace" not in found


def test_rows_and_columns_without_a_counterpart_are_left_out() -> None:
    lines = gain_lines(table(mass=60.0, nothing=40.0, alone=90.0), MARKDOWN)
    assert lines[0] == ["Objective", "Reading (SQuAD)"]
    assert [line[0] for line in lines[1:4]] == ["Mass", "Drop", "Nothing"]
    assert lines[1:4] == [["Mass", "+10.0 / −2.3 ≈"], ["Drop", "–"], ["Nothing", "−10.0 / −89.1 ✓"]]
    assert [line[0] for line in paper_lines(table(), MARKDOWN)] == [
        *("Objective", "★ Replace", "Mass", "Drop", "Nothing", "Baseline standard deviation"),
    ]


def test_signs_are_coloured_and_marked_in_every_format() -> None:
    made = table(mass=60.0, nothing=40.0)
    assert '<span class="same">−10.0 / −89.1 ✓</span>' in gain_lines(made, HTML)[3]
    assert '<span class="noise">+10.0 / −2.3 ≈</span>' in to_html(made) and ".opposite {" in to_html(made)
    assert r"$-$10.0 / $-$89.1 $\checkmark$ \\" in to_latex(made) and r"Spearman's $\rho$" in to_latex(made)


def test_points_are_compared_only_where_the_column_is_the_papers_own() -> None:
    made = table(mass=60.0, nothing=40.0)
    assert "(" not in "".join(paper_lines(made, MARKDOWN)[2]) and "brackets" not in paper_rule(made)
    own = replace(made, columns=(replace(COLUMNS[0], own=True), COLUMNS[1]))
    assert "80.10 (−20.10)" in paper_lines(own, MARKDOWN)[2]
    assert paper_rule(own).endswith("in brackets, ours minus the paper's in the columns that are its own.")
    assert gain_lines(own, MARKDOWN) == [] and gains(own) == {}


def test_smoke_compares_nothing() -> None:
    smoke = table(budget="smoke", mass=60.0, nothing=40.0)
    own = replace(smoke, columns=(replace(COLUMNS[0], own=True), COLUMNS[1]))
    for made in (smoke, own):
        text = to_markdown(made)
        assert "Spearman" not in text and "**" not in text
        assert "(−" not in text and paper_rule(made) == ""


def test_the_order_of_the_rows_is_spearmans_and_the_pairs_that_agree() -> None:
    made = table(mass=60.0, drop=45.0, nothing=40.0)  # the paper: replace > drop > mass > nothing
    found = order(made, made.columns[0])
    assert found.correlation == pytest.approx(spearmanr([80.88, 80.10, 80.52, 50.31], [50, 60, 45, 40])[0])
    assert (found.alike, found.pairs) == (4, 6)
    few = table(mass=60.0)
    assert (order(few, few.columns[0]).correlation, order(few, few.columns[0]).pairs) == (None, 1)
    assert gain_lines(made, MARKDOWN)[-1] == ["Pairs of rows ordered alike", "4 of 6"]


def test_ties_share_a_rank_and_a_constant_side_has_no_correlation() -> None:
    values = ([1.0, 2.0, 2.0, 3.0, 5.0], [2.0, 1.0, 4.0, 4.0, 9.0])
    assert spearman(*values) == pytest.approx(spearmanr(*values)[0])
    assert spearman([1, 2, 3], [7, 7, 7]) == 0.0


def test_the_interval_of_a_rank_correlation_holds_the_truth_nineteen_times_in_twenty() -> None:
    """Of normal pairs with correlation 0.6 the rank correlation is 6/pi arcsin(0.3)."""
    rng, truth, held = np.random.default_rng(0), 6 / np.pi * np.arcsin(0.3), []
    for x, z in rng.normal(size=(400, 2, 12)):
        found = spearman(list(x), list(0.6 * x + 0.8 * z))
        low, high = spearman_interval(found, 12) or (-1, 1)
        held.append(low <= truth <= high)
    assert np.mean(held) == pytest.approx(0.95, abs=0.03)
    assert spearman_interval(1.0, 8) is None and spearman_interval(0.5, 3) is None


def test_a_column_is_the_papers_own_on_all_rows_of_the_real_split_alone() -> None:
    """`rows_used` is what records say: rows of the data that was there, of how many of the real split."""

    def is_own(*overrides: str, rows: int = 10570, real: int | None = 10570, suite: str = "t5") -> bool:
        key = {"t5": "squad", "nano": "questions"}[suite]
        grid = expand("baseline", [f"suite={suite}", f"suite.use=[{key}]", *overrides])
        (column,) = table_columns(grid)
        (task,) = grid.baseline.suite.chosen()[key].tasks
        used = {key: {task: {"validation": {"rows": rows, "of": real}}}} if suite == "t5" else {}
        return _is_own(grid, column, used)

    assert is_own()
    assert not is_own(rows=100) and not is_own(real=None) and not is_own(suite="nano")
    assert not is_own("budget.evaluate.num_examples=50")
    assert not is_own("suite.columns.squad.mirrors=null")
