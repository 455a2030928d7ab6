"""command line -> validated cell: composes the Hydra tree, checks every key, builds the axis values.

A cell is one value per axis. Composition and checks import neither torch nor Lightning: axis values are frozen
dataclasses whose heavy work is imported when it is called.
"""

import dataclasses
import difflib
import re
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

GROUPS = (
    "architecture",
    "objective",
    "corpus",
    "vocabulary",
    "suite",
    "finetune",
    "strategy",
    "size",
    "budget",
    "runtime",
    "executor",
)


@dataclass(frozen=True)
class PretrainBudget:
    """How long and how wide a pre-training is; a row holds `inputs_length` tokens with its EOS."""

    num_steps: int
    num_rows: int
    inputs_length: int
    checkpoint_every: int
    optimizer: Any
    schedule: Any

    def __post_init__(self) -> None:
        _positive(self, "budget.pretrain", "num_steps", "num_rows", "checkpoint_every")
        if self.inputs_length < 8:
            raise ValueError(f"budget.pretrain.inputs_length={self.inputs_length}: at least 8 tokens")


@dataclass(frozen=True)
class FinetuneBudget:
    """How long a fine-tuning is; a batch holds as many examples as fill `num_tokens` input tokens.

    With `continue_optimizer` the second moments and step count of pre-training are kept, as in the authors' runs.
    """

    num_steps: int
    num_tokens: int
    checkpoint_every: int
    continue_optimizer: bool
    optimizer: Any
    schedule: Any

    def __post_init__(self) -> None:
        _positive(self, "budget.finetune", "num_steps", "num_tokens", "checkpoint_every")


@dataclass(frozen=True)
class EvaluateBudget:
    """How many validation rows a task is scored on; null is all."""

    num_examples: int | None

    def __post_init__(self) -> None:
        if self.num_examples is not None:
            _positive(self, "budget.evaluate", "num_examples")


@dataclass(frozen=True)
class Budget:
    """Steps, batches, schedules and seeds: what a cell costs."""

    name: str
    note: str | None
    num_documents: int
    num_seeds: int
    num_baseline_seeds: int
    pretrain: PretrainBudget
    finetune: FinetuneBudget
    evaluate: EvaluateBudget

    def __post_init__(self) -> None:
        _positive(self, "budget", "num_documents", "num_seeds", "num_baseline_seeds")


@dataclass(frozen=True)
class Column:
    """One column of a table: its tasks and the lengths its pairs are trimmed to (EOS included)."""

    title: str
    inputs_length: int
    targets_length: int
    tasks: dict[str, Any]

    def __post_init__(self) -> None:
        if not self.tasks:
            raise ValueError(f"suite: column {self.title!r} has no tasks")


@dataclass(frozen=True)
class Suite:
    """The columns of a table. `use` restricts them by key; null is all."""

    name: str
    columns: dict[str, Column]
    root: str | None = None
    use: list[str] | None = None

    def __post_init__(self) -> None:
        for key in self.use or ():
            if key not in self.columns:
                raise ValueError(f"suite.use: no column {key!r}; there are {', '.join(self.columns)}")

    def chosen(self) -> dict[str, Column]:
        """The columns in use, in the order of the file."""
        return {key: column for key, column in self.columns.items() if self.use is None or key in self.use}


@dataclass(frozen=True)
class Runtime:
    """The machine: never part of a run's identity."""

    accelerator: str
    num_devices: int
    precision: str
    num_loader_workers: int
    evaluation_batch: int
    wandb: str
    wandb_project: str
    runs_dir: str
    results_dir: str

    def __post_init__(self) -> None:
        if self.precision in ("fp16", "16", "16-mixed", "float16", "half"):
            raise ValueError(
                f"runtime.precision={self.precision}: refused, T5's activations overflow in fp16; use fp32 or bf16"
            )
        _one_of(self, "runtime", precision=("fp32", "bf16"), wandb=("off", "offline", "online"))
        _positive(self, "runtime", "num_devices", "evaluation_batch")


SCHEMAS: dict[str, type] = {"budget": Budget, "suite": Suite, "runtime": Runtime}


@dataclass(frozen=True)
class Cell:
    """One point of the grid: the resolved plain config beside the axis values built from it."""

    config: dict[str, Any] = field(repr=False)
    labels: dict[str, str]
    architecture: Any
    objective: Any
    corpus: Any
    vocabulary: Any
    suite: Suite
    finetune: Any
    strategy: Any
    size: Any
    budget: Budget
    runtime: Runtime
    executor: Any
    seed: int

    def with_seed(self, seed: int) -> "Cell":
        """The same cell under another seed."""
        return dataclasses.replace(self, seed=seed, config={**self.config, "seed": seed})


