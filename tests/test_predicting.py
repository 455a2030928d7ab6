"""`t5grid predict`: the task's words, the step and the stage that are meant, and what it refuses."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from t5grid.cli import main
from t5grid.commands.multirun import run_overrides
from t5grid.commands.predicting import _folder, answers, fixed_start, with_start
from t5grid.config.schema import load_cell
from t5grid.evaluation.predict import predict
from t5grid.execution.store import Store
from t5grid.files import lines_of, read_lines, write_whole
from t5grid.model.decoding import greedy
from t5grid.results.attention import kept_attention
from t5grid.stages import stage_file

SPECK = [
    "size=nano",
    "size.d_model=16",
    "size.d_ff=16",
    "size.num_layers=1",
    "budget=smoke",
    "suite.use=[to_norvin]",
    "budget.num_documents=300",
    "vocabulary.num_pieces=300",
    "budget.pretrain.inputs_length=32",
    "budget.pretrain.num_rows=2",
    "budget.finetune.num_tokens=128",
    "architecture=prefix_lm",
    "executor.num_workers=1",
]


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("a", "entail hypothesis: a"),
        ("hypothesis: a premise: b", "entail hypothesis: a premise: b"),
        ("entail hypothesis: a", "entail hypothesis: a"),
        ("entail: a", "entail hypothesis: entail: a"),
        ("", "entail hypothesis: "),
    ],
)
def test_a_line_gets_the_words_of_its_task_that_it_lacks(line: str, text: str) -> None:
    assert with_start(line, "entail hypothesis:") == text


ODD_LINES = "\ufeffa\u2028b\x0cc\x85d\x1ce\r\nf\n\n g\rh "
LINES = ["a\u2028b\x0cc\x85d\x1ce", "f", "", " g\rh "]


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_line_ends_at_a_line_feed_alone_and_a_byte_order_mark_is_no_text(
    end: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = (ODD_LINES + end).encode()
    (tmp_path / "in.txt").write_bytes(data)
    assert read_lines(tmp_path / "in.txt") == LINES
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
    assert read_lines(None) == LINES
    assert (lines_of(""), lines_of("\n")) == ([], [""])


def test_there_are_as_many_answers_as_lines_for_every_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("t5grid.commands.predicting.answers", lambda words, lines, **how: lines)
    (tmp_path / "in.txt").write_bytes(ODD_LINES.encode())
    out = tmp_path / "out.txt"
    assert main(["predict", "to_norvin", "--input", f"{tmp_path}/in.txt", "--output", str(out)]) == 0
    assert out.read_bytes().decode().splitlines() == ["a b c d e", "f", "", " g h "]


class Rows:
    def __init__(self, *inputs: str) -> None:
        self.inputs = inputs

    def records(self, split: str) -> list[dict[str, str]]:
        return [{"inputs": text} for text in self.inputs]


def test_the_words_of_a_task_are_those_that_all_its_inputs_begin_with() -> None:
    assert fixed_start(Rows("turn: a b", "turn: a c")) == "turn:"
    assert fixed_start(Rows("q: who? c: x", "q: why? c: x")) == "q:"
    assert fixed_start(Rows("one", "two")) == ""


class Counted:
    """A model that answers 5 once for each real input id, then ends."""

    def __init__(self) -> None:
        self.widths: list[int] = []

    def parameters(self) -> Any:
        yield torch.zeros(1)

    def answer(self, batch: dict[str, torch.Tensor], max_length: int, num_beams: int = 1) -> torch.Tensor:
        return greedy(self, batch, max_length)

    def start_decoding(self, batch: dict[str, torch.Tensor], max_length: int) -> Any:
        self.widths.append(batch["inputs"].shape[1])
        return Left((batch["inputs"] > 1).sum(1))

    def decode_step(self, tokens: torch.Tensor, state: "Left") -> torch.Tensor:
        state.left = state.left - 1
        return torch.nn.functional.one_hot(torch.where(state.left >= 0, 5, 1), 6) * 50.0


class Left:
    def __init__(self, left: torch.Tensor) -> None:
        self.left = left

    def select(self, rows: torch.Tensor) -> "Left":
        return Left(self.left[rows])


class Letters:
    """Each letter one id; ids are answered by their number."""

    def encode(self, texts: list[str]) -> list[list[int]]:
        return [[2] * len(text) for text in texts]

    def decode(self, row: list[int]) -> str:
        return str(row.count(5))


@pytest.mark.parametrize("num_beams", [1, 4])
def test_answers_come_in_the_order_of_the_texts_though_batches_hold_equal_lengths(num_beams: int) -> None:
    column = load_cell([]).suite.columns["questions"]
    model = Counted()
    assert predict(model, Letters(), ["abc", "a", "abcdef", "ab"], column, 2, num_beams) == [
        "3",
        "1",
        "6",
        "2",
    ]
    assert model.widths == [3, 7]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cell")
    where = [f"runtime.runs_dir={folder}/runs", f"runtime.results_dir={folder}/results"]
    assert run_overrides([*SPECK, *where]) == 0
    return folder / "runs"


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The one line a refused command says."""
    assert main(["predict", *words]) == 2
    out = capsys.readouterr()
    assert out.out == "" and out.err.count("\n") == 1
    return out.err


