"""Data-set name -> rows: a split of a Hugging Face data set, from the hub or from a local copy of its folder.

With `root`, the folder root/<repository> is read, laid out as on the hub (a README.md whose front matter
lists configurations and data files). It is streamed, because the library's cache of a local folder notices
neither a changed file nor another folder of the same name. Without `root`, the hub and its cache are used.
"""

import os
import urllib.error
import urllib.request
from collections.abc import Iterable
from hashlib import blake2b
from json import dumps
from pathlib import Path
from typing import Any

from t5grid.data.tasks.task import Record

Row = dict[str, Any]
REACH_SECONDS = 5.0
OFFLINE_SWITCHES = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE")


def load_rows(
    repository: str, config: str, split: str, root: str | None = None, revision: str | None = None
) -> list[Row]:
    """All rows of one split, in the data set's order.

    Args:
        repository: the hub's name, such as `nyu-mll/glue`.
        config: the configuration, such as `cola`.
        split: the split, such as `train`.
        root: folder that holds copies of hub repositories; None reads the hub.
        revision: commit or tag on the hub; None is the newest. A local copy has no revisions.

    Raises:
        ValueError: one line, for a missing folder, configuration, split or network, or an unreadable file.
    """
    where = f"data set {repository} ({config}, {split})"
    if root is not None and revision is not None:
        raise ValueError(f"{where}: suite.revision={revision} means nothing with suite.root, a plain folder")
    path = _hub_name(repository, where) if root is None else _folder(root, repository, where)
    from datasets import load_dataset
    from datasets.exceptions import DatasetGenerationError
    from pyarrow import ArrowException

    try:
        if root is None:
            return list(load_dataset(path, config, split=split, revision=revision))
        return _stream(path, config, split)
    except ConnectionError as error:
        raise ValueError(_unreachable(where)) from error
    except (ValueError, OSError, RuntimeError, ArrowException, DatasetGenerationError) as error:
        raise ValueError(f"{where}: {_one_line(error)}") from error


def check_columns(rows: list[Row], texts: Iterable[str], others: Iterable[str], where: str) -> None:
    """Every row has the columns named, and text in those of `texts`.

    Raises:
        ValueError: one line naming the data set and split (`where`), the row (from 0) and the column.
    """
    texts, columns = list(texts), [*texts, *others]
    if not rows:
        raise ValueError(f"{where}: no rows")
    for number, row in enumerate(rows):
        for column in columns:
            if column not in row:
                raise ValueError(f"{where}, row {number}: no column {column!r}, it has {', '.join(row)}")
        for column in texts:
            if not isinstance(row[column], str):
                kind = type(row[column]).__name__
                raise ValueError(f"{where}, row {number}: column {column!r} is {kind}, expected text")


def evenly_spaced(rows: list[Row], count: int | None) -> list[Row]:
    """`count` rows evenly spaced over the list, in order; all of them where count is None or larger.

    >>> evenly_spaced([0, 1, 2, 3, 4, 5], 3)
    [0, 2, 4]
    """
    if count is None or count >= len(rows):
        return rows
    if count < 1:
        raise ValueError(f"num_train or num_validation is {count}, expected at least 1 (or null for all)")
    return [rows[place * len(rows) // count] for place in range(count)]


def digest(records: Iterable[Record]) -> str:
    """Sixteen hexadecimal digits that name the content and the order of the records."""
    total = blake2b(digest_size=8)
    for record in records:
        total.update(dumps(record, sort_keys=True).encode() + b"\n")
    return total.hexdigest()


def _stream(path: str, config: str, split: str) -> list[Row]:
    from datasets import load_dataset

    rows = load_dataset(path, config, split=split, streaming=True).with_format("arrow")
    return [row for table in rows.iter(batch_size=1000) for row in table.to_pylist()]


def _folder(root: str, repository: str, where: str) -> str:
    base = Path(root).expanduser().resolve()
    if not base.is_dir():
        raise ValueError(f"{where}: suite.root={root} is not a folder")
    folder = base / repository
    if not folder.is_dir():
        found = sorted(path.relative_to(base).as_posix() for path in base.glob("*/*") if path.is_dir())
        holds = ", ".join(found) or "none"
        raise ValueError(f"{where}: no folder {repository} in suite.root={root}, it holds {holds}")
    return str(folder)


def _hub_name(repository: str, where: str) -> str:
    if Path(repository).is_dir():
        raise ValueError(f"{where}: the folder ./{repository} would hide the hub's; suite.root=. reads it")
    if not _reachable():
        raise ValueError(_unreachable(where))
    return repository


def _reachable() -> bool:
    """Whether the hub answers at all; True when offline mode (use of the cache alone) was asked for."""
    if any(os.environ.get(name, "0").upper() in {"1", "ON", "YES", "TRUE"} for name in OFFLINE_SWITCHES):
        return True
    endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    try:
        urllib.request.urlopen(urllib.request.Request(endpoint, method="HEAD"), timeout=REACH_SECONDS).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def _unreachable(where: str) -> str:
    return (
        f"{where} is out of reach: run with network access to the Hugging Face hub (later, HF_HUB_OFFLINE=1"
        " uses what that left in the cache), or set suite.root=DIR to a folder with a copy of the repository"
    )


def _one_line(error: Exception) -> str:
    cause = error.__cause__ or error
    return " ".join(str(cause).split()) or type(cause).__name__
