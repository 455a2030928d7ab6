"""A file and one YAML are a task."""

import csv
import gzip
import json
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow.csv import write_csv

from t5grid.cli import main
from t5grid.config.build import build
from t5grid.config.schema import load_cell
from t5grid.tasks.files import content_of, read_anew
from t5grid.tasks.labelled import digest
from t5grid.tasks.own import METRICS, OwnTask, fill

TSV = "text\tscore\nEin Haus.\t1.04\nDie Katze, die schläft.\t2.96\nEs.\t1.0\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path


def task(train: str = "rows.tsv", **changed: Any) -> OwnTask:
    settings = {"inputs": "complexity: {text}", "targets": "{score}", "metrics": ["pearson"], "held_out": 3}
    return OwnTask(name="mine", train=train, **{**settings, **changed})


def test_rows_are_filled_into_the_templates_and_every_third_is_held_out() -> None:
    Path("rows.tsv").write_text(TSV)
    assert task(round_to=0.2).records("train") == [
        {"inputs": "complexity: Ein Haus.", "targets": "1.0"},
        {"inputs": "complexity: Die Katze, die schläft.", "targets": "3.0"},
    ]
    assert task().records("validation") == [{"inputs": "complexity: Es.", "targets": "1.0"}]
    assert [split.rows for split in task().needed_splits] == [2, 1]


@pytest.mark.parametrize("name", ["rows.tsv", "rows.csv", "rows.jsonl", "rows.json.gz", "rows.parquet"])
def test_every_kind_of_file_makes_the_same_records(name: str) -> None:
    rows = [{"text": 'A "b", c', "score": "1"}, {"text": "ü", "score": "2"}]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    write = {
        "rows.tsv": lambda path: path.write_text('text\tscore\n"A ""b"", c"\t1\nü\t2\n'),
        "rows.csv": lambda path: path.write_text('text,score\n"A ""b"", c",1\nü,2\n'),
        "rows.jsonl": lambda path: path.write_text(lines),
        "rows.json.gz": lambda path: path.write_bytes(gzip.compress(lines.encode())),
        "rows.parquet": lambda path: pq.write_table(pa.Table.from_pylist(rows), path),
    }
    write[name](Path(name))
    records = task(name, validation=name).records("validation")
    assert records == [
        {"inputs": 'complexity: A "b", c', "targets": "1"},
        {"inputs": "complexity: ü", "targets": "2"},
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("text\tscore\nx\n", r"rows.tsv, row 1: 1 values, its first line names 2 columns"),
        ('text\tscore\na\t1\n"x\t2\ny\t3\n', r"rows.tsv, row 2: "),
        (
            "text\tscre\nx\t1\n",
            r"no column 'score' of task mine's targets \(did you mean 'scre'\?\); there are text",
        ),
        ("text\tscore\nx\tabc\n", r"rows.tsv, row 1: column 'score' is 'abc', expected a number"),
        ("text\tscore\n", r"rows.tsv: no rows for train$"),
        ("", r"rows.tsv: no rows for train$"),
    ],
)
def test_a_bad_file_is_refused_with_its_row(text: str, message: str) -> None:
    Path("rows.tsv").write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        task(round_to=1.0).records("train")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("rows.tsv", "text\ttext\tscore\na\tb\t1\n", r"rows.tsv: its first line names column 'text' 2 times"),
        ("rows.tsv", "text\tscore\na\t1\nb\t \n", r"rows.tsv, row 2: targets='\{score\}' leaves no text"),
        (
            "rows.tsv",
            "text\tscore\na\t1\nb\teasy\n",
            r"rows.tsv, row 2: the target is 'easy', expected a number",
        ),
        ("rows.jsonl", '{"text": "a", "score": NaN}\n', r"rows.jsonl, row 1: column 'score' is empty"),
        ("rows.jsonl", '{"text": 1, "score": 1}\n{"text": "b"}\n', r"rows.jsonl, row 2: column 'text'"),
        (
            "rows.jsonl",
            '{"text": "a"}\n{"text": "b", "score": 1' + "0" * 30 + "}\n",
            r"row 2: column 'score'",
        ),
        ("rows.jsonl", '{"text": "\\ud800", "score": 1}\n', r"rows.jsonl, row 1: column 'text'"),
    ],
)
def test_what_is_no_example_is_refused_with_its_row(name: str, text: str, message: str) -> None:
    Path(name).write_text(text)
    with pytest.raises(ValueError, match=message):
        task(name, validation=name).records("train")


