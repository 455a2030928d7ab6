"""axis values -> text for people: what an objective, a corpus or a suite produces."""

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from t5grid.commands.anatomy import architecture_lines, architecture_svg, finetune_lines, size_lines
from t5grid.commands.comparing import at_hand, beginning, is_generated, is_streamed, made, task_lines
from t5grid.commands.picturing import in_colour, painted
from t5grid.config.compose import GROUPS
from t5grid.config.schema import Cell, load_cell
from t5grid.data.corpora import every_document
from t5grid.data.distance import distance
from t5grid.data.sentences import SentenceMarks
from t5grid.data.stream import generator
from t5grid.data.vocabulary import Vocabulary
from t5grid.data.words import Words, draws, tokens_asked
from t5grid.execution.store import Store
from t5grid.grid.prompted import Prompted
from t5grid.grid.strategies import Multitask
from t5grid.grid.transfer import CONTINUED
from t5grid.refused import Refused
from t5grid.stages.multitask import MultitaskStage
from t5grid.stages.prompt import PromptStage
from t5grid.stages.stage import with_parents
from t5grid.tasks.availability import standing, unreal
from t5grid.tasks.task import has
from t5grid.tasks.texts import TaskTexts

SHOWN = {
    "objective": ("objective",),
    "corpus": ("corpus",),
    "suite": ("corpus", "suite"),
    "mixing": ("mixing",),
    "architecture": ("architecture",),
    "finetune": ("finetune",),
    "strategy": ("strategy",),
    "size": ("size",),
    "vocabulary": ("vocabulary",),
}
"""What is printed for each axis that is named: a suite beside documents of the world it is about."""
UNNAMED = ("objective", "corpus", "suite", "mixing")
"""What is printed where no axis is named."""
SETTINGS = ("budget", "runtime", "executor")
"""Groups that shape what is shown and are printed, as they are, where nothing else is named."""
NUM_COMPARED = 2000
"""Documents of each of two corpora by which their distance is told."""
OF_A_SENTENCE = ("objective", "architecture")
"""What can be shown of any sentence."""


def show(words: Sequence[str], num: int) -> Iterator[str]:
    """Lines of `inspect`: a sentence gives the paper's Table 3, overrides say which axes to show.

    Raises Refused for a sentence beside another, or beside an axis that has nothing to say of it.
    """
    sentence, overrides = _sentence_in(words)
    if sentence and not overrides:
        yield from worked_table(sentence.split())
        return
    cell, named = load_cell(overrides), axes_named(overrides)
    if sentence:
        yield from sentence_lines(cell, sentence, num, named)
        return
    printers: dict[str, Callable[[], Iterator[str]]] = {
        "objective": lambda: objective_lines(cell, num),
        "corpus": lambda: corpus_lines(cell, num),
        "suite": lambda: suite_lines(cell, num),
        "mixing": lambda: mixing_lines(cell, num),
        "architecture": lambda: architecture_lines(cell),
        "finetune": lambda: finetune_lines(cell),
        "strategy": lambda: strategy_lines(cell, num),
        "size": lambda: size_lines(cell),
        "vocabulary": lambda: vocabulary_lines(cell, num),
        **{group: partial(settings_lines, cell, group) for group in SETTINGS},
    }
    parts = ["strategy"] if isinstance(cell.strategy, Prompted) and "strategy" in named else _parts(named)
    for part in parts:
        yield from printers[part]()


def _sentence_in(words: Sequence[str]) -> tuple[str, list[str]]:
    """The sentence among the words, if any, and the overrides. Raises Refused for two sentences."""
    sentences = [word for word in words if " " in word.strip().partition("=")[0]]
    overrides = [word for word in words if word not in sentences]
    if len(sentences) > 1 or (sentences and overrides and not set(axes_named(overrides)) & {*OF_A_SENTENCE}):
        beside = "a sentence stands alone, or beside objective=NAME or architecture=NAME"
        raise Refused(f"inspect: {sentences[0]!r}: {beside}; {len(words)} words were given")
    return next(iter(sentences), ""), overrides


def axes_named(overrides: Sequence[str]) -> list[str]:
    """The groups that the overrides choose an option of or change, in the order of a cell."""
    tops = {word.partition("=")[0].lstrip("+~").partition(".")[0].rstrip("*") for word in overrides}
    return [group for group in GROUPS if group in tops]


def _parts(named: Sequence[str]) -> list[str]:
    """What is printed: every axis that is named, or where none is, all that a cell reads and is asked."""
    axes = [axis for axis in named if axis in SHOWN]
    settings = [group for group in named if group in SETTINGS]
    wanted = {part for axis in axes or (() if settings else UNNAMED) for part in SHOWN[axis]}
    return [part for part in SHOWN if part in wanted] or settings


def picture(words: Sequence[str]) -> str:
    """The SVG of an architecture's masks. Raises Refused where no architecture is named."""
    sentence, overrides = _sentence_in(words)
    if "architecture" not in axes_named(overrides):
        raise Refused("inspect: --svg draws architecture=NAME; name one")
    return architecture_svg(load_cell(overrides), sentence)


