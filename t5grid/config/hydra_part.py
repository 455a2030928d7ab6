"""composed config -> Hydra's part of it, refused where a config file has a say in it.

Hydra calls what stands there: callbacks, launchers, sweepers, handlers of logging, shell lines of a cluster's
jobs, the environment of a job. A config may be a stranger's, so only words of the command line set it, unless
`--allow hydra` trusts the configs with it.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from omegaconf import Container, DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from t5grid.config.trust import ALLOW, allowed, check_allowed
from t5grid.refused import Refused

CALLED = ("_target_", "()", "class")
OURS = ("hydra", "hydra_plugins", "logging", "colorlog")
VARYING = (
    "overrides.task",
    "runtime",
    "help",
    "hydra_help",
    "searchpath",
    "job.id",
    "job.num",
    "job.override_dirname",
    "job.config_name",
    "sweeper.params",
)
"""Keys below `hydra` that Hydra itself sets of each job, or that call nothing."""

Check = partial[None]


def check_of(alone: DictConfig) -> Check:
    """The check of every config of a multirun; `alone` is what its words alone make of Hydra's part."""
    return partial(check, plain=_plain(alone.hydra), trusted="hydra" in allowed())


def words_of(words: Sequence[str]) -> list[str]:
    """Those of a command that are about Hydra's part, but not where configs are found."""
    about = [
        word for word in words if _key(word).replace("/", ".").replace("@", ".").split(".")[0] == "hydra"
    ]
    return [word for word in about if _key(word) != "hydra.searchpath"]


def _key(word: str) -> str:
    return word.partition("=")[0].lstrip("+~")


def check(config: DictConfig, plain: Mapping[str, Any], trusted: bool) -> None:
    """Raise Refused, naming the key, where Hydra's part is not as it should be."""
    node = config.hydra
    if not trusted:
        for key in _differences(plain, _plain(node), "hydra"):
            raise Refused(
                f"{key}: set by a config; say it on the command line, "
                "or trust your configs with Hydra's part: --allow hydra"
            )
        if _plain(node)["callbacks"]:
            raise Refused("hydra.callbacks: nothing is called beside the cells; take it out")
    for name in node.job.env_set or ():
        if str(name).startswith("T5GRID_"):
            raise Refused(
                f"hydra.job.env_set.{name}: set it in your shell ({ALLOW} is read once, at the start)"
            )
    for section in ("callbacks", "launcher", "sweeper", "hydra_logging", "job_logging"):
        _check_called(node, section, "hydra")


def _check_called(node: DictConfig | ListConfig, name: Any, above: str) -> None:
    """Refuse what would be called from an unknown package, and an interpolation that hides what is called."""
    key = f"{above}.{name}"
    hidden = OmegaConf.is_interpolation(node, name)
    try:
        value = node[name]
    except OmegaConfBaseException:  # known in a job only: its number, its folder
        value = None
    if hidden and (name in CALLED or isinstance(value, Container)):
        raise Refused(f"{key}: an interpolation; what is called must be written out")
    if isinstance(value, DictConfig | ListConfig):
        for inner in list(value) if isinstance(value, DictConfig) else range(len(value)):
            _check_called(value, inner, key)
    elif name in CALLED and isinstance(value, str):
        check_allowed(value, key, OURS)


def _plain(node: DictConfig) -> dict[str, Any]:
    """Hydra's part as it is written, without what varies."""
    plain: Any = OmegaConf.to_container(node, resolve=False)
    for key in VARYING:
        *path, last = key.split(".")
        inside = plain
        for name in path:
            inside = inside[name] if isinstance(inside, dict) else None
        if isinstance(inside, dict):
            inside.pop(last, None)
    return plain


def _differences(before: Any, after: Any, key: str) -> Iterator[str]:
    """The innermost keys in which two plain values differ."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name in {**before, **after}:
            yield from _differences(before.get(name), after.get(name), f"{key}.{name}")
    elif before != after:
        yield key