def test_a_column_that_the_first_row_lacks_is_there() -> None:
    Path("rows.jsonl").write_text('{"text": "a"}\n{"text": "b", "score": 2}\n')
    with pytest.raises(ValueError, match=r"row 1: column 'score' is empty"):
        task("rows.jsonl", validation="rows.jsonl").records("train")


def test_rows_to_predict_need_no_target() -> None:
    Path("rows.tsv").write_text("text\tscore\na\t\n")
    assert task(test="rows.tsv").records("test") == [{"inputs": "complexity: a", "targets": ""}]


def test_an_empty_value_is_refused_with_its_row() -> None:
    Path("rows.jsonl").write_text('{"text": "a", "score": 1}\n{"text": null, "score": 2}\n')
    with pytest.raises(ValueError, match=r"rows.jsonl, row 2: column 'text' is empty"):
        task("rows.jsonl").records("train")
    Path("rows.jsonl").write_text('{"text": "a"\n')
    with pytest.raises(ValueError, match=r"rows.jsonl, row 1: not JSON"):
        task("rows.jsonl").records("train")


def test_too_few_rows_to_hold_one_out_are_refused() -> None:
    Path("rows.tsv").write_text("text\tscore\na\t1\nb\t2\n")
    with pytest.raises(ValueError, match=r"rows.tsv: no rows for validation, as held_out=3$"):
        task().records("validation")


def test_a_row_is_called_by_its_place_in_the_file() -> None:
    lines = [json.dumps({"text": "a", "score": None if row in (5, 8) else 1}) for row in range(1, 11)]
    Path("rows.jsonl").write_text("\n".join(lines))
    with pytest.raises(ValueError, match=r"rows.jsonl, row 8: column 'score' is empty"):
        task("rows.jsonl", held_out=5, num_train=4).records("train")
    with pytest.raises(ValueError, match=r"rows.jsonl, row 5: column 'score' is empty"):
        task("rows.jsonl", held_out=5).records("validation")


def test_a_file_that_is_no_text_is_refused_with_its_line() -> None:
    for name in ("rows.tsv", "rows.jsonl"):
        Path(name).write_bytes(b'{"text": "a"}\n{"text": "sch\xf6n"}\n')
        with pytest.raises(ValueError, match=rf"{name}, line 2: not UTF-8 \(byte 0xf6\)$"):
            task(name).records("train")
    Path("rows.jsonl.gz").write_bytes(gzip.compress(b'{"text": "a"}\n' * 99)[:-9])
    with pytest.raises(ValueError, match=r"rows.jsonl.gz: unreadable \("):
        _ = task("rows.jsonl.gz").needed_splits[0].rows


def test_labels_give_classes_their_texts() -> None:
    Path("rows.csv").write_text("text,score\na,0\nb,1\nc,1\n")
    mine = task("rows.csv", validation="rows.csv", labels={0: "easy", 1: "hard"}, metrics=["f1", "accuracy"])
    records = mine.records("validation")
    assert [record["targets"] for record in records] == ["easy", "hard", "hard"]
    scores = mine.score(records, ["easy", "hard", "none"])
    assert scores == pytest.approx({"f1": 200 / 3, "accuracy": 200 / 3})
    Path("rows.csv").write_text("text,score\na,2\n")
    with pytest.raises(ValueError, match=r"row 1: column 'score' is '2', expected one of 0, 1"):
        mine.records("validation")


