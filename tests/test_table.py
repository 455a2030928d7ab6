"""Scores to tables: the bold rule on the paper's own tables, then cells, captions and files."""

import csv
import dataclasses
import io
import os
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from t5grid.evaluation.constant import Bounds
from t5grid.files import write_whole
from t5grid.grid.experiment import Experiment, RowSpec
from t5grid.grid.published import (
    PaperReference,
    PaperRow,
    load_paper,
    paper_deviations,
    paper_row,
    paper_table,
    table_title,
)
from t5grid.results import per_task
from t5grid.results.per_task import ACROSS, PerTask
from t5grid.results.rendering import FORMATS, to_csv, to_html, to_latex, to_markdown, write_table
from t5grid.results.styles import LATEX
from t5grid.results.table import (
    Discrimination,
    Hole,
    Provenance,
    Table,
    TableColumn,
    bold_rows,
    build_table,
    caption,
    discrimination,
    make_scores,
    seeds_text,
)

COLUMN_PAIR = [TableColumn("reading", "Reading", "SQuAD"), TableColumn("writing", "Writing")]
FACTS = Provenance("nano", "tiny", "lab", {"corpus": "nano-1"})

PRINTED_OTHERWISE = {
    ("table02", "Enc-dec, shared / Denoising", "GLUE"),  # exactly two deviations below the best, not bold
    ("table08", "Wikipedia + TBC", "GLUE"),  # within, not bold
    ("table08", "RealNews-like", "EnDe"),  # just outside, bold
}
BOLD_TABLES = [f"table{n:02}" for n in (2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 15)] + ["table10_corrected"]


def ruled_bold(rows: tuple[PaperRow, ...]) -> set[tuple[str, str, str]]:
    name = rows[0].table
    spread = paper_deviations()
    return {
        (name, label, column)
        for column in load_paper().columns
        for label in bold_rows({row.label: float(row.scores[column]) for row in rows}, spread[column])
    }


@pytest.mark.parametrize("name", BOLD_TABLES)
def test_bold_rule_gives_the_bold_of_the_paper(name: str) -> None:
    rows = paper_table(name)
    printed = {(name, row.label, column) for row in rows for column in row.bold}
    assert ruled_bold(rows) ^ printed == {cell for cell in PRINTED_OTHERWISE if cell[0] == name}


def test_bold_rule_on_table_1_without_its_deviation_row() -> None:
    rows = tuple(row for row in paper_table("table01") if "deviation" not in row.label)
    assert ruled_bold(rows) == {("table01", row.label, column) for row in rows for column in row.bold}


def test_bold_reaches_two_deviations_and_no_further() -> None:
    assert bold_rows({"a": 83.28, "b": 82.81, "c": 82.80}, 0.235) == {"a", "b"}


def test_bold_is_not_lost_to_floating_point() -> None:
    assert 1.0 - 2 * 0.35 > 0.3
    assert bold_rows({"a": 1.0, "b": 0.3}, 0.35) == {"a", "b"}


def test_without_a_deviation_only_the_best_is_bold() -> None:
    assert bold_rows({"a": 50.0, "b": 49.99, "c": 50.0}, None) == {"a", "c"}
    assert bold_rows({}, 0.2) == frozenset()


def test_published_files_equal_the_reference(goldens: Path) -> None:
    ours = (Path(__file__).parents[1] / "results" / "published" / "t5").glob("*.csv")
    lines = (goldens / "paper_tables.sha256").read_text().splitlines()
    assert len(lines) == 17
    assert sorted(f"{sha256(path.read_bytes()).hexdigest()}  {path.name}" for path in ours) == sorted(lines)


def test_a_published_row_is_named_by_two_cells_where_one_repeats() -> None:
    row = paper_row(PaperReference("table02", "Prefix LM / LM"))
    assert (row.scores["GLUE"], row.bold, row.starred) == ("79.68", frozenset(), False)


def test_the_final_models_scores_are_read_under_the_studys_columns() -> None:
    row = paper_row(PaperReference("table14", "T5-11B"))
    assert list(row.scores.values()) == ["90.3", "21.55", "91.26", "88.9", "32.1", "43.4", "28.1"]
    assert row.bold == {"GLUE", "CNNDM", "SQuAD", "SGLUE"}
    assert row.facts["CoLA Matthew's"] == "71.6" and "SQuAD EM" not in row.facts


