"""A file and one YAML are a task."""

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
    readme = (Path(__file__).parent.parent / "README.md").read_text()
    yaml = next(part for part in readme.split("```yaml\n")[1:] if "OwnTask" in part).split("```")[0]
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


def test_the_example_of_the_readme_is_a_suite(
    shared: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readme = (Path(__file__).parent.parent / "README.md").read_text()
    yaml = next(part for part in readme.split("```yaml\n")[1:] if "OwnTask" in part).split("```")[0]
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
