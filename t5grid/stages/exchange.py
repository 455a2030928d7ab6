"""Hugging Face checkpoint <-> the folder of a trained model of ours."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from t5grid.config import compose
from t5grid.config.schema import Cells, build
from t5grid.files import folder_whole, write_whole
from t5grid.model.architectures import EncoderDecoder
from t5grid.model.size import Size
from t5grid.refused import Refused
from t5grid.stages.model import build_model
from t5grid.stages.stage_file import FILE, TrainedModel, trained_model
from t5grid.stages.text import VOCABULARY


def import_checkpoint(source: Path, target: Path) -> list[str]:
    """Write a Hugging Face T5 as a folder of ours. Raises Refused, and writes nothing.

    Returns the overrides of a cell that starts from it.
    """
    from t5grid.model.huggingface import read_checkpoint
    from t5grid.training import checkpoints

    checkpoint = read_checkpoint(source)
    model = checkpoint.model()
    size = {"_target_": _target(Size), **asdict(checkpoint.size)}
    config = {"architecture": {"_target_": _target(EncoderDecoder)}, "size": size}
    told = {"kind": "import", "config": {**config, "vocab_size": checkpoint.vocab_size}, "parents": []}
    with folder_whole(target) as folder:
        write_whole(folder / FILE, OmegaConf.to_yaml(OmegaConf.create(told)))
        if checkpoint.vocabulary:
            write_whole(folder / VOCABULARY, checkpoint.vocabulary)
        checkpoints.save(folder / "checkpoints", 0, model, None)
    given = ["vocabulary=given", f"vocabulary.path={target / VOCABULARY}"] if checkpoint.vocabulary else []
    return [f"strategy.pretrained={target}", *_size_overrides(checkpoint.size), *given]


def _size_overrides(size: Size) -> list[str]:
    """The option of these measures (dropout apart), else the measures one by one."""
    cells = Cells()  # composes what the options have in common once
    for name in compose.options("size"):
        if measures(cells.load([f"size={name}"]).size) == measures(size):
            return [f"size={name}"]
    words = measures(size) | {"dropout": size.dropout}
    return [f"size.{key}={str(value).lower()}" for key, value in words.items()]


def measures(size: Size) -> dict[str, Any]:
    """What decides the shapes of the weights, under the keys a user writes."""
    values = asdict(size) | {"num_decoder_layers": size.decoder_layers}
    return {key: value for key, value in values.items() if not key.endswith("dropout")}


def export_checkpoint(source: Path, target: Path, step: int | None = None) -> None:
    """Write a trained model of ours as a Hugging Face T5. Raises Refused, and writes nothing."""
    from t5grid.model.huggingface import write_checkpoint
    from t5grid.model.transformer import EncoderDecoderModel
    from t5grid.training import checkpoints

    trained = trained_model(source)
    if hasattr(build(trained.config["architecture"], "architecture"), "segments"):
        raise Refused(f"{source}: a model that reads in segments; Hugging Face's T5 reads whole texts")
    vocabulary = trained.vocabulary.read_bytes() if trained.vocabulary else None
    model, _ = build_model({"seed": 0, **trained.config}, _vocab_size(trained, vocabulary))
    if isinstance(model, EncoderDecoderModel):
        model.keep_rows(trained.num_rows(step))
    checkpoints.load_model(trained.checkpoint(step), model)
    size = build(trained.config["size"], "size")
    try:
        with folder_whole(target) as folder:
            write_checkpoint(model, size, vocabulary, folder)
    except Refused as error:
        raise Refused(f"{source}: {error}") from None


def _vocab_size(trained: TrainedModel, vocabulary: bytes | None) -> int:
    from t5grid.data.vocabulary import Vocabulary

    if vocabulary is None and "vocab_size" not in trained.config:
        raise Refused(f"{trained.folder}: its vocabulary stage is not beside it")
    return trained.config["vocab_size"] if vocabulary is None else Vocabulary(vocabulary).size


def _target(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"
