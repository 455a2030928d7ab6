import json

import pytest
import torch

from t5grid.model import layers
from t5grid.model.layers import (
    ONEDNN,
    Attention,
    FeedForward,
    GatedFeedForward,
    KeyValues,
    LengthDropout,
    RelativePositionBias,
    RMSNorm,
    attend,
    linear,
    relative_position_bucket,
)


def test_buckets_equal_the_original_at_every_distance(goldens):
    golden = json.loads((goldens / "relative_position_bucket.json").read_text())
    assert len(golden["cases"]) == 8
    for case in golden["cases"]:
        distances = torch.arange(case["first"], case["last"] + 1)
        buckets = relative_position_bucket(
            distances, case["bidirectional"], case["num_buckets"], case["max_distance"]
        )
        assert buckets.tolist() == case["bucket"], case["id"]


@pytest.mark.parametrize("bidirectional", [True, False])
def test_position_bias_is_the_table_at_the_bucket_of_each_distance(bidirectional):
    bias = RelativePositionBias(3, bidirectional)
    found = bias(num_queries=300, num_keys=305, first_query=5)
    distance = torch.arange(305)[None] - torch.arange(5, 305)[:, None]
    expected = bias.table[:, relative_position_bucket(distance, bidirectional)]
    assert found.shape == (1, 3, 300, 305)
    assert torch.equal(found[0], expected)


def test_norm_divides_by_the_root_mean_square():
    norm = RMSNorm(2)
    norm.scale.data = torch.tensor([1.0, 2.0])
    assert torch.allclose(norm(torch.tensor([[3.0, 4.0]])), torch.tensor([[3.0, 8.0]]) / 12.5**0.5)


def test_dropout_keeps_or_drops_a_channel_at_all_positions():
    torch.manual_seed(0)
    dropped = LengthDropout(0.25)(torch.ones(50, 7, 40))
    assert torch.equal(dropped, dropped[:, :1].expand_as(dropped))
    assert dropped.unique().tolist() == pytest.approx([0.0, 4 / 3])
    assert (dropped == 0).float().mean().item() == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize("dropout", [LengthDropout(0.0), LengthDropout(0.5).eval()])
def test_dropout_without_effect_returns_its_input_itself(dropout):
    x = torch.ones(2, 3, 4)
    assert dropout(x) is x


def test_attention_is_the_same_with_and_without_a_gradient_for_the_bias():
    torch.manual_seed(0)
    q, k, v = torch.randn(3, 2, 4, 5, 8).unbind()
    bias = torch.randn(2, 4, 5, 5)
    plain = torch.softmax(torch.einsum("rhqd,rhkd->rhqk", q, k) + bias, -1) @ v
    assert torch.allclose(attend(q, k, v, bias, 0.0), plain, atol=1e-6)
    assert torch.allclose(attend(q, k, v, bias.requires_grad_(), 0.0), plain, atol=1e-6)


def test_attention_ignores_what_the_mask_hides():
    torch.manual_seed(0)
    attention, x = Attention(16, 2, 8, 0.1).eval(), torch.randn(1, 4, 16)
    keys, values = attention.key_values(x)
    bias = torch.tensor([0.0, 0.0, 0.0, -1e9])
    shorter = attention(x, keys[:, :, :3], values[:, :, :3], None)
    assert torch.allclose(attention(x, keys, values, bias.expand(1, 1, 4, 4)), shorter, atol=1e-6)


def test_key_values_grow_in_their_room_and_can_be_reordered():
    memory = KeyValues(torch.zeros(2, 1, 3, 1), torch.zeros(2, 1, 3, 1), 0)
    memory.append(torch.ones(2, 1, 2, 1), torch.ones(2, 1, 2, 1))
    keys, _ = memory.append(torch.tensor([[[[5.0]]], [[[6.0]]]]), torch.ones(2, 1, 1, 1))
    assert keys[:, 0, :, 0].tolist() == [[1.0, 1.0, 5.0], [1.0, 1.0, 6.0]]
    assert memory.select(torch.tensor([1, 1])).keys[:, 0, 2, 0].tolist() == [6.0, 6.0]


def test_initial_deviations_are_those_of_the_original():
    torch.manual_seed(0)
    attention, cut = Attention(256, 4, 32, 0.0), 0.8796
    forward, gated = FeedForward(256, 1024, 0.0), GatedFeedForward(256, 1024, 0.0)
    table = RelativePositionBias(64, True).table
    for weight, deviation in [
        (attention.query.weight, (256 * 32) ** -0.5),
        (attention.key.weight, 256**-0.5),
        (attention.value.weight, 256**-0.5),
        (attention.output.weight, 128**-0.5),
        (forward.input.weight, cut * 256**-0.5),
        (forward.output.weight, cut * 1024**-0.5),
        (gated.gate.weight, cut * 256**-0.5),
        (table, (2 / (64 + 32)) ** 0.5),
    ]:
        assert weight.std().item() == pytest.approx(deviation, rel=0.03)
    assert forward.input.weight.abs().max() <= 2 / 16


def test_linear_has_no_additive_parameter():
    assert [name for name, _ in linear(3, 4, 1.0).named_parameters()] == ["weight"]


def test_gated_feed_forward_multiplies_the_tanh_gelu_of_the_gate():
    layer = GatedFeedForward(1, 1, 0.0)
    for weight, value in [(layer.gate.weight, 1.0), (layer.input.weight, 3.0), (layer.output.weight, 2.0)]:
        weight.data.fill_(value)
    assert layer(torch.ones(1, 1, 1)).item() == pytest.approx(2 * 3 * 0.841192, abs=1e-5)


@pytest.mark.parametrize(
    ("outputs", "length", "by_onednn"), [(256, 64, True), (256, 4, False), (64, 64, False)]
)
def test_large_products_go_to_onednn_in_inference_only(
    outputs: int, length: int, by_onednn: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(layers, "ONEDNN", lambda *given: asked.append(1) or ONEDNN(*given))
    torch.manual_seed(0)
    x, layer = torch.randn(2, length, 256), linear(256, outputs, 1.0)
    trained = layer(x)
    assert trained.requires_grad and asked == []
    with torch.inference_mode():
        assert torch.allclose(layer(x), trained, atol=1e-4)
        assert len(asked) == by_onednn
        with torch.autocast("cpu", torch.bfloat16):
            assert layer(x).dtype == torch.bfloat16
    assert len(asked) == by_onednn
