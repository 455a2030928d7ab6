"""size + vocabulary size -> GPT, parameters, operations; torch in `build` only.

Radford et al. (2018), "Improving language understanding by generative pre-training".
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np

from t5grid.config.rules import AtLeast, Count
from t5grid.data.special_ids import FIRST_ORDINARY_ID
from t5grid.data.stream import generator
from t5grid.model.answering import ReadByLayers
from t5grid.model.answers import LongRows
from t5grid.model.architectures import Batching
from t5grid.model.costs import Product, parameters
from t5grid.model.encoder_costs import EncoderLayers, by_part
from t5grid.model.encoders import refuse_columns, refuse_size
from t5grid.model.size import Size
from t5grid.refused import Refused

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Gpt(ReadByLayers):
    """A causal model of `num_positions` learned positions, norms last, GELU (tanh), tied logits.

    Fine-tuned as `[start] first [delimiter] second [extract]` with an output layer on the extract mark's
    state; the loss of language modelling on those rows is added `lm_weight` times.
    """

    answers_at_end: ClassVar[bool] = True
    initialisations: ClassVar[tuple[str, ...]] = ("study", "mimetic")
    writes_no_text: ClassVar[str] = "fine-tuned through an output layer, GPT writes no text"

    num_positions: Count = 512
    lm_weight: Annotated[float, AtLeast(0)] = 0.5
    long_rows: LongRows = field(default="refused", compare=False)

    @property
    def batching(self) -> Batching:
        """How pairs become the arrays this architecture eats."""
        from t5grid.data.batching import DecoderBatching

        return partial(DecoderBatching(), positions=True)

    def build(self, size: Size, vocab_size: int, dropout: float | None = None) -> "nn.Module":
        """A freshly initialised model (from torch's global generator); `dropout` None means the size's."""
        from t5grid.model.encoder import Form
        from t5grid.model.gpt_model import EPSILON, GPTModel

        form = Form(self.num_positions, size.d_model, gelu="tanh", epsilon=EPSILON)
        return GPTModel(size, vocab_size, form, self.lm_weight, dropout)

    def check(self, cell: Any) -> None:
        """Raise Refused for rows that are longer than the positions there are."""
        refuse_columns(cell, self.num_positions)
        length = _longest_row(cell)
        if length > self.num_positions:
            raise Refused(
                f"architecture.num_positions={self.num_positions}: budget.pretrain.inputs_length="
                f"{cell.budget.pretrain.inputs_length} makes rows of {length} ids under this objective"
            )

    def num_parameters(self, size: Size, vocab_size: int) -> dict[str, int]:
        """Numbers to learn: the two tables, `decoder`, `total`. Raises Refused for a size it cannot have."""
        refuse_size(size)
        return by_part(parameters(self.products(size, vocab_size, 1, 1, 1)))

    def products(self, size: Size, vocab_size: int, rows: int, inputs: int, targets: int) -> list[Product]:
        """The matrix products of a forward pass over joined rows of `inputs + targets` ids."""
        return list(self.read(size, vocab_size, rows, inputs + targets))

    def read(self, size: Size, vocab_size: int, rows: int, length: int) -> Iterator[Product]:
        """The products up to the last hidden states, and the logits of the next ids."""
        layers, x = EncoderLayers(size, rows), "hidden"
        tables = {"embedding": vocab_size, "position_embedding": self.num_positions}
        yield from layers.tables(x, length, tables, size.d_model)
        for layer in range(size.num_layers):
            yield from layers.block(f"decoder.blocks.{layer}", x, length)
        yield layers.linear("embedding.weight", x, "logits", length, size.d_model, vocab_size)
        yield Product("pooled", (x,), None, 0, rows * size.d_model)

    def num_blocks(self, size: Size) -> int:
        """Blocks with weights of their own: what the paper counts parameters by."""
        return size.num_layers

    def block_steps(self, size: Size, inputs: int, targets: int) -> int:
        """Positions times the blocks each passes: what the paper counts operations by."""
        return (inputs + targets) * size.num_layers


def _longest_row(cell: Any) -> int:
    """The longest row that the objective of a cell makes of a full piece, joined."""
    length = cell.budget.pretrain.inputs_length
    raw, targets_length = cell.objective.lengths(length)
    piece = np.full((1, raw), FIRST_ORDINARY_ID, np.int32)
    inputs, _ = cell.objective(piece, generator(0, "noise", 0), cell.vocabulary.size)
    return (length if inputs.shape[1] else 0) + targets_length
