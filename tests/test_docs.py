"""What the pages say is so: commands run, tables are the committed ones, the site loads nothing of others."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from glob import glob
from html.parser import HTMLParser
from pathlib import Path

import pages
import pytest
from omegaconf import OmegaConf
from speck import SIZE

from t5grid import cli
from t5grid.commands.grids import grids_of
from t5grid.config import contracts
from t5grid.config.compose import GROUPS, data_folder
from t5grid.config.schema import load_cell
from t5grid.results import drawing
from t5grid.results.significance import margin

PROGRAMS = {"t5grid", "pip", "pytest", "mkdocs"}
CONTRACTS = {
    "`architecture`": contracts.Architecture,
    "`objective`": contracts.Objective,
    "`corpus`": contracts.Corpus,
    "`vocabulary`": contracts.Vocabulary,
    "`mixing`": contracts.Mixing,
    "`finetune`": contracts.Method,
    "`strategy`": contracts.Strategy,
    "`size`": contracts.Size,
    "`executor`": contracts.Executor,
    "a task of a suite": contracts.Task,
    "a schedule": contracts.Schedule,
    "an optimizer": contracts.Optimizer,
}
CONFIG = data_folder("conf") / "config.yaml"
ROWS = {"num_train": 40, "num_validation": 12}
EACH_PAGE = pytest.mark.parametrize("page", pages.PAGES, ids=[page.stem for page in pages.PAGES])


def commands(page: Path) -> list[pages.Command]:
    parts = pages.parts(page.read_text(encoding="utf-8"))
    return [part for part in parts if isinstance(part, pages.Command)]


def arguments(command: pages.Command) -> list[str]:
    """The words behind the program; `*` stands for files where there are such, as a shell has it."""
    return [path for word in command.words[1:] for path in sorted(glob(word)) or [word]]


# --- what costs nothing to look at ----------------------------------------------------------------


def test_a_page_gives_its_commands_and_files_in_order() -> None:
    page = (
        "Say `a/b.yaml`:\n\n```yaml\nx: 1\n```\n\nThen `c`:\n\n"
        "```bash\npip install . && t5grid a 'b c'  # why\nt5grid d   # [cluster] late\n"
        "t5grid e \\\n  f\n```\n\n"
        "```text\nout\n```\n\nNot printed:\n\n```text\nflow\n```\n"
    )
    assert list(pages.parts(page)) == [
        pages.File("a/b.yaml", "x: 1\n"),
        pages.Command(("pip", "install", ".")),
        pages.Command(("t5grid", "a", "b c")),
        pages.Command(("t5grid", "d"), "cluster"),
        pages.Command(("t5grid", "e", "f"), prints=("out",)),
    ]


@EACH_PAGE
def test_every_command_of_a_page_has_options_that_are_there(page: Path) -> None:
    for command in commands(page):
        assert command.words[0] in PROGRAMS and command.mark in ("", *pages.MARKS), command
        if command.words[0] == "t5grid":
            cli._parse(arguments(command))


def test_every_mark_is_explained_and_used() -> None:
    used = {command.mark for page in pages.PAGES for command in commands(page)} - {""}
    explained = re.findall(r"^\| `\[(\w+)\]`", (pages.ROOT / "docs/index.md").read_text(), re.MULTILINE)
    assert set(explained) == used == set(pages.MARKS)


def test_what_pip_is_to_install_is_an_extra() -> None:
    extras = tomllib.loads((pages.ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    words = [word for page in pages.PAGES for command in commands(page) for word in command.words[1:]]
    named = {extra for word in words for extra in re.findall(r"^\.\[(\w+)\]$", word)}
    assert named == {"dev", "docs"} and named <= extras.keys()


@EACH_PAGE
def test_the_tables_of_a_page_are_the_committed_ones(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text == pages.with_tables(text), "python tests/pages.py"


def test_a_table_of_a_page_is_in_it() -> None:
    text = (pages.ROOT / "README.md").read_text(encoding="utf-8")
    assert (
        "<!-- table: objectives-nano -->\n\n| Objective | " in text
        and "| ★ Replace corrupted spans | " in text
    )


@EACH_PAGE
def test_links_and_pictures_of_a_page_are_there(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []


def test_every_page_is_reached_from_the_first_one_and_from_the_readme() -> None:
    names = {page.name for page in pages.PAGES[1:]} - {"index.md"}
    nav = OmegaConf.load(pages.ROOT / "mkdocs.yml").nav
    assert {path for entry in nav for path in entry.values()} == {*names, "index.md"}
    for start in ("README.md", "docs/index.md"):
        links = re.findall(r"\]\((?:docs/)?([\w-]+\.md)\)", (pages.ROOT / start).read_text())
        assert names <= set(links), start


def test_the_axes_page_names_every_option() -> None:
    text = (pages.ROOT / "docs/axes.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", text.partition("\n## ")[0], re.MULTILINE))
    assert rows.keys() == set(GROUPS)
    defaults = dict(
        next(iter(entry.items())) for entry in OmegaConf.load(CONFIG).defaults if entry != "_self_"
    )
    for group in GROUPS:
        options = {path.stem for path in (data_folder("conf") / group).glob("*.yaml")}
        options -= {name for name in options if group == "corpus" and name.startswith("nano_")}  # variants
        assert options - set(re.findall(r"\w+", rows[group])) == set(), group
        assert re.findall(r"(\w+) ★", rows[group]) == [defaults[group]]


def test_the_axes_page_names_every_experiment() -> None:
    text = (pages.ROOT / "docs/axes.md").read_text()
    names = [path.stem for path in data_folder("experiments").glob("*.yaml")]
    assert [name for name in names if f"| `{name}` |" not in text] == []


def test_the_members_that_a_class_needs_are_those_of_its_contract() -> None:
    text = (pages.ROOT / "docs/own-axis-value.md").read_text()
    for row, contract in CONTRACTS.items():
        members = ", ".join(f"`{name}`" for name in contracts.members(contract))
        assert f"| {row} | {members} |" in text


def test_the_margins_are_those_of_students_t() -> None:
    text = (pages.ROOT / "docs/results.md").read_text()
    for seeds, budgets in ((3, ""), (5, " (`budget=nano`, `budget=lab`)")):
        of_baseline, of_rows = margin(seeds - 1, seeds, 1), margin(seeds - 1, 1, 1)
        assert f"| {seeds} seeds{budgets} | {of_baseline:.2f} | {of_rows:.2f} |" in text


# --- the commands, in one folder ------------------------------------------------------------------


def quick(budget: str) -> str:
    """A budget of the package with the steps of smoke, and fewer."""
    folder = data_folder("conf") / "budget"
    made, smoke = OmegaConf.load(folder / "nano.yaml"), OmegaConf.load(folder / "smoke.yaml")
    made.merge_with(OmegaConf.masked_copy(smoke, ["num_baseline_seeds", "evaluate"]))
    made.merge_with({"name": budget, "num_documents": 300})
    made.pretrain.merge_with({"num_steps": 2, "checkpoint_every": 1, "num_rows": 2, "inputs_length": 32})
    made.finetune.merge_with({"num_steps": 4, "checkpoint_every": 4, "num_tokens": 128})
    return OmegaConf.to_yaml(made)


def few_rows() -> str:
    """Two columns of the embedded suite, with few rows."""
    suite = OmegaConf.load(data_folder("conf") / "suite/nano.yaml")
    for column in suite.columns.values():
        for task in column.tasks.values():
            task.merge_with(ROWS)
    suite.use = ["questions", "to_norvin"]
    return OmegaConf.to_yaml(suite)


def few_pieces() -> str:
    vocabulary = OmegaConf.load(data_folder("conf") / "vocabulary/trained.yaml")
    vocabulary.num_pieces = 300
    return OmegaConf.to_yaml(vocabulary)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one store for all pages, whose `conf/` makes every command a small one as it stands."""
    folder = tmp_path_factory.mktemp("desk")
    files = {f"budget/{name}": quick(name) for name in ("smoke", "nano", "lab")}
    files |= {"suite/nano": few_rows(), "vocabulary/trained": few_pieces()}
    files |= {"size/nano": SIZE.replace("num_layers: 1", "num_layers: 2")}
    files |= {"executor/local": "_target_: inline.Inline\nnum_workers: null\nmemory: null\n"}
    for name, text in files.items():
        path = folder / f"conf/{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


