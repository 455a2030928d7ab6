"""How records become rows of an encoder, and how what its layers answer becomes text again."""

import itertools
from typing import Any

import numpy as np
import pytest

from t5grid.commands.comparing import compared
from t5grid.config.schema import load_cell
from t5grid.data.characters import Characters
from t5grid.data.corpora import every_document
from t5grid.data.place_targets import FIRST_TASK, answers_of, heads_of
from t5grid.data.reading import LayerReading, LongRow, TextReading
from t5grid.data.special_ids import EOS, class_id
from t5grid.data.vocabulary import Trained, Vocabulary
from t5grid.model.answers import decoded
from t5grid.model.architectures import EncoderDecoder
from t5grid.model.encoders import Bert
from t5grid.tasks.answer import Answer, Class, Number, Span, Tags, Text, answer_of
from t5grid.tasks.glue import MRPC, RTE, SST2, STSB, CoLA
from t5grid.tasks.squad import SQuAD

TASKS = {name: task for column in load_cell([]).suite.columns.values() for name, task in column.tasks.items()}
LETTERS = Vocabulary(Characters().make(iter(())))
ANSWERED = [name for name, task in TASKS.items() if not isinstance(answer_of(task), Text)]


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    documents = every_document(load_cell([]).corpus)
    return Vocabulary(Trained(300).make(itertools.islice(documents, 300)))


def answered(reading: LayerReading, task: str, record: dict[str, Any]) -> tuple[list[int], str]:
    """The ids of a record, and what comes back of the answer that it asks for."""
    ids, targets = (np.array(side) for side in reading.pair(task, record))
    places = np.flatnonzero(targets > 0)
    assert set(heads_of(targets[places])) <= {FIRST_TASK + list(reading.answers).index(task)}
    answer = answers_of(targets[places]).tolist()
    if isinstance(reading.answers[task], Span):
        answer = [places[0], places[-1]]
    return ids.tolist(), reading.text(task, ids.tolist(), answer)


@pytest.mark.parametrize("name", ANSWERED)
@pytest.mark.slow
def test_what_a_record_asks_for_comes_back_as_its_target(name: str, vocabulary: Vocabulary) -> None:
    task = TASKS[name]
    reading = LayerReading(vocabulary, 200, {"another": Class(("a", "b")), name: answer_of(task)})
    records = task.records("test")[:12]
    pairs = [answered(reading, name, record) for record in records]
    scores = task.score(records, [text for _, text in pairs])
    assert list(scores.values()) == pytest.approx([100.0] * len(scores))
    num_texts = 2 if answer_of(task).second else 1
    for record, (ids, _) in zip(records, pairs, strict=True):
        assert ids[0] == class_id(vocabulary.size) and ids[-1] == EOS and ids.count(EOS) == num_texts
        pieces = [number for number in ids[1:] if number != EOS]
        assert pieces == vocabulary.encode([record["inputs"]])[0]
        assert ids == reading.encode(name, [record["inputs"]])[0]


def reading_of_letters(answer: Answer, length: int = 100, **how: bool) -> LayerReading:
    return LayerReading(LETTERS, length, {"task": answer}, **how)


def test_a_span_is_looked_for_in_the_second_text_first() -> None:
    reading = reading_of_letters(Span(second="context:"))
    record = {"inputs": "question: who is Al context: Bo met Al", "targets": "Al"}
    ids, targets = reading.pair("task", record)
    (first, last) = np.flatnonzero(np.array(targets) > 0)
    assert (len(ids) - first, len(ids) - last) == (3, 2)
    _, elsewhere = reading.pair("task", record | {"targets": "who"})
    assert np.flatnonzero(np.array(elsewhere) > 0).tolist() == [11, 13]
    assert max(reading.pair("task", record | {"targets": "Cy"})[1]) < 0  # nowhere: nothing is asked


def test_a_pair_that_is_to_be_cut_loses_the_end_of_the_longer_text() -> None:
    reading = reading_of_letters(Class(("a", "b"), second="two:"), length=16, cuts=True)
    ids, targets = reading.pair("task", {"inputs": "one two: abcdefgh", "targets": "b"})
    letters = reading.vocabulary.decode([number for number in ids[1:] if number != EOS])
    assert (len(ids), letters, answers_of(np.array(targets))[0]) == (16, "onetwo: abcde", 2)


