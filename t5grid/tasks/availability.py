"""tasks -> what of their data is there: named before training, and beside the scores.

A task that reads published data has `needed_splits`; generated ones have none and are always there.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from t5grid.refused import Refused
from t5grid.tasks.task import Record, has

Samples = dict[str, dict[str, list[Record]]]
"""column -> task -> some of its records."""
NUM_SAMPLED = 200
Standing = dict[str, dict[str, dict[str, dict[str, int | None]]]]
NOT_REAL = (
    'NOT THE REAL DATA: where rows are counted "of" more, others stand in for the real split, and no score'
    " of that task is a result on it."
)


def refuse_missing(columns: Mapping[str, Any]) -> None:
    """Raises Refused, one line, naming every split that a local copy lacks and no score can do without."""
    lacking = {str(split): split for split in _splits(columns) if split.missing and not split.spare}
    if not lacking:
        return
    first = next(iter(lacking.values()))
    try:
        first.source.files(first.name)
    except Refused as error:
        more = "; ".join(list(lacking)[1:])
        raise Refused(f"{error}{f' (and it lacks {more})' if more else ''}") from None


def refuse_only_read(columns: Mapping[str, Any]) -> None:
    """Raises Refused for a column of text that no strategy trains on or asks for, save one that reads."""
    for key, column in columns.items():
        if any(getattr(task, "only_read", False) for task in column.tasks.values()):
            told = f"suite.columns.{key}: its text is only read, by strategy=perplexity"
            raise Refused(f"{told}; name that, or other columns in suite.use")


def left_out(columns: Mapping[str, Any]) -> list[str]:
    """The splits that a local copy lacks and that are gone without."""
    return list(dict.fromkeys(str(split) for split in _splits(columns) if split.missing and split.spare))


def fetch(columns: Mapping[str, Any]) -> Samples:
    """Read every split that training and scoring need: downloads them, and refuses bad rows before training.

    Returns some records of each task, to compare with a vocabulary; none of those that are generated.

    Raises:
        Refused: one line, for what cannot be had or read.
    """
    refuse_missing(columns)
    samples: Samples = {}
    for key, column in columns.items():
        for name, task in column.tasks.items():
            for role in ("train", "validation"):
                if hasattr(task, "needed_splits") and has(task, role):
                    samples.setdefault(key, {}).setdefault(name, list(sampled(task.records(role))))
    if gone := left_out(columns):
        print(f"t5grid: gone without, as suite.root lacks them: {', '.join(gone)}", file=sys.stderr)
    return samples


def sampled(records: Sequence[Record], count: int = NUM_SAMPLED) -> Sequence[Record]:
    """At most so many records, evenly spaced."""
    return records[:: max(1, -(-len(records) // count))]


def standing(columns: Mapping[str, Any]) -> Standing:
    """column -> task -> role -> rows used, and rows of the real splits (None: not known).

    Generated tasks, which are always there, are not listed.
    """
    rows_used: Standing = {}
    for key, column in columns.items():
        for name, task in column.tasks.items():
            for split in getattr(task, "needed_splits", ()):
                roles = rows_used.setdefault(key, {}).setdefault(name, {})
                sizes = roles.setdefault(split.role, {"rows": 0, "of": 0})
                limit = {"train": task.num_train, "validation": task.num_validation}.get(split.role)
                rows = 0 if split.missing else split.rows or split.full
                sizes["rows"] = _limited(_sum(sizes["rows"], rows), limit)
                sizes["of"] = _sum(sizes["of"], split.full)
    return rows_used


def unreal(roles: Mapping[str, Mapping[str, int | None]]) -> str:
    """The splits of a task that are not the real ones, as `train 64 of 400`; empty where all are."""
    counts = {role: _count(**sizes) for role, sizes in roles.items()}
    return ", ".join(f"{role} {count}" for role, count in counts.items() if " of " in count)


def caption(rows_used: Standing, titles: Mapping[str, str]) -> tuple[str, ...]:
    """Sentences that say how many rows each task had, and which of them are not the real splits."""
    lines, foreign = [], False
    for key, tasks in rows_used.items():
        shown = []
        for name, roles in tasks.items():
            counts = [f"{role} {_count(**sizes)}" for role, sizes in roles.items()]
            foreign = foreign or any(" of " in count for count in counts)
            shown.append(f"{name} ({', '.join(counts)})")
        lines.append(f"Rows of {titles[key]}: {', '.join(shown)}.")
    if foreign:
        lines.insert(0, NOT_REAL)
    return tuple(lines)


def _count(rows: int | None, of: int | None) -> str:
    is_whole = of is None or rows is None or rows == of
    return f"{'?' if rows is None else rows}" if is_whole else f"{rows} of {of}"


def _sum(total: int | None, more: int | None) -> int | None:
    return None if total is None or more is None else total + more


def _limited(rows: int | None, limit: int | None) -> int | None:
    return rows if rows is None or limit is None else min(rows, limit)


def _splits(columns: Mapping[str, Any]) -> Iterable[Any]:
    tasks = (task for column in columns.values() for task in column.tasks.values())
    return (split for task in tasks for split in getattr(task, "needed_splits", ()))
