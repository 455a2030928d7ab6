"""pre-trained model + word -> what is near it, how alike it is in sentences."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from t5grid.commands.pretrained_model import pretrained_model
from t5grid.config.schema import Cell, load_cell
from t5grid.data.special_ids import EOS, class_id
from t5grid.data.vocabulary import BLANK, Vocabulary
from t5grid.files import write_whole
from t5grid.nano import lexicon
from t5grid.nano.corpus import frame
from t5grid.nano.dice import Dice
from t5grid.nano.facts import sentence
from t5grid.refused import Refused

NUM_NEAREST = 8
NUM_OF_SENSE = 2
"""Sentences of each sense of a word."""


@dataclass(frozen=True)
class Alike:
    """A word in some sentences: the cosine of its states in each two of them, and what its vector is near."""

    word: str
    model: str
    sentences: tuple[str, ...]
    cosines: tuple[tuple[float, ...], ...]
    nearest: tuple[tuple[str, float], ...]

    def lines(self) -> Iterator[str]:
        """As text."""
        near = ", ".join(f"{piece} {cosine:.2f}" for piece, cosine in self.nearest)
        yield f"{self.model}: nearest to the vector of {self.word}: {near}"
        yield f"cosines of the last states of {self.word} in"
        for number, (text, row) in enumerate(zip(self.sentences, self.cosines, strict=True), start=1):
            yield f"  {number}  {''.join(f'{cosine:6.2f}' for cosine in row)}  {text}"


def alike(words: Sequence[str], word: str, sentences: Sequence[str]) -> Alike:
    """Of the pre-trained model of a cell; sentences are those of the word's two senses if none are given.

    Raises Refused where the model has no states that are read, or is not there, or a sentence lacks the word.
    """
    cell, texts = load_cell(words), tuple(sentences or sentences_of(word))
    if len(texts) < 2 or any(_place(word, text) is None for text in texts):
        raise Refused(f"--word {word}: two sentences are needed, each with the word in it (--sentence)")
    model, vocabulary = _pretrained(cell)
    return _compared(model, vocabulary, cell.labels["architecture"], word, texts)


def sentences_of(word: str) -> Iterator[str]:
    """Sentences of both senses of a word of the generated world. Raises Refused for another word."""
    if word not in lexicon.TWO_SENSES:
        known = ", ".join(lexicon.TWO_SENSES)
        raise Refused(f"--word {word}: write sentences with it (--sentence TEXT), or one of {known}")
    for sense in lexicon.TWO_SENSES[word]:
        for template in lexicon.FRAMES[sense][:NUM_OF_SENSE]:
            yield sentence(frame(Dice("senses", word), word, sense, template))


def _pretrained(cell: Cell) -> tuple[Any, Vocabulary]:
    """The model that a cell's fine-tunings start from."""
    model, vocabulary = pretrained_model(cell, "--word")
    if not hasattr(model, "states"):
        raise Refused(
            f"inspect --word: architecture={cell.labels['architecture']}: no one stack of states is read"
        )
    return model, vocabulary


def _compared(model: Any, vocabulary: Vocabulary, name: str, word: str, texts: tuple[str, ...]) -> Alike:
    import torch
    import torch.nn.functional as F

    with torch.no_grad():
        found = F.normalize(torch.stack([_state(model, vocabulary, word, text) for text in texts]), dim=-1)
        table = F.normalize(model.embedding.weight, dim=-1)
        vector = F.normalize(table[vocabulary.encode([word])[0]].mean(dim=0), dim=-1)
        cosines, near = found @ found.T, table @ vector
    whole = [number for number in range(vocabulary.num_pieces) if _is_word(vocabulary.piece(number), word)]
    best = sorted(whole, key=lambda number: -float(near[number]))[:NUM_NEAREST]
    nearest = tuple((vocabulary.piece(number).strip(BLANK), float(near[number])) for number in best)
    return Alike(word, name, texts, tuple(map(tuple, cosines.tolist())), nearest)


def _is_word(piece: str, other: str) -> bool:
    """Whether a piece is a whole word, and not the one that is asked about."""
    text = piece.removeprefix(BLANK)
    return piece.startswith(BLANK) and len(text) > 1 and text.isalpha() and text.lower() != other.lower()


def _state(model: Any, vocabulary: Vocabulary, word: str, text: str) -> Any:
    """The mean of the last states of a word's pieces, where it stands first in a sentence."""
    import torch

    pieces, place = vocabulary.spelled(text), _place(word, text)
    assert place is not None
    begin, end = place
    inside = [at for at, piece in enumerate(pieces) if piece[1] < end and piece[2] > begin]
    ids, mark = [*(number for number, *_ in pieces), EOS], class_id(vocabulary.size)
    if model.class_last:
        ids.append(mark)
    else:
        ids, inside = [mark, *ids], [at + 1 for at in inside]
    return model.states({"inputs": torch.tensor([ids])})[-1][0, inside].mean(dim=0)


def _place(word: str, text: str) -> tuple[int, int] | None:
    """Where a word stands in a text."""
    match = re.search(rf"\b{re.escape(word)}\b", text, re.IGNORECASE)
    return match.span() if match else None


def draw(found: Alike, path: Path) -> None:
    """The cosines as a picture. Raises Refused for a form that is not drawn."""
    from t5grid.results import plots

    forms = {".svg": plots.svg, ".png": plots.png}
    if path.suffix not in forms:
        raise Refused(f"--figure {path}: {' or '.join(forms)}")
    with plots.drawing() as figure_class:
        figure = figure_class(figsize=(8.5, 0.5 * len(found.sentences) + 1.5), layout="constrained")
        panel = figure.subplots()
        panel.imshow(found.cosines, vmin=-1, vmax=1, cmap="RdBu_r")
        for row, cosines in enumerate(found.cosines):
            for column, cosine in enumerate(cosines):
                panel.text(column, row, f"{cosine:.2f}", ha="center", va="center", fontsize=8)
        numbers = range(len(found.sentences))
        panel.set_yticks(
            numbers, [f"{number + 1}  {found.sentences[number]}" for number in numbers], fontsize=8
        )
        panel.set_xticks(numbers, [str(number + 1) for number in numbers])
        panel.set_title(f"{found.model}: how alike {found.word} is from sentence to sentence", fontsize=10)
        write_whole(path, forms[path.suffix](figure))
