"""document lengths -> pieces: where in the token stream each starts, and its length.

Nothing here touches a token. Documents lie end to end in one stream of ids without zeros; a piece is a pair
(start, length) into that stream, so millions of documents are cut with a few array operations.
"""

import numpy as np
from jaxtyping import Int

Spans = tuple[Int[np.ndarray, " spans"], Int[np.ndarray, " spans"]]  # starts, lengths (int64)


def random_chunks(
    starts: Int[np.ndarray, " documents"],
    lengths: Int[np.ndarray, " documents"],
    maximum: int,
    rng: np.random.Generator,
) -> Spans:
    """One chunk of at most `maximum` tokens a document, from a random multiple of it; empty ones vanish."""
    starts, lengths = starts[lengths > 0], lengths[lengths > 0]
    skipped = maximum * rng.integers(0, -(-lengths // maximum))
    return starts + skipped, np.minimum(lengths - skipped, maximum)


def join(starts: Int[np.ndarray, " spans"], lengths: Int[np.ndarray, " spans"], group: int) -> Spans:
    """Groups of `group` consecutive spans joined end to end; the last group may be smaller.

    Spans that do not touch (a chunk of a longer document was left out between them) stay apart, since a
    joined span has to be one stretch of the stream. That costs one more short piece at each such gap; the
    original joins across.
    """
    first = np.arange(len(starts)) % group == 0
    first[1:] |= starts[1:] != starts[:-1] + lengths[:-1]
    heads = np.flatnonzero(first)
    joined = np.add.reduceat(lengths, heads) if len(heads) else lengths
    return starts[heads][joined > 0], joined[joined > 0]


def split(starts: Int[np.ndarray, " spans"], lengths: Int[np.ndarray, " spans"], piece_length: int) -> Spans:
    """Each span cut into pieces of exactly `piece_length` tokens; the last one may be shorter and is kept."""
    num_pieces = -(-lengths // piece_length)
    index = np.arange(num_pieces.sum()) - np.repeat(np.cumsum(num_pieces) - num_pieces, num_pieces)
    skipped = index * piece_length
    return np.repeat(starts, num_pieces) + skipped, np.minimum(
        np.repeat(lengths, num_pieces) - skipped, piece_length
    )


def piece_spans(
    document_lengths: Int[np.ndarray, " documents"],
    piece_length: int,
    concatenate: bool,
    group: int = 128,
    max_document: int = 65536,
    seed: int = 0,
) -> Spans:
    """Starts and lengths (int64) of the training pieces in a stream of documents, in the order of the stream.

    With `concatenate`, groups of `group` documents are joined, with no mark between them, before they are cut
    into pieces of `piece_length` tokens; without, each document is cut by itself. Rest pieces are kept.
    `seed` chooses the chunk of documents longer than `max_document`. Group and maximum are the authors'
    settings.

    Raises ValueError for lengths that are not positive.
    """
    for key, value in {"piece_length": piece_length, "group": group, "max_document": max_document}.items():
        if value < 1:
            raise ValueError(f"{key}={value}: at least 1")
    lengths = np.asarray(document_lengths, np.int64)
    spans = random_chunks(np.cumsum(lengths) - lengths, lengths, max_document, np.random.default_rng(seed))
    return split(*(join(*spans, group) if concatenate else spans), piece_length)


def pack_rows(
    piece_lengths: Int[np.ndarray, " pieces"] | Int[np.ndarray, "pieces features"],
    row_length: int | tuple[int, ...],
    group: int,
) -> Int[np.ndarray, " pieces"]:
    """The row of each piece, by next-fit: a row closes when a piece does not fit, and after `group` pieces.

    With two features (inputs, targets) both have to fit. Lengths beyond the row's are taken as the row's.
    Rows are never revisited, as in the original packing.
    """
    lengths = np.asarray(piece_lengths, np.int64)
    lengths = np.minimum(lengths if lengths.ndim == 2 else lengths[:, None], row_length)
    needs = np.concatenate(
        [lengths, np.zeros((len(lengths), 2 - lengths.shape[1]), np.int64)], axis=1
    ).tolist()
    full_a, full_b = (*np.atleast_1d(row_length).tolist(), 0)[:2]
    rows, row, free_a, free_b = [], -1, -1, -1
    for index, (a, b) in enumerate(needs):
        if a > free_a or b > free_b or index % group == 0:
            row, free_a, free_b = row + 1, full_a, full_b
        free_a, free_b = free_a - a, free_b - b
        rows.append(row)
    return np.array(rows, np.int64)