@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_gives_100_for_the_right_answers(metric: str) -> None:
    mine = task(metrics=[metric], labels={"1": "1", "2": "2", "3": "3"})
    texts = ["1", "2", "3"] if metric != "bleu" else ["one two three four five"] * 3
    if metric == "rouge2":
        texts = ["one two three"]
    assert mine.score([{"targets": text} for text in texts], texts) == pytest.approx({metric: 100.0})


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"metrics": ["pearsn"]}, r"metrics: no metric 'pearsn' \(did you mean 'pearson'\?\)"),
        ({"metrics": []}, r"metrics=\[\]: a list, each text, not empty, is needed"),
        ({"metrics": ["f1"]}, "metrics: f1 needs labels"),
        ({"inputs": "a {text"}, "inputs='a {text': a brace without its other half"),
        ({"round_to": 0.0}, "round_to=0.0: a number above 0 or null is needed"),
        ({"name": False}, 'name=false: text is needed; YAML reads no, off, false as false; quote it: "no"'),
        ({"train": 7}, 'train=7: text is needed; quote it: "7"'),
        ({"metrics": "f1"}, "metrics=f1: a list, each text, not empty, is needed"),
        (
            {"labels": {"bad": False, "good": True}},
            'labels.bad=false: text is needed; YAML reads no, off, false as false; quote it: "no"',
        ),
        ({"labels": {"bad": 0, "good": 1}}, 'labels.bad=0: text is needed; quote it: "0"'),
        ({"labels": {"bad": None}}, 'labels.bad=null: text is needed; quote it: "null"'),
        ({"labels": {0: ["a"]}}, r"labels.0=\[a\]: text is needed$"),
        (
            {"labels": {False: "bad"}},
            r"labels: the key false: text or a number \(of a column of true and false the "
            r'texts "True" and "False"\) is needed; YAML reads no, off, false as false; quote it: "no"',
        ),
        ({"labels": {0: "easy", 1: "easy"}}, "labels: 0 and 1 are both 'easy'; each takes its own text"),
        ({"labels": {0: "easy", "0": "hard"}}, "labels: 0 and '0' are one value of a column"),
        ({"labels": {0: " ", 1: "hard"}}, "labels: 0 is ' ', which leaves no text to learn"),
        ({"labels": {}}, r"labels=\{\}: a mapping, not empty, or null is needed"),
        ({"labels": {0: "a"}, "round_to": 1.0}, "round_to=1.0: labels say what the targets are"),
        (
            {"labels": {0: "a"}, "targets": "{text} {score}", "metrics": ["f1"]},
            r"targets='\{text\} \{score\}': f1 compares classes, so they name one column, as \{label\}$",
        ),
        ({"quotes": None}, "quotes=null: one of double, none is needed"),
        ({"rouge_words": "latin"}, "rouge_words=latin: one of ascii, unicode, characters is needed"),
    ],
)
def test_a_wrong_setting_is_refused(changed: dict[str, Any], message: str) -> None:
    node = {
        "name": "mine",
        "train": "rows.tsv",
        "inputs": "{text}",
        "targets": "{score}",
        "metrics": ["pearson"],
    }
    with pytest.raises(ValueError, match=rf"^a\.b\.{message}") as caught:
        build({**node, **changed}, "a.b", OwnTask)
    assert "\n" not in str(caught.value)


def test_what_yaml_takes_for_no_text_is_refused_before_anything_runs(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "conf/suite").mkdir(parents=True)
    page = (Path(__file__).parent.parent / "docs/own-data.md").read_text()
    yaml = next(part for part in page.split("```yaml\n")[1:] if "name: complexity" in part).split("```")[0]
    yaml = yaml.replace("        metrics:", "        labels: {bad: no, good: yes}\n        metrics:")
    (folder / "conf/suite/complexity.yaml").write_text(yaml)
    assert main(["run", "suite=complexity"]) == 2
    said = capsys.readouterr().err
    assert "tasks.complexity.labels.bad=false: text is needed; YAML reads no, off, false as false" in said
    assert [path.name for path in folder.iterdir()] == ["conf"]


def test_labels_of_a_config_may_be_numbers_in_the_file() -> None:
    node = {"name": "a", "train": "a", "inputs": "a", "targets": "{b}", "metrics": ["f1"]}
    made = build({**node, "labels": {0: "easy", 1: "hard", 0.5: "between", "x": "none"}}, "a", OwnTask)
    assert [made._target(cell, "b") for cell in (0, "1", 0.5, "x")] == ["easy", "hard", "between", "none"]