def _positive(value: Any, where: str, *names: str) -> None:
    for name in names:
        if getattr(value, name) < 1:
            raise ValueError(f"{where}.{name}={getattr(value, name)}: a whole number from 1 up is needed")


def _one_of(value: Any, where: str, **allowed: tuple[str, ...]) -> None:
    for name, options in allowed.items():
        if getattr(value, name) not in options:
            raise ValueError(f"{where}.{name}={getattr(value, name)}: one of {', '.join(options)}")


def data_folder(name: str) -> Path:
    """`conf`, `experiments` or `paper`, in the installed package or in the checkout."""
    packaged = Path(__file__).parent / name
    checkout = Path(__file__).parent.parent / {"paper": "results/paper"}.get(name, name)
    return packaged if packaged.is_dir() else checkout


def search_path() -> Any:
    """Hydra's search path: the user's own `conf/` in the working directory first, then the package's."""
    from hydra._internal.utils import create_config_search_path

    path = create_config_search_path(str(data_folder("conf")))
    own = Path.cwd() / "conf"
    if own.is_dir() and own != data_folder("conf"):
        path.prepend("user", f"file://{own}")
    return path


def compose(overrides: Sequence[str]) -> DictConfig:
    """The composed config of one cell. Raises ValueError, one line, for anything Hydra refuses."""
    from hydra import compose as hydra_compose
    from hydra._internal.hydra import Hydra
    from hydra.core.global_hydra import GlobalHydra
    from hydra.errors import HydraException

    if not GlobalHydra.instance().is_initialized():
        Hydra.create_main_hydra2(task_name="t5grid", config_search_path=search_path())
    try:
        return hydra_compose("config", list(overrides), return_hydra_config=True)
    except HydraException as error:
        raise ValueError(_explain(error, overrides)) from None


def _explain(error: Exception, overrides: Sequence[str]) -> str:
    """Hydra's complaint as one line that names the override and what is possible."""
    text = " ".join(line.strip() for line in str(error).splitlines() if line.strip())
    for override in overrides:
        key = override.split("=")[0].lstrip("+~")
        if key and f"'{key}'" in text and ("Could not override" in text or "not in struct" in text):
            return f"{override}: {_suggest(key)}"
    return text


