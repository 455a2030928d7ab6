"""Batches: the original's packing and the features of the later data library, and our dense packing."""

import json

import numpy as np
import pytest

from t5grid.data import batching as b


def padded(rows: list[list[int]]) -> np.ndarray:
    width = max((len(row) for row in rows), default=0)
    return np.array([row + [0] * (width - len(row)) for row in rows], np.int32).reshape(len(rows), width)


def columns(examples: list[dict], strip: int = 0) -> dict[str, np.ndarray]:
    """Examples as padded arrays, without their last `strip` tokens."""
    names = examples[0]
    return {
        name: padded([example[name][: len(example[name]) - strip] for example in examples]) for name in names
    }


def cases(goldens, name: str, *kinds: str) -> list[dict]:
    every = json.loads((goldens / f"{name}.json").read_text())["cases"]
    return [case for case in every if case["kind"] in kinds]


def test_packing_is_the_originals(goldens):
    for case in cases(goldens, "packing", "hand", "exact", "random", "targets only"):
        features = columns(case["examples"])
        batch = b.pack_features(features, case["lengths"], b.next_fit, positions=True)
        batch["decoder_inputs"] = b.shift_right(batch["targets"], batch["targets_segments"])
        for key in features:
            for ours, theirs in (("", ""), ("_segments", "_segment_ids"), ("_positions", "_positions")):
                want = [row[key + theirs] for row in case["packed"]]
                assert batch[key + ours].tolist() == want, (case["id"], key + ours)
        assert batch["decoder_inputs"].tolist() == case["decoder_inputs"], case["id"]


def test_pack_is_next_fit_over_pairs(goldens):
    case = next(case for case in cases(goldens, "packing", "random"))
    batch = b.pack(**columns(case["examples"]), inputs_length=14, targets_length=9)
    assert batch["targets"].tolist() == [row["targets"] for row in case["packed"]]
    assert batch["decoder_inputs"].tolist() == case["decoder_inputs"]


def test_the_last_position_of_a_full_row_is_the_end_mark(goldens):
    for case in cases(goldens, "packing", "pack_or_pad"):
        packing = b.next_fit if case["pack"] else b.one_row_each
        batch = b.pack_features(columns(case["examples"]), case["lengths"], packing)
        for key in case["lengths"]:
            assert b.end_rows(batch[key]).tolist() == [row[key] for row in case["packed"]], case["id"]


def test_decoder_inputs_are_shifted_and_cut_at_segments(goldens):
    for case in cases(goldens, "packing", "decoder_inputs"):
        segments = case["segment_ids"] and np.array([case["segment_ids"]])
        got = b.shift_right(np.array([case["targets"]]), segments)
        assert got.tolist() == [case["decoder_inputs"]], case["id"]


NAMES = {
    "inputs": "encoder_input_tokens",
    "targets": "decoder_target_tokens",
    "decoder_inputs": "decoder_input_tokens",
    "inputs_segments": "encoder_segment_ids",
    "targets_segments": "decoder_segment_ids",
    "inputs_positions": "encoder_positions",
    "targets_positions": "decoder_positions",
    "prefix": "decoder_causal_attention",
}


def loss_weights(case: dict) -> list[list[int]]:
    return [row["decoder_loss_weights"] for row in case["features"]]


def compare(batch: dict, case: dict) -> None:
    """Unpacked, their decoder inputs hold the last target on padding, which has no effect."""
    real = batch["targets_segments"] != 0
    for ours, theirs in NAMES.items():
        if ours in batch and theirs in case["features"][0]:
            want = np.array([row[theirs] for row in case["features"]])
            mask = real if ours == "decoder_inputs" and not case["pack"] else True
            np.testing.assert_array_equal(batch[ours] * mask, want * mask, f"{case['id']} {ours}")


def test_encoder_decoder_features_are_those_of_the_later_library(goldens):
    for case in cases(goldens, "feature_converters", "encoder-decoder"):
        pair = columns(case["examples"], strip=1)
        packing = b.next_fit if case["pack"] else b.one_row_each
        lengths = case["lengths"]["inputs"], case["lengths"]["targets"]
        compare(
            b.EncoderDecoderBatching()(*pair.values(), *lengths, packing, trim=False, positions=True), case
        )


def test_language_model_features_are_those_of_the_later_library(goldens):
    for case in cases(goldens, "feature_converters", "language model"):
        targets = columns(case["examples"], strip=1)["targets"]
        packing = b.next_fit if case["pack"] else b.one_row_each
        nothing = np.zeros((len(targets), 0), np.int32)
        batch = b.DecoderBatching()(nothing, targets, 99, case["lengths"]["targets"], packing, trim=False)
        compare(batch, case)
        assert (batch["targets"] > 0).astype(int).tolist() == loss_weights(case), case["id"]
        assert not batch["prefix"].any()


