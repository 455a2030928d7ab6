"""drawing: a figure is drawn once for what it shows, and alike wherever it is drawn."""

from dataclasses import replace
from pathlib import Path

import pytest

from t5grid.grid.published import PaperRow
from t5grid.results import drawing, figures, plots
from t5grid.results.drawing import BOTH, Drawings, Figure
from t5grid.results.table import Provenance, Row, Scores, Table, TableColumn

SVG = ("svg",)
CURVES = (plots.Training("a", "spans", ["a"], [(50, 3.0), (100, 2.0)]),)


def curves(name: str = "two-curves", title: str = "Two") -> Figure:
    return Figure(name, plots.curve_plot, (title, CURVES))


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the figures drawn, in place of drawing them."""
    names: list[str] = []

    def draw(figures: list[Figure], formats: tuple[str, ...]) -> list[dict[str, bytes]]:
        names.extend(figure.name for figure in figures)
        return [{form: f"{figure.shows[0]} {form}".encode() for form in formats} for figure in figures]

    monkeypatch.setattr(drawing, "drawn_together", draw)
    return names


def kept(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != ".gitignore")


def test_a_figure_is_drawn_once_and_kept_for_the_next_process(tmp_path: Path, drawn: list[str]) -> None:
    for _ in range(2):
        drawings = Drawings(tmp_path)
        assert drawings([curves()], SVG) == {"two-curves": {"svg": b"Two svg"}}
        assert drawings([curves()], SVG)["two-curves"] == {"svg": b"Two svg"}
    assert drawn == ["two-curves"]
    assert kept(tmp_path) == [f"two-curves-{curves().digest}.svg"]
    assert (tmp_path / ".gitignore").read_text() == "*\n"


def test_only_the_figure_that_shows_something_else_is_drawn_again(tmp_path: Path, drawn: list[str]) -> None:
    both = [curves("one-curves"), curves("two-curves")]
    Drawings(tmp_path)(both, SVG)
    other = curves(title="Other")
    made = Drawings(tmp_path)([both[0], other], SVG)
    assert drawn == ["one-curves", "two-curves", "two-curves"]
    assert made == {"one-curves": {"svg": b"Two svg"}, "two-curves": {"svg": b"Other svg"}}
    assert kept(tmp_path) == sorted(f"{each.name}-{each.digest}.svg" for each in (both[0], other))


def test_a_format_that_is_not_there_is_drawn(tmp_path: Path, drawn: list[str]) -> None:
    Drawings(tmp_path)([curves()], SVG)
    assert Drawings(tmp_path)([curves()], BOTH)["two-curves"] == {"svg": b"Two svg", "png": b"Two png"}
    assert drawn == ["two-curves", "two-curves"]


def test_a_folder_that_cannot_be_written_keeps_nothing_back(tmp_path: Path, drawn: list[str]) -> None:
    (tmp_path / "file").write_text("")
    drawings = Drawings(tmp_path / "file")
    assert [drawings([curves()], SVG)["two-curves"]["svg"] for _ in range(2)] == [b"Two svg"] * 2
    assert drawn == ["two-curves"]


def test_what_draws_a_figure_is_part_of_its_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    before = curves().digest
    monkeypatch.setattr(drawing, "_drawn_by", lambda: ["another matplotlib"])
    assert curves().digest != before


def test_sets_have_the_same_digest_whatever_their_order() -> None:
    rows = [frozenset(words) for words in (("a", "b", "c"), ("c", "b", "a"))]
    assert [drawing._plain(row) for row in rows] == [["a", "b", "c"]] * 2


def test_what_no_figure_shows_draws_none_again() -> None:
    paper = PaperRow("table05", "r", {"SQuAD": "80.0"}, frozenset(), True)
    row = Row("r", "R", True, {"c": Scores((1.0,))}, paper)
    table = Table("T", "", "", "", (TableColumn("c", "C"),), (row,), Provenance("nano", "nano", "nano"), None)
    noted = replace(table, provenance=replace(table.provenance, notes=("Machine: another.",)), command="x")
    scored = replace(table, rows=(replace(row, cells={"c": Scores((2.0,))}),))
    digests = [
        Figure("t-dots", plots.dot_plot, (figures._scores_alone(shown),)).digest
        for shown in (table, noted, scored)
    ]
    assert digests[0] == digests[1] != digests[2]


def test_nothing_to_draw_is_nothing_in_each_format() -> None:
    assert drawing._draw((Figure("none", plots.curve_plot, ("", {})), BOTH)) == {"svg": b"", "png": b""}


@pytest.mark.slow
def test_many_processes_draw_what_one_does(monkeypatch: pytest.MonkeyPatch) -> None:
    many = [curves(f"{k}-curves", f"Title {k}") for k in range(3)]
    here = drawing.drawn_together(many, BOTH)
    monkeypatch.setattr(drawing, "FEWEST_SHARED", 2)
    assert drawing.drawn_together(many, BOTH) == here
