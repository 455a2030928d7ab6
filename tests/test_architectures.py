"""The five architectures: parameters as built, the paper's P and M, and what cannot be."""

import pytest

from t5grid.config import load_cell
from t5grid.model.architectures import (
    EncoderDecoder,
    EncoderDecoderHalf,
    EncoderDecoderShared,
    LanguageModel,
    PrefixLM,
    Size,
)
from t5grid.model.costs import step

ALL = [EncoderDecoder(), EncoderDecoderShared(), EncoderDecoderHalf(), LanguageModel(), PrefixLM()]
BASE = Size(768, 3072, 64, 12, 12)


@pytest.mark.parametrize("architecture", ALL, ids=lambda each: type(each).__name__)
@pytest.mark.parametrize(
    "size", [Size(32, 64, 8, 4, 2), Size(32, 80, 8, 3, 4, feed_forward="gated_gelu", tied=False)]
)
def test_the_number_of_parameters_is_that_of_the_built_model(architecture, size):
    numbers = architecture.num_parameters(size, 300)
    model = architecture.build(size, 300)
    assert numbers.pop("total") == sum(p.numel() for p in model.parameters())
    assert numbers.pop("embedding") == model.embedding.weight.numel() * (1 if size.tied else 2)
    for stack, number in numbers.items():
        assert number == sum(p.numel() for p in getattr(model, stack).parameters())


def test_blocks_are_those_of_the_paper_s_table_2():
    assert [each.num_blocks(BASE) for each in ALL] == [24, 12, 12, 12, 12]
    steps = 12 * (512 + 192)
    assert [each.block_steps(BASE, 512, 192) for each in ALL] == [steps, steps, steps // 2, steps, steps]


def test_operations_grow_with_blocks_and_positions():
    flops = [step(each.products(BASE, 32_100, 128, 512, 192)).total for each in ALL]
    assert flops[0] == flops[1] and flops[3] == flops[4]
    assert 0.5 < flops[2] / flops[0] < 0.6  # the softmax is not halved
    assert step(PrefixLM().products(BASE, 32_100, 128, 0, 704)).total == flops[3]


@pytest.mark.parametrize("architecture", ALL, ids=lambda each: type(each).__name__)
def test_products_name_every_parameter_of_the_model(architecture):
    size = Size(32, 64, 8, 4, 2, tied=False)
    names = {name for name, _ in architecture.build(size, 300).named_parameters()}
    assert {each.parameter for each in architecture.products(size, 300, 1, 4, 3)} - {None} == names


@pytest.mark.parametrize(
    ("words", "fragment"),
    [
        (
            "architecture=language_model size.num_decoder_layers=2",
            "size.num_decoder_layers=2: this architecture",
        ),
        ("architecture=encoder_decoder_half size.num_layers=3", "3 + 3 blocks cannot be halved"),
        ("architecture=encoder_decoder_shared size.num_decoder_layers=1", "shared parameters need as many"),
    ],
)
def test_a_size_that_an_architecture_cannot_have_is_refused(words, fragment):
    with pytest.raises(ValueError, match=r"^size\.num_") as caught:
        load_cell(words.split())
    assert fragment in str(caught.value)
