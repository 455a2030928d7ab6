"""`--cfg`, `--info`, groups in `--help`: configs as Hydra's own programs show them."""

import copy
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from t5grid.refused import Refused

INFOS = ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")


def add_options(add: Any) -> None:
    """Add Hydra's options to a sub-command that composes cells, and the groups to its help."""
    add.add_argument(
        "--cfg", "-c", choices=["job", "hydra", "all"], help="show the config instead of running"
    )
    add.add_argument("--resolve", action="store_true", help="with --cfg: interpolations resolved")
    add.add_argument("--package", "-p", metavar="KEY", help="with --cfg: that part of the config alone")
    add.add_argument("--info", "-i", choices=INFOS, help="show what Hydra knows of the config")
    add.tail = groups_text


def groups_text() -> str:
    """The groups and their options, the user's own too, as the end of a help text."""
    from t5grid.config.compose import GROUPS, options

    lines = ["", "configuration groups (group=option):"]
    for group in GROUPS:
        names = ", ".join(options(group))
        lines += textwrap.wrap(f"{group}: {names}", 100, initial_indent="  ", subsequent_indent="    ")
    return "\n".join(lines) + "\n"


def is_asked(options: Any) -> bool:
    """Whether a config is to be shown instead of what the command does. Raises Refused."""
    for name in ("resolve", "package"):
        if getattr(options, name) and not options.cfg:
            raise Refused(f"{options.name}: --{name} goes with --cfg job, hydra or all")
    if options.cfg and options.info:
        raise Refused(f"{options.name}: --cfg or --info, not both")
    return bool(options.cfg or options.info)


def show(options: Any, cells: Sequence[tuple[str, Sequence[str]]]) -> int:
    """Print the config, or what Hydra knows of it, of each cell: its title (if any) and words."""
    for title, words in cells:
        if title:
            print(f"# {title}")
        if options.info:
            _show_info(options.info, words)
        else:
            print(text_of(words, options.cfg, options.package, options.resolve), end="")
    return 0


def starred_cells(names: Sequence[str], overrides: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """The starred row of each experiment, in words, with what it is called."""
    from t5grid.grid.experiment import load_experiment
    from t5grid.grid.graph import experiment_path

    for name in names:
        experiment = load_experiment(experiment_path(name))
        row = experiment.rows[experiment.starred]
        yield f"{name}, row {experiment.starred}", [*experiment.common, *overrides, *row.overrides]


def text_of(words: Sequence[str], which: str, package: str | None = None, resolve: bool = False) -> str:
    """A cell's config as YAML: the `job`'s, `hydra`'s part or `all`. Raises Refused."""
    from omegaconf import Container, OmegaConf, open_dict

    from t5grid.config.compose import compose, readable

    config = copy.deepcopy(compose(words))
    OmegaConf.set_readonly(config.hydra, None)
    with open_dict(config), open_dict(config.hydra):
        for name in ("help", "hydra_help"):
            config.hydra.pop(name, None)
        for key in map(str, list(config)):
            if which != "all" and (key == "hydra") != (which == "hydra"):
                config.pop(key)
    with readable(words):
        node = config if package in (None, "_global_") else OmegaConf.select(config, package)
        if node is None:
            raise Refused(f"--package {package}: not in the config; --cfg {which} shows it whole")
        if not isinstance(node, Container):
            return f"{node}\n"
        if resolve:
            OmegaConf.resolve(node)
    head = f"# @package {package}\n" if package not in (None, "_global_") else ""
    return head + OmegaConf.to_yaml(node)


def _show_info(info: str, words: Sequence[str]) -> None:
    from t5grid.config import hydra_api
    from t5grid.config.compose import compose, look, multiplied, readable

    compose(words)  # refuses what is wrong with them
    plain = multiplied(words, look)
    with readable(plain):
        hydra_api.show_info(info, plain)
