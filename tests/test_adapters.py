"""Adapters compute what the study's `task_adapter` does, on its own weights, and start as it starts."""

import re

import numpy as np
import pytest
import torch
from study_weights import from_study, shifted

from t5grid.model.adapters import Adapter, add_adapters, add_head, untie
from t5grid.model.loss import loss
from t5grid.model.size import Size
from t5grid.model.transformer import Block, EncoderDecoderModel, OwnSoftmax

GOLDEN_SIZE = Size(d_model=32, d_ff=64, d_kv=8, num_heads=4, num_layers=2, dropout=0.1)
PARTS = {
    "DenseReluDense/wi/kernel": "feed_forward.input.weight",
    "DenseReluDense/wo/kernel": "feed_forward.output.weight",
    "rms_norm/scale": "norm.scale",
}


def adapters_from_study(weights: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    state = {}
    for name, value in weights.items():
        stack, block, part = re.fullmatch(r"(\w+)/block_(\d+)/task_adapter/(.*)", name).groups()
        state[f"{stack}.blocks.{int(block)}.adapter.{PARTS[part]}"] = torch.from_numpy(value.T.copy())
    return state


def test_the_study_s_adapters_give_the_study_s_logits_and_losses(goldens):
    arrays = np.load(goldens / "arch_enc_dec_adapter.npz")
    weights = {k.removeprefix("weight|"): arrays[k] for k in arrays.files if k.startswith("weight|")}
    added = {name: value for name, value in weights.items() if "task_adapter" in name}
    model = EncoderDecoderModel(GOLDEN_SIZE, 128).eval()
    add_adapters(model, lambda d_model: 16, near_identity=False)
    base = from_study({name: value for name, value in weights.items() if name not in added})
    model.load_state_dict(base | adapters_from_study(added))
    inputs, targets = (torch.from_numpy(arrays[f"in|{name}"]).long() for name in ("inputs", "targets"))
    logits = model({"inputs": inputs, "decoder_inputs": shifted(targets)})
    real = (targets > 0).numpy()
    np.testing.assert_allclose(
        logits.detach().numpy()[real], arrays["out|logits"][real], rtol=1e-5, atol=1e-5
    )
    assert loss(logits, targets, z_loss=0.0).item() == pytest.approx(float(arrays["out|eval_loss"]), rel=1e-5)
    assert loss(logits, targets).item() == pytest.approx(float(arrays["out|train_loss"]), rel=1e-5)


def test_an_adapter_starts_like_any_feed_forward_layer_or_near_the_identity():
    """Deviations 1/sqrt(256) and 1/sqrt(64), normal, cut at two deviations: 0.88 of it is left."""
    torch.manual_seed(0)
    dense, near = (Adapter(256, 64, 0.0, near_identity=near).feed_forward for near in (False, True))
    assert dense.input.weight.std().item() == pytest.approx(0.88 / 16, rel=0.02)
    assert dense.output.weight.std().item() == pytest.approx(0.88 / 8, rel=0.02)
    assert near.input.weight.std().item() == pytest.approx(0.0088, rel=0.02)
    assert near.output.weight.std().item() == pytest.approx(0.0088, rel=0.02)


def test_every_block_of_both_stacks_gets_an_adapter_and_no_other_place():
    model = EncoderDecoderModel(Size(32, 64, 8, 4, 3, 2), 100)
    add_adapters(model, lambda d_model: d_model // 4, near_identity=False)
    blocks = [module for module in model.modules() if isinstance(module, Block)]
    assert len(blocks) == 5 and sum(isinstance(module, Adapter) for module in model.modules()) == 5
    assert {block.adapter.feed_forward.input.weight.shape for block in blocks} == {(8, 32)}


@pytest.mark.parametrize("tied", [True, False])
def test_untying_leaves_the_logits_as_they_are(tied):
    torch.manual_seed(0)
    model = EncoderDecoderModel(Size(32, 64, 8, 4, 1, dropout=0.0, tied=tied), 100).eval()
    batch = {"inputs": torch.tensor([[5, 6, 1]]), "decoder_inputs": torch.tensor([[0, 8, 9]])}
    before = model(batch)
    untie(model)
    assert isinstance(model.softmax, OwnSoftmax)
    assert torch.allclose(model(batch), before, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("add", [add_adapters, add_head], ids=["adapters", "head"])
def test_decoding_in_steps_gives_the_logits_of_the_whole(add):
    torch.manual_seed(0)
    model = EncoderDecoderModel(Size(32, 64, 8, 4, 2, dropout=0.0), 100)
    add(model, lambda d_model: 8, **({"near_identity": False} if add is add_adapters else {}))
    inputs, ids = torch.randint(2, 100, (3, 7)), torch.randint(2, 100, (3, 5))
    whole = model.eval()({"inputs": inputs, "decoder_inputs": ids})[:, :, :100]
    state = model.start_decoding({"inputs": inputs}, 5)
    for position in range(5):
        logits = model.decode_step(ids[:, position : position + 1], state)
        assert torch.allclose(logits, whole[:, position], atol=1e-5)
