"""`strategy.pretrained=DIR` -> the stage whose weights replace pre-training."""

import os
from pathlib import Path
from typing import Any

from t5grid.config.identity import essential
from t5grid.config.schema import Cell, build
from t5grid.model.size import fits_table, table_rows
from t5grid.refused import Refused
from t5grid.stages.exchange import measures
from t5grid.stages.imported import ImportStage, digest_in
from t5grid.stages.stage import Stage
from t5grid.stages.stage_file import TrainedModel, trained_model


def import_stage(cell: Cell, path: str, vocabulary: Stage) -> Stage:
    """The stage for `strategy.pretrained=path`, identified by the weights and not by the path.

    Raises Refused where the cell's architecture, size or vocabulary is not that of the weights.
    """
    path = os.path.expanduser(path)
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
    config: dict[str, Any] = {"path": str(Path(path).absolute())}
    if (num_rows := trained.num_rows()) != table_rows(cell.vocabulary.size):
        config |= {"num_rows": num_rows}
    if trained.vocabulary is None and vocabulary.identity not in trained.parents:
        config |= {"brings_vocabulary": False}
    return ImportStage("imported", config, content)


def _check_model(cell: Cell, trained: TrainedModel) -> None:
    given, wanted = (
        build(config["architecture"], "architecture") for config in (trained.config, cell.config)
    )
    if given != wanted:
        raise Refused(f"architecture: {given} was trained, the cell has {wanted}")
    size = measures(cell.size)
    for key, value in measures(build(trained.config["size"], "size")).items():
        if size[key] != value:
            difference = (
                f"{value} was trained, the cell has {size[key]}; write size.{key}={str(value).lower()}"
            )
            raise Refused(f"size.{key}: {difference}")


def _check_vocabulary(cell: Cell, trained: TrainedModel, vocabulary: Stage) -> None:
    """The same vocabulary stage, or the same file; of weights that bring none, one whose ids fit."""
    from t5grid.data.vocabulary import Trained, Vocabulary

    if vocabulary.identity in trained.parents:
        return
    if trained.vocabulary is not None:
        if vocabulary.content.get("vocabulary") != {"model": Vocabulary.load(trained.vocabulary).fingerprint}:
            given = f"vocabulary=given vocabulary.path={trained.vocabulary}"
            raise Refused(f"it was trained with a vocabulary of its own; write {given}")
        return
    if isinstance(cell.vocabulary, Trained):
        own = "vocabulary=given vocabulary.path=FILE.model"
        raise Refused(f"it brings no vocabulary; give the one it was trained with: {own}")
    rows, size = trained.num_rows(), cell.vocabulary.size
    if not fits_table(size, rows):
        raise Refused(f"its id table has {rows} rows, the cell's vocabulary of {size} ids {table_rows(size)}")
