"""No class of an axis escapes the shared cases."""

from dataclasses import dataclass

import axis_values
import pytest

from t5grid.data.objectives import MassStyle

SHARED = ("architecture", "objective", "finetune", "mixing")
"""Axes whose values owe what the shared cases of their test file ask."""


@pytest.mark.parametrize("group", SHARED)
def test_every_class_of_an_axis_is_an_option_and_so_meets_the_shared_cases(group: str) -> None:
    assert axis_values.axis_values(group)
    assert axis_values.uncovered(group) == set()


def test_a_class_without_an_option_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    @dataclass(frozen=True)
    class Unheard(MassStyle):
        """An objective that no option names."""

    monkeypatch.setattr(axis_values, "axis_classes", lambda: (MassStyle, Unheard))
    assert axis_values.uncovered("objective") == {"Unheard"}
