"""finished stages -> kept records: all that tables and figures are made of."""

from pathlib import Path
from typing import Any

from t5grid.execution.store import Store
from t5grid.files import read_json, write_whole
from t5grid.grid.graph import Grid
from t5grid.refused import Refused
from t5grid.stages.stage import Stage

NOT_KEPT = ("vocabulary", "tokens")
"""Kinds of stages whose records no table or figure reads."""


def record_of(stage: Stage, store: Store, records: Path) -> dict[str, Any] | None:
    """A stage's record, from the store or from the kept records."""
    return store.record(stage) or read_json(records / f"{stage.identity}.json")


def number_in(record: dict[str, Any], key: str) -> float:
    """A number of a record. Raises Refused where somebody wrote something else into it."""
    number = record.get(key)
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise Refused(f"{record.get('identity')}: its record.json says {key}={number}: a number is needed")
    return number


def keep_records(grid: Grid, store: Store, records: Path) -> None:
    """Copy the records that tables and figures are made of beside the tables, whole; with them the curves."""
    for stage in grid.stages:
        folder = store.folder(stage)
        if stage.kind in NOT_KEPT or store.record(stage) is None:
            continue
        _keep(folder / "record.json", records / f"{stage.identity}.json")
        if stage.kind != "finetune" and (folder / "metrics.csv").exists():
            _keep(folder / "metrics.csv", records / f"{stage.identity}.csv")


def _keep(source: Path, target: Path) -> None:
    text = source.read_bytes()
    if not target.exists() or target.read_bytes() != text:
        write_whole(target, text)