def _suggest(key: str) -> str:
    """What stands where `key` was looked for, nearest name first."""
    node: Any = OmegaConf.to_container(compose([]), resolve=False)
    *parents, last = key.split(".")
    for depth, part in enumerate(parents):
        if not isinstance(node, Mapping) or part not in node:
            last, where = part, ".".join(parents[:depth]) or "the config"
            break
        node = node[part]
    else:
        where = ".".join(parents) or "the config"
    names = [str(name) for name in node if name != "_target_"] if isinstance(node, Mapping) else []
    near = difflib.get_close_matches(last, names, 1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    return f"no key {last!r} in {where}{hint}; there are {', '.join(names) or 'none'}"


def load_cell(overrides: Sequence[str]) -> Cell:
    """Compose, resolve and validate one cell. Raises ValueError, one line."""
    return build_cell(compose(overrides))


def build_cell(config: DictConfig) -> Cell:
    """The cell of a composed config."""
    from omegaconf.errors import OmegaConfBaseException

    labels = _labels(config.hydra)
    science = OmegaConf.masked_copy(config, [key for key in config if key != "hydra"])
    try:
        plain = OmegaConf.to_container(science, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise ValueError(_one_line(error)) from None
    assert isinstance(plain, dict)
    built = {name: build(plain[name], name, SCHEMAS.get(name)) for name in GROUPS}
    check_type(plain["seed"], int, "seed")
    cell = Cell(config=plain, labels=labels, seed=plain["seed"], **built)  # type: ignore[arg-type]
    _check_combination(cell)
    return cell


def _labels(hydra: Any) -> dict[str, str]:
    """A readable label a group: the option chosen and what was overridden in it."""
    labels = {group: str(hydra.runtime.choices[group]) for group in GROUPS}
    for override in hydra.overrides.task:
        key, _, value = override.lstrip("+").partition("=")
        group, _, rest = key.partition(".")
        if rest and group in ("objective", "architecture", "size", "finetune"):
            labels[group] += f",{rest.split('.')[-1]}={value}"
    return {group: re.sub(r"[^A-Za-z0-9_.,=-]+", "_", label) for group, label in labels.items()}


def _check_combination(cell: Cell) -> None:
    """Refuse what no stage could run: each axis is valid, together they are not."""
    lengths = cell.objective.lengths(cell.budget.pretrain.inputs_length)
    if min(lengths) < 4:
        raise ValueError(
            f"objective with budget.pretrain.inputs_length={cell.budget.pretrain.inputs_length}: "
            f"leaves {lengths[1]} target tokens a row; at least 4 are needed"
        )
    for name in ("pretrain", "finetune"):
        part = getattr(cell.budget, name)
        if part.checkpoint_every > part.num_steps:
            raise ValueError(
                f"budget.{name}.checkpoint_every={part.checkpoint_every}: more than num_steps={part.num_steps}"
            )


def _one_line(error: Exception) -> str:
    """A library's message without its line breaks; a missing value said as what to do."""
    text = " ".join(str(error).split())
    key = getattr(error, "full_key", None)
    return f"{key}: a value is needed (write {key}=...)" if "Missing mandatory value" in text else text


def build(node: Any, key: str, schema: type | None = None) -> Any:
    """Axis values of a plain node: every mapping with `_target_` (or a known schema) becomes its dataclass."""
    if isinstance(node, list):
        return tuple(build(item, f"{key}[{i}]") for i, item in enumerate(node))
    if not isinstance(node, Mapping):
        return node
    if isinstance(schema, _MappingOf):
        return {name: build(value, f"{key}.{name}", schema.schema) for name, value in node.items()}
    cls = _locate(node["_target_"], key) if "_target_" in node else schema
    hints = typing.get_type_hints(cls) if cls else {}
    values = {
        name: build(value, f"{key}.{name}", _nested(hints.get(name)))
        for name, value in node.items()
        if name != "_target_"
    }
    return values if cls is None else _construct(cls, values, hints, key)


def _nested(hint: Any) -> Any:
    """The dataclass a field holds, or the dataclass of a mapping's values wrapped to be applied to each."""
    if dataclasses.is_dataclass(hint):
        return hint
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) is dict and dataclasses.is_dataclass(arguments[1]):
        return _MappingOf(arguments[1])
    return None


class _MappingOf:
    """Schema of a mapping whose values are all one dataclass."""

    def __init__(self, schema: type) -> None:
        self.schema = schema


def _construct(cls: Any, values: dict[str, Any], hints: dict[str, Any], key: str) -> Any:
    fields = {f.name: f for f in dataclasses.fields(cls) if f.init}
    for name in values:
        if name not in fields:
            near = difflib.get_close_matches(name, fields, 1)
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            raise ValueError(f"{key}.{name}: no such key{hint}; {key} takes {', '.join(fields) or 'none'}")
        values[name] = check_type(values[name], hints[name], f"{key}.{name}")
    for name, f in fields.items():
        if (
            name not in values
            and f.default is dataclasses.MISSING
            and f.default_factory is dataclasses.MISSING
        ):
            raise ValueError(f"{key}.{name}: a value is needed")
    return cls(**values)


def _locate(target: str, key: str) -> type:
    from hydra.utils import get_class

    try:
        cls = get_class(target)
    except Exception as error:
        raise ValueError(f"{key}._target_={target}: {' '.join(str(error).split())}") from None
    if not dataclasses.is_dataclass(cls):
        raise ValueError(f"{key}._target_={target}: not a dataclass")
    return cls


def check_type(value: Any, hint: Any, key: str) -> Any:
    """`value` if it fits `hint` (whole numbers serve as floats, lists as tuples). Raises ValueError."""
    if not _fits(value, hint):
        name = getattr(hint, "__name__", None) or str(hint).replace("typing.", "")
        raise ValueError(f"{key}={value!r}: a value of type {name if _is_plain(hint) else hint} is needed")
    return float(value) if hint is float else value


def _is_plain(hint: Any) -> bool:
    return isinstance(hint, type) and not typing.get_args(hint)


def _fits(value: Any, hint: Any) -> bool:
    if hint is Any:
        return True
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, option) for option in typing.get_args(hint))
    if origin is not None:
        return isinstance(value, (list, tuple) if origin in (list, tuple) else origin)
    if hint is types.NoneType or hint is None:
        return value is None
    if hint is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, hint)
