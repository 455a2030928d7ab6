"""The files of both leaderboards, letter by letter, from stages that answer and from none."""

import io
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from t5grid.commands import submitting
from t5grid.commands.submitting import Answering, Trained, submission
from t5grid.refused import Refused
from t5grid.stages.evaluate import EvaluateStage
from t5grid.tasks import glue, super_glue, winograd
from t5grid.tasks.leaderboards import LEADERBOARDS, Entry, zipped

IDX = [0, 1]
PAIR = {"sentence1": ["a", "b"], "sentence2": ["c", "d"]}
NLI = {"premise": ["a", "b"], "hypothesis": ["c", "d"]}
WSC_ROW = {
    "text": "Ana left because she was tired .",
    "span1_text": "Ana",
    "span2_text": "she",
    "span2_index": 3,
}
DATA: dict[str, dict[str, list[Any]]] = {
    "nyu-mll/glue/cola/test": {"sentence": ["a", "b"]},
    "nyu-mll/glue/sst2/test": {"sentence": ["a", "b"]},
    "nyu-mll/glue/mrpc/test": PAIR,
    "nyu-mll/glue/stsb/test": PAIR | {"label": [-1.0, -1.0]},
    "nyu-mll/glue/qqp/test": {"question1": ["a", "b"], "question2": ["c", "d"]},
    "nyu-mll/glue/mnli/test_matched": NLI,
    "nyu-mll/glue/mnli/test_mismatched": NLI,
    "nyu-mll/glue/qnli/test": {"question": ["a", "b"], "sentence": ["c", "d"]},
    "nyu-mll/glue/rte/test": PAIR,
    "nyu-mll/glue/wnli/test": {
        "sentence1": ["The cup fell off the shelf because it was wobbly.", "Ana saw Eva so she waved."],
        "sentence2": ["The shelf was wobbly.", "Ana waved."],
    },
    "nyu-mll/glue/ax/test": NLI,
    "nyu-mll/glue/mnli/train": NLI | {"label": [2, 2]},
    "nyu-mll/glue/wnli/train": PAIR | {"label": [1, 0]},
    "nyu-mll/glue/stsb/train": PAIR | {"label": [1.5, 3.0]},
    "nyu-mll/glue/rte/train": PAIR | {"label": [1, 1]},
    "nyu-mll/glue/cola/train": {"sentence": ["a", "b"], "label": [1, 1]},
    "aps/super_glue/boolq/test": {"passage": ["a", "b"], "question": ["c", "d"]},
    "aps/super_glue/cb/test": NLI,
    "aps/super_glue/copa/test": {name: ["a", "b"] for name in ("choice1", "choice2", "premise", "question")},
    "aps/super_glue/multirc/test": {
        "question": ["q", "q", "r"],
        "answer": ["a", "b", "c"],
        "paragraph": ["p", "p", "p"],
        "label": [-1, -1, -1],
        "idx": [
            {"paragraph": 0, "question": 0, "answer": 0},
            {"paragraph": 0, "question": 0, "answer": 1},
            {"paragraph": 0, "question": 1, "answer": 2},
        ],
    },
    "aps/super_glue/record/test": {
        "passage": ["Lee beat Bob.", "Ann won."],
        "query": ["@placeholder won.", "@placeholder lost."],
        "entities": [["Lee", "Bob"], ["Ann"]],
        "answers": [[], []],
        "idx": [{"passage": 0, "query": 0}, {"passage": 1, "query": 1}],
    },
    "aps/super_glue/rte/test": NLI,
    "aps/super_glue/wic/test": {name: ["a", "b"] for name in ("sentence1", "sentence2", "word")},
    "aps/super_glue/wsc.fixed/test": {name: [value, value] for name, value in WSC_ROW.items()},
    "aps/super_glue/axb/test": PAIR,
    "aps/super_glue/axg/test": NLI,
    "aps/super_glue/rte/train": NLI | {"label": [0, 0]},
}
OF_GLUE = {
    **{"cola": glue.CoLA, "sst2": glue.SST2, "mrpc": glue.MRPC, "stsb": glue.STSB, "qqp": glue.QQP},
    **{"mnli": glue.MNLI, "qnli": glue.QNLI, "rte": glue.RTE},
}
OF_SUPER_GLUE = {
    **{"boolq": super_glue.BoolQ, "cb": super_glue.CB, "copa": super_glue.COPA, "rte": super_glue.RTE},
    **{
        "multirc": super_glue.MultiRC,
        "record": super_glue.ReCoRD,
        "wic": super_glue.WiC,
        "wsc": winograd.WSC,
    },
}
ANSWERS = {
    **{"cola": "unacceptable", "sst2": "positive", "mrpc": "equivalent", "stsb": "3.8", "qqp": "duplicate"},
    **{"mnli": "neutral", "qnli": "not_entailment", "rte": "not_entailment", "wsc": "the shelf"},
    **{"boolq": "True", "cb": "contradiction", "copa": "choice2", "multirc": "True", "record": "Bob"},
    "wic": "False",
}


