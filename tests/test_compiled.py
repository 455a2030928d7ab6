"""Compiled training: few shapes, none compiled twice, and the losses and steps of training as it is."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_fit import Killed, plan, tiny, train
from torch._dynamo.utils import counters

from t5grid.config.schema import load_cell
from t5grid.data.batching import EncoderDecoderBatching
from t5grid.data.datamodule import FeedModule, FewShapes, StepDataset, micro_batches
from t5grid.data.rank import Rank
from t5grid.model.architectures import LanguageModel, PrefixLM
from t5grid.model.size import Size
from t5grid.training import checkpoints
from t5grid.training.callbacks import read_metrics
from t5grid.training.compiled import compiled_loss, is_compiled
from t5grid.training.fit import initialise

BOUND = 1e-4
"""Of a loss or weight, compiled against not, and resumed against unbroken: fused kernels round otherwise."""


def packed(step: int) -> dict[str, np.ndarray]:
    """Examples of several lengths packed into 2 to 4 rows of several widths."""
    noise = np.random.default_rng(step)
    inputs = noise.integers(3, 60, (6, 7)) * (np.arange(7) < noise.integers(2, 8, (6, 1)))
    return EncoderDecoderBatching()(inputs, inputs[:, :3], 16, 8)


def joined(step: int) -> dict[str, np.ndarray]:
    """The same for one stack."""
    noise = np.random.default_rng(step)
    inputs = noise.integers(3, 60, (6, 7)) * (np.arange(7) < noise.integers(2, 8, (6, 1)))
    return LanguageModel().batching(inputs, inputs[:, :3], 16, 8)


def tensors(batch: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(array.astype(np.int64)) for name, array in batch.items()}


def test_batches_of_many_shapes_come_in_few_and_what_was_in_them_stays() -> None:
    few = FewShapes.of(packed, 40, Rank())
    shapes = {tuple(packed(step)["inputs"].shape) for step in range(40)}
    filled = {tuple(few(packed(step))[0]["inputs"].shape) for step in range(40)}
    assert len(shapes) > 4 and len(filled) <= 2
    batch, longer = packed(3), few(packed(3))[0]
    for name, array in batch.items():
        assert (longer[name][: len(array), : array.shape[1]] == array).all()
        assert np.count_nonzero(longer[name]) == np.count_nonzero(array)


def test_a_batch_that_is_too_large_gets_a_shape_whose_sides_are_all_longer() -> None:
    few = FewShapes({"targets": (8, 16)})
    shapes = [few({"targets": np.ones(shape)})[0]["targets"].shape for shape in [(8, 3), (9, 3), (8, 21)]]
    assert shapes == [(8, 16), (9, 18), (11, 22)]


def test_batches_of_one_shape_are_left_alone() -> None:
    batch = packed(0)
    few = FewShapes.of(lambda step: batch, 40, Rank())
    same, longer = few(batch)
    assert longer == 1.0 and all((same[name] == batch[name]).all() for name in batch)


def test_rows_taken_in_parts_leave_none_smaller() -> None:
    batch = packed(0)
    few = FewShapes.of(packed, 40, Rank(), part=2)
    dataset = StepDataset(packed, 0, 40, Rank(), few)
    assert {len(part["inputs"]) for i in range(40) for part in micro_batches(dataset[i], 2)} == {2}
    assert FewShapes.of(lambda step: batch, 40, Rank(), part=100)(batch)[1] == 1.0


@pytest.mark.parametrize("architecture", ["encoder_decoder", "language_model", "prefix_lm"])
def test_padding_changes_no_loss(architecture: str) -> None:
    size = Size(d_model=16, d_ff=32, d_kv=8, num_heads=2, num_layers=1, dropout=0.0)
    kinds = {"language_model": LanguageModel(), "prefix_lm": PrefixLM()}
    model: Any = tiny(0.0)
    if architecture in kinds:
        model = initialise(lambda: kinds[architecture].build(size, 128), 0)
    source = joined if architecture in kinds else packed
    dataset = StepDataset(source, 0, 40, Rank(), FewShapes.of(source, 40, Rank()))
    for step in range(6):
        batch = dataset[step]
        assert len(batch["targets"]) >= len(source(step)["targets"])
        given = model.loss({name: tensor for name, tensor in batch.items() if name != "weight"})
        torch.testing.assert_close(given * batch["weight"], model.loss(tensors(source(step))))


def test_a_rank_without_a_row_still_weighs_nothing() -> None:
    last = Rank(7, 8)
    dataset = StepDataset(packed, 0, 40, last, FewShapes.of(packed, 40, last))
    assert float(dataset[0]["weight"]) == 0.0


def test_compiling_is_the_machines_and_off_on_a_cpu() -> None:
    assert load_cell([]).runtime.compile == "off"
    assert load_cell(["runtime=gpu"]).runtime.compile == "default"
    assert load_cell([]).config.keys() == load_cell(["runtime.compile=max-autotune"]).config.keys()
    stages = [
        load_cell(words).strategy.stages(load_cell(words)) for words in ([], ["runtime.compile=default"])
    ]
    names = [[stage.identity for stage in some.values()] for some in stages]
    assert names[0] == names[1]


def test_spread_parameters_are_not_compiled() -> None:
    cell = load_cell(["runtime.compile=default", "runtime.parallel=fsdp"])
    assert not is_compiled(cell.runtime)
    model = tiny()
    with compiled_loss(model, cell.runtime):
        assert "loss" not in vars(model)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_loss_is_compiled_while_training_and_no_longer() -> None:
    model = tiny()
    with compiled_loss(model, load_cell(["runtime.compile=default"]).runtime):
        assert "loss" in vars(model)
        assert all("_orig_mod" not in name for name in model.state_dict())
    assert "loss" not in vars(model)


def test_batches_are_pinned_where_asked() -> None:
    assert not FeedModule(packed, 0, 1).train_dataloader().pin_memory
    assert FeedModule(packed, 0, 1, pinned=True).train_dataloader().pin_memory


@pytest.mark.slow
@pytest.mark.parametrize("claim", ["each_shape_is_compiled_once", "a_broken_run_ends_as_the_unbroken"])
def test_compiled_training(claim: str, tmp_path: Path) -> None:
    """In a process of its own: the suite's checks of array shapes would break what is compiled."""
    here = Path(__file__).parent
    code = f"import pathlib, test_compiled; test_compiled.{claim}(pathlib.Path({str(tmp_path)!r}))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(here.parent), str(here)))}
    command = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def each_shape_is_compiled_once(folder: Path) -> None:
    """One graph a shape, without a break, none after the first half; the losses of training as it is."""
    given, graphs = plan(num_steps=24, checkpoint_every=24), []

    def watched(step: int) -> dict[str, np.ndarray]:
        graphs.append(counters["stats"]["unique_graphs"])
        return packed(step)

    train(folder / "plain", given, packed, tiny(0.0))
    train(folder / "compiled", given, watched, tiny(0.0), compile="default")
    few = FewShapes.of(packed, 24, Rank())
    shapes = {tuple(few(packed(step))[0]["inputs"].shape) for step in range(24)}
    assert not counters["graph_break"], counters["graph_break"]
    assert graphs[-12:] == [len(shapes)] * 12, (graphs, shapes)
    losses = [
        [float(row["loss"]) for row in read_metrics(folder / name / "metrics.csv")]
        for name in ("plain", "compiled")
    ]
    np.testing.assert_allclose(losses[1], losses[0], rtol=BOUND)
    assert weights(folder / "plain").keys() == weights(folder / "compiled").keys()


def a_broken_run_ends_as_the_unbroken(folder: Path) -> None:
    """With dropout, whose draws are compiled in, weights agree within the bound."""
    train(folder / "whole", source=packed, compile="default")
    with contextlib.suppress(Killed):
        train(folder / "broken", source=second_time_killed_at(5), compile="default")
    resumed = train(folder / "broken", source=packed, model=tiny(seed=2), compile="default")
    assert resumed["resumed_at"] == 4
    whole, broken = weights(folder / "whole"), weights(folder / "broken")
    for name, tensor in whole.items():
        torch.testing.assert_close(broken[name], tensor, rtol=BOUND, atol=BOUND, msg=name)


def second_time_killed_at(step: int) -> Callable[[int], dict[str, np.ndarray]]:
    """A feed that breaks off when it is asked for that step after its shapes were tried out."""
    asked = []

    def broken(wanted: int) -> dict[str, np.ndarray]:
        asked.append(wanted)
        if asked.count(step) == 2:
            raise Killed
        return packed(wanted)

    return broken


def weights(folder: Path) -> dict[str, torch.Tensor]:
    model = tiny(0.0)
    checkpoints.load_model(checkpoints.newest(folder / "checkpoints"), model)
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}
