"""weights and optimizer state <-> one safetensors file, whole or not at all.

A fine-tuning that trains a part of the parameters leaves the others out: `without` names them.

A file is `step-00001000-<digest>.safetensors`: the digest of its bytes stands in its name, so a truncated or
altered file is found on load and the one before it is used. Nothing is pickled.
"""

import hashlib
import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load as parse
from safetensors.torch import save as serialise
from torch import Tensor, nn

from t5grid.files import check_fence, write_whole
from t5grid.refused import Refused
from t5grid.training.sharding import put, whole

MODEL, OPTIMIZER, STEP = "model/", "optimizer/", "optimizer-step/"
NAME = re.compile(r"step-(\d+)-([0-9a-f]+)")


def save(
    folder: Path,
    step: int,
    model: nn.Module,
    optimizer: torch.optim.Optimizer | None,
    without: frozenset[str] = frozenset(),
    leads: bool = True,
) -> Path | None:
    """Write the state after `step` steps; with an optimizer the file can resume training.

    Of several ranks all must call it, as each may hold a part of the state, and the one that leads writes.
    """
    state = {name: whole(tensor) for name, tensor in unique_state(model).items()}
    tensors = {MODEL + name: state[name].contiguous() for name in state if name not in without}
    if optimizer is not None:
        left_out = {index for index, (name, _) in enumerate(model.named_parameters()) if name in without}
        tensors |= optimizer_tensors(optimizer, left_out)
    if not leads:
        return None
    data = serialise(tensors)
    path = folder / f"step-{step:08d}-{_digest(data)}.safetensors"
    write_whole(path, data)
    return path


def take_out(path: Path, folder: Path, prefix: str) -> None:
    """Write the weights of a part of a checkpoint's model as a checkpoint of that part alone."""
    start = MODEL + prefix
    tensors = {
        MODEL + name.removeprefix(start): t for name, t in _tensors(path).items() if name.startswith(start)
    }
    data = serialise(tensors)
    write_whole(folder / f"step-{step_of(path):08d}-{_digest(data)}.safetensors", data)


def steps(folder: Path) -> dict[int, Path]:
    """Checkpoints by step, oldest first; files whose bytes do not match their digest are left out."""
    paths = {}
    for path in sorted(folder.glob("step-*.safetensors")):
        with suppress(FileNotFoundError):  # another rank may just have discarded it
            if is_sound(path):
                paths[step_of(path)] = path
    return paths


def is_sound(path: Path) -> bool:
    """Whether a file's bytes are those that its name has the digest of."""
    name = NAME.fullmatch(path.stem)
    return bool(name and _digest(path.read_bytes()) == name[2])


def step_of(path: Path) -> int:
    """The step that a checkpoint's name says."""
    return int(path.stem.split("-")[1])


def steps_made(checkpoint_every: int, num_steps: int) -> list[int]:
    """The steps of which a whole run leaves a checkpoint: every 2 of 5 -> 2, 4, 5."""
    return [*range(checkpoint_every, num_steps, checkpoint_every), num_steps]


def unbroken(folder: Path, wanted: Sequence[int]) -> dict[int, Path]:
    """Sound checkpoints by step, up to the first step `wanted` that none is left of."""
    sound = steps(folder)
    gap = next((step for step in wanted if step not in sound), math.inf)
    return {step: path for step, path in sound.items() if step < gap}


def discard_others(folder: Path, sound: Collection[Path]) -> None:
    """Delete all files but `sound`, lest they count among those that `keep_last` keeps."""
    check_fence(folder)
    for path in folder.glob("step-*.safetensors"):
        if path not in sound:
            path.unlink()


def newest(folder: Path) -> Path:
    """The last sound checkpoint. Raises Refused if there is none."""
    sound = steps(folder)
    if not sound:
        raise Refused(f"{folder.parent.name}: no sound checkpoint is left")
    return sound[max(sound)]


def keep_last(folder: Path, num_kept: int) -> None:
    """Delete all but the newest `num_kept` files."""
    check_fence(folder)
    for path in sorted(folder.glob("step-*.safetensors"))[:-num_kept]:
        path.unlink(missing_ok=True)