@pytest.fixture
def root(tmp_path: Path) -> str:
    """A local copy of both repositories, two rows a test set."""
    for name, columns in DATA.items():
        path = tmp_path / f"{name}-00000-of-00001.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        num_rows = len(next(iter(columns.values())))
        pq.write_table(pa.table({"idx": IDX[:num_rows], "label": [-1] * num_rows} | columns), path)
    return str(tmp_path)


@pytest.fixture(autouse=True)
def stages(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stages `evaluate/TASK` and `evaluate/glue`, `evaluate/super_glue`, which give `ANSWERS`."""

    def stage_of(place: str, cell: Any) -> tuple[Any, Any]:
        name = place.removeprefix("evaluate/")
        groups = {"glue": OF_GLUE, "super_glue": OF_SUPER_GLUE}
        tasks = groups.get(name) or {name: (OF_GLUE | OF_SUPER_GLUE)[name]}
        nodes = {
            task: {"_target_": f"{cls.__module__}.{cls.__qualname__}", "root": root}
            for task, cls in tasks.items()
        }
        column = {"title": "T", "inputs_length": 64, "targets_length": 8, "tasks": nodes}
        stage = EvaluateStage(name, {"column": column}, {})
        return EvaluateStage(name, {"column": column}, {}, (stage,)), None

    monkeypatch.setattr(submitting, "stage_of", stage_of)
    monkeypatch.setattr(Answering, "__call__", lambda self, trained, records: answered(trained, records))


def answered(trained: Trained, records: Sequence[Any]) -> list[str]:
    return [ANSWERS[trained.name]] * len(records)


def files(data: bytes) -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name).decode() for name in archive.namelist()}


def tsv(*values: object) -> str:
    return "index\tprediction\n" + "".join(f"{row}\t{value}\n" for row, value in enumerate(values))


def jsonl(*values: object) -> str:
    return "".join(json.dumps({"idx": row, "label": value}) + "\n" for row, value in enumerate(values))


def test_glue_takes_a_table_a_task_with_its_own_values() -> None:
    assert files(submission("glue", ["evaluate/glue", "evaluate/wsc"])) == {
        "CoLA.tsv": tsv(0, 0),
        "SST-2.tsv": tsv(1, 1),
        "MRPC.tsv": tsv(1, 1),
        "STS-B.tsv": tsv("3.800", "3.800"),
        "QQP.tsv": tsv(1, 1),
        "MNLI-m.tsv": tsv("neutral", "neutral"),
        "MNLI-mm.tsv": tsv("neutral", "neutral"),
        "QNLI.tsv": tsv("not_entailment", "not_entailment"),
        "RTE.tsv": tsv("not_entailment", "not_entailment"),
        "WNLI.tsv": tsv(1, 0),
        "AX.tsv": tsv("neutral", "neutral"),
    }


def test_super_glue_takes_an_object_a_line_and_groups_the_answers_of_multirc() -> None:
    made = files(submission("super_glue", ["evaluate/super_glue"]))
    questions = [
        {"idx": 0, "answers": [{"idx": 0, "label": 1}, {"idx": 1, "label": 1}]},
        {"idx": 1, "answers": [{"idx": 2, "label": 1}]},
    ]
    assert made == {
        "BoolQ.jsonl": jsonl("true", "true"),
        "CB.jsonl": jsonl("contradiction", "contradiction"),
        "COPA.jsonl": jsonl(1, 1),
        "MultiRC.jsonl": json.dumps({"idx": 0, "passage": {"questions": questions}}) + "\n",
        "ReCoRD.jsonl": jsonl("Bob", "Bob"),
        "RTE.jsonl": jsonl("not_entailment", "not_entailment"),
        "WiC.jsonl": jsonl("false", "false"),
        "WSC.jsonl": jsonl("False", "False"),
        "AX-b.jsonl": jsonl("not_entailment", "not_entailment"),
        "AX-g.jsonl": jsonl("not_entailment", "not_entailment"),
    }


def test_what_nothing_is_trained_for_is_refused_by_name_and_filled_only_when_asked(capsys: Any) -> None:
    with pytest.raises(Refused, match=r"nothing named is fine-tuned for WNLI\.tsv; name a stage that is, or"):
        submission("glue", ["evaluate/glue"])
    made = files(submission("glue", ["evaluate/glue"], fill=True))
    assert made["WNLI.tsv"] == tsv(0, 0)  # as many rows of each class: the first
    assert "WNLI.tsv: the usual answer in every row, as nothing named is" in capsys.readouterr().err


def test_what_is_filled_is_the_usual_answer_of_the_training_rows(root: str) -> None:
    some = ["evaluate/" + name for name in ("sst2", "mrpc", "qqp", "qnli", "rte")]
    made = files(submission("glue", some, fill=True))
    assert made["RTE.tsv"] == tsv("not_entailment", "not_entailment")
    assert made["CoLA.tsv"] == tsv(1, 1) and made["STS-B.tsv"] == tsv("2.250", "2.250")
    assert made["AX.tsv"] == made["MNLI-m.tsv"] == tsv("contradiction", "contradiction")


def test_an_answer_that_is_none_of_the_tasks_becomes_the_usual_one_and_is_counted(
    monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setitem(ANSWERS, "mnli", "perhaps")
    monkeypatch.setitem(ANSWERS, "stsb", "many")
    monkeypatch.setitem(ANSWERS, "record", " ")
    made = files(submission("glue", ["evaluate/glue", "evaluate/wsc"]))
    assert made["MNLI-mm.tsv"] == tsv("contradiction", "contradiction")
    assert made["STS-B.tsv"] == tsv("2.250", "2.250")
    said = capsys.readouterr().err
    assert "MNLI-m.tsv: 2 of 2 answers are none of the task's; the usual one there" in said
    assert files(submission("super_glue", ["evaluate/super_glue"]))["ReCoRD.jsonl"] == jsonl("Lee", "Ann")


def test_a_number_beyond_the_scale_is_cut_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ANSWERS, "stsb", "7.25")
    assert files(submission("glue", ["evaluate/glue", "evaluate/wsc"]))["STS-B.tsv"] == tsv("5.000", "5.000")


def test_two_stages_for_one_file_and_none_for_any_are_refused() -> None:
    with pytest.raises(Refused, match=r"^predict: CoLA\.tsv: evaluate/glue-\w+ and evaluate/cola-\w+ are"):
        submission("glue", ["evaluate/glue", "evaluate/cola"])
    with pytest.raises(Refused, match=r"--leaderboard super_glue: evaluate/cola: not fine-tuned on any of"):
        submission("super_glue", ["evaluate/cola"], fill=True)


def test_a_test_set_of_another_size_than_the_servers_is_said(capsys: Any) -> None:
    submission("super_glue", ["evaluate/super_glue"])
    assert "WSC.jsonl: 2 rows here; the server expects 146" in capsys.readouterr().err


def test_a_data_set_without_numbers_of_rows_is_refused(root: str) -> None:
    path = Path(root) / "nyu-mll/glue/cola/test-00000-of-00001.parquet"
    pq.write_table(pq.read_table(path).drop_columns("idx"), path)
    with pytest.raises(Refused, match=r"\(cola, test\): no column 'idx', which CoLA\.tsv is made of"):
        submission("glue", ["evaluate/glue", "evaluate/wsc"])


def test_the_same_answers_are_the_same_bytes() -> None:
    assert zipped({"a.tsv": "x\n"}) == zipped({"a.tsv": "x\n"})


@pytest.mark.parametrize("entry", [e for board in LEADERBOARDS.values() for e in board], ids=lambda e: e.file)
def test_rows_of_a_real_test_set_are_as_many_as_the_server_expects(shared: Path, entry: Entry) -> None:
    task = entry.task(root=str(shared / "mirror"))
    if not task.source.has(entry.split):
        pytest.skip("the copy lacks this test set")
    assert task.source.rows(entry.split) == entry.num_rows
    assert entry.indices(task) == list(range(entry.num_rows))


def test_what_cannot_be_filled_is_refused_before_anything_is_answered(
    root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Answering, "__call__", lambda *given: pytest.fail("answered"))
    with pytest.raises(Refused, match=r"data set nyu-mll/glue \(sst2, train\): no such split in"):
        submission("glue", ["evaluate/cola"], fill=True)
