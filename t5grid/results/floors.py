"""columns -> floor and ceiling of their scores, kept by content beside the tables.

A file is found by the content of the column's rows and their number, so one that is out of date is not found
and made again; tables themselves only read.
"""

import hashlib
import json
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from t5grid.config.schema import Cell, Column
from t5grid.evaluation.averages import scored
from t5grid.evaluation.constant import VERSION, Bounds, bounds_of
from t5grid.files import write_whole
from t5grid.refused import Refused
from t5grid.stages.record import is_number

FOLDER = "floors"
MEANINGLESS = "smoke"
"""The budget whose scores mean nothing: what they would lie between is not worth making."""


def kept_bounds(cell: Cell, results: Path) -> dict[str, Bounds]:
    """The bounds of a cell's columns that are kept in a folder of results, by column key."""
    limit = cell.budget.evaluate.num_examples
    kept = {key: _read(_path(results, key, column, limit)) for key, column in _columns(cell).items()}
    return {key: bounds for key, bounds in kept.items() if bounds is not None}


def keep_bounds(cells: Iterable[Cell], results: Path) -> None:
    """Make the bounds of the columns that lack them, where their rows are at hand, and write them.

    Rows are at hand if they are generated, lie in a folder, or were read from the hub by this process, as
    before a sweep; none are fetched for this.
    """
    for cell in cells:
        limit = cell.budget.evaluate.num_examples
        for key, column in _columns(cell).items():
            path = _path(results, key, column, limit)
            if _read(path) is None and all(map(_is_at_hand, scored(column).values())):
                _keep(path, column, limit)


def _keep(path: Path, column: Column, limit: int | None) -> None:
    print(f"t5grid: scoring constant answers in {column.title}", file=sys.stderr)
    with suppress(Refused):
        text = json.dumps(asdict(bounds_of(column, limit)), indent=1, ensure_ascii=False)
        write_whole(path, text + "\n")


def _columns(cell: Cell) -> Mapping[str, Column]:
    return {} if cell.budget.name == MEANINGLESS else cell.suite.chosen()


def _path(results: Path, key: str, column: Column, limit: int | None) -> Path:
    return results / FOLDER / f"{key}-{_digest(column, limit)}.json"


def _digest(column: Column, limit: int | None) -> str:
    """Twelve hex digits of the rows, of what scores them and of how many count."""
    tasks = [
        [name, type(task).__name__, task.fingerprint(), list(task.reported)]
        for name, task in scored(column).items()
    ]
    text = json.dumps([VERSION, limit, tasks])
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def _is_at_hand(task: Any) -> bool:
    if getattr(task, "only_read", False):  # nothing is answered
        return False
    return all(split.source.at_hand(split.name) for split in getattr(task, "needed_splits", ()))


def _read(path: Path) -> Bounds | None:
    """The bounds in a file; None where there is none, or it does not hold them."""
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
        bounds = Bounds(**plain)
    except (OSError, ValueError, TypeError):
        return None
    return bounds if all(map(is_number, (bounds.floor, bounds.ceiling, bounds.rows))) else None
