"""Every value of an axis, found in conf/ and in the package: what the shared cases are run over."""

import dataclasses
import importlib
import pkgutil
from functools import cache
from typing import Any

import t5grid
from t5grid.config.compose import options
from t5grid.config.schema import Cell, Cells
from t5grid.data.place_targets import TEXTS
from t5grid.refused import Refused

CELLS = Cells()


@cache
def axis_classes() -> tuple[Any, ...]:
    """Every class of ours that enters identities: the dataclasses with an axis in the whole package."""
    names = [info.name for info in pkgutil.walk_packages(t5grid.__path__, "t5grid.")]
    values = [value for name in names for value in vars(importlib.import_module(name)).values()]
    classes = [value for value in values if isinstance(value, type) and dataclasses.is_dataclass(value)]
    return tuple(dict.fromkeys(cls for cls in classes if hasattr(cls, "axis")))


@cache
def axis_values(group: str) -> dict[str, Any]:
    """Option -> value, of every option of a group."""
    return {option: getattr(cell_of(group, option), group) for option in options(group)}


def cell_of(group: str, option: str) -> Cell:
    """The baseline with one option, and with an encoder or a language model where that is needed for it."""
    words = [f"{group}={option}"]
    try:
        return CELLS.load(words)
    except Refused:
        encoder, decoder = "architecture=bert objective=masked_lm", "architecture=language_model"
        return CELLS.load([*(decoder if group == "segments" else encoder).split(), *words])


@cache
def baseline_values(group: str) -> dict[str, Any]:
    """The same, of the options that go with everything else of the baseline."""
    baseline, every = CELLS.load([]).architecture, axis_values(group)
    return {
        option: value for option, value in every.items() if cell_of(group, option).architecture == baseline
    }


@cache
def writers() -> dict[str, Any]:
    """The architectures that write their answers as text; the others answer through output layers."""
    every = axis_values("architecture")
    return {option: value for option, value in every.items() if not hasattr(value, "answering")}


def written_objectives() -> tuple[str, ...]:
    """The objectives whose targets are texts, as architectures that write them learn from."""
    every = axis_values("objective")
    return tuple(name for name, value in every.items() if getattr(value, "form", TEXTS) == TEXTS)


def uncovered(group: str) -> set[str]:
    """Classes of ours that no option of their group is of, so that no shared case sees them; bases apart."""
    covered = {type(value) for value in axis_values(group).values()}
    classes = [cls for cls in axis_classes() if cls.axis == group and cls not in covered]
    return {cls.__name__ for cls in classes if not cls.__subclasses__()}
