"""text -> token ids: a SentencePiece model with 100 sentinel ids, or WordPiece.

pad 0, EOS 1, unk 2, no BOS; sentinel k is id `vocab_size - 1 - k` (behaviour of the original code). Sentinels
are ids, never text: a document that spells one is encoded as ordinary pieces.
"""

import hashlib
import io
import itertools
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from t5grid.config.rules import AtLeast, Count, Having
from t5grid.data import word_pieces
from t5grid.data.special_ids import EOS, PAD, UNK
from t5grid.refused import Absent, Refused

Corpus = Annotated[Any, Having("shards", "documents", "fingerprint")]
NUM_SENTINELS = 100
LONGEST = 65536  # bytes: SentencePiece leaves out what is longer than the option says
BLANK = "\u2581"  # what SentencePiece writes for a blank
FARTHEST = 16  # characters that pieces may leave out, such as blanks and unknown ones
RESERVED = "\u2585"  # a block element that stands for unknown text within SentencePiece


class Vocabulary:
    """Encodes and decodes text; `size` counts pieces and sentinels."""

    def __init__(self, model: bytes, num_sentinels: int = NUM_SENTINELS) -> None:
        self.model = model
        self.num_sentinels = word_pieces.NUM_SENTINELS if word_pieces.is_word_pieces(model) else num_sentinels
        self._processor = _processor(model)
        self.num_pieces: int = self._processor.get_piece_size()
        self.size = self.num_pieces + self.num_sentinels
        ids = (self._processor.pad_id(), self._processor.eos_id(), self._processor.unk_id())
        if ids != (PAD, EOS, UNK):
            raise Refused(f"pad, eos and unk must have the ids 0, 1, 2, as in T5's; this model has {ids}")

    @classmethod
    def load(cls, path: str | Path) -> "Vocabulary":
        """The vocabulary of `vocabulary.path`. Raises Refused naming key and file if it is not one."""
        try:
            return cls.read(path)
        except Refused as error:
            raise Refused(f"vocabulary.path={error}") from None

    @classmethod
    def read(cls, path: str | Path) -> "Vocabulary":
        """The vocabulary of a `.model` file. Raises Refused naming the file if it is not one."""
        try:
            model = Path(path).read_bytes()
        except OSError as error:
            raise Refused(f"{path}: {error.strerror}") from None
        try:
            if not model:  # SentencePiece takes no bytes for no model yet, and complains on stderr
                raise RuntimeError
            return cls(model)
        except (RuntimeError, OSError):
            raise Refused(f"{path}: not a SentencePiece model") from None
        except Refused as error:
            raise Refused(f"{path}: {error}") from None

    @property
    def fingerprint(self) -> str:
        """Identity of the model's bytes and its sentinels."""
        return hashlib.blake2b(self.model + bytes([self.num_sentinels]), digest_size=16).hexdigest()

    def piece(self, number: int) -> str:
        """The piece of an id below `num_pieces`, with U+2581 for a blank."""
        return self._processor.id_to_piece(number)

    def spelled(self, text: str) -> list[tuple[int, int, int]]:
        """Id of each piece of a text, and the characters where it begins and ends, its blank apart.

        A piece that is not spelled as the text is, as one for unknown characters, has no length.
        """
        if isinstance(self._processor, word_pieces.WordPieces):
            return self._processor.spelled(text)
        places, cursor = [], 0
        for number in self.encode([text])[0]:
            letters = "" if number == UNK else self.piece(number).replace(BLANK, " ").strip()
            at = text.find(letters, cursor, cursor + len(letters) + FARTHEST) if letters else -1
            begin, end = (at, at + len(letters)) if at >= 0 else (cursor, cursor)
            places.append((number, begin, end))
            cursor = end
        return places

    def encode(self, texts: Sequence[str], num_threads: int = 1) -> list[list[int]]:
        """Ids of each text, without EOS."""
        return self._processor.encode(list(texts), num_threads=num_threads)

    def decode(self, ids: Iterable[int]) -> str:
        """Text up to the first EOS; ids beyond the pieces read as unk, pad as nothing."""
        upto = itertools.takewhile(lambda i: i != EOS, (int(i) for i in ids))
        return self._processor.decode([i if i < self.num_pieces else UNK for i in upto if i != PAD])

    def show(self, ids: Iterable[int]) -> str:
        """Text with sentinels spelt `<extra_id_k>`, for people to read."""
        words: list[str] = []
        run: list[int] = []
        for i in itertools.chain((int(i) for i in ids), [self.size]):
            if i < self.num_pieces:
                run.append(i)
                continue
            if run:
                words.append(self._processor.decode(run))
                run = []
            if i < self.size:
                words.append(f"<extra_id_{self.size - 1 - i}>")
        return " ".join(words)


def _processor(model: bytes) -> Any:
    """What turns text into pieces and back."""
    if word_pieces.is_word_pieces(model):
        return word_pieces.WordPieces(model)
    from sentencepiece import SentencePieceProcessor

    return SentencePieceProcessor(model_proto=model)