def test_titles_of_published_tables() -> None:
    assert table_title("table04") == "Table 4"
    assert table_title("table10_corrected") == "Table 10 (corrected)"


def test_cells_of_missing_and_broken_scores_are_holes() -> None:
    assert make_scores(None).hole == "not run"
    assert make_scores([]).hole == "not run"
    assert make_scores(Hole("failed: out of memory")).hole == "failed: out of memory"
    assert make_scores([float("nan")]).hole == "undefined"
    assert make_scores([1.0, float("nan"), 2.0]).hole == "undefined in 1 of 3 seeds"


def test_a_cell_is_the_mean_and_sample_deviation_of_its_seeds() -> None:
    cell = make_scores([1.0, 2.0, 3.0])
    assert (cell.mean, cell.deviation) == (2.0, 1.0)
    assert make_scores([5.0]).deviation is None


def experiment() -> Experiment:
    rows = {
        "replace_spans": RowSpec("Replace", [], True, PaperReference("table05", "Replace corrupted spans")),
        "bert_style": RowSpec("BERT_style", ["objective=bert_style"], note="A note"),
        "no_pretraining": RowSpec(
            "None", ["strategy=no_pretraining"], paper=PaperReference("table01", "No pre-training")
        ),
    }
    return Experiment("Two & more", "Objective", rows, "Table 5", "cheap", "t5grid sweep two")


def table(baseline: tuple[float, ...] = (69.0, 70.0, 71.0), facts: Provenance = FACTS) -> Table:
    scores = {
        "replace_spans": {"reading": list(baseline), "writing": list(baseline)},
        "bert_style": {"reading": [68.0], "writing": Hole("failed: disk | full")},
        "no_pretraining": {"reading": [30.0]},
    }
    return build_table(experiment(), COLUMN_PAIR, scores, facts)


def test_markdown_of_a_part_done_table() -> None:
    assert to_markdown(table()) == MARKDOWN


MARKDOWN = """\
## Two & more

Reproduces Table 5. Suite nano, size tiny, budget lab. ★ is the baseline, the mean of 3 seeds; \
other rows: 1 seed. Bold: within two standard deviations of the baseline's seeds of the best in its column. \
No standard error over the validation rows for 2 of 2 scores of one seed: older records hold no resamples of the \
rows, which an evaluation now leaves. \
Columns (of 1) that differ by over two standard deviations: best above worst pre-trained row 0, \
no pre-training below the best 1, no pre-training below the baseline 1. Data: corpus nano-1.

Command: `t5grid sweep two`

| Objective | Reading | Writing |
| :--- | ---: | ---: |
| ★ Replace | **70.00** | **70.00** |
| BERT\\_style | **68.00** | –<sup>1</sup> |
| None | 30.00 | –<sup>2</sup> |
| Baseline standard deviation | ± 1.000 | ± 1.000 |

<sup>1</sup> failed: disk \\| full

<sup>2</sup> not run

BERT\\_style: A note.

### Gains over the starred row beside the paper's, in standard deviations

Ours / the paper's, each in standard deviations of its own baseline. ✓ same sign and ✗ opposite sign, \
both by more than chance (Student's t over the seeds); ≈ within the noise of either.

| Objective | Reading (SQuAD) |
| :--- | ---: |
| None | −40.0 / −89.1 ✓ |
| Spearman's ρ of the rows (95 %) | – |
| Pairs of rows ordered alike | 1 of 1 |

### The paper's numbers for the same rows

Bold as printed there.

| Objective | GLUE | CNNDM | SQuAD | SGLUE | EnDe | EnFr | EnRo | Printed in |
| :--- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
| ★ Replace | 83.28 | **19.24** | **80.88** | **71.36** | **26.98** | 39.82 | **27.65** | Table 5 |
| None | 66.22 | 17.60 | 50.31 | 53.04 | 25.86 | **39.77** | 24.04 | Table 1 |
| Baseline standard deviation | ± 0.235 | ± 0.065 | ± 0.343 | ± 0.416 | ± 0.112 | ± 0.090 | ± 0.108 | Table 1 |
"""  # noqa: E501


