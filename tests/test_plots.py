"""figures: the right numbers at the right places, the same bytes twice, nothing where nothing has run."""

from dataclasses import replace

import pytest

from t5grid.evaluation.constant import Bounds
from t5grid.grid.experiment import Experiment, RowSpec
from t5grid.grid.published import PaperReference, PaperRow
from t5grid.results import figures, plots
from t5grid.results.table import Hole, Provenance, Row, Table, TableColumn, build_table

COLUMNS = [TableColumn("reading", "Reading", "SQuAD"), TableColumn("writing", "Writing")]
SCORES = {
    "replace": {"reading": [69.0, 70.0, 71.0], "writing": [50.0, 50.5, 51.0]},
    "bert": {"reading": [72.0], "writing": [40.0]},
    "drop": {"reading": [60.0], "writing": Hole("not run")},
}


def trainings(**curves: list[tuple[int, float]]) -> tuple[plots.Training, ...]:
    return tuple(plots.Training(name, "spans", [name], points) for name, points in curves.items())


def table(scores: dict = SCORES) -> Table:
    rows = {
        "replace": RowSpec("Replace", [], True, PaperReference("table05", "Replace corrupted spans")),
        "bert": RowSpec("BERT", ["a=1"], paper=PaperReference("table05", "BERT-style (Devlin et al., 2018)")),
        "drop": RowSpec("Drop", ["a=2"], paper=PaperReference("table05", "Drop corrupted tokens")),
    }
    experiment = Experiment("Two", "Objective", rows, "Table 5", "", "t5grid sweep two")
    return build_table(experiment, COLUMNS, scores, Provenance("nano", "nano", "nano"))


def dots(panel: object) -> dict[float, float]:
    """y -> x of the dots of a panel: the markers alone, without bands and error bars."""
    lines = [line for line in panel.get_lines() if line.get_marker() == "o" and len(line.get_xdata()) == 1]
    return {line.get_ydata()[0]: line.get_xdata()[0] for line in lines}


def test_dots_stand_at_the_means_and_a_hole_has_none() -> None:
    reading, writing = plots.dot_plot(table()).axes
    assert dots(reading) == {0: 70.0, 1: 72.0, 2: 60.0}
    assert dots(writing) == {0: 50.5, 1: 40.0}
    assert [label.get_text() for label in reading.get_yticklabels()] == ["★ Replace", "BERT", "Drop"]


def test_the_band_reaches_two_deviations_below_the_best() -> None:
    band = plots.dot_plot(table()).axes[0].patches[0]
    assert (band.get_x(), band.get_x() + band.get_width()) == (pytest.approx(70.0), 72.0)


def test_ranks_are_the_papers_and_the_correlation_is_spearmans() -> None:
    (panel,) = plots.rank_plot(table()).axes
    points = sorted((line.get_xdata()[0], line.get_ydata()[0]) for line in panel.get_lines())
    assert points == [(1, 70.0), (2, 72.0), (3, 60.0)]  # SQuAD 80.88, 80.65, 80.52
    assert [(*text.get_position(), text.get_text()) for text in panel.texts] == [
        (1, 70.0, "1"),
        (2, 72.0, "2"),
        (3, 60.0, "3"),
    ]
    assert "ρ = +0.50" in panel.get_title()


def test_the_numbers_of_ranked_dots_are_named() -> None:
    (legend,) = plots.rank_plot(table()).legends
    assert [text.get_text() for text in legend.get_texts()] == ["1  ★ Replace", "2  BERT", "3  Drop"]


def printed(row: Row, score: str) -> Row:
    return replace(row, paper=PaperRow("table05", row.title, {"SQuAD": score}, frozenset(), row.starred))


def test_tied_ranks_are_labelled_and_whole_ones_stay_whole_numbers() -> None:
    made = table()
    tied = [printed(row, score) for row, score in zip(made.rows, ("80.0", "70.0", "70.0"), strict=True)]
    (panel,) = plots.rank_plot(replace(made, rows=tuple(tied))).axes
    assert [label.get_text() for label in panel.get_xticklabels()] == ["1", "2.5"]


def test_two_ranked_rows_make_no_rank_correlation() -> None:
    assert plots.rank_plot(replace(table(), rows=table().rows[:2])) is None


def test_scores_are_drawn_over_the_number_that_the_rows_vary() -> None:
    positions = {"bert": (32.0, "a"), "drop": (8.0, "a")}
    reading, _ = plots.axis_plot(table(), "d", positions, log=True).axes
    line = next(
        line for line in reading.get_lines() if len(line.get_xdata()) == 2 and line.get_marker() == "o"
    )
    assert (list(line.get_xdata()), list(line.get_ydata())) == ([8.0, 32.0], [60.0, 72.0])
    assert reading.get_xscale() == "log"


def test_the_legend_names_series_that_the_first_panel_lacks() -> None:
    other = {"reading": "writing", "writing": "reading"}
    swapped = {row: {other[column]: each for column, each in cells.items()} for row, cells in SCORES.items()}
    figure = plots.axis_plot(table(swapped), "d", {"drop": (8.0, "a"), "bert": (32.0, "b")}, log=True)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["b", "a"]