def test_classes_are_compared_as_the_template_writes_them() -> None:
    Path("rows.csv").write_text("text,score\na,0\nb,1\n")
    labels = {"labels": {0: "easy", 1: "hard"}, "metrics": ["f1", "macro_f1", "matthews", "accuracy"]}
    mine = task("rows.csv", validation="rows.csv", targets="it is {score}", **labels)
    records = mine.records("validation")
    assert mine.class_targets == ("it is easy", "it is hard")
    assert mine.score(records, ["it is easy", "it is hard"]) == dict.fromkeys(labels["metrics"], 100.0)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("rows.jsonl", '{"text": "a", "score": 0}\n{"text": "b", "score": 5.5}\n'),
        ("rows.csv", "text,score\na,0.0\nb,5.50\n"),
        ("rows.parquet", ""),
    ],
)
def test_a_label_that_is_a_number_is_any_spelling_of_it(name: str, text: str) -> None:
    if name == "rows.parquet":
        pq.write_table(pa.table({"text": ["a", "b"], "score": [0.0, 5.5]}), name)
    else:
        Path(name).write_text(text)
    mine = task(name, validation=name, labels={0: "no", 5.5: "yes"}, metrics=["accuracy"])
    assert [record["targets"] for record in mine.records("train")] == ["no", "yes"]
    words = task(name, validation=name, labels={"00": "no", "5,5": "yes"}, metrics=["accuracy"])
    with pytest.raises(ValueError, match=r"row 1: column 'score' is .*, expected one of 00, 5,5"):
        words.records("train")


def test_true_is_no_number() -> None:
    Path("rows.jsonl").write_text('{"text": "a", "score": true}\n')
    settings = {"validation": "rows.jsonl", "metrics": ["accuracy"]}
    with pytest.raises(ValueError, match="column 'score' is True, expected one of 0, 1"):
        task("rows.jsonl", labels={0: "no", 1: "yes"}, **settings).records("train")
    mine = task("rows.jsonl", labels={"False": "no", "True": "yes"}, **settings)
    assert mine.records("train")[0]["targets"] == "yes"


def test_numbers_of_json_lines_are_learnt_as_they_are_written() -> None:
    Path("rows.jsonl").write_text('{"text": 1, "score": 0}\n{"text": 2, "score": 5.5}\n')
    mine = task("rows.jsonl", validation="rows.jsonl")
    assert [(record["inputs"], record["targets"]) for record in mine.records("train")] == [
        ("complexity: 1", "0"),
        ("complexity: 2", "5.5"),
    ]
    Path("rows.jsonl").write_text('{"text": 1, "score": 3}\n{"text": 2.5, "score": NaN}\n')
    with pytest.raises(ValueError, match=r"rows.jsonl, row 2: column 'score' is empty"):
        mine.records("train")


@pytest.mark.parametrize(
    "column",
    [
        pa.array([b"f\xc3\xbcnf", b"b"]),
        pa.array([b"f\xc3\xbcnf", b"b"], pa.large_binary()),
        pa.array([b"f\xc3\xbcnf", b"b"], pa.binary_view()),
        pa.array([b"f\xc3\xbcnf", b"b"]).dictionary_encode(),
        pa.array(["fünf", "b"], pa.string_view()),
        pa.array(["fünf", "b"], pa.large_string()),
        pa.array(["fünf", "b"]).dictionary_encode(),
    ],
    ids=lambda column: str(column.type),
)
def test_every_layout_of_text_is_text(column: pa.Array) -> None:
    pq.write_table(pa.table({"text": column, "score": [1, 2]}), "rows.parquet")
    records = task("rows.parquet", held_out=2).records("train")
    assert [record["inputs"] for record in records] == ["complexity: fünf"]


