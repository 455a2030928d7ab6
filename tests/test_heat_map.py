"""The heat map: gains at their places, holes empty, a frame only where a gain is beyond chance."""

from test_plots import table

from t5grid.results.heat_map import gains_of, heat_map


def test_gains_are_over_the_starred_row_and_a_hole_has_none() -> None:
    assert gains_of(table()) == {
        ("bert", "reading"): 2.0,
        ("bert", "writing"): -10.5,
        ("drop", "reading"): -10.0,
    }


def test_each_gain_is_written_in_its_cell_and_framed_beyond_two_deviations() -> None:
    (panel,) = heat_map(table()).axes
    texts = {text.get_position(): text.get_text() for text in panel.texts}
    assert texts == {(0, 0): "+2.0", (1, 0): "−10.5", (0, 1): "−10.0"}
    frames = {(round(patch.get_x() + 0.46), round(patch.get_y() + 0.44)) for patch in panel.patches}
    assert frames == {(1, 0), (0, 1)}  # two deviations of reading are exactly 2.0
    assert [label.get_text() for label in panel.get_yticklabels()] == ["BERT", "Drop"]


def test_without_a_gain_there_is_nothing_to_draw() -> None:
    assert heat_map(table({"replace": {}, "bert": {}, "drop": {}})) is None
