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
from t5grid.data.roundtrip import Unanswerable, losses, losses_of
from t5grid.data.vocabulary import Vocabulary
from t5grid.execution.store import Store
from t5grid.grid.prompted import Prompted
from t5grid.grid.strategies import vocabulary_stage
from t5grid.refused import Refused
from t5grid.stages.prompt import PromptStage
from t5grid.stages.text import VOCABULARY
from t5grid.tasks.availability import Samples, fetch
from t5grid.tasks.task import Record


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
        Unanswerable: a label of which a vocabulary leaves nothing, or the same as of another.
        Refused: rows of a task that cannot be had or read.
    """
    to_come = {identity: check for identity, check in _checks(cells).items() if not check()}
    yield to_come
    for check in to_come.values():
        with suppress(Unanswerable):  # the stages that train on the labels have failed for that reason
            check()


def _checks(cells: Iterable[Cell]) -> dict[str, Callable[[], bool]]:
    """For each vocabulary of the cells, by its stage, the comparison with every suite that goes with it."""
    suites, samples, said = dict[str, dict[int, Cell]](), dict[int, Samples](), set[str]()
    prompted = dict[str, dict[str, PromptStage]]()
    for cell in cells:
        for stage in cell.strategy.stages(cell).values() if isinstance(cell.strategy, Prompted) else ():
            prompted.setdefault(stage.vocabulary.identity, {}).setdefault(stage.asks, stage)
        if id(cell.suite) not in samples:
            samples[id(cell.suite)] = fetch(cell.suite.chosen())
        suites.setdefault(vocabulary_stage(cell).identity, {}).setdefault(id(cell.suite), cell)
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
            for line in losses(column.tasks, samples[id(cell.suite)].get(key, {}), vocabulary):
                if line not in said:
                    print(f"t5grid: {line}", file=sys.stderr)
                said.add(line)
    return True


def task_lines(name: str, task: Any, records: Sequence[Record], vocabulary: Vocabulary) -> list[str]:
    """What is lost of one task, and what a run would refuse."""
    try:
        return losses_of(name, task, records, vocabulary)
    except Refused as error:
        return [f"refused when it is run: {error}"]