@pytest.mark.parametrize(
    ("column", "text"),
    [
        (pa.array([0.1], pa.float32()), "0.1"),
        (pa.array([0.1], pa.float16()), "0.1"),
        (pa.array([0.1]), "0.1"),
        (pa.array([1]).cast(pa.decimal128(22, 2)), "1.00"),
        (pa.array([1], pa.date32()), "1970-01-02"),
        (pa.array([True]), "True"),
    ],
    ids=lambda value: str(getattr(value, "type", "")),
)
def test_a_cell_reads_as_it_was_written(column: pa.Array, text: str) -> None:
    pq.write_table(pa.table({"text": ["a"], "score": column}), "rows.parquet")
    mine = task("rows.parquet", validation="rows.parquet", metrics=["accuracy"])
    assert mine.records("train")[0]["targets"] == text


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pa.array([[1]]), "rows.parquet: column 'text' is list<.*>, expected text, numbers, dates"),
        (pa.array([{"a": 1}]), "rows.parquet: column 'text' is struct<a: int64>, expected text"),
        (pa.array([1], pa.duration("s")), r"rows.parquet: column 'text' is duration\[s\], expected text"),
        (pa.array([b"\xff"]), "rows.parquet, row 1: column 'text' is binary, and not UTF-8 at byte 1"),
    ],
    ids=lambda value: str(getattr(value, "type", "")),
)
def test_what_is_no_text_is_refused_by_column_and_type(column: pa.Array, message: str) -> None:
    pq.write_table(pa.table({"text": column, "score": [1], "unused": column}), "rows.parquet")
    with pytest.raises(ValueError, match=message):
        task("rows.parquet", validation="rows.parquet").records("train")
    mine = task("rows.parquet", validation="rows.parquet", inputs="{score}")
    assert mine.records("train")[0]["inputs"] == "1"


def test_lists_of_json_lines_are_no_text() -> None:
    Path("rows.jsonl").write_text('{"text": ["a"], "score": 1}\n')
    with pytest.raises(ValueError, match=r"rows.jsonl: column 'text' is list<.*>, expected text"):
        task("rows.jsonl").records("train")


def test_only_tasks_whose_cells_were_read_otherwise_have_another_name() -> None:
    made = {"a": [1, 2, 3], "b": [b"x", b"y", b"z"], "c": pa.array([1, 2, 3], pa.float32())}
    pq.write_table(pa.table(made), "rows.parquet")
    content = [[role, content_of([Path("rows.parquet")])] for role in ("train", "validation")]
    for inputs, named_anew in (("{a}", False), ("{b}", True), ("{c}", True)):
        mine = task("rows.parquet", inputs=inputs, targets="{a}")
        first = {"name": "mine", "inputs": inputs, "targets": "{a}", "metrics": ["pearson"], "held_out": 3}
        later = dict.fromkeys(("round_to", "num_train", "num_validation"))
        assert (mine.fingerprint() != digest([1, first | later, {}, content])) == named_anew
    Path("rows.jsonl").write_text('{"a": 1, "b": 1}\n{"a": 2, "b": 2.5}\n')
    assert [read_anew(Path("rows.jsonl"), [name]) for name in "ab"] == [False, True]
    assert task(quotes="none").later == ("quotes", "rouge_words")


def test_settings_that_came_later_name_a_task_anew_where_they_are_used() -> None:
    Path("rows.tsv").write_text(TSV)
    prints = [
        task(**changed).fingerprint() for changed in ({}, {"quotes": "none"}, {"rouge_words": "unicode"})
    ]
    assert len(set(prints)) == 3


def test_quotation_marks_may_be_ordinary() -> None:
    rows = 'text\tscore\n"a" b\t1\n"c\t2\n\n'
    Path("rows.tsv").write_text(rows)
    mine = task(quotes="none", validation="rows.tsv")
    assert [record["inputs"] for record in mine.records("train")] == ['complexity: "a" b', 'complexity: "c']
    assert [split.rows for split in mine.needed_splits] == [2, 2]
    with pytest.raises(ValueError, match=r"rows.tsv, row 1: .*a task of your own says quotes: none"):
        task().records("train")
    Path("rows.tsv").write_text(rows.replace('"a"', "a"))
    with pytest.raises(ValueError, match=r"rows.tsv, row 2: .*\(where quotation marks are ordinary"):
        task().records("train")


def test_a_value_may_be_of_any_length_and_the_last_lines_empty() -> None:
    Path("rows.csv").write_text(f"text,score\n{'a' * 140_000},1\n\n\n")
    csv.field_size_limit(131_072)
    (record,) = task("rows.csv", validation="rows.csv").records("train")
    assert len(record["inputs"]) == 140_012 and csv.field_size_limit() == 131_072
    Path("rows.csv").write_text("text,score\na,1\n\nb,2\n")
    with pytest.raises(ValueError, match=r"rows.csv, row 2: 0 values, its first line names 2 columns"):
        task("rows.csv").records("train")


