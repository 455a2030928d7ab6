"""the measures of a Transformer, and how many numbers its parts hold; no torch."""

from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal

from t5grid.config.rules import AtLeast, AtMost, Below, Count
from t5grid.refused import Refused

Depth = Annotated[int, AtLeast(1), AtMost(1000)]
"""Blocks of a stack: deeper than any published, and what a plan counts one by one within seconds."""

FeedForward = Literal["relu", "gated_gelu"]
Initialisation = Literal["study", "mimetic"]
Dropout = Annotated[float, AtLeast(0), Below(1)]


def table_rows(vocab_size: int) -> int:
    """Rows of the id table: the vocabulary size, filled up to a multiple of 128 (the authors' setting)."""
    return -(-vocab_size // 128) * 128


def fits_table(vocab_size: int, num_rows: int) -> bool:
    """Whether a table of so many rows is one of so many ids: a row for each, filled up or not."""
    return vocab_size <= num_rows <= table_rows(vocab_size)


@dataclass(frozen=True)
class Size:
    """The measures of a Transformer.

    `num_decoder_layers` None means as many as the encoder's, `pretrain_dropout` None the same as `dropout`.
    `initialisation` study is the authors'; mimetic is that of model/initialisation.py, for short trainings.
    """

    axis: ClassVar[str] = "size"

    d_model: Count
    d_ff: Count
    d_kv: Count
    num_heads: Count
    num_layers: Depth
    num_decoder_layers: Depth | None = None
    feed_forward: FeedForward = "relu"
    tied: bool = True
    dropout: Dropout = 0.1
    pretrain_dropout: Dropout | None = None
    initialisation: Initialisation = "study"

    @property
    def decoder_layers(self) -> int:
        """Blocks of the decoder."""
        return self.num_layers if self.num_decoder_layers is None else self.num_decoder_layers

    def halved(self) -> "Size":
        """Half of the blocks of each stack. Raises Refused for an odd number."""
        if self.num_layers % 2 or self.decoder_layers % 2:
            number = f"{self.num_layers} + {self.decoder_layers}"
            raise Refused(f"size.num_layers: {number} blocks cannot be halved, as this architecture does")
        decoder = self.num_decoder_layers
        return replace(
            self,
            num_layers=self.num_layers // 2,
            num_decoder_layers=None if decoder is None else decoder // 2,
        )

    @property
    def attention_weights(self) -> int:
        """Numbers in the four matrices of one attention."""
        return 4 * self.d_model * self.num_heads * self.d_kv

    @property
    def feed_forward_weights(self) -> int:
        """Numbers in the matrices of one feed-forward layer."""
        return (3 if self.feed_forward == "gated_gelu" else 2) * self.d_model * self.d_ff

    def stack_weights(self, num_layers: int, num_attentions: int) -> int:
        """Numbers in a stack: blocks with their norms, the final norm, a position table of 32 buckets."""
        norms = (num_attentions + 1) * self.d_model
        block = num_attentions * self.attention_weights + self.feed_forward_weights + norms
        return num_layers * block + self.d_model + 32 * self.num_heads
