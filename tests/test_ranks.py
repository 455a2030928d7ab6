"""Several processes that train one stage together: their steps, their files, their failures."""

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load
from toy_stages import RUNTIME, Toy, make

from t5grid.data.rank import Rank
from t5grid.execution.ranks import Node, RankError, run_ranks
from t5grid.execution.run_stage import DONE, FAILED, work_on
from t5grid.execution.store import Store
from t5grid.model.text_to_text import TextToText
from t5grid.refused import Refused
from t5grid.stages.stage import Context
from t5grid.training import checkpoints
from t5grid.training.finetuning import AllParameters, Method
from t5grid.training.schedules import AdafactorSpec

TWO = replace(RUNTIME, num_devices=2)
ROWS = (5, 1, 4)  # of each step's batch: unequal shares, and one rank without any


class Training(Toy):
    """Three steps of a small model; `config["frozen"]` freezes its embedding for the first of them."""

    trains = True

    def act(self, context: Context) -> dict[str, Any]:
        from t5grid.training.fit import Plan, fit

        plan = Plan(
            num_steps=3,
            checkpoint_every=1,
            keep=None,
            optimizer=AdafactorSpec() if self.config["adafactor"] else Plain(),
            schedule=lambda step: 0.1 if self.config["adafactor"] else 0.5,
            seed=0,
            method=Late() if self.config["frozen"] else AllParameters(),
        )
        return fit(Model(), feed, plan, context.folder_of(self), context.runtime, context.report, "toy")


class Plain:
    """Gradient descent, in which a wrong gradient shows at its own size."""

    def build(self, parameters: Any, lr: float) -> torch.optim.Optimizer:
        return torch.optim.SGD(parameters, lr)


class Late(Method):
    """Trains the embedding from the second step on."""

    def episodes(self, names: Any, num_steps: int) -> dict[int, frozenset[str]]:
        return {0: frozenset(name for name in names if name != "embedding.weight"), 1: frozenset(names)}


