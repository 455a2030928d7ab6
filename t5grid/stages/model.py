"""a stage's config -> its model, and what training it costs."""

from typing import Any

from t5grid.config import contracts
from t5grid.config.contracts import members
from t5grid.config.schema import build
from t5grid.model.costs import mean_step
from t5grid.refused import Refused
from t5grid.stages.stage import Stage
from t5grid.stages.workload import Built, shape_of

NUM_MEASURED = 8  # batches of which padding and operations are worked out


def model_of(stage: Stage, built: Built) -> tuple[Any, Any, int]:
    """Architecture, size and vocabulary size of a stage's model."""
    vocab_size = built(stage.vocabulary.config["vocabulary"], "vocabulary").size
    config = stage.config
    return built(config["architecture"], "architecture"), built(config["size"], "size"), vocab_size


def build_model(config: dict[str, Any], vocab_size: int, pretraining: bool = False) -> tuple[Any, Any]:
    """A freshly initialised model of a stage's architecture and size, and the architecture."""
    from t5grid.training.fit import initialise

    architecture, size = build(config["architecture"], "architecture"), build(config["size"], "size")
    dropout = size.pretrain_dropout if pretraining else None
    model = initialise(lambda: architecture.build(size, vocab_size, dropout), config["seed"])
    for name in members(contracts.Model):
        if not hasattr(model, name):
            raise Refused(f"architecture={type(architecture).__name__}: the model it builds lacks {name}")
    return model, architecture


def measured(feed: Any, architecture: Any, size: Any, vocab_size: int, plan: Any) -> dict[str, Any]:
    """Padding left in the batches, and operations of the whole run, from the first few batches."""
    from t5grid.data.batching import padding_share

    batches = [feed(step) for step in range(min(NUM_MEASURED, plan.num_steps))]
    method, shapes = plan.method, map(shape_of, batches)
    products = [method.products(architecture.products(size, vocab_size, *s), size.d_model) for s in shapes]
    flops = [mean_step(of_batch, method, plan.num_steps).total for of_batch in products]
    padding = sum(map(padding_share, batches)) / len(batches)
    return {"padding": round(padding, 4), "flops": round(sum(flops) / len(flops) * plan.num_steps)}


def num_parameters(model: Any) -> int:
    """Parameters of a model, shared ones once."""
    return sum(parameter.numel() for parameter in model.parameters())
