"""Rows and predictions come out as the original preprocessors and postprocessors made them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from t5grid.tasks import glue, super_glue, winograd, wmt
from t5grid.tasks.cnn_dailymail import CNNDailyMail
from t5grid.tasks.metrics import string_to_float
from t5grid.tasks.squad import SQuAD

Case = dict[str, Any]
SPACING_2019 = "squad text cleaning of the first release (2019)"
MARKED_SPANS = "wsc marked spans (library function, not a registered task)"

TASKS: dict[str, Any] = {
    "glue_cola_v002": glue.CoLA(),
    "glue_sst2_v002": glue.SST2(),
    "glue_mrpc_v002": glue.MRPC(),
    "glue_qqp_v002": glue.QQP(),
    "glue_stsb_v002": glue.STSB(),
    "glue_mnli_v002": glue.MNLI(),
    "glue_mnli_matched_v002": glue.MNLI(),
    "glue_mnli_mismatched_v002": glue.MNLI(),
    "glue_qnli_v002": glue.QNLI(),
    "glue_rte_v002": glue.RTE(),
    "glue_wnli_v002": glue.WNLI(),
    "glue_ax_v002": glue.AX(),
    "glue_wnli_v002_simple_eval": winograd.WNLI(),
    "super_glue_boolq_v102": super_glue.BoolQ(),
    "super_glue_cb_v102": super_glue.CB(),
    "super_glue_copa_v102": super_glue.COPA(),
    "super_glue_multirc_v102": super_glue.MultiRC(),
    "super_glue_record_v102": super_glue.ReCoRD(),
    "super_glue_rte_v102": super_glue.RTE(),
    "super_glue_axb_v102": super_glue.AXb(),
    "super_glue_axg_v102": super_glue.AXg(),
    "super_glue_wic_v102": super_glue.WiC(),
    "super_glue_wsc_v102_simple_train": winograd.WSC(),
    "super_glue_wsc_v102_simple_eval": winograd.WSC(),
    "dpr_v001_simple": winograd.DPR(),
    "squad_v010_allanswers": SQuAD(),
    "squad_v010_context_free": SQuAD(with_context=False),
    "cnn_dailymail_v002": CNNDailyMail(),
    "wmt_t2t_ende_v003": wmt.EnDe(),
    "wmt15_enfr_v003": wmt.EnFr(),
    "wmt16_enro_v003": wmt.EnRo(),
}
VERDICTS: dict[str, Callable[[str, str], int]] = {
    "super_glue_wsc_v102_simple_eval": winograd.WSC().verdict,
    "glue_wnli_v002_simple_eval": winograd.same_referent,
}


@pytest.fixture(scope="module")
def golden(goldens: Path) -> dict[str, list[Case]]:
    cases: dict[str, list[Case]] = {}
    for case in json.loads((goldens / "task_formats.json").read_text())["cases"]:
        cases.setdefault(case["kind"], []).append(case)
    return cases


def records_of(kind: str, case: Case) -> list[dict[str, Any]]:
    task, raw = TASKS[kind], case["raw"]
    if kind == "super_glue_record_v102":
        return task.expanded(raw)
    return [task.record(raw)] if "simple_train" not in kind or raw["label"] == 1 else []


def test_every_kind_of_the_original_is_here(golden: dict[str, list[Case]]) -> None:
    assert set(golden) == {*TASKS, SPACING_2019, MARKED_SPANS}


@pytest.mark.parametrize("kind", TASKS)
def test_texts_are_those_of_the_original(golden: dict[str, list[Case]], kind: str) -> None:
    for case in golden[kind]:
        expected = [(each["inputs"], each["targets"]) for each in case["formatted"]]
        assert [(each["inputs"], each["targets"]) for each in records_of(kind, case)] == expected, case["id"]


@pytest.mark.parametrize("kind", [kind for kind, task in TASKS.items() if hasattr(task, "labels")])
def test_class_names_are_read_as_in_the_original(golden: dict[str, list[Case]], kind: str) -> None:
    for case in golden[kind]:
        for prediction, value in case["formatted"][0]["postprocess"]:
            wanted = value["value"] if isinstance(value, dict) else value
            assert TASKS[kind].label(prediction) == wanted, (case["id"], prediction)


@pytest.mark.parametrize("kind", VERDICTS)
def test_referents_are_matched_as_in_the_original(golden: dict[str, list[Case]], kind: str) -> None:
    for case in golden[kind]:
        (record,) = records_of(kind, case)
        assert record["label"] == case["formatted"][0]["target_value"]
        for prediction, value in case["formatted"][0]["postprocess"]:
            assert VERDICTS[kind](record["targets"], prediction) == value, (case["id"], prediction)


def test_similarities_are_read_as_in_the_original(golden: dict[str, list[Case]]) -> None:
    for case in golden["glue_stsb_v002"]:
        (record,) = records_of("glue_stsb_v002", case)
        assert float(record["targets"]) == case["formatted"][0]["target_value"]
        for prediction, value in case["formatted"][0]["postprocess"]:
            assert string_to_float(prediction) == pytest.approx(float(value), nan_ok=True)


def test_groups_and_answers_are_kept_for_the_metric(golden: dict[str, list[Case]]) -> None:
    for case in golden["super_glue_multirc_v102"]:
        (record,) = records_of("super_glue_multirc_v102", case)
        wanted = case["formatted"][0]["target_value"]
        assert {"value": record["label"], "group": record["group"]} == wanted
    for case in golden["super_glue_record_v102"]:
        for record, each in zip(records_of("super_glue_record_v102", case), case["formatted"], strict=True):
            assert {"value": record["answers"], "group": record["group"]} == each["target_value"]
    for case in golden["squad_v010_allanswers"]:
        wanted = case["formatted"][0]["target_value"]
        assert records_of("squad_v010_allanswers", case)[0]["answers"] == wanted


def test_the_spacing_of_2019_is_that_of_the_first_release(golden: dict[str, list[Case]]) -> None:
    task = SQuAD(spacing="non_word_2019")
    for case in golden[SPACING_2019]:
        raw = case["raw"]
        assert task.spaced(raw["context"]) == case["context"], case["id"]
        assert task.spaced(raw["question"]) == case["question"], case["id"]
        assert task.record(raw)["answers"] == case["answers"], case["id"]


def test_marked_spans_are_those_of_the_original(golden: dict[str, list[Case]]) -> None:
    for case in golden[MARKED_SPANS]:
        expected = [(each["inputs"], each["targets"]) for each in case["formatted"]]
        record = winograd.marked_spans(case["raw"])
        assert [(record["inputs"], record["targets"])] == expected, case["id"]


def spans(text: str, first: tuple[str, int], second: tuple[str, int], label: int) -> dict[str, Any]:
    names = {"span1_text": first[0], "span1_index": first[1], "span2_text": second[0]}
    return winograd.marked_spans({"text": text, **names, "span2_index": second[1], "label": label})


def test_a_first_span_out_of_its_place_leaves_the_second_unmarked_as_in_the_original() -> None:
    text = "Mismatch here , so no mark ."
    record = spans(text, ("nobody", 0), ("no", 4), -1)
    assert record == {"inputs": f"wsc text: {text}", "targets": "<unk>"}
    assert spans(text, ("so", 3), ("nobody", 0), 1)["inputs"] == "wsc text: Mismatch here , * so * no mark ."
    assert spans("Lee 's cat saw it's tail", ("it", 4), ("Lee", 0), 0) == {
        "inputs": "wsc text: # Lee # 's cat saw it's tail".replace("it's", "* it *'s"),
        "targets": "False",
    }
