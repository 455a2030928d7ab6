"""SQuAD rows become text, and bad ones are refused."""

from pathlib import Path

import pyarrow as pa
import pytest

from t5grid.config.build import build
from t5grid.tasks.hub import Source
from t5grid.tasks.squad import SQuAD


@pytest.mark.parametrize(
    ("spacing", "text"),
    [("ascii", "Zoë\u2019s a _ b ."), ("non_word_2019", "Zo ë \u2019 s a_b ."), ("none", "Zoë\u2019s a_b.")],
)
def test_each_spacing_sets_its_own_characters_apart(spacing: str, text: str) -> None:
    assert SQuAD(spacing=spacing).spaced("Zoë\u2019s  a_b.").rstrip(" ") == text


def test_an_unknown_spacing_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"^squad\.spacing=all: one of ascii, non_word_2019, none is"):
        build({"spacing": "all"}, "squad", SQuAD)


def test_a_local_copy_gives_every_row(shared: Path) -> None:
    task = SQuAD(root=str(shared / "mirror"))
    records = task.records("validation")
    assert (len(task.records("train")), len(records)) == (5169, 1082)
    assert records[0]["inputs"].startswith(
        "question: Which NFL team represented the AFC at Super Bowl 50 ? context: Super Bowl 50 was an"
    )
    assert records[0]["answers"] == ["Denver Broncos"] * 3
    assert task.score(records, [record["targets"] for record in records]) == {"em": 100.0, "f1": 100.0}


def test_restricted_rows_have_a_fingerprint_of_their_own(shared: Path) -> None:
    root = str(shared / "mirror")
    few = [SQuAD(root=root, num_train=4, num_validation=count).fingerprint() for count in (3, 3, 5)]
    assert few[0] == few[1] != few[2]


def test_any_answer_counts() -> None:
    records = [SQuAD().record({"question": "q", "context": "c", "answers": {"text": ["New York", "NYC"]}})]
    assert SQuAD().score(records, ["nyc"]) == {"em": 100.0, "f1": 100.0}


@pytest.mark.parametrize("answers", [{"text": [], "answer_start": []}, None, {"text": [None]}, ["x"]])
def test_a_question_without_answers_is_refused_with_its_row(
    answers: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = pa.table({"question": ["q"], "context": ["c"], "answers": [answers]})
    monkeypatch.setattr(Source, "table", lambda *_: table)
    with pytest.raises(ValueError, match=r"rajpurkar/squad \(plain_text, train\), row 0: answers are"):
        SQuAD().records("train")
