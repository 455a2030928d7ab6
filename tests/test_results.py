"""The committed results are what the committed records say, byte for byte."""

import re
import shutil
from pathlib import Path

import matplotlib
import pytest

from t5grid.execution.store import Store
from t5grid.grid.graph import expand
from t5grid.results.collect import table_of
from t5grid.results.figures import costs_of
from t5grid.results.publishing import publish_all
from t5grid.results.rendering import write_table
from t5grid.results.study import load_study
from t5grid.results.table import discrimination

RESULTS = Path(__file__).parent.parent / "results"
BUDGETS = ("nano",)
DERIVED = ("findings", "per_task")  # files that are made of several experiments
ELSEWHERE = "-minilm-encoder"  # of a model and data that are not here
TABLES = [
    path
    for path in sorted(RESULTS.glob("tables/*.md"))
    if not path.stem.startswith(DERIVED) and ELSEWHERE not in path.stem
]


@pytest.mark.parametrize("path", TABLES, ids=[path.stem for path in TABLES])
@pytest.mark.slow
def test_a_committed_table_is_made_again_from_its_records(path: Path, tmp_path: Path) -> None:
    name, *_, budget = path.stem.split("-")
    grid = expand(name, [f"budget={budget}"])
    made = write_table(
        table_of(grid, Store(tmp_path / "runs"), RESULTS / "records"), tmp_path / "tables", path.stem
    )
    assert {each.name for each in made} == {each.name for each in path.parent.glob(f"{path.stem}.*")}
    for each in made:
        assert each.read_bytes() == (path.parent / each.name).read_bytes(), each.name


@pytest.mark.slow
@pytest.mark.parametrize("budget", BUDGETS)
def test_all_tables_figures_and_findings_are_made_again(budget: str, tmp_path: Path) -> None:
    """What `t5grid table --all` writes; figures where the same matplotlib draws them."""
    shutil.copytree(RESULTS / "records", tmp_path / "results" / "records")
    folders = [f"runtime.runs_dir={tmp_path}/runs", f"runtime.results_dir={tmp_path}/results"]
    publish_all(load_study([f"budget={budget}", *folders]))
    for kind in ("tables", "figures"):
        made = {path.name: path.read_bytes() for path in (tmp_path / "results" / kind).iterdir()}
        kept = {
            path.name: path.read_bytes()
            for path in (RESULTS / kind).iterdir()
            if re.search(rf"-{budget}[-.]", path.name)
        }
        assert sorted(made) == sorted(kept)
        if kind == "tables" or _drawn_by(kept) == matplotlib.__version__:
            assert [name for name in made if made[name] != kept[name]] == []


def _drawn_by(figures: dict[str, bytes]) -> str:
    """The version of matplotlib that the committed figures say they were drawn by."""
    text = next(content for name, content in figures.items() if name.endswith(".svg")).decode()
    found = re.search(r"<dc:title>t5grid, matplotlib ([\d.]+)</dc:title>", text)
    assert found, "a committed figure does not say by which matplotlib it was drawn"
    return found[1]


@pytest.mark.slow
def test_every_kept_record_belongs_to_a_table() -> None:
    """A record that no experiment asks for any more would be dead weight, or a table's silent loss."""
    wanted = set()
    for budget in BUDGETS:
        for grid in load_study([f"budget={budget}"]).grids.values():
            wanted |= {stage.identity for stage in grid.stages}
    kept = {path.relative_to(RESULTS / "records") for path in RESULTS.glob("records/*/*")}
    assert {str(path.with_suffix("")) for path in kept if ELSEWHERE not in path.name} <= wanted


def test_no_kept_record_names_a_folder_of_the_machine_that_made_it() -> None:
    for path in RESULTS.glob("records/*/*.json"):
        assert re.findall(r'": "(?:/|[A-Z]:)\S+"', path.read_text(encoding="utf-8")) == [], path.name


def test_the_committed_study_is_whole_and_tells_its_rows_apart(tmp_path: Path) -> None:
    """No hole, the baseline off floor and ceiling, and differences beyond two standard deviations."""
    table = table_of(expand("objectives", ["budget=nano"]), Store(tmp_path), RESULTS / "records")
    assert table.holes == ()
    assert table.starred.seeds == (5,)
    assert all(15 <= (table.starred.cells[column.key].mean or 0) <= 97 for column in table.columns)
    found = discrimination(table)
    assert found.columns == 7 and found.floor_below_best >= 5 and found.best_above_worst >= 4


def test_operations_that_the_record_of_a_pretraining_lacks_are_planned(tmp_path: Path) -> None:
    """Older ones lack them; that of random spans has them, and the plan finds the same number."""
    grid = expand("objectives", ["budget=nano"])
    stripped = shutil.copytree(RESULTS / "records", tmp_path / "records")
    for path in stripped.glob("pretrain/*.json"):
        path.write_text(re.sub(r'"flops": \d+,', "", path.read_text()))
    recorded, planned = (costs_of(grid, Store(tmp_path), each) for each in (RESULTS / "records", stripped))
    assert set(recorded) == set(planned) == set(grid.rows)
    assert recorded["random_spans"] == planned["random_spans"]
