"""`t5grid experiment new NAME`: a table to fill in, which composes as it stands."""

import re
from pathlib import Path

import pytest

from t5grid.cli import main
from t5grid.grid.graph import expand
from t5grid.grid.template import TEMPLATE


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_new_experiment_composes_as_it_stands(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["experiment", "new", "my_rates"]) == 0
    assert capsys.readouterr().out.startswith("written: experiments/my_rates.yaml; t5grid sweep my_rates")
    grid = expand("my_rates", ["budget=smoke"])
    assert (grid.experiment.title, grid.experiment.starred) == ("My rates", "baseline")
    assert grid.experiment.command == "t5grid sweep my_rates budget=smoke"
    assert [cells[0][0].objective.rate for cells in grid.rows.values()] == [0.15, 0.25]


def test_what_is_commented_out_is_as_valid(folder: Path) -> None:
    lines = TEMPLATE.format(name="full", title="Full").splitlines()
    kept = [re.sub(r"^( *)# (?=[a-z_]+: )", r"\1", line) for line in lines]
    (folder / "experiments").mkdir()
    (folder / "experiments/full.yaml").write_text("\n".join(kept))
    grid = expand("full", ["budget=smoke"])
    assert grid.experiment.x_title == "Corruption rate" and grid.experiment.cost and grid.experiment.about
    assert list(grid.baseline.suite.chosen()) == ["questions"]
    assert grid.experiment.rows["rate_25"].paper and grid.experiment.rows["rate_25"].x == 0.25


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["new", "objectives"], "experiment new objectives: there is "),
        (["new", "../x"], "experiment=../x: a name of letters, digits and _ . - is needed"),
        (["old", "x"], "argument action: invalid choice: 'old'"),
        (["new"], "the following arguments are required: NAME"),
    ],
)
def test_what_is_no_new_name_is_refused(
    words: list[str], told: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["experiment", *words]) == 2
    said = capsys.readouterr().err
    assert told in said and said.count("\n") == 1 and list(folder.iterdir()) == []
