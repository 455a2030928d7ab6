"""Hugging Face checkpoint <-> a folder of ours, and the stage that lets fine-tuning start from such a folder.

    DIR/   config.yaml   vocabulary.model   checkpoints/step-00000000-<digest>.safetensors

`t5grid import` writes it; the folder of a finished stage has the same form, its vocabulary being its
parent's.
"""

import os
import re
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from t5grid import composing
from t5grid.config import Cell, Cells, build
from t5grid.files import folder_whole, write_whole
from t5grid.grid.stages import Context, Stage, build_model
from t5grid.identity import essential
from t5grid.model.architectures import EncoderDecoder, Size

CONFIG, VOCABULARY = "config.yaml", "vocabulary.model"
STEP = re.compile(r"step-(\d+)-[0-9a-f]+")


@dataclass(frozen=True)
class TrainedModel:
    """A folder with a trained model: its config, the stages it stands on, its checkpoints by step."""

    folder: Path
    kind: str
    config: dict[str, Any]
    parents: tuple[str, ...]
    checkpoints: dict[int, Path]

    @property
    def vocabulary(self) -> Path | None:
        """The file of its vocabulary: its own, or that of the vocabulary stage it stands on."""
        stages = [name for name in self.parents if name.startswith("vocabulary/")]
        places = [self.folder, *(self.folder.parent.parent / name for name in stages)]
        return next((place / VOCABULARY for place in places if (place / VOCABULARY).is_file()), None)

    def checkpoint(self, step: int | None = None) -> Path:
        """The file of a step, the last if None. Raises ValueError."""
        if step is not None and step not in self.checkpoints:
            steps = ", ".join(map(str, self.checkpoints))
            raise ValueError(f"{self.folder}: no checkpoint of step {step}; there are {steps}")
        return self.checkpoints[max(self.checkpoints) if step is None else step]


def read_folder(folder: Path) -> TrainedModel:
    """What a folder of ours says of itself; nothing heavy is read. Raises ValueError."""
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder")
    if not (folder / CONFIG).is_file():
        told = "a folder that t5grid import or a stage wrote is needed"
        if (folder / "config.json").is_file():
            told = f"Hugging Face's form; make it ours first: t5grid import {folder} DIR"
        raise ValueError(f"{folder}: {told}")
    try:
        said = OmegaConf.to_container(OmegaConf.load(folder / CONFIG))
        config = said["config"]  # type: ignore[index,call-overload]
        assert isinstance(config, dict) and config["architecture"] and config["size"]
        kind, parents = str(said["kind"]), tuple(map(str, said["parents"]))  # type: ignore[index,call-overload]
    except (
        OmegaConfBaseException,
        YAMLError,
        UnicodeDecodeError,
        OSError,
        LookupError,
        TypeError,
        AssertionError,
    ):
        raise ValueError(
            f"{folder / CONFIG}: architecture and size of a trained model are not in it"
        ) from None
    files = sorted((folder / "checkpoints").glob("step-*.safetensors"))
    steps = {int(found[1]): path for path in files if (found := STEP.fullmatch(path.stem))}
    if not steps:
        raise ValueError(f"{folder}: no checkpoint is in it")
    return TrainedModel(folder, kind, config, parents, steps)


def import_checkpoint(source: Path, target: Path) -> list[str]:
    """Write a Hugging Face T5 as a folder of ours. Raises ValueError, and writes nothing.

    Returns the overrides of a cell that starts from it.
    """
    from t5grid.model.interop import read_checkpoint
    from t5grid.training import checkpoints

    found = read_checkpoint(source)
    model = found.model()
    size = {"_target_": _target(Size), **asdict(found.size)}
    config = {"architecture": {"_target_": _target(EncoderDecoder)}, "size": size}
    said = {"kind": "import", "config": {**config, "vocab_size": found.vocab_size}, "parents": []}
    with folder_whole(target) as folder:
        write_whole(folder / CONFIG, OmegaConf.to_yaml(OmegaConf.create(said)))
        if found.vocabulary:
            write_whole(folder / VOCABULARY, found.vocabulary)
        checkpoints.save(folder / "checkpoints", 0, model, None)
    given = ["vocabulary=given", f"vocabulary.path={target / VOCABULARY}"] if found.vocabulary else []
    return [f"strategy.pretrained={target}", *_size_overrides(found.size), *given]


def _size_overrides(size: Size) -> list[str]:
    """The option of these measures (dropout apart), else the measures one by one."""
    cells = Cells()  # composes what the options have in common once
    for name in composing.options("size"):
        if _measures(cells.load([f"size={name}"]).size) == _measures(size):
            return [f"size={name}"]
    words = _measures(size) | {"dropout": size.dropout}
    return [f"size.{key}={str(value).lower()}" for key, value in words.items()]


