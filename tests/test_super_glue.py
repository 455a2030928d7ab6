"""SuperGLUE's grouped tasks, and the Winograd ones, from rows to scores."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from t5grid.tasks import winograd
from t5grid.tasks.hub import Source
from t5grid.tasks.super_glue import CB, COPA, RTE, BoolQ, MultiRC, ReCoRD, WiC
from t5grid.tasks.winograd import DPR, WNLI, WSC

ROW = {
    "passage": "It rained.\n@highlight\nAll stayed",
    "query": "@placeholder stayed",
    "entities": ["Al", "Bo"],
    "answers": ["Al", "Bo"],
    "idx": {"passage": 0, "query": 0},
}


@pytest.mark.parametrize(
    ("task", "train", "validation"),
    [
        (BoolQ, 64, 3270),
        (CB, 250, 56),
        (COPA, 64, 100),
        (MultiRC, 321, 4848),
        (RTE, 2490, 277),
        (WiC, 5428, 638),
        (ReCoRD, 44, 46),
        (WSC, 186, 104),
    ],
)
def test_a_local_copy_gives_every_row_and_right_answers_score_100(
    shared: Path, task: Any, train: int, validation: int
) -> None:
    local = task(root=str(shared / "mirror"))
    records = list(local.records("validation"))
    assert (len(local.records("train")), len(records)) == (train, validation)
    rights = [record["targets"] if task is not WSC or record["label"] else "zzz" for record in records]
    scores = local.score(records, rights)
    assert {name: scores[name] for name in local.reported} == dict.fromkeys(local.reported, 100.0)


def test_an_answer_of_record_is_a_record_and_a_query_counts_once() -> None:
    records = ReCoRD().expanded(ROW)
    assert [record["targets"] for record in records] == ["Al", "Bo"]
    assert records[0]["inputs"].endswith("entities: Al, Bo passage: It rained. All stayed")
    assert ReCoRD().score(records, ["Al", "nobody"]) == {"em": 100.0, "f1": 100.0}
    assert ReCoRD(counted="2019").score(records, ["Al", "nobody"]) == {"em": 50.0, "f1": 50.0}


def test_multirc_needs_every_answer_of_a_question() -> None:
    shared = {"question": "q", "answer": "a", "paragraph": "p"}
    rows = [{**shared, "idx": {"question": q}, "label": label} for q, label in [(1, 1), (1, 0), (2, 1)]]
    records = [MultiRC().record(row) for row in rows]
    answers = ["True", "False", "False"]
    assert MultiRC().score(records, answers) == pytest.approx({"f1": 200 / 3, "exact_match": 50.0})
    assert MultiRC(f1="2019").score(records, answers) == {"f1": 50.0, "exact_match": 50.0}


def test_an_empty_referent_is_wrong_now_and_was_a_no_in_2019() -> None:
    record = {"targets": "the dog", "label": 0}
    assert WSC().score([record], [""]) == {"accuracy": 0.0}
    assert WSC(empty="2019").score([record], [""]) == {"accuracy": 100.0}


@pytest.mark.parametrize(
    ("text", "pronoun", "index", "starred"),
    [
        ("Ann left as she was tired .", "she", 3, "Ann left as *she* was tired ."),
        ('It was "Good for him," he said.', "him", 4, 'It was "Good for *him* ," he said.'),
        ("they might want to use it , but", "it", 4, "they might want to use *it* , but"),
        ("a lone X and it here", "it", 4, "a lone *it* and *it* here"),
    ],
)
def test_a_pronoun_is_starred_where_it_stands(text: str, pronoun: str, index: int, starred: str) -> None:
    assert winograd.star(text, pronoun, index) == starred


def test_a_pronoun_that_is_not_there_is_refused_with_its_row(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {"text": ["Ann left"], "span1_text": ["Ann"], "span2_text": ["it"]}
    monkeypatch.setattr(Source, "table", lambda *_: pa.table({**texts, "span2_index": [1], "label": [1]}))
    with pytest.raises(ValueError, match=r"\(wsc.fixed, train\), row 0: no pronoun 'it' near word 1"):
        WSC().records("train")


def test_a_query_without_an_answer_is_refused_where_it_is_scored(monkeypatch: pytest.MonkeyPatch) -> None:
    table = pa.Table.from_pylist([ROW, {**ROW, "answers": []}])
    monkeypatch.setattr(Source, "table", lambda *_: table)
    with pytest.raises(ValueError, match=r"\(record, validation\), row 1: no answer"):
        ReCoRD().records("validation")
    assert [record["targets"] for record in ReCoRD().records("train")] == ["Al", "Bo", "<unk>"]


@pytest.mark.parametrize(
    ("premise", "hypothesis", "starred", "candidate"),
    [
        ("Jane hid the key as it shone.", "The key shone.", "Jane hid the key as *it* shone.", "the key"),
        (
            "Tom told Bo to move his cup.",
            "Tom told Bo to move Bo's cup.",
            "Tom told Bo to move *his* cup.",
            "Bo",
        ),
        ("Bo saw him as he was near.", "Bo was near.", "Bo saw him as *he* was near.", "Bo"),
        ("Nothing fits here.", "At all.", "Nothing fits here.", ""),
    ],
)
def test_a_pair_of_wnli_becomes_a_pronoun_and_a_referent(
    premise: str, hypothesis: str, starred: str, candidate: str
) -> None:
    assert winograd.referent(premise, hypothesis) == (starred, candidate)


def test_every_pair_of_the_wnli_test_has_a_referent(shared: Path) -> None:
    records = WNLI(root=str(shared / "mirror")).records("test")
    assert len(records) == 146
    assert sum(record["targets"] == "<unk>" for record in records) == 0


def test_the_training_records_of_the_hub_are_counted_without_reading_them(
    shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror = str(shared / "mirror")
    assert [task(root=mirror).num_rows("train") for task in (ReCoRD, WSC, BoolQ)] == [44, 186, 64]
    assert BoolQ(root=mirror, num_train=7).num_rows("train") == 7
    monkeypatch.setattr(Source, "table", lambda *_: pytest.fail("the hub was read"))
    assert [task().num_rows("train") for task in (ReCoRD, WSC, BoolQ)] == [138854, 259, 9427]


def test_dpr_is_trained_on_where_it_is_there(shared: Path) -> None:
    assert DPR().roles == ("train",) and not DPR.reported
    assert DPR(root=str(shared / "mirror")).roles == ()


def test_a_label_outside_the_candidates_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {"sentence": ["a it b"], "pronoun": ["it"], "candidates": [["x", "y"]]}
    monkeypatch.setattr(Source, "table", lambda *_: pa.table({**texts, "label": [2]}))
    with pytest.raises(ValueError, match=r"row 0: label 2 of candidates \['x', 'y'\], expected one of them"):
        DPR().records("train")
