"""a cell's suite + its vocabulary -> what cannot be answered, said around a run."""

import dataclasses
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from t5grid.config.schema import Cell
from t5grid.data.corpora import every_document
from t5grid.data.roundtrip import losses, losses_of
from t5grid.data.vocabulary import Vocabulary
from t5grid.execution.store import Store
from t5grid.grid.strategies import vocabulary_stage
from t5grid.refused import Refused
from t5grid.stages.text import VOCABULARY
from t5grid.tasks.availability import Samples
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
def compared(cell: Cell, samples: Samples) -> Iterator[None]:
    """Around a run: what cannot be answered, on standard error, as soon as the vocabulary is there.

    That is before the run, unless it trains the vocabulary.

    Raises:
        Refused: a label of which the vocabulary leaves nothing, or the same as of another.
    """
    if before := at_hand(cell):
        _say(cell, samples, before)
    yield
    if not before and (after := at_hand(cell)):
        with suppress(Refused):  # the stages that train on the labels have failed for that reason
            _say(cell, samples, after)


def _say(cell: Cell, samples: Samples, vocabulary: Vocabulary) -> None:
    for key, column in cell.suite.chosen().items():
        for line in losses(column.tasks, samples.get(key, {}), vocabulary):
            print(f"t5grid: {line}", file=sys.stderr)


def task_lines(name: str, task: Any, records: Sequence[Record], vocabulary: Vocabulary) -> list[str]:
    """What is lost of one task, and what a run would refuse."""
    try:
        return losses_of(name, task, records, vocabulary)
    except Refused as error:
        return [f"refused when it is run: {error}"]
