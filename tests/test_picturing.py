"""Words in colour."""

import pytest

from t5grid.commands import picturing
from t5grid.commands.picturing import painted

BLUE, GREEN, RED = "\x1b[1;34m", "\x1b[1;33m", "\x1b[1;31m"
END = "\x1b[0m"


def test_each_mark_has_a_colour_and_so_has_a_word_that_was_exchanged() -> None:
    tokens = ["Thank", "<X>", "apple", "<Y>", "<X>"]
    line = painted(tokens, ["Thank", "you", "for", "it", "."], colour=True)
    parts = ["Thank", f"{BLUE}<X>{END}", f"{RED}apple{END}", f"{GREEN}<Y>{END}", f"{BLUE}<X>{END}"]
    assert line == " ".join(parts)


def test_without_a_text_to_compare_with_only_marks_are_coloured() -> None:
    assert painted(["<X>", "apple"], (), colour=True) == f"{BLUE}<X>{END} apple"
    assert painted(["[MASK]", "apple"], (), colour=False) == "[MASK] apple"


@pytest.mark.parametrize(
    ("is_terminal", "no_colour", "expected"), [(True, "", True), (True, "1", False), (False, "", False)]
)
def test_colour_is_for_terminals_that_want_it(
    is_terminal: bool, no_colour: str, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picturing.sys.stdout, "isatty", lambda: is_terminal, raising=False)
    monkeypatch.setenv("NO_COLOR", no_colour)
    assert picturing.in_colour() == expected
