import json

import pytest
import torch

from t5grid.model.decoding import beam_decode, beam_max_length, beam_search, greedy, length_penalty
from t5grid.model.size import Size
from t5grid.model.transformer import EncoderDecoderModel


class Table:
    """A "model" that looks log probabilities up by step and previous id."""

    def __init__(self, logits, position=0):
        self.logits, self.position = logits, position

    def select(self, rows):
        return self

    def step(self, tokens, state):
        return self.logits[state.position][tokens].log_softmax(-1), Table(self.logits, state.position + 1)


class TableModel(Table):
    """The same with the interface of a model, for greedy decoding of equal rows."""

    def start_decoding(self, batch, max_length):
        return Table(self.logits)

    def decode_step(self, tokens, state):
        state.position += 1
        return self.logits[state.position - 1][tokens[:, -1]]


def cases(goldens, kinds):
    golden = json.loads((goldens / "decoding.json").read_text())
    return [case for case in golden["cases"] if case["kind"] in kinds]


def test_beam_search_finds_the_sequences_and_scores_of_the_original(goldens):
    found = cases(goldens, ("beam", "never ends"))
    assert len(found) == 20
    for case in found:
        table = Table(torch.tensor(case["logits_by_step_and_previous_token"]))
        sequences, scores = beam_search(
            table.step, table, 1, case["length"], case["beam_size"], case["alpha"]
        )
        assert sequences[0].tolist() == case["beams"], case["id"]
        assert scores[0].tolist() == pytest.approx(case["beam_scores"], rel=1e-4), case["id"]


def test_greedy_decoding_takes_the_sequences_of_the_original(goldens):
    for case in cases(goldens, ("beam", "never ends")):
        model = TableModel(torch.tensor(case["logits_by_step_and_previous_token"]))
        predicted = greedy(model, {"inputs": torch.ones(2, 3, dtype=torch.long)}, case["length"])
        assert predicted.tolist() == [case["greedy"]] * 2, case["id"]


def test_length_penalty_equals_the_original(goldens):
    for case in cases(goldens, ("penalty",)):
        assert length_penalty(case["length"], case["alpha"]) == pytest.approx(case["penalty"], rel=1e-9)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(23)
    # Tied, an untrained model repeats one id for ever; with a softmax matrix of its own it meets EOS.
    return EncoderDecoderModel(Size(32, 64, 8, 4, 2, tied=False, dropout=0.0), 20).eval()


@pytest.fixture
def inputs():
    torch.manual_seed(1)
    ids = torch.randint(2, 20, (24, 10))
    for row in range(24):
        ids[row, 4 + row % 7 :] = 0
    return ids


def uncached(model, inputs, max_length):
    rows = []
    for row in inputs:
        row, found = row[row != 0][None], []
        while len(found) < max_length and 1 not in found:
            batch = {"inputs": row, "decoder_inputs": torch.tensor([[0, *found]])}
            found.append(int(model(batch)[0, -1, : model.vocab_size].argmax()))
        rows.append(found + [0] * (max_length - len(found)))
    return rows


def test_greedy_with_memory_equals_greedy_without_though_rows_end_at_different_lengths(model, inputs):
    predicted = greedy(model, {"inputs": inputs}, 20)
    expected = torch.tensor(uncached(model, inputs, 20))
    ends = (expected == 1).any(dim=1)
    assert 3 < int(ends.sum()) <= 24 and len(set((expected != 0).sum(1).tolist())) > 2
    assert predicted.tolist() == expected[:, : predicted.shape[1]].tolist()
    assert not expected[:, predicted.shape[1] :].any()


def test_beams_of_a_batch_equal_the_beams_of_its_rows(model, inputs):
    whole = beam_decode(model, {"inputs": inputs[:6]}, 12)
    for row in range(6):
        assert beam_decode(model, {"inputs": inputs[row : row + 1]}, 12)[0].tolist() == whole[row].tolist()


def test_the_beam_limit_is_one_and_a_half_inputs_plus_ten():
    assert [beam_max_length(20), beam_max_length(7), beam_max_length(500)] == [40, 20, 128]
