"""What a vocabulary cannot give back is said before anything is trained, and refused where classes go."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from t5grid.cli import main
from t5grid.commands.comparing import at_hand, compared, is_streamed
from t5grid.commands.doctor import answer_checks
from t5grid.commands.inspection import suite_lines
from t5grid.config.schema import load_cell
from t5grid.data.characters import Characters
from t5grid.data.roundtrip import given_back, labels_of, losses
from t5grid.data.vocabulary import Trained, Vocabulary
from t5grid.grid.strategies import Multitask, vocabulary_stage
from t5grid.refused import Refused
from t5grid.stages.stage import with_parents
from t5grid.tasks.availability import sampled
from t5grid.tasks.glue import MNLI
from t5grid.tasks.own import OwnTask

TEXT = ["the café of row 2 is at Größe 3, near zwei A B C ...", "wait for x2 + y and the plain text"]
SUITE = """
name: mine
columns:
  mine:
    title: Mine
    inputs_length: 16
    targets_length: 16
    tasks:
      odd:
        _target_: t5grid.tasks.own.OwnTask
        name: odd
        train: rows.jsonl
        inputs: "{text}"
        targets: "{score}"
        labels: {0: "Low", 1: "plain"}
        metrics: [accuracy]
"""
EXPERIMENT = """
title: Mine
reproduces: nothing
cost: one pre-training
command: t5grid sweep mine
first_column: Row
rows:
  only: {title: Only, overrides: [], starred: true}
