"""a sentence -> what each objective makes of it, as text: the paper's Table 3."""

import numpy as np
from jaxtyping import Int

from t5grid.data.objectives import Pair, drop_tokens, mask_tokens, replace_spans
from t5grid.data.special_ids import FIRST_ORDINARY_ID
from t5grid.refused import Refused

SENTENCE = ["Thank", "you", "for", "inviting", "me", "to", "your", "party", "last", "week", "."]
RANDOM_WORD = "apple"
SENTINELS = ("<X>", "<Y>", "<Z>")

# the paper's choice of noise: positions in the sentence
PREFIX, IID, MASKED, SPANS = (0, 1, 2, 3), (2, 3, 8), (2, 3, 8), (2, 3, 4, 6, 7, 8)
EXCHANGED = 8  # of MASKED, the position that gets the random word
ORDER = (7, 4, 2, 6, 5, 10, 8, 1, 3, 9, 0)


def _mask(positions: tuple[int, ...], length: int) -> np.ndarray:
    return np.isin(np.arange(length), positions)[None]


def _text(ids: Int[np.ndarray, "1 length"], words: list[str], marks: tuple[str, ...]) -> str:
    vocabulary = [*[""] * FIRST_ORDINARY_ID, *words, RANDOM_WORD, *reversed(SENTINELS)]
    vocabulary[-len(marks) :] = reversed(marks)
    return " ".join(vocabulary[index] for index in ids[0] if index)


def worked_example(words: list[str] | None = None) -> list[tuple[str, str, str]]:
    """(objective, inputs, targets) for a sentence of eleven words, with the noise of the paper's Table 3.

    Where the targets are the sentence itself they read `(original text)`. The paper's deshuffled sentence
    holds a word, "fun", that is not in the original; it is left out here. Raises Refused unless there are
    eleven words.
    """
    words = SENTENCE if words is None else words
    if len(words) != len(SENTENCE):
        raise Refused(f"worked example: {len(words)} words given, its noise is laid out for {len(SENTENCE)}")
    tokens = np.arange(len(words), dtype=np.int32)[None] + FIRST_ORDINARY_ID
    size = FIRST_ORDINARY_ID + len(words) + 1 + len(SENTINELS)
    bert = mask_tokens(tokens, _mask(MASKED, len(words)), size)
    bert[0][0, EXCHANGED] = FIRST_ORDINARY_ID + len(words)
    masked, spans = ("<M>",), SENTINELS
    rows: list[tuple[str, Pair, tuple[str, ...]]] = [
        ("Prefix language modeling", drop_tokens(tokens, ~_mask(PREFIX, len(words))), spans),
        ("BERT-style Devlin et al. (2018)", bert, masked),
        ("Deshuffling", (tokens[:, ORDER], tokens), spans),
        ("MASS-style Song et al. (2019)", mask_tokens(tokens, _mask(MASKED, len(words)), size), masked),
        ("I.i.d. noise, replace spans", replace_spans(tokens, _mask(IID, len(words)), size), spans),
        ("I.i.d. noise, drop tokens", drop_tokens(tokens, _mask(IID, len(words))), spans),
        ("Random spans", replace_spans(tokens, _mask(SPANS, len(words)), size), spans),
    ]
    original = " ".join(words)
    texts = [(title, *(_text(ids, words, marks) for ids in pair)) for title, pair, marks in rows]
    return [(title, a, "(original text)" if b == original else b) for title, a, b in texts]
