"""text -> ids by WordPiece, as BERT's, by the `tokenizers` library.

It offers what a SentencePiece processor does, so that a `Vocabulary` is either. Ids are ours: padding 0,
[SEP] 1, [UNK] 2, then all other pieces in their order, a mark between texts that BERT does not have, [CLS]
and [MASK].
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from t5grid.refused import Refused

PADDING, SEPARATOR, UNKNOWN, CLASS, MASK = MARKS = ("[PAD]", "[SEP]", "[UNK]", "[CLS]", "[MASK]")
NUM_SENTINELS = 3
"""Ids that are no pieces, last of all: the mark between texts, [CLS], [MASK]."""
NONE = -1
"""Stands for an id that theirs has not."""
CONTINUED = "##"
BLANK, LOST = "\u2581", "\u2047"
"""What SentencePiece writes for a blank, and for what it does not know."""
TOKENIZER, LIST, SETTINGS = "tokenizer.json", "vocab.txt", "tokenizer_config.json"


def is_word_pieces(model: bytes) -> bool:
    """Whether a vocabulary's bytes are those of a tokenizer.json."""
    return model[:1] == b"{"


class WordPieces:
    """Pieces of words, those within a word marked in the file, and not those that begin one."""

    def __init__(self, model: bytes) -> None:
        self._tokenizer = _tokenizer(model)
        vocabulary = self._tokenizer.get_vocab(with_added_tokens=True)
        if lacking := [mark for mark in MARKS if mark not in vocabulary]:
            raise Refused(f"{TOKENIZER}: no piece {lacking[0]}; there are {', '.join(MARKS)} in BERT's")
        if sorted(vocabulary.values()) != list(range(len(vocabulary))):
            raise Refused(f"{TOKENIZER}: its {len(vocabulary)} ids do not count from 0 up")
        first, last = ([vocabulary[mark] for mark in marks] for marks in (MARKS[:3], MARKS[3:]))
        others = [number for number in range(len(vocabulary)) if number not in (*first, *last)]
        self.theirs = [*first, *others, NONE, *last]
        """The id in the file of each of ours."""
        self._ours = {number: place for place, number in enumerate(self.theirs)}

    def get_piece_size(self) -> int:
        """How many ids are pieces."""
        return len(self.theirs) - NUM_SENTINELS

    def pad_id(self) -> int:
        return 0

    def eos_id(self) -> int:
        return 1

    def unk_id(self) -> int:
        return 2

    def id_to_piece(self, number: int) -> str:
        """A piece, with U+2581 where a word begins."""
        piece: str = self._tokenizer.id_to_token(self.theirs[number])
        if piece in MARKS:
            return piece
        return piece.removeprefix(CONTINUED) if piece.startswith(CONTINUED) else BLANK + piece

    def encode(self, texts: Sequence[str], num_threads: int = 1) -> list[list[int]]:
        """The ids of each text."""
        encoded = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return [[self._ours[number] for number in one.ids] for one in encoded]

    def spelled(self, text: str) -> list[tuple[int, int, int]]:
        """Each id, and where in the text its piece begins and ends."""
        one = self._tokenizer.encode(text, add_special_tokens=False)
        pairs = zip(one.ids, one.offsets, strict=True)
        return [(self._ours[number], begin, end) for number, (begin, end) in pairs]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of pieces, blanks between words."""
        text: str = self._tokenizer.decode([self.theirs[i] for i in ids], skip_special_tokens=False)
        return text.replace(UNKNOWN, LOST)

    def listed(self) -> str:
        """The file vocab.txt."""
        pieces = self._tokenizer.get_vocab(with_added_tokens=True)
        return "".join(f"{piece}\n" for piece in sorted(pieces, key=pieces.__getitem__))


def _library() -> Any:
    try:
        import tokenizers
    except ImportError:
        raise Refused("a WordPiece vocabulary needs the tokenizers library: pip install t5grid[hf]") from None
    return tokenizers


def _tokenizer(model: bytes) -> Any:
    tokenizers = _library()
    try:
        tokenizer = tokenizers.Tokenizer.from_str(model.decode())
    except Exception as error:  # the library raises plain exceptions
        raise Refused(f"{TOKENIZER}: {' '.join(str(error).split())[:80]}") from None
    if type(tokenizer.model).__name__ != "WordPiece":
        raise Refused(f"{TOKENIZER}: a {type(tokenizer.model).__name__} model: only WordPiece can be read")
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def read_word_pieces(folder: Path) -> bytes:
    """The tokenizer.json of a folder, or one made of its vocab.txt. Raises Refused where it has neither."""
    path = next((folder / name for name in (TOKENIZER, LIST) if (folder / name).is_file()), None)
    if path is None:
        raise Refused(f"{folder}: neither {TOKENIZER} nor {LIST}: a BERT needs the vocabulary of its ids")
    try:
        text = path.read_text(encoding="utf-8")
        model = text.encode() if path.name == TOKENIZER else _made(text.splitlines(), _lowers(folder))
        WordPieces(model)
    except UnicodeDecodeError:
        raise Refused(f"{path}: not UTF-8") from None
    except Refused as error:
        raise Refused(f"{path}: {str(error).removeprefix(f'{TOKENIZER}: ')}") from None
    return model


def _lowers(folder: Path) -> bool:
    """Whether its words are in small letters; so they are where nothing says otherwise."""
    path = folder / SETTINGS
    try:
        settings = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except ValueError:
        raise Refused(f"{SETTINGS}: not JSON") from None
    return bool(settings.get("do_lower_case", True)) if isinstance(settings, dict) else True


def _made(pieces: Sequence[str], lowers: bool) -> bytes:
    """A tokenizer as BERT's authors wrote it, of the pieces in a vocab.txt."""
    tokenizers = _library()
    numbers = {piece: number for number, piece in enumerate(pieces)}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordPiece(numbers, unk_token=UNKNOWN))
    tokenizer.normalizer = tokenizers.normalizers.BertNormalizer(lowercase=lowers)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = tokenizers.decoders.WordPiece()
    tokenizer.add_special_tokens([mark for mark in MARKS if mark in numbers])
    return str(tokenizer.to_str()).encode()
