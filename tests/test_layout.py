"""The package reads from the top: its tree in docs/layout.md is whole, in order, and without a circle."""

import ast
from graphlib import CycleError, TopologicalSorter

import layout
import pytest

DUMPS = {"utils", "util", "common", "helpers", "helper", "base", "misc"}


def test_the_page_shows_the_tree_that_the_docstrings_make() -> None:
    text = layout.PAGE.read_text(encoding="utf-8")
    assert text == layout.with_tree(text), "python tests/layout.py"
    assert text.count(layout.BEGIN) == text.count(layout.END) == 1


def test_every_module_is_in_the_tree_exactly_once() -> None:
    assert sorted(layout.reading_order()) == sorted(layout.modules().keys() - {layout.PACKAGE})


def test_every_line_of_the_tree_fits() -> None:
    assert [line for line in layout.tree().splitlines() if len(line) >= layout.WIDTH] == []


def test_no_folder_imports_one_that_stands_after_it() -> None:
    place = {f"{layout.PACKAGE}.{name}": index for index, name in enumerate(layout.ORDER)}
    top = {module: ".".join(module.split(".")[:2]) for module in layout.reading_order()}
    upward = [
        f"{module} imports {target}"
        for module in top
        for target in sorted(layout.imports(module))
        if place[top[target]] > place[top[module]]
    ]
    assert upward == []


def test_no_module_imports_one_that_stands_after_it() -> None:
    place = {module: index for index, module in enumerate(layout.reading_order())}
    later = [
        f"{module} imports {target}"
        for module in place
        for target in sorted(layout.imports(module))
        if place[target] > place[module]
    ]
    assert later == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    needs = {module: layout.imports(module) for module in layout.modules()}
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as circle:
        pytest.fail(" <- ".join(circle.args[1]))


def test_every_module_and_folder_says_what_it_is() -> None:
    assert [module for module in layout.modules() if not ast.get_docstring(layout.parsed(module))] == []


def test_no_module_is_named_for_being_a_place_to_put_things() -> None:
    assert [module for module in layout.modules() if DUMPS & set(module.split("."))] == []


def test_imports_in_functions_and_for_types_count(monkeypatch: pytest.MonkeyPatch) -> None:
    source = """
from typing import TYPE_CHECKING
import t5grid.files
if TYPE_CHECKING:
    from t5grid.config.schema import Cell
def f():
    from t5grid.execution import store as stages
    from t5grid.commands import FAILURE
"""
    monkeypatch.setattr(layout, "parsed", lambda module: ast.parse(source))
    expected = {"files", "config.schema", "execution.store", "commands"}
    assert layout.imports.__wrapped__("t5grid.cli") == {f"t5grid.{name}" for name in expected}
