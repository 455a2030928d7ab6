"""Cells put together from parts are those that Hydra composes whole."""

from pathlib import Path

import pytest

from t5grid.config import compose as composing
from t5grid.config import reuse as parts
from t5grid.config import schema as config
from t5grid.config.compose import GROUPS, compose, data_folder, options
from t5grid.config.reuse import ByObject, OneOfEqual, Parts, Resolver, composed
from t5grid.config.schema import Cell, Cells
from t5grid.grid.experiment import load_experiment
from t5grid.refused import Refused

PAPER = ["size=base", "budget=paper", "suite=t5"]
FILES = sorted(data_folder("experiments").glob("*.yaml"))


@pytest.fixture
def whole(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The words of every cell that Hydra had to compose whole, as they come."""
    asked, remembered = list[list[str]](), parts.compose
    monkeypatch.setattr(parts, "compose", lambda words: asked.append(list(words)) or remembered(words))
    return asked


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
@pytest.mark.slow
def test_every_row_of_an_experiment_is_what_hydra_makes_of_it(path: Path, whole: list[list[str]]) -> None:
    experiment, made = load_experiment(path), Parts()
    own = {word.split("=")[0] for word in experiment.common}
    paper = [word for word in PAPER if word.split("=")[0] not in own]
    for row in experiment.rows.values():
        words = [*experiment.common, *paper, *row.overrides]
        assert made.compose(words) == composed(compose(words))
    # `budget` says the corpus and the vocabulary too, `prompted` its templates
    if "budget" not in own:
        first = [word for word in whole[0] if word not in experiment.common]
        assert first in (["budget=paper"], ["budget=paper", "strategy=prompted"])
    if not own & {"corpus", "vocabulary"}:  # a file of its own for what the budget says: Hydra's to decide
        hydras = [words for words in whole if not any(word.startswith("+") for word in words)]  # new keys
        parts_of_budgets = ("budget=", "corpus=", "vocabulary=", "strategy=prompted")
        assert all(word.startswith(parts_of_budgets) for words in hydras for word in words)


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.slow
def test_every_option_is_what_hydra_makes_of_it(group: str) -> None:
    made = Parts()
    for option in options(group):
        assert made.compose([f"{group}={option}"]) == composed(compose([f"{group}={option}"]))


@pytest.mark.parametrize(
    ("words", "put_together"),
    [
        (["objective.rate=0.2", "seed=3"], True),
        (["size=base", "size.d_model=64", "size=small"], True),
        (["suite.use=[questions,sentences]", "suite.columns.questions.title='A, b'"], True),
        (["budget=lab", "budget.note=null", "budget.pretrain.num_steps=${budget.finetune.num_steps}"], True),
        (["+objective.x=3"], False),
        (["~suite.columns.questions"], False),
        (["budget.pretrain={num_steps: 7}"], False),
        (["hydra.job.chdir=true"], False),
        (["++seed=4"], False),
    ],
)
@pytest.mark.slow
def test_values_are_set_as_hydra_sets_them(
    words: list[str], put_together: bool, whole: list[list[str]]
) -> None:
    found = Parts().compose(words)
    assert (words in whole) is not put_together
    expected = composed(composing.compose(words))
    assert found.raw == expected.raw and found.choices == expected.choices
    assert Resolver()(found.raw) == Resolver()(expected.raw)


@pytest.mark.parametrize("word", ["objective.nope=1", "seed.deeper=1", "objective=nope", "nope=1"])
def test_complaints_are_hydras(word: str) -> None:
    with pytest.raises(ValueError) as hydras:
        composing.compose([word])
    with pytest.raises(ValueError) as ours:
        Parts().compose([word])
    assert str(ours.value) == str(hydras.value)


@pytest.mark.slow
def test_an_option_that_speaks_of_other_groups_is_composed_by_hydra_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: list[list[str]]
) -> None:
    (tmp_path / "conf" / "budget").mkdir(parents=True)
    text = "# @package _global_\ndefaults: [nano@budget, _self_]\nsize: {d_model: 32}\n"
    (tmp_path / "conf" / "budget" / "narrow.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    made = Parts()
    cell = made.compose(["budget=narrow"])
    assert cell.raw["size"]["d_model"] == 32 and cell == composed(compose(["budget=narrow"]))
    words = ["objective=mass_style", "budget=narrow", "seed=3"]
    assert made.compose(words) == composed(compose(words))
    assert whole == [["budget=narrow"]]
    words = ["budget=narrow", "size=tiny"]  # whose widths are neither option's alone
    assert made.compose(words) == composed(compose(words))
    assert whole == [["budget=narrow"], words]


@pytest.mark.slow
def test_a_default_config_that_changes_an_option_is_not_undone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "conf").mkdir()
    text = (data_folder("conf") / "config.yaml").read_text() + "objective: {rate: 0.4}\n"
    (tmp_path / "conf" / "config.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    made = Parts()
    for words in ([], ["objective=mass_style"], ["objective=mass_style", "seed=1"]):
        assert made.compose(words) == composed(compose(words))
    assert made.compose(["objective=mass_style"]).raw["objective"]["rate"] == 0.4


def test_results_are_remembered_by_object_and_all_forgotten_at_the_limit() -> None:
    calls: list[object] = []
    remember = ByObject(lambda *given: calls.append(given) or [*given], limit=2)
    one, equal, third = {"a": 1}, {"a": 1}, {"a": 2}
    assert remember(one, "x") is remember(one, "".join(["x"])) and len(calls) == 1
    assert remember(equal, "x") == remember(one, "x") and len(calls) == 2
    remember(third)
    remember(one, "x")
    assert len(calls) == 4 and len(remember.known) == 2


def test_equal_nodes_become_one_object_and_types_count() -> None:
    one_of = OneOfEqual()
    first = one_of({"a": {"x": 1, "y": [1.0, None]}, "b": {"x": 1, "y": [1.0, None]}})
    assert first["a"] is first["b"] is one_of({"x": 1, "y": [1.0, None]})
    for other in ({"x": True, "y": [1.0, None]}, {"x": 1, "y": [1, None]}, {"y": [1.0, None], "x": 1}):
        assert one_of(other) is not first["a"] and repr(one_of(other)) == repr(other)


def test_equal_groups_of_two_cells_are_one_object() -> None:
    load = Cells().load
    one = load(["objective.rate=0.2", "seed=1"])
    other = load(["objective.rate=0.2", "size=tiny"])
    assert one.objective is other.objective and one.suite is other.suite and one.budget is other.budget
    assert one.config["suite"] is other.config["suite"] and one.size is not other.size


def test_cells_that_differ_in_their_seeds_alone_are_checked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    checked, check = list[Cell](), config._check_combination
    monkeypatch.setattr(config, "_check_combination", lambda cell: checked.append(cell) or check(cell))
    loader, words = Cells(), ["objective=bert_style", "objective.rate=0.2"]
    cells = [loader.load([*words, f"seed={seed}"]) for seed in (3, 0, 7)]
    assert len(checked) == 1 and [cell.seed for cell in cells] == [3, 0, 7]
    assert cells == [loader.build(loader.parts.compose([*words, f"seed={seed}"])) for seed in (3, 0, 7)]
    assert list(cells[0].config) == list(loader.load(words).config)
    assert loader.load(["seed=1", *words, "seed=2"]).seed == 2


def test_what_refers_to_the_seed_is_composed_with_it() -> None:
    loader = Cells()
    cells = [loader.load(["runtime.num_loader_workers=${seed}", f"seed={seed}"]) for seed in (3, 4)]
    assert [(cell.seed, cell.runtime.num_loader_workers) for cell in cells] == [(3, 3), (4, 4)]


@pytest.mark.parametrize("words", [["seed=4294967296"], ["nope=1", "seed=1"], ["seed=1", "size.nope=1"]])
def test_a_complaint_beside_a_seed_is_that_of_all_words(words: list[str]) -> None:
    loader = Cells()
    with pytest.raises(Refused) as whole:
        loader.build(loader.parts.compose(words))
    with pytest.raises(Refused) as told:
        loader.load(words)
    assert str(told.value) == str(whole.value)