def test_gains_over_the_starred_row_are_printed_where_they_are_asked_for() -> None:
    made = dataclasses.replace(table(), relative=True)
    assert made.gain(made.rows[2], "reading") == pytest.approx(100 * (30 / 70 - 1))
    text = to_markdown(made)
    assert "### Gain over the starred row, as a share of its score" in text
    assert "| BERT\\_style | −2.9% | – |" in text and "| None | −57.1% | – |" in text
    assert "None & $-$57.1\\% & -- \\\\\n\\bottomrule" in to_latex(made)
    assert "<td>−57.1%</td>" in to_html(made)
    assert "Gain over" not in to_markdown(table())


def test_facts_stand_before_the_scores_and_beside_the_paper_s() -> None:
    rows = {"both": RowSpec("Both", [], True, PaperReference("table02", "Encoder-decoder / Denoising"))}
    two = Experiment("Models", "Model", rows, "Table 2", show={"params": "Params", "own": "Own"})
    made = build_table(two, COLUMN_PAIR, {"both": {"reading": [1.0]}}, FACTS, {"both": ["2P", "7 & 8"]})
    text = to_markdown(made)
    assert "| Model | Params | Own | Reading | Writing |" in text
    assert "| ★ Both | 2P | 7 & 8 | **1.00** |" in text
    assert "| Model | Params | GLUE |" in text and "| ★ Both | 2P | **83.28** |" in text
    assert "Both & 2P & 7 \\& 8 & " in to_latex(made)
    rows = list(csv.DictReader(io.StringIO(to_csv(made))))
    assert [row["Own"] for row in rows] == ["7 & 8", ""] and rows[0]["Reading"] == "1.0000"


def test_csv_has_four_decimals_and_the_reasons_for_holes() -> None:
    lines = list(csv.reader(io.StringIO(to_csv(table()))))
    assert lines == [
        ["Objective", "Reading", "Writing", "starred", "bold", "row", "seeds", "holes", "errors"],
        ["Replace", "70.0000", "70.0000", "1", "Reading;Writing", "replace_spans", "3;3", "", ";"],
        [
            "BERT_style",
            "68.0000",
            "",
            "0",
            "Reading",
            "bert_style",
            "1;0",
            "Writing: failed: disk | full",
            ";",
        ],
        ["None", "30.0000", "", "0", "", "no_pretraining", "1;0", "Writing: not run", ";"],
        ["Baseline standard deviation", "1.0000", "1.0000", "0", "", "", "", "", ""],
    ]


def test_latex_escapes_and_uses_booktabs() -> None:
    text = to_latex(table())
    assert r"$\bigstar$ Replace & \textbf{70.00} & \textbf{70.00} \\" in text
    assert r"BERT\_style & \textbf{68.00} & --\textsuperscript{1} \\" in text
    assert r"\caption{Two \& more. Reproduces Table 5." in text
    assert text.count(r"\toprule") == text.count(r"\bottomrule") == 3


def test_latex_turns_straight_quotes_round() -> None:
    assert LATEX.escape('the "LM" and the "MLM" rows: 5 %') == r"the ``LM'' and the ``MLM'' rows: 5 \%"


def test_html_escapes_and_marks_holes() -> None:
    text = to_html(table())
    assert "<h2>Two &amp; more</h2>" in text
    assert '<tr><th scope="row">★ Replace</th><td><b>70.00</b></td><td><b>70.00</b></td></tr>' in text
    assert "<td>–<sup>2</sup></td>" in text


def test_html_stands_alone_and_says_its_encoding() -> None:
    text = to_html(table())
    assert text.startswith('<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>Two &amp; more')
    assert "src=" not in text and "href=" not in text


def test_every_tasks_scores_keep_their_size_in_latex_however_many() -> None:
    metrics = {f"task_{k} accuracy": float(k) for k in range(2 * ACROSS)}
    text = per_task.render(PerTask("Suite nano", {("two", "Row"): metrics}))["tex"]
    assert text.count(r"\begin{longtable}{lrrrr}") == text.count(r"\end{longtable}") == 2
    assert r"\rotatebox{90}{task\_7 accuracy} \\" in text
    assert "two: Row & 4.00 & 5.00 & 6.00 & 7.00" in text
    assert "resizebox" not in text


def test_with_one_baseline_seed_only_the_best_is_bold_and_the_caption_says_so() -> None:
    single = table(baseline=(70.0,))
    assert single.bold("reading") == {"replace_spans"}
    assert "Bold: the best of its column only, as the baseline has fewer than two seeds" in " ".join(
        caption(single)
    )
    assert "| Baseline standard deviation | – | – |" in to_markdown(single)


