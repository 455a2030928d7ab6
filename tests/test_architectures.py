"""The architectures: parameters as built, the paper's P and M, and what cannot be."""

from dataclasses import replace

import pytest
import torch
from axis_values import axis_values

from t5grid.config.schema import load_cell
from t5grid.model.architectures import EncoderDecoder, PrefixLM
from t5grid.model.costs import step
from t5grid.model.size import Size
from t5grid.refused import Refused
from t5grid.stages.model import build_model

EVERY = axis_values("architecture")
every_architecture = pytest.mark.parametrize("architecture", EVERY.values(), ids=EVERY)
STUDY = ("encoder_decoder", "encoder_decoder_shared", "encoder_decoder_half", "language_model", "prefix_lm")
ALL = [EVERY[option] for option in STUDY]  # the rows of Table 2
BASE = Size(768, 3072, 64, 12, 12)


@every_architecture
@pytest.mark.parametrize(
    "size", [Size(32, 64, 8, 4, 2), Size(32, 80, 8, 3, 4, feed_forward="gated_gelu", tied=False)]
)
def test_the_number_of_parameters_is_that_of_the_built_model(architecture, size):
    size = fitting(architecture, size)
    numbers = architecture.num_parameters(size, 300)
    model = architecture.build(size, 300)
    assert numbers.pop("total") == sum(p.numel() for p in model.parameters())
    assert numbers.pop("embedding") == model.embedding.weight.numel() * (1 if size.tied else 2)
    for stack, number in numbers.items():
        assert number == sum(p.numel() for p in getattr(model, stack).parameters())


def fitting(architecture, size):
    """The size, or what of it an architecture can have."""
    try:
        architecture.num_parameters(size, 300)
    except Refused:
        return replace(size, feed_forward="relu", tied=True)
    return size


def test_blocks_are_those_of_the_paper_s_table_2():
    assert [each.num_blocks(BASE) for each in ALL] == [24, 12, 12, 12, 12]
    steps = 12 * (512 + 192)
    assert [each.block_steps(BASE, 512, 192) for each in ALL] == [steps, steps, steps // 2, steps, steps]


def test_operations_grow_with_blocks_and_positions():
    flops = [step(each.products(BASE, 32_100, 128, 512, 192)).total for each in ALL]
    assert flops[0] == flops[1] and flops[3] == flops[4]
    assert 0.5 < flops[2] / flops[0] < 0.6  # the softmax is not halved
    assert step(PrefixLM().products(BASE, 32_100, 128, 0, 704)).total == flops[3]


@every_architecture
def test_products_name_every_parameter_of_the_model(architecture):
    size = fitting(architecture, Size(32, 64, 8, 4, 2, tied=False))
    names = {name for name, _ in architecture.build(size, 300).named_parameters()}
    assert {each.parameter for each in architecture.products(size, 300, 1, 4, 3)} - {None} == names


@every_architecture
def test_every_architecture_has_a_loss_that_teaches_it_and_answers_of_at_most_a_length(architecture):
    model = architecture.build(Size(16, 32, 8, 2, 2, dropout=0.0), 60)
    ids = torch.arange(3, 27).reshape(4, 6).numpy().astype("int32")
    batch = {
        name: torch.from_numpy(array.astype("int64"))
        for name, array in architecture.batching(ids, ids[:, :3], 8, 5).items()
    }
    loss = model.loss(batch)
    loss.backward()
    assert loss.ndim == 0 and loss.isfinite()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
    answers = model.eval().answer({"inputs": torch.from_numpy(ids.astype("int64"))}, 4)
    assert answers.shape[0] == 4 and 1 <= answers.shape[1] <= 4
    assert ((answers >= 0) & (answers < 60)).all()


@pytest.mark.parametrize(
    ("words", "fragment"),
    [
        (
            "architecture=language_model size.num_decoder_layers=2",
            "size.num_decoder_layers=2: this architecture",
        ),
        ("architecture=encoder_decoder_half size.num_layers=3", "3 + 3 blocks cannot be halved"),
        ("architecture=encoder_decoder_shared size.num_decoder_layers=1", "shared parameters need as many"),
        ("architecture=bert size.num_decoder_layers=2", "this architecture has one stack"),
    ],
)
def test_a_size_that_an_architecture_cannot_have_is_refused(words, fragment):
    with pytest.raises(ValueError, match=r"^size\.num_") as caught:
        load_cell(words.split())
    assert fragment in str(caught.value)


PUBLISHED = {
    "small": 60_506_624,
    "base": 222_903_552,
    "large": 737_668_096,
    "xl_3b": 2_851_598_336,
    "xxl_11b": 11_307_321_344,
    "small_v1_1": 76_961_152,
    "base_v1_1": 247_577_856,
    "large_v1_1": 783_150_080,
    "xl_v1_1": 2_849_757_184,
    "xxl_v1_1": 11_135_332_352,
}


QUICK = ("small", "base", "small_v1_1", "base_v1_1")


@pytest.mark.parametrize(
    ("name", "number"),
    [
        pytest.param(name, number, marks=() if name in QUICK else pytest.mark.slow)
        for name, number in PUBLISHED.items()
    ],
)
def test_sizes_have_the_parameters_of_the_published_checkpoints(name, number):
    size = load_cell([f"size={name}"]).size
    with torch.device("meta"):
        model = EncoderDecoder().build(size, 32_100)
    assert sum(parameter.numel() for parameter in model.parameters()) == number
    assert EncoderDecoder().num_parameters(size, 32_100)["total"] == number


@pytest.mark.parametrize(("name", "depth"), [("base_2x", 16), ("base_4x", 32)])
def test_twice_and_four_times_base_are_as_wide_as_large(name, depth):
    size, large = load_cell([f"size={name}"]).size, load_cell(["size=large"]).size
    assert size == replace(large, num_layers=depth)


def test_later_models_drop_nothing_in_pre_training_only():
    size = load_cell(["size=base_v1_1"]).size
    assert (size.dropout, size.pretrain_dropout, size.feed_forward, size.tied) == (
        0.1,
        0.0,
        "gated_gelu",
        False,
    )
    config = {"architecture": {"_target_": "t5grid.model.architectures.PrefixLM"}, "seed": 0}
    config["size"] = {"_target_": "t5grid.model.architectures.Size", "d_model": 8, "d_ff": 8, "d_kv": 4}
    config["size"] |= {"num_heads": 2, "num_layers": 1, "pretrain_dropout": 0.0}
    rates = [build_model(config, 20, pretraining)[0].decoder.dropout.rate for pretraining in (True, False)]
    assert rates == [0.0, 0.1]