@dataclass(frozen=True)
class Trained:
    """SentencePiece unigram model trained on the cell's corpus, or on one of its own (paper, section 3.1.3).

    With a corpus of its own one vocabulary serves cells of different corpora, as the study's did.
    """

    num_pieces: Annotated[int, AtLeast(32)]
    num_documents: Count | None = None  # None is all
    corpus: Corpus | None = None
    required_chars: str = ""  # have pieces, though the corpus may lack them

    @property
    def size(self) -> int:
        """Ids, sentinels included, before it is made."""
        return self.num_pieces + NUM_SENTINELS

    def make(self, documents: Iterator[str]) -> bytes:
        """Train on the first `num_documents` documents, however long each is.

        Raises:
            Refused: the text is too small, or what reading the documents raised.
        """
        from sentencepiece import SentencePieceTrainer

        model, reading = io.BytesIO(), Reading(readable(itertools.islice(documents, self.num_documents)))
        try:
            SentencePieceTrainer.train(
                sentence_iterator=reading,
                model_writer=model,
                vocab_size=self.num_pieces,
                model_type="unigram",
                pad_id=PAD,
                eos_id=EOS,
                unk_id=UNK,
                bos_id=-1,
                character_coverage=0.9999,
                required_chars=self.required_chars,
                shuffle_input_sentence=False,
                max_sentence_length=LONGEST,
                num_threads=1,
                minloglevel=2,
            )
        except RuntimeError as error:
            if reading.failure is not None:
                raise reading.failure from None
            reason = re.sub(r"^.*?\]", "", str(error).splitlines()[-1]).strip() or "there is no text"
            raise Refused(f"vocabulary.num_pieces={self.num_pieces}: cannot be trained: {reason}") from None
        return model.getvalue()

    def fingerprint(self) -> dict[str, Any]:
        """What the trained model depends on beside the corpus."""
        required = {"required_chars": self.required_chars} if self.required_chars else {}
        return {"num_pieces": self.num_pieces, "num_documents": self.num_documents, **required}

    def reads(self, corpus: Any) -> Any:
        """The corpus it is trained on, in a cell that pre-trains on `corpus`."""
        return self.corpus or corpus


def readable(documents: Iterator[str]) -> Iterator[str]:
    """The documents in parts that SentencePiece reads: it leaves out longer ones, and its own mark.

    They are cut at blanks, where no piece spans, unless a part has none.
    """
    for document in documents:
        document = document.replace(RESERVED, " ")
        if 4 * len(document) <= LONGEST:
            yield document
        else:
            yield from _parts(document.encode())


def _parts(text: bytes) -> Iterator[str]:
    start = 0
    while len(text) - start > LONGEST:
        end = max(text.rfind(blank, start + 1, start + LONGEST + 1) for blank in (b" ", b"\n", b"\t"))
        if end < 0:
            end = start + LONGEST
            while text[end] & 0xC0 == 0x80:  # within a character
                end -= 1
        yield text[start:end].decode()
        start = end
    yield text[start:].decode()


class Reading:
    """An iterator that keeps what it raised: SentencePiece raises a RuntimeError of its own in its place."""

    def __init__(self, documents: Iterator[str]) -> None:
        self.documents = documents
        self.failure: BaseException | None = None

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        try:
            return next(self.documents)
        except StopIteration:
            raise
        except BaseException as error:
            self.failure = error
            raise


@dataclass(frozen=True)
class Given:
    """An existing `.model` file, or a `tokenizer.json` of WordPiece, taken as it is."""

    path: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", os.path.expanduser(self.path))

    @property
    def size(self) -> int:
        """Ids, sentinels included."""
        return Vocabulary.load(self.path).size

    def make(self, documents: Iterator[str]) -> bytes:
        """The bytes of the file; documents are not read."""
        return Vocabulary.load(self.path).model

    def fingerprint(self) -> dict[str, Any]:
        """The content of the file, not its path."""
        return {"model": Vocabulary.load(self.path).fingerprint}

    def reads(self, corpus: Any) -> Any:
        """No corpus."""
        return None


@dataclass(frozen=True)
class Imported:
    """The vocabulary in a folder that `t5grid import` wrote; `source` says how such a folder is had."""

    folder: str
    source: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", os.path.expanduser(self.folder))

    @property
    def given(self) -> Given:
        """The file. Raises Absent, which says how to get it."""
        path = Path(self.folder) / "vocabulary.model"
        if not path.is_file():
            how = self.source or f"t5grid import FOLDER {self.folder}"
            raise Absent(f"vocabulary.folder={self.folder}: no imported model is there; it comes by: {how}")
        return Given(str(path))

    @property
    def size(self) -> int:
        """Ids, sentinels included."""
        return self.given.size

    def make(self, documents: Iterator[str]) -> bytes:
        """The bytes of the file; documents are not read."""
        return self.given.make(documents)

    def fingerprint(self) -> dict[str, Any]:
        """The content of the file, not its path."""
        return self.given.fingerprint()

    def reads(self, corpus: Any) -> Any:
        """No corpus."""
        return None
