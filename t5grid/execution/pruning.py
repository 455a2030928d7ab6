"""tables + store -> checkpoints that no evaluation and no stage needs any more.

Of a training that is done, as all that stands on it is, two kinds stay: its last checkpoint, which another
stage may start from, and those that its evaluations report, which `predict` answers with.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from t5grid.execution.store import Store
from t5grid.refused import Refused
from t5grid.stages import stage_file
from t5grid.stages.stage import Stage

PATTERN = "step-*.safetensors"


@dataclass(frozen=True)
class Spare:
    """A training, its checkpoints that stay, and those that nothing needs."""

    stage: Stage
    kept: tuple[Path, ...]
    unneeded: tuple[Path, ...]

    @property
    def size(self) -> int:
        """Bytes of what nothing needs."""
        return sum(path.stat().st_size for path in self.unneeded)


def spares(stages: Sequence[Stage], store: Store) -> Iterator[Spare]:
    """What may go of the trainings among `stages`, which are all that is still wanted.

    Nothing goes while one of them, or an evaluation that the store describes, stands on it and is not done.
    """
    children: dict[str, list[Stage]] = {}
    for stage in stages:
        for parent in stage.parents:
            children.setdefault(parent.identity, []).append(stage)
    done = {identity for identity, state in store.states(stages).items() if state == "done"}
    for stage in stages:
        if not stage.trains or stage.identity not in done:
            continue
        try:
            described = list(stage_file.evaluations(store.root, stage.identity))
        except Refused as error:  # it stands on a folder that is gone
            print(f"t5grid: left alone: {stage.identity}: {error}", file=sys.stderr)
            continue
        if spare := _spare(stage, [*children.get(stage.identity, ()), *described], store):
            yield spare


def _spare(stage: Stage, standing: Sequence[Stage], store: Store) -> Spare | None:
    """What may go of one training; None where nothing may."""
    records = [store.record(child) for child in standing]
    paths = sorted((store.folder(stage) / "checkpoints").glob(PATTERN))
    if not paths or not records or any(record is None for record in records):
        return None
    reported = {step for record in records if record for step in _reported(record)}
    kept = tuple(path for path in paths if path is paths[-1] or _step(path) in reported)
    unneeded = tuple(path for path in paths if path not in kept)
    return Spare(stage, kept, unneeded) if unneeded else None


def _reported(record: Mapping[str, Any]) -> set[int]:
    """The steps that an evaluation reports, of the column and of each task."""
    if record["kind"] != "evaluate":
        return set()
    return {record["step"], *(task["step"] for task in record["tasks"].values() if "step" in task)}


def _step(path: Path) -> int:
    return int(path.name.split("-")[1])


def delete(spare: Spare, store: Store) -> bool:
    """Delete what nothing needs; False, and nothing is, where the stage is held or what stays is damaged."""
    from t5grid.training.checkpoints import is_sound

    with store.lock(spare.stage) as is_held:
        if not is_held or not all(map(is_sound, spare.kept)):
            return False
        for path in spare.unneeded:
            path.unlink(missing_ok=True)
    return True
