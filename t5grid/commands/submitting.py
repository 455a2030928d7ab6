"""finished stages + a leaderboard's test sets -> the zip that its server takes."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from t5grid.commands.predicting import is_place, reported_step, stage_of
from t5grid.config.schema import Cell, Column, build, load_cell
from t5grid.execution.store import Store
from t5grid.refused import Refused
from t5grid.stages.stage import Context, Stage
from t5grid.tasks.labelled import PLACE, HubTask
from t5grid.tasks.leaderboards import LEADERBOARDS, Entry, content, usual, zipped
from t5grid.tasks.task import Record


@dataclass(frozen=True)
class Trained:
    """A task of a finished stage's column."""

    stage: Stage
    store: Store
    name: str
    task: HubTask


class Answering:
    """What finished stages answer; the last one's model is kept for the next file."""

    def __init__(self, cell: Cell, step: int | None = None, num_beams: int = 1) -> None:
        self.cell, self.step, self.num_beams = cell, step, num_beams
        self._restored: tuple[str, Any] = ("", None)

    def __call__(self, trained: Trained, records: Sequence[Record]) -> list[str]:
        """One answer a record, at the step the task is reported at if no other was asked for."""
        from t5grid.evaluation.predict import predict

        restored = self._restore(trained)
        step = reported_step(trained.stage, trained.store, restored.steps, trained.name, self.step)
        model, batch = restored.at(step), self.cell.runtime.evaluation_batch
        texts = [record["inputs"] for record in records]
        how = (restored.column, batch, self.num_beams, trained.name)
        return predict(model, restored.vocabulary, texts, *how)

    def _restore(self, trained: Trained) -> Any:
        from t5grid.stages.restore import restore

        if self._restored[0] != trained.stage.identity:
            context = Context(trained.store.folder, self.cell.runtime, 1, lambda progress: None)
            self._restored = (trained.stage.identity, restore(trained.stage, context))
        return self._restored[1]


def submission(
    board: str, words: Sequence[str], fill: bool = False, step: int | None = None, num_beams: int = 1
) -> bytes:
    """The zip for a leaderboard; `words` are columns or finished stages, with overrides.

    Each file is answered by the stage that is trained for it; with `fill`, those that none is trained for get
    the usual answer. Raises Refused, before anything is answered, where one lacks its stage or has several.
    """
    places = [word for word in words if is_place(word)]
    cell = load_cell([word for word in words if not is_place(word)])
    tasks = [trained for place in places for trained in _tasks_of(*stage_of(place, cell))]
    trained = {entry: _trained_for(entry, tasks) for entry in LEADERBOARDS[board]}
    _refuse_lacking(board, places, trained, fill)
    known = [of_file.task for of_file in trained.values() if of_file]
    sources = {entry: _test_task(entry, known, cell) for entry in trained}
    indices = {entry: entry.indices(task) for entry, task in sources.items()}
    values = {entry: usual(entry, sources[entry]) for entry in trained if trained[entry] is None}
    answering = Answering(cell, step, num_beams)
    for entry, of_file in trained.items():
        if len(indices[entry]) != entry.num_rows:
            _say(f"{entry.file}: {len(indices[entry]):,} rows here; the server expects {entry.num_rows:,}")
        if of_file is None:
            _say(f"{entry.file}: the usual answer in every row, as nothing named is fine-tuned for it")
        else:
            values[entry] = _values(entry, sources[entry], of_file, answering)
    return zipped({entry.file: content(entry, indices[entry], values[entry]) for entry in trained})


def _tasks_of(stage: Stage, store: Store) -> list[Trained]:
    """The tasks that a stage's model was fine-tuned on."""
    column = build(stage.config["column"], "suite", Column)
    return [Trained(stage, store, name, task) for name, task in column.tasks.items()]


def _trained_for(entry: Entry, tasks: Sequence[Trained]) -> Trained | None:
    """The one task that an entry is answered by. Raises Refused where there are several."""
    fitting = [trained for trained in tasks if type(trained.task) is entry.trained]
    if len(fitting) > 1:
        names = " and ".join(trained.stage.identity for trained in fitting)
        raise Refused(f"predict: {entry.file}: {names} are trained for it; name one of them")
    return fitting[0] if fitting else None


def _refuse_lacking(
    board: str, places: Sequence[str], trained: dict[Entry, Trained | None], fill: bool
) -> None:
    lacking = [entry.file for entry, of_file in trained.items() if of_file is None]
    where = f"predict: --leaderboard {board}"
    if len(lacking) == len(trained):
        raise Refused(f"{where}: {' '.join(places) or 'nothing'}: not fine-tuned on any of its tasks")
    if lacking and not fill:
        what = "name a stage that is, or write the most frequent class with --fill"
        raise Refused(f"{where}: nothing named is fine-tuned for {', '.join(lacking)}; {what}")


def _test_task(entry: Entry, known: Sequence[HubTask], cell: Cell) -> HubTask:
    """The task whose test rows are answered, read where the tasks that were trained on are."""
    repository = entry.task.repository
    same = [task for task in known if type(task).repository == repository]
    place = {name: getattr(same[0], name) for name in PLACE} if same else {}
    return entry.task(**(place or {"root": known[0].root or cell.suite.root}))


def _values(entry: Entry, task: HubTask, trained: Trained, answering: Answering) -> list[Any]:
    """What is written for each test row; what is no answer of the task becomes the usual one, and is said."""
    _say(f"{entry.file}: {trained.stage.trained[0].identity}")
    records = entry.records(task)
    answers = answering(trained, records)
    values = [entry.value(task, *pair) for pair in zip(records, answers, strict=True)]
    if lost := values.count(None):
        _say(f"{entry.file}: {lost:,} of {len(values):,} answers are none of the task's; the usual one there")
        values = [
            value if given is None else given for given, value in zip(values, usual(entry, task), strict=True)
        ]
    return values


def _say(text: str) -> None:
    print(f"t5grid: {text}", file=sys.stderr)
