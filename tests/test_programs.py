"""Graded tasks: what rows say is true, splits are apart, harder is harder."""

import contextlib
import io

import pytest

from t5grid.config.schema import load_cell
from t5grid.data.characters import Characters
from t5grid.data.vocabulary import Vocabulary
from t5grid.nano.dice import Dice
from t5grid.nano.programs import OPERATIONS, Copying, Programs, Reversal, _Program, characters, split_of

TASKS = [
    Programs("programs", 3, num_train=300, length=2, nesting=3),
    Copying("copying", 1, num_train=300, length=6),
    Reversal("reversal", 1, num_train=300, length=6),
]


def printed(program: str) -> str:
    """What Python prints when it runs a program."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(program, {})
    return out.getvalue().strip()


@pytest.mark.parametrize(("length", "nesting"), [(1, 1), (2, 2), (3, 4)])
def test_targets_are_what_the_programs_print(length: int, nesting: int) -> None:
    rows = Programs("programs", 1, num_train=200, length=length, nesting=nesting).records("train")
    assert all(printed(row["inputs"]) == row["targets"] for row in rows)


def test_the_first_rows_are_these_on_every_machine() -> None:
    rows = Programs("programs", 1, length=2, nesting=2).records("train")[:3]
    assert [(row["inputs"], row["targets"]) for row in rows] == [
        ("print(((22-25) if 44<88 else 18))", "-3"),
        ("a=(3*74)\nprint((a+16))", "238"),
        ("a=(61 if 91<74 else 99)\nfor i in range(2):\n  a+=54\nprint(a)", "207"),
    ]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_operation_computes_what_it_writes(operation) -> None:
    for seed in range(30):
        program = _Program(Dice("test", seed), 2)
        text, value = operation(program, "(40-2)", 38)
        assert printed("\n".join([*program.lines, f"print({text})"])) == str(value)


def test_digits_are_copied_and_reversed() -> None:
    assert Copying("c", 1, length=4).records("train")[0] == {"inputs": "copy: 8867", "targets": "8867"}
    for row in Reversal("r", 1, length=9).records("validation"):
        assert row["inputs"] == f"reverse: {row['targets'][::-1]}" and len(row["targets"]) == 9


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_no_row_is_in_two_splits_and_all_are_the_same_each_time(task) -> None:
    splits = {split: task.records(split) for split in ("train", "validation", "test")}
    assert [len(rows) for rows in splits.values()] == [300, 100, 100] == [*map(task.num_rows, splits)]
    inputs = {split: {row["inputs"] for row in rows} for split, rows in splits.items()}
    assert not inputs["train"] & inputs["validation"] and not inputs["train"] & inputs["test"]
    assert all(split_of(each) == split for split, found in inputs.items() for each in found)
    assert task.records("train") == splits["train"]


def test_a_fingerprint_names_the_rows() -> None:
    prints = [task.fingerprint() for task in TASKS]
    changed = [Copying("copying", 1, num_train=300, length=7), Copying("x", 1, num_train=301, length=6)]
    assert len({*prints, *(task.fingerprint() for task in changed)}) == 5
    assert Copying("copying", 2, num_train=300, length=6).fingerprint() != prints[1]  # another grade
    assert Copying("other name", 1, num_train=300, length=6).fingerprint() == prints[1]


def test_a_task_that_is_not_scored_has_training_rows_only() -> None:
    task = Copying("copying", 1, num_train=5, scored=False)
    assert task.roles == ("train",) and len(task.records("train")) == 5
    with pytest.raises(ValueError, match=r"copying: no split 'validation': expected one of \['train'\]"):
        task.records("validation")


def test_a_task_with_too_few_different_rows_says_so() -> None:
    with pytest.raises(ValueError, match="copying: too easy to have rows of its own for test"):
        Copying("copying", 1, length=1).records("test")


def test_scores_are_exact_matches_and_characters_in_place() -> None:
    records = [{"inputs": "", "targets": "1234"}, {"inputs": "", "targets": "-5"}]
    assert TASKS[0].score(records, ["1234", "-5"]) == {"exact": 100, "characters": 100}
    assert TASKS[0].score(records, ["1299", "-5"]) == {"exact": 50, "characters": 100 * 4 / 6}
    assert TASKS[0].score(records, ["", "-55"]) == {"exact": 0, "characters": 100 * 2 / 7}
    assert characters([""], [""]) == 0


def test_the_suite_is_graded_and_scores_the_hardest_grade_of_each_column() -> None:
    suite = load_cell(["suite=programs"]).suite
    assert list(suite.columns) == ["programs", "copying", "reversal"]
    for column in suite.columns.values():
        tasks = list(column.tasks.values())
        assert [task.difficulty for task in tasks] == [1, 2, 3, 4, 5, 6]
        assert [task.scored for task in tasks] == [False] * 5 + [True]


@pytest.mark.slow
def test_every_row_of_the_suite_fits_its_column() -> None:
    for column in load_cell(["suite=programs"]).suite.columns.values():
        for task in column.tasks.values():
            rows = task.records("train")[:500] + (task.records("validation") if task.scored else [])
            assert max(len(row["inputs"]) for row in rows) < column.inputs_length
            assert max(len(row["targets"]) for row in rows) < column.targets_length


def test_characters_leave_a_program_as_it_is() -> None:
    vocabulary = Vocabulary(Characters().make(iter(())))
    text = "for i in range(8):\n  a+=920\nprint((a if 1<2 else -7))"
    (ids,) = vocabulary.encode([text])
    assert len(ids) == len(text) and 2 not in ids and vocabulary.decode(ids) == text
    assert vocabulary.size == Characters().size == 199
    assert Vocabulary(Characters().make(iter(()))).fingerprint == vocabulary.fingerprint
