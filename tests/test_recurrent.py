"""What ELMo, ULMFiT and CBOW see of a row, against their equations written out."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from t5grid.config.schema import load_cell
from t5grid.model.cbow_model import CbowModel
from t5grid.model.recurrent_model import ElmoModel, UlmfitModel
from t5grid.model.size import Size
from t5grid.refused import Refused

VOCAB, WIDTH, LAYERS = 60, 8, 3
SIZE = Size(WIDTH, 24, 8, 2, LAYERS, dropout=0.0)
IDS = torch.tensor([[7, 9, 11, 13, 15, 17, 19, 1], [8, 10, 12, 1, 0, 0, 0, 0]])


def model_of(cls: Any, *more: Any) -> Any:
    torch.manual_seed(0)
    return cls(SIZE, VOCAB, *more).eval()


def from_scratch(x: torch.Tensor, block: Any) -> torch.Tensor:
    """An LSTM layer over one row [length, width], one equation after another."""
    p = dict(block.lstm.named_parameters())
    hidden = cell = torch.zeros(WIDTH)
    states = []
    for step in x:
        gates = p["weight_ih_l0"] @ step + p["bias_ih_l0"] + p["weight_hh_l0"] @ hidden + p["bias_hh_l0"]
        enter, forget, new, leave = gates.chunk(4)
        cell = forget.sigmoid() * cell + enter.sigmoid() * new.tanh()
        hidden = leave.sigmoid() * cell.tanh()
        states.append(hidden)
    return torch.stack(states)


def test_states_of_elmo_are_those_of_lstms_from_both_sides_with_a_skip() -> None:
    model = model_of(ElmoModel)
    features, *states = model.states({"inputs": IDS})
    assert len(states) == model.num_states == LAYERS + 1
    for row, length in ((0, 8), (1, 4)):
        x = model.embedding.weight[IDS[row, :length]]
        assert torch.equal(features[row, :length], torch.cat([x, x], dim=-1))
        forward, backward = x, x.flip(0)
        for layer in range(LAYERS):
            sides = []
            for before, stack in ((forward, model.forward_lstm), (backward, model.backward_lstm)):
                after = from_scratch(before, stack.blocks[layer])
                sides.append(after + before if layer else after)
            forward, backward = sides
            expected = torch.cat([forward, backward.flip(0)], dim=-1)
            assert torch.allclose(states[layer + 1][row, :length], expected, atol=1e-6), (row, layer)


def test_each_direction_of_elmo_sees_its_side_only() -> None:
    model = model_of(ElmoModel)
    before = model.states({"inputs": IDS[:1]})
    for place in range(8):
        after = model.states({"inputs": IDS[:1].index_fill(1, torch.tensor([place]), 33)})
        for layer in range(2, LAYERS + 2):
            same = (before[layer][0] == after[layer][0]).view(8, 2, WIDTH).all(dim=-1)
            assert same[:, 0].tolist() == [other < place for other in range(8)]
            assert same[:, 1].tolist() == [other > place for other in range(8)]


def test_elmo_learns_the_next_id_and_the_one_before_by_one_table() -> None:
    model, losses = model_of(ElmoModel), {"forward_loss": 0.0, "backward_loss": 0.0}
    total = model.loss({"targets": IDS})
    states = model.states({"inputs": IDS})[-1]
    for row, length in ((0, 8), (1, 4)):
        forward, backward = states[row, :length].split(WIDTH, dim=-1)
        table, ids = model.embedding.weight, IDS[row, :length]
        losses["forward_loss"] += F.cross_entropy(forward[:-1] @ table.T, ids[1:], reduction="sum") / 16
        losses["backward_loss"] += F.cross_entropy(backward[1:] @ table.T, ids[:-1], reduction="sum") / 16
    assert model.named_losses == tuple(losses)
    for name, loss in losses.items():
        assert torch.allclose(model.loss_parts[name], loss, atol=1e-6)
    assert torch.allclose(total, sum(losses.values()), atol=1e-6)


def test_ulmfit_is_the_forward_half_without_a_skip_and_pools_the_whole_row() -> None:
    model = model_of(UlmfitModel)
    x = model.embedding.weight[IDS[0]]
    for block in model.forward_lstm.blocks:
        x = from_scratch(x, block)
    states = model.states({"inputs": IDS})[-1]
    assert torch.allclose(states[0], x, atol=1e-6)
    pooled = model.of_rows(states, IDS).gather(
        1, model.answer_places(IDS)[..., None].expand(-1, -1, 3 * WIDTH)
    )
    for row, length in ((0, 8), (1, 4)):
        real = states[row, :length]
        expected = torch.cat([real[-1], real.max(dim=0).values, real.mean(dim=0)])
        assert torch.allclose(pooled[row, 0], expected, atol=1e-6)
    likeliest = (states[0, -1] @ model.embedding.weight.T).argmax()
    assert model.answer({"inputs": IDS}, 5)[0].tolist() == [likeliest]


def test_cbow_predicts_an_id_from_the_mean_of_its_window_alone() -> None:
    model = model_of(CbowModel, 2)
    vectors, words = model.embedding.weight, model.softmax.weight
    expected = 0.0
    for row, length in ((0, 8), (1, 4)):
        for place in range(length):
            around = [at for at in range(place - 2, place + 3) if at != place and 0 <= at < length]
            logits = words @ vectors[IDS[row, around]].mean(dim=0)
            assert torch.allclose(model({"targets": IDS})[row, place], logits, atol=1e-6)
            expected += F.cross_entropy(logits, IDS[row, place]) / 16
    assert torch.allclose(model.loss({"targets": IDS}), expected, atol=1e-6)
    before = model({"targets": IDS})[0]
    same = (model({"targets": IDS.index_fill(1, torch.tensor([4]), 33)})[0] == before).all(dim=-1)
    assert same.tolist() == [True, True, False, False, True, False, False, True]


def test_a_word_has_one_vector_in_cbow_and_another_in_each_sentence_elsewhere() -> None:
    sentences = torch.tensor([[7, 20, 9, 1], [30, 20, 31, 1]])
    for cls, more, is_one in ((CbowModel, (5,), True), (ElmoModel, (), False), (UlmfitModel, (), False)):
        one, other = model_of(cls, *more).states({"inputs": sentences})[-1][:, 1]
        assert torch.equal(one, other) == is_one


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("elmo finetune=adapters", "finetune=adapters: architecture=elmo has no feed-forward"),
        ("cbow finetune=frozen", "finetune=frozen: architecture=cbow has no blocks"),
        ("cbow finetune=gradual_unfreezing", "finetune=gradual_unfreezing: architecture=cbow has no blocks"),
        ("elmo size.tied=false", "size.tied=false: this architecture ties its tables as it does"),
        ("cbow size.num_decoder_layers=2", "size.num_decoder_layers=2: this architecture has none"),
        ("ulmfit finetune=frozen_head", "finetune=frozen_head: architecture=ulmfit has no softmax"),
    ],
)  # fmt: skip
def test_what_they_cannot_do_is_refused_before_anything_runs(words: str, message: str) -> None:
    with pytest.raises(Refused) as caught:
        load_cell(["objective=language_model", *f"architecture={words}".split()])
    assert str(caught.value).startswith(message)
