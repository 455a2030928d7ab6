"""A SentencePiece model of any small size, in no time."""

from itertools import permutations

from t5grid.data.vocabulary import Trained


def small_vocabulary(num_pieces: int) -> bytes:
    """Trained on words made of eight letters."""
    words = ["".join(letters) for letters in permutations("rivetown", 4)]
    return Trained(num_pieces).make(" ".join(words[start::40]) for start in range(40))
