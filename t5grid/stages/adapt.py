"""pre-trained weights + the texts of a column -> weights: pre-training goes on."""

from t5grid.stages.pretrain import PretrainStage


class AdaptStage(PretrainStage):
    """Pre-training that starts from a parent's weights; its tokens are those of a column's texts."""

    kind = "adapt"
