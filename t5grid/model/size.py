"""the measures of a Transformer, and how many numbers its parts hold; no torch."""

from dataclasses import dataclass, replace
from typing import ClassVar

from t5grid.refused import Refused


def table_rows(vocab_size: int) -> int:
    """Rows of the id table: the vocabulary size, filled up to a multiple of 128 (the authors' setting)."""
    return -(-vocab_size // 128) * 128


@dataclass(frozen=True)
class Size:
    """The measures of a Transformer.

    `num_decoder_layers` None means as many as the encoder's, `pretrain_dropout` None the same as `dropout`.
    """

    axis: ClassVar[str] = "size"

    d_model: int
    d_ff: int
    d_kv: int
    num_heads: int
    num_layers: int
    num_decoder_layers: int | None = None
    feed_forward: str = "relu"
    tied: bool = True
    dropout: float = 0.1
    pretrain_dropout: float | None = None

    def __post_init__(self) -> None:
        for key in ("d_model", "d_ff", "d_kv", "num_heads", "num_layers", "num_decoder_layers"):
            if (value := getattr(self, key)) is not None and value < 1:
                raise Refused(f"size.{key} must be at least 1, not {value}")
        if self.feed_forward not in ("relu", "gated_gelu"):
            raise Refused(f"size.feed_forward must be relu or gated_gelu, not {self.feed_forward}")
        for key in ("dropout", "pretrain_dropout"):
            if not 0 <= (rate := getattr(self, key) or 0.0) < 1:
                raise Refused(f"size.{key} must be in [0, 1), not {rate}")

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
