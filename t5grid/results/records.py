"""finished stages -> kept records: all that tables and figures are made of."""

import csv
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from t5grid.execution.store import Store
from t5grid.files import write_whole
from t5grid.grid.graph import Grid
from t5grid.refused import Refused
from t5grid.stages.record import is_undefined, read_record, record_fault
from t5grid.stages.stage import Stage

MEAN_LOSS = "mean_loss"
"""The column of a metrics file that `t5grid.training.callbacks` writes under this name."""

NOT_KEPT = ("vocabulary", "tokens", "import")
"""Kinds of stages whose records no table or figure reads; an import's says where a model lay on a machine."""

Curve = Sequence[tuple[int, float]]


def record_of(stage: Stage, store: Store, records: Path) -> dict[str, Any] | None:
    """A stage's record, from the store or from the kept records; one that cannot be used is none."""
    return store.record(stage) or read_record(_kept(stage, records), stage.identity)


def _kept(stage: Stage, records: Path) -> Path:
    return records / f"{stage.identity}.json"


def fault_of(stage: Stage, store: Store, records: Path) -> str:
    """Why a record that is there is not used; empty if none is, or it is."""
    places = (store.folder(stage) / "record.json", _kept(stage, records))
    return next((fault for path in places if (fault := record_fault(path, stage.identity))), "")


def undefined_in(record: dict[str, Any]) -> list[str]:
    """`task metric` of every score of an evaluation that has no value."""
    return [
        f"{task} {metric}"
        for task, scores in record["tasks"].items()
        for metric, score in scores.items()
        if is_undefined(score)
    ]


def set_aside(stages: Iterable[Stage], store: Store, records: Path) -> Iterator[str]:
    """A line for each record or metrics file of the stages that cannot be used: where it is, and why."""
    for stage in stages:
        for path in (store.folder(stage) / "record.json", _kept(stage, records)):
            if fault := record_fault(path, stage.identity):
                yield f"{path}: {fault}"
        if stage.kind not in NOT_KEPT and not stage.scores:
            yield from filter(None, map(_curve_fault, curve_places(stage, store, records)))


def curve_places(stage: Stage, store: Store, records: Path) -> tuple[Path, Path]:
    """Where the metrics of a training may be."""
    return store.folder(stage) / "metrics.csv", records / f"{stage.identity}.csv"


def _curve_fault(path: Path) -> str:
    try:
        losses_in(path)
    except Refused as error:
        return str(error)
    return ""


def losses_in(path: Path) -> Curve | None:
    """(step, loss) of a metrics file; a last line that is not finished is left out. None if there is none.

    The loss is the mean over the steps since the row before; of files that lack it, the step's own. One that
    is not a number, as of a training that diverged, is left out. Raises Refused naming the file.
    """
    if not path.exists():
        return None
    try:
        if not path.is_file():
            raise Refused(f"{path}: not a file")
        text = path.read_text(encoding="utf-8")
        rows = csv.DictReader(text[: text.rfind("\n") + 1].split("\n"))
        losses = [(int(row["step"]), float(row.get(MEAN_LOSS) or row["loss"])) for row in rows]
    except Refused:
        raise
    except OSError as error:
        raise Refused(f"{path}: {error.strerror or error}") from None
    except (ValueError, KeyError, TypeError, csv.Error) as error:
        raise Refused(f"{path}: not the metrics of a training ({error!r})") from None
    return [(step, loss) for step, loss in losses if math.isfinite(loss)]


def keep_records(grid: Grid, store: Store, records: Path) -> None:
    """Copy the records that tables and figures are made of beside the tables, whole; with them the curves."""
    for stage in grid.stages:
        folder = store.folder(stage)
        if stage.kind in NOT_KEPT or store.record(stage) is None:
            continue
        _keep(folder / "record.json", records / f"{stage.identity}.json")
        metrics = folder / "metrics.csv"
        if metrics.is_file() and not _curve_fault(metrics):
            _keep(metrics, records / f"{stage.identity}.csv")


def _keep(source: Path, target: Path) -> None:
    text = source.read_bytes()
    if not target.is_file() or target.read_bytes() != text:
        write_whole(target, text)
