"""cell -> the pre-trained model that its fine-tunings start from."""

from typing import Any

from t5grid.config.schema import Cell
from t5grid.data.vocabulary import Vocabulary
from t5grid.execution.store import Store
from t5grid.refused import Refused
from t5grid.stages.stage import Context, Stage, with_parents

WITH_WEIGHTS = ("pretrain", "import")


def pretrained_model(cell: Cell, option: str) -> tuple[Any, Vocabulary]:
    """The model and its vocabulary. Raises Refused where it is not there; `option` is what asks for it."""
    from t5grid.stages.model import build_model
    from t5grid.stages.text import load_vocabulary
    from t5grid.stages.training_stage import last_checkpoint
    from t5grid.training import checkpoints

    stage, store = start_of(cell, option), Store(cell.runtime.runs_dir)
    if (state := store.state(stage)) != "done":
        raise Refused(f"{stage.identity}: {state} in {store.root}; t5grid run makes it")
    context = Context(store.folder, cell.runtime, 1, lambda progress: None)
    vocabulary = load_vocabulary(context, next(iter(cell.strategy.stages(cell).values())).vocabulary)
    model, _ = build_model({**cell.config, "seed": cell.seed}, vocabulary.size)
    rows = [before.config["num_rows"] for before in with_parents([stage]) if "num_rows" in before.config]
    if rows and hasattr(model, "keep_rows"):
        model.keep_rows(rows[-1])
    checkpoints.load_model(last_checkpoint(context, stage), model)
    return model.eval(), vocabulary


def start_of(cell: Cell, option: str) -> Stage:
    """The stage whose weights they are: the last where one goes on from another, once for all columns."""
    stages = with_parents(list(cell.strategy.stages(cell).values()))
    starts = [stage for stage in stages if stage.kind in WITH_WEIGHTS]
    if not starts:
        raise Refused(f"inspect {option}: strategy={cell.labels['strategy']} has no pre-trained model")
    gone_on_with = {parent.identity for stage in starts for parent in stage.parents}
    ends = [stage for stage in starts if stage.identity not in gone_on_with]
    return ends[0] if len(ends) == 1 else starts[0]
