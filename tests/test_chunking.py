"""Cutting documents into pieces: the original's building blocks, and piece_spans over whole corpora."""

import json

import numpy as np
import pytest

from t5grid.data import chunking as c
from t5grid.data.batching import finish


def flat(documents: list[list[int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The stream (zeros left out, as its contract wants), and starts and lengths of its documents."""
    documents = [[token for token in document if token] for document in documents]
    lengths = np.array([len(document) for document in documents], np.int64)
    return (
        np.array([token for document in documents for token in document]),
        np.cumsum(lengths) - lengths,
        lengths,
    )


def cut(stream: np.ndarray, spans: c.Spans) -> list[list[int]]:
    return [stream[start : start + length].tolist() for start, length in zip(*spans, strict=True)]


def pieces(case: dict) -> list:
    """What our building blocks make of a case."""
    kind, (stream, *spans) = case["kind"], flat(case["documents"])
    length = case.get("max_tokens_per_segment") or case.get("targets_length")
    if kind == "split_to_length":
        length = case["sequence_length"][case["length_of"]] - case["add_eos"]
    if kind == "concat_all_then_split":
        return cut(
            stream, c.split(*c.join(*spans, group=len(spans[0])), case["sequence_length"]["targets"] - 1)
        )
    if kind in ("concat", "concat_then_split"):
        spans = c.join(*spans, case["batch_size"])
    return cut(stream, spans if kind == "concat" else c.split(*spans, length))


def padded(ids: list[int]) -> np.ndarray:
    return np.array([ids], np.int32)


def test_building_blocks_cut_as_the_original_does(goldens):
    kinds = set()
    for case in json.loads((goldens / "chunking.json").read_text())["cases"]:
        kinds.add(case["kind"])
        if case["kind"] == "random_chunk":
            stream, starts, lengths = flat(case["documents"])
            rng = np.random.default_rng(0)
            seen = [c.random_chunks(starts, lengths, case["max_length"], rng) for _ in range(200)]
            got = sorted({(int(stream[a[0]]), int(b[0])) for a, b in seen})
            assert got == sorted(map(tuple, case["result"])), case["id"]
        elif case["kind"] == "trim_then_eos":
            lengths = case["sequence_length"] or {"inputs": None, "targets": None}
            example = case["documents"][0]
            got = {side: finish(padded(ids), lengths[side])[0].tolist() for side, ids in example.items()}
            assert [got] == case["result"], case["id"]
        elif case["kind"] == "full_lm":  # a mark after each document, then cut
            case["documents"] = [[*document, 1] for document in case["documents"]]
            assert pieces(case) == case["result"], case["id"]
        else:
            assert pieces(case) == case["result"], case["id"]
    assert len(kinds) >= 6


def test_joined_documents_are_cut_to_full_pieces_with_one_rest_a_group():
    starts, lengths = c.piece_spans(np.array([5, 0, 12, 3, 4]), 6, concatenate=True, group=3)
    assert lengths.tolist() == [6, 6, 6, 2, 4]  # three documents that are not empty, then one
    assert starts.tolist() == [0, 6, 12, 18, 20]
    assert starts.dtype == lengths.dtype == np.int64


def test_documents_by_themselves_each_keep_their_rest():
    starts, lengths = c.piece_spans(np.array([5, 0, 12, 3]), 6, concatenate=False)
    assert (starts.tolist(), lengths.tolist()) == ([0, 5, 11, 17], [5, 6, 6, 3])


def test_a_long_document_gives_one_chunk_and_no_piece_reaches_over_the_gap():
    lengths = np.array([4, 25, 4])
    seen = set()
    for seed in range(40):
        starts, sizes = c.piece_spans(lengths, 8, concatenate=True, max_document=10, seed=seed)
        tokens = np.concatenate([np.arange(a, a + n) for a, n in zip(starts, sizes, strict=True)])
        chunk = tokens[(tokens >= 4) & (tokens < 29)]
        assert (np.diff(chunk) == 1).all() and {0, 3, 29, 32} <= set(tokens.tolist())
        seen.add((int(chunk[0]) - 4, len(chunk)))
    assert seen == {(0, 10), (10, 10), (20, 5)}


def test_every_token_lies_in_exactly_one_piece():
    rng = np.random.default_rng(3)
    lengths = rng.integers(0, 300, 1000)
    for concatenate in (True, False):
        starts, sizes = c.piece_spans(lengths, 64, concatenate)
        assert starts[0] == 0 and (starts[1:] == starts[:-1] + sizes[:-1]).all()
        assert sizes.sum() == lengths.sum() and sizes.min() > 0 and sizes.max() == 64
        short = (sizes < 64).sum()
        assert short <= 8 if concatenate else short > 900


def test_the_pipelines_of_the_study_give_as_many_pieces(goldens):
    cases = json.loads((goldens / "objective_pipelines.json").read_text())["cases"]
    rng = np.random.default_rng(77)
    lengths = rng.integers(50, 1500, 260)
    for case in cases:
        if "reduce_concat_tokens" in case["steps"] and "split_tokens" not in case["steps"]:
            got = len(c.piece_spans(np.diff(np.linspace(0, case["tokens"], 261).astype(int)), 511, True)[0])
            assert abs(got - case["examples"]) <= 1
    assert abs(lengths.sum() - cases[0]["tokens"]) < 20000


def test_no_documents_give_no_pieces():
    for documents in (np.array([], np.int64), np.array([0, 0])):
        assert [len(array) for array in c.piece_spans(documents, 8, True)] == [0, 0]


@pytest.mark.parametrize("key", ["piece_length", "group", "max_document"])
def test_lengths_that_are_not_positive_are_named(key):
    with pytest.raises(ValueError, match=f"{key}=0: at least 1"):
        c.piece_spans(np.array([4]), **{"piece_length": 2, "concatenate": True, key: 0})


def test_pack_rows_closes_a_row_when_a_piece_does_not_fit_and_at_each_group():
    assert c.pack_rows(np.array([3, 3, 5, 1, 9]), 6, group=99).tolist() == [0, 0, 1, 1, 2]
    assert c.pack_rows(np.array([1, 1, 1, 1, 1]), 6, group=2).tolist() == [0, 0, 1, 1, 2]
    assert c.pack_rows(np.array([[1, 3], [1, 3], [1, 1]]), (9, 4), group=9).tolist() == [0, 1, 1]
    assert c.pack_rows(np.array([], np.int64), 6, group=2).tolist() == []
