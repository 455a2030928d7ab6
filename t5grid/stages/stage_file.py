"""stage -> file -> stage: what a job, another command or a person reads one from.

`config.yaml` in a stage's folder says what it is: kind, version, config, content and its parents' identities,
plain values, resolved; of a kind that is not ours its class too, which is only looked for where a `_target_`
may be (config.trust). The folder of a trained model has the same form:

    DIR/   config.yaml   vocabulary.model   checkpoints/step-00000000-<digest>.safetensors

`t5grid import` writes one; that of a finished stage has its vocabulary in its parent's.
"""

import importlib
import json
import re
import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from t5grid.config.build import current_path
from t5grid.config.identity import is_ours
from t5grid.config.trust import check_allowed
from t5grid.files import is_regular, write_whole
from t5grid.refused import Refused
from t5grid.stages.evaluate import EvaluateStage
from t5grid.stages.finetune import FinetuneStage
from t5grid.stages.imported import ImportStage
from t5grid.stages.multitask import MultitaskStage
from t5grid.stages.perplexity import PerplexityStage
from t5grid.stages.pretrain import PretrainStage
from t5grid.stages.prompt import PromptStage
from t5grid.stages.side_by_side import MemberStage, SideBySideStage
from t5grid.stages.stage import Stage
from t5grid.stages.text import VOCABULARY, TokensStage, VocabularyStage

FILE = "config.yaml"
LONGEST_HEADER = 100_000_000  # bytes of a safetensors file, as the format's own readers allow
STEP = re.compile(r"step-(\d+)-[0-9a-f]+")
KEYS = {"identity": str, "kind": str, "version": int, "config": dict, "content": dict, "parents": list}
KINDS: tuple[type[Stage], ...] = (
    VocabularyStage,
    TokensStage,
    PretrainStage,
    MultitaskStage,
    ImportStage,
    FinetuneStage,
    SideBySideStage,
    MemberStage,
    EvaluateStage,
    PromptStage,
    PerplexityStage,
)


def write(stages: Iterable[Stage], folder_of: Callable[[Stage], Path]) -> None:
    """Leave the files of stages where they are not there yet, or say something else."""
    for stage in stages:
        cls = type(stage)
        own = {} if is_ours(cls) else {"class": f"{cls.__module__}.{cls.__qualname__}"}
        text = OmegaConf.to_yaml(OmegaConf.create(stage.describe() | own))
        path = folder_of(stage) / FILE
        if not path.exists() or path.read_bytes() != text.encode():
            write_whole(path, text)


def description(path: Path, keys: Collection[str] = KEYS.keys()) -> dict[str, Any]:
    """What a config.yaml says. Raises Refused naming the file where the keys of a stage are not in it."""
    try:
        if not is_regular(path):
            raise Refused(f"{path}: not a file")
        told: Any = OmegaConf.to_container(OmegaConf.load(path))
    except FileNotFoundError:
        raise Refused(f"{path}: no such file; name a stage as `t5grid status` and runs/ do") from None
    except Refused:
        raise
    except RecursionError:
        raise Refused(f"{path}: nested too deeply") from None
    except (OmegaConfBaseException, YAMLError, ValueError, OSError) as error:
        raise Refused(f"{path}: {' '.join(str(error).split())}") from None
    if not (isinstance(told, dict) and all(isinstance(told.get(key), KEYS[key]) for key in keys)):
        raise Refused(f"{path}: {', '.join(keys)} of a stage are needed")
    return told


def read(folder: Path) -> Stage:
    """The stage that a folder's file describes, its parents from theirs below the same root.

    Raises Refused if there is none, if it stands on itself, or has another identity by now.
    """
    return _read(folder, {}, ())


def _read(folder: Path, known: dict[Path, Stage], above: tuple[Path, ...]) -> Stage:
    """`above` are the stages it is a parent of."""
    if folder not in known:
        path, above = folder / FILE, (*above, folder)
        told = description(path)
        places = [folder.parents[1] / str(identity) for identity in told["parents"]]
        for place in places:
            if place in above:
                raise Refused(
                    f"{path}: parents: {place.parent.name}/{place.name} stands on this stage itself"
                )
        parents = tuple(_read(place, known, above) for place in places)
        name = told["identity"].partition("/")[2].rpartition("-")[0]
        stage = _kind(told, path)(name, told["config"], told["content"], parents)
        if stage.identity != told["identity"]:
            raise Refused(
                f"{path}: of another version of t5grid, which called it {told['identity']}; "
                f"it is {stage.identity} by now"
            )
        known[folder] = stage
    return known[folder]