def test_a_row_with_several_seeds_prints_its_own_deviation() -> None:
    scores = {"bert_style": {"reading": [67.0, 68.0, 69.0]}}
    text = to_markdown(build_table(experiment(), COLUMN_PAIR, scores, FACTS))
    assert "| BERT\\_style | **68.00 ± 1.00** | –<sup>1</sup> |" in text
    assert "After a score, ± is the standard deviation of that row's own seeds." in text


def test_a_table_of_which_nothing_has_run_is_all_holes() -> None:
    empty = build_table(experiment(), COLUMN_PAIR, {}, FACTS)
    assert empty.holes == ("not run",)
    assert "the mean of no seed yet" in " ".join(caption(empty))
    assert all(render(empty) for render in FORMATS.values())


def test_smoke_budget_warns_first() -> None:
    assert (
        caption(table(facts=Provenance("nano", "nano", "smoke")))[0]
        == "Budget smoke: the scores mean nothing."
    )


def test_discrimination_counts_columns_in_baseline_deviations() -> None:
    scores = {
        "replace_spans": {"reading": [69.0, 70.0, 71.0], "writing": [69.0, 70.0, 71.0]},
        "bert_style": {"reading": [75.0], "writing": [70.0]},
        "no_pretraining": {"reading": [68.0], "writing": [67.0]},
    }
    counts = discrimination(build_table(experiment(), COLUMN_PAIR, scores, FACTS))
    assert counts == Discrimination(columns=2, floor_below_best=2, floor_below_starred=1, best_above_worst=1)


def test_discrimination_is_silent_without_a_deviation() -> None:
    assert str(discrimination(table(baseline=(70.0,)))) == ""


def test_discrimination_of_a_table_without_the_floor_compares_best_and_worst() -> None:
    counts = discrimination(table(), floor="absent")
    assert counts == Discrimination(columns=2, best_above_worst=1)
    assert str(counts) == (
        "Columns (of 2) that differ by over two standard deviations: best above worst pre-trained row 1."
    )


def test_seeds_are_counted_in_words() -> None:
    assert [seeds_text(seeds) for seeds in ((), (1,), (3,), (2, 5))] == [
        "no seed yet",
        "1 seed",
        "3 seeds",
        "2 to 5 seeds",
    ]


def test_scores_of_an_unknown_row_or_column_are_refused() -> None:
    with pytest.raises(ValueError, match="scores for row 'berd', there are replace_spans, bert_style"):
        build_table(experiment(), COLUMN_PAIR, {"berd": {}}, FACTS)
    with pytest.raises(ValueError, match="scores for column 'math', there are reading, writing"):
        build_table(experiment(), COLUMN_PAIR, {"bert_style": {"math": [1.0]}}, FACTS)


