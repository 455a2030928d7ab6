"""Soft sharing: strength 0 is separate training bit for bit, more of it brings models together."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_finetuning import CPU, feed, pretrained
from test_finetuning import plan as plan_of
from torch import nn

from t5grid.config.schema import Cells
from t5grid.model.side_by_side import PARTNER, SideBySide, is_below, part_of, prefix_of
from t5grid.stages.multitask import MultitaskStage
from t5grid.stages.side_by_side import JointFeed, MemberStage, SideBySideStage, refuse_machine
from t5grid.stages.stage import Context, Stage, with_parents
from t5grid.training import checkpoints
from t5grid.training.finetuning import AllParameters
from t5grid.training.fit import fit
from t5grid.training.schedules import AdamWSpec, WarmupDecay

CELLS = Cells()
TWO = "suite.use=[questions,to_norvin]"
SOFT = "strategy=soft_sharing"


def other(step: int) -> dict[str, np.ndarray]:
    """Batches of another column: the ids of `feed`, later ones."""
    return feed(step + 1000)


def trained(folder: Path, strength: float, **how: Any) -> nn.Module:
    """Two models after three steps side by side."""
    model = SideBySide([pretrained(), pretrained()], ["a", "b"], strength, **how)
    decaying = WarmupDecay(peak=0.05, num_steps=3, num_warmup_steps=0, decay_fraction=1.0)
    given = plan_of(AllParameters(), num_steps=3, schedule=decaying)
    fit(model, JointFeed([feed, other]), given, folder, CPU, lambda told: None, "tied/tiny-abc")
    return model


def apart(model: Any) -> float:
    return float(model._distance().detach())


@pytest.mark.slow
@pytest.mark.parametrize("spec", [plan_of(AllParameters()).optimizer, AdamWSpec(weight_decay=0.01)])
def test_strength_0_is_separate_training_bit_for_bit_with_dropout(tmp_path: Path, spec: Any) -> None:
    given = plan_of(AllParameters(), num_steps=3, optimizer=spec)
    together = SideBySide([pretrained(), pretrained()], ["a", "b"], 0.0)
    fit(together, JointFeed([feed, other]), given, tmp_path / "ab", CPU, lambda told: None, "tied/t-1")
    for number, source in enumerate((feed, other)):
        alone = pretrained()
        fit(alone, source, given, tmp_path / str(number), CPU, lambda told: None, "multitask/t-1")
        pairs = zip(alone.named_parameters(), together.models[number].parameters(), strict=True)
        assert [name for (name, one), two in pairs if not torch.equal(one, two)] == []


@pytest.mark.slow
def test_a_penalty_brings_models_together_and_a_larger_one_more(tmp_path: Path) -> None:
    distances = [apart(trained(tmp_path / str(s), s)) for s in (0.0, 0.1, 10.0)]
    assert distances[0] > distances[1] > distances[2] > 0


def test_only_the_modules_named_are_tied() -> None:
    model = SideBySide(
        [pretrained(), pretrained()], ["a", "b"], 1.0, modules=["encoder.blocks.0", "embedding"]
    )
    assert {name.split(".")[0] for name in model.tied} == {"encoder", "embedding"}
    with torch.no_grad():
        model.models[1].decoder.norm.scale.add_(1.0)
    assert apart(model) == 0
    with torch.no_grad():
        model.models[1].embedding.weight.add_(1.0)
    assert apart(model) == pytest.approx(model.models[1].embedding.weight.numel() / 2)
    assert is_below("encoder.norm.scale", ["encoder"]) and not is_below("encoders.x", ["encoder"])


@torch.no_grad()
def test_predictions_are_tied_by_their_divergence_from_the_same_inputs() -> None:
    model = SideBySide([pretrained(0.0), pretrained(0.0)], ["a", "b"], 1.0, "predictions")
    batch = {name: torch.from_numpy(array).long() for name, array in JointFeed([feed, other])(0).items()}
    model.loss(batch)
    assert float(model.loss_parts["apart"]) == pytest.approx(0, abs=1e-6)
    model.models[1].embedding.weight.mul_(-1.0)
    loss = model.loss(batch)
    own, others = (model.models[i](part_of(batch, 0)).log_softmax(-1) for i in (0, 1))
    counted = part_of(batch, 0)["targets"] > 0
    first = ((own.exp() * (own - others)).sum(-1) * counted).sum() / counted.numel()
    assert 0 < float(first) < float(model.loss_parts["apart"])
    assert float(loss) == pytest.approx(sum(float(part) for part in model.loss_parts.values()), rel=1e-5)


def test_each_model_is_compared_with_every_other_in_turn() -> None:
    joint = JointFeed([feed, other, feed])
    assert [int(joint(step)[PARTNER][0]) for step in range(4)] == [1, 2, 1, 2]
    assert np.array_equal(joint(5)["1.inputs"], other(5)["inputs"])


@pytest.mark.slow
def test_tokens_of_all_models_are_counted_and_each_loss_is_kept(tmp_path: Path) -> None:
    trained(tmp_path, 1.0)
    head, *rows = (tmp_path / "metrics.csv").read_text().splitlines()
    assert head == "step,loss,learning_rate,tokens,mean_loss,a,b,apart"
    assert rows[-1].split(",")[3] == str(3 * 2 * (24 + 16))


def ends(*words: str) -> dict[str, Stage]:
    cell = CELLS.load([TWO, *words])
    return cell.strategy.stages(cell)


def test_one_training_serves_all_columns_each_as_single_task_trains_it() -> None:
    stages, alone = ends(SOFT), ends("strategy=single_task")
    kinds = [stage.kind for stage in with_parents(stages.values())]
    assert sorted(kinds) == ["evaluate", "evaluate", "member", "member", "tied", "vocabulary"]
    (together,) = stages["questions"].trained[0].trained
    assert isinstance(together, SideBySideStage)
    for key, member in together.members.items():
        (single,) = alone[key].trained
        assert isinstance(single, MultitaskStage) and member.config == single.config
        assert together.content["members"][key] == single.content


def test_strength_tie_and_modules_are_another_training() -> None:
    variants = [
        (),
        ("strategy.strength=0.2",),
        ("strategy.tie=predictions",),
        ("strategy.modules=[encoder]",),
    ]
    assert len({ends(SOFT, *words)["questions"].trained[0].trained[0].identity for words in variants}) == 4


REFUSED = {
    ("strategy.strength=-1",): "strategy.strength=-1: a number from 0 up is needed",
    ("strategy.tie=odd",): "strategy.tie=odd: one of parameters, predictions is needed",
    ("strategy.modules=[]",): "strategy.modules=[]: a list, each text, not empty, or null is needed",
    ("strategy.modules=[nope]",): (
        "strategy.modules=nope: no such module; there are embedding, encoder, decoder and theirs"
    ),
    ("strategy.modules=[encoder]", "strategy.tie=predictions"): (
        "strategy.modules: only with strategy.tie=parameters; predictions are the whole model's"
    ),
    ("suite.use=[questions]",): "strategy=soft_sharing: suite.use leaves one column; at least two are tied",
    ("architecture=bert", "objective=masked_lm", "suite.use=[sentences,reasoning]"): (
        "strategy=soft_sharing: architecture=bert answers each column by layers of its own"
    ),
}


@pytest.mark.parametrize("words", REFUSED, ids=" ".join)
def test_what_cannot_be_tied_is_refused_before_anything_runs(words: tuple[str, ...]) -> None:
    with pytest.raises(ValueError) as refused:
        ends(SOFT, *words)
    assert str(refused.value).startswith(REFUSED[words])


def test_a_machine_that_deals_out_rows_is_refused() -> None:
    from dataclasses import replace

    refuse_machine(CPU)
    with pytest.raises(ValueError, match=r"^runtime\.micro_batch=4: strategy=soft_sharing needs null$"):
        refuse_machine(replace(CPU, micro_batch=4))


def test_a_member_has_its_models_weights_of_every_step(tmp_path: Path) -> None:
    stage = ends(SOFT)["to_norvin"].trained[0]
    assert isinstance(stage, MemberStage)
    (together,) = stage.trained
    context = Context(lambda stage: tmp_path / stage.kind, CPU, 1, lambda told: None)
    model = SideBySide([pretrained(), pretrained()], ["questions", "to_norvin"], 1.0)
    with torch.no_grad():
        model.models[1].embedding.weight.add_(1.0)
    for step in (1, 2):
        checkpoints.save(context.folder_of(together) / "checkpoints", step, model, None)
    stage.run(context)
    taken = checkpoints.steps(context.folder_of(stage) / "checkpoints")
    assert list(taken) == [1, 2] and prefix_of(1) == "models.1."
    alone = pretrained()
    checkpoints.load_model(taken[2], alone)
    assert torch.equal(alone.embedding.weight, model.models[1].embedding.weight)
