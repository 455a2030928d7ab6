import os

import pytest
import torch
from torch import nn

from t5grid.training import checkpoints
from t5grid.training.schedules import AdafactorSpec, AdamWSpec

SPECS = {
    "adafactor": AdafactorSpec(),
    "adafactor, factored": AdafactorSpec(min_dim_size_to_factor=4),
    "adamw": AdamWSpec(weight_decay=0.1),
}


class Toy(nn.Module):
    """Two layers that share a matrix, a vector and a buffer."""

    def __init__(self, width: int = 6) -> None:
        super().__init__()
        self.first = nn.Linear(width, width)
        self.second = nn.Linear(width, width, bias=False)
        self.second.weight = self.first.weight
        self.scale = nn.Parameter(torch.ones(width))
        self.register_buffer("count", torch.zeros(2))
        self.register_buffer("scratch", torch.zeros(2), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.first(x).relu()) * self.scale


def toy(seed: int = 0, width: int = 6) -> Toy:
    torch.manual_seed(seed)
    return Toy(width)


def train(model: Toy, optimizer: torch.optim.Optimizer, steps: range) -> None:
    for step in steps:
        torch.manual_seed(step)
        optimizer.zero_grad()
        model(torch.randn(5, 6)).square().mean().backward()
        optimizer.step()


def same(a: nn.Module, b: nn.Module) -> bool:
    x, y = a.state_dict(), b.state_dict()
    return x.keys() == y.keys() and all(torch.equal(x[key], y[key]) for key in x)


def test_weights_and_buffers_come_back_exactly(tmp_path):
    model, other = toy(0), toy(1)
    model.count += 7
    path = checkpoints.save(tmp_path / "new/checkpoints", 12, model, None)
    assert not same(model, other)
    checkpoints.load_model(path, other)
    assert same(model, other)
    assert other.second.weight is other.first.weight


def test_the_file_is_named_by_step_and_digest(tmp_path):
    path = checkpoints.save(tmp_path, 12, toy(), None)
    assert path.name.startswith("step-00000012-") and path.suffix == ".safetensors"
    assert checkpoints.save(tmp_path, 12, toy(), None) == path
    assert checkpoints.save(tmp_path, 12, toy(1), None) != path


def test_a_shared_tensor_is_stored_once_and_scratch_never():
    assert set(checkpoints.unique_state(toy())) == {"first.weight", "first.bias", "scale", "count"}


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_an_optimizer_goes_on_bit_for_bit(tmp_path, spec):
    unbroken = toy()
    optimizer = spec.build(unbroken.parameters(), lr=0.1)
    train(unbroken, optimizer, range(3))
    path = checkpoints.save(tmp_path, 3, unbroken, optimizer)
    train(unbroken, optimizer, range(3, 6))

    resumed = toy(5)
    checkpoints.load_model(path, resumed)
    again = spec.build(resumed.parameters(), lr=0.1)
    checkpoints.load_optimizer(path, again)
    train(resumed, again, range(3, 6))
    assert same(unbroken, resumed)
    tensors, others = (checkpoints.optimizer_tensors(each) for each in (optimizer, again))
    assert tensors.keys() == others.keys() and len(tensors) >= 4
    assert all(torch.equal(tensors[key], others[key]) for key in tensors)

    forgetful = toy(5)
    checkpoints.load_model(path, forgetful)
    train(forgetful, spec.build(forgetful.parameters(), lr=0.1), range(3, 6))
    assert not same(unbroken, forgetful)


def test_an_optimizer_keeps_the_rate_it_was_built_with(tmp_path):
    model = toy()
    optimizer = AdafactorSpec().build(model.parameters(), lr=0.1)
    train(model, optimizer, range(2))
    path = checkpoints.save(tmp_path, 2, model, optimizer)
    other = AdafactorSpec().build(model.parameters(), lr=0.5)
    checkpoints.load_optimizer(path, other)
    assert (other.param_groups[0]["lr"], other.param_groups[0]["step"]) == (0.5, 2)


def test_parameters_without_a_state_yet_are_left_without(tmp_path):
    model = toy()
    model.scale.requires_grad_(False)
    optimizer = AdafactorSpec().build(model.parameters(), lr=0.1)
    train(model, optimizer, range(1))
    path = checkpoints.save(tmp_path, 1, model, optimizer)
    again = AdafactorSpec().build(model.parameters(), lr=0.1)
    checkpoints.load_optimizer(path, again)
    assert model.scale not in again.state and model.first.weight in again.state


