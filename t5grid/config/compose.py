"""overrides -> composed config: Hydra's composition; one line for whatever it refuses."""

import re
import shlex
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from t5grid.config.build import nearest
from t5grid.config.own_folder import circle, foreign_primary
from t5grid.refused import Refused

GROUPS = (
    "architecture",
    "segments",
    "objective",
    "corpus",
    "vocabulary",
    "suite",
    "mixing",
    "finetune",
    "strategy",
    "size",
    "budget",
    "runtime",
    "executor",
)

PLAIN = re.compile(r"[\w.-]+")  # an option's name, in a list of defaults too, that is no path and no package
MULTIPLE = re.compile(r"([\w.]+)\*=(.*)", re.DOTALL)


def data_folder(name: str) -> Path:
    """`conf`, `experiments` or `published`, in the installed package or in the checkout."""
    package = Path(__file__).parents[1]
    packaged, checkout = package / name, package.parent / {"published": "results/published"}.get(name, name)
    return packaged if packaged.is_dir() else checkout


_added: Path | None = None


@contextmanager
def searching(folder: Path | None) -> Iterator[None]:
    """Within, options are looked for in a further folder too (`--config-dir`). Raises Refused."""
    global _added
    if folder is not None and not folder.is_dir():
        raise Refused(f"--config-dir {folder}: no such folder")
    before, _added = _added, folder.absolute() if folder else None
    try:
        yield
    finally:
        _added = before


def initialise() -> None:
    """A fresh Hydra that sees the user's own `conf/` in the working directory first, then the package's."""
    from t5grid.config import hydra_api

    own = _own_folder()
    foreign = foreign_primary(own, GROUPS) if own else None
    if foreign:
        _say_once(f"t5grid: {foreign.parent.name}/{foreign.name} is another project's: it is set aside")
    hydra_api.start(data_folder("conf"), own, set_aside=foreign is not None, added=_added)


@cache
def _say_once(line: str) -> None:
    print(line, file=sys.stderr)


def _own_folder() -> Path | None:
    own = Path.cwd() / "conf"
    return own if own.is_dir() and own != data_folder("conf") else None


def _ensure_initialised() -> None:
    """Start Hydra if it has not, and afresh where the working directory has another `conf/` by now."""
    from t5grid.config import hydra_api

    own = _own_folder()
    if hydra_api.user_folders() != [folder for folder in (own, _added) if folder]:
        initialise()


def compose(overrides: Sequence[str]) -> DictConfig:
    """The composed config of one cell. Raises Refused, one line, for anything Hydra refuses.

    Beside Hydra's overrides there is `KEY*=FACTOR`: a multiple of what would stand there without it, and for
    a group the option of that name (`size*=2` is size=base_2x where the size is base).
    """
    _ensure_initialised()
    words = multiplied(overrides, look)
    with readable(words):
        check_words(words)
        return _composed(words)


def _composed(words: Sequence[str]) -> DictConfig:
    import hydra

    from t5grid.config import hydra_api

    return hydra.compose(hydra_api.primary(), list(words), return_hydra_config=True)


def look(words: Sequence[str]) -> tuple[Mapping[str, str], DictConfig]:
    """The option of each group under these words, and the config."""
    config = compose(words)
    return config.hydra.runtime.choices, config


def multiplied(
    overrides: Sequence[str], look: Callable[[Sequence[str]], tuple[Mapping[str, str], DictConfig]]
) -> list[str]:
    """The overrides with each `KEY*=FACTOR` as a plain one, groups first. Raises Refused.

    `look` says what there is under the words without it: the option of each group, and the config.
    """
    words = [word for word in overrides if not MULTIPLE.match(word)]
    multiples = [match.groups() for match in map(MULTIPLE.match, overrides) if match]
    for key, factor in sorted(multiples, key=lambda multiple: multiple[0] not in GROUPS):
        choices, config = look(words)
        words = [word for word in words if word.partition("=")[0] != key]
        if key in GROUPS:
            words.append(f"{key}={choices[key]}_{factor}x")
        else:
            words.append(f"{key}={_product(config, key, factor)}")
    return words


