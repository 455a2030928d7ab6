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
    """Write a Hugging Face T5 or BERT as a folder of ours. Raises Refused, and writes nothing.

    Returns the overrides of a cell that starts from it.
    """
    from t5grid.model.huggingface import read_checkpoint
    from t5grid.model.huggingface_bert import is_bert

    if is_bert(source):
        return _import_bert(source, target)
    checkpoint = read_checkpoint(source)
    size, vocabulary = checkpoint.size, checkpoint.vocabulary
    _write(target, checkpoint.model(), EncoderDecoder(), size, checkpoint.vocab_size, vocabulary)
    return [f"strategy.pretrained={target}", *_size_overrides(size), *_given(target, vocabulary)]


def _import_bert(source: Path, target: Path) -> list[str]:
    from t5grid.model.huggingface_bert import read_bert

    checkpoint = read_bert(source)
    architecture, size, vocabulary = checkpoint.architecture, checkpoint.size, checkpoint.vocabulary
    _write(target, checkpoint.model, architecture, size, checkpoint.model.vocab_size, vocabulary)
    if checkpoint.fresh:
        print(f"not in {source}, so fresh: {', '.join(checkpoint.fresh)}")
    words = ["architecture=bert", f"architecture.num_positions={architecture.num_positions}"]
    of_size = [word for word in _size_overrides(size) if not word.startswith("size.num_decoder_layers=")]
    words += [f"strategy.pretrained={target}", *of_size]
    return [*words, *_given(target, vocabulary)]


def _given(target: Path, vocabulary: bytes | None) -> list[str]:
    return ["vocabulary=given", f"vocabulary.path={target / VOCABULARY}"] if vocabulary else []


def _write(
    target: Path, model: Any, architecture: Any, size: Size, vocab_size: int, vocabulary: bytes | None
) -> None:
    """The folder of a trained model."""
    from t5grid.training import checkpoints

    config = {
        "architecture": {"_target_": _target(type(architecture)), **asdict(architecture)},
        "size": {"_target_": _target(Size), **asdict(size)},
        "vocab_size": vocab_size,
    }
    told = {"kind": "import", "config": config, "parents": []}
    with folder_whole(target) as folder:
        write_whole(folder / FILE, OmegaConf.to_yaml(OmegaConf.create(told)))
        if vocabulary:
            write_whole(folder / VOCABULARY, vocabulary)
        checkpoints.save(folder / "checkpoints", 0, model, None)


def _size_overrides(size: Size) -> list[str]:
    """The option of these measures (dropout and initialisation apart), else all of it one by one."""
    cells = Cells()  # composes what the options have in common once
    for name in compose.options("size"):
        if measures(cells.load([f"size={name}"]).size) == measures(size):
            return [f"size={name}"]
    words = measures(size) | {"dropout": size.dropout, "initialisation": size.initialisation}
    return [f"size.{key}={str(value).lower()}" for key, value in words.items()]


def measures(size: Size) -> dict[str, Any]:
    """What decides the shapes of the weights, under the keys a user writes."""
    values = asdict(size) | {"num_decoder_layers": size.decoder_layers}
    no_shapes = ("dropout", "pretrain_dropout", "initialisation")
    return {key: value for key, value in values.items() if key not in no_shapes}


def export_checkpoint(source: Path, target: Path, step: int | None = None) -> None:
    """Write a trained model of ours as a Hugging Face T5 or BERT. Raises Refused, and writes nothing."""
    from t5grid.model.encoder import EncoderModel
    from t5grid.model.huggingface import write_checkpoint
    from t5grid.model.huggingface_bert import write_bert
    from t5grid.model.transformer import EncoderDecoderModel
    from t5grid.training import checkpoints

    trained = trained_model(source)
    if hasattr(build(trained.config["architecture"], "architecture"), "segments"):
        raise Refused(f"{source}: a model that reads in segments; Hugging Face's T5 reads whole texts")
    vocabulary = trained.vocabulary.read_bytes() if trained.vocabulary else None
    model, architecture = build_model({"seed": 0, **trained.config}, _vocab_size(trained, vocabulary))
    if isinstance(model, EncoderDecoderModel):
        model.keep_rows(trained.num_rows(step))
    checkpoints.load_model(trained.checkpoint(step), model)
    size = build(trained.config["size"], "size")
    try:
        with folder_whole(target) as folder:
            if isinstance(model, EncoderModel):
                write_bert(model, architecture, size, vocabulary, folder)
            else:
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