def test_numbers_are_kept_to_a_thousandth_of_their_range() -> None:
    reading = reading_of_letters(Number(1.0, 3.0))
    for value in (1.0, 1.25, 2.998, 3.0):
        assert answered(reading, "task", {"inputs": "x", "targets": str(value)})[1] == f"{value:.3f}"


def test_tags_stand_at_the_first_piece_of_each_word(vocabulary: Vocabulary) -> None:
    tags = Tags(("person", "place"))
    reading = LayerReading(vocabulary, 100, {"task": tags})
    words, labels = ["Anna", "saw", "the", "old", "mill."], ["person", "", "", "place", "place"]
    ids, targets = reading.pair("task", {"inputs": " ".join(words), "targets": "", "tags": labels})
    places = np.flatnonzero(np.array(targets) > 0)
    assert answers_of(np.array(targets)[places]).tolist() == [2, 1, 1, 3, 3]
    answer = np.ones(len(ids), int)
    answer[places] = [2, 1, 1, 3, 3]
    assert reading.text("task", ids, answer.tolist()) == "person: Anna; place: old mill."


def test_text_is_read_and_written_as_it_was() -> None:
    vocabulary = Vocabulary(Characters().make(iter(())))
    reading = TextReading(vocabulary, 5)
    ids = reading.encode("task", ["abcdefg", "x"])
    assert reading.batch("task", ids)["inputs"].tolist() == [[*ids[0][:4], EOS], [ids[1][0], EOS, 0, 0, 0]]
    assert reading.text("task", ids[0], [*ids[1], EOS]) == "x"


def test_words_that_name_a_task_and_its_texts_can_be_left_out() -> None:
    answer = Class(("a", "b"), first="rte one:", second="two:")
    for text, parts in (("rte one: x y two: z", ["x y", "z"]), ("rte one: x", ["x"]), ("two: z", ["two: z"])):
        read = reading_of_letters(answer), reading_of_letters(answer, bare=True)
        wanted = [reading.encode("task", [text])[0] for reading in read]
        assert wanted[1] == [
            class_id(LETTERS.size),
            *(number for part in parts for number in [*LETTERS.encode([part])[0], EOS]),
        ]
        assert len(wanted[1]) <= len(wanted[0])


def test_the_tasks_of_glue_say_which_words_name_them() -> None:
    row = {"sentence": "A.", "sentence1": "A.", "sentence2": "B.", "label": 0}
    for task in (RTE(), MRPC(), STSB(), CoLA(), SST2()):
        texts = answer_of(task).bare(task.record(row)["inputs"])
        assert texts == (("A.", "B.") if answer_of(task).second else ("A.", ""))


def test_labels_need_no_vocabulary_where_an_output_layer_answers() -> None:
    tasks = {"rte": RTE(), "squad": SQuAD()}
    assert decoded(Bert(), tasks).keys() == {"squad"}
    assert decoded(EncoderDecoder(), tasks) == tasks


def test_a_row_without_room_is_refused_with_its_task_and_the_way_to_cut_it() -> None:
    answer, text = Class(("a", "b"), second="two:"), "one: abcdef two: ghi"
    reading_of_letters(answer, 22).refuse_longer("task", [text])
    strict = reading_of_letters(answer, 21)
    message = "inputs_length=21: task task has a row whose 2 texts and marks are 22 ids, 'one: abcdef'; give"
    for ask in (
        lambda: strict.refuse_longer("task", ["one: a two: b", text]),
        lambda: strict.encode("task", [text]),
        lambda: strict.pair("task", {"inputs": text, "targets": "a"}),
    ):
        with pytest.raises(LongRow) as caught:
            ask()
        assert str(caught.value) == f"{message} more, or write architecture.long_rows=cut"
    reading_of_letters(answer, 21, cuts=True).refuse_longer("task", [text])


def test_a_column_without_room_is_refused_as_soon_as_the_vocabulary_is_there() -> None:
    words = ["vocabulary=characters", "suite.use=[questions]", "suite.columns.questions.inputs_length=120"]
    layered = ["architecture=bert", "objective=masked_lm", *words]
    with compared([load_cell(words)]), pytest.raises(LongRow) as caught:  # noqa: SIM117
        with compared([load_cell(words), load_cell(layered)]):
            pass
    assert str(caught.value).startswith("suite.columns.questions.inputs_length=120: task questions has a row")
    with compared([load_cell([*layered, "architecture.long_rows=cut"])]):
        pass
