import json
import re

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from study_weights import name_in_t5grid, shifted, study_arrays

from t5grid.config.build import build
from t5grid.model import architectures
from t5grid.model.decoding import beam_decode, greedy
from t5grid.model.loss import loss
from t5grid.model.size import Size
from t5grid.model.transformer import EncoderDecoderModel, SharedEncoderDecoderModel, additive, same_segment

GOLDEN_SIZE = Size(d_model=32, d_ff=64, d_kv=8, num_heads=4, num_layers=2, dropout=0.1)


def from_hugging_face(weights):
    state = {}
    for name, value in weights.items():
        if name == "shared.weight":
            state["embedding.weight"] = value
        elif found := re.fullmatch(r"(\w+)\.block\.(\d+)\.layer\.(\d+)\.(.*)", name):
            parts = found[4].split(".")
            ours = name_in_t5grid(found[1], int(found[2]), found[3], parts)
            state[ours] = value.T if "relative_attention_bias" in parts else value
        elif name == "lm_head.weight":
            state["softmax.weight"] = value
        else:
            state[name.split(".")[0] + ".norm.scale"] = value
    return state


def golden_model(state, size=GOLDEN_SIZE, kind=EncoderDecoderModel):
    model = kind(size, 128).eval()
    model.load_state_dict(state)
    return model


STUDY = [
    ("enc_dec_v1_0", GOLDEN_SIZE, EncoderDecoderModel),
    ("enc_dec_v1_0_packed", GOLDEN_SIZE, EncoderDecoderModel),
    ("enc_dec_v1_0_long", GOLDEN_SIZE, EncoderDecoderModel),
    ("enc_dec_v1_1", Size(32, 64, 8, 4, 2, feed_forward="gated_gelu", tied=False), EncoderDecoderModel),
    ("enc_dec_shared", GOLDEN_SIZE, SharedEncoderDecoderModel),
]


@pytest.mark.parametrize(("name", "size", "kind"), STUDY, ids=[name for name, *_ in STUDY])
def test_the_study_s_weights_give_the_study_s_logits_and_losses(goldens, name, size, kind):
    given, out, state = study_arrays(goldens, name)
    model = golden_model(state, size, kind)
    targets, segments = given["targets"], given.get("targets_segmentation")
    batch = {"inputs": given["inputs"], "decoder_inputs": shifted(targets, segments)}
    if segments is not None:
        batch |= {"inputs_segments": given["inputs_segmentation"], "targets_segments": segments}
    logits = model(batch)
    real = targets > 0
    np.testing.assert_allclose(
        logits.detach().numpy()[real], out["logits"][real.numpy()], rtol=1e-5, atol=1e-5
    )
    assert loss(logits, targets, z_loss=0.0).item() == pytest.approx(float(out["eval_loss"]), rel=1e-5)
    assert loss(logits, targets).item() == pytest.approx(float(out["train_loss"]), rel=1e-5)


@pytest.mark.parametrize(
    ("version", "size"), [("v1_0", GOLDEN_SIZE), ("v1_1", Size(32, 64, 8, 4, 2, None, "gated_gelu", False))]
)
def test_a_hugging_face_checkpoint_gives_the_same_logits_loss_and_gradients(goldens, version, size):
    folder = goldens / f"tiny_t5_{version}"
    expected, arrays = json.loads((folder / "expected.json").read_text()), np.load(folder / "io.npz")
    model = golden_model(from_hugging_face(load_file(folder / "model.safetensors")), size)
    inputs = torch.from_numpy(arrays["input_ids"] * arrays["attention_mask"])
    labels = torch.from_numpy(arrays["labels"])
    logits = model({"inputs": inputs, "decoder_inputs": torch.from_numpy(arrays["decoder_input_ids"])})
    real = labels.numpy() > 0
    np.testing.assert_allclose(logits.detach().numpy()[real], arrays["logits"][real], rtol=1e-5, atol=1e-5)
    value = loss(logits, labels, z_loss=0.0, per_token=True)
    assert value.item() == pytest.approx(expected["loss"], rel=1e-5)
    value.backward()
    ours = from_hugging_face(
        {name: torch.tensor([[norm]]) for name, (norm, _) in expected["gradients_norm_and_sum"].items()}
    )
    for name, parameter in model.named_parameters():
        assert parameter.grad.norm().item() == pytest.approx(ours[name].item(), rel=1e-4), name


