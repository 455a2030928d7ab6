"""What t5grid uses of Hydra beyond its manual: a new Hydra without one of these fails here, by its name."""

import ast
import inspect
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import hydra
import pytest
from hydra.core.config_loader import ConfigLoader
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import DictConfig, OmegaConf

from t5grid.config import compose as composing
from t5grid.config import hydra_api
from t5grid.config.compose import compose, initialise, load_option, options
from t5grid.refused import Refused

PACKAGE = Path(hydra_api.__file__).parents[1]
CHANGED = f"Hydra {hydra.__version__} has no more what t5grid.config.hydra_api needs:"
OVERRIDE = ("key_or_group", "package", "input_line", "value", "is_add", "is_force_add", "is_delete")
OF_SWEEPS = (
    "get_key_element",
    "get_value_element_as_str",
    "is_sweep_override",
    "is_discrete_sweep",
    "sweep_string_iterator",
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small conf folder of two groups, with which Hydra has started; the working directory is beside it."""
    conf = tmp_path / "small"
    write(conf / "config.yaml", "defaults: [size: one, shape: wide, _self_]\nseed: 0\n")
    write(conf / "size" / "one.yaml", "d_model: 1\n")
    write(conf / "size" / "two.yaml", "# @package size\ndefaults: [one, _self_]\nd_model: 2\n")
    write(conf / "shape" / "wide.yaml", "width: 3\n")
    monkeypatch.chdir(tmp_path)
    hydra_api.start(conf, None)
    return conf


@pytest.fixture(autouse=True)
def hydra_afterwards() -> Any:
    """Other tests start Hydra for themselves."""
    yield
    GlobalHydra.instance().clear()


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def has(thing: Any, *names: str) -> None:
    missing = [name for name in names if not hasattr(thing, name)]
    assert not missing, f"{CHANGED} {type(thing).__name__}.{', .'.join(missing)}"


def takes(function: Callable[..., Any], *given: Any, **named: Any) -> None:
    try:
        inspect.signature(function).bind(*given, **named)
    except TypeError as error:
        pytest.fail(f"{CHANGED} {function.__qualname__}{inspect.signature(function)}: {error}")


@cache
def imported(path: Path) -> list[str]:
    """The modules that a file imports anywhere."""
    names = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        if isinstance(node, ast.ImportFrom):
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


def test_nothing_imports_what_hydra_keeps_to_itself() -> None:
    for path in PACKAGE.rglob("*.py"):
        inner = [name for name in imported(path) if name.startswith("hydra._")]
        assert not inner and "hydra._internal." not in path.read_text(), (path, inner)


def test_only_one_module_uses_hydra_beyond_its_manual() -> None:
    described = ("hydra.errors.", "hydra.core.hydra_config.", "hydra.utils.", "hydra.compose")
    for path in PACKAGE.rglob("*.py"):
        if path != Path(hydra_api.__file__):
            names = [name for name in imported(path) if name.startswith("hydra.")]
            assert all(name.startswith(described) for name in names), (path, names)


def test_each_use_beyond_the_manual_is_named_by_one_test() -> None:
    functions = [
        name
        for name, value in vars(hydra_api).items()
        if inspect.isfunction(value) and value.__module__ == hydra_api.__name__ and not name.startswith("_")
    ]
    assert len(functions) > 5
    assert [name for name in functions if f"test_{name}" not in globals()] == []


def test_start(folder: Path, tmp_path: Path) -> None:
    has(hydra, "initialize_config_dir", "compose")
    takes(hydra.initialize_config_dir, "/conf", job_name="t5grid", version_base="1.3")
    assert issubclass(hydra_api.UserFolder, SearchPathPlugin), CHANGED
    write(tmp_path / "own" / "size" / "one.yaml", "d_model: 7\n")
    hydra_api.start(folder, tmp_path / "own")
    config = hydra.compose("config", return_hydra_config=True)
    assert config.size == {"d_model": 7} and config.shape == {"width": 3}
    assert config.hydra.job.name == "t5grid" and str(config.hydra.runtime.version_base) == "1.3"


def test_start_leaves_other_users_of_hydra_alone(folder: Path, tmp_path: Path) -> None:
    hydra_api.start(folder, tmp_path / "own")
    GlobalHydra.instance().clear()
    with hydra.initialize_config_dir(str(folder), version_base="1.3"):
        assert hydra_api.user_folders() == []


def test_primary(folder: Path, tmp_path: Path) -> None:
    has(ConfigStore.instance(), "repo", "store")
    write(tmp_path / "own" / "config.yaml", "defaults: [model: resnet]\n")
    write(tmp_path / "own" / "size" / "three.yaml", "d_model: 3\n")
    hydra_api.start(folder, tmp_path / "own", set_aside=True)
    config = hydra.compose(hydra_api.primary(), ["size=three"], return_hydra_config=True)
    assert config.size == {"d_model": 3} and config.shape == {"width": 3} and "model" not in config
    hydra_api.start(folder, None)
    assert hydra_api.primary() == "config"


def test_config_loader(folder: Path) -> None:
    has(GlobalHydra.instance(), "config_loader", "is_initialized", "clear", "hydra")
    loader = hydra_api.config_loader()
    has(loader, "load_configuration", "get_search_path", "get_group_options", "get_sources")


def test_user_folders(folder: Path, tmp_path: Path) -> None:
    has(hydra_api.config_loader().get_search_path(), "get_path", "prepend")
    for element in hydra_api.config_loader().get_search_path().get_path():
        has(element, "provider", "path")
    assert hydra_api.user_folders() == []
    hydra_api.start(folder, tmp_path / "own")
    assert hydra_api.user_folders() == [tmp_path / "own"]
    first = hydra_api.config_loader().get_search_path().get_path()[0]
    assert first.provider == "user", f"{CHANGED} a plugin that puts a folder first"
    GlobalHydra.instance().clear()
    assert hydra_api.user_folders() is None


def test_group_options(folder: Path) -> None:
    takes(hydra_api.config_loader().get_group_options, "size")
    assert hydra_api.group_options("size") == ["one", "two"]
    assert hydra_api.group_options("nope") == []


def test_read_option(folder: Path, tmp_path: Path) -> None:
    for source in hydra_api.config_loader().get_sources():
        has(source, "is_config", "load_config")
    assert hydra_api.read_option("size", "one") == ({"d_model": 1}, None)
    assert hydra_api.read_option("size", "two") == ({"defaults": ["one", "_self_"], "d_model": 2}, "size")
    assert hydra_api.read_option("size", "nope") is None
    write(tmp_path / "own" / "size" / "one.yaml", "d_model: 7\n")
    hydra_api.start(folder, tmp_path / "own")
    assert hydra_api.read_option("size", "one") == ({"d_model": 7}, None)


def test_parse_override() -> None:
    override = hydra_api.parse_override("size.d_model=3")
    has(override, *OVERRIDE, *OF_SWEEPS)
    assert (override.key_or_group, override.value(), override.package) == ("size.d_model", 3, None)
    assert override.input_line == "size.d_model=3"
    assert not (override.is_add() or override.is_force_add() or override.is_delete())
    assert hydra_api.parse_override("+a=1").is_add() and hydra_api.parse_override("~a").is_delete()
    assert hydra_api.parse_override("++a=1").is_force_add()
    assert hydra_api.parse_override("a=1,2").is_sweep_override()
    with pytest.raises(HydraException):
        hydra_api.parse_override("a")


def test_compose_multirun(folder: Path) -> None:
    takes(hydra_api.config_loader().load_configuration, "config", [], hydra_api.RunMode.MULTIRUN)
    config = hydra_api.compose_multirun(["size=one,two", "seed=1", "hydra.sweep.dir=there"])
    assert list(config.hydra.overrides.task) == ["size=one,two", "seed=1"]
    assert config.hydra.sweep.dir == "there" and config.hydra.sweeper.params is None
    assert config.hydra.sweeper._target_.endswith(".BasicSweeper"), f"{CHANGED} a sweeper BasicSweeper"
    assert config.hydra.launcher._target_.endswith(".BasicLauncher")


def unchecked(config: DictConfig) -> None:
    """No check."""


def job_words(config: DictConfig) -> tuple[str, ...]:
    return tuple(HydraConfig.get().overrides.task)


WORDS = ["size=glob(*)", "seed=1", "shape.width=range(2,4)", "seed=5,6", "+note='a, b'", "~shape.width"]


@pytest.mark.slow
def test_split_jobs(folder: Path) -> None:
    """The jobs are those that Hydra's basic sweeper makes of the words: it is asked to run them."""
    for words in (WORDS[:-1], [WORDS[0], WORDS[-1]], []):
        jobs = list(hydra_api.split_jobs(words))
        assert hydra_api.launch(job_words, words, unchecked) == jobs, (
            f"{CHANGED} a basic sweeper of these jobs"
        )
    assert len(list(hydra_api.split_jobs(WORDS[:-1]))) == 2 * 2 * 2
    with pytest.raises(Refused, match=r"seed=interval\(0,1\): no values to run one by one"):
        list(hydra_api.split_jobs(["seed=interval(0,1)"]))


def seed_of(config: DictConfig) -> int:
    return int(config.seed)


def test_launch(folder: Path) -> None:
    has(GlobalHydra.instance().hydra, "multirun")
    hydras: Any = GlobalHydra.instance().hydra
    takes(hydras.multirun, "config", seed_of, [], with_log_configuration=False)
    assert hydra_api.launch(seed_of, ["seed=3,4"], unchecked) == [3, 4]
    assert hydra_api.launch(seed_of, ["seed=5"], unchecked) == [5]


@pytest.mark.slow
def test_launch_checks_the_whole_multirun_and_each_job_before_any_runs(folder: Path) -> None:
    checked: list[int] = []
    hydra_api.launch(lambda config: checked.append(-config.seed), ["seed=3,4"], note_seed(checked))
    assert checked[0] == 0 and checked.index(-3) > checked.index(4), CHANGED
    assert set(checked) == {0, 3, 4, -3, -4}
    lacking = ConfigLoader.__abstractmethods__ - vars(hydra_api.CheckedLoader).keys()
    assert not lacking, f"{CHANGED} a ConfigLoader of these methods only"


def note_seed(checked: list[int]) -> Callable[[DictConfig], None]:
    return lambda config: checked.append(int(config.seed))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rate: 1\n", {"rate": 1}),
        ("", {}),
        ("defaults: [mass_style, _self_]\nrate: 1\n", {"rate": 1}),
        ("defaults: [_self_, mass_style]\nrate: 1\n", {"rate": 0.15}),
        ("defaults: [mass_style]\nrate: 1\n", {"rate": 1}),
        ("# @package objective\nrate: 1\n", {"rate": 1}),
    ],
)
@pytest.mark.slow
def test_an_option_of_plain_files_of_its_own_group_is_read_as_hydra_reads_it(
    text: str, expected: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "conf" / "objective" / "mine.yaml", text)
    monkeypatch.chdir(tmp_path)
    option = load_option("objective", "mine")
    assert option == OmegaConf.to_container(compose(["objective=mine"]).objective)
    assert option.items() >= expected.items()


