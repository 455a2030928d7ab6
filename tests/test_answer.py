"""What tasks say of their answers: every target of the embedded suites is one, and the default is text."""

from typing import Any

import pytest

from t5grid.config.schema import load_cell
from t5grid.tasks.answer import Answer, Class, Number, Span, Tags, Text, answer_of
from t5grid.tasks.glue import MNLI, SST2, STSB
from t5grid.tasks.own import OwnTask
from t5grid.tasks.squad import SQuAD
from t5grid.tasks.super_glue import COPA, MultiRC
from t5grid.tasks.wmt import EnDe

NANO = {name: task for column in load_cell([]).suite.columns.values() for name, task in column.tasks.items()}


@pytest.mark.parametrize("name", NANO)
def test_every_target_of_a_nano_task_is_an_answer_as_declared(name: str) -> None:
    task = NANO[name]
    answer = answer_of(task)
    for record in task.records("test")[:40]:
        first, second = answer.parts(record["inputs"])
        assert bool(second) == bool(answer.second) and f"{first} {second}".strip() == record["inputs"]
        if isinstance(answer, Class):
            assert record["targets"] in answer.labels == task.labels
        elif isinstance(answer, Number):
            assert answer.low <= float(record["targets"]) <= answer.high
        elif isinstance(answer, Span):
            assert record["targets"] in second
        else:
            assert name in ("summarization", "to_norvin", "to_kelosh", "to_tamiri")


@pytest.mark.parametrize("suite", ["t5", "t5_tasks", "programs"])
def test_every_task_of_the_other_suites_declares_its_answers(suite: str) -> None:
    cell = load_cell([f"suite={suite}"])
    tasks = [task for column in cell.suite.columns.values() for task in column.tasks.values()]
    assert all(isinstance(task.answer, Answer) for task in tasks)


def test_the_answers_of_published_tasks() -> None:
    assert answer_of(SST2()) == Class(("negative", "positive"), first="sst2 sentence:")
    assert answer_of(MNLI()) == Class(MNLI.labels, first="mnli hypothesis:", second="premise:")
    assert [answer_of(task).second for task in (COPA(), MultiRC())] == ["premise:", "paragraph:"]
    assert answer_of(STSB()) == Number(0.0, 5.0, first="stsb sentence1:", second="sentence2:")
    assert answer_of(SQuAD()) == Span(second="context:")
    assert answer_of(EnDe()) == answer_of(object()) == Text()


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"metrics": ["pearson"]}, Number(0.5, 3.0)),
        ({"metrics": ["accuracy"], "labels": {3: "high", 0.5: "low"}}, Class(("high", "low"))),
        ({"metrics": ["accuracy"]}, Text()),
    ],
)
def test_a_task_of_ones_own_answers_by_its_labels_and_metrics(
    tmp_path: Any, more: dict[str, Any], expected: Answer
) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("text,grade\na,3\nb,0.5\nc,3\nd,0.5\n")
    task = OwnTask("mine", str(file), "{text}", "{grade}", validation=str(file), **more)
    assert answer_of(task) == expected


def test_tags_are_written_run_by_run() -> None:
    tags = Tags(("person", "place"))
    words = ["Anna", "met", "Bo", "near", "Old", "Mill", "Anna"]
    found = ["person", "", "person", "", "place", "place", "person"]
    assert tags.written(words, found) == "person: Anna; person: Bo; place: Old Mill; person: Anna"