def test_segments_of_one_row_see_as_much_as_rows_of_their_own():
    torch.manual_seed(0)
    model = EncoderDecoderModel(Size(32, 64, 8, 4, 2, dropout=0.0), 100).eval()
    first = {"inputs": [[5, 6, 7, 1]], "targets": [[8, 9, 1]]}
    second = {"inputs": [[10, 11, 1]], "targets": [[12, 1]]}
    rows = []
    for pair in (first, second):
        targets = torch.tensor(pair["targets"])
        rows.append(model({"inputs": torch.tensor(pair["inputs"]), "decoder_inputs": shifted(targets)}))
    targets = torch.tensor([[8, 9, 1, 12, 1, 0]])
    segments = torch.tensor([[1, 1, 1, 2, 2, 0]])
    packed = model(
        {
            "inputs": torch.tensor([[5, 6, 7, 1, 10, 11, 1, 0]]),
            "inputs_segments": torch.tensor([[1, 1, 1, 1, 2, 2, 2, 0]]),
            "decoder_inputs": shifted(targets, segments),
            "targets_segments": segments,
        }
    )
    assert torch.allclose(packed[:, :5], torch.cat(rows, dim=1), atol=1e-5)


PACKED = {
    "inputs": torch.tensor([[5, 6, 7, 1, 10, 11, 1, 0]]),
    "inputs_segments": torch.tensor([[1, 1, 1, 1, 2, 2, 2, 0]]),
    "decoder_inputs": torch.tensor([[0, 8, 9, 0, 12, 0]]),
    "targets_segments": torch.tensor([[1, 1, 1, 2, 2, 0]]),
}


def moved(model, name, position):
    """Which target positions of the packed row change their logits when one id of `name` does."""
    ids = PACKED[name].clone()
    ids[0, position] = 17
    difference = model(PACKED) - model(PACKED | {name: ids})
    return (difference.abs().amax(-1) > 1e-6)[0].nonzero()[:, 0].tolist()


@pytest.mark.parametrize("kind", [EncoderDecoderModel, SharedEncoderDecoderModel])
def test_a_position_moves_only_those_that_may_see_it(kind):
    torch.manual_seed(0)
    model = kind(Size(32, 64, 8, 4, 2, dropout=0.0), 100).eval()
    for position, segment in enumerate(PACKED["inputs_segments"][0].tolist()):
        assert moved(model, "inputs", position) == {1: [0, 1, 2], 2: [3, 4], 0: [5]}[segment], position
    for position in range(5):
        last = 2 if position <= 2 else 4
        assert moved(model, "decoder_inputs", position) == list(range(position, last + 1)), position


@pytest.mark.parametrize("kind", [EncoderDecoderModel, SharedEncoderDecoderModel])
def test_an_encoder_sees_all_of_its_segment_and_nothing_else(kind):
    torch.manual_seed(0)
    model = kind(Size(32, 64, 8, 4, 2, dropout=0.0), 100).eval()
    segments = PACKED["inputs_segments"]
    mask = additive(same_segment(segments, segments))
    before = model.read(model.embedding(PACKED["inputs"]), mask)
    for position in range(7):
        ids = PACKED["inputs"].clone()
        ids[0, position] = 17
        changed = (model.read(model.embedding(ids), mask) - before).abs().amax(-1)[0] > 1e-6
        assert changed.tolist() == (segments == segments[0, position])[0].tolist(), position


def test_padding_of_the_inputs_changes_nothing():
    torch.manual_seed(0)
    model = EncoderDecoderModel(Size(32, 64, 8, 4, 2, dropout=0.0), 100).eval()
    decoder_inputs = torch.tensor([[0, 8, 9]])
    short = model({"inputs": torch.tensor([[5, 6, 1]]), "decoder_inputs": decoder_inputs})
    padded = model({"inputs": torch.tensor([[5, 6, 1, 0, 0]]), "decoder_inputs": decoder_inputs})
    assert torch.allclose(short, padded, atol=1e-6)


def test_decoding_in_steps_of_any_width_gives_the_logits_of_the_whole():
    torch.manual_seed(0)
    model = EncoderDecoderModel(Size(32, 64, 8, 4, 2, dropout=0.0), 100).eval()
    inputs, ids = torch.randint(2, 100, (3, 7)), torch.randint(2, 100, (3, 6))
    whole = model({"inputs": inputs, "decoder_inputs": ids})[:, :, :100]
    state = model.start_decoding({"inputs": inputs}, 6)
    for start, end in [(0, 1), (1, 4), (4, 5), (5, 6)]:
        logits = model.decode_step(ids[:, start:end], state)
        assert torch.allclose(logits, whole[:, end - 1], atol=1e-5)


def test_the_loss_counts_padding_as_the_study_does_or_real_tokens_only():
    logits = torch.zeros(1, 4, 2)
    targets = torch.tensor([[1, 1, 0, -1]])
    log_2 = 0.6931472
    assert loss(logits, targets, z_loss=0.0).item() == pytest.approx(log_2 / 2)
    assert loss(logits, targets, z_loss=0.0, per_token=True).item() == pytest.approx(log_2)
    assert loss(logits, targets, z_loss=0.1, per_token=True).item() == pytest.approx(log_2 + 0.1 * log_2**2)


