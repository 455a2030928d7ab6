"""Column averages and the choice of steps are those of the study."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from t5grid.config.schema import Column, load_cell
from t5grid.evaluation.averages import average, choose

Case = dict[str, Any]
NAMES = {
    "matthews_corrcoef": "matthews",
    "pearson_corrcoef": "pearson",
    "spearman_corrcoef": "spearman",
}
TABLE16 = {
    "glue": {
        "cola": {"matthews": "CoLA MCC"},
        "sst2": {"accuracy": "SST-2 Acc"},
        "mrpc": {"f1": "MRPC F1", "accuracy": "MRPC Acc"},
        "stsb": {"pearson": "STSB PCC", "spearman": "STSB SCC"},
        "qqp": {"f1": "QQP F1", "accuracy": "QQP Acc"},
        "mnli": {"accuracy_matched": "MNLIm Acc", "accuracy_mismatched": "MNLImm Acc"},
        "qnli": {"accuracy": "QNLI Acc"},
        "rte": {"accuracy": "RTE Acc (GLUE)"},
    },
    "cnn_dailymail": {"cnn_dailymail": {"rouge1": "CNN/DM R-1-F", "rouge2": "CNN/DM R-2-F"}},
    "squad": {"squad": {"em": "SQuAD EM", "f1": "SQuAD F1"}},
    "super_glue": {
        "boolq": {"accuracy": "BoolQ Acc"},
        "cb": {"mean_3class_f1": "CB F1", "accuracy": "CB Acc"},
        "copa": {"accuracy": "COPA Acc"},
        "multirc": {"f1": "MultiRC F1", "exact_match": "MultiRC EM"},
        "record": {"f1": "ReCoRD F1", "em": "ReCoRD EM"},
        "rte": {"accuracy": "RTE Acc (SuperGLUE)"},
        "wic": {"accuracy": "WiC Acc"},
        "wsc": {"accuracy": "WSC Acc"},
    },
    "wmt_ende": {"wmt_ende": {"bleu": "WMT EnDe BLEU"}},
}
PRINTED = {
    "glue": "GLUE Average",
    "cnn_dailymail": "CNN/DM R-2-F",
    "squad": "SQuAD EM",
    "super_glue": "SuperGLUE Average",
    "wmt_ende": "WMT EnDe BLEU",
}


@pytest.fixture(scope="module")
def columns() -> dict[str, Column]:
    return load_cell(["suite=t5"]).suite.columns


@pytest.fixture(scope="module")
def cases(goldens: Path) -> list[Case]:
    return json.loads((goldens / "metrics.json").read_text())["cases"]


def by_task(scores: dict[str, float], prefix: str) -> dict[str, dict[str, float]]:
    """The original's flat names as ours: `glue_cola_v002/matthews_corrcoef` -> cola: matthews."""
    found: dict[str, dict[str, float]] = {}
    for key, value in scores.items():
        if key.startswith(prefix):
            task, _, metric = key.removeprefix(prefix).partition("/")
            name, *part = task.split("_v")[0].split("_")
            metric = "_".join([NAMES.get(metric, metric), *part])
            found.setdefault(name, {})[metric] = value
    return found


def test_the_average_of_a_column_is_the_originals(cases: list[Case], columns: dict[str, Column]) -> None:
    chosen = [case for case in cases if case["kind"] == "averages"]
    assert len(chosen) == 5
    for case in chosen:
        assert average(columns["glue"], by_task(case["scores"], "glue_")) == pytest.approx(
            case["glue_average"]
        )
        ours = by_task(case["scores"], "super_glue_")
        if case["super_glue_average"] is None:
            with pytest.raises(KeyError, match="wsc"):
                average(columns["super_glue"], ours)
        else:
            assert average(columns["super_glue"], ours) == pytest.approx(case["super_glue_average"])


def test_the_published_averages_come_of_their_sub_scores(columns: dict[str, Column]) -> None:
    with open(Path(__file__).parents[1] / "results/published/t5/table16.csv", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if "deviation" not in row["Experiment"]]
    assert len(rows) == 68
    for row in rows:
        for key, tasks in TABLE16.items():
            scores = {
                task: {name: float(row[printed]) for name, printed in metrics.items()}
                for task, metrics in tasks.items()
            }
            ours = average(columns[key], scores)
            assert ours == pytest.approx(float(row[PRINTED[key]]), abs=0.0101), (row["Experiment"], key)


def test_each_task_is_reported_at_the_best_step_of_all_its_metrics(
    cases: list[Case], columns: dict[str, Column]
) -> None:
    tasks = {
        "CoLA": ("glue", "cola", "glue_cola_v002", {"CoLA": "matthews_corrcoef"}),
        "MRPC": ("glue", "mrpc", "glue_mrpc_v002", {"MRPC (F1)": "f1", "MRPC (accuracy)": "accuracy"}),
        "SQuAD": ("squad", "squad", "squad_v010_allanswers", {"SQuAD (EM)": "em", "SQuAD (F1)": "f1"}),
        "CB": (
            "super_glue",
            "cb",
            "super_glue_cb_v102",
            {"CB (F1)": "mean_3class_f1", "CB (accuracy)": "accuracy"},
        ),
    }
    chosen = [case for case in cases if case["kind"] == "best_step"]
    assert len(chosen) == 2
    for case in chosen:
        for key, name, original, printed in tasks.values():
            column = Column("x", 8, 8, {name: columns[key].tasks[name]})
            by_step: dict[int, dict[str, dict[str, float]]] = {}
            for metric in printed.values():
                for step, value in case["scores"][f"{original}/{metric}"]:
                    here = by_step.setdefault(step, {name: {}})[name]
                    ours = NAMES.get(metric, metric)
                    here[ours] = max(value, here.get(ours, value))  # evaluated twice: the higher value
            got = choose(column, by_step)["tasks"][name]
            for title, metric in printed.items():
                wanted = case["best"][title]
                assert (got["step"], got[NAMES.get(metric, metric)]) == (wanted["step"], wanted["value"])


def test_a_column_of_one_task_is_reported_at_that_tasks_step(columns: dict[str, Column]) -> None:
    by_step = {1: {"squad": {"em": 40.0, "f1": 10.0}}, 2: {"squad": {"em": 30.0, "f1": 60.0}}}
    chosen = choose(columns["squad"], by_step)
    assert (chosen["step"], chosen["score"], chosen["by_step"]) == (2, 30.0, {"1": 40.0, "2": 30.0})
    news = {1: {"cnn_dailymail": {"rouge1": 9.0, "rouge2": 5.0, "rougeLsum": 1.0}}}
    assert choose(columns["cnn_dailymail"], news)["score"] == 5.0


def test_tasks_that_are_trained_on_or_tested_only_are_no_part_of_the_average(
    columns: dict[str, Column],
) -> None:
    scores = {
        name: dict.fromkeys(columns["super_glue"].tasks[name].reported, 50.0)
        for name in TABLE16["super_glue"]
    }
    assert {"dpr", "wnli"} <= set(columns["super_glue"].tasks)
    assert average(columns["super_glue"], scores) == 50.0
