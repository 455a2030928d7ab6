"""Calculations in words: right answers, splits without a row in common."""

import ast
import operator
import re
from typing import Any

import pytest

from t5grid.config.schema import load_cell
from t5grid.nano.arithmetic import CALCULATIONS, Calculation, OneDigitComposite

WORDS = {"plus": "+", "minus": "-"}
BINARY: dict[type, Any] = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul}


def value(node: Any) -> int:
    """What an expression comes to, by a reading of its own."""
    if isinstance(node, ast.BinOp):
        return BINARY[type(node.op)](value(node.left), value(node.right))
    return ast.literal_eval(node)


@pytest.mark.parametrize("cls", CALCULATIONS)
def test_every_answer_is_right_and_no_row_stands_in_two_splits(cls: type[Calculation]) -> None:
    task = cls(num_train=100, num_validation=40, num_test=40)
    splits = {split: task.records(split) for split in ("train", "validation", "test")}
    for rows in splits.values():
        for row in rows:
            text = row["inputs"].removeprefix("calculate: ")
            text = re.sub("plus|minus", lambda word: WORDS[word[0]], text)
            assert str(value(ast.parse(text, mode="eval").body)) == row["targets"]
    inputs = [row["inputs"] for rows in splits.values() for row in rows]
    assert len(set(inputs)) == 180
    assert task.score(splits["test"], [row["targets"] for row in splits["test"]]) == {"accuracy": 100.0}


def test_operands_are_as_small_as_they_are_called() -> None:
    for cls in CALCULATIONS:
        texts = [row["inputs"] for row in cls(num_train=60).records("train")]
        longest = max(len(number) for text in texts for number in re.findall(r"\d+", text))
        assert longest == (1 if cls is OneDigitComposite else 2)
    assert re.fullmatch(r"calculate: \d[-+*]\(\d[-+*]\d\)", texts[0])


def test_the_suite_is_spelled_by_characters_and_fits_its_columns() -> None:
    cell = load_cell(["suite=arithmetic", "vocabulary=characters"])
    for column in cell.suite.columns.values():
        for task in column.tasks.values():
            rows = task.records("validation")[:50]
            assert max(len(row["inputs"]) for row in rows) < column.inputs_length
            assert max(len(row["targets"]) for row in rows) < column.targets_length
