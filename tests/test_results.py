"""The committed tables are what the committed records say, byte for byte."""

from pathlib import Path

import pytest

from t5grid.grid.graph import expand, table_of
from t5grid.grid.rendering import write_table
from t5grid.grid.store import Store

RESULTS = Path(__file__).parent.parent / "results"
TABLES = sorted(RESULTS.glob("tables/*.md"))


@pytest.mark.parametrize("path", TABLES, ids=[path.stem for path in TABLES])
def test_a_committed_table_is_made_again_from_its_records(path: Path, tmp_path: Path) -> None:
    name, budget = path.stem.split("-")
    grid = expand(name, [f"budget={budget}"] if budget != "nano" else [])
    assert grid.stem == path.stem
    made = write_table(
        table_of(grid, Store(tmp_path / "runs"), RESULTS / "records"), tmp_path / "tables", path.stem
    )
    assert {each.name for each in made} == {each.name for each in path.parent.glob(f"{path.stem}.*")}
    for each in made:
        assert each.read_bytes() == (path.parent / each.name).read_bytes(), each.name


def test_the_committed_study_is_whole_and_tells_its_rows_apart(tmp_path: Path) -> None:
    """No hole, the baseline off floor and ceiling, and differences beyond two standard deviations."""
    from t5grid.grid.tables import discrimination

    table = table_of(expand("objectives", ["budget=lab"]), Store(tmp_path), RESULTS / "records")
    assert table.holes == ()
    assert all(15 <= (table.starred.cells[column.key].mean or 0) <= 97 for column in table.columns)
    found = discrimination(table)
    assert found.columns == 7 and found.floor_below_best >= 5 and found.best_above_worst >= 4
