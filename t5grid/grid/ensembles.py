"""cell -> several trained models scored as one (paper, section 3.6; Table 13)."""

from dataclasses import dataclass
from typing import Annotated

from t5grid.config.rules import AtLeast
from t5grid.config.schema import Cell
from t5grid.grid.strategies import column_stages, pretrain_stage, refuse_together, vocabulary_stage
from t5grid.stages.evaluate import EvaluateStage
from t5grid.stages.stage import Stage

LARGEST_SEED = 2**32


@dataclass(frozen=True)
class Ensemble:
    """`num_members` models of seeds of their own, or of one pre-training where `pretrained_once`.

    The members of seed s have the seeds s * num_members and following, so that ensembles of different seeds
    have no member in common, and the first shares what the baseline of equal seeds has trained.
    """

    num_members: Annotated[int, AtLeast(2)]
    pretrained_once: bool

    def stages(self, cell: Cell) -> dict[str, Stage]:
        """The evaluate stage of every column; parents lead back to the vocabulary."""
        refuse_together(cell)
        first = cell.seed * self.num_members
        cells = [cell.with_seed((first + i) % LARGEST_SEED) for i in range(self.num_members)]
        members = [self._member(seeded, cells[0]) for seeded in cells]
        return {key: _together(cell, [member[key] for member in members]) for key in members[0]}

    def _member(self, cell: Cell, first: Cell) -> dict[str, Stage]:
        """The evaluate stages that one member would have alone."""
        vocabulary = vocabulary_stage(cell)
        pretrain = pretrain_stage(first if self.pretrained_once else cell, vocabulary)
        return column_stages(cell, vocabulary, (pretrain,), cell.config["budget"]["finetune"]["schedule"])


def _together(cell: Cell, alone: list[Stage]) -> Stage:
    """One evaluation of all members, in place of the evaluation of each."""
    first, seed = alone[0], {"seed": cell.seed}
    parents = (*(member for stage in alone for member in stage.trained), first.vocabulary)
    return EvaluateStage(
        f"{first.name}-ensemble{len(alone)}", first.config | seed, first.content | seed, parents
    )
