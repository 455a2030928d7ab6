"""What `inspect` prints."""

import sys
from pathlib import Path

import pytest

from t5grid.cli import main
from t5grid.commands.inspection import show
from t5grid.config.schema import load_cell
from t5grid.data.vocabulary import Vocabulary

SMALL = ("budget=smoke", "vocabulary.num_pieces=400", "vocabulary.num_documents=300")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path


def test_a_sentence_gives_the_papers_table_3(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", "Thank you for inviting me to your party last week ."]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["Objective", "Inputs", "Targets"]
    table = {line.split("  ")[0]: line for line in lines}
    assert "Thank you <X> me to your party <Y> week ." in "\n".join(lines)
    assert "<X> for inviting <Y> last <Z>" in "\n".join(lines)
    assert len(table) == 8


def test_a_sentence_of_another_length_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", "Thank you"]) == 2
    assert "2 words given" in capsys.readouterr().err


@pytest.mark.parametrize("beside", ["one more = another", "budget=smoke", "corpus=nano"])
def test_a_sentence_stands_alone_or_beside_what_can_be_shown_of_it(
    beside: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["inspect", "Thank you", beside]) == 2
    said = capsys.readouterr().err
    assert "inspect: 'Thank you': a sentence stands alone, or beside objective=NAME or archi" in said


def test_an_axis_that_says_nothing_of_a_sentence_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", "Thank you", "objective=bert_style", "suite=nano"]) == 2
    assert "inspect: suite: says nothing of a sentence" in capsys.readouterr().err


def test_any_sentence_is_shown_under_an_objective(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(["inspect", "objective=replace_spans", "Any sentence , of any length at all .", "-n", "2"]) == 0
    )
    head, text, *draws = capsys.readouterr().out.splitlines()
    assert head == "objective=replace_spans: a word a token, 2 draws of its noise"
    assert text == "  text     Any sentence , of any length at all ."
    assert [line.split()[0] for line in draws] == ["inputs", "targets"] * 2
    assert "\x1b" not in "".join(draws) and list(folder.iterdir()) == []


def test_a_sentence_is_shown_as_an_architecture_reads_it() -> None:
    lines = list(show(["objective=deshuffling", "architecture=prefix_lm", "One two three"], 1))
    assert lines[0].startswith("objective=deshuffling") and lines[1].split()[1:] == ["One", "two", "three"]
    assert "architecture=prefix_lm under objective=deshuffling" in lines


def test_every_axis_that_is_named_is_shown() -> None:
    words = [
        "architecture=prefix_lm",
        "finetune=adapters",
        "strategy=pretrain_finetune",
        "size=tiny",
        "mixing=equal",
    ]
    heads = [
        line.partition("=")[0] for line in show([*words, *SMALL[1:]], 0) if not line.startswith(" ") and line
    ]
    assert heads == ["mixing", "architecture", "finetune", "strategy", "size", "vocabulary"]


def test_a_group_of_settings_alone_is_shown_as_it_is() -> None:
    lines = list(show(["executor=local", "executor.num_workers=3"], 1))
    assert lines[0] == "executor=local" and "  num_workers: 3" in lines


def test_an_objective_is_shown_with_sentinels_spelt_out(folder: Path) -> None:
    lines = list(show(["objective=replace_spans", *SMALL], 2))
    assert lines[0] == "objective=replace_spans: 127 tokens a piece -> at most 128 inputs, 48 targets"
    assert [line.split()[0] for line in lines[1:7]] == ["text", "inputs", "targets"] * 2
    assert lines[7].startswith("vocabulary=trained: ")  # of which something is said too
    assert "<extra_id_0>" in lines[2] and "<extra_id_0>" in lines[3] and "<extra_id_0>" not in lines[1]
    assert list(folder.iterdir()) == []


@pytest.mark.slow
def test_what_is_shown_of_an_objective_is_the_same_each_time() -> None:
    assert list(show(["objective=bert_style", *SMALL], 1)) == list(show(["objective=bert_style", *SMALL], 1))


@pytest.mark.slow
def test_the_suite_is_shown_with_its_sizes_and_metrics() -> None:
    lines = list(show(["suite=nano", "suite.use=[questions]"], 1))
    assert lines[0] == "corpus=nano" and lines[1].startswith("  The word sofa means the same as couch.")
    assert lines[2] == "suite=nano" and lines[3] == "questions (Questions)"
    rows = load_cell([]).suite.columns["questions"].tasks["questions"]
    sizes = f"{rows.num_train} training examples, {rows.num_validation} validation examples"
    assert lines[4].startswith(f"  questions: {sizes}, scored by ")
    assert [line.split()[0] for line in lines[5:]] == ["inputs", "targets"]


def test_prompts_are_shown_as_they_are_and_nothing_else() -> None:
    task = "suite.columns.to_tamiri.tasks.to_tamiri"
    words = [
        "suite.use=[to_tamiri]",
        "vocabulary=characters",
        f"{task}.num_train=9",
        f"{task}.num_validation=2",
    ]
    lines = list(show(["strategy=prompted", "strategy.num_shots=1", "strategy.prompt_length=300", *words], 2))
    assert lines[0] == "to_tamiri: sentinel, at most 300 ids" and len(lines) == 7
    assert lines[1] == lines[4] == "  to_tamiri: 1 examples"
    assert all(line.startswith('    In Tamiri, "the ') and line.endswith('" is "') for line in lines[2::3])
    assert lines[2].partition('". In')[0] == lines[5].partition('". In')[0]
    assert lines[3].startswith("    -> ta ")


def test_what_is_not_the_real_data_is_said_beside_its_task(shared: Path) -> None:
    words = ["suite=t5", "suite.use=[squad,wmt_enro]", f"suite.root={shared / 'mirror'}", *SMALL]
    lines = [line for line in show(words, 1) if "scored by" in line or "real data" in line]
    assert lines == [
        "  squad: 5169 training examples, 1082 validation examples, scored by em",
        "    not the real data: rows of train 5169 of 87599, validation 1082 of 10570",
        "  wmt_enro: 3187 training examples, 1999 validation examples, scored by bleu",
        "    not the real data: rows of train 3187 of 610320",
    ]


def test_the_corpus_is_shown_document_by_document() -> None:
    lines = list(show(["corpus=nano"], 3))
    assert lines[0] == "corpus=nano" and len(lines) == 4


@pytest.mark.slow
def test_without_an_axis_everything_is_shown() -> None:
    heads = [line.partition("=")[0] for line in show([], 1) if not line.startswith(" ")]
    columns = [f"{key} ({column.title})" for key, column in load_cell([]).suite.columns.items()]
    assert heads == ["objective", "corpus", "suite", *columns, "mixing"] and len(columns) == 7


def test_a_finished_vocabulary_is_used_instead_of_a_new_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from t5grid.commands.comparing import made
    from t5grid.commands.inspection import documents_of
    from t5grid.execution.store import Store
    from t5grid.grid.strategies import vocabulary_stage

    cell = load_cell(list(SMALL))
    model = cell.vocabulary.make(documents_of(cell))
    path = Store("runs").folder(vocabulary_stage(cell)) / "vocabulary.model"
    path.parent.mkdir(parents=True)
    path.write_bytes(model)
    monkeypatch.setattr("t5grid.commands.comparing.every_document", lambda _: iter(()))
    assert made(cell).fingerprint == Vocabulary(model).fingerprint