@pytest.mark.parametrize(
    "text",
    [
        "# @package _global_\nseed: 1\n",
        "defaults: [/size/base@_global_.size, _self_]\n",
        "defaults: [mass_style@sub, _self_]\n",
        "defaults: [override /size: base]\n",
        "defaults: [mass_style, bert_style]\n",  # which is made of the first
        "defaults: [mine]\n",
        "defaults: [_self_, _self_]\n",
        "defaults: [absent]\n",
        "defaults: {mass_style: 1}\n",
        "defaults: ['${seed}']\n",
        "- 1\n",
        "rate: [\n",
        "# @package a b\nrate: 1\n",
    ],
)
def test_every_other_option_is_left_to_hydra(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "conf" / "objective" / "mine.yaml", text)
    monkeypatch.chdir(tmp_path)
    assert load_option("objective", "mine") is None
    assert load_option("objective", "nope") is None and load_option("objective", "../size/base") is None


@pytest.mark.parametrize("text", ["# @package a b\nrate: 1\n", "defaults: {mass_style: 1}\n"])
def test_what_hydra_says_of_a_file_with_a_plain_error_is_one_line(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "conf" / "objective" / "mine.yaml", text)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Refused, match=r"^conf: [^\n]+$"):
        compose(["objective=mine"])


