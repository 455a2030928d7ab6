import json

import numpy as np
import pytest
import torch

from t5grid.training.optimizers import Adafactor, factored_axes

SLOTS = {"w_slot_v": "moment", "w_slot_vr": "row_moment", "w_slot_vc": "column_moment"}
SETTINGS = {"multiply_by_parameter_scale": "scale_by_parameter"}


def golden_cases(goldens):
    golden = json.loads((goldens / "adafactor.json").read_text())
    return [case for case in golden["cases"] if "beta1" not in case["settings"]]


def close(found, expected):
    np.testing.assert_allclose(np.asarray(found).ravel(), np.asarray(expected).ravel(), rtol=1e-6, atol=1e-12)


def steps(case, initial, gradients):
    """Yields the parameter and its state after each step of a golden case."""
    parameter = torch.nn.Parameter(torch.tensor(initial, dtype=torch.float32))
    settings = {SETTINGS.get(k, k): v for k, v in case["settings"].items()}
    optimizer = Adafactor([parameter], step=case["start_step"], **settings)
    for gradient, rate in zip(gradients, case["learning_rate"], strict=True):
        optimizer.param_groups[0]["lr"] = rate
        parameter.grad = torch.tensor(gradient, dtype=torch.float32)
        optimizer.step()
        yield parameter.detach(), optimizer.state[parameter]


def test_weights_and_moments_equal_the_original_after_each_step(goldens):
    cases = [case for case in golden_cases(goldens) if "initial" in case]
    assert len(cases) == 11
    for case in cases:
        found = steps(case, case["initial"], case["gradients"])
        for (weights, state), expected in zip(found, case["after_each_step"], strict=True):
            close(weights, expected.pop("w"))
            assert len(state) == len(expected), case["id"]
            for slot, value in expected.items():
                close(state[SLOTS[slot]], value)


def test_real_sizes_equal_the_original_on_both_sides_of_the_factoring_limit(goldens):
    cases = [case for case in golden_cases(goldens) if "recipe" in case]
    assert [case["shape"] for case in cases] == [[128, 130], [127, 300]]
    for case in cases:
        arrays = np.load(goldens / f"adafactor_{case['id']}.npz")
        gradients = [arrays["grad0"], arrays["grad1"]]
        for (weights, _), expected in zip(
            steps(case, arrays["initial"], gradients), case["after_each_step"], strict=True
        ):
            check(weights, expected["w"])


def check(weights, expected):
    close(weights.double().sum(), expected["sum"])
    close(weights.double().abs().sum(), expected["abs_sum"])
    corner = np.asarray(expected["corner"])
    close(weights[: corner.shape[0], : corner.shape[1]], corner)


def test_only_a_second_largest_dimension_of_128_is_factored():
    assert factored_axes(torch.Size([128, 130]), 128) == (1, 0)
    assert factored_axes(torch.Size([300, 127]), 128) is None
    assert factored_axes(torch.Size([100_000]), 128) is None
    assert factored_axes(torch.Size([200, 4, 300]), 128) == (2, 0)


def parameters():
    torch.manual_seed(0)
    return [torch.nn.Parameter(torch.randn(shape)) for shape in [(4, 3), (5,), (130, 140)]]


def train(optimizer, params, first, last):
    for step in range(first, last):
        generator = torch.Generator().manual_seed(step)
        for parameter in params:
            parameter.grad = torch.randn(parameter.shape, generator=generator)
        optimizer.step()


def test_a_resumed_optimizer_ends_bit_for_bit_where_the_unbroken_one_ends():
    whole = parameters()
    train(Adafactor(whole), whole, 0, 6)
    broken = parameters()
    first = Adafactor(broken)
    train(first, broken, 0, 3)
    second = Adafactor(broken)
    second.load_state_dict(first.state_dict())
    assert second.param_groups[0]["step"] == 3
    train(second, broken, 3, 6)
    assert all(torch.equal(a, b) for a, b in zip(whole, broken, strict=True))


def test_a_parameter_without_gradient_stays_as_it_is():
    params = parameters()
    params[0].grad = torch.ones_like(params[0])
    before = [p.detach().clone() for p in params]
    optimizer = Adafactor(params)
    optimizer.step()
    assert [torch.equal(a, b) for a, b in zip(before, params, strict=True)] == [False, True, True]
    assert len(optimizer.state) == 1


def test_parameters_together_move_as_each_alone():
    together, alone = parameters(), parameters()
    train(Adafactor(together), together, 0, 2)
    optimizers = [Adafactor([p]) for p in alone]
    for step in range(2):
        generator = torch.Generator().manual_seed(step)
        for parameter, optimizer in zip(alone, optimizers, strict=True):
            parameter.grad = torch.randn(parameter.shape, generator=generator)
            optimizer.step()
    assert all(torch.allclose(a, b, rtol=1e-6) for a, b in zip(together, alone, strict=True))


def test_the_decay_offset_makes_late_moments_young_again():
    moments = []
    for offset in (0, 1000):
        parameter = torch.nn.Parameter(torch.ones(2))
        optimizer = Adafactor([parameter], step=1000, decay_offset=offset)
        parameter.grad = torch.full((2,), 3.0)
        optimizer.step()
        moments.append(optimizer.state[parameter]["moment"][0].item())
    assert moments == pytest.approx([9 * 1001**-0.8, 9.0], rel=1e-3)
