"""size + vocabulary size -> model, its number of parameters and of operations; only `build` imports torch."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from t5grid.model import costs

if TYPE_CHECKING:
    from torch import nn

Batching = Callable[..., dict[str, Any]]


def table_rows(vocab_size: int) -> int:
    """Rows of the id table: the vocabulary size, filled up to a multiple of 128 (the authors' setting)."""
    return -(-vocab_size // 128) * 128


@dataclass(frozen=True)
class Size:
    """The measures of a Transformer; `num_decoder_layers` None means as many as the encoder's."""

    d_model: int
    d_ff: int
    d_kv: int
    num_heads: int
    num_layers: int
    num_decoder_layers: int | None = None
    feed_forward: str = "relu"
    tied: bool = True
    dropout: float = 0.1

    def __post_init__(self) -> None:
        for key in ("d_model", "d_ff", "d_kv", "num_heads", "num_layers"):
            if getattr(self, key) < 1:
                raise ValueError(f"size.{key} must be at least 1, not {getattr(self, key)}")
        if self.feed_forward not in ("relu", "gated_gelu"):
            raise ValueError(f"size.feed_forward must be relu or gated_gelu, not {self.feed_forward}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"size.dropout must be in [0, 1), not {self.dropout}")

    @property
    def decoder_layers(self) -> int:
        """Blocks of the decoder."""
        return self.num_layers if self.num_decoder_layers is None else self.num_decoder_layers

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


@dataclass(frozen=True)
class EncoderDecoder:
    """The baseline architecture of the paper (section 3.1.1)."""

    @property
    def batching(self) -> Batching:
        """How pairs become the arrays this architecture eats."""
        from t5grid.data.batching import EncoderDecoderBatching

        return EncoderDecoderBatching()

    def build(self, size: Size, vocab_size: int, dropout: float | None = None) -> "nn.Module":
        """A freshly initialised model (from torch's global generator); `dropout` None means the size's."""
        from t5grid.model import transformer

        return transformer.EncoderDecoder(size, vocab_size, dropout)

    def num_parameters(self, size: Size, vocab_size: int) -> dict[str, int]:
        """Numbers to learn: `embedding` (with an untied softmax), `encoder`, `decoder` and `total`."""
        tables = 1 if size.tied else 2
        parts = {
            "embedding": tables * table_rows(vocab_size) * size.d_model,
            "encoder": size.stack_weights(size.num_layers, num_attentions=1),
            "decoder": size.stack_weights(size.decoder_layers, num_attentions=2),
        }
        return parts | {"total": sum(parts.values())}

    def products(
        self, size: Size, vocab_size: int, rows: int, inputs: int, targets: int
    ) -> list[costs.Product]:
        """The matrix products of a forward pass over [rows, inputs] and [rows, targets] ids."""
        layers = costs.Layers(size, rows)
        return [
            layers.embedding("encoded", inputs),
            *layers.stack("encoder", size.num_layers, "encoded", inputs),
            layers.embedding("hidden", targets),
            *layers.stack("decoder", size.decoder_layers, "hidden", targets, "encoded", inputs),
            layers.softmax("hidden", targets, table_rows(vocab_size)),
        ]
