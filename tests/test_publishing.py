"""publishing: what is written of a whole study, and what goes to a wandb run."""

import json
from pathlib import Path
from typing import Any

import pytest

from t5grid.files import write_whole
from t5grid.grid.graph import expand as EXPAND
from t5grid.refused import Absent, Refused
from t5grid.results.publishing import log_report, publish, publish_all
from t5grid.results.study import experiments, load_claimed, load_recorded, load_study

RESULTS = Path(__file__).parents[1] / "results"


def test_experiments_come_in_the_papers_order() -> None:
    names = experiments()
    chosen = [
        "architectures",
        "objectives",
        "corruption_rate",
        "span_length",
        "finetuning",
        "sample_efficiency",
    ]
    assert [name for name in names if name in chosen] == chosen


def test_rows_shared_with_another_table_alone_make_none(tmp_path: Path) -> None:
    folders = [f"runtime.runs_dir={tmp_path}/runs", f"runtime.results_dir={tmp_path}/results"]
    study = load_study(folders, ["corruption_rate"])
    assert publish_all(study) == ["left out: corruption_rate, most of its rows have not run"]
    assert not (tmp_path / "results").exists()


def test_a_whole_study_leaves_out_what_a_user_would_have_to_bring(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["encoder_transfer", "corruption_rate"]
    monkeypatch.setattr("t5grid.results.study.experiments", lambda: names)
    words = ["vocabulary.folder=/nowhere"]
    monkeypatch.setattr(
        "t5grid.results.study.expand",
        lambda name, _, loader: EXPAND(name, words if name == names[0] else [], loader),
    )
    assert list(load_study([]).grids) == ["corruption_rate"]
    with pytest.raises(Absent, match=r"vocabulary\.folder=/nowhere: no imported model is there"):
        load_study([], names)


@pytest.mark.slow
def test_a_whole_study_leaves_out_suites_without_the_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["corruption_rate", "domains"]
    monkeypatch.setattr("t5grid.results.study.experiments", lambda: names)
    assert list(load_study(["suite.use=[questions]"]).grids) == ["corruption_rate"]
    assert list(load_claimed(["suite.use=[questions]"]).grids) == ["corruption_rate"]
    with pytest.raises(Refused, match=r"domains\.yaml, .*no column 'questions'"):
        load_study(["suite.use=[questions]"], names)
    with pytest.raises(Refused, match=r"corruption_rate\.yaml, .*no column 'qestions'"):
        load_study(["suite.use=[qestions]"])


def test_a_part_done_table_is_written_on_demand_and_drawn_only_when_it_changes(tmp_path: Path) -> None:
    folders = [f"runtime.runs_dir={tmp_path}/runs", f"runtime.results_dir={tmp_path}/results"]
    study = load_study(folders, ["corruption_rate"])
    text, path = publish(study.grids["corruption_rate"], study.store)
    assert "not run" in text and path.read_text(encoding="utf-8") == text
    marker = tmp_path / "results" / "figures"
    assert not marker.exists()  # nothing has run, nothing to draw


@pytest.mark.slow
def test_tables_figures_and_findings_go_to_one_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import wandb

    logged: dict[str, Any] = {}
    asked: dict[str, Any] = {}

    class Run:
        id = "abc"

        def log(self, values: dict[str, Any]) -> None:
            logged.update(values)

        def finish(self) -> None:
            logged["finished"] = True

    def init(**options: Any) -> Run:
        asked.update(options)
        return Run()

    monkeypatch.setattr(wandb, "init", init)
    monkeypatch.setattr(wandb, "Image", lambda figure: figure)
    monkeypatch.setattr(wandb, "Table", lambda columns, data: (columns, data))
    folders = [f"runtime.runs_dir={tmp_path}/runs", f"runtime.results_dir={RESULTS}"]
    assert log_report(load_study(["budget=nano", *folders], ["objectives"])) == "abc"
    assert asked["mode"] == "offline" and logged["finished"]
    columns, rows = logged["objectives/table"]
    assert columns[:2] == ["Objective", "Sentences"] and rows[0][0] == "Prefix language modeling"
    assert {"objectives/dots", "objectives/ranks", "objectives/curves", "findings"} <= set(logged)


@pytest.mark.slow
def test_the_budgets_that_have_records_are_shown_where_the_default_has_none(tmp_path: Path) -> None:
    folders = [f"runtime.runs_dir={tmp_path}/runs", f"runtime.results_dir={tmp_path}/results"]

    def record_one(budget: str) -> None:
        study = load_study([*folders, f"budget={budget}"], ["objectives"])
        stage = next(s for s in study.grids["objectives"].stages if s.kind == "evaluate")
        record = {
            "score": 1.0,
            "step": 1,
            "tasks": {},
            "machine": "",
            "python": "",
            "versions": {"torch": ""},
        }
        write_whole(tmp_path / "results" / "records" / f"{stage.identity}.json", json.dumps(record))

    def shown(*more: str) -> tuple[list[str], str]:
        studies, note = load_recorded([*folders, *more], ["objectives"])
        return [study.stem for study in studies], note

    assert shown() == (["nano"], "")  # nothing has run at all
    record_one("lab")
    note = "nothing has run at budget nano; shown is budget="
    assert shown() == (["lab"], f"{note}lab, which has records")
    assert shown("budget=nano") == (["nano"], "")  # as it was asked for
    assert shown("budget=nano,lab") == (["nano", "lab"], "")
    record_one("smoke")
    assert shown() == (["lab", "smoke"], f"{note}lab,smoke, which have records")
    record_one("nano")
    assert shown() == (["nano"], "")
