"""size + vocabulary size -> model, parameters, operations; torch in `build` only.

Five architectures (paper, section 3.2) from one Transformer. What the paper calls P and M, the parameters of
one stack and the operations of the baseline, leaves out the id table, cross-attention and softmax;
`num_parameters` and `products` count all.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from t5grid.model import costs
from t5grid.model.size import Size, table_rows
from t5grid.refused import Refused

if TYPE_CHECKING:
    from torch import nn

Batching = Callable[..., dict[str, Any]]


class Architecture:
    """What an architecture is: how pairs become its batches, its model, and what that costs."""

    axis: ClassVar[str] = "architecture"


@dataclass(frozen=True)
class EncoderDecoder(Architecture):
    """The baseline architecture of the paper (section 3.1.1)."""

    @property
    def batching(self) -> Batching:
        """How pairs become the arrays this architecture eats."""
        from t5grid.data.batching import EncoderDecoderBatching

        return EncoderDecoderBatching()

    def build(self, size: Size, vocab_size: int, dropout: float | None = None) -> "nn.Module":
        """A freshly initialised model (from torch's global generator); `dropout` None means the size's."""
        from t5grid.model import transformer

        return transformer.EncoderDecoderModel(size, vocab_size, dropout)

    def num_parameters(self, size: Size, vocab_size: int) -> dict[str, int]:
        """Numbers to learn: `embedding` (with an untied softmax), one entry a stack, and `total`."""
        return _with_total(
            size,
            vocab_size,
            encoder=size.stack_weights(size.num_layers, num_attentions=1),
            decoder=size.stack_weights(size.decoder_layers, num_attentions=2),
        )

    def products(
        self, size: Size, vocab_size: int, rows: int, inputs: int, targets: int
    ) -> list[costs.Product]:
        """The matrix products of a forward pass over [rows, inputs] and [rows, targets] ids."""
        layers, table = costs.Layers(size, rows), table_rows(vocab_size)
        return [
            layers.embedding("encoded", inputs, table),
            *layers.stack("encoder", size.num_layers, "encoded", inputs),
            layers.embedding("hidden", targets, table),
            *layers.stack("decoder", size.decoder_layers, "hidden", targets, "encoded", inputs),
            layers.softmax("hidden", targets, table),
        ]

    def num_blocks(self, size: Size) -> int:
        """Blocks with weights of their own: what the paper counts parameters by."""
        return size.num_layers + size.decoder_layers

    def block_steps(self, size: Size, inputs: int, targets: int) -> int:
        """Positions times the blocks each passes: what the paper counts operations by."""
        return inputs * size.num_layers + targets * size.decoder_layers


@dataclass(frozen=True)
class EncoderDecoderShared(EncoderDecoder):
    """Encoder and decoder share their parameters; cross-attention is the decoder's (paper, section 3.2.2)."""

    def build(self, size: Size, vocab_size: int, dropout: float | None = None) -> "nn.Module":
        from t5grid.model import transformer

        return transformer.SharedEncoderDecoderModel(size, vocab_size, dropout)

    def num_parameters(self, size: Size, vocab_size: int) -> dict[str, int]:
        """As the baseline's; the one stack is `decoder`. Raises Refused for stacks of different depth."""
        if size.decoder_layers != size.num_layers:
            layers = f"size.num_decoder_layers={size.decoder_layers}"
            raise Refused(f"{layers}: shared parameters need as many as the encoder's {size.num_layers}")
        return _with_total(size, vocab_size, decoder=size.stack_weights(size.num_layers, num_attentions=2))

    def products(
        self, size: Size, vocab_size: int, rows: int, inputs: int, targets: int
    ) -> list[costs.Product]:
        """As the baseline's, the encoder's parameters being the decoder's."""
        products = super().products(size, vocab_size, rows, inputs, targets)
        return costs.renamed(products, lambda name: name.replace("encoder.", "decoder.", 1))

    def num_blocks(self, size: Size) -> int:
        return size.num_layers


@dataclass(frozen=True)
class EncoderDecoderHalf(EncoderDecoder):
    """The baseline with half the blocks in each stack: 6 + 6 at size=base (paper, section 3.2.2)."""

    def build(self, size: Size, vocab_size: int, dropout: float | None = None) -> "nn.Module":
        return super().build(size.halved(), vocab_size, dropout)

    def num_parameters(self, size: Size, vocab_size: int) -> dict[str, int]:
        return super().num_parameters(size.halved(), vocab_size)

    def products(
        self, size: Size, vocab_size: int, rows: int, inputs: int, targets: int
    ) -> list[costs.Product]:
        return super().products(size.halved(), vocab_size, rows, inputs, targets)

    def num_blocks(self, size: Size) -> int:
        return super().num_blocks(size.halved())

    def block_steps(self, size: Size, inputs: int, targets: int) -> int:
        return super().block_steps(size.halved(), inputs, targets)


@dataclass(frozen=True)
class LanguageModel(Architecture):
    """One stack with a causal mask over `inputs EOS targets EOS` (paper, section 3.2.1).

    The loss falls on inputs and targets alike, in pre-training and fine-tuning, as in the authors' runs (a
    switch for targets only exists there and is set in none); `loss_on_targets_only` is that switch.
    """

    loss_on_targets_only: bool = False

    @property
    def sees_prefix(self) -> bool:
        """Whether the inputs are visible in full."""
        return False

    @property
    def batching(self) -> Batching:
        """How pairs become the arrays this architecture eats."""
        from t5grid.data.batching import DecoderBatching

        return DecoderBatching(self.loss_on_targets_only)

    def build(self, size: Size, vocab_size: int, dropout: float | None = None) -> "nn.Module":
        """A freshly initialised model (from torch's global generator); `dropout` None means the size's."""
        from t5grid.model import decoder_only

        return decoder_only.DecoderOnly(size, vocab_size, dropout, self.sees_prefix)

    def num_parameters(self, size: Size, vocab_size: int) -> dict[str, int]:
        """Numbers to learn: `embedding` (with an untied softmax), `decoder` and `total`.

        Raises Refused for a size with a second stack of its own.
        """
        if size.num_decoder_layers is not None:
            raise Refused(
                f"size.num_decoder_layers={size.num_decoder_layers}: this architecture has one stack, "
                "of size.num_layers blocks; null is needed"
            )
        return _with_total(size, vocab_size, decoder=size.stack_weights(size.num_layers, num_attentions=1))

    def products(
        self, size: Size, vocab_size: int, rows: int, inputs: int, targets: int
    ) -> list[costs.Product]:
        """The matrix products of a forward pass over joined rows of `inputs + targets` ids."""
        layers, length, table = costs.Layers(size, rows), inputs + targets, table_rows(vocab_size)
        return [
            layers.embedding("hidden", length, table),
            *layers.stack("decoder", size.num_layers, "hidden", length),
            layers.softmax("hidden", length, table),
        ]

    def num_blocks(self, size: Size) -> int:
        """Blocks with weights of their own: what the paper counts parameters by."""
        return size.num_layers

    def block_steps(self, size: Size, inputs: int, targets: int) -> int:
        """Positions times the blocks each passes: what the paper counts operations by."""
        return (inputs + targets) * size.num_layers


@dataclass(frozen=True)
class PrefixLM(LanguageModel):
    """A language model that sees its inputs in full (paper, section 3.2.1)."""

    @property
    def sees_prefix(self) -> bool:
        return True


def _with_total(size: Size, vocab_size: int, **stacks: int) -> dict[str, int]:
    tables = 1 if size.tied else 2
    parts = {"embedding": tables * table_rows(vocab_size) * size.d_model, **stacks}
    return parts | {"total": sum(parts.values())}