def _product(config: DictConfig, key: str, factor: str) -> int | float:
    """The number at `key` times the factor, whole where it was whole. Raises Refused."""
    word = f"{key}*={factor}"
    try:
        value, times = OmegaConf.select(config, key), float(factor)
    except OmegaConfBaseException as error:
        raise Refused(f"{word}: {one_line(error)}") from None
    except ValueError:
        raise Refused(f"{word}: a factor is a number") from None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refused(f"{word}: {_what_is_there(key, []) or f'{value} is not a number'}")
    if isinstance(value, int) and not (value * times).is_integer():
        raise Refused(f"{word}: {value} times {factor} is not a whole number")
    return int(value * times) if isinstance(value, int) else value * times


def check_words(words: Sequence[str], several: bool = False) -> None:
    """Refuse what is no override, and a group without exactly one option; `several` are for a multirun."""
    for word in words:
        parse(word, several)


def parse(word: str, several: bool = False) -> Any:
    """An override as Hydra understands it. Raises Refused."""
    from hydra.errors import HydraException

    from t5grid.config import hydra_api

    try:
        override = hydra_api.parse_override(word)
    except HydraException as error:
        raise Refused(f"{word}: no override ({error}); {_as_it_works(word)}") from None
    if not override.key_or_group:
        raise Refused(f"{word}: no key; write key=value")
    if override.is_sweep_override() and not several:
        raise Refused(f"{word}: several values are for `t5grid run -m`; a list is written [a,b]")
    if override.key_or_group in GROUPS and not override.is_sweep_override():
        _check_choice(word, override)
    return override


def _as_it_works(word: str) -> str:
    """How to write a word whose value Hydra's grammar cannot read: in quotes, for the shell too."""
    from hydra.errors import HydraException

    from t5grid.config import hydra_api

    key, equals, value = word.partition("=")
    for mark in ('"', "'") if equals else ():
        quoted = f"{key}={mark}{value}{mark}"
        try:
            if hydra_api.parse_override(quoted).value() == value:
                return f"quote the value: {shlex.quote(quoted)}"
        except HydraException:
            continue
    return "write key=value"


def _check_choice(word: str, override: Any) -> None:
    group, value = override.key_or_group, override.value()
    if override.is_add():
        raise Refused(f"{word}: every cell has its {group} already; write {group}={value}")
    if override.is_delete() or not isinstance(value, str) or value == "":
        is_none = override.is_delete() or isinstance(value, list | dict | None) or value == ""
        problem = "one option is needed" if is_none else "no such option"
        raise Refused(f"{word}: {problem}; there are {', '.join(options(group))}")


class _NotAlone(Exception):
    """An option that is not made of plain files of its own group."""


def load_option(group: str, option: str) -> Any:
    """An option by itself, not resolved; None if there is none, or it says something of other groups too."""
    from hydra.errors import HydraException

    _ensure_initialised()
    try:
        layers = list(_layers(group, option, set()))
    except (
        _NotAlone,
        HydraException,
        OmegaConfBaseException,
        YAMLError,
        OSError,
        ValueError,
        RecursionError,
    ):
        return None
    return layers[0] if len(layers) == 1 else OmegaConf.to_container(OmegaConf.merge(*layers))


def _layers(group: str, option: str, read: set[str]) -> Iterator[dict[Any, Any]]:
    """The files an option is made of, each to be merged over those before it. Raises _NotAlone."""
    if not PLAIN.fullmatch(option) or option in read:  # a file read twice is Hydra's to refuse
        raise _NotAlone
    read.add(option)
    node, names = _split_defaults(group, option)
    for name in names:
        yield from [node] if name == "_self_" else _layers(group, name, read)


