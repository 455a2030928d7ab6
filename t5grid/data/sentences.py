"""token ids -> the same with the last id of each sentence negated.

A sentence ends with a piece that ends in a full stop, a question or an exclamation mark, perhaps inside
quotation marks or brackets, and that is followed by a piece that begins a word: what stands in the document
decides, not the length of a row.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from t5grid.data.vocabulary import BLANK

STOPS, CLOSING = ".!?", "\"')]}»”’"


@dataclass(frozen=True)
class SentenceMarks:
    """Which ids may end a sentence, and which begin a word."""

    ends: Bool[np.ndarray, " ids"]
    begins: Bool[np.ndarray, " ids"]

    @classmethod
    def of(cls, vocabulary: Any) -> "SentenceMarks":
        """Those of a vocabulary; its sentinels are neither."""
        pieces = [vocabulary.piece(number) for number in range(vocabulary.num_pieces)]
        pieces += [""] * (vocabulary.size - len(pieces))
        ends = [piece.rstrip(CLOSING).endswith(tuple(STOPS)) for piece in pieces]
        begins = [piece.startswith((BLANK, "\n")) for piece in pieces]
        return cls(np.array(ends), np.array(begins))

    def __call__(self, tokens: Int[np.ndarray, "rows length"]) -> Int[np.ndarray, "rows length"]:
        """`One . Two .` -> `One -. Two .`: the end of a piece needs no mark."""
        following = np.pad(tokens[:, 1:], ((0, 0), (0, 1)))
        return np.where(self.ends[tokens] & self.begins[following], -tokens, tokens)