def test_a_failed_write_leaves_what_was_there(tmp_path, monkeypatch):
    first = checkpoints.save(tmp_path, 1, toy(), None)

    def fail(source: object, target: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        checkpoints.save(tmp_path, 2, toy(1), None)
    assert list(tmp_path.iterdir()) == [first]
    assert checkpoints.newest(tmp_path) == first


def spoilt(data: bytes) -> list[bytes]:
    """Truncated, emptied, and with one bit of the last weight turned over."""
    return [data[:-10], b"", data[:-1] + bytes([data[-1] ^ 1])]


@pytest.mark.parametrize("kind", range(3), ids=["truncated", "empty", "altered"])
def test_a_damaged_file_is_passed_over_for_the_one_before(tmp_path, kind):
    first, second = (checkpoints.save(tmp_path, step, toy(step), None) for step in (1, 2))
    assert checkpoints.steps(tmp_path) == {1: first, 2: second}
    second.write_bytes(spoilt(second.read_bytes())[kind])
    assert checkpoints.steps(tmp_path) == {1: first}
    assert checkpoints.newest(tmp_path) == first
    first.write_bytes(b"")
    with pytest.raises(ValueError, match="no sound checkpoint is left"):
        checkpoints.newest(tmp_path)


def test_sound_files_are_kept_and_no_others(tmp_path):
    paths = [checkpoints.save(tmp_path, step, toy(step), None) for step in (1, 2, 3)]
    paths[1].write_bytes(b"half")
    checkpoints.discard_others(tmp_path, checkpoints.unbroken(tmp_path, ()).values())
    assert sorted(tmp_path.iterdir()) == [paths[0], paths[2]]
    checkpoints.discard_others(tmp_path / "absent", ())


def test_checkpoints_after_one_that_is_wanted_and_damaged_do_not_count(tmp_path):
    paths = [checkpoints.save(tmp_path, step, toy(step), None) for step in (2, 4, 5)]
    assert checkpoints.steps_made(2, 5) == [2, 4, 5] and checkpoints.steps_made(2, 4) == [2, 4]
    assert checkpoints.unbroken(tmp_path, [2, 4, 5]) == dict(zip((2, 4, 5), paths, strict=True))
    paths[1].write_bytes(b"half")
    assert checkpoints.unbroken(tmp_path, [2, 4, 5]) == {2: paths[0]}
    assert checkpoints.unbroken(tmp_path, ()) == {2: paths[0], 5: paths[2]}


def test_steps_are_listed_from_the_first_and_unfinished_files_are_none(tmp_path):
    for step in (900, 1000, 99):
        checkpoints.save(tmp_path, step, toy(), None)
    (tmp_path / ".step-00002000-00.safetensors.1.partial").write_bytes(b"")
    assert list(checkpoints.steps(tmp_path)) == [99, 900, 1000]
    assert checkpoints.steps(tmp_path / "absent") == {}


def test_only_the_newest_files_are_kept(tmp_path):
    paths = [checkpoints.save(tmp_path, step, toy(step), None) for step in (1, 2, 10, 9)]
    checkpoints.keep_last(tmp_path, 5)
    assert len(list(tmp_path.iterdir())) == 4
    checkpoints.keep_last(tmp_path, 2)
    assert sorted(tmp_path.iterdir()) == [paths[3], paths[2]]


def test_another_shape_is_refused_by_name_with_both_shapes(tmp_path):
    path = checkpoints.save(tmp_path, 1, toy(), None)
    with pytest.raises(ValueError, match=r"tensor count is \(2,\), not \(3,\)$") as error:
        model = toy()
        model.count = torch.zeros(3)
        checkpoints.load_model(path, model)
    assert path.name in str(error.value) and "\n" not in str(error.value)
    with pytest.raises(ValueError, match=r"tensor scale is \(6,\), not \(7,\)$"):
        checkpoints.load_model(path, toy(width=7))


def test_missing_and_surplus_tensors_are_refused_by_name(tmp_path):
    class More(Toy):
        def __init__(self) -> None:
            super().__init__()
            self.extra = nn.Parameter(torch.zeros(1))

    less = checkpoints.save(tmp_path / "less", 1, toy(), None)
    more = checkpoints.save(tmp_path / "more", 1, More(), None)
    with pytest.raises(ValueError, match=r"tensor extra is missing$"):
        checkpoints.load_model(less, More())
    with pytest.raises(ValueError, match=r"tensor extra is not in the model$"):
        checkpoints.load_model(more, toy())


def test_a_refused_file_leaves_the_model_as_it_was(tmp_path):
    path = checkpoints.save(tmp_path, 1, toy(), None)
    model, untouched = toy(1), toy(1)
    model.count = untouched.count = torch.zeros(9)  # the last tensor to be read
    with pytest.raises(ValueError, match="count"):
        checkpoints.load_model(path, model)
    assert same(model, untouched)


def test_nothing_in_the_file_is_pickled(tmp_path):
    optimizer = AdamWSpec().build((model := toy()).parameters(), lr=0.1)
    train(model, optimizer, range(1))
    data = checkpoints.save(tmp_path, 1, model, optimizer).read_bytes()
    names = set(checkpoints.parse(data))
    assert {"model/first.weight", "optimizer/0/exp_avg", "optimizer/0/step"} <= names
    assert all(name.startswith(("model/", "optimizer/", "optimizer-step/")) for name in names)
