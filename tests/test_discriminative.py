"""ULMFiT's fine-tuning: which layer is trained when and at which rate, on the task's texts first."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from t5grid.config.schema import load_cell
from t5grid.refused import Refused
from t5grid.stages.stage import with_parents
from t5grid.tasks.texts import TaskTexts
from t5grid.training.discriminative import Discriminative
from t5grid.training.learner import Learner
from t5grid.training.schedules import AdafactorSpec, AdamWSpec, Constant, SlantedTriangular

NAMES = [
    "embedding.weight",
    "forward_lstm.blocks.0.w",
    "forward_lstm.blocks.1.w",
    "answering.layers.a.weight",
]
ULMFIT = ["architecture=ulmfit", "objective=language_model", "strategy=pretrain_adapt_finetune"]
FEW = "suite.columns.questions.tasks.questions.num_train=20"
SHORT = "budget.finetune.num_steps=3"


def test_layers_are_unfrozen_from_the_top_at_rates_that_fall_by_a_factor() -> None:
    method = Discriminative(decay=2.0)
    episodes = method.episodes(NAMES, 40)
    assert {step: sorted(NAMES.index(name) for name in trained) for step, trained in episodes.items()} == {
        0: [3], 10: [2, 3], 20: [1, 2, 3], 30: [0, 1, 2, 3]
    }  # fmt: skip
    assert method.rates(NAMES) == dict(zip(NAMES, (0.125, 0.25, 0.5, 1.0), strict=True))
    assert Discriminative(gradual=False).episodes(NAMES, 40) == {0: frozenset(NAMES)}


def test_rates_rise_fast_and_fall_slowly_to_a_share_of_the_highest() -> None:
    schedule = Discriminative(rising=0.1, ratio=32.0).schedule(Constant(0.32), 100)
    assert schedule == SlantedTriangular(0.32, 100, 0.1, 32.0)
    rates = [schedule(step) for step in range(101)]
    assert rates[0] == pytest.approx(0.01) and rates[10] == 0.32 == max(rates)
    assert rates[100] == pytest.approx(0.01)
    assert rates[5] == pytest.approx(0.165) == rates[55]  # half way up, half way down


@pytest.mark.parametrize("optimizer", [AdafactorSpec(), AdamWSpec()])
def test_each_parameter_moves_at_its_share_of_the_rate(optimizer: Any) -> None:
    moved = {}
    for rates in (None, {"0.weight": 1.0, "1.weight": 0.25, "2.weight": 0.25}):
        torch.manual_seed(0)
        model = nn.Sequential(*(nn.Linear(3, 3, bias=False) for _ in range(3)))
        before = [p.detach().clone() for p in model.parameters()]
        learner = Learner(model, optimizer, Constant(0.01), 0, rates=rates)
        configured = learner.configure_optimizers()["optimizer"]
        sum(p.square().sum() for p in model.parameters()).backward()
        configured.step()
        moved[rates is None] = [p.detach() - old for p, old in zip(model.parameters(), before, strict=True)]
        kept = [p for group in configured.param_groups for p in group["params"]]
        assert all(p is q for p, q in zip(kept, model.parameters(), strict=True))  # in their order
    for share, whole, part in zip((1.0, 0.25, 0.25), moved[True], moved[False], strict=True):
        assert torch.allclose(part, share * whole, rtol=1e-3)


def test_pre_training_goes_on_with_the_texts_of_each_column_without_their_answers() -> None:
    cell = load_cell(["budget=smoke", *ULMFIT, FEW])
    ends = cell.strategy.stages(cell)
    assert list(ends) == ["sentences", "questions", "reasoning"]
    stages = with_parents(list(ends.values()))
    kinds = [stage.kind for stage in stages]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        "vocabulary": 1, "tokens": 4, "pretrain": 4, "finetune": 3, "evaluate": 3
    }  # fmt: skip
    tuned = ends["questions"].trained[0]
    (adapted,) = tuned.trained
    assert adapted.config["budget"]["num_steps"] == cell.budget.finetune.num_steps == 4
    assert [stage.kind for stage in adapted.trained] == ["pretrain"]
    task = cell.suite.columns["questions"].tasks["questions"]
    documents = list(TaskTexts({"questions": task}).documents("questions"))
    assert documents == [record["inputs"] for record in task.records("train")]
    other = load_cell(["budget=smoke", *ULMFIT, FEW, "suite.columns.questions.tasks.questions.seed=5"])
    identities = {stage.identity for stage in with_parents(list(other.strategy.stages(other).values()))}
    assert len(identities - {stage.identity for stage in stages}) == 4  # tokens, pretrain, finetune, evaluate


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("finetune=discriminative", "finetune=discriminative: architecture=encoder_decoder has no output"),
        (
            "finetune=discriminative architecture=cbow",
            "finetune=discriminative: architecture=cbow has no blocks",
        ),
        (
            f"finetune=discriminative architecture=elmo {SHORT}",
            f"{SHORT}: finetune=discriminative takes at least one step for each of 4 layers",
        ),
    ],
)
def test_what_cannot_be_trained_so_is_refused(words: str, message: str) -> None:
    with pytest.raises(Refused) as caught:
        load_cell(["objective=language_model", "budget=smoke", *words.split()])
    assert str(caught.value).startswith(message)


@pytest.mark.slow
def test_ulmfit_goes_the_whole_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At budget smoke: pre-trained, adapted to a column's texts, fine-tuned layer by layer, scored."""
    from t5grid.commands.multirun import run_cell
    from t5grid.execution.store import Store
    from t5grid.training.callbacks import read_metrics

    monkeypatch.chdir(tmp_path)
    words = [*ULMFIT, "budget=smoke", "budget.num_documents=300", "vocabulary.num_pieces=300"]
    words += ["finetune=discriminative", "suite.use=[sentences]", "executor.num_workers=1"]
    words += ["architecture.long_rows=cut", "budget.finetune.num_steps=8"]
    words += ["budget.finetune.checkpoint_every=8"]
    cell = load_cell(words)
    assert run_cell(cell) == 0
    stages, store = cell.strategy.stages(cell), Store(tmp_path / "runs")
    (tuned,) = stages["sentences"].trained
    record = store.record(tuned)
    assert list(record["trained_parameters"]) == ["0", "2", "4", "6"]
    (last,) = read_metrics(store.folder(tuned) / "metrics.csv")[-1:]
    peak = max(map(cell.budget.finetune.schedule, range(8)))
    assert float(last["learning_rate"]) == pytest.approx(SlantedTriangular(peak, 8)(7), rel=1e-3)