def test_the_loss_s_gradient_is_that_of_its_formula():
    torch.manual_seed(0)
    logits = torch.randn(2, 3, 5, dtype=torch.float32, requires_grad=True)
    targets = torch.tensor([[1, 4, 0], [2, -3, 0]])
    (mine,) = torch.autograd.grad(loss(logits, targets, z_loss=0.3), logits)
    log_z = logits.logsumexp(-1)
    plain = log_z - logits.gather(-1, targets.clamp(min=0)[..., None])[..., 0] + 0.3 * log_z**2
    (expected,) = torch.autograd.grad(plain[targets > 0].sum() / 6, logits)
    assert torch.allclose(mine, expected, atol=1e-6)


def test_dropout_acts_in_training_only_and_on_every_call_anew():
    torch.manual_seed(0)
    model = EncoderDecoderModel(Size(32, 64, 8, 4, 1, dropout=0.5), 100)
    batch = {"inputs": torch.tensor([[5, 6, 1]]), "decoder_inputs": torch.tensor([[0, 8, 9]])}
    assert not torch.equal(model(batch), model(batch))
    model.eval()
    assert torch.equal(model(batch), model(batch))


def test_every_parameter_gets_a_gradient():
    torch.manual_seed(0)
    for size in (Size(32, 64, 8, 4, 2), Size(32, 64, 8, 4, 2, 1, "gated_gelu", tied=False)):
        model = EncoderDecoderModel(size, 100)
        targets = torch.tensor([[8, 9, 1]])
        logits = model({"inputs": torch.tensor([[5, 6, 1]]), "decoder_inputs": shifted(targets)})
        loss(logits, targets).backward()
        assert [name for name, p in model.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize(
    "size", [Size(32, 64, 8, 4, 2), Size(32, 80, 8, 3, 3, 1, feed_forward="gated_gelu", tied=False)]
)
def test_the_number_of_parameters_is_that_of_the_built_model(size):
    numbers = architectures.EncoderDecoder().num_parameters(size, 300)
    model = architectures.EncoderDecoder().build(size, 300)
    assert model.embedding.weight.shape[0] == 384
    assert numbers["total"] == sum(p.numel() for p in model.parameters())
    assert numbers["encoder"] == sum(p.numel() for p in model.encoder.parameters())
    assert numbers["decoder"] == sum(p.numel() for p in model.decoder.parameters())


def test_base_has_the_paper_s_220_million_parameters():
    base = Size(768, 3072, 64, 12, 12)
    assert architectures.EncoderDecoder().num_parameters(base, 32_100)["total"] == 222_903_552


def test_a_wrong_size_is_refused_with_its_key():
    measures = {"d_model": 32, "d_ff": 64, "d_kv": 8, "num_heads": 4, "num_layers": 2}
    with pytest.raises(ValueError, match=r"^size\.feed_forward=swish: one of relu, gated_gelu is needed$"):
        build(measures | {"feed_forward": "swish"}, "size", Size)
    with pytest.raises(ValueError, match=r"^size\.num_heads=0: a whole number from 1 up is needed$"):
        build(measures | {"num_heads": 0}, "size", Size)


def test_greedy_equals_hugging_face_on_the_tiny_checkpoint(goldens):
    folder = goldens / "tiny_t5_v1_0"
    expected, arrays = json.loads((folder / "expected.json").read_text()), np.load(folder / "io.npz")
    model = golden_model(from_hugging_face(load_file(folder / "model.safetensors")))
    inputs = torch.from_numpy(arrays["input_ids"] * arrays["attention_mask"])
    predicted = greedy(model, {"inputs": inputs}, 12)
    assert predicted.tolist() == [row[1:] for row in expected["generate"]["greedy"]]


@pytest.mark.parametrize(("num_beams", "alpha"), [(4, 0.6), (4, 0.0), (2, 1.0)])
def test_beam_search_equals_the_original_s_on_the_tiny_checkpoint(goldens, num_beams, alpha):
    folder = goldens / "tiny_t5_v1_0"
    expected, arrays = json.loads((folder / "expected.json").read_text()), np.load(folder / "io.npz")
    model = golden_model(from_hugging_face(load_file(folder / "model.safetensors")))
    inputs = torch.from_numpy(arrays["input_ids"] * arrays["attention_mask"])
    found = beam_decode(model, {"inputs": inputs}, 12, num_beams, alpha).tolist()
    best = expected["generate"][f"original search, beams {num_beams}, alpha {alpha}"]
    assert [[i for i in row if i] for row in found] == [case["sequence"] for case in best]
