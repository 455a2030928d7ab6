"""cells' suites + vocabularies -> what cannot be answered, said before training."""

import dataclasses
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from t5grid.config.contracts import Checks
from t5grid.config.schema import Cell
from t5grid.data.corpora import every_document
from t5grid.data.reading import LongRow
from t5grid.data.roundtrip import Unanswerable, losses, losses_of
from t5grid.data.vocabulary import Vocabulary
from t5grid.execution.store import Store
from t5grid.grid.prompted import Prompted
from t5grid.grid.strategies import vocabulary_stage
from t5grid.model.answers import as_tuned, decoded, no_answer
from t5grid.nano.nano_task import NanoTask
from t5grid.nano.programs import GradedTask
from t5grid.refused import Refused
from t5grid.stages.prompt import PromptStage
from t5grid.stages.text import VOCABULARY
from t5grid.tasks.availability import Samples, fetch
from t5grid.tasks.task import Record, has

NUM_LOOKED_AT = 50
"""Rows of a generated task whose length is looked at before anything is trained."""


def at_hand(cell: Cell) -> Vocabulary | None:
    """The cell's vocabulary: given, or of a stage that is done; None where it is still to be trained."""
    path = Store(cell.runtime.runs_dir).folder(vocabulary_stage(cell)) / VOCABULARY
    if path.exists():
        return Vocabulary.read(path)
    return Vocabulary(cell.vocabulary.make(iter(()))) if cell.vocabulary.reads(cell.corpus) is None else None


def made(cell: Cell) -> Vocabulary:
    """The vocabulary at hand, else made here."""
    read = cell.vocabulary.reads(cell.corpus)
    return at_hand(cell) or Vocabulary(cell.vocabulary.make(every_document(read)))


def is_streamed(corpus: Any) -> bool:
    """Whether a corpus, or one it is made of, comes from the hub."""
    if isinstance(corpus, Mapping):
        return any(map(is_streamed, corpus.values()))
    if not dataclasses.is_dataclass(corpus):
        return False
    if hasattr(corpus, "used"):
        return is_streamed(corpus.used)
    if hasattr(corpus, "repository"):
        return getattr(corpus, "root", None) is None
    return any(is_streamed(getattr(corpus, field.name)) for field in dataclasses.fields(corpus))


@contextmanager
def compared(cells: Iterable[Cell]) -> Iterator[Checks]:
    """Around a run: what cannot be answered, on standard error, as soon as each vocabulary is there.

    That is before the run, unless it trains the vocabulary. For these it gets what to call when a stage of
    that identity is done; an executor that does not stay until then leaves it to the stages further on.

    Raises:
        Unanswerable: a label of which a vocabulary leaves nothing, or the same as of another; a row that has
            no room in its column.
        Refused: rows of a task that cannot be had or read.
    """
    to_come = {identity: check for identity, check in _checks(cells).items() if not check()}
    yield to_come
    for check in to_come.values():
        with suppress(Unanswerable):  # the stages that train on the labels have failed for that reason
            check()


def _checks(cells: Iterable[Cell]) -> dict[str, Callable[[], bool]]:
    """For each vocabulary of the cells, by its stage, the comparison with every suite that goes with it."""
    suites, samples, said = dict[str, dict[Any, Cell]](), dict[int, Samples](), set[str]()
    prompted = dict[str, dict[str, PromptStage]]()
    for cell in cells:
        for stage in cell.strategy.stages(cell).values() if isinstance(cell.strategy, Prompted) else ():
            prompted.setdefault(stage.vocabulary.identity, {}).setdefault(stage.asks, stage)
        if id(cell.suite) not in samples:
            samples[id(cell.suite)] = fetch(cell.suite.chosen())
        pair = (id(cell.suite), getattr(cell.architecture, "long_rows", None))
        suites.setdefault(vocabulary_stage(cell).identity, {}).setdefault(pair, cell)
    return {
        key: partial(_check, list(pairs.values()), list(prompted.get(key, {}).values()), samples, said)
        for key, pairs in suites.items()
    }


def _check(
    cells: Sequence[Cell], prompted: Sequence[PromptStage], samples: Mapping[int, Samples], said: set[str]
) -> bool:
    """Compare suites with their vocabulary, and say each line once; False where it is still to be trained.

    Every question of those that are `prompted` must fit.
    """
    if (vocabulary := at_hand(cells[0])) is None:
        return False
    for stage in prompted:
        stage.refuse_unaskable(vocabulary)
    for cell in cells:
        for key, column in cell.suite.chosen().items():
            tasks = decoded(cell.architecture, column.tasks)
            for line in losses(tasks, samples[id(cell.suite)].get(key, {}), vocabulary):
                if line not in said:
                    print(f"t5grid: {line}", file=sys.stderr)
                said.add(line)
            _refuse_long_rows(cell, key, vocabulary)
    return True


def _refuse_long_rows(cell: Cell, key: str, vocabulary: Vocabulary) -> None:
    """Raise LongRow where a model with output layers has no room for a row of a column.

    Of generated tasks the first rows are looked at; their training looks at all of them.
    """
    column = cell.suite.columns[key]
    tuned = as_tuned(cell.architecture, column.tasks)
    if not hasattr(tuned, "reading") or no_answer(cell.architecture, column.tasks):
        return
    reading = tuned.reading(vocabulary, column.inputs_length)
    if not hasattr(reading, "refuse_longer"):  # one of somebody's own
        return
    for name, task in column.tasks.items():
        for role in ("train", "validation"):
            rows = beginning(task, NUM_LOOKED_AT).records(role) if has(task, role) else ()
            try:
                reading.refuse_longer(name, [row["inputs"] for row in rows])
            except LongRow as error:
                raise LongRow(f"suite.columns.{key}.{error}") from None


def is_generated(task: Any) -> bool:
    """Whether a task makes its own rows, as many as are asked for."""
    return isinstance(task, NanoTask | GradedTask)


def beginning(task: Any, num: int) -> Any:
    """A generated task with its first rows alone, as a larger split begins with a smaller one."""
    if not is_generated(task):
        return task
    sizes = {f"num_{split}": task.num_rows(split) for split in ("train", "validation", "test")}
    return dataclasses.replace(task, **{name: max(1, min(num, size)) for name, size in sizes.items()})


def task_lines(name: str, task: Any, records: Sequence[Record], vocabulary: Vocabulary) -> list[str]:
    """What is lost of one task, and what a run would refuse."""
    try:
        return losses_of(name, task, records, vocabulary)
    except Refused as error:
        return [f"refused when it is run: {error}"]