def _split_defaults(group: str, option: str) -> tuple[dict[Any, Any], list[str]]:
    """What the file of an option sets, and its list of defaults. Raises _NotAlone."""
    from t5grid.config import hydra_api

    config, package = hydra_api.read_option(group, option) or (None, None)
    node = OmegaConf.to_container(config) if isinstance(config, DictConfig) else None
    if not isinstance(node, dict) or package not in (None, group):
        raise _NotAlone
    names = node.pop("defaults", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise _NotAlone
    if names.count("_self_") > 1:
        raise _NotAlone
    return node, names if "_self_" in names else [*names, "_self_"]


def check_repeats(words: Sequence[str]) -> None:
    """Refuse a key that one command gives twice: Hydra would keep the last one silently."""
    counts = Counter(word.partition("=")[0].lstrip("+~") for word in words)
    for key, count in counts.items():
        if count > 1:
            given = [word for word in words if word.partition("=")[0].lstrip("+~") == key]
            raise Refused(f"{key} is given {count} times: {', '.join(given)}")


def options(group: str) -> list[str]:
    """Every option of a group, the user's own too."""
    from t5grid.config import hydra_api

    _ensure_initialised()
    return hydra_api.group_options(group)


@contextmanager
def readable(overrides: Sequence[str]) -> Iterator[None]:
    """Hydra's, OmegaConf's and YAML's complaints within become one line that says what is possible."""
    from hydra.errors import HydraException, MissingConfigException

    try:
        yield
    except MissingConfigException as error:
        raise Refused(_no_option(error, overrides)) from None
    except (HydraException, OmegaConfBaseException) as error:
        raise Refused(_explain(error, overrides)) from None
    except RecursionError:
        way = circle(own) if (own := _own_folder()) else ""
        raise Refused(f"conf: {f'a circle of defaults: {way}' if way else 'nested too deeply'}") from None
    except Refused:
        raise
    except (YAMLError, OSError, ValueError) as error:  # of a header or a list of defaults: Hydra's ValueError
        raise Refused(f"conf: {' '.join(str(error).split())}") from None


def _no_option(error: Any, overrides: Sequence[str]) -> str:
    group, _, option = str(error.missing_cfg_file).rpartition("/")
    names = error.options or (options(group) if group in GROUPS else [])
    word = next((given for given in overrides if given.lstrip("+") == f"{group}={option}"), None)
    if names:
        return f"{word or f'conf: {group}={option}'}: no such option{nearest(option, names)}"
    return one_line(error)


def _explain(error: Exception, overrides: Sequence[str]) -> str:
    """A complaint as one line; of a key that is not there, with those that are."""
    text = one_line(error)
    for word in overrides:
        key = word.split("=")[0].lstrip("+~").split("@")[0]
        if re.search(rf"'{re.escape(key)}'", text) and ("Could not" in text or "not in struct" in text):
            choices = [given for given in overrides if _is_choice(*given.split("=", 1))]
            return f"{word}: {_what_is_there(key, choices) or text}"
        if f"merging override {word}" in text:
            return f"{word}: {one_line(error.__cause__ or error)}"
    return text


def _is_choice(key: str, value: str = "") -> bool:
    return key in GROUPS and value in options(key)


def _what_is_there(key: str, choices: Sequence[str]) -> str:
    """What stands where `key` was looked for, nearest name first; empty if it is there after all."""
    from hydra.errors import HydraException

    try:
        node: Any = OmegaConf.to_container(_composed(choices), resolve=False)
    except (HydraException, OmegaConfBaseException, RecursionError):  # the same again
        return ""
    if not key.startswith("hydra"):
        del node["hydra"]
    done: list[str] = []
    for part in key.split("."):
        names = [str(name) for name in node if name != "_target_"] if isinstance(node, Mapping) else []
        if part not in names:
            return f"no key {part!r} in {'.'.join(done) or 'the config'}{nearest(part, names)}"
        node = node[part]
        done.append(part)
    return ""


def one_line(error: BaseException) -> str:
    """A library's message without its line breaks and technical tail; a missing value said as what to do."""
    key = getattr(error, "full_key", None)
    if "Missing mandatory value" in str(error):
        return f"{key}: a value is needed (write {key}=...)"
    text = re.split(r"\n\s*(?:full_key:|See https://hydra.cc|Config search path)", str(error))[0]
    text = " ".join(text.split())
    return f"{key}: {text}" if key else text
