"""Published numbers of any paper: read as printed, named, mirrored, and printed beside ours."""

import csv
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from t5grid.config.schema import load_cell
from t5grid.execution.store import Store
from t5grid.grid.experiment import load_experiment
from t5grid.grid.graph import Grid, expand
from t5grid.grid.published import (
    PaperReference,
    column_names,
    load_paper,
    mirrored,
    paper_deviations,
    paper_row,
    paper_table,
    papers,
    table_names,
)
from t5grid.results.collect import table_of
from t5grid.results.evidence import NO_PUBLISHED_YARDSTICK, UNJUDGED
from t5grid.results.findings import (
    Best,
    Better,
    Claim,
    Close,
    findings,
    load_claims,
)
from t5grid.results.findings_text import to_markdown as findings_to_markdown
from t5grid.results.plots import rank_plot
from t5grid.results.rendering import to_csv, to_html, to_latex, to_markdown
from t5grid.results.report import page_data
from t5grid.results.study import Study
from t5grid.results.table import Table

REFERENCE = {
    ("bert", "table05"): "bert_table05.csv",
    ("bert", "table07"): "bert_table07.csv",
    ("bert", "table08"): "bert_table08.csv",
    ("rmt", "hyperpartisan"): "rmt_hyperpartisan.csv",
}
TABLES = [(of, table) for of in ("t5", "bert", "rmt") for table in table_names(of)]


# --- results/published -> rows


@pytest.mark.parametrize(("of", "table"), REFERENCE)
def test_the_files_are_the_references(of: str, table: str, shared: Path) -> None:
    ours = Path(__file__).parents[1] / "results" / "published" / of / f"{table}.csv"
    reference = shared / "reference" / "published" / REFERENCE[of, table]
    assert ours.read_bytes() == reference.read_bytes()


@pytest.mark.parametrize(("of", "table"), TABLES)
def test_every_row_of_every_table_has_its_own_name(of: str, table: str) -> None:
    labels = [row.label for row in paper_table(table, of)]
    assert len(set(labels)) == len(labels) > 0


def test_the_studys_own_paper_comes_first() -> None:
    assert papers() == ["t5", "bert", "gpt3", "rmt", "transfer"]


def test_every_column_but_the_first_is_a_score_where_nothing_else_is_said() -> None:
    row = paper_row(PaperReference("table05", "No NSP", of="bert"))
    assert list(row.scores) == ["MNLI-m (Acc)", "QNLI (Acc)", "MRPC (Acc)", "SST-2 (Acc)", "SQuAD (F1)"]
    assert (row.scores["SQuAD (F1)"], row.bold, row.starred, row.facts) == ("87.9", frozenset(), False, {})


def test_an_empty_cell_is_a_hole() -> None:
    row = paper_row(PaperReference("table07", "Feature-based, last hidden", of="bert"))
    assert row.scores == {"Dev F1": "94.9", "Test F1": ""} and row.points == {"Dev F1": 94.9}


def test_a_label_may_be_of_several_cells() -> None:
    row = paper_row(PaperReference("table08", "80 / 0 / 20", of="bert"))
    assert row.scores == {"MNLI fine-tuning": "84.1", "NER fine-tuning": "95.2", "NER feature-based": "94.6"}
    assert row.facts == {"SAME": "0", "RND": "20"}


def test_a_label_leaves_empty_cells_out_and_fractions_become_points() -> None:
    row = paper_row(PaperReference("hyperpartisan", "bert-base-cased / 499 / 10 / 2", of="rmt"))
    assert row.scores == {"F1 on test": "0.9412"} and row.points == {"F1 on test": pytest.approx(94.12)}
    assert paper_row(PaperReference("hyperpartisan", "Longformer (paper)", of="rmt")).points


