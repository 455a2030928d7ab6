"""modules of t5grid -> the tree in docs/layout.md, one line each: `python tests/layout.py` writes it anew.

The order is that of reading: what a module imports stands before it.
"""

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = "t5grid"
PAGE = ROOT / "docs" / "layout.md"
BEGIN, END = "<!-- tree: python tests/layout.py -->\n", "<!-- end of tree -->\n"
INDENT, TEXT_COLUMN, WIDTH = 4, 25, 110

ORDER = (
    "refused",
    "files",
    "config",
    "tasks",
    "nano",
    "data",
    "model",
    "training",
    "evaluation",
    "stages",
    "grid",
    "execution",
    "results",
    "commands",
    "cli",
)
"""Folders and single modules of the package, in reading order: each imports only what stands before it."""


@cache
def modules() -> dict[str, Path]:
    """Dotted name -> file of every module; a folder is the module of its `__init__.py`."""
    paths = sorted((ROOT / PACKAGE).rglob("*.py"))
    names = (".".join(path.relative_to(ROOT).with_suffix("").parts) for path in paths)
    return {name.removesuffix(".__init__"): path for name, path in zip(names, paths, strict=True)}


@cache
def parsed(module: str) -> ast.Module:
    """Syntax tree of a module's source."""
    return ast.parse(modules()[module].read_text(encoding="utf-8"))


@cache
def imports(module: str) -> frozenset[str]:
    """Other modules of the package that this one imports anywhere: in functions and for types too."""
    names = {name for node in ast.walk(parsed(module)) for name in _imported(node)}
    return frozenset(names & modules().keys() - {module, PACKAGE})


def _imported(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert not node.level, "imports say the whole name"
        whole = (f"{node.module}.{alias.name}" for alias in node.names)
        yield from (name if name in modules() else str(node.module) for name in whole)


def is_folder(module: str) -> bool:
    """Whether a module is a folder's `__init__.py`."""
    return modules()[module].name == "__init__.py"


def members(folder: str) -> tuple[str, ...]:
    """Modules and folders directly in a folder, in reading order; `CycleError` where there is none."""
    inside = [name for name in modules() if name.rpartition(".")[0] == folder]
    if folder == PACKAGE:
        return tuple(sorted(inside, key=lambda name: ORDER.index(name.removeprefix(f"{PACKAGE}."))))
    return tuple(_sorted_by_imports({name: _needed(name, inside) for name in inside}))


def _needed(member: str, others: list[str]) -> set[str]:
    """Those of others that a member, with all that lies in it, imports."""
    targets = {target for name in modules() if _lies_in(name, member) for target in imports(name)}
    needed = {other for other in others if any(_lies_in(target, other) for target in targets)}
    return needed - {member}


def _lies_in(name: str, member: str) -> bool:
    return name == member or name.startswith(f"{member}.")


def _sorted_by_imports(needs: dict[str, set[str]]) -> Iterator[str]:
    """Imported ones first, ties in the order of the alphabet."""
    sorter = TopologicalSorter(needs)
    sorter.prepare()
    ready: list[str] = []
    while sorter.is_active():
        ready = sorted([*ready, *sorter.get_ready()])
        member = ready.pop(0)
        yield member
        sorter.done(member)


def reading_order(folder: str = PACKAGE) -> Iterator[str]:
    """Every module of the package, a folder before what lies in it."""
    for member in members(folder):
        yield member
        yield from reading_order(member) if is_folder(member) else ()


def line(module: str) -> str:
    """A module's line in the tree: its name, and the first line of its docstring."""
    _, _, name = module.rpartition(".")
    depth = INDENT + 2 * module.count(".")
    column = TEXT_COLUMN - (2 if module.count(".") == 1 else 0)
    label = " " * depth + name + ("/" if is_folder(module) else "")
    docstring = ast.get_docstring(parsed(module)) or ""
    return f"{label.ljust(column)}{docstring.partition(chr(10))[0].removesuffix('.')}\n"


def tree() -> str:
    """The whole tree, as the page shows it."""
    return f"{' ' * INDENT}{PACKAGE}/\n" + "".join(map(line, reading_order()))


def with_tree(text: str) -> str:
    """A page's text with the tree between its two marks."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{tree()}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(with_tree(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
