"""The language model and the prefix LM: equal to the study's, and blind to what they must not see."""

import numpy as np
import pytest
import torch
from study_weights import shifted, study_arrays

from t5grid.data.batching import DecoderBatching, next_fit
from t5grid.model.decoder_only import DecoderOnly, left_padded
from t5grid.model.decoding import beam_decode, beam_max_length, beam_search, greedy
from t5grid.model.loss import loss
from t5grid.model.size import Size

SIZE = Size(d_model=32, d_ff=64, d_kv=8, num_heads=4, num_layers=2)


def region_of_inputs(targets, segments):
    """The study's rule, place by place: an even number of EOS before in the segment, and one place more.

    In the study's rows without segments this takes in the padding, which all positions then see; ours have
    segments, and padding is seen by none.
    """
    prefix = torch.zeros_like(targets)
    for row, col in np.ndindex(*targets.shape):
        if segments[row, col]:
            start = next(c for c in range(col + 1) if segments[row, c] == segments[row, col])
            before = [int((targets[row, start:c] == 1).sum()) for c in (col, max(col - 1, start))]
            prefix[row, col] = any(count % 2 == 0 for count in before)
    return prefix


@pytest.mark.parametrize("name", ["lm", "lm_long", "prefix_lm", "prefix_lm_packed", "causal_delimited_lm"])
def test_the_study_s_weights_give_the_study_s_logits_and_losses(goldens, name):
    _, out, state = study_arrays(goldens, name)
    model = DecoderOnly(SIZE, 128, sees_prefix=name.startswith("prefix")).eval()
    model.load_state_dict(state)
    targets = torch.from_numpy(out["combined_targets"]).long()
    segments = torch.from_numpy(out.get("combined_targets_segmentation", np.ones(targets.shape))).long()
    batch = {"decoder_inputs": shifted(targets, segments), "targets_segments": segments}
    logits = model(batch | {"prefix": region_of_inputs(targets, segments)})
    real = (targets > 0).numpy()
    np.testing.assert_allclose(logits.detach().numpy()[real], out["logits"][real], rtol=1e-5, atol=1e-5)
    assert loss(logits, targets, z_loss=0.0).item() == pytest.approx(float(out["eval_loss"]), rel=1e-5)
    assert loss(logits, targets).item() == pytest.approx(float(out["train_loss"]), rel=1e-5)


@pytest.mark.parametrize("name", ["prefix_lm", "causal_delimited_lm"])
def test_pairs_are_joined_as_the_study_joins_them(goldens, name):
    given, out, _ = study_arrays(goldens, name)
    pair = [array.numpy().astype(np.int32) for array in (given["inputs"], given["targets"])]
    for side in pair:
        side[side == 1] = 0
    rows = len(pair[0])
    batch = DecoderBatching()(*pair, 9, 7, lambda lengths, capacity: np.arange(rows), trim=False)
    assert batch["targets"].shape == out["combined_targets"].shape
    study = [row[row > 0].tolist() for row in out["combined_targets"]]
    assert [row[row > 0].tolist() for row in batch["targets"]] == study
    targets = torch.from_numpy(batch["targets"]).long()
    segments = torch.from_numpy(batch["targets_segments"]).long()
    assert batch["prefix"].tolist() == region_of_inputs(targets, segments).tolist()


def test_packed_pairs_are_joined_as_the_study_joins_them(goldens):
    _, out, _ = study_arrays(goldens, "prefix_lm_packed")
    inputs = np.array([[5, 6, 7, 0], [8, 9, 0, 0], [10, 11, 12, 13]], np.int32)
    targets = np.array([[20, 21, 0], [22, 0, 0], [23, 24, 25]], np.int32)
    batch = DecoderBatching()(inputs, targets, 14, 12, next_fit, trim=False, positions=True)
    for ours, theirs in (
        ("targets", "combined_targets"),
        ("targets_segments", "combined_targets_segmentation"),
        ("targets_positions", "combined_targets_position"),
    ):
        assert batch[ours].tolist() == out[theirs].tolist()


def test_prompts_end_in_one_column():
    prompt, lengths = left_padded(torch.tensor([[5, 6, 1, 0], [7, 1, 0, 0]]))
    assert prompt.tolist() == [[0, 5, 6, 1], [0, 0, 7, 1]] and lengths.tolist() == [4, 3]
    assert left_padded(torch.zeros(0, 3, dtype=torch.long))[0].shape == (0, 1)


@pytest.fixture(scope="module", params=[False, True], ids=["language_model", "prefix_lm"])
def model(request):
    torch.manual_seed(5)
    size = Size(32, 64, 8, 4, 2, tied=False, dropout=0.0)
    return DecoderOnly(size, 20, sees_prefix=request.param).eval()


@pytest.fixture
def inputs():
    torch.manual_seed(1)
    ids = torch.randint(2, 20, (24, 11))
    for row in range(24):
        end = 3 + row % 7
        ids[row, end], ids[row, end + 1 :] = 1, 0
    return ids


def batch_of(inputs, answer):
    """The row a trainer would make of a finished input and what is answered so far."""
    targets = torch.tensor([[*inputs, *answer, 1]])
    prefix = (torch.arange(targets.shape[1]) <= len(inputs))[None].long()
    segments = torch.ones_like(targets)
    return {"decoder_inputs": shifted(targets), "targets_segments": segments, "prefix": prefix}