def load_model(
    path: Path,
    model: nn.Module,
    without: frozenset[str] = frozenset(),
    passed_over: Callable[[str], bool] = lambda name: False,
) -> None:
    """Copy a checkpoint's weights into `model`, all but those `without` which it was written.

    Of the file nothing is read that is `passed_over`. Raises Refused naming the first tensor that differs.
    """
    tensors = {name[len(MODEL) :]: t for name, t in _tensors(path).items() if name.startswith(MODEL)}
    stored = {name: tensor for name, tensor in tensors.items() if not passed_over(name)}
    wanted = {name: tensor for name, tensor in unique_state(model).items() if name not in without}
    for name in sorted(stored.keys() ^ wanted.keys()):
        raise Refused(f"{path.name}: tensor {name} is {'missing' if name in wanted else 'not in the model'}")
    for name, tensor in wanted.items():
        if tensor.shape != stored[name].shape:
            raise Refused(
                f"{path.name}: tensor {name} is {tuple(stored[name].shape)}, not {tuple(tensor.shape)}"
            )
    with torch.no_grad():
        for name, tensor in wanted.items():
            put(tensor, stored[name])


def load_optimizer(
    path: Path, optimizer: torch.optim.Optimizer, places: Mapping[int, int] | None = None
) -> None:
    """Restore every tensor and count of the optimizer's state that the file holds.

    Entry i belongs to parameter `places[i]`, by default to parameter i; one without a place is passed over.
    """
    state = optimizer.state_dict()
    restored: dict[int, dict[str, Any]] = {}
    tensors = _tensors(path)
    for name, tensor in tensors.items():
        if name.startswith(OPTIMIZER):
            index, key = name[len(OPTIMIZER) :].split("/")
            if places is not None and int(index) not in places:
                continue
            place = int(index) if places is None else places[int(index)]
            restored.setdefault(place, {})[key] = tensor
    for entry in restored.values():
        for key in [key for key in entry if key.endswith(".number")]:
            entry[key.removesuffix(".number")] = entry.pop(key).item()
    for name, tensor in tensors.items():
        if name.startswith(STEP):
            state["param_groups"][int(name[len(STEP) :])]["step"] = tensor.item()
    optimizer.load_state_dict({**state, "state": state["state"] | restored})


def _tensors(path: Path) -> dict[str, Tensor]:
    """Everything in a file. Raises Refused naming one that is cut short or altered."""
    try:
        return parse(path.read_bytes())
    except SafetensorError as error:
        raise Refused(f"{path}: cut short, or not a safetensors file ({error})") from None


def places_of(path: Path, model: nn.Module, fresh: Collection[str] = ()) -> dict[int, int]:
    """Where the parameters of a whole checkpoint stand among those of a model that has more of them.

    None of those that are `fresh` in the model, and of those that it has no more.
    """
    with safe_open(path, framework="pt") as file:
        stored = {name.removeprefix(MODEL) for name in file.keys() if name.startswith(MODEL)}  # noqa: SIM118
    named = [(place, name) for place, (name, _) in enumerate(model.named_parameters()) if name in stored]
    return {index: place for index, (place, name) in enumerate(named) if name not in fresh}


def unique_state(model: nn.Module) -> dict[str, Tensor]:
    """Named parameters and buffers, each shared tensor once."""
    named = dict(model.named_parameters())
    persistent = model.state_dict()
    return named | {name: buffer for name, buffer in model.named_buffers() if name in persistent}


def optimizer_tensors(optimizer: torch.optim.Optimizer, left_out: Collection[int] = ()) -> dict[str, Tensor]:
    """The optimizer's state as flat tensors, `optimizer/<parameter index>/<name>`, and its groups' steps.

    Nothing of the parameters `left_out`.
    """
    groups = enumerate(optimizer.param_groups)
    tensors = {f"{STEP}{i}": torch.tensor(group["step"]) for i, group in groups if "step" in group}
    for index, entry in optimizer.state_dict()["state"].items():
        for key, value in entry.items() if index not in left_out else ():
            if isinstance(value, Tensor):
                tensors[f"{OPTIMIZER}{index}/{key}"] = value.contiguous()
            elif value is not None:
                tensors[f"{OPTIMIZER}{index}/{key}.number"] = torch.tensor(value)
    return tensors


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=8).hexdigest()