def test_a_line_of_json_ends_at_a_line_feed_alone() -> None:
    Path("rows.jsonl").write_bytes('\ufeff{"text": "a\u2028b\x85c", "score": 1}\r\n'.encode())
    (record,) = task("rows.jsonl", validation="rows.jsonl").records("train")
    assert record["inputs"] == "complexity: a\u2028b\x85c"


def test_targets_without_a_word_that_rouge_sees_are_refused() -> None:
    Path("rows.jsonl").write_text('{"text": "a", "score": "Большой дом"}\n')
    settings = {"validation": "rows.jsonl", "metrics": ["rouge1", "rougeLsum"]}
    with pytest.raises(
        ValueError, match="rouge1 sees no word in any target, such as 'Большой дом'; rouge_words"
    ):
        task("rows.jsonl", **settings).records("train")
    for words, expected in (("unicode", 50.0), ("characters", 80.0)):
        mine = task("rows.jsonl", rouge_words=words, **settings)
        records = mine.records("validation")
        assert mine.score(records, ["большой кот"])["rouge1"] == pytest.approx(expected)
        assert mine.score(records, ["большой дом"])["rougeLsum"] == 100.0


def test_braces_are_doubled_and_values_never_read_as_templates() -> None:
    assert fill("{{{a b}}} {c}", {"a b": "{c}", "c": 1}) == "{{c}} 1"


def test_the_content_of_the_file_and_the_templates_identify_the_task(folder: Path) -> None:
    Path("rows.tsv").write_text(TSV)
    (folder / "elsewhere").mkdir()
    (folder / "elsewhere/others.tsv").write_text(TSV)
    prints = [task().fingerprint(), task("elsewhere/others.tsv").fingerprint()]
    assert prints[0] == prints[1]
    assert task(inputs="{text}").fingerprint() != prints[0]
    Path("rows.tsv").write_text(TSV.replace("Es.", "Er."))
    assert task().fingerprint() != prints[0]


def test_the_example_of_the_documentation_is_a_suite(
    shared: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (Path(__file__).parent.parent / "docs/own-data.md").read_text()
    yaml = next(part for part in page.split("```yaml\n")[1:] if "name: complexity" in part).split("```")[0]
    (folder / "conf/suite").mkdir(parents=True)
    (folder / "conf/suite/complexity.yaml").write_text(yaml)
    rows = pq.read_table(shared / "mirror/extra/TextComplexityDE/ratings/train-00000-of-00001.parquet")
    write_csv(rows, folder / "ratings.csv")
    (mine,) = load_cell(["suite=complexity"]).suite.columns["complexity"].tasks.values()
    assert (len(mine.records("train")), len(mine.records("validation"))) == (800, 200)
    assert mine.records("train")[0] == {
        "inputs": "complexity sentence: Etwa 5000 Jahre ist es her, seit die Sumerer das Sieden von Seife"
        " erfanden.",
        "targets": "1.8",
    }


def test_a_file_that_is_not_there_is_named_before_anything_runs(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "conf/suite").mkdir(parents=True)
    (folder / "conf/suite/mine.yaml").write_text("""
name: mine
columns:
  mine:
    title: Mine
    inputs_length: 8
    targets_length: 8
    tasks:
      mine:
        _target_: t5grid.tasks.own.OwnTask
        name: mine
        train: nowhere.tsv
        inputs: "{text}"
        targets: "{score}"
        metrics: [accuracy]
""")
    assert main(["run", "suite=mine"]) == 2
    assert "task mine: nowhere.tsv: no such file" in capsys.readouterr().err
    assert [path.name for path in folder.iterdir()] == ["conf"]


def test_a_whole_step_names_the_records_as_it_always_has() -> None:
    Path("rows.tsv").write_text("text\tscore\nx\t1\ny\t2\n")
    node = {
        "name": "m",
        "train": "rows.tsv",
        "inputs": "{text}",
        "targets": "{score}",
        "metrics": ["pearson"],
    }
    made = build({**node, "held_out": 2, "round_to": 1}, "a", OwnTask)
    assert made.fingerprint() == OwnTask(**node, held_out=2, round_to=1).fingerprint()
    assert repr(made.round_to) == "1"
