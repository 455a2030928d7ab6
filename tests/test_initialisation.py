import pytest
import torch

from t5grid.config.schema import load_cell
from t5grid.model.initialisation import FARTHEST, NEAR, lean, match_and_copy
from t5grid.model.layers import Attention, RelativePositionBias


@torch.no_grad()
def attention_weights(attention, x):
    """Softmax of query times key, [heads, queries, keys], of one row."""
    queries, keys = attention.heads(attention.query(x)), attention.heads(attention.key(x))
    return torch.softmax(queries @ keys.transpose(-1, -2), dim=-1)[0]


def test_a_token_finds_its_like_and_copies_it():
    torch.manual_seed(0)
    x = torch.randn(1, 20, 64)
    attention = Attention(64, 4, 32, dropout=0.0)
    before = attention_weights(attention, x).diagonal(dim1=-2, dim2=-1).mean()
    with torch.no_grad():
        match_and_copy(attention)
        copied = attention.output(attention.value(x))
    found = attention_weights(attention, x).diagonal(dim1=-2, dim2=-1).mean()
    assert before < 0.1 < 0.5 < found
    assert torch.cosine_similarity(copied, x, dim=-1).min() > 0.7
    assert copied.std().item() == pytest.approx(1.0, abs=0.4)


def test_positions_lose_with_distance_and_heads_lean_to_both_sides():
    both, one = RelativePositionBias(4, bidirectional=True), RelativePositionBias(4, bidirectional=False)
    with torch.no_grad():
        lean(both)
        lean(one)
    by_distance = one(30, 30)[0, :, 29].detach()  # the last query looks back 29, ..., 0
    expected = -NEAR * torch.arange(29, -1, -1).clamp(max=FARTHEST)
    assert torch.allclose(by_distance, expected.expand(4, -1))
    left, right = both(9, 9)[0, :, 4, 3].detach(), both(9, 9)[0, :, 4, 5].detach()
    assert (left - right).tolist() == pytest.approx([2 * NEAR, -2 * NEAR] * 2)


@pytest.mark.parametrize("architecture", ["encoder_decoder", "encoder_decoder_shared", "language_model"])
@pytest.mark.slow
def test_a_size_asks_for_it(architecture):
    models = []
    for initialisation in ("study", "mimetic"):
        cell = load_cell([f"architecture={architecture}", f"size.initialisation={initialisation}"])
        torch.manual_seed(0)
        models.append(cell.architecture.build(cell.size, 256).decoder)
    studied, mimetic = models
    assert mimetic.position_bias.table[0, 1].item() == -NEAR
    assert studied.position_bias.table.unique().numel() > 100
    same_keys = [
        torch.equal(block.cross_attention.query.weight, block.cross_attention.key.weight)
        for block in mimetic.blocks
        if hasattr(block, "cross_attention")
    ]
    assert all(same_keys) and len(same_keys) == (0 if architecture == "language_model" else 2)