def test_write_table_writes_four_formats_and_nothing_else(tmp_path: Path) -> None:
    paths = write_table(table(), tmp_path / "new", "two")
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        "two.csv",
        "two.html",
        "two.md",
        "two.tex",
    ]
    assert [path.suffix for path in paths] == [".md", ".tex", ".html", ".csv"]
    assert paths[0].read_text(encoding="utf-8") == MARKDOWN


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "two.md"
    write_whole(path, "old")

    def broken(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", broken)
    with pytest.raises(OSError, match="disk full"):
        write_whole(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.slow
def test_making_tables_does_not_import_torch() -> None:
    code = "import sys, t5grid.results.rendering; sys.exit('torch' in sys.modules)"
    root = Path(__file__).parents[1]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


@pytest.mark.slow
def test_latex_compiles_with_pdflatex_and_fits_the_page(tmp_path: Path) -> None:
    if not shutil.which("pdflatex"):
        pytest.skip("no pdflatex: apt-get install texlive-latex-recommended")
    (tmp_path / "two.tex").write_text(to_latex(table()), encoding="utf-8")
    scores = {f"a_long_task_{k} accuracy": 100.0 for k in range(7)}
    rows = {("curriculum", "Combined (naive or mixed, by the toss of a coin)"): scores}
    tasks = per_task.render(PerTask("Suite nano", rows))["tex"]
    (tmp_path / "tasks.tex").write_text(tasks, encoding="utf-8")
    packages = r"\usepackage{booktabs,amssymb,graphicx,longtable}"
    body = r"\begin{document}\input{two}\input{tasks}\end{document}"
    page = rf"\documentclass{{article}}{packages}{body}"
    (tmp_path / "page.tex").write_text(page, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "page.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout
    assert (tmp_path / "page.pdf").stat().st_size > 1000


def bounded(baseline: tuple[float, ...] = (69.0, 70.0, 71.0), facts: Provenance = FACTS) -> Table:
    """The table with a constant answer at 28 in its first column, which is scored on 300 rows."""
    reading = TableColumn(
        "reading", "Reading", "SQuAD", "exact match", 300, human=82.3, human_source="its test set"
    )
    bounds = {"reading": Bounds(28.0, 100.0, 300, {"reading": "no"})}
    return dataclasses.replace(table(baseline, facts), columns=(reading, COLUMN_PAIR[1]), bounds=bounds)


def test_floor_and_ceiling_are_rows_and_what_is_at_the_floor_is_never_bold() -> None:
    made = bounded(baseline=(29.0, 30.0, 31.0))
    assert made.at_floor("reading") == {"replace_spans", "no_pretraining"}  # 28 + 2 * 1
    assert made.bold("reading") == {"bert_style"} and made.at_floor("writing") == frozenset()
    low = dataclasses.replace(made, bounds={"reading": Bounds(70.0, 100.0, 300, {})})
    assert low.bold("reading") == frozenset()
    text = to_markdown(made)
    assert "| ★ Replace | *30.00* | **30.00** |" in text and "| None | *30.00* |" in text
    lines = ["| Constant answer | 28.00 | – |", "| Perfect answer | 100.00 | – |", "| People | 82.30 | – |"]
    assert "\n".join([*lines, "| Baseline standard deviation | ± 1.000 |"]) in text
    assert "\n\nPeople in Reading: its test set.\n" in text and "People in Writing" not in text
    assert "Constant answer: what the best of the most frequent training answers scores" in text
    assert r"None & \textit{30.00} &" in to_latex(made) and "\nPeople & 82.30 & --" in to_latex(made)
    assert '<td><i class="floor">30.00</i></td>' in to_html(made) and "<td>28.00</td>" in to_html(made)
    rows = list(csv.DictReader(io.StringIO(to_csv(made))))[-4:]
    assert [row["Objective"] for row in rows][:3] == ["Constant answer", "Perfect answer", "People"]
    assert (rows[0]["Reading"], rows[0]["Writing"], rows[0]["row"]) == ("28.0000", "", "")


def test_metric_direction_and_rows_stand_under_a_columns_head() -> None:
    text = to_markdown(bounded())
    assert (
        "| :--- | ---: | ---: |\n| Metric (↑ higher is better), rows | exact match ↑, 300 rows |  |" in text
    )
    assert r"\scriptsize exact match $\uparrow$, 300 rows" in to_latex(bounded())
    assert '<th scope="col">exact match ↑, 300 rows</th>' in to_html(bounded())


def test_smoke_prints_nothing_bold_and_no_floor_rule() -> None:
    smoke = bounded(facts=Provenance("nano", "nano", "smoke"))
    assert "**" not in to_markdown(smoke) and "<b>" not in to_html(smoke) and "textbf" not in to_latex(smoke)
    assert "Bold:" not in to_markdown(smoke)


def test_a_score_of_one_seed_has_its_standard_error_over_the_rows_in_brackets() -> None:
    scores = {
        "replace_spans": {"reading": [69.0, 70.0, 71.0]},
        "bert_style": {"reading": [68.0], "writing": [3.0]},
        "no_pretraining": {"reading": [30.0]},
    }
    errors = {key: {"reading": 1.26} for key in scores}
    made = build_table(experiment(), COLUMN_PAIR, scores, FACTS, errors=errors)
    text = to_markdown(made)
    assert "| **68.00 (1.3)** | **3.00** |" in text and "| 30.00 (1.3) |" in text
    assert "| ★ Replace | **70.00** |" in text  # of three seeds: their deviation has a line of its own
    assert "In brackets after a score of one seed: its standard error" in text
    assert "No standard error over the validation rows for 1 of 3 scores of one seed:" in text
    rows = list(csv.DictReader(io.StringIO(to_csv(made))))
    assert [row["errors"] for row in rows[:3]] == [";", "1.2600;", "1.2600;"]
    smoke = dataclasses.replace(made, provenance=Provenance("nano", "nano", "smoke"))
    assert "(1.3)" not in to_markdown(smoke) and "In brackets after" not in to_markdown(smoke)
