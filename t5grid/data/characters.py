"""no text -> a vocabulary of characters: printable ASCII and the line break."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from t5grid.data.special_ids import EOS, FIRST_ORDINARY_ID, PAD, UNK
from t5grid.data.vocabulary import NUM_SENTINELS

PRINTABLE = "".join(map(chr, range(33, 127)))
NUM_PIECES = FIRST_ORDINARY_ID + 1 + 1 + len(PRINTABLE)
"""Pad, EOS and unk, the line break, the blank, the rest."""


@dataclass(frozen=True)
class Characters:
    """A SentencePiece model that leaves text as it is, line breaks and runs of blanks included."""

    @property
    def size(self) -> int:
        """Ids, sentinels included, before it is made."""
        return NUM_PIECES + NUM_SENTINELS

    def make(self, documents: Iterator[str]) -> bytes:
        """The model; documents are not read."""
        from sentencepiece import SentencePieceTrainer

        model = io.BytesIO()
        SentencePieceTrainer.train(
            sentence_iterator=iter([PRINTABLE, "a b"]),
            model_writer=model,
            model_type="char",
            vocab_size=NUM_PIECES,
            pad_id=PAD,
            eos_id=EOS,
            unk_id=UNK,
            bos_id=-1,
            character_coverage=1.0,
            user_defined_symbols=["\n"],
            normalization_rule_name="identity",
            add_dummy_prefix=False,
            remove_extra_whitespaces=False,
            num_threads=1,
            minloglevel=2,
        )
        return model.getvalue()

    def fingerprint(self) -> dict[str, Any]:
        """What tells it from other vocabularies."""
        return {"characters": NUM_PIECES}

    def reads(self, corpus: Any) -> None:
        """No corpus."""
        return None