def uncached(model, inputs, max_length):
    rows = []
    for row in inputs:
        given, found = row[row != 0].tolist(), []
        while len(found) < max_length and 1 not in found:
            found.append(int(model(batch_of(given, found))[0, -1, : model.vocab_size].argmax()))
        rows.append(found + [0] * (max_length - len(found)))
    return torch.tensor(rows)


def test_greedy_with_memory_equals_greedy_without_for_rows_of_any_length(model, inputs):
    predicted = greedy(model, {"inputs": inputs}, 16)
    expected = uncached(model, inputs, 16)
    assert int((expected == 1).any(dim=1).sum()) > 3 and len(set((expected != 0).sum(1).tolist())) > 2
    assert predicted.tolist() == expected[:, : predicted.shape[1]].tolist()
    assert not expected[:, predicted.shape[1] :].any()


def test_beams_of_a_batch_equal_the_beams_of_its_rows(model, inputs):
    whole = beam_decode(model, {"inputs": inputs[:6]}, 12)
    for row in range(6):
        length = int((inputs[row] != 0).sum())
        alone = beam_decode(model, {"inputs": inputs[row : row + 1, :length]}, 12)[0].tolist()
        assert [i for i in alone if i] == [i for i in whole[row].tolist() if i]


class Recomputed:
    """A beam search's state without memory: the whole row is computed again at each step."""

    def __init__(self, model, given, answers):
        self.model, self.given, self.answers = model, given, answers

    def select(self, rows):
        return Recomputed(self.model, self.given, [self.answers[i] for i in rows.tolist()])

    def step(self, tokens, state):
        if state.answers[0] is None:
            answers = [[]] * len(tokens)
        else:
            answers = [[*old, new] for old, new in zip(state.answers, tokens.tolist(), strict=True)]
        logits = [
            self.model(batch_of(self.given, answer))[0, -1, : self.model.vocab_size] for answer in answers
        ]
        return torch.stack(logits).log_softmax(-1), Recomputed(self.model, self.given, answers)


def test_beams_with_memory_equal_beams_without(model, inputs):
    found = beam_decode(model, {"inputs": inputs[:4]}, 12)
    for row, best in zip(inputs[:4], found.tolist(), strict=True):
        start = Recomputed(model, row[row != 0].tolist(), [None] * 4)
        limit = beam_max_length(int((inputs[:4] != 0).sum(1).max()), 12)
        expected = beam_search(start.step, start, 1, limit)[0][0, 0].tolist()
        assert best == expected


def moved(model, batch, position, change):
    """Which positions of the only row change their logits when one id of the decoder's input does."""
    before = model(batch)
    ids = batch["decoder_inputs"].clone()
    ids[0, position] = change
    after = model(batch | {"decoder_inputs": ids})
    return ((before - after).abs().amax(-1) > 1e-6)[0].nonzero()[:, 0].tolist()


PACKED = {
    "decoder_inputs": torch.tensor([[0, 5, 6, 1, 8, 9, 0, 11, 1, 13, 0, 0]]),
    "targets_segments": torch.tensor([[1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 0, 0]]),
    "prefix": torch.tensor([[1, 1, 1, 1, 0, 0, 1, 1, 1, 0, 0, 0]]),
}


def test_a_position_moves_only_those_that_may_see_it():
    torch.manual_seed(0)
    size = Size(32, 64, 8, 4, 2, dropout=0.0)
    expected = {
        False: {0: (0, 5), 3: (3, 5), 5: (5, 5), 6: (6, 9), 8: (8, 9), 9: (9, 9)},
        True: {0: (0, 5), 2: (0, 5), 3: (0, 5), 4: (4, 5), 5: (5, 5), 6: (6, 9), 8: (6, 9), 9: (9, 9)},
    }
    for sees_prefix, of_model in expected.items():
        model = DecoderOnly(size, 20, sees_prefix=sees_prefix).eval()
        for position, (first, last) in of_model.items():
            assert moved(model, PACKED, position, 17) == list(range(first, last + 1)), (sees_prefix, position)


@pytest.mark.parametrize("sees_prefix", [False, True])
def test_segments_of_one_row_see_as_much_as_rows_of_their_own(sees_prefix):
    torch.manual_seed(0)
    model = DecoderOnly(Size(32, 64, 8, 4, 2, dropout=0.0), 20, sees_prefix=sees_prefix).eval()
    parts = [{key: value[:, a:b] for key, value in PACKED.items()} for a, b in ((0, 6), (6, 10))]
    alone = torch.cat([model(part) for part in parts], dim=1)
    assert torch.allclose(model(PACKED)[:, :10], alone, atol=1e-5)


@pytest.mark.parametrize("sees_prefix", [False, True])
def test_every_parameter_gets_a_gradient(sees_prefix):
    for size in (Size(32, 64, 8, 4, 2), Size(32, 64, 8, 4, 2, feed_forward="gated_gelu", tied=False)):
        model = DecoderOnly(size, 20, sees_prefix=sees_prefix)
        loss(model(PACKED), PACKED["decoder_inputs"]).backward()
        assert [name for name, p in model.named_parameters() if p.grad is None] == []
