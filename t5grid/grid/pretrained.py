"""`strategy.pretrained=DIR` -> the stage whose weights take the place of pre-training."""

from pathlib import Path

from t5grid.config.identity import essential
from t5grid.config.schema import Cell, build
from t5grid.refused import Refused
from t5grid.stages.exchange import measures
from t5grid.stages.imported import ImportStage, digest_in
from t5grid.stages.stage import Stage
from t5grid.stages.stage_file import TrainedModel, trained_model


def import_stage(cell: Cell, path: str, vocabulary: Stage) -> Stage:
    """The stage for `strategy.pretrained=path`, identified by the weights and not by the path.

    Raises Refused where the cell's architecture, size or vocabulary is not that of the weights.
    """
    try:
        trained = trained_model(Path(path))
        _check_model(cell, trained)
        _check_vocabulary(cell, trained, vocabulary)
    except Refused as error:
        raise Refused(f"strategy.pretrained={path}: {str(error).removeprefix(f'{path}: ')}") from None
    content = {
        "weights": digest_in(trained.checkpoint()),
        "architecture": essential(trained.config["architecture"]),
    }
    return ImportStage("imported", {"path": str(Path(path).absolute())}, content)


def _check_model(cell: Cell, trained: TrainedModel) -> None:
    theirs, ours = (build(each["architecture"], "architecture") for each in (trained.config, cell.config))
    if theirs != ours:
        raise Refused(f"architecture: {theirs} was trained, the cell has {ours}")
    ours = measures(cell.size)
    for key, value in measures(build(trained.config["size"], "size")).items():
        if ours[key] != value:
            told = f"{value} was trained, the cell has {ours[key]}; write size.{key}={str(value).lower()}"
            raise Refused(f"size.{key}: {told}")


def _check_vocabulary(cell: Cell, trained: TrainedModel, vocabulary: Stage) -> None:
    """The same vocabulary stage, or the same file; of weights that bring none, the table must fit."""
    from t5grid.data.vocabulary import Vocabulary
    from t5grid.model.size import table_rows

    if vocabulary.identity in trained.parents:
        return
    if trained.vocabulary is not None:
        if vocabulary.content.get("vocabulary") != {"model": Vocabulary.load(trained.vocabulary).fingerprint}:
            given = f"vocabulary=given vocabulary.path={trained.vocabulary}"
            raise Refused(f"it was trained with a vocabulary of its own; write {given}")
        return
    rows, size = table_rows(trained.config["vocab_size"]), cell.vocabulary.size
    if rows != table_rows(size):
        raise Refused(f"its id table has {rows} rows, the cell's vocabulary of {size} ids {table_rows(size)}")
