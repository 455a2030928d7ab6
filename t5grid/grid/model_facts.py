"""cell -> facts a table can show beside its scores; no torch, no run needed."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from fractions import Fraction

from t5grid.config.build import nearest
from t5grid.config.schema import Cell, build
from t5grid.grid.trained_form import architecture_node
from t5grid.model.answers import as_tuned, no_answer
from t5grid.model.costs import step
from t5grid.refused import Refused


@dataclass(frozen=True)
class ModelFacts:
    """Parameters and operations of a cell's model, at the lengths of its pre-training.

    `params` and `cost` are Table 2's: multiples of P, the blocks of one stack, and of M, what a pair costs
    in an encoder-decoder of that depth. They count self-attention and feed-forward only; cross-attention,
    about a tenth of the parameters, the id table and the softmax are left out (paper, section 3.2.2).
    `parameters` is every number learned, `flops` the operations of a training step for each token of inputs
    and targets, all matrix products counted. `reading` is the operations of a fine-tuning step for one
    example of the first column, in millions, as its texts are read: whole or in segments, of which
    `segment_size` is the ids of text in one, `memory_size` the vectors handed on and `num_segments` how many
    are read.
    """

    params: str
    cost: str
    parameters: str
    flops: str
    reading: str
    segment_size: str
    memory_size: str
    num_segments: str


def check_names(names: Iterable[str], where: str) -> None:
    """Raises Refused for a name that is no fact."""
    known = [field.name for field in fields(ModelFacts)]
    for name in names:
        if name not in known:
            raise Refused(f"{where}.{name}: no such fact{nearest(name, known)}")


def shown_facts(cell: Cell, names: Iterable[str]) -> tuple[str, ...]:
    """The facts named, in that order."""
    names = tuple(names)
    facts = model_facts(cell) if names else None
    return tuple(getattr(facts, name) for name in names)


def model_facts(cell: Cell) -> ModelFacts:
    """The facts of one cell's model."""
    architecture, size, vocab_size = cell.architecture, cell.size, cell.vocabulary.size
    inputs = cell.budget.pretrain.inputs_length
    targets = cell.objective.lengths(inputs)[1]
    baseline = (inputs + targets) * size.num_layers
    flops = step(architecture.products(size, vocab_size, 1, inputs, targets)).total / (inputs + targets)
    return ModelFacts(
        params=multiple(Fraction(architecture.num_blocks(size), size.num_layers), "P"),
        cost=multiple(Fraction(architecture.block_steps(size, inputs, targets), baseline), "M"),
        parameters=f"{architecture.num_parameters(size, vocab_size)['total']:,}",
        flops=f"{flops:,.0f}",
        reading=f"{reading(cell) / 1e6:,.0f}",
        **cell.segments.measures(architecture),
    )


def reading(cell: Cell) -> float:
    """The operations of a fine-tuning step for one example of the first column."""
    column = next(iter(cell.suite.chosen().values()))
    if no_answer(cell.architecture, column.tasks):
        return 0.0
    architecture = as_tuned(build(architecture_node(cell), "architecture"), column.tasks)
    lengths = (column.inputs_length, column.targets_length)
    return step(architecture.products(cell.size, cell.vocabulary.size, 1, *lengths)).total


def multiple(of: Fraction, unit: str) -> str:
    """2 -> `2P`, 1 -> `P`, 1/2 -> `P/2`; what is no simple fraction with two decimals."""
    if of.denominator > 8:
        return f"{float(of):.2f}{unit}"
    whole = "" if of.numerator == 1 else str(of.numerator)
    return f"{whole}{unit}" + ("" if of.denominator == 1 else f"/{of.denominator}")
