"""finished fine-tunings -> one model at any checkpoint, on the machine's device."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from t5grid.config.schema import Column, build
from t5grid.evaluation.deal import ALONE, Deal
from t5grid.evaluation.scores import common_checkpoints
from t5grid.model.ensemble import as_one
from t5grid.refused import Refused
from t5grid.stages.model import build_model
from t5grid.stages.stage import Context, Stage
from t5grid.stages.text import load_vocabulary
from t5grid.stages.training_stage import TrainingStage
from t5grid.training import checkpoints
from t5grid.training.sharding import own


@dataclass(frozen=True)
class Restored:
    """The models of one column's fine-tunings as one that decodes; `steps` are those with a checkpoint."""

    model: nn.Module
    vocabulary: Any
    column: Column
    _members: Sequence[nn.Module]
    _left_out: Sequence[frozenset[str]]
    _paths: dict[int, list[Path]]
    _deal: Deal

    @property
    def steps(self) -> list[int]:
        """Steps of which there is a checkpoint, ascending."""
        return sorted(self._paths)

    def at(self, step: int) -> nn.Module:
        """The model with the weights of that step, the same object every time.

        Raises Refused where its checkpoint is gone or damaged, or a weight is no number.
        """
        if step not in self._paths:
            folder, steps = next(iter(self._paths.values()))[0].parent, ", ".join(map(str, self.steps))
            raise Refused(f"{folder}: no sound checkpoint of step {step} is left; there are {steps}")
        for member, path, without in zip(self._members, self._paths[step], self._left_out, strict=True):
            with self._deal.loading(member):
                checkpoints.load_model(path, member, without)
            refuse_no_numbers(member, path)
        return self.model


def refuse_no_numbers(model: nn.Module, path: Path) -> None:
    """Raise Refused naming the file where a weight is NaN or infinite: such a model answers nothing."""
    for name, parameter in model.named_parameters():
        if not torch.isfinite(own(parameter)).all():
            raise Refused(f"{path}: tensor {name} holds NaN or infinity: nothing can be answered with it")


def restore(evaluate: Stage, context: Context, deal: Deal = ALONE) -> Restored:
    """What an evaluate stage scores, each model where it answers."""
    stages = [stage for stage in evaluate.trained if isinstance(stage, TrainingStage)]
    vocabulary = load_vocabulary(context, evaluate.vocabulary)
    members = [build_model(evaluate.config, vocabulary.size)[0] for _ in stages]
    pairs = zip(stages, members, strict=True)
    left_out = [stage.prepare(context, member, evaluating=True) for stage, member in pairs]
    for member in members:
        deal.place(member, context.runtime.accelerator)
    return Restored(
        model=as_one(members).eval(),
        vocabulary=vocabulary,
        column=build(evaluate.config["column"], "suite", Column),
        _members=members,
        _left_out=left_out,
        _paths=common_checkpoints([context.folder_of(stage) for stage in stages]),
        _deal=deal,
    )
