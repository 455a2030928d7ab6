"""text -> token ids on disk: a corpus encoded once into memory-mapped shards.

Layout of a folder: `shard-00000.bin` (token ids, uint16 where they fit, else int32), `shard-00000.npy`
(document lengths), `shard-00000.json` (what a cleaned corpus dropped, where it is one) and `tokens.json`,
written last, which says how many shards there are.
"""

import json
import os
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from copy import copy
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from t5grid.data.chunking import pack_rows, piece_spans
from t5grid.data.stream import key_of, permute
from t5grid.data.vocabulary import Vocabulary
from t5grid.files import write_whole

ENCODE_AT_ONCE = 1 << 20  # characters


def encode_corpus(
    corpus: Any, model: bytes, folder: Path, num_workers: int, progress: Callable[[int, int], None]
) -> dict[str, Any]:
    """Write every shard of `corpus`, `num_workers` at a time; shards that are complete stay.

    A worker holds about a mebibyte of text and its ids, and four bytes a document of its shard, whatever the
    corpus' size. Returns counts. Raises ValueError (from the corpus) for unreadable text or where no document
    is left.
    """
    shards = corpus.shards()
    jobs = [(corpus, shard, model, folder / f"shard-{i:05d}") for i, shard in enumerate(shards)]
    todo = [job for job in jobs if not job[3].with_suffix(".npy").exists()]
    progress(len(jobs) - len(todo), len(jobs))
    for done, _ in enumerate(_map(_encode_shard, todo, num_workers), start=len(jobs) - len(todo) + 1):
        progress(done, len(jobs))
    counts = _counts([path for *_, path in jobs])
    if counts["num_tokens"] == 0:
        raise ValueError("corpus: no document is left to train on")
    return counts


def _counts(paths: list[Path]) -> dict[str, Any]:
    """Shards, documents and tokens of finished shards, and what cleaning dropped if they were cleaned."""
    num_documents, num_tokens, cleaning = 0, 0, Counter[str]()
    for path in paths:
        lengths = np.load(path.with_suffix(".npy"))
        num_documents += len(lengths)
        num_tokens += int(lengths.sum(dtype=np.int64))
        if path.with_suffix(".json").exists():
            cleaning.update(json.loads(path.with_suffix(".json").read_text()))
    counts = {"num_shards": len(paths), "num_documents": num_documents, "num_tokens": num_tokens}
    return counts | ({"cleaning": dict(sorted(cleaning.items()))} if cleaning else {})


def _map(function: Callable[[Any], None], jobs: list[Any], num_workers: int) -> Iterator[None]:
    if num_workers < 2 or len(jobs) < 2:
        yield from map(function, jobs)
        return
    with ProcessPoolExecutor(min(num_workers, len(jobs)), mp_context=get_context("spawn")) as pool:
        yield from pool.map(function, jobs)


def _encode_shard(job: tuple[Any, Any, bytes, Path]) -> None:
    """Encode one shard; the lengths file is renamed into place last and marks it complete."""
    corpus, shard, model, path = job
    vocabulary = Vocabulary(model)
    dtype = token_dtype(vocabulary.size)
    cleaning = Counter[str]()
    counted = getattr(corpus, "counted", None)
    documents = counted(shard, cleaning) if counted else corpus.documents(shard)
    lengths = array("i")
    partial = path.with_suffix(".bin.partial")
    with open(partial, "wb") as file:
        for batch in _batches(documents, ENCODE_AT_ONCE):
            ids = vocabulary.encode(batch)
            lengths.extend(map(len, ids))
            file.write(np.concatenate([np.asarray(each, dtype=dtype) for each in ids]).tobytes())
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path.with_suffix(".bin"))
    if cleaning:
        write_whole(path.with_suffix(".json"), json.dumps(cleaning))
    np.save(path.with_suffix(".partial.npy"), np.frombuffer(lengths, dtype=np.int32))
    os.replace(path.with_suffix(".partial.npy"), path.with_suffix(".npy"))


def _batches(documents: Iterable[str], num_characters: int) -> Iterator[list[str]]:
    """Consecutive documents that together have about so many characters, at least one each."""
    batch, size = [], 0
    for document in documents:
        batch.append(document)
        size += len(document)
        if size >= num_characters:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def token_dtype(vocab_size: int) -> type:
    """The narrowest integer that holds every id."""
    return np.uint16 if vocab_size <= 65536 else np.int32


class Rows:
    """The training rows of a token folder: pieces of the text stream, several short ones in a row.

    Pieces follow the objective (behaviour of the original code, section 3): joined documents cut to exactly
    `piece_length`, or single documents, whose short pieces share a row of `row_length`.
    """

    def __init__(self, folder: Path, vocab_size: int, piece_length: int, concatenate: bool) -> None:
        manifest = json.loads((folder / "tokens.json").read_text())
        names = [folder / f"shard-{i:05d}" for i in range(manifest["num_shards"])]
        dtype = token_dtype(vocab_size)
        self.shards = [_open(name.with_suffix(".bin"), dtype) for name in names]
        spans = [piece_spans(np.load(n.with_suffix(".npy")), piece_length, concatenate) for n in names]
        self.shard = np.concatenate([np.full(len(s), i, np.int32) for i, (s, _) in enumerate(spans)])
        self.start = np.concatenate([starts for starts, _ in spans])
        self.length = np.concatenate([lengths for _, lengths in spans])
        self.piece_length = piece_length
        self._group(concatenate)

    def _group(self, concatenate: bool) -> None:
        """Which pieces stand in which row: one each, or short pieces packed in a fixed shuffled order."""
        count = len(self.length)
        if concatenate:
            self.order, self.first = np.arange(count), np.arange(count + 1)
            return
        self.order = permute(np.arange(count), count, key_of("rows"))
        room = self.piece_length + 1
        row = pack_rows(self.length[self.order] + 1, room, group=room)
        self.first = np.concatenate([[0], np.flatnonzero(np.diff(row)) + 1, [count]])

    def __len__(self) -> int:
        return len(self.first) - 1

    def take(self, count: int) -> "Rows":
        """The first `count` rows alone, as a truncated corpus has them; all where there are fewer."""
        taken = copy(self)
        taken.first = self.first[: count + 1]
        return taken

    def pieces(self, rows: Int[np.ndarray, "rows"]) -> Int[np.ndarray, "pieces length"]:
        """The pieces of the given rows, zero-padded to `piece_length`."""
        chosen = np.concatenate([self.order[self.first[row] : self.first[row + 1]] for row in rows])
        out = np.zeros((len(chosen), self.piece_length), dtype=np.int32)
        for i, piece in enumerate(chosen):
            start, length = self.start[piece], self.length[piece]
            out[i, :length] = self.shards[self.shard[piece]][start : start + length]
        return out


def _open(path: Path, dtype: type) -> np.ndarray:
    return np.memmap(path, dtype=dtype, mode="r") if path.stat().st_size else np.empty(0, dtype)