@pytest.fixture
def at_desk(desk: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working directory of a page's commands; figures are left blank, which other tests look at.

    An experiment of one's own is there on its own page alone.
    """
    monkeypatch.chdir(desk)
    monkeypatch.setenv("T5GRID_ALLOW", "inline")
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(drawing, "FEWEST_SHARED", sys.maxsize)
    monkeypatch.setattr(drawing, "_draw", lambda job: dict.fromkeys(job[1], b""))
    yield desk
    sys.modules.pop("halves", None)
    shutil.rmtree(desk / "experiments", ignore_errors=True)


def follow(command: pages.Command, capsys: pytest.CaptureFixture[str]) -> None:
    """Run a command of a page; what it needs more than there is here, it is only composed."""
    if command.mark:
        compose(command)
        return
    capsys.readouterr()
    code = cli.main(arguments(command))
    out, err = capsys.readouterr()
    assert code == 0, f"{' '.join(command.words)}\n{err[-2000:]}"
    assert set(command.prints) <= set(out.splitlines()), f"{' '.join(command.words)}\n{out[-2000:]}"


def compose(command: pages.Command) -> None:
    """The cell of a command, and every row of every table it names unless their data are not here."""
    options, _ = cli._parse(arguments(command))
    words = getattr(options, "names", None) or getattr(options, "overrides", [])
    load_cell([word for word in words if "=" in word])
    if options.name in ("sweep", "plan") and command.mark != "data":
        grids_of(options)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@EACH_PAGE
def test_every_command_of_a_page_runs(page: Path, at_desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for part in pages.parts(page.read_text(encoding="utf-8")):
        if isinstance(part, pages.File):
            path = at_desk / part.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(part.text)
        elif part.words[0] == "t5grid":
            follow(part, capsys)


# --- the site -------------------------------------------------------------------------------------


class Loaded(HTMLParser):
    """Addresses that a browser loads with a page, whatever a reader follows."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = ("src", "srcset", "data", "poster") if tag != "link" else ("href",)
        self.addresses += [value for name, value in attrs if name in names and value]


def foreign(text: str) -> list[str]:
    """Of what a page loads, that of another host."""
    page = Loaded()
    page.feed(text)
    return [address for address in page.addresses if re.match(r"(\w+:)?//", address)]


def test_what_a_page_loads_from_another_host_is_found() -> None:
    text = '<link href="//fonts.example/a.css"><script src="https://cdn.example/a.js"></script>'
    assert foreign(text) == ["//fonts.example/a.css", "https://cdn.example/a.js"]
    assert foreign('<a href="https://arxiv.org"></a><script src="js/a.js"></script>') == []


@pytest.mark.slow
def test_the_site_builds_and_loads_nothing_from_another_host(tmp_path: Path) -> None:
    if not os.environ.get("CI"):
        pytest.importorskip("mkdocs")
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    built = subprocess.run(words, cwd=pages.ROOT, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    html = {path: path.read_text(encoding="utf-8") for path in tmp_path.rglob("*.html")}
    assert {path.stem for path in html} >= {page.stem for page in pages.PAGES[1:]}
    assert {path.name: found for path, text in html.items() if (found := foreign(text))} == {}
    styles = [path.read_text(encoding="utf-8") for path in tmp_path.rglob("*.css")]
    assert styles and not re.search(r"(url\(|@import)\s*['\"]?(https?:)?//", "".join(styles))