def _measures(size: Size) -> dict[str, Any]:
    """What decides the shapes of the weights, under the keys a user writes."""
    said = asdict(size) | {"num_decoder_layers": size.decoder_layers}
    return {key: value for key, value in said.items() if not key.endswith("dropout")}


def export_checkpoint(source: Path, target: Path, step: int | None = None) -> None:
    """Write a trained model of ours as a Hugging Face T5. Raises ValueError, and writes nothing."""
    from t5grid.model.interop import write_checkpoint
    from t5grid.training import checkpoints

    trained = read_folder(source)
    vocabulary = trained.vocabulary.read_bytes() if trained.vocabulary else None
    model, _ = build_model({"seed": 0, **trained.config}, _vocab_size(trained, vocabulary))
    checkpoints.load_model(trained.checkpoint(step), model)
    size = build(trained.config["size"], "size")
    try:
        with folder_whole(target) as folder:
            write_checkpoint(model, size, vocabulary, folder)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from None


def _vocab_size(trained: TrainedModel, vocabulary: bytes | None) -> int:
    from t5grid.data.vocabulary import Vocabulary

    if vocabulary is None and "vocab_size" not in trained.config:
        raise ValueError(f"{trained.folder}: its vocabulary stage is not beside it")
    return trained.config["vocab_size"] if vocabulary is None else Vocabulary(vocabulary).size


def _target(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


class ImportStage(Stage):
    """a folder with a trained model -> its weights, where fine-tuning looks for those it starts from."""

    kind = "import"

    def run(self, context: Context) -> dict[str, Any]:
        from t5grid.training import checkpoints

        source = checkpoints.newest(Path(self.config["path"]) / "checkpoints")
        if _digest(source) != self.content["weights"]:
            raise ValueError(f"{self.config['path']}: its newest sound checkpoint is not the one asked for")
        target = context.folder_of(self) / "checkpoints" / source.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        try:
            os.link(source, target)
        except OSError:  # another file system: the digest in its name tells a part from the whole
            shutil.copyfile(source, target)
        return {"weights": self.content["weights"]}


def import_stage(cell: Cell, path: str, vocabulary: Stage) -> Stage:
    """The stage for `strategy.pretrained=path`, identified by the weights and not by the path.

    Raises ValueError where the cell's architecture, size or vocabulary is not that of the weights.
    """
    try:
        trained = read_folder(Path(path))
        _check_model(cell, trained)
        _check_vocabulary(cell, trained, vocabulary)
    except ValueError as error:
        raise ValueError(f"strategy.pretrained={path}: {str(error).removeprefix(f'{path}: ')}") from None
    content = {
        "weights": _digest(trained.checkpoint()),
        "architecture": essential(trained.config["architecture"]),
    }
    return ImportStage("imported", {"path": str(Path(path).absolute())}, content)


def _digest(checkpoint: Path) -> str:
    return checkpoint.stem.rpartition("-")[2]


def _check_model(cell: Cell, trained: TrainedModel) -> None:
    theirs, ours = (build(each["architecture"], "architecture") for each in (trained.config, cell.config))
    if theirs != ours:
        raise ValueError(f"architecture: {theirs} was trained, the cell has {ours}")
    ours = _measures(cell.size)
    for key, value in _measures(build(trained.config["size"], "size")).items():
        if ours[key] != value:
            told = f"{value} was trained, the cell has {ours[key]}; write size.{key}={str(value).lower()}"
            raise ValueError(f"size.{key}: {told}")


def _check_vocabulary(cell: Cell, trained: TrainedModel, vocabulary: Stage) -> None:
    """The same vocabulary stage, or the same file; of weights that bring none, the table must fit."""
    from t5grid.data.vocabulary import Vocabulary
    from t5grid.model.architectures import table_rows

    if vocabulary.identity in trained.parents:
        return
    if trained.vocabulary is not None:
        if vocabulary.content.get("vocabulary") != {"model": Vocabulary.load(trained.vocabulary).fingerprint}:
            given = f"vocabulary=given vocabulary.path={trained.vocabulary}"
            raise ValueError(f"it was trained with a vocabulary of its own; write {given}")
        return
    rows, size = table_rows(trained.config["vocab_size"]), cell.vocabulary.size
    if rows != table_rows(size):
        raise ValueError(
            f"its id table has {rows} rows, the cell's vocabulary of {size} ids {table_rows(size)}"
        )
