"""What a part of pre-training is, that it alone is taken, and that what is fixed stays as it was."""

from pathlib import Path
from typing import Any

import pytest
import torch
from test_finetuning import CPU, names_of, pretrained, stages_of
from test_finetuning import plan as plan_of

from t5grid.config.schema import load_cell
from t5grid.model.costs import parameters
from t5grid.stages.stage import Context
from t5grid.training import checkpoints
from t5grid.training.callbacks import OptimizerState
from t5grid.training.finetuning import fresh, never_trained
from t5grid.training.fit import _callbacks, initialise
from t5grid.training.partial_transfer import PartialTransfer

NAMES = [
    *("embedding.weight", "encoder.position_bias.table", "encoder.blocks.0.a", "encoder.blocks.1.a"),
    *("encoder.norm.scale", "decoder.position_bias.table", "decoder.blocks.0.a", "decoder.blocks.1.a"),
    *("decoder.norm.scale", "softmax.weight"),
]
PARTS = {
    "everything": set(NAMES),
    "embeddings": {"embedding.weight"},
    "lowest_blocks": {NAMES[0], NAMES[1], NAMES[2], NAMES[5], NAMES[6]},
    "top_blocks": {NAMES[0], NAMES[3], NAMES[4], NAMES[7], NAMES[8], NAMES[9]},
    "encoder": set(NAMES[:5]),
    "decoder": {NAMES[0], *NAMES[5:]},
}


@pytest.mark.parametrize("part", PARTS)
def test_a_part_is_these_parameters_and_only_they_are_fixed(part: Any) -> None:
    assert PartialTransfer(part).taken(NAMES) == PARTS[part]
    assert PartialTransfer(part, embeddings=False).taken(NAMES) == PARTS[part] - {"embedding.weight"}
    assert PartialTransfer(part).episodes(NAMES, 9) == {0: frozenset(NAMES)}
    frozen = PartialTransfer(part, frozen=True)
    assert never_trained(NAMES, frozen.episodes(NAMES, 9)) == PARTS[part]
    assert fresh(frozen, [*NAMES, "answering.layers.x.weight"]) == (
        {*NAMES, "answering.layers.x.weight"} - PARTS[part]
    )


def test_of_an_encoder_all_tables_go_with_a_part() -> None:
    cell = load_cell(["architecture=albert", "objective=masked_lm"])
    names = list(parameters(cell.architecture.products(cell.size, 128, 1, 8, 8)))
    assert PartialTransfer("embeddings").taken(names) == {
        *("embedding.weight", "position_embedding.weight", "type_embedding.weight"),
        *("embedding_norm.scale", "embedding_norm.shift", "widen.weight", "widen.bias"),
    }


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("part", ["embeddings", "lowest_blocks", "encoder"])
def test_what_is_not_taken_starts_afresh_and_comes_back_from_the_checkpoint(
    tmp_path: Path, part: str, frozen: bool
) -> None:
    words = ["size.d_model=16", "size.d_ff=32", "suite.use=[to_norvin]"]
    method = [f"finetune.part={part}", f"finetune.frozen={str(frozen).lower()}"]
    tuned, _ = stages_of("finetune=partial_transfer", *method, *words[:2])
    context = Context(lambda stage: tmp_path / stage.kind, CPU, 1, lambda told: None)
    cell = load_cell(words)
    built = lambda seed: initialise(lambda: cell.architecture.build(cell.size, 300), seed)  # noqa: E731
    start, model, again = built(7), built(0), built(1)
    checkpoints.save(tmp_path / "pretrain/checkpoints", cell.budget.pretrain.num_steps, start, None)
    without = tuned.prepare(context, model)
    before, now, afresh = (dict(each.named_parameters()) for each in (start, model, built(0)))
    taken = tuned.method.taken(list(before))
    assert without == (taken if frozen else frozenset())
    for name, parameter in now.items():
        assert torch.equal(parameter, (before if name in taken else afresh)[name]), name
    path = checkpoints.save(tmp_path / "finetune", 4, model, None, without)
    checkpoints.load_model(path, again, tuned.prepare(context, again, evaluating=True))
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))


def test_a_continued_optimizer_has_no_moments_of_what_is_fresh(tmp_path: Path) -> None:
    model, method = pretrained(), PartialTransfer("top_blocks")
    path = checkpoints.save(tmp_path, 3, model, None)
    assert path
    state = _callbacks(model, plan_of(method, optimizer_from=path), tmp_path, None, None)[0]  # type: ignore
    assert isinstance(state, OptimizerState)
    places = checkpoints.places_of(path, model, state.fresh)
    names = names_of(model)
    assert {names[place] for place in places.values()} == method.taken(names)
    assert all(index == place for index, place in places.items())


REFUSED = {
    ("finetune.part=lowest_blocks", "finetune.num_blocks=3"): "finetune.num_blocks=3: a stack has 2 blocks",
    ("finetune.part=top_blocks", "finetune.num_blocks=2", "architecture=encoder_decoder_half"): (
        "finetune.num_blocks=2: a stack has 1 blocks"
    ),
    ("finetune.part=encoder", "architecture=language_model"): (
        "finetune.part=encoder: architecture=language_model has no encoder and decoder of their own"
    ),
    ("finetune.part=decoder", "architecture=encoder_decoder_shared"): (
        "finetune.part=decoder: architecture=encoder_decoder_shared has no encoder and decoder of their own"
    ),
    ("finetune.part=embeddings", "finetune.embeddings=false"): (
        "finetune.part=embeddings: with finetune.embeddings=false nothing is taken"
    ),
    ("finetune.part=everything", "finetune.frozen=true"): (
        "finetune.part=everything: with finetune.frozen=true nothing is trained"
    ),
    ("strategy=no_pretraining",): (
        "finetune=partial_transfer: strategy=no_pretraining has no pre-trained weights to take a part of"
    ),
}


@pytest.mark.parametrize("words", REFUSED, ids=" ".join)
def test_what_cannot_be_taken_is_refused_before_anything_runs(words: tuple[str, ...]) -> None:
    with pytest.raises(ValueError) as refused:
        cell = load_cell(["finetune=partial_transfer", *words])
        cell.strategy.stages(cell)
    assert str(refused.value) == REFUSED[words]