class Model(TextToText):
    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(7)
        self.embedding, self.out = torch.nn.Embedding(11, 6), torch.nn.Linear(6, 11)
        self.stack = torch.nn.ModuleList([torch.nn.Linear(6, 6)])
        for parameter in self.parameters():
            parameter.data.normal_(generator=generator)

    def forward(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        return self.out(self.stack[0](self.embedding(batch["inputs"])))

    def logits_where(self, batch: dict[str, torch.Tensor], counted: torch.Tensor) -> torch.Tensor:
        """As of a real model, not by `forward`: what no hook of that sees."""
        return self.out(self.stack[0](self.embedding(batch["inputs"]))[counted])


def feed(step: int) -> dict[str, np.ndarray]:
    dice = np.random.default_rng(step)
    inputs = dice.integers(1, 11, (ROWS[step], 4))
    return {"inputs": inputs, "targets": np.where(dice.random(inputs.shape) < 0.7, inputs, 0)}


class RankDying(Toy):
    """Its second rank is killed."""

    trains = True

    def act(self, context: Context) -> dict[str, Any]:
        if os.environ["LOCAL_RANK"] == "1":
            os.kill(os.getpid(), signal.SIGKILL)
        signal.pause()
        return {}


class RankFailing(Toy):
    """Its second rank meets a user's mistake; the first ignores what a cluster signals and waits."""

    trains = True

    def act(self, context: Context) -> dict[str, Any]:
        os.kill(os.getpid(), signal.SIGUSR2)
        if os.environ["LOCAL_RANK"] == "1":
            raise Refused("rate=2: at most 1")
        signal.pause()
        return {}


def test_ranks_are_dealt_every_row_once() -> None:
    batch = {"inputs": np.arange(10).reshape(5, 2), "targets": np.arange(5)[:, None]}
    (first, heavy), (second, light) = (Rank(i, 2).rows(batch) for i in range(2))
    assert first["targets"].ravel().tolist() == [0, 2, 4] and heavy == pytest.approx(1.2)
    assert second["targets"].ravel().tolist() == [1, 3] and light == pytest.approx(0.8)
    assert second["inputs"].tolist() == [[2, 3], [6, 7]]


def test_the_weighted_mean_over_ranks_is_the_mean_over_the_batch() -> None:
    rows = np.array([[4.0, 2.0], [1.0, 9.0], [5.0, 3.0]])
    for world in (1, 2, 3, 5):
        shares = [Rank(i, world).rows({"loss": rows}) for i in range(world)]
        assert np.mean([part["loss"].mean() * weight for part, weight in shares]) == pytest.approx(4.0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("parallel", "frozen", "micro_batch"),
    [("ddp", False, None), ("ddp", True, 1), ("ddp", False, 2), ("fsdp", False, None), ("fsdp", True, None)],
)
def test_two_ranks_take_the_steps_of_one_process(
    tmp_path: Path, parallel: str, frozen: bool, micro_batch: int | None
) -> None:
    ends = []
    shared = replace(TWO, parallel=parallel, micro_batch=micro_batch)
    for runtime, name in ((RUNTIME, "alone"), (shared, "together")):
        store = Store(tmp_path / name)
        words = {"frozen": frozen, "adafactor": parallel == "fsdp"}
        stage = make(Training, "stage", tmp_path / f"{name}.diary", **words)
        assert work_on(stage, store, runtime, 1) == DONE, store.failure(stage)
        record, folder = store.record(stage), store.folder(stage)
        assert record is not None
        weights = []
        for path in checkpoints.steps(folder / "checkpoints").values():
            model = Model()
            checkpoints.load_model(path, model)
            weights.append(torch.cat([each.flatten() for each in model.parameters()]))
        metrics = (folder / "metrics.csv").read_text().splitlines()
        ends.append((record["loss"], record["tokens"], len(metrics), torch.stack(weights)))
    alone, together = ends
    assert alone[0] == pytest.approx(together[0], abs=1e-5)
    assert alone[2] == together[2] == 4
    assert (alone[3] - together[3]).abs().max() < 1e-5
    assert (alone[3][0] - alone[3][2]).abs().max() > 1e-2
    assert (tmp_path / "together.diary").read_text().splitlines().count("start stage") == 2


@pytest.mark.slow
@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
def test_ranks_go_on_from_the_checkpoint_of_a_single_process(tmp_path: Path, parallel: str) -> None:
    store = Store(tmp_path)
    stage = make(Training, "stage", tmp_path / "diary", frozen=False, adafactor=True)
    work_on(stage, store, RUNTIME, 1)
    folder = store.folder(stage)
    whole = checkpoints.steps(folder / "checkpoints")
    end = load(whole[3].read_bytes())
    (folder / "record.json").unlink()
    whole[2].unlink()
    whole[3].write_bytes(b"damaged")
    assert work_on(stage, store, replace(TWO, parallel=parallel), 1) == DONE
    assert store.record(stage)["resumed_at"] == 1  # type: ignore[index]
    assert sorted(checkpoints.steps(folder / "checkpoints")) == [1, 2, 3]
    again = load(checkpoints.newest(folder / "checkpoints").read_bytes())
    assert again.keys() == end.keys() and any(name.startswith("optimizer/") for name in end)
    assert all(torch.allclose(again[name], end[name], atol=1e-5) for name in end)


@pytest.mark.slow
def test_a_rank_that_is_killed_ends_the_others_and_the_stage(tmp_path: Path) -> None:
    stage = make(RankDying, "stage", tmp_path / "diary")
    with pytest.raises(RankError, match="rank 1 ended with status -9"):
        run_ranks(stage, Store(tmp_path), TWO, 2, Node())


@pytest.mark.slow
def test_a_rank_that_fails_says_why_and_signals_of_the_cluster_pass_it_by(tmp_path: Path) -> None:
    store, stage = Store(tmp_path), make(RankFailing, "stage", tmp_path / "diary")
    assert work_on(stage, store, TWO, 2) == FAILED
    assert store.failure(stage)["error"] == "rate=2: at most 1"  # type: ignore[index]
    assert "Refused: rate=2" in (store.folder(stage) / "log.txt").read_text()
    assert sys.exc_info() == (None, None, None)