def test_the_folder_of_where_a_command_is_given_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one process, from one working directory to the next, and back to one without a conf/."""
    for name in ("one", "two"):
        write(tmp_path / name / "conf" / "size" / f"{name}.yaml", "d_model: 7\n")
        monkeypatch.chdir(tmp_path / name)
        assert {"one", "two"} & set(options("size")) == {name}
    monkeypatch.chdir(tmp_path)
    assert not {"one", "two"} & set(options("size"))
    started = GlobalHydra.instance().hydra
    options("size")
    assert GlobalHydra.instance().hydra is started  # the same folder, the same Hydra
    initialise()
    assert GlobalHydra.instance().hydra is not started


@pytest.mark.slow
def test_a_multirun_checks_the_values_that_the_sweeper_itself_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from t5grid.commands.multirun import multirun

    text = (composing.data_folder("conf") / "config.yaml").read_text()
    write(tmp_path / "conf" / "config.yaml", text + "hydra: {sweeper: {params: {objective.rate: '0.1,7'}}}\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(hydra_api, "launch", lambda *arguments: pytest.fail("nothing is to be launched"))
    with pytest.raises(Refused, match=r"objective\.rate=7: a number above 0, below 1, is needed"):
        multirun([])
    assert not (tmp_path / "multirun").exists()


def test_show_info(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import logging

    hydras: Any = GlobalHydra.instance().hydra
    has(hydras, "show_info")
    takes(hydras.show_info, "defaults", "config", [])
    handlers, level = list(logging.root.handlers), logging.root.level
    try:
        hydra_api.show_info("defaults", ["size=two"])
    finally:
        logging.root.handlers[:] = handlers
        logging.root.setLevel(level)
    assert "size/two" in capsys.readouterr().out
