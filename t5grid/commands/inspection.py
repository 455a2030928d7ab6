"""axis values -> text for people: what an objective, a corpus or a suite produces."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from t5grid.commands.comparing import at_hand, beginning, is_generated, is_streamed, made, task_lines
from t5grid.config.schema import Cell, load_cell
from t5grid.data.corpora import every_document
from t5grid.data.sentences import SentenceMarks
from t5grid.data.stream import generator
from t5grid.data.vocabulary import Vocabulary
from t5grid.execution.store import Store
from t5grid.grid.strategies import Multitask
from t5grid.refused import Refused
from t5grid.stages.multitask import MultitaskStage
from t5grid.stages.stage import with_parents
from t5grid.tasks.availability import standing, unreal
from t5grid.tasks.task import has

SHOWN = {
    "objective": ("objective",),
    "corpus": ("corpus",),
    "suite": ("corpus", "suite"),
    "mixing": ("mixing",),
}
"""What is printed for each axis that is named: a suite beside documents of the world it is about."""


def show(words: Sequence[str], num: int) -> Iterator[str]:
    """Lines of `inspect`: a sentence gives the paper's Table 3, overrides say which axis to show.

    Raises Refused for a sentence with anything beside it.
    """
    sentences = [word for word in words if " " in word.strip().partition("=")[0]]
    if sentences and len(words) > 1:
        raise Refused(f"inspect: {sentences[0]!r}: a sentence stands alone, {len(words)} words were given")
    if sentences:
        yield from worked_table(sentences[0].split())
        return
    cell = load_cell(words)
    printers = {
        "objective": objective_lines,
        "corpus": corpus_lines,
        "suite": suite_lines,
        "mixing": mixing_lines,
    }
    named = {word.partition("=")[0].split(".")[0] for word in words} & SHOWN.keys()
    named = {"mixing"} if "mixing" in named else named  # a mixture of the suite and corpus that are named
    wanted = {part for axis in named or SHOWN for part in SHOWN[axis]}
    for part, lines in printers.items():
        if part in wanted:
            yield from lines(cell, num)


def worked_table(words: list[str]) -> Iterator[str]:
    """The paper's Table 3 for a sentence: inputs and targets of each objective, the noise being fixed."""
    from t5grid.data.worked_example import worked_example

    rows = [("Objective", "Inputs", "Targets"), *worked_example(words)]
    widths = [max(len(row[i]) for row in rows) for i in range(2)]
    for row in rows:
        yield f"{row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]}"


def documents_of(cell: Cell) -> Iterator[str]:
    """Every document of the cell's corpus."""
    return every_document(cell.corpus)


def corpus_lines(cell: Cell, num: int) -> Iterator[str]:
    """A few documents."""
    yield f"corpus={cell.labels['corpus']}"
    for document in itertools.islice(documents_of(cell), num):
        yield f"  {document}"


def objective_lines(cell: Cell, num: int) -> Iterator[str]:
    """A few documents under the objective, as text with sentinels spelt out."""
    vocabulary = made(cell)
    length = cell.budget.pretrain.inputs_length
    raw, targets_length = cell.objective.lengths(length)
    lengths = f"{raw} tokens a piece -> at most {length} inputs, {targets_length} targets"
    yield f"objective={cell.labels['objective']}: {lengths}"
    for i, document in enumerate(itertools.islice(documents_of(cell), num)):
        ids = np.asarray(vocabulary.encode([document]), dtype=np.int32)[:, :raw]
        given = (
            SentenceMarks.of(vocabulary)(ids) if getattr(cell.objective, "marks_sentences", False) else ids
        )
        inputs, targets = cell.objective(given, generator(cell.seed, "inspect", i), vocabulary.size)
        yield f"  text     {vocabulary.show(ids[0])}"
        yield f"  inputs   {vocabulary.show(inputs[0][inputs[0] > 0])}"
        yield f"  targets  {vocabulary.show(targets[0][targets[0] > 0])}"


def suite_lines(cell: Cell, num: int) -> Iterator[str]:
    """A few training records of every task, how many there are, and what of them cannot be answered."""
    yield f"suite={cell.suite.name}"
    vocabulary = compared_with(cell)
    for key, column in cell.suite.chosen().items():
        yield f"{key} ({column.title})"
        rows_of = standing({key: column}).get(key, {})
        for name, task in column.tasks.items():
            words = {"train": "training", "validation": "validation"}
            shown = task if vocabulary else beginning(task, num)
            records = {role: shown.records(role) for role in words if has(task, role)}
            if not records and has(task, "test"):
                words, records = {"test": "test"}, {"test": shown.records("test")}
            sizes = ", ".join(
                f"{_size(task, role, rows)} {words[role]} examples" for role, rows in records.items()
            )
            scored = f"scored by {', '.join(task.reported)}" if task.reported else "not scored"
            yield f"  {name}: {sizes or 'no rows'}, {scored}"
            if not_real := unreal(rows_of.get(name, {})):
                yield f"    not the real data: rows of {not_real}"
            for record in next(iter(records.values()), [])[:num]:
                yield f"    inputs   {record['inputs']}"
                yield f"    targets  {record['targets']}"
            for line in task_lines(name, task, records.get("train", ()), vocabulary) if vocabulary else ():
                yield f"    lost     {line}"
    if vocabulary is None and standing(cell.suite.chosen()):
        yield "targets are not compared with the vocabulary, which is still to be trained: a run does so"


def _size(task: Any, role: str, rows: Sequence[Any]) -> int:
    """How many rows a split has, of which `rows` may be the first."""
    return task.num_rows(role) if is_generated(task) else len(rows)


def compared_with(cell: Cell) -> Vocabulary | None:
    """The vocabulary if it is at hand, or if there are rows that are not generated and text is not far."""
    near = standing(cell.suite.chosen()) and not is_streamed(cell.vocabulary.reads(cell.corpus))
    return made(cell) if near else at_hand(cell)


def mixing_lines(cell: Cell, num: int) -> Iterator[str]:
    """The rates of every mixture the cell trains on; of everything where its strategy mixes nothing."""
    store = Store(cell.runtime.runs_dir)
    yield f"mixing={cell.labels['mixing']}"
    for strategy in (cell.strategy, Multitask()):
        stages = with_parents(list(strategy.stages(cell).values()))
        if mixed := [stage for stage in stages if isinstance(stage, MultitaskStage)]:
            for stage in mixed:
                yield from (f"  {line}" for line in stage.preface(store.folder))
            return
