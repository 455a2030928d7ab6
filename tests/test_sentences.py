"""Ends of sentences, as the pieces of a vocabulary show them."""

import itertools

import numpy as np

from t5grid.config.schema import load_cell
from t5grid.data.characters import Characters
from t5grid.data.corpora import every_document
from t5grid.data.feeds import padded
from t5grid.data.sentences import SentenceMarks
from t5grid.data.vocabulary import Vocabulary


class Pieces:
    """A vocabulary of a few pieces."""

    pieces = (
        "<pad>",
        "</s>",
        "<unk>",
        "\u2581Anna",
        "\u2581left",
        ".",
        "\u2581Why",
        '?"',
        "\u2581a.b",
        "\u2581he",
    )
    num_pieces = len(pieces)
    size = num_pieces + 2

    def piece(self, number: int) -> str:
        return self.pieces[number]


def test_a_sentence_ends_before_a_new_word_only_and_not_within_one() -> None:
    marks = SentenceMarks.of(Pieces())
    tokens = np.array([[3, 4, 5, 6, 7, 9, 4, 5], [3, 5, 5, 8, 4, 5, 10, 0]], np.int32)
    assert marks(tokens).tolist() == [[3, 4, -5, 6, -7, 9, 4, 5], [3, 5, -5, 8, 4, 5, 10, 0]]


def test_the_borders_of_generated_documents_are_those_of_their_text() -> None:
    vocabulary = Vocabulary(Characters().make(iter(())))
    documents = list(itertools.islice(every_document(load_cell([]).corpus), 40))
    tokens = padded(vocabulary.encode(documents))
    marked = SentenceMarks.of(vocabulary)(tokens)
    assert (np.abs(marked) == tokens).all()
    for document, row in zip(documents, marked, strict=True):
        borders = sum(document.count(f"{stop} ") for stop in ".!?")
        assert (row < 0).sum() == borders, document
