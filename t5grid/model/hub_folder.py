"""Hugging Face folder -> its config.json, and where each of its tensors is.

Names and shapes are read from the headers of safetensors files, one or several shards; nothing pickled is
read. Each complaint is one line.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from t5grid.refused import Refused

CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
LONGEST_HEADER = 100_000_000  # bytes, as the format's own readers allow
PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
FLOATS = ("F64", "F32", "F16", "BF16")


@dataclass(frozen=True)
class Entry:
    """A tensor of a safetensors file: where it is, under which name, and what the header says of it."""

    path: Path
    name: str
    dtype: str
    shape: tuple[int, ...]


def refuse_other_files(folder: Path) -> None:
    """Raise Refused for what is no folder, or one of pickled weights."""
    if folder.suffix in PICKLED or (folder.is_dir() and _only_pickled(folder)):
        raise Refused(f"{folder}: pickled checkpoints are refused, as they can run code; give safetensors")
    if not folder.is_dir():
        raise Refused(f"{folder}: a folder with {CONFIG} and {WEIGHTS} is needed")


def _only_pickled(folder: Path) -> bool:
    files = {path.suffix for path in folder.iterdir()}
    return ".safetensors" not in files and bool(files & set(PICKLED))


def count_of(config: Mapping[str, Any], key: str, path: Path) -> int:
    """A whole number from 1 up in a config. Raises Refused."""
    value = config.get(key)
    if type(value) is not int or value < 1:
        raise Refused(f"{path}: {key}={value}: a whole number from 1 up is needed")
    return value


def json_object(path: Path) -> dict[str, Any]:
    """The object in a JSON file. Raises Refused."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Refused(f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise Refused(f"{path}: not JSON ({' '.join(str(error).split())})") from None
    if not isinstance(value, dict):
        raise Refused(f"{path}: a JSON object is needed")
    return value


def entries_of(folder: Path) -> dict[str, Entry]:
    """Every tensor of the folder, by their name, from one file or from the shards of an index."""
    if not (folder / INDEX).is_file():
        return _header(folder / WEIGHTS)
    shards = json_object(folder / INDEX).get("weight_map")
    if not isinstance(shards, dict) or not all(isinstance(file, str) for file in shards.values()):
        raise Refused(f"{folder / INDEX}: weight_map: an object of tensor and file names is needed")
    entries: dict[str, Entry] = {}
    for file in sorted(set(shards.values())):
        if Path(file).name != file:
            raise Refused(f"{folder / INDEX}: {file}: a shard lies in the same folder")
        entries |= _header(folder / file)
    for name in sorted(shards.keys() - entries.keys()):
        raise Refused(f"{folder / shards[name]}: tensor {name} is missing, though {INDEX} has it there")
    return entries


def _header(path: Path) -> dict[str, Entry]:
    """The tensors of a safetensors file; a file cut short is refused with the first tensor that is cut."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            text, available = file.read(min(length, LONGEST_HEADER)), path.stat().st_size
        header = json.loads(text)
        header.pop("__metadata__", None)
        entries = {
            name: Entry(path, name, entry["dtype"], tuple(entry["shape"])) for name, entry in header.items()
        }
        ends = sorted((8 + length + entry["data_offsets"][1], name) for name, entry in header.items())
    except OSError as error:
        raise Refused(f"{path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
        raise Refused(f"{path}: cut short, or not a safetensors file: its header cannot be read") from None
    for end, name in ends:
        if end > available:
            shape = entries[name].shape
            raise Refused(
                f"{path}: cut short: tensor {name} {shape} ends at byte {end}, the file at {available}"
            )
    return entries


def read_tensor(entries: Mapping[str, Entry], name: str) -> Tensor:
    """A tensor in single precision. Raises Refused."""
    try:
        with safe_open(entries[name].path, "pt") as file:
            return file.get_tensor(entries[name].name).float()
    except SafetensorError as error:
        raise Refused(f"{entries[name].path}: tensor {name}: {' '.join(str(error).split())}") from None


def as_json(value: dict[str, Any]) -> str:
    """As their files are written."""
    return json.dumps(value, indent=2, sort_keys=True) + "\n"
