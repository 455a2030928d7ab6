"""a sentence -> ids, one a word, and back: objectives on any text, for people.

No vocabulary is trained for it: the words are the tokens, so that corrupted ones can be seen whole.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int

from t5grid.data.objectives import Tokens
from t5grid.data.place_targets import BESIDE, IN_ORDER, TOKEN, answers_of, heads_of
from t5grid.data.sentences import STOPS
from t5grid.data.special_ids import EOS, FIRST_ORDINARY_ID, PAD, class_id, mask_id
from t5grid.data.stream import generator
from t5grid.refused import Refused

NUM_REPEATS = 20
"""How often the words stand in the vocabulary, so that a random id is hardly ever a sentinel."""
NAMES = ("<X>", "<Y>", "<Z>")
"""Of the first sentinels, as the paper writes them."""
END, START = "</s>", "<s>"


class Words:
    """The vocabulary of a sentence: its words, over and over, and a sentinel for each."""

    def __init__(self, sentence: str) -> None:
        self.words = sentence.split()
        if len(self.words) < 2:
            raise Refused(f"inspect: {sentence!r}: at least two words are needed")
        self.num_ordinary = FIRST_ORDINARY_ID + NUM_REPEATS * len(self.words)
        self.size = self.num_ordinary + max(len(self.words), len(NAMES)) + 1

    def ids(self, marks_sentences: bool = False) -> Tokens:
        """The sentence as a row, perhaps with the last word of each of its sentences negated."""
        ids = np.arange(len(self.words), dtype=np.int32)[None] + FIRST_ORDINARY_ID
        ends = np.array([word.endswith(tuple(STOPS)) for word in self.words])
        return np.where(ends, -ids, ids) if marks_sentences else ids

    def texts(self, ids: Iterable[int], in_place: bool = False) -> list[str]:
        """Each id as a word or a mark; padding is left out."""
        return [self._text(int(i), in_place) for i in ids if i != PAD]

    def _text(self, number: int, in_place: bool) -> str:
        if number == EOS:
            return "[SEP]" if in_place else END
        if number < self.num_ordinary:
            return self.words[(number - FIRST_ORDINARY_ID) % len(self.words)]
        if in_place:
            return {mask_id(self.size): "[MASK]", class_id(self.size): "[CLS]"}.get(number, "[DELIMITER]")
        place = self.size - 1 - number
        return NAMES[place] if place < len(NAMES) else f"<extra_id_{place}>"


def pair_of(objective: Any, words: Words, seed: int, draw: int) -> tuple[Tokens, Tokens]:
    """Inputs and targets of one draw of the noise. Raises Refused where a sentence is too short."""
    ids = words.ids(getattr(objective, "marks_sentences", False))
    try:
        return objective(ids, generator(seed, "inspect", draw), words.size)
    except (ValueError, IndexError) as error:
        raise Refused(f"inspect: {len(words.words)} words are too few for the objective: {error}") from None


def draws(objective: Any, words: Words, seed: int, num: int) -> Iterator[tuple[Sequence[str], Sequence[str]]]:
    """Inputs and targets as texts, `num` draws of the noise: what is asked in place alone, where it is."""
    in_place = getattr(objective, "form", "") in BESIDE
    for draw in range(num):
        inputs, targets = pair_of(objective, words, seed, draw)
        asked = tokens_asked(objective, targets[0])
        yield words.texts(inputs[0], in_place), words.texts(asked, in_place)


def tokens_asked(objective: Any, targets: Int[np.ndarray, " length"]) -> Int[np.ndarray, " asked"]:
    """The tokens of an objective's targets; of those in their places the ones told, in their order if any."""
    form, asked = getattr(objective, "form", ""), targets[targets > 0]
    if form == IN_ORDER:
        return answers_of(np.sort(asked))
    return answers_of(asked)[heads_of(asked) == TOKEN] if form in BESIDE else asked