def test_only_the_study_s_paper_published_deviations() -> None:
    assert paper_deviations()["SQuAD"] == 0.343
    assert paper_deviations("bert") == paper_deviations("rmt") == {}


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        (
            PaperReference("table05", "No NPS", of="bert"),
            "(did you mean 'No NSP'?), whose rows are: BERT-Base; ",
        ),
        (
            PaperReference("table06", "No NSP", of="bert"),
            "'table06' is not published in bert (did you mean 'ta",
        ),
        (
            PaperReference("table05", "No NSP", of="brt"),
            "no paper 'brt' in results/published (did you mean 'bert'",
        ),
        (PaperReference("table05", "No NSP", of="../published/bert"), "no paper '../published/bert'"),
    ],
)
def test_a_wrong_name_is_refused_with_the_nearest(reference: PaperReference, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        paper_row(reference)
    assert message in str(caught.value) and "\n" not in str(caught.value)


# --- what a column mirrors


def test_one_column_mirrors_in_several_papers() -> None:
    both = {"t5": "GLUE", "bert": "MNLI-m (Acc)"}
    assert [mirrored(both, of) for of in papers()] == ["GLUE", "MNLI-m (Acc)", None, None, None]


def test_a_name_alone_is_the_papers_or_the_studys() -> None:
    assert [mirrored("GLUE", of) for of in papers()] == ["GLUE", None, None, None, None]
    assert [mirrored("F1 on test", of) for of in ("rmt",)] == ["F1 on test"]
    with pytest.raises(ValueError, match=r"^no column 'F1 on test' in bert"):
        mirrored("F1 on test", "bert")


@pytest.mark.parametrize(
    ("mirrors", "message"),
    [
        ("GLU", r"^no column 'GLU' in bert"),
        ({"bert": "MNLI (Acc)"}, r"^no column 'MNLI \(Acc\)' in bert \(did you mean 'MNLI-m \(Acc\)'\?\)"),
        ({"brt": "GLUE"}, r"^no paper 'brt' in results/published \(did you mean 'bert'\?\)"),
        ({"t5": "GLEU"}, r"^no column 'GLEU' in t5 \(did you mean 'GLUE'\?\); there are GLUE, CNNDM"),
    ],
)
def test_a_column_that_no_paper_has_is_refused(mirrors: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        mirrored(mirrors, "bert")


@pytest.mark.parametrize("mirrors", ["GLEU", "{bert: GLUE}", "{t5: 3}"])
def test_a_wrong_mirror_is_refused_in_one_line_when_an_experiment_is_expanded(mirrors: str) -> None:
    with pytest.raises(
        ValueError, match=r"^experiments/baseline\.yaml.* suite\.columns\.sentences\.mirrors"
    ) as e:
        expand("baseline", [f"suite.columns.sentences.mirrors={mirrors}"])
    assert "\n" not in str(e.value)


def test_what_a_column_mirrors_identifies_nothing() -> None:
    plain, mapped = (
        load_cell(["suite.use=[sentences]", *more])
        for more in ([], ['suite.columns.sentences.mirrors={t5: GLUE, bert: "MNLI-m (Acc)"}'])
    )
    names = [cell.strategy.stages(cell)["sentences"].identity for cell in (plain, mapped)]
    assert names[0] == names[1] and mapped.config["suite"]["columns"]["sentences"]["mirrors"]["t5"] == "GLUE"


# --- an experiment beside another paper

BESIDE_BERT = """
title: What masked language modeling contributes
reproduces: Table 5 of Devlin et al. (2019)
cost: nothing
command: t5grid sweep beside_bert
first_column: Tasks
published: bert
common:
  - suite.use=[sentences,questions,reasoning]
  - 'suite.columns.sentences.mirrors={t5: GLUE, bert: "MNLI-m (Acc)"}'
  - 'suite.columns.questions.mirrors="SQuAD (F1)"'
rows:
  masked:
    {title: Masked, overrides: [objective=bert_style], starred: true, paper: {table: table05, row: No NSP}}
  left_to_right:
    {title: Left to right, overrides: [objective=language_model], paper: {table: table05, row: LTR & No NSP}}
  prefix:
    {title: Prefix, overrides: [objective=prefix_lm], paper: {of: bert, table: table05, row: BERT-Base}}
  shuffled: {title: Shuffled, overrides: [objective=deshuffling]}
"""
SCORES = {"masked": 84.0, "left_to_right": 80.0, "prefix": 82.0, "shuffled": 70.0}
PROVENANCE = {
    "step": 1,
    "tasks": {},
    "machine": "abacus",
    "python": "3.11.9",
    "versions": {"torch": "2.9.1"},
    "commit": None,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("beside")
    (folder / "experiments").mkdir()
    (folder / "experiments" / "beside_bert.yaml").write_text(BESIDE_BERT)
    return folder


@pytest.fixture(scope="module")
def grid(folder: Path) -> Grid:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        machine = [f"runtime.runs_dir={folder}/runs", f"runtime.results_dir={folder}/results"]
        made = expand("beside_bert", ["budget.num_baseline_seeds=3", *machine])
    store = Store(folder / "runs")
    for key, cells in made.rows.items():
        for seed, (_, columns) in enumerate(cells):
            for stage in columns.values():
                store.begin(stage)
                store.finish(stage, {"score": SCORES[key] + seed, **PROVENANCE})
    return made


@pytest.fixture(scope="module")
def table(grid: Grid, folder: Path) -> Table:
    return table_of(grid, Store(folder / "runs"), folder / "results" / "records")


@pytest.mark.slow
def test_a_starred_row_may_override_and_its_overrides_are_the_baseline(grid: Grid) -> None:
    assert grid.baseline.labels["objective"] == "bert_style"
    assert {key: len(cells) for key, cells in grid.rows.items()} == {
        "masked": 3,
        "left_to_right": 1,
        "prefix": 1,
        "shuffled": 1,
    }
    assert grid.experiment.command.startswith("t5grid sweep beside_bert budget.num_baseline_seeds=3")


@pytest.mark.slow
def test_a_starred_row_shares_its_stages_with_the_same_cell_in_another_table(grid: Grid) -> None:
    shared = expand("objectives", grid.experiment.common[:2]).rows["bert_style"][0][1]
    ours = grid.rows["masked"][0][1]
    assert [stage.identity for stage in ours.values()] == [stage.identity for stage in shared.values()]


@pytest.mark.slow
def test_rows_of_other_columns_than_the_starred_ones_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "experiments").mkdir()
    text = BESIDE_BERT.replace("[objective=deshuffling]", "['suite.use=[reasoning]']")
    (tmp_path / "experiments" / "mine.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        ValueError, match=r"^experiments/mine\.yaml, row shuffled: its columns are reasoning, those"
    ):
        expand("mine", [])


def test_markdown_prints_the_other_papers_columns_and_title(table: Table) -> None:
    _, _, paper = to_markdown(table).partition("### ")
    assert paper == BESIDE


BESIDE = """\
Gains over the starred row beside the paper's, in standard deviations

Ours in standard deviations / the paper's, which published none, in points. ✓ same sign and ✗ opposite sign, \
ours by more than chance (Student's t over the seeds); ≈ within our noise.

| Tasks | Sentences (MNLI-m (Acc)) | Questions (SQuAD (F1)) |
| :--- | ---: | ---: |
| Left to right | −5.0 / −1.80 points ✓ | −5.0 / −10.10 points ✓ |
| Prefix | −3.0 / +0.50 points ≈ | −3.0 / +0.60 points ≈ |
| Spearman's ρ of the rows (95 %) | +0.50 | +0.50 |
| Pairs of rows ordered alike | 2 of 3 | 2 of 3 |

### The numbers of the same rows in BERT (Devlin et al., 2019), Table 5

| Tasks | MNLI-m (Acc) | QNLI (Acc) | MRPC (Acc) | SST-2 (Acc) | SQuAD (F1) | Printed in |
| :--- | ---: | ---: | ---: | ---: | ---: | ---: |
| ★ Masked | 83.9 | 84.9 | 86.5 | 92.6 | 87.9 | Table 5 |
| Left to right | 82.1 | 84.3 | 77.5 | 92.1 | 77.8 | Table 5 |
| Prefix | 84.4 | 88.4 | 86.7 | 92.7 | 88.5 | Table 5 |
"""


def test_the_other_formats_print_the_same_without_a_line_of_deviations(table: Table) -> None:
    latex = to_latex(table)
    assert "in BERT (Devlin et al., 2019), Table 5.\\par" in latex
    assert latex.endswith("& 88.5 & Table 5 \\\\\n\\bottomrule\n\\end{tabular}}\n\\end{table}\n")
    assert (
        latex.count("Baseline standard deviation") == to_html(table).count("Baseline standard deviation") == 1
    )
    assert "<td>83.9</td>" in to_html(table) and "−1.80 points ✓</span>" in to_html(table)
    rows = list(csv.DictReader(io.StringIO(to_csv(table))))
    assert rows[0]["row"] == "masked" and rows[0]["seeds"] == "3;3;3" and rows[-1]["starred"] == "0"


def test_a_title_that_is_markup_in_a_format_is_escaped_there(table: Table) -> None:
    odd = replace(table, paper=replace(table.paper, title="A | B & <C>"))
    assert "in A \\| B & \\<C>, Table 5" in to_markdown(odd)
    assert r"in A | B \& <C>, Table 5" in to_latex(odd) and "A | B &amp; &lt;C&gt;" in to_html(odd)


def test_ranks_are_drawn_of_mirrored_columns_alone(table: Table) -> None:
    titles = [panel.get_title() for panel in rank_plot(table).axes]
    assert [title.partition("\n")[0] for title in titles] == [
        "Sentences (MNLI-m (Acc))",
        "Questions (SQuAD (F1))",
    ]


def test_the_page_has_the_other_papers_numbers_and_no_deviations(grid: Grid) -> None:
    (shown,) = page_data(Study({"beside_bert": grid}))["tables"]
    assert shown["paper_source"] == "BERT (Devlin et al., 2019), Table 5" and shown["paper_deviations"] == {}
    assert [column["mirrors"] for column in shown["columns"]] == ["MNLI-m (Acc)", "SQuAD (F1)", None]
    assert shown["rows"][0]["paper"]["points"]["QNLI (Acc)"] == 84.9 and shown["rows"][3]["paper"] is None


TESTS = [
    Better(higher=["masked"], lower=["left_to_right"], columns=["SQuAD (F1)"]),
    Close(row="masked", to="prefix", at_most=7, columns=["SQuAD (F1)"]),
    Best(row="masked", at_least=1),
]


@pytest.mark.parametrize("test", TESTS, ids=lambda test: type(test).__name__)
def test_a_paper_without_deviations_gives_no_verdict_and_ours_do(test: Any, table: Table) -> None:
    claim = Claim("Masking helps", "BERT, Table 5", "beside_bert", [test])
    (finding,) = findings({"masking": claim}, {"beside_bert": table})
    assert (finding.paper.verdict, finding.paper.numbers) == (UNJUDGED, NO_PUBLISHED_YARDSTICK)
    assert finding.ours.verdict == "agrees"
    text = findings_to_markdown([finding], "Suite nano")
    assert "| **agrees**" in text and "| no standard deviation |" in text
    assert "of its Table 1, and those of a paper that published none are not judged." in text


# --- a paper of one's own


def test_a_paper_of_ones_own_is_read_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "results" / "published" / "mine"
    own.mkdir(parents=True)
    (own / "paper.yaml").write_text("title: Mine\ncitation: nowhere\ndeviations: {table: results, row: sd}\n")
    (own / "results.csv").write_text("row,F1,bold,starred\nfirst,50.0,F1,1\nsd,0.5,,0\n")
    (own / "claims.yaml").write_text("mine: {claim: x, source: y, experiment: z, tests: []}\n")
    monkeypatch.chdir(tmp_path)
    assert papers() == ["t5", "bert", "gpt3", "mine", "rmt", "transfer"] and column_names("mine") == ["F1"]
    row = paper_row(PaperReference("results", "first", of="mine"))
    assert row.bold == {"F1"} and row.starred and paper_deviations("mine") == {"F1": 0.5}
    assert load_paper("mine").table_title("results") == "results"
    assert load_claims()["mine"].paper == "mine"
    (own / "claims.yaml").write_text("pretraining_helps: {claim: x, source: y, experiment: z, tests: []}\n")
    with pytest.raises(ValueError, match=r"claims\.yaml: pretraining_helps: another paper has a claim"):
        load_claims()


@pytest.mark.parametrize(
    ("paper", "table", "message"),
    [
        ("title: Mine", "row,F1\na,1\n", r"paper\.yaml: citation: a value is needed"),
        (
            "title: Mine\ncitation: x\ntitel: y",
            "row,F1\na,1\n",
            r"paper\.yaml: titel: no such key \(did you mean",
        ),
        ("- a", "row,F1\na,1\n", r"paper\.yaml: a mapping with title"),
        ("title: M\ncitation: x", "row,F1\na,n/a\n", r"t\.csv: row 'a', column 'F1': 'n/a' is no number"),
        ("title: M\ncitation: x", "row,F1\na,1,2\n", r"t\.csv: a row has more cells than the header"),
        (
            "title: M\ncitation: x\ntables: {t: {labels: [rwo]}}",
            "row,F1\na,1\n",
            r"paper\.yaml: tables\.t\.labels: no column 'rwo' \(did you mean 'row'\?\)",
        ),
    ],
)
def test_a_wrong_paper_is_refused_in_one_line(
    paper: str, table: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "results" / "published" / "mine"
    own.mkdir(parents=True)
    (own / "paper.yaml").write_text(paper)
    (own / "t.csv").write_text(table)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=message) as caught:
        paper_row(PaperReference("t", "a", of="mine"))
    assert "\n" not in str(caught.value)


def test_rows_of_one_experiment_are_of_one_paper(tmp_path: Path) -> None:
    path = tmp_path / "mixed.yaml"
    path.write_text(BESIDE_BERT.replace("of: bert", "of: t5"))
    with pytest.raises(ValueError, match=r"rows\.prefix\.paper\.of=t5: the experiment stands beside bert"):
        load_experiment(path)
    path.write_text(BESIDE_BERT.replace("published: bert\n", ""))
    assert load_experiment(path).published == "bert"  # as a row says
