"""GLUE's rows are read from a local copy, and what is wrong with a data set is named in one line."""

import shutil
from pathlib import Path

import pyarrow as pa
import pytest

from t5grid.tasks import hub
from t5grid.tasks.glue import MNLI, MRPC, QNLI, QQP, RTE, SST2, STSB, CoLA, GlueTask
from t5grid.tasks.labelled import evenly_spaced


@pytest.mark.parametrize(
    ("task", "train", "validation"),
    [(CoLA, 8551, 1043), (RTE, 2490, 277), (MRPC, 3668, 408), (STSB, 5749, 1500)],
)
def test_a_local_copy_gives_every_row(
    shared: Path, task: type[GlueTask], train: int, validation: int
) -> None:
    local = task(root=str(shared / "mirror"))
    assert len(local.records("train")) == train
    assert len(local.records("validation")) == validation


def test_the_first_rows_of_a_local_copy_read_as_the_paper_shows_them(shared: Path) -> None:
    root = str(shared / "mirror")
    assert SST2(root=root).records("validation")[0] == {
        "inputs": "sst2 sentence: it 's a charming and often affecting journey . ",
        "targets": "positive",
        "label": 1,
    }
    assert CoLA(root=root).records("validation")[0]["inputs"] == (
        "cola sentence: The sailors rode the breeze clear of the rocks."
    )


def test_unlabelled_test_rows_have_an_unknown_target(shared: Path) -> None:
    assert {r["targets"] for r in RTE(root=str(shared / "mirror")).records("test")} == {"<unk>"}


def test_a_restricted_split_is_spread_evenly_and_its_fingerprint_differs(shared: Path) -> None:
    root = str(shared / "mirror")
    few, all_rows = RTE(root=root, num_train=10, num_validation=5), RTE(root=root)
    assert few.records("train") == all_rows.records("train")[::249]
    assert len(few.records("validation")) == 5
    assert few.fingerprint() == RTE(root=root, num_train=10, num_validation=5).fingerprint()
    assert few.fingerprint() != all_rows.fingerprint()


def _mirror(folder: Path, columns: dict[str, list]) -> str:
    """A local copy of nyu-mll/glue with one configuration, `rte`."""
    import pyarrow.parquet as pq

    data = folder / "nyu-mll/glue/rte"
    data.mkdir(parents=True, exist_ok=True)
    splits = "".join(f"  - split: {split}\n    path: rte/{split}-*\n" for split in ("train", "validation"))
    header = f"---\nconfigs:\n- config_name: rte\n  data_files:\n{splits}---\n"
    (folder / "nyu-mll/glue/README.md").write_text(header)
    for split in ("train", "validation"):
        pq.write_table(pa.table(columns), data / f"{split}-0.parquet")
    return str(folder)


def _rows(label: list, **changed: list) -> dict[str, list]:
    return {"sentence1": ["a", "b"], "sentence2": ["c", "d"], "label": label, **changed}


def test_a_changed_local_file_changes_records_and_fingerprint(tmp_path: Path) -> None:
    root = _mirror(tmp_path, _rows([0, 1]))
    before = RTE(root=root)
    assert [r["targets"] for r in before.records("train")] == ["entailment", "not_entailment"]
    first = before.fingerprint()
    _mirror(tmp_path, _rows([0, 0]))
    assert [r["targets"] for r in RTE(root=root).records("train")] == ["entailment", "entailment"]
    assert RTE(root=root).fingerprint() != first


def test_the_fingerprint_does_not_depend_on_the_place(tmp_path: Path) -> None:
    first = RTE(root=_mirror(tmp_path / "one", _rows([0, 1]))).fingerprint()
    shutil.move(tmp_path / "one", tmp_path / "two")
    assert RTE(root=str(tmp_path / "two")).fingerprint() == first


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            _rows([0, -1]),
            r"nyu-mll/glue \(rte, train\), row 1: label -1, expected one of 0 entailment, 1 not_ent",
        ),
        (_rows([2, 0]), r"\(rte, train\), row 0: label 2, expected"),
        (_rows(["x", "y"]), r"row 0: label 'x', expected"),
        ({"sentence1": ["a"], "label": [0]}, r"train\): no column 'sentence2', it has sentence1, label"),
        (_rows([0, 1], sentence2=["c", None]), r"row 1: column 'sentence2' is null, expected text"),
        (_rows([0, 1], sentence2=[3, 4]), r"column 'sentence2' is int64, expected text"),
        (_rows([], sentence1=[], sentence2=[]), r"nyu-mll/glue \(rte, train\): no rows"),
    ],
)
def test_a_malformed_data_set_is_refused_with_its_row(
    tmp_path: Path, columns: dict[str, list], message: str
) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        RTE(root=_mirror(tmp_path, columns)).records("train")
    assert "\n" not in str(caught.value)


