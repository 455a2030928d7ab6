"""Generated documents longer than a model: where the evidence stands, and that it decides the answer."""

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from t5grid.nano.long_tasks import (
    LOADED,
    NEUTRAL,
    PETS,
    SHADES,
    TRADES,
    DistantQuestion,
    LongTask,
    Partisan,
    Retrieval,
)
from t5grid.refused import Refused

TASKS: dict[str, LongTask] = {
    "partisan": Partisan(num_train=120),
    "distant_question": DistantQuestion(num_train=120),
    "retrieval": Retrieval(num_train=120),
}
ENDS = {f"{name}_end": replace(task, where="end") for name, task in TASKS.items()}
every_task = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)


def parted(inputs: str) -> tuple[list[str], str]:
    """The sentences of a document, and the question behind it."""
    text = re.sub(r"^(partisan text|context|pairs): ", "", inputs)
    document, _, question = text.partition(". question: " if ". question: " in text else ". query: ")
    return [line.rstrip(".") for line in document.split(". ")], question


def is_evidence(line: str) -> bool:
    words = set(line.split())
    jobs = words & set(NEUTRAL) and not line.startswith("The ")
    return bool(words & (set(LOADED) | set(PETS) | set(TRADES) | set(SHADES)) or jobs)


def answered(inputs: str) -> str:
    """The answer read off a document."""
    lines, question = parted(inputs)
    told = [line for line in lines if is_evidence(line)]
    if inputs.startswith("partisan"):
        assert len(told) == 1
        return "true" if set(told[0].split()) & set(LOADED) else "false"
    words = {word for line in told for word in line.split()}
    if "query" in inputs:
        asked = question.split()[0]
        return next(line.split()[-1] for line in told if line.split()[0] == asked)
    (answer,) = words & set(PETS if " pet " in question else TRADES)
    return answer


@every_task
def test_the_answer_can_be_read_off_the_evidence_alone(task: LongTask) -> None:
    for row in task.records("train"):
        assert answered(row["inputs"]) == row["targets"], row["inputs"]


@every_task
def test_evidence_stands_anywhere_or_right_before_the_question(task: LongTask) -> None:
    def places(of: LongTask) -> list[float]:
        found = []
        for row in of.records("train"):
            lines, _ = parted(row["inputs"])
            found += [number / len(lines) for number, line in enumerate(lines) if is_evidence(line)]
        return found

    quarters = Counter(int(4 * place) for place in places(task))
    assert all(quarters[number] > sum(quarters.values()) / 8 for number in range(4))
    assert min(places(replace(task, where="end"))) > 0.7


@every_task
def test_labels_are_balanced_and_splits_share_no_row(task: LongTask) -> None:
    rows = {split: task.records(split) for split in ("train", "validation", "test")}
    counts = Counter(row["targets"] for row in rows["train"])
    assert set(counts) == set(task.labels) and max(counts.values()) <= 1.5 * min(counts.values())
    texts = [{row["inputs"] for row in of} for of in rows.values()]
    assert len(set().union(*texts)) == sum(map(len, texts))


def test_a_document_fills_its_four_parts() -> None:
    for row in TASKS["partisan"].records("train"):
        assert 4 * 20 <= len(row["inputs"].split()) <= 4 * 28
    longer = replace(TASKS["partisan"], part_words=60, num_train=5).records("train")
    assert all(len(row["inputs"].split()) >= 4 * 60 for row in longer)


@every_task
def test_rows_are_the_same_bytes_everywhere_and_told_apart_by_what_makes_them(task: LongTask) -> None:
    assert task.records("train") == task.records("train")
    others = (task, replace(task, where="end"), replace(task, part_words=21), replace(task, seed=1))
    assert len({other.fingerprint() for other in others}) == 4


@every_task
def test_a_task_says_its_score_and_its_answers(task: LongTask) -> None:
    records = task.records("validation")
    right = task.score(records, [row["targets"] for row in records])
    assert all(right[name] == 100 for name in task.reported)
    assert task.answer.labels == task.labels  # type: ignore[attr-defined]
    _, second = task.answer.parts(records[0]["inputs"])
    assert bool(second) == (not isinstance(task, Partisan)) and (not second or second[0] == "q")


def test_a_misspelt_place_is_refused() -> None:
    from t5grid.config.build import build

    node: dict[str, Any] = {"_target_": "t5grid.nano.long_tasks.Retrieval", "where": "start"}
    with pytest.raises(Refused, match=r"^task\.where=start: one of anywhere, end is needed"):
        build(node, "task")


def test_the_suite_has_each_task_and_its_control() -> None:
    suite = yaml.safe_load((Path(__file__).parent.parent / "conf/suite/long.yaml").read_text())
    found = {name: task for column in suite["columns"].values() for name, task in column["tasks"].items()}
    assert set(found) == {*TASKS, *ENDS} == set(suite["columns"])
    assert {name: task["where"] == "end" for name, task in found.items()} == {
        name: name.endswith("_end") for name in found
    }
    assert all(task["name"] == name for name, task in found.items())