def test_a_logarithmic_axis_has_room_for_zero() -> None:
    reading, _ = plots.axis_plot(table(), "d", {"bert": (16.0, ""), "drop": (0.0, "")}, log=True).axes
    reading.figure.draw_without_rendering()
    left, right = (reading.transData.transform((x, 60.0))[0] for x in (0.0, 16.0))
    middle = reading.transData.transform((1.0, 60.0))[0]
    assert left < middle < right and middle - left > (right - left) / 10  # 0 and 1 are told apart


def test_costs_need_a_row_that_is_whole() -> None:
    costs = {"replace": (10.0, 1e12), "bert": (20.0, 3e12), "drop": (30.0, 4e12)}
    seconds, flops = plots.cost_plot(table(), costs).axes
    assert [line.get_xdata()[0] for line in seconds.get_lines()] == [10.0, 20.0]
    assert [line.get_ydata()[0] for line in flops.get_lines()] == [60.25, 56.0]


def test_a_figure_of_nothing_is_none() -> None:
    assert plots.curve_plot("Two", trainings(a=[])) is None
    assert plots.rank_plot(table({})) is None
    assert plots.cost_plot(table(), {}) is None
    assert plots.axis_plot(table(), "d", {}, log=False) is None


@pytest.mark.slow
def test_the_same_numbers_draw_the_same_bytes() -> None:
    curves = trainings(a=[(50, 3.0), (100, 2.0)], b=[(50, 2.0), (100, 1.0)])
    for render in (plots.svg, plots.png):
        assert render(plots.curve_plot("Two", curves)) == render(plots.curve_plot("Two", curves))
    text = plots.svg(plots.curve_plot("Two", curves)).decode()
    assert "Verdana" in text and "Two: training loss" in text and "<dc:date>" not in text


def test_a_training_that_all_rows_share_bears_no_rows_name() -> None:
    curves = trainings(**{"Pre-trained, 1%": [(50, 3.0), (100, 2.0)], "b": [(50, 2.0), (100, 1.0)]})
    assert plots.curve_plot("Two", curves).legends
    assert not plots.curve_plot("Two", curves[:1]).legends


def test_losses_of_different_objectives_stand_in_panels_of_their_own() -> None:
    a, b = trainings(a=[(50, 3.0), (100, 2.0)], b=[(50, 2.0), (100, 1.0)])
    alone = plots.Training("c", "language modeling", ["c"], [(50, 7.0), (100, 6.0)])
    spans, other, *_ = plots.curve_plot("Two", (a, alone, b)).axes
    assert [list(line.get_ydata()) for line in spans.get_lines()] == [[3.0, 2.0], [2.0, 1.0]]
    assert (spans.get_title(), other.get_title()) == ("spans", "c")
    assert [text.get_text() for text in spans.get_legend().get_texts()] == ["a", "b"]
    assert other.get_legend() is None


@pytest.mark.slow
def test_a_long_name_leaves_the_curves_their_width() -> None:
    line = [(1, 2.0), (2, 1.0)]
    short, long = (trainings(**{"x" * length: line, "b": line}) for length in (5, 60))
    widths = []
    for curves in (short, long):
        figure = plots.curve_plot("Two", curves)
        plots.png(figure)
        widths.append(figure.axes[0].get_window_extent().width / figure.dpi)
    assert widths[1] == pytest.approx(widths[0], rel=0.2)


def test_trainings_of_one_row_are_told_apart_by_what_is_their_own() -> None:
    names = ["without_a-spans-nano-seed0", "without_b-spans-nano-seed0"]
    assert figures._own_parts(names) == ["without_a", "without_b"]
    assert figures._own_parts(names[:1]) == [""]
    assert figures._own_parts([]) == []


def test_a_constant_answer_has_a_row_and_a_line() -> None:
    bounds = {"reading": Bounds(33.0, 100.0, 300, {})}
    reading, writing = plots.dot_plot(replace(table(), bounds=bounds)).axes
    (mark,) = [line for line in reading.get_lines() if line.get_marker() == "D"]
    assert (mark.get_xdata()[0], mark.get_ydata()[0]) == (33.0, 3)
    assert [label.get_text() for label in reading.get_yticklabels()][-1] == "Constant answer"
    assert not [line for line in writing.get_lines() if line.get_marker() == "D"]
    (panel,) = plots.rank_plot(replace(table(), bounds=bounds)).axes
    assert 33.0 in [line.get_ydata()[0] for line in panel.get_lines() if line.get_marker() == "None"]


def test_a_head_is_no_wider_than_its_figure() -> None:
    long = replace(table(), title="Unsupervised objectives", bounds={"reading": Bounds(28.0, 100.0, 300, {})})
    figure = plots.dot_plot(long)
    assert figure is not None
    figure.draw_without_rendering()
    extent = figure._suptitle.get_window_extent()
    assert extent.x0 >= 0 and extent.x1 <= figure.bbox.width
    assert extent.height > 2 * figure._suptitle.get_fontsize()  # on two lines, not cut off