def test_a_missing_folder_configuration_or_split_names_what_there_is(tmp_path: Path) -> None:
    root = _mirror(tmp_path, _rows([0, 1]))
    with pytest.raises(ValueError, match=r"suite\.root=/no/such is not a folder"):
        RTE(root="/no/such").records("train")
    with pytest.raises(ValueError, match=r"no folder x/y in suite\.root=.*, it holds nyu-mll/glue"):
        RTE(root=root, repository="x/y").records("train")
    with pytest.raises(ValueError, match=r"\(cola, train\): no configuration 'cola' in .*, it has rte"):
        CoLA(root=root).records("train")
    with pytest.raises(ValueError, match=r"\(rte, test\): no such split in .*, it has train, validation"):
        RTE(root=root).records("test")
    with pytest.raises(ValueError, match=r"task rte: no dev split, it has train, validation, test"):
        RTE(root=root).records("dev")
    with pytest.raises(ValueError, match=r"suite\.revision=main means nothing"):
        RTE(root=root, revision="main").records("train")


def test_a_damaged_local_file_is_one_line(tmp_path: Path) -> None:
    root = _mirror(tmp_path, _rows([0, 1]))
    (tmp_path / "nyu-mll/glue/rte/train-0.parquet").write_bytes(b"PAR1 broken")
    with pytest.raises(ValueError, match=r"nyu-mll/glue \(rte, train\): ") as caught:
        RTE(root=root).records("train")
    assert "\n" not in str(caught.value)


def test_without_network_the_two_ways_to_the_data_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "reachable", lambda: False)
    with pytest.raises(ValueError, match=r"nyu-mll/glue \(rte, train\) .*network.*suite\.root=DIR") as caught:
        RTE().records("train")
    assert "\n" not in str(caught.value)


def test_an_unreachable_hub_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in hub.OFFLINE_SWITCHES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert not hub.reachable()


def test_a_folder_that_would_hide_the_hub_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _mirror(tmp_path, _rows([0, 1]))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"suite\.root=\. reads it"):
        RTE().records("train")


def test_scores_count_an_invalid_text_as_wrong() -> None:
    records = [SST2().record({"sentence": "x", "label": label}) for label in (1, 1, 0, 0)]
    assert SST2().score(records, ["positive", "Positive", "negative", ""]) == {"accuracy": 50.0}


def test_every_reported_metric_is_scored() -> None:
    for task in (CoLA(), SST2(), RTE(), QNLI(), MRPC(), QQP(), STSB()):
        rows = [{**dict.fromkeys(task.texts, "x"), "label": label} for label in (0, 1)]
        records = [task.record(row) for row in rows]
        scores = task.score(records, [record["targets"] for record in records])
        assert {name: scores[name] for name in task.reported} == pytest.approx(
            dict.fromkeys(task.reported, 100.0)
        )


def test_mnli_goes_without_a_mismatched_part_that_a_copy_lacks(shared: Path) -> None:
    task = MNLI(root=str(shared / "mirror"))
    records = list(task.records("validation"))
    assert len(records) == 1000 and {record["part"] for record in records} == {"matched"}
    assert task.score(records, [record["targets"] for record in records]) == {"accuracy_matched": 100.0}


def test_both_parts_of_mnli_are_scored_apart() -> None:
    rows = [{"hypothesis": "x", "premise": "y", "label": 0, "part": part} for part in MNLI.parts_scored]
    records = [MNLI().record(row) for row in rows]
    scores = MNLI().score(records, ["entailment", "neutral"])
    assert scores == {"accuracy_matched": 100.0, "accuracy_mismatched": 0.0}


def test_constant_similarities_score_nothing() -> None:
    rows = [{"sentence1": "x", "sentence2": "y", "label": label} for label in (0.1, 4.9)]
    records = [STSB().record(row) for row in rows]
    assert STSB().score(records, ["1.0", "1.0"]) == {"pearson": 0.0, "spearman": 0.0}


def test_a_restriction_below_one_row_is_refused() -> None:
    with pytest.raises(ValueError, match="is 0, expected at least 1"):
        evenly_spaced(pa.table({"a": [1, 2]}), 0)
