"""text -> token ids on disk: a corpus encoded once into memory-mapped shards.

Layout of a folder: `shard-00000.bin` (token ids, uint16 where they fit, else int32), `shard-00000.npy`
(document lengths), `shard-00000.json` (what a cleaned corpus dropped, where it is one) and `tokens.json`,
written last, which says how many shards there are.
"""

import json
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
from t5grid.files import fences, file_whole, inherit, read_json, write_whole
from t5grid.refused import Refused

ENCODE_AT_ONCE = 1 << 20  # characters
GROUP_AT_ONCE = 1 << 20  # pieces


def encode_corpus(
    corpus: Any, model: bytes, folder: Path, num_workers: int, progress: Callable[[int, int], None]
) -> dict[str, Any]:
    """Write every shard of `corpus`, `num_workers` at a time; shards that are complete stay.

    A worker holds about a mebibyte of text and its ids, and four bytes a document of its shard, whatever the
    corpus' size. Returns counts. Raises Refused (from the corpus) for unreadable text or where no document
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
        raise Refused("corpus: no document is left to train on")
    return counts


def _counts(paths: list[Path]) -> dict[str, Any]:
    """Shards, documents and tokens of finished shards, and what cleaning dropped if they were cleaned."""
    num_documents, num_tokens, cleaning = 0, 0, Counter[str]()
    for path in paths:
        lengths = _lengths(path)
        num_documents += len(lengths)
        num_tokens += int(lengths.sum(dtype=np.int64))
        if path.with_suffix(".json").exists():
            cleaning.update(_object(path.with_suffix(".json")))
    counts = {"num_shards": len(paths), "num_documents": num_documents, "num_tokens": num_tokens}
    return counts | ({"cleaning": dict(sorted(cleaning.items()))} if cleaning else {})


def _map(function: Callable[[Any], None], jobs: list[Any], num_workers: int) -> Iterator[None]:
    if num_workers < 2 or len(jobs) < 2:
        yield from map(function, jobs)
        return
    num_workers, context = min(num_workers, len(jobs)), get_context("spawn")
    with ProcessPoolExecutor(num_workers, context, initializer=inherit, initargs=(fences(),)) as pool:
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
    with file_whole(path.with_suffix(".bin")) as partial, open(partial, "wb") as file:
        for batch in _batches(documents, ENCODE_AT_ONCE):
            ids = vocabulary.encode(batch)
            lengths.extend(map(len, ids))
            file.write(np.concatenate([np.asarray(document, dtype=dtype) for document in ids]).tobytes())
    if cleaning:
        write_whole(path.with_suffix(".json"), json.dumps(cleaning))
    with file_whole(path.with_suffix(".npy")) as partial, open(partial, "wb") as file:
        np.save(file, np.frombuffer(lengths, dtype=np.int32))


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
    `piece_length`, or single documents, whose short pieces share a row unless `group_short` is false. In
    memory a piece takes six bytes, and a row of several eight.
    """

    def __init__(
        self, folder: Path, vocab_size: int, piece_length: int, concatenate: bool, group_short: bool = True
    ) -> None:
        num_shards = _object(folder / "tokens.json").get("num_shards")
        if not (isinstance(num_shards, int) and num_shards):
            raise _damaged(folder / "tokens.json")
        names = [folder / f"shard-{i:05d}" for i in range(num_shards)]
        self.shards = [_open(name.with_suffix(".bin"), token_dtype(vocab_size)) for name in names]
        self.piece_length = piece_length
        spans = [self._spans(name, ids, concatenate) for name, ids in zip(names, self.shards, strict=True)]
        self.ends = np.cumsum([len(starts) for starts, _ in spans])
        self.start = np.concatenate([starts for starts, _ in spans])
        self.length = np.concatenate([lengths for _, lengths in spans])
        self.first = None if concatenate or not group_short else self._grouped()
        self.count = len(self.length) if self.first is None else len(self.first) - 1

    def _spans(self, name: Path, ids: np.ndarray, concatenate: bool) -> tuple[np.ndarray, np.ndarray]:
        """Starts and lengths of a shard's pieces, as narrow as they can be."""
        num_ids = _lengths(name)
        if num_ids.sum(dtype=np.int64) != len(ids):
            raise _damaged(name.with_suffix(".bin"))
        starts, lengths = piece_spans(num_ids, self.piece_length, concatenate)
        start_type = np.uint32 if len(ids) < 1 << 32 else np.int64
        return starts.astype(start_type), lengths.astype(token_dtype(self.piece_length))

    def _grouped(self) -> np.ndarray:
        """Where each row starts in the shuffled order of the pieces, and where the last ends."""
        room = self.piece_length + 1
        at_once = room * (
            1 + (1 << 20) // room
        )  # rows never span two groups, so blocks of groups stand alone
        firsts = [np.zeros(1, np.int64)]
        for begin in range(0, len(self.length), at_once):
            order = self._shuffled(np.arange(begin, min(begin + at_once, len(self.length))))
            row = pack_rows(self.length[order].astype(np.int64) + 1, room, group=room)
            firsts.append(begin + np.flatnonzero(np.diff(row)) + 1)
            firsts.append(np.array([begin + len(order)]))
        return np.concatenate(firsts)

    def _shuffled(self, places: np.ndarray) -> np.ndarray:
        """The pieces at places of the fixed shuffled order that short ones are packed in."""
        return permute(places, len(self.length), key_of("rows"))

    def __len__(self) -> int:
        return self.count

    def take(self, count: int) -> "Rows":
        """The first `count` rows alone, as a truncated corpus has them; all where there are fewer."""
        truncated = copy(self)
        truncated.count = min(count, self.count)
        return truncated

    def pieces(self, rows: Int[np.ndarray, " rows"]) -> Int[np.ndarray, "pieces length"]:
        """The pieces of the given rows, zero-padded to `piece_length`."""
        chosen = rows
        if self.first is not None:
            places = [np.arange(self.first[row], self.first[row + 1]) for row in rows]
            chosen = self._shuffled(np.concatenate(places))
        where = np.searchsorted(self.ends, chosen, side="right"), self.start[chosen], self.length[chosen]
        out = np.zeros((len(chosen), self.piece_length), dtype=np.int32)
        for row, shard, start, length in zip(out, *(column.tolist() for column in where), strict=True):
            row[:length] = self.shards[shard][start : start + length]
        return out


def _open(path: Path, dtype: type) -> np.ndarray:
    """The ids of a shard, mapped; a plain array, whose slices cost a tenth of a memmap's."""
    size = path.stat().st_size
    if size % np.dtype(dtype).itemsize:
        raise _damaged(path)
    return np.asarray(np.memmap(path, dtype=dtype, mode="r")) if size else np.empty(0, dtype)


def _lengths(shard: Path) -> np.ndarray:
    """Ids of each document of a shard. Raises Refused naming a damaged file."""
    path = shard.with_suffix(".npy")
    try:
        lengths = np.load(path)
    except (ValueError, EOFError) as error:
        raise _damaged(path) from error
    return lengths


def _object(path: Path) -> dict[str, Any]:
    """The object in a JSON file of ours. Raises Refused naming a damaged or absent file."""
    if (value := read_json(path)) is None:
        raise _damaged(path)
    return value


def _damaged(path: Path) -> Refused:
    return Refused(f"{path}: damaged or gone; delete {path.parent} and run again")
