"""a column of a cell, or a finished stage, + lines of text -> an answer a line."""

import itertools
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from t5grid.config.build import nearest
from t5grid.config.schema import Cell, Column, load_cell
from t5grid.execution.store import Store
from t5grid.files import read_json
from t5grid.grid.strategies import no_stage
from t5grid.refused import Refused
from t5grid.stages import stage_file
from t5grid.stages.evaluate import EvaluateStage
from t5grid.stages.perplexity import PerplexityStage
from t5grid.stages.prompt import PromptStage
from t5grid.stages.stage import Context, Stage
from t5grid.tasks.task import has

NUM_EXAMPLES = 200  # a task's fixed words are what so many of its inputs begin with


def answers(
    words: Sequence[str],
    lines: Sequence[str],
    task: str | None = None,
    step: int | None = None,
    num_beams: int = 1,
    raw: bool = False,
) -> list[str]:
    """One answer a line; `words` are a column with overrides, or a stage's identity.

    Of an identity a part is enough that no other has.

    Each line gets the words that all inputs of the task begin with, unless it has them or is `raw`. The step
    is the one the task is reported at, or the last where nothing was evaluated. Raises Refused.
    """
    place, cell = _place(words)
    stage, store = stage_of(place, cell)
    if isinstance(stage, PromptStage):
        context = Context(store.folder, cell.runtime, 1, lambda progress: None)
        return _prompted(stage, context, lines, task, step is None and num_beams == 1, raw)
    chosen = choose(words, task, step, raw)
    from t5grid.evaluation.predict import predict

    texts = [with_start(line, chosen.start) for line in lines]
    print(f"t5grid: {chosen.stage.trained[0].identity}, step {chosen.step}", file=sys.stderr)
    restored, batch = chosen.restored, chosen.cell.runtime.evaluation_batch
    model = restored.at(chosen.step)
    return predict(model, restored.vocabulary, texts, restored.column, batch, num_beams, chosen.task)


@dataclass(frozen=True)
class Chosen:
    """A finished cell's column: its evaluation, cell, models, the task and the step meant.

    `start` are the words that all inputs of the task begin with, empty for lines that are taken as they are.
    """

    stage: Stage
    cell: Cell
    restored: Any
    task: str
    step: int
    start: str


def choose(
    words: Sequence[str], task: str | None = None, step: int | None = None, raw: bool = False
) -> Chosen:
    """The column or stage that words name, its models restored. Raises Refused."""
    place, cell = _place(words)
    stage, store = stage_of(place, cell)
    if isinstance(stage, PromptStage):
        raise Refused(f"{place}: a prompted model has no checkpoints of its own; name a fine-tuned one")
    from t5grid.stages.restore import restore

    restored = restore(stage, Context(store.folder, cell.runtime, 1, lambda progress: None))
    name = _task(restored.column, task, raw)
    start = "" if raw else fixed_start(restored.column.tasks[name])
    return Chosen(stage, cell, restored, name, reported_step(stage, store, restored.steps, name, step), start)


def stage_of(place: str, cell: Cell) -> tuple[Stage, Store]:
    """The evaluate stage of a column, or of a stage that is named, and its store. Raises Refused.

    What it scores must be done.
    """
    folder = _folder(place, Path(cell.runtime.runs_dir))
    store = Store(folder.parents[1] if "/" in place else cell.runtime.runs_dir)
    stage = evaluation_of(folder) if "/" in place else column_stage(cell, place)
    if isinstance(stage, PerplexityStage):
        raise Refused(f"{place}: text that was only read; nothing in it is answered")
    _check_done(stage, store)
    return stage, store


def _prompted(
    stage: PromptStage, context: Context, lines: Sequence[str], task: str | None, is_plain: bool, raw: bool
) -> list[str]:
    """Answers to prompts with the lines in them, of the last step, which is the only one."""
    if not is_plain:
        raise Refused(f"predict: {stage.identity} has one step and answers greedily: no --step, no --beams")
    column = stage.column
    name = _task(column, task, raw)
    start = "" if raw else fixed_start(column.tasks[name])
    print(f"t5grid: {stage.trained[0].identity}, prompted", file=sys.stderr)
    return stage.answered(context, name, [with_start(line, start) for line in lines])