def _kind(told: dict[str, Any], path: Path) -> type[Stage]:
    """The class of a stage. Raises Refused for a kind there is not."""
    if "class" not in told:
        kinds = {cls.kind: cls for cls in KINDS}
        if told["kind"] not in kinds:
            raise Refused(f"{path}: kind={told['kind']}: no such kind; there are {', '.join(kinds)}")
        return kinds[told["kind"]]
    check_allowed(told["class"], f"{path}: class")
    module, _, last = current_path(told["class"]).rpartition(".")
    try:
        cls = getattr(importlib.import_module(module), last, None)
    except Exception as error:  # whatever a user's own module does when it is imported
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise Refused(f"{path}: class={told['class']}: not found ({reason})") from error
    if not (isinstance(cls, type) and issubclass(cls, Stage)):
        raise Refused(f"{path}: class={told['class']}: not a kind of stage")
    return cls


def evaluations(root: Path, of: str) -> Iterator[Stage]:
    """Every evaluation of a stage that a store describes; files that cannot be read are named on stderr."""
    for path in sorted((root / EvaluateStage.kind).glob(f"*/{FILE}")):
        try:
            parents = description(path)["parents"]
        except Refused as error:
            print(f"t5grid: set aside: {error}", file=sys.stderr)
            continue
        if of in parents:
            yield read(path.parent)


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
        stages = [name for name in self.parents if name.startswith(f"{VocabularyStage.kind}/")]
        places = [self.folder, *(self.folder.parent.parent / name for name in stages)]
        return next((place / VOCABULARY for place in places if (place / VOCABULARY).is_file()), None)

    def checkpoint(self, step: int | None = None) -> Path:
        """The file of a step, the last if None. Raises Refused."""
        if step is not None and step not in self.checkpoints:
            steps = ", ".join(map(str, self.checkpoints))
            raise Refused(f"{self.folder}: no checkpoint of step {step}; there are {steps}")
        return self.checkpoints[max(self.checkpoints) if step is None else step]

    def num_rows(self, step: int | None = None) -> int:
        """Rows of its id table, which may not be filled up to a multiple of 128. Raises Refused."""
        path = self.checkpoint(step)
        try:
            with path.open("rb") as file:
                length = int.from_bytes(file.read(8), "little")
                header = json.loads(file.read(min(length, LONGEST_HEADER)))
            if "model/embedding.weight" not in header:
                raise Refused(
                    f"{path}: not a whole model: a fine-tuning method left out what it never trains"
                )
            return int(header["model/embedding.weight"]["shape"][0])
        except Refused:
            raise
        except (OSError, ValueError, KeyError, TypeError, IndexError, RecursionError):
            raise Refused(f"{path}: damaged: where its id table is cannot be read") from None


def trained_model(folder: Path) -> TrainedModel:
    """What a folder of ours says of the model in it; nothing heavy is read. Raises Refused."""
    if not folder.is_dir():
        raise Refused(f"{folder}: no such folder")
    if not (folder / FILE).is_file():
        told = "a folder that t5grid import or a stage wrote is needed"
        if (folder / "config.json").is_file():
            told = f"Hugging Face's form; make it ours first: t5grid import {folder} DIR"
        raise Refused(f"{folder}: {told}")
    try:
        described = description(folder / FILE, ("kind", "config", "parents"))
    except Refused:
        described = {}
    config = described.get("config", {})
    if not (config.get("architecture") and config.get("size")):
        raise Refused(f"{folder / FILE}: architecture and size of a trained model are not in it")
    files = sorted((folder / "checkpoints").glob("step-*.safetensors"))
    steps = {int(match[1]): path for path in files if (match := STEP.fullmatch(path.stem))}
    if not steps:
        raise Refused(f"{folder}: no checkpoint is in it")
    return TrainedModel(folder, str(described["kind"]), config, tuple(map(str, described["parents"])), steps)
