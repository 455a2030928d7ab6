"""Every experiment file, and what a wrong one says."""

from collections import Counter
from pathlib import Path

import pytest

from t5grid.config.schema import load_cell
from t5grid.grid.experiment import Experiment, load_experiment
from t5grid.grid.published import paper_row, paper_table

FILES = sorted((Path(__file__).parents[1] / "experiments").glob("*.yaml"))
IMPORTED = {"encoder_transfer", "encoder_sample_efficiency"}
"""Experiments whose baseline starts from imported weights."""


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def experiment(request: pytest.FixtureRequest) -> Experiment:
    return load_experiment(request.param)


def test_the_tables_of_the_objectives_are_there() -> None:
    assert {path.stem for path in FILES} >= {"objectives", "corruption_rate", "span_length"}


def test_exactly_one_row_is_starred_and_it_overrides_nothing(experiment: Experiment) -> None:
    """But for weights that were trained elsewhere, which a row from scratch has no key for."""
    (overrides,) = [row.overrides for row in experiment.rows.values() if row.starred]
    assert overrides == (["strategy.pretrained=${vocabulary.folder}"] if experiment.name in IMPORTED else [])


def test_row_titles_are_unique(experiment: Experiment) -> None:
    assert max(Counter(row.title for row in experiment.rows.values()).values()) == 1


def test_every_published_row_named_exists_and_is_starred_with_ours(experiment: Experiment) -> None:
    for row in experiment.rows.values():
        if row.paper:
            published = paper_row(row.paper)
            marks = any(other.starred for other in paper_table(row.paper.table, row.paper.of or "t5"))
            assert published.starred == (row.starred and marks)  # a table may mark no baseline


def test_command_names_the_file(experiment: Experiment) -> None:
    assert experiment.command == f"t5grid sweep {experiment.name}"


def test_objectives_holds_all_eight_and_no_pretraining() -> None:
    rows = load_experiment(FILES[0].parent / "objectives.yaml").rows
    assert [row.overrides for row in rows.values()] == [
        ["objective=prefix_lm"],
        ["objective=language_model"],
        ["objective=bert_style"],
        ["objective=deshuffling"],
        ["objective=mass_style"],
        [],
        ["objective=drop_tokens"],
        ["objective=random_spans"],
        ["strategy=no_pretraining"],
    ]


def test_spans_of_three_are_the_same_row_in_two_tables() -> None:
    folder = FILES[0].parent
    of_spans, of_objectives = (
        load_experiment(folder / f"{name}.yaml") for name in ("span_length", "objectives")
    )
    assert of_spans.rows["span_3"].overrides == of_objectives.rows["random_spans"].overrides


@pytest.mark.parametrize(
    ("row", "width", "unlabelled"),
    [
        ("small", (512, 2048, 64, 8, 6), 710_000),
        ("base", (768, 3072, 64, 12, 12), 2_620_000),
        ("large", (1024, 4096, 64, 16, 24), 8_660_000),
        ("xl_3b", (1024, 16384, 128, 32, 24), 33_500_000),
        ("xxl_11b", (1024, 65536, 128, 128, 24), 133_000_000),
    ],
)
@pytest.mark.slow
def test_the_final_models_have_the_papers_recipe(row: str, width: tuple[int, ...], unlabelled: int) -> None:
    """Paper, section 3.7; a million steps of 2^11 rows are 2^20 here, 32 times the baseline's text."""
    spec = load_experiment(FILES[0].parent / "final.yaml").rows[row]
    cell = load_cell(["budget=paper", "suite=t5_tasks", *spec.overrides])
    size, pretrain = cell.size, cell.budget.pretrain
    assert (size.d_model, size.d_ff, size.d_kv, size.num_heads, size.num_layers) == width
    assert (pretrain.num_steps, pretrain.num_rows, pretrain.inputs_length) == (2**20, 2**11, 512)
    assert (cell.objective.rate, cell.objective.mean_span_length) == (0.15, 3)
    assert (cell.mixing.limit, cell.mixing.unlabelled_limit) == (1_000_000, unlabelled)
    assert cell.budget.evaluate.num_beams == 4
    columns = cell.suite.chosen()
    searched = [key for key, column in columns.items() if column.long_texts]
    assert searched == ["cnn_dailymail", "wmt_ende", "wmt_enfr", "wmt_enro"]
    small = [key for key, column in columns.items() if column.num_tokens == 8 * 512]
    assert len(small) == 16 and all(columns[key].checkpoint_every == 1000 for key in small)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "    starred: true",
            "    starrd: true",
            "rows.rate_15.starrd: no such key (did you mean 'starred'?)",
        ),
        ("    starred: true\n", "", "rows: exactly one must be starred"),
        ("row: 50%", "row: 50%, of: brt", "published: no paper 'brt' in results/published (did you mean 'b"),
        (
            "rows:",
            "published: bert\nrows:",
            "rows.rate_10.paper: paper table 'table06' is not p",
        ),
        ("rate_25:", "rate_10:", "found duplicate key rate_10"),
        ("title: 25%", "title: 10%", "rows: 2 rows have the title '10%'"),
        ("table: table06, row: 50%", "table: table66, row: 50%", "rows.rate_50.paper: paper table 'table66'"),
        ("table: table06, row: 50%", "table: table06, row: 40%", "whose rows are: 10%; 15%; 25%; 50%"),
        ("first_column: Corruption rate", "", "first_column: a value is needed"),
        (
            "overrides: []",
            "overrides: [{size: tiny}]",
            "overrides[0]={size: tiny}: text is needed",
        ),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = (FILES[0].parent / "corruption_rate.yaml").read_text()
    assert old in text
    path = tmp_path / "wrong.yaml"
    path.write_text(text.replace(old, new))
    with pytest.raises(ValueError) as caught:
        load_experiment(path)
    assert message in str(caught.value) and str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_everything_that_a_file_lacks_is_named_at_once(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("title: Mine\n")
    with pytest.raises(ValueError) as caught:
        load_experiment(tmp_path / "mine.yaml")
    assert str(caught.value) == f"{tmp_path}/mine.yaml: first_column, rows: a value is needed for each"


def test_what_a_table_reproduces_and_costs_is_optional_and_its_command_its_own(tmp_path: Path) -> None:
    text = "title: Mine\nfirst_column: Row\nrows:\n  only: {title: Only, overrides: [], starred: true}\n"
    (tmp_path / "mine.yaml").write_text(text)
    experiment = load_experiment(tmp_path / "mine.yaml")
    assert (experiment.reproduces, experiment.cost, experiment.about) == ("", "", "")
    assert experiment.command == "t5grid sweep mine"


def test_a_file_that_is_not_utf_8_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "wrong.yaml").write_bytes(b"title: \xff\n")
    with pytest.raises(ValueError, match=r"wrong\.yaml: 'utf-8' codec can't decode"):
        load_experiment(tmp_path / "wrong.yaml")


def test_a_missing_file_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"none\.yaml: No such file"):
        load_experiment(tmp_path / "none.yaml")
