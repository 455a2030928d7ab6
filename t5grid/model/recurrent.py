"""size + vocabulary size -> ELMo, ULMFiT or CBOW, parameters, operations.

The models before attention: recurrent language models in both directions or in one, and a window without
order. All three read pieces of the vocabulary (ELMo's authors built words of characters), in rows of any
length. LSTMs are as wide as `size.d_model` (theirs: 4096 cells projected to 512, so that many parameters take
few operations later on; on a CPU the projection makes a step ten times as slow).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from t5grid.config.rules import Count
from t5grid.model.answering import ReadByLayers
from t5grid.model.answers import POOLED, LongRows
from t5grid.model.architectures import Batching
from t5grid.model.costs import Product, parameters
from t5grid.model.encoder_costs import EncoderLayers, by_part
from t5grid.model.size import Size
from t5grid.refused import Refused

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class OnRunningText(ReadByLayers):
    """What they have in common: they learn on running text, an example a row."""

    long_rows: LongRows

    @property
    def batching(self) -> Batching:
        """How pairs become the arrays this architecture eats."""
        from t5grid.data.batching import DecoderBatching, one_row_each

        return partial(DecoderBatching(), packing=one_row_each)

    def row_width(self, size: Size) -> int:
        return POOLED * self.width(size)

    def num_parameters(self, size: Size, vocab_size: int) -> dict[str, int]:
        """Numbers to learn, by part, and their `total`. Raises Refused for a size it cannot have."""
        if size.num_decoder_layers is not None:
            raise Refused(f"size.num_decoder_layers={size.num_decoder_layers}: this architecture has none")
        if not size.tied:
            raise Refused("size.tied=false: this architecture ties its tables as it does; leave it at true")
        return by_part(parameters(self.products(size, vocab_size, 1, 1, 1)))

    def products(self, size: Size, vocab_size: int, rows: int, inputs: int, targets: int) -> list[Product]:
        """The matrix products of a forward pass over joined rows of `inputs + targets` ids."""
        length = inputs + targets
        return [
            *self.read(size, vocab_size, rows, length),
            *self.predicted(size, vocab_size, rows, length),
        ]

    def predicted(self, size: Size, vocab_size: int, rows: int, length: int) -> Iterator[Product]:
        """The products from the last hidden states to the logits of pre-training."""
        raise NotImplementedError

    def block_steps(self, size: Size, inputs: int, targets: int) -> int:
        """Positions times the blocks each passes: what the paper counts operations by."""
        return (inputs + targets) * self.num_blocks(size)


@dataclass(frozen=True)
class Ulmfit(OnRunningText):
    """An LSTM language model (Howard and Ruder, 2018), fine-tuned through layers over pooled states.

    Logits are by the id table. The authors' AWD-LSTM has three layers, 1150 wide between them and 400 at both
    ends, and drops weights; this one is as deep and as wide as the size says and has its dropout.
    """

    version: ClassVar[int] = 2
    writes_no_text: ClassVar[str] = "fine-tuned through an output layer, ULMFiT writes no text"
    answers_at_end: ClassVar[bool] = True
    stacks: ClassVar[tuple[str, ...]] = ("forward_lstm",)

    long_rows: LongRows = field(default="refused", compare=False)

    def build(self, size: Size, vocab_size: int, dropout: float | None = None) -> "nn.Module":
        """A freshly initialised model (from torch's global generator); `dropout` None means the size's."""
        from t5grid.model.recurrent_model import UlmfitModel

        return UlmfitModel(size, vocab_size, dropout)

    def width(self, size: Size) -> int:
        return len(self.stacks) * size.d_model

    def num_states(self, size: Size) -> int:
        """What enters the LSTMs counts as one, as in ELMo."""
        return 1 + size.num_layers

    def read(self, size: Size, vocab_size: int, rows: int, inputs: int) -> Iterator[Product]:
        layers = EncoderLayers(size, rows)
        for stack in self.stacks:
            yield from layers.tables(stack, inputs, {"embedding": vocab_size}, size.d_model)
            for layer in range(size.num_layers):
                yield from lstm(layers, f"{stack}.blocks.{layer}.lstm", stack, inputs)
        places = rows * inputs
        yield Product("hidden", self.stacks, size=places * self.width(size))
        yield Product("pooled", ("hidden",), size=places * self.row_width(size))

    def predicted(self, size: Size, vocab_size: int, rows: int, length: int) -> Iterator[Product]:
        layers = EncoderLayers(size, rows)
        for stack in self.stacks:
            yield layers.linear("embedding.weight", stack, "logits", length, size.d_model, vocab_size)

    def num_blocks(self, size: Size) -> int:
        """Blocks with weights of their own: LSTM layers, in all directions."""
        return len(self.stacks) * size.num_layers


@dataclass(frozen=True)
class Elmo(Ulmfit):
    """A forward and a backward LSTM language model over one id table (Peters et al., 2018), read together.

    Each state is that of the forward layer beside that of the backward one; from the second layer on what a
    layer reads is added to what it writes.
    """

    version: ClassVar[int] = 2
    writes_no_text: ClassVar[str] = "read from both sides, ELMo writes no text"
    answers_at_end: ClassVar[bool] = False
    stacks: ClassVar[tuple[str, ...]] = ("forward_lstm", "backward_lstm")

    def build(self, size: Size, vocab_size: int, dropout: float | None = None) -> "nn.Module":
        from t5grid.model.recurrent_model import ElmoModel

        return ElmoModel(size, vocab_size, dropout)


@dataclass(frozen=True)
class Cbow(OnRunningText):
    """The mean vector of `window` pieces on each side predicts the one between (Mikolov et al., 2013).

    Of a size it has `d_model` alone: a table of vectors that are read and one of vectors that are predicted,
    with a softmax over all of them.
    """

    version: ClassVar[int] = 2
    writes_no_text: ClassVar[str] = "a window without order writes no text"

    long_rows: LongRows = field(default="refused", compare=False)
    window: Count = 5

    def build(self, size: Size, vocab_size: int, dropout: float | None = None) -> "nn.Module":
        """A freshly initialised model (from torch's global generator); `dropout` None means the size's."""
        from t5grid.model.cbow_model import CbowModel

        return CbowModel(size, vocab_size, self.window, dropout)

    def num_states(self, size: Size) -> int:
        """The vectors."""
        return 1

    def read(self, size: Size, vocab_size: int, rows: int, inputs: int) -> Iterator[Product]:
        layers = EncoderLayers(size, rows)
        yield from layers.tables("hidden", inputs, {"embedding": vocab_size}, size.d_model)
        yield Product("pooled", ("hidden",), size=rows * inputs * self.row_width(size))

    def predicted(self, size: Size, vocab_size: int, rows: int, length: int) -> Iterator[Product]:
        yield Product("context", ("hidden",), size=rows * length * size.d_model)
        layers = EncoderLayers(size, rows)
        yield layers.linear("softmax.weight", "context", "logits", length, size.d_model, vocab_size)

    def num_blocks(self, size: Size) -> int:
        """None."""
        return 0


def lstm(layers: EncoderLayers, name: str, x: str, length: int) -> Iterator[Product]:
    """x becomes what an LSTM layer of its width makes of it."""
    width, gates = layers.size.d_model, f"{x}.{name}.gates"
    for kind, reads in (("ih", x), ("hh", gates)):
        yield layers.linear(f"{name}.weight_{kind}_l0", reads, gates, length, width, 4 * width)
        yield Product(gates, (), f"{name}.bias_{kind}_l0", shape=(4 * width,))
    yield Product(x, (gates,), size=layers.rows * length * width)
