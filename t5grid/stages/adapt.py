"""pre-trained weights + the texts of a column -> weights: pre-training goes on."""

from typing import Any

from t5grid.stages.finetune import last_checkpoint
from t5grid.stages.pretrain import PretrainStage
from t5grid.stages.stage import Context


class AdaptStage(PretrainStage):
    """Pre-training that starts from a parent's weights; its tokens are those of a column's texts."""

    kind = "adapt"

    def prepare(self, context: Context, model: Any, evaluating: bool = False) -> frozenset[str]:
        """Load the weights of pre-training."""
        from t5grid.training import checkpoints

        (start,) = self.trained
        checkpoints.load_model(last_checkpoint(context, start), model)
        return frozenset()
