"""record.json: what a stage left, or what is wrong with the file."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from t5grid.stages.record import fault_in, is_number, read_record, record_fault

NAME = "evaluate/questions-1"
SOUND = {
    **{"identity": NAME, "score": 1, "step": 2, "tasks": {"questions": {"step": 2, "word_f1": 1.0}}},
    **{"machine": "abacus", "python": "3.11", "versions": {"torch": "2"}},
    "data": {"questions": {"validation": {"rows": 3, "of": None}}},
    "samples": {"questions": [{"input": "a", "target": "b", "prediction": "c"}]},
}


def put(folder: Path, content: Any) -> Path:
    path = folder / "record.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return path


@pytest.mark.parametrize("score", [1, 0.5, -3.0, float("nan")])
def test_a_sound_record_is_read_as_it_is_a_score_without_a_value_too(tmp_path: Path, score: float) -> None:
    path = put(tmp_path, SOUND | {"score": score})
    assert record_fault(path, NAME) == ""
    assert str(read_record(path, NAME)) == str(SOUND | {"score": score})


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "not JSON (Expecting value: line 1 column 1 (char 0))"),
        (b"\xff", "not UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        ({}, "not a record, but an empty object"),
        ([1], "not a record, but [1]"),
        (b"9" * 5000, "not JSON (Exceeds the limit"),
        (SOUND | {"identity": "evaluate/other-1"}, f"identity='evaluate/other-1': {NAME} is needed"),
        ({key: value for key, value in SOUND.items() if key != "tasks"}, "tasks is missing"),
        (SOUND | {"score": "high"}, "score='high': a number is needed"),
        (SOUND | {"score": 10**400}, "score=1000"),
        (SOUND | {"score": float("inf")}, "score=inf: a number is needed"),
        (SOUND | {"step": None}, "step=None: a number is needed"),
        (
            SOUND | {"tasks": {"questions": {"word_f1": 1.0}}},
            "tasks={'questions': {'word_f1': 1.0}}: the step",
        ),
        (SOUND | {"versions": ["2"]}, "versions=['2']: the version of torch is needed"),
        (SOUND | {"samples": {"questions": [{"input": "a"}]}}, "samples={'questions': [{'input': 'a'}]}"),
        (SOUND | {"data": {"questions": 3}}, "data={'questions': 3}: rows, and of how many,"),
        (SOUND | {"seconds": "1"}, "seconds='1': a number is needed"),
    ],
)
def test_what_is_wrong_with_a_record_is_said(tmp_path: Path, content: Any, fault: str) -> None:
    path = put(tmp_path, content)
    assert record_fault(path, NAME).startswith(fault) and read_record(path, NAME) is None
    assert len(record_fault(path, NAME)) < 250


def test_a_record_that_is_not_there_is_no_fault(tmp_path: Path) -> None:
    assert record_fault(tmp_path / "a" / "record.json", NAME) == ""


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "record.json")
    assert record_fault(tmp_path / "record.json", NAME) == "not a file"
    (tmp_path / "link.json").symlink_to("link.json")
    assert record_fault(tmp_path / "link.json", NAME) == "Too many levels of symbolic links"


def test_a_store_that_is_a_file_is_not_one_of_bad_records(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("")
    with pytest.raises(NotADirectoryError):
        read_record(tmp_path / "runs" / NAME / "record.json", NAME)


def test_other_kinds_need_no_score() -> None:
    assert fault_in({"identity": "pretrain/a-1"}, "pretrain/a-1") == ""
    assert fault_in({"flops": True}, "pretrain/a-1") == "flops=True: a number is needed"


def test_a_number_is_one_that_a_float_holds() -> None:
    assert [is_number(value) for value in (1, 1.5, True, "1", 10**400, float("nan"))] == [True] * 2 + [
        False
    ] * 4
