"""Several models that decode as one."""

import torch

from t5grid.model.decoding import greedy
from t5grid.model.ensemble import Ensemble, as_one
from t5grid.model.size import Size
from t5grid.model.transformer import EncoderDecoderModel


def model(seed: int, width: int = 32) -> EncoderDecoderModel:
    torch.manual_seed(seed)
    return EncoderDecoderModel(Size(width, 64, 8, 4, 2, dropout=0.0), 100).eval()


BATCH = {"inputs": torch.tensor([[5, 6, 7, 1], [9, 8, 1, 0], [4, 1, 0, 0]])}


def test_logits_are_the_mean_of_the_members() -> None:
    members = [model(0), model(1, width=48), model(2)]
    together = Ensemble(members)
    tokens = torch.tensor([[0], [0], [0]])
    states = [member.start_decoding(BATCH, 3) for member in members]
    state = together.start_decoding(BATCH, 3)
    for _ in range(3):
        alone = [member.decode_step(tokens, each) for member, each in zip(members, states, strict=True)]
        logits = together.decode_step(tokens, state)
        assert torch.allclose(logits, sum(alone) / 3, atol=1e-5)
        tokens = logits.argmax(dim=-1)[:, None]


def test_rows_are_selected_in_every_member() -> None:
    together, rows = Ensemble([model(0), model(1)]), torch.tensor([2, 0])
    state = together.start_decoding(BATCH, 2).select(rows)
    alone = together.start_decoding({"inputs": BATCH["inputs"][rows]}, 2)
    tokens = torch.tensor([[0], [0]])
    assert torch.allclose(together.decode_step(tokens, state), together.decode_step(tokens, alone), atol=1e-5)


def test_equal_members_answer_as_one_of_them() -> None:
    expected = greedy(model(0), BATCH, 8)
    assert torch.equal(greedy(Ensemble([model(0), model(0)]), BATCH, 8), expected)


def test_a_single_model_stays_as_it_is() -> None:
    alone = model(0)
    assert as_one([alone]) is alone
    assert isinstance(as_one([alone, model(1)]), Ensemble)