def sentence_lines(cell: Cell, sentence: str, num: int, named: Sequence[str]) -> Iterator[str]:
    """A sentence under the cell's objective, and as its architecture reads it where one is named.

    Raises Refused for another axis, which has nothing to say of it.
    """
    if other := [axis for axis in named if axis not in (*OF_A_SENTENCE, *SETTINGS, "size")]:
        raise Refused(f"inspect: {other[0]}: says nothing of a sentence; leave one of them out")
    if "objective" in named:
        words, colour = Words(sentence), in_colour()
        yield f"objective={cell.labels['objective']}: a word a token, {num} draws of its noise"
        yield f"  text     {' '.join(words.words)}"
        for inputs, targets in draws(cell.objective, words, cell.seed, num):
            same = words.words if len(inputs) == len(words.words) else ()
            yield f"  inputs   {painted(inputs, same, colour)}"
            yield f"  targets  {painted(targets, (), colour)}"
    if "architecture" in named:
        yield from architecture_lines(cell, sentence)


def strategy_lines(cell: Cell, num: int) -> Iterator[str]:
    """How many stages of each kind a cell unrolls into, in the order in which they run; or its prompts."""
    if isinstance(cell.strategy, Prompted):
        yield from prompt_lines(cell, num)
        return
    stages = with_parents(list(cell.strategy.stages(cell).values()))
    kinds = Counter(stage.kind for stage in stages)
    yield f"strategy={cell.labels['strategy']}"
    yield "  " + " -> ".join(f"{kind} x {count}" if count > 1 else kind for kind, count in kinds.items())
    for stage in stages:
        if stage.kind not in ("finetune", "evaluate"):
            yield f"  {stage.identity}"
    if corpus := getattr(cell.strategy, "corpus", None):
        ours, theirs = (itertools.islice(every_document(of), NUM_COMPARED) for of in (cell.corpus, corpus))
        yield f"  {cell.labels['corpus']} and {cell.labels[CONTINUED]}: {distance(ours, theirs)}"


def vocabulary_lines(cell: Cell, num: int) -> Iterator[str]:
    """A few documents as the vocabulary cuts them."""
    vocabulary = made(cell)
    yield f"vocabulary={cell.labels['vocabulary']}: {vocabulary.num_pieces:,} pieces, {vocabulary.size:,} ids"
    for document in itertools.islice(documents_of(cell), num):
        ids = vocabulary.encode([document])[0]
        yield f"  {' '.join(vocabulary.piece(int(number)) for number in ids)}"


def settings_lines(cell: Cell, group: str) -> Iterator[str]:
    """A group as the config has it."""
    from omegaconf import OmegaConf

    yield f"{group}={cell.labels[group]}"
    yield from (f"  {line}" for line in OmegaConf.to_yaml(cell.config[group]).splitlines())


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
        yield f"  targets  {vocabulary.show(tokens_asked(cell.objective, targets[0]))}"


def suite_lines(cell: Cell, num: int) -> Iterator[str]:
    """A few training records of every task, how many there are, and what of them cannot be answered."""
    yield f"suite={cell.suite.name}"
    vocabulary = compared_with(cell)
    for key, column in cell.suite.chosen().items():
        yield f"{key} ({column.title}){_on_other_rows(cell, key)}"
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


def _on_other_rows(cell: Cell, key: str) -> str:
    """What is said of a column that is fine-tuned on another's rows, and how far apart their texts are."""
    source = cell.suite.source(key)
    if source == key:
        return ""
    ours, theirs = (
        every_document(TaskTexts({name: task for name, task in column.tasks.items() if has(task, "train")}))
        for column in (cell.suite.columns[name] for name in (source, key))
    )
    return f", fine-tuned on {source}: {distance(ours, theirs)}"


def _size(task: Any, role: str, rows: Sequence[Any]) -> int:
    """How many rows a split has, of which `rows` may be the first."""
    return task.num_rows(role) if is_generated(task) else len(rows)


def compared_with(cell: Cell) -> Vocabulary | None:
    """The vocabulary if it is at hand, or if there are rows that are not generated and text is not far."""
    near = standing(cell.suite.chosen()) and not is_streamed(cell.vocabulary.reads(cell.corpus))
    return made(cell) if near else at_hand(cell)


def prompt_lines(cell: Cell, num: int) -> Iterator[str]:
    """A few prompts of every task, as a model gets them, with the right answer."""
    from t5grid.data.roundtrip import given_back

    vocabulary = made(cell)
    for key, stage in cell.strategy.stages(cell).items():
        assert isinstance(stage, PromptStage)
        given = stage.prompting
        yield f"{key}: {given.form}, at most {given.prompt_length} ids"
        for name, asking in stage.askings(stage.column, vocabulary).items():
            records = asking.task.records("validation")[:num]
            for record, question in zip(
                records, asking.questions(records, stage.training(asking)), strict=True
            ):
                yield f"  {name}: {question.num_shots} examples"
                yield from (f"    {line}" for line in question.text.split("\n"))
                yield f"    -> {asking.template.answer(record, question.fields)}"
            if records and "\n" in question.text and given_back(["a\nb"], vocabulary) != ["a\nb"]:
                yield "  (this vocabulary reads a line break as a blank)"


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