def _folder(place: str, runs: Path) -> Path:
    """A stage's folder: a path, a name below `runs`, or the only one there that `kind/part` is part of."""
    if Path(place, "config.yaml").is_file() or "/" not in place:
        return Path(place) if "/" in place else runs / place
    kind, _, part = place.partition("/")
    if part and not (runs / place).exists():
        found = sorted(
            path.parent for path in (runs / kind).glob("*/config.yaml") if part in path.parent.name
        )
        if len(found) > 1:
            names = ", ".join(f"{kind}/{folder.name}" for folder in found)
            raise Refused(f"predict: {place} is part of the names of {len(found)} stages: {names}")
        if found:
            return found[0]
    return runs / place


def _place(words: Sequence[str]) -> tuple[str, Cell]:
    """The column or stage named, and the cell of the overrides."""
    places = [word for word in words if is_place(word)]
    cell = load_cell([word for word in words if word not in places])
    if len(places) != 1:
        known = ", ".join(cell.suite.chosen())
        raise Refused(
            f"predict: name one column ({known}) or one stage below {cell.runtime.runs_dir} "
            f"(finetune/NAME), got {' '.join(places) or 'none'}"
        )
    return places[0], cell


def is_place(word: str) -> bool:
    """Whether a word is a column or a stage, whose name may hold `=` after its kind; else an override."""
    key, equals, _ = word.partition("=")
    return "/" in key or not (equals or word.startswith("~"))


def column_stage(cell: Cell, column: str) -> Stage:
    """The evaluate stage of a cell's column. Raises Refused for a column there is not."""
    stages = cell.strategy.stages(cell)
    if column in cell.suite.chosen():
        reason = no_stage(cell, column)
        if reason:
            raise Refused(f"predict: {column}: {reason}")
    if column not in stages:
        raise Refused(f"predict: no column {column!r}{nearest(column, stages)}")
    return stages[column]


def evaluation_of(folder: Path) -> Stage:
    """The evaluate stage of a folder below runs/: its own, or the one that scores its fine-tuning."""
    stage = stage_file.read(folder)
    if stage.scores:
        return stage
    if "column" not in stage.config:
        raise Refused(f"{stage.identity}: not fine-tuned on a column; name a finetune/ or evaluate/ stage")
    for evaluation in stage_file.evaluations(folder.parents[1], stage.identity):
        if [member.identity for member in evaluation.trained] == [stage.identity]:
            return evaluation
    return EvaluateStage(stage.name, stage.config, {}, (stage, stage.vocabulary))


def _check_done(stage: Stage, store: Store) -> None:
    for parent in stage.parents:
        if (state := store.state(parent)) != "done":
            raise Refused(
                f"{parent.identity}: {state} in {store.root}; a finished one is needed (t5grid run makes it)"
            )


def _task(column: Column, task: str | None, raw: bool) -> str:
    """The task whose words and step are taken."""
    if task is None and (raw or len(column.tasks) == 1):
        return next(iter(column.tasks))
    if task not in column.tasks:
        given = f"no task {task!r} in the column" if task else "the column has several tasks"
        raise Refused(f"--task: {given}{nearest(task or '', column.tasks)}")
    return task


def reported_step(
    stage: Stage, store: Store, steps: Sequence[int], task: str, wanted: int | None = None
) -> int:
    """The checkpoint that a task is reported at, if none is wanted. Raises Refused for one there is not."""
    if wanted is not None:
        if wanted not in steps:
            raise Refused(f"--step {wanted}: no such checkpoint; there are {', '.join(map(str, steps))}")
        return wanted
    record = read_json(store.folder(stage) / "record.json")
    if record is None:
        return steps[-1]
    return record["tasks"][task]["step"] if task in record["tasks"] else record["step"]


def fixed_start(task: Any) -> str:
    """The words every input of a task begins with: its own name and first label, up to a colon."""
    rows = task.records("validation" if has(task, "validation") else "train")[:NUM_EXAMPLES]
    first, last = min(row["inputs"] for row in rows), max(row["inputs"] for row in rows)
    same = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    common = "".join(letter for letter, _ in same)
    return common[: common.rfind(": ") + 1]


def with_start(line: str, start: str) -> str:
    """`start` before a line, except for what the line begins with already.

    "premise: a" after "entail premise:" -> "entail premise: a"
    """
    words = start.split()
    for count in range(len(words)):
        if line.startswith(" ".join(words[count:])):
            return " ".join([*words[:count], line])
    return " ".join([*words, line])