@pytest.mark.slow
def test_a_cell_and_its_stages_answer_the_same(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = ["Alice works as a dancer.", "translate English to Norvin: Fred likes tea.", ""]
    (tmp_path / "in.txt").write_text("\n".join(lines) + "\n")
    cell = [*SPECK, f"runtime.runs_dir={runs}"]
    out = tmp_path / "out.txt"
    capsys.readouterr()
    assert main(["predict", "to_norvin", *cell, "--input", f"{tmp_path}/in.txt", "--output", str(out)]) == 0
    note = capsys.readouterr().err
    found = out.read_text().splitlines()
    assert len(found) == 3 and "finetune/to_norvin-" in note
    record = json.loads(next(runs.glob("evaluate/*/record.json")).read_text())
    assert f"step {record['tasks']['to_norvin']['step']}" in note
    whole = ["translate English to Norvin: Alice works as a dancer."]
    assert answers(["to_norvin", *cell], whole, raw=True) == found[:1]
    for kind in ("finetune", "evaluate"):
        stage = next((runs / kind).iterdir())
        assert answers([str(stage)], lines) == found
        assert answers([f"{kind}/{stage.name}", f"runtime.runs_dir={runs}"], lines) == found
        assert answers([f"{kind}/to_norvin", f"runtime.runs_dir={runs}"], lines) == found
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"Fred likes tea.\n")))
    assert main(["predict", "to_norvin", *cell, "--step", "2"]) == 0
    assert capsys.readouterr().out.count("\n") == 1


@pytest.mark.slow
def test_a_finished_cell_shows_its_attention_and_keeps_it_for_its_page(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = [f"runtime.runs_dir={runs}", f"runtime.results_dir={runs.parent}/results"]
    capsys.readouterr()
    assert main(["inspect", "--attention", "Fred likes tea.", "to_norvin", *SPECK, *where]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("text    translate English to Norvin: Fred likes tea.\n")
    assert "layer 1, darkest " in shown and "/attention/to_norvin-" in shown
    cell = load_cell([*SPECK, *where])
    (entry,) = kept_attention(cell.strategy.stages(cell)["to_norvin"].identity, runs.parent / "results")
    assert entry["parts"][0]["keys"][-1] == entry["parts"][0]["queries"][-1]
    assert main(["inspect", "--attention", "a", "to_norvn", *SPECK, *where]) == 2
    assert "no column 'to_norvn'" in capsys.readouterr().err


def test_a_task_without_attention_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", "objective=bert_style", "--task", "x"]) == 2
    assert "--task is for --attention TEXT" in capsys.readouterr().err


@pytest.mark.slow
def test_a_stage_is_read_back_from_its_folder(runs: Path) -> None:
    cell = load_cell([*SPECK, f"runtime.runs_dir={runs}"])
    stage = cell.strategy.stages(cell)["to_norvin"]
    again = stage_file.read(Store(runs).folder(stage))
    assert (again.identity, type(again), again.config) == (stage.identity, type(stage), stage.config)
    assert [parent.identity for parent in again.parents] == [parent.identity for parent in stage.parents]


@pytest.mark.slow
def test_what_cannot_answer_is_refused(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in.txt").write_text("a\n")
    (tmp_path / "bad.txt").write_bytes(b"\xff\n")
    cell = [*SPECK, f"runtime.runs_dir={runs}", "--input", f"{tmp_path}/in.txt"]
    capsys.readouterr()
    assert "--step 7: no such checkpoint; there are 2, 4" in said(capsys, "to_norvin", *cell, "--step", "7")
    assert "--task: no task 'x' in the column" in said(capsys, "to_norvin", *cell, "--task", "x")
    pretrained = f"pretrain/{next((runs / 'pretrain').iterdir()).name}"
    assert "not fine-tuned on a column; name a finetune/" in said(capsys, pretrained, *cell)
    assert "missing in " in said(capsys, "to_norvin", *cell, "seed=1")
    assert "in.text: No such file" in said(capsys, "to_norvin", *cell[:-1], f"{tmp_path}/in.text")
    assert "bad.txt: 'utf-8' codec" in said(capsys, "to_norvin", *cell[:-1], f"{tmp_path}/bad.txt")


def test_a_part_of_a_name_must_be_that_of_one_stage(tmp_path: Path) -> None:
    for name in ("questions-a-1", "questions-b-2", "sentences-a-3"):
        write_whole(tmp_path / "finetune" / name / "config.yaml", "")
    assert _folder("finetune/sent", tmp_path).name == "sentences-a-3"
    assert _folder("finetune/questions-a-1", tmp_path).name == "questions-a-1"
    assert _folder("finetune/nothing", tmp_path) == tmp_path / "finetune" / "nothing"
    both = "finetune/questions-a-1, finetune/questions-b-2"
    with pytest.raises(ValueError, match=f"finetune/questions is part of the names of 2 stages: {both}"):
        _folder("finetune/questions", tmp_path)


@pytest.mark.parametrize(
    ("words", "fragment"),
    [
        ("to_norvn", "no column 'to_norvn' (did you mean 'to_norvin'?)"),
        ("budget=smoke", "name one column (sentences, summarization, "),
        ("to_norvin questions", "got to_norvin questions"),
        ("finetune/nothing", "config.yaml: no such file; name a stage"),
        ("to_norvin --beams 0", "--beams 0: at least 1"),
    ],
)
def test_a_wrong_command_is_one_line(
    words: str, fragment: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in.txt").write_text("a\n")
    place = ["--input", f"{tmp_path}/in.txt", f"runtime.runs_dir={tmp_path}/runs"]
    assert fragment in said(capsys, *words.split(), *place)
