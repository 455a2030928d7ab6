"""words -> Hydra, where its manual shows no way: one function and one test each.

Nothing imports `hydra._internal`. What the manual describes is used where it is needed: `compose`,
`initialize_config_dir`, search path plugins and their registration, `GlobalHydra`, `HydraConfig`, exceptions.
Importing this module imports Hydra, so it is imported where something is composed.
"""

import copy
import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

from hydra import initialize_config_dir
from hydra.core.config_loader import ConfigLoader
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.plugins.search_path_plugin import SearchPathPlugin
from hydra.types import RunMode
from omegaconf import Container, DictConfig, OmegaConf

from t5grid.refused import Refused

USER, ADDED = "user", "command-line"
SET_ASIDE = "t5grid_config"


class UserFolder(SearchPathPlugin):
    """Puts the user's own folder before every other one, while `start` runs and at no other time.

    One that is added on the command line comes after them, as in Hydra's own programs.
    """

    folder: ClassVar[Path | None] = None
    added: ClassVar[Path | None] = None

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        if self.folder:
            search_path.prepend(USER, f"file://{self.folder}")
        if self.added:
            search_path.append(ADDED, f"file://{self.added}")


def start(folder: Path, own: Path | None, set_aside: bool = False, added: Path | None = None) -> None:
    """A fresh Hydra that sees the user's own folder first, if there is one, then `folder`, then one `added`.

    The user's `config.yaml` may be `set_aside`: then that of `folder` is the primary config.
    """
    GlobalHydra.instance().clear()
    ConfigStore.instance().repo.pop(f"{SET_ASIDE}.yaml", None)
    if set_aside:
        ConfigStore.instance().store(SET_ASIDE, OmegaConf.load(folder / "config.yaml"))
    Plugins.instance().register(UserFolder)
    UserFolder.folder, UserFolder.added = own, added
    try:
        initialize_config_dir(str(folder), job_name="t5grid", version_base="1.3")
    finally:
        UserFolder.folder = UserFolder.added = None


def primary() -> str:
    """The name of the config that everything is composed from."""
    return SET_ASIDE if f"{SET_ASIDE}.yaml" in ConfigStore.instance().repo else "config"


def config_loader() -> ConfigLoader:
    """What a Hydra that has started reads configs with."""
    return GlobalHydra.instance().config_loader()


def user_folders() -> list[Path] | None:
    """The user's own folders on the search path, or none; None before Hydra has started."""
    if not GlobalHydra.instance().is_initialized():
        return None
    path = config_loader().get_search_path().get_path()
    return [
        Path(element.path.removeprefix("file://")) for element in path if element.provider in (USER, ADDED)
    ]


def group_options(group: str) -> list[str]:
    """The options of a group in every folder on the search path, sorted."""
    return config_loader().get_group_options(group)


def read_option(group: str, option: str) -> tuple[Container, str | None] | None:
    """The first file of an option as it is written, and the package its header names; None without a file."""
    path = f"{group}/{option}"
    source = next((source for source in config_loader().get_sources() if source.is_config(path)), None)
    if source is None:
        return None
    result = source.load_config(path)
    return result.config, result.header["package"]


def parse_override(word: str) -> Override:
    """A word as Hydra's grammar has it. Raises HydraException."""
    return OverridesParser.create().parse_override(word)


def compose_multirun(words: Sequence[str]) -> DictConfig:
    """The config of a whole multirun with Hydra's part in it. Raises HydraException."""
    return config_loader().load_configuration(primary(), list(words), RunMode.MULTIRUN)


def split_jobs(words: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """The words of each job, in the order in which Hydra's basic sweeper makes them. Raises Refused."""
    overrides = OverridesParser.create(config_loader()).parse_overrides(list(words))
    values = {override.get_key_element(): _job_words(override) for override in overrides}
    return itertools.product(*values.values())


def _job_words(override: Override) -> list[str]:
    key = override.get_key_element()
    if not override.is_sweep_override():
        return [f"{key}={override.get_value_element_as_str()}"]
    if not override.is_discrete_sweep():
        raise Refused(
            f"{override.input_line}: no values to run one by one; write them, or range(start,stop,step)"
        )
    return [f"{key}={value}" for value in override.sweep_string_iterator()]


class CheckedLoader(ConfigLoader):
    """Loads as another loader does, and checks each config: the multirun's and every job's."""

    def __init__(self, loader: ConfigLoader, check: Callable[[DictConfig], None]) -> None:
        self.loader, self.check = loader, check

    def load_configuration(self, *arguments: Any, **named: Any) -> DictConfig:
        return self._checked(self.loader.load_configuration(*arguments, **named))

    def load_sweep_config(self, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        return self._checked(self.loader.load_sweep_config(master_config, sweep_overrides))

    def _checked(self, config: DictConfig) -> DictConfig:
        self.check(config)
        return config

    def get_search_path(self) -> ConfigSearchPath:
        return self.loader.get_search_path()

    def get_sources(self) -> list[Any]:
        return self.loader.get_sources()

    def list_groups(self, parent_name: str) -> list[str]:
        return self.loader.list_groups(parent_name)

    def get_group_options(self, *arguments: Any, **named: Any) -> list[str]:
        return self.loader.get_group_options(*arguments, **named)

    def compute_defaults_list(self, *arguments: Any, **named: Any) -> Any:
        return self.loader.compute_defaults_list(*arguments, **named)


def launch(
    task: Callable[[DictConfig], Any], words: Sequence[str], check: Callable[[DictConfig], None]
) -> list[Any]:
    """Run the task on each job of a multirun under the launcher that the words name; what each returned.

    Every config that Hydra loads for it is checked, in whatever process.
    """
    hydra = copy.copy(GlobalHydra.instance().hydra)
    assert hydra is not None
    hydra.config_loader = CheckedLoader(hydra.config_loader, check)
    returned = hydra.multirun(primary(), task, list(words), with_log_configuration=False)
    batches = returned if isinstance(returned, list) else [[returned]]
    return [job.return_value for batch in batches for job in batch]


def show_info(info: str, words: Sequence[str]) -> None:
    """Print what Hydra knows of a config: `defaults`, `searchpath` and more. Raises HydraException."""
    hydra = GlobalHydra.instance().hydra
    assert hydra is not None
    hydra.show_info(info, primary(), list(words))