"""


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return Vocabulary(Trained(39).make(iter(TEXT * 20)))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path


def task(**changed: Any) -> OwnTask:
    settings = {"inputs": "{text}", "targets": "{score}", "metrics": ["accuracy"], "held_out": 2}
    return OwnTask(name="mine", train="rows.jsonl", **{**settings, **changed})


def said(vocabulary: Vocabulary, *targets: str, **changed: Any) -> list[str]:
    return losses({"mine": task(**changed)}, {"mine": [{"targets": text} for text in targets]}, vocabulary)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("cafe\u0301", r"'cafe\u0301', given back as 'caf\xe9' (written otherwise in the vocabulary)"),
        ("plain  text", "'plain  text', given back as 'plain text' (blanks are not kept)"),
        ("plain ", "'plain ', given back as 'plain' (blanks are not kept)"),
        ("a\nc", r"'a\nc', given back as 'a c' (blanks are not kept)"),
        ("x²", "'x²', given back as 'x2' (written otherwise in the vocabulary)"),
        ("wait…", "'wait…', given back as 'wait...' (written otherwise in the vocabulary)"),
        ("ＡＢ", "'ＡＢ', given back as 'AB' (written otherwise in the vocabulary)"),
        ("дом", "'дом', given back as ' ⁇ ' (no piece for д о м)"),
        ("z" * 90 + "ж", "'" + "z" * 30 + "ж', given back as '" + "z" * 30 + " ⁇ ' (no piece for ж)"),
    ],
)
def test_what_is_lost_of_a_target_is_shown_with_its_reason(
    vocabulary: Vocabulary, text: str, shown: str
) -> None:
    (line,) = said(vocabulary, "the plain text", text, "Größe 3")
    assert line == f"task mine: 1 of 3 targets cannot be answered as they are, such as {shown}"


def test_nothing_is_said_of_what_is_given_back(vocabulary: Vocabulary) -> None:
    assert said(vocabulary, *TEXT, labels={0: "the", 1: "Größe"}) == []
    assert said(vocabulary) == []
    kept = Vocabulary(Characters().make(iter(())))
    assert given_back([" a  b\n"], kept) == [" a  b\n"] and said(kept, " a  b\n") == []


def test_blanks_do_not_count_where_words_are_compared(vocabulary: Vocabulary) -> None:
    assert said(vocabulary, "plain  text ", metrics=["exact_match", "rouge1", "bleu"]) == []
    assert len(said(vocabulary, "plain  text ", metrics=["exact_match", "accuracy"])) == 1


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({0: "plain", 1: "дом"}, r"task mine: nothing is left of label 'дом' .*\(no piece for д о м\)"),
        ({0: "дом", 1: "…"}, "task mine: nothing is left of label 'дом'"),
        ({0: "café", 1: "cafe\u0301"}, r"labels 'caf\\xe9' and 'cafe\\u0301' are one in this vocabulary"),
        ({0: "plain", 1: "plain "}, "labels 'plain' and 'plain ' are one in this vocabulary, 'plain'"),
        ({0: "x2", 1: "x²"}, "labels 'x2' and 'x²' are one"),
        ({0: "aж", 1: "aш"}, "labels 'aж' and 'aш' are one in this vocabulary, 'a ⁇ '"),
    ],
)
def test_labels_that_vanish_or_collide_are_refused(
    vocabulary: Vocabulary, labels: dict[Any, str], message: str
) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        said(vocabulary, labels=labels)
    assert "\n" not in str(caught.value)


def test_a_label_that_changes_is_named_with_the_targets_it_takes(vocabulary: Vocabulary) -> None:
    lines = said(vocabulary, "aж", "plain", labels={0: "aж", 1: "plain"})
    assert lines == [
        "task mine: label 'aж', given back as 'a ⁇ ' (no piece for ж): an answer is never counted as this"
        " label",
        "task mine: 1 of 2 targets cannot be answered as they are, such as 'aж', given back as 'a ⁇ '"
        " (no piece for ж)",
    ]
    assert said(vocabulary, targets="{score}  ", labels={0: "plain"})[0].startswith(
        "task mine: label 'plain  '"
    )


def test_the_labels_of_published_and_generated_tasks_are_compared_too() -> None:
    assert labels_of(MNLI()) == ("entailment", "neutral", "contradiction")
    (questions,) = load_cell([]).suite.columns["questions"].tasks.values()
    assert labels_of(questions) == ()


def test_targets_without_a_word_that_rouge_sees_are_counted(vocabulary: Vocabulary) -> None:
    kept = Vocabulary(Characters().make(iter(())))
    (line,) = said(kept, "a", "...", "b", metrics=["rougeLsum"])
    assert line.startswith("task mine: 1 of 3 targets have no word that ROUGE sees, such as '...'")
    (line,) = said(vocabulary, "Größe", "дом", metrics=["rouge1"], rouge_words="unicode")
    assert "no piece for" in line and "ROUGE" not in line


def test_a_sample_is_evenly_spaced() -> None:
    assert sampled(range(1000), 4) == range(0, 1000, 250)
    assert [len(sampled(range(size), 4)) for size in (0, 3, 4, 5, 9)] == [0, 3, 4, 3, 3]


@pytest.fixture
def words(folder: Path, vocabulary: Vocabulary) -> list[str]:
    (folder / "conf/suite").mkdir(parents=True)
    (folder / "conf/suite/mine.yaml").write_text(SUITE)
    rows = [{"text": f"row {row}", "score": row % 2} for row in range(20)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "small.model").write_bytes(vocabulary.model)
    return ["suite=mine", "vocabulary=given", "vocabulary.path=small.model", "corpus=nano"]


LOW = "label 'Low', given back as"


@pytest.mark.parametrize("command", ["run", "sweep objectives"])
@pytest.mark.slow
def test_a_run_with_labels_that_vanish_is_refused_before_anything_is_done(
    command: str, folder: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(folder.rglob("*"))
    (folder / "conf/suite/mine.yaml").write_text(SUITE.replace("Low", "дом"))
    assert main([*command.split(), *words]) == 2
    assert "t5grid: task odd: nothing is left of label 'дом' in this" in capsys.readouterr().err
    assert sorted(folder.rglob("*")) == before


def test_what_is_lost_is_said_before_a_run_or_once_it_has_trained_the_vocabulary(
    words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = load_cell(words)
    with compared([cell]) as checks:
        err = capsys.readouterr().err
    assert f"t5grid: task odd: {LOW}" in err and "t5grid: task odd: 10 of 18 targets" in err
    assert capsys.readouterr().err == "" and checks == {}
    trained = load_cell(["suite=mine"])
    assert at_hand(trained) is None
    with compared([trained, trained.with_seed(5)]) as checks:
        made = at_hand(cell)
        monkeypatch.setattr("t5grid.commands.comparing.at_hand", lambda _: made)
        assert capsys.readouterr().err == "" and list(checks) == [vocabulary_stage(trained).identity]
    assert capsys.readouterr().err.count(LOW) == 1


@pytest.mark.slow
def test_every_row_is_compared_not_the_first_alone(words: list[str]) -> None:
    sound, lost = load_cell(["suite=mine", "vocabulary=characters"]), load_cell(words)
    lost.suite.columns["mine"].tasks["odd"] = task(labels={0: "дом", 1: "plain"})
    with compared([sound]):
        pass
    with pytest.raises(Refused, match="nothing is left of label 'дом'"), compared([sound, lost]):
        pass


@pytest.mark.slow
@pytest.mark.parametrize("command", ["run", "sweep mine"])
def test_labels_that_the_trained_vocabulary_makes_one_are_refused_before_anything_else_runs(
    command: str, folder: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "conf/suite/mine.yaml").write_text(SUITE.replace("Low", "x²").replace("plain", "x2"))
    (folder / "experiments").mkdir()
    (folder / "experiments/mine.yaml").write_text(EXPERIMENT)
    few = ["budget=smoke", "budget.num_documents=300", "vocabulary.num_pieces=300", "executor.num_workers=1"]
    assert main([*command.split(), "suite=mine", *few]) == 2
    assert "t5grid: task odd: labels 'x²' and 'x2' are one" in capsys.readouterr().err.splitlines()[-1]
    assert [path.name for path in (folder / "runs").iterdir()] == ["vocabulary"]
    assert not list((folder / "results").rglob("*"))


@pytest.mark.slow
def test_training_refuses_labels_that_vanish_and_logs_what_is_lost(
    words: list[str],
    vocabulary: Vocabulary,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cell, context = load_cell(words), SimpleNamespace(folder_of=None)
    for strategy, kind in ((Multitask(), "multitask"), (cell.strategy, "finetune")):
        stages = with_parents(list(strategy.stages(cell).values()))
        stage: Any = next(stage for stage in stages if stage.kind == kind)
        column = stage.config["columns"]["mine"] if kind == "multitask" else stage.config["column"]
        monkeypatch.setattr(type(stage), "_unlabelled", lambda *_: [], raising=False)
        monkeypatch.setattr(type(stage), "tokens", None)
        stage.feed(context, vocabulary, cell.architecture)
        assert LOW in capsys.readouterr().out
        column["tasks"]["odd"]["labels"] = {0: "дом", 1: "plain"}
        with pytest.raises(ValueError, match="nothing is left of label 'дом'"):
            stage.feed(context, vocabulary, cell.architecture)
        column["tasks"]["odd"]["labels"] = {0: "Low", 1: "plain"}


def test_doctor_and_inspect_say_what_is_lost(words: list[str]) -> None:
    cell = load_cell(words)
    first, second = answer_checks(cell)
    assert (first.name, first.state) == ("mine: odd", "lost") and first.says.startswith(LOW)
    assert second.says.startswith("10 of 18 targets cannot be answered as they are")
    assert [line for line in suite_lines(cell, 0) if line.startswith(f"    lost     {LOW}")]
    tasks = cell.suite.columns["mine"].tasks
    tasks["odd"] = replace(tasks["odd"], labels={0: "plain", 1: "the"})
    (check,) = answer_checks(cell)
    assert (check.state, check.says) == ("present", "given back as they are: 2 labels, 18 targets")
    tasks["odd"] = replace(tasks["odd"], labels={0: "дом", 1: "plain"})
    (check,) = answer_checks(cell)
    assert check.state == "missing" and check.says.startswith("task odd: nothing is left of label 'дом'")
    assert "    lost     refused when it is run: task odd: nothing is left" in "\n".join(suite_lines(cell, 0))


def test_before_there_is_a_vocabulary_doctor_says_when_it_is_compared() -> None:
    cell = load_cell([])
    (check,) = answer_checks(cell)
    assert (check.state, check.says) == ("none", "compared when a run has trained the vocabulary")


@pytest.mark.slow
def test_text_of_the_hub_is_not_fetched_to_compare() -> None:
    assert is_streamed(load_cell(["corpus=c4"]).corpus)
    assert is_streamed(load_cell(["vocabulary=t5_trained"]).vocabulary.corpus)
    assert not is_streamed(load_cell(["corpus=c4", "corpus.root=here"]).corpus)
    assert not is_streamed(load_cell(["corpus=news_like"]).corpus)
    assert not is_streamed(load_cell([]).corpus) and not is_streamed(None)