def test_prefix_lm_features_are_those_of_the_later_library(goldens):
    found = cases(goldens, "feature_converters", "prefix language model")
    assert len(found) >= 3
    for case in found:
        pair = columns(case["examples"], strip=1)
        packing = b.next_fit if case["pack"] else b.one_row_each
        lengths = case["lengths"]["inputs"], case["lengths"]["targets"]
        batch = b.DecoderBatching()(*pair.values(), *lengths, packing, trim=False, positions=True)
        compare(batch, case)
        batching = b.DecoderBatching(case["loss_on_targets_only"])
        counted = batching(*pair.values(), *lengths, packing, trim=False)["targets"] > 0
        assert counted.astype(int).tolist() == loss_weights(case), case["id"]


def test_finish_trims_before_the_end_mark():
    ids = padded([[5, 6, 7], [8], []])
    assert b.finish(ids).tolist() == [[5, 6, 7, 1], [8, 1, 0, 0], [1, 0, 0, 0]]
    assert b.finish(ids, 3).tolist() == [[5, 6, 1], [8, 1, 0], [1, 0, 0]]
    assert b.finish(np.zeros((2, 0), np.int32), 9).tolist() == [[1], [1]]
    assert b.finish(ids, 1).dtype == np.int32
    with pytest.raises(ValueError, match="length=0: at least 1"):
        b.finish(ids, 0)


def test_dense_packing_fills_rows_that_next_fit_leaves_open():
    inputs = padded([[9, 1], [9, 8, 7, 6, 1], [3, 1]])
    targets = padded([[4, 1], [5, 1], [6, 1]])
    batch = b.pack_dense(inputs, targets, inputs_length=6, targets_length=8)
    assert batch["inputs"].tolist() == [[9, 8, 7, 6, 1], [9, 1, 3, 1, 0]]
    assert batch["inputs_segments"].tolist() == [[1, 1, 1, 1, 1], [1, 1, 2, 2, 0]]
    assert batch["targets"].tolist() == [[5, 1, 0, 0], [4, 1, 6, 1]]
    assert batch["decoder_inputs"].tolist() == [[0, 5, 0, 0], [0, 4, 0, 6]]
    assert all(array.dtype == np.int32 for array in batch.values())
    assert b.padding_share(batch) == pytest.approx(3 / 18)


def pairs_in(batch: dict) -> list[tuple]:
    found = []
    for row in range(len(batch["inputs"])):
        for segment in range(1, batch["inputs_segments"][row].max() + 1):
            sides = [
                batch[key][row][batch[f"{key}_segments"][row] == segment] for key in ("inputs", "targets")
            ]
            found.append(tuple(tuple(side.tolist()) for side in sides))
    return sorted(found)


@pytest.mark.parametrize("packing", [b.one_row_each, b.next_fit, b.first_fit_decreasing])
def test_no_packing_loses_or_mixes_an_example(packing):
    rng = np.random.default_rng(1)
    examples = [
        (rng.integers(3, 99, rng.integers(0, 40)).tolist(), rng.integers(3, 99, rng.integers(0, 15)).tolist())
        for _ in range(200)
    ]
    inputs, targets = padded([a for a, _ in examples]), padded([t for _, t in examples])
    batch = b.EncoderDecoderBatching()(inputs, targets, 64, 32, packing)
    assert pairs_in(batch) == sorted(((*a, 1), (*t, 1)) for a, t in examples)
    assert batch["inputs"].shape[1] <= 64 and batch["targets"].shape[1] <= 32


def test_examples_longer_than_the_row_are_trimmed_and_still_end():
    batch = b.EncoderDecoderBatching()(padded([[5, 6, 7, 8], [9]]), padded([[4], [4, 5, 6]]), 3, 2)
    assert pairs_in(batch) == [((5, 6, 1), (4, 1)), ((9, 1), (4, 1))]


def test_decoder_rows_join_inputs_and_targets():
    batch = b.DecoderBatching()(padded([[5, 6]]), padded([[7]]), 8, 8, positions=True)
    assert batch["targets"].tolist() == [[5, 6, 1, 7, 1]]
    assert batch["decoder_inputs"].tolist() == [[0, 5, 6, 1, 7]]
    assert batch["prefix"].tolist() == [[1, 1, 1, 1, 0]]
    only = b.DecoderBatching(loss_on_targets_only=True)(padded([[5, 6]]), padded([[7]]), 8, 8)
    assert only["targets"].tolist() == [[0, 0, 0, 7, 1]]
    assert only["decoder_inputs"].tolist() == [[0, 5, 6, 1, 7]]


def test_language_modelling_gives_an_encoder_the_end_mark_alone():
    nothing = np.zeros((2, 0), np.int32)
    batch = b.EncoderDecoderBatching()(nothing, padded([[5, 6], [7, 8]]), 4, 3)
    assert batch["inputs"].tolist() == [[1], [1]] and batch["targets"].tolist() == [[5, 6, 1], [7, 8, 1]]
