"""Operations as torch's own counter finds them, whatever is trained, at nano and small size."""

from collections.abc import Sequence

import pytest
import torch
from axis_values import baseline_values, writers
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from t5grid.config.compose import options
from t5grid.config.schema import load_cell
from t5grid.data.stream import generator
from t5grid.model.costs import Flops, Layers, Product, forward_only, mean_step, step
from t5grid.model.loss import loss
from t5grid.stages.workload import shape_of
from t5grid.training.finetuning import Episodes, Method

TRAINED = {
    "all": lambda name: True,
    "norms": lambda name: name.endswith("norm.scale"),
    "last block": lambda name: ".blocks.1." in name,
    "first block": lambda name: ".blocks.0." in name,
    "without the encoder": lambda name: not name.startswith("encoder"),
    "only the table": lambda name: name == "embedding.weight",
}


def counted(architecture, size, trained) -> tuple[tuple[int, int], Flops]:
    """(forward, backward) by torch's counter on a batch of 64 inputs and 24 targets, and by our products."""
    torch.manual_seed(0)
    model = architecture.build(size, 2048)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(trained(name))
    noise = generator(0, "ids", 0)
    arrays = architecture.batching(noise.integers(3, 2000, (2, 63)), noise.integers(3, 2000, (2, 23)), 64, 24)
    batch = {key: torch.from_numpy(value).long() for key, value in arrays.items()}
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as forward:
        value = loss(model(batch), batch["targets"])
    with FlopCounterMode(display=False) as backward:
        value.backward()
    ours = step(architecture.products(size, 2048, *shape_of(arrays)), trained)
    return (forward.get_total_flops(), backward.get_total_flops()), ours


@pytest.mark.parametrize("trained", TRAINED.values(), ids=TRAINED)
@pytest.mark.parametrize("option", writers())
@pytest.mark.slow
def test_products_are_those_torch_counts_whatever_is_trained(option, trained) -> None:
    cell = load_cell([f"architecture={option}", "size.num_layers=4"])  # two where they are halved
    torchs, ours = counted(cell.architecture, cell.size, trained)
    assert (ours.forward, ours.backward) == torchs


@pytest.mark.parametrize("option", writers())
@pytest.mark.parametrize("size", ["small", "small size.feed_forward=gated_gelu size.tied=false"])
@pytest.mark.slow
def test_products_are_those_torch_counts_at_size_small(option, size) -> None:
    cell = load_cell([f"architecture={option}", *f"size={size}".split()])
    torchs, ours = counted(cell.architecture, cell.size, TRAINED["all"])
    assert ours.total == pytest.approx(sum(torchs), rel=0.02)


@pytest.mark.parametrize("option", options("architecture"))
def test_every_parameter_of_the_model_is_one_of_the_products(option) -> None:
    cell = load_cell([f"architecture={option}"])
    model = cell.architecture.build(cell.size, 2048)
    products = cell.architecture.products(cell.size, 2048, 2, 8, 8)
    assert {p.parameter for p in products if p.parameter} == {name for name, _ in model.named_parameters()}


def test_an_operation_is_repeated_for_each_factor_that_needs_a_gradient() -> None:
    chain = [Product("x", (), "table"), Product("y", ("x",), "matrix", 10), Product("z", ("y", "y"), None, 7)]
    assert step(chain) == Flops(17, 20 + 14, 0)
    assert step(chain, lambda name: name == "matrix") == Flops(17, 10 + 14, 0)
    assert step(chain, lambda name: name == "other") == forward_only(chain) == Flops(17, 0, 0)


def test_attentions_own_products_are_counted_apart() -> None:
    size = load_cell([]).size  # 4 heads of 16
    found = step(Layers(size, 3).stack("encoder", 1, "x", 10))
    assert found.attention == 3 * (2 * 2 * 3 * 10 * 10 * 64)


def test_a_method_that_trains_more_and_more_is_averaged_over_its_steps() -> None:
    class HalfWay(Method):
        def episodes(self, names: Sequence[str], num_steps: int) -> Episodes:
            return {0: frozenset(["last"]), num_steps // 2: frozenset(names)}

    chain = [Product("x", (), "first"), Product("y", ("x",), "middle", 10), Product("z", ("y",), "last", 10)]
    assert mean_step(chain, HalfWay(), 1000) == Flops(20, (10 + 40) / 2, 0)
    assert mean_step(chain, HalfWay(), 1).backward == 40


@pytest.mark.parametrize("option", baseline_values("finetune"))
def test_products_are_those_torch_counts_whatever_a_method_adds_and_trains(option) -> None:
    cell = load_cell([f"finetune={option}", "size.num_layers=3"])
    model = cell.architecture.build(cell.size, 2048)
    cell.finetune.prepare(model)
    names = [name for name, _ in model.named_parameters()]
    products = cell.finetune.products(
        cell.architecture.products(cell.size, 2048, 2, 64, 24), cell.size.d_model
    )
    assert {p.parameter for p in products if p.parameter} | {"embedding.weight"} == set(names)
    for trained in cell.finetune.episodes(names, 9).values():
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name in trained)
        assert step(products, trained.__contains__).total == operations(model, cell.architecture)


def operations(model, architecture) -> int:
    """Forward and backward by torch's counter."""
    noise = generator(0, "ids", 0)
    arrays = architecture.batching(noise.integers(3, 2000, (2, 63)), noise.integers(3, 2000, (2, 23)), 64, 24)
    batch = {key: torch.from_numpy(value).long() for key, value in arrays.items()}
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        loss(model(batch), batch["targets"]).backward()
    return counter.get_total_flops()
