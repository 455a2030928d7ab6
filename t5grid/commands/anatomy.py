"""a cell -> who sees whom in its model, and which parameters train when."""

import math
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from t5grid.commands.picturing import mask_lines, masks_svg, schedule_lines
from t5grid.config.build import build
from t5grid.config.schema import Cell
from t5grid.data.place_targets import BESIDE, TOKEN
from t5grid.data.special_ids import FIRST_ORDINARY_ID
from t5grid.data.words import START, Words, pair_of
from t5grid.data.worked_example import SENTENCE
from t5grid.model.costs import parameters
from t5grid.refused import Refused
from t5grid.stages.finetune import FinetuneStage
from t5grid.stages.stage import with_parents
from t5grid.training.finetuning import episodes_of

if TYPE_CHECKING:
    from t5grid.model.visibility import Mask

READ = {"inputs": "encoder reads", "decoder_inputs": "decoder reads", "targets": "to be told"}
BLOCK = re.compile(r"^(\w+)\.blocks\.(\d+)\.")
MOST_DRAWS = 100
Drawn = list[tuple["Mask", list[str], list[str]]]


def architecture_lines(cell: Cell, sentence: str = "") -> Iterator[str]:
    """How a sentence under the cell's objective is laid out for its architecture, and every mask."""
    rows, masks = _anatomy(cell, sentence)
    yield _head(cell)
    for name, texts in rows.items():
        yield f"  {READ[name]:<14} {' '.join(texts)}"
    for mask, queries, keys in masks:
        yield ""
        yield from mask_lines(mask, queries, keys)


def architecture_svg(cell: Cell, sentence: str = "") -> str:
    """The masks as an SVG."""
    return masks_svg(_head(cell), _anatomy(cell, sentence)[1])


def _head(cell: Cell) -> str:
    return f"architecture={cell.labels['architecture']} under objective={cell.labels['objective']}"


def _anatomy(cell: Cell, sentence: str) -> tuple[dict[str, list[str]], Drawn]:
    """Names of arrays -> their positions as words; the masks with the words of both their sides."""
    from t5grid.model.visibility import layout, masks_of

    words = Words(sentence or " ".join(SENTENCE))
    inputs, targets = _telling(cell, words)
    length = 2 * len(words.words) + 4
    batch = cell.architecture.batching(inputs, targets, length, length)
    in_place = getattr(cell.objective, "form", "") in BESIDE
    told = {"targets": batch["targets"] * (batch["heads"] == TOKEN)} if in_place else {}
    rows = {name: _texts(words, name, row, in_place) for name, row in layout(batch | told).items()}
    masks = masks_of(cell.architecture, cell.size, words.size, batch)
    return rows, [(mask, rows[mask.queries], rows[mask.keys]) for mask in masks]


def _telling(cell: Cell, words: Words) -> tuple[np.ndarray, np.ndarray]:
    """The first pair that asks for a word: noise may leave a short sentence as it is."""
    ordinary = range(FIRST_ORDINARY_ID, words.num_ordinary)
    pairs = (pair_of(cell.objective, words, cell.seed, draw) for draw in range(MOST_DRAWS))
    telling = ((inputs, targets) for inputs, targets in pairs if any(int(i) in ordinary for i in targets[0]))
    return next(telling, None) or pair_of(cell.objective, words, cell.seed, 0)


def _texts(words: Words, name: str, row: np.ndarray, in_place: bool) -> list[str]:
    """A row of a batch as words: the 0 that a decoder starts with is no padding."""
    if name != "decoder_inputs":
        return words.texts(row, in_place)
    return [words.texts([number], in_place)[0] if number else START for number in row.tolist()]


def finetune_lines(cell: Cell) -> Iterator[str]:
    """Which of the model's parameters are trained from which step of fine-tuning on, with their numbers.

    Raises Refused for a cell that fine-tunes nothing.
    """
    stages = with_parents(cell.strategy.stages(cell).values())
    tuned = next((stage for stage in stages if isinstance(stage, FinetuneStage)), None)
    if tuned is None:
        raise Refused(f"inspect: strategy={cell.labels['strategy']} fine-tunes nothing, so finetune is idle")
    work = tuned.workload(build)
    products = work.architecture.products(work.size, work.vocab_size, 1, work.inputs, work.targets)
    shapes = parameters(work.method.products(products, work.size.d_model))
    sizes = {name: math.prod(shape) for name, shape in shapes.items()}
    episodes = episodes_of(work.method, list(sizes), work.num_steps)
    trained = {
        step: _by_part({name: sizes[name] for name in sizes if name in names})
        for step, names in episodes.items()
    }
    title = tuned.config["column"]["title"]
    yield f"finetune={cell.labels['finetune']}: {work.num_steps:,} steps, column {title}"
    yield from schedule_lines(_by_part(sizes), trained)


def _by_part(sizes: Mapping[str, int]) -> dict[str, int]:
    """Numbers of each part of a model: a block, its adapter, or what stands outside of blocks."""
    counts = dict[str, int]()
    for name, size in sizes.items():
        counts[_part(name)] = counts.get(_part(name), 0) + size
    return counts


def _part(name: str) -> str:
    """`encoder.blocks.3.self_attention.query.weight` -> `encoder block 3`, an adapter in it apart."""
    block, place = BLOCK.match(name), name.split(".")
    if block:
        apart = " adapter" if ".adapter." in name else ""
        return f"{block[1]} block {int(block[2])}{apart}"
    return ".".join(place[:-1]) or name


def size_lines(cell: Cell) -> Iterator[str]:
    """The measures of the cell's size, and what its architecture makes of them."""
    yield f"size={cell.labels['size']} with architecture={cell.labels['architecture']}"
    measures = {key: value for key, value in cell.config["size"].items() if key != "_target_"}
    yield "  " + ", ".join(f"{key}={'null' if value is None else value}" for key, value in measures.items())
    for part, number in cell.architecture.num_parameters(cell.size, cell.vocabulary.size).items():
        yield f"  {part:<12}{number:>16,} parameters"
