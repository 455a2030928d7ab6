"""Batches dealt to the processes of a stage, and a model whose parameters are spread over them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from test_likelihood import MODELS, built, questions
from toy_stages import RUNTIME, Toy, make

from t5grid.config.schema import load_cell
from t5grid.data.characters import Characters
from t5grid.evaluation.deal import ALONE, Deal, dealing
from t5grid.evaluation.likelihood import Scorer
from t5grid.execution.run_stage import DONE, work_on
from t5grid.execution.store import Store
from t5grid.model.decoding import greedy
from t5grid.model.ensemble import as_one
from t5grid.stages.evaluate import EvaluateStage
from t5grid.stages.model import build_model
from t5grid.stages.pretrain import PretrainStage
from t5grid.stages.prompt import PromptStage
from t5grid.stages.stage import Context, Stage
from t5grid.training.checkpoints import save
from t5grid.training.fit import initialise
from t5grid.training.sharding import own

SPECK = [
    "size.d_model=16",
    "size.d_ff=16",
    "size.num_layers=2",
    "budget=smoke",
    "vocabulary=characters",
]
SPREAD = replace(RUNTIME, num_devices=2, parallel="fsdp")
MACHINE = {"pid", "wall_seconds", "runtime", "num_threads", "machine", "python", "versions", "commit"}


def test_results_come_in_order_from_batches_of_similar_size() -> None:
    batches = []

    def answer(places: Sequence[int]) -> list[str]:
        batches.append(list(places))
        return [f"answer {place}" for place in places]

    assert ALONE([5, 1, 4, 2, 3], 2, answer) == [f"answer {place}" for place in range(5)]
    assert batches == [[1, 3], [4, 2], [0]]


@pytest.mark.parametrize(
    ("kind", "parallel", "num_devices", "several"),
    [
        (PretrainStage, "ddp", 2, True),
        (EvaluateStage, "ddp", 2, False),
        (EvaluateStage, "fsdp", 2, True),
        (PromptStage, "fsdp", 2, True),
        (EvaluateStage, "fsdp", 1, False),
        (Stage, "fsdp", 2, False),
    ],
)
def test_a_stage_that_scores_has_ranks_where_parameters_are_spread(
    kind: type[Stage], parallel: Any, num_devices: int, several: bool
) -> None:
    runtime = replace(RUNTIME, parallel=parallel, num_devices=num_devices)
    assert kind("name", {}, {}).has_ranks(runtime) is several


def untrained(stage: Stage, store: Store, *steps: int) -> None:
    """Leave what its parents would: weights of their own at each step, and a vocabulary of characters."""
    folder = store.folder(stage.vocabulary)
    folder.mkdir(parents=True)
    (folder / "vocabulary.model").write_bytes(Characters().make(iter(())))
    for parent in stage.trained:
        for step in steps:
            model, _ = initialise(lambda: build_model(stage.config, Characters().size), step)
            save(store.folder(parent) / "checkpoints", step, model, None)


def recorded(stage: Stage, folder: Path, runtime: Any, *steps: int) -> dict[str, Any]:
    """What a stage records of its science on a machine."""
    store = Store(folder)
    untrained(stage, store, *steps)
    assert work_on(stage, store, runtime, 1) == DONE, store.failure(stage)
    record = store.record(stage)
    assert record is not None
    return {name: value for name, value in record.items() if name not in MACHINE}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "steps"),
    [
        (["suite.use=[to_norvin]", "budget.evaluate.num_examples=9"], (2, 4)),
        (["suite.use=[to_norvin]", "budget.evaluate.num_examples=3", "budget.evaluate.num_beams=2"], (2, 4)),
        (["suite.use=[sentences]", "budget.evaluate.num_examples=3", "strategy=prompted"], (8,)),
        (["suite.use=[to_norvin]", "budget.evaluate.num_examples=9", "strategy=prompted"], (8,)),
    ],
    ids=["written", "beams", "likelihood", "prompted"],
)
def test_ranks_that_keep_parts_of_a_model_score_as_one_process(
    tmp_path: Path, words: list[str], steps: tuple[int, ...]
) -> None:
    cell = load_cell([*SPECK, *words])
    (stage,) = cell.strategy.stages(cell).values()
    alone = recorded(stage, tmp_path / "alone", RUNTIME, *steps)
    assert recorded(stage, tmp_path / "spread", SPREAD, *steps) == alone


class Answering(Toy):
    """Likelihoods and written ids of questions by each model, and by two as one; the parts that are held."""

    spreads = True

    def act(self, context: Context) -> dict[str, Any]:
        result = {}
        with dealing(context.runtime, self.has_ranks(context.runtime)) as deal:
            for name in MODELS:
                model: Any = built(name)
                whole = sum(parameter.numel() for parameter in model.parameters())
                deal.place(model, "cpu")
                batching = MODELS[name].batching
                scored = Scorer(model, batching, 4, deal)(questions("prefix", 7))
                with deal.loading(model):
                    held = sum(own(parameter).numel() for parameter in model.parameters()) / whole
                result[name] = {"scored": scored, "written": written(model, deal), "held": round(held, 1)}
            members: list[Any] = [built("encoder_decoder"), built("shared")]
            for member in members:
                deal.place(member, "cpu")
            result["two as one"] = {"written": written(as_one(members), deal)}
        return result


def written(model: Any, deal: Deal) -> list[list[int]]:
    """What follows inputs of one to seven ids, in three batches that end after 4, 19 and 34 ids."""

    def answer(places: Sequence[int]) -> list[list[int]]:
        rows = [[3 + (7 * place + i) % 40 if i <= place else 0 for i in range(7)] for place in places]
        return greedy(model, {"inputs": torch.tensor(rows)}, 4 + 5 * places[0]).tolist()

    return deal(range(7), 3, answer)


@pytest.mark.slow
def test_what_ranks_find_together_is_what_one_process_finds_though_they_end_at_other_steps(
    tmp_path: Path,
) -> None:
    results = []
    for name, runtime in (("alone", RUNTIME), ("spread", SPREAD)):
        stage, store = make(Answering, "stage", tmp_path / f"{name}.diary"), Store(tmp_path / name)
        assert work_on(stage, store, runtime, 1) == DONE, store.failure(stage)
        results.append({name: (store.record(stage) or {})[name] for name in (*MODELS, "two as one")})
    alone, spread = results
    for name in MODELS:
        assert (alone[name].pop("held"), spread[name].pop("held")) == (1.0, 0.5)
        assert {len(ids) for ids in alone[name]["written"]} == {4, 19, 34}
    assert spread == alone
