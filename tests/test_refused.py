"""What a user wrote, or a file that is spoilt, is one line and exit code 2; all else shows its traceback."""

import gzip
import io
import json
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import nn

from t5grid.cli import main
from t5grid.data.tokens import Rows
from t5grid.data.vocabulary import Vocabulary
from t5grid.execution.ranks import error_line
from t5grid.files import read_json, read_yaml
from t5grid.refused import Refused
from t5grid.results.figures import losses_in
from t5grid.results.findings import load_claims
from t5grid.stages import stage_file
from t5grid.tasks.files import read_table
from t5grid.training import checkpoints
from t5grid.training.callbacks import read_metrics

EMPTY, NO_TEXT, HALF = b"", b"\xff\xfe\x00 no UTF-8", b'{"a": [1, 2'
SPOILT = (EMPTY, NO_TEXT, HALF)
NO_DAY = b"title: t\nfirst_column: a\nrows: {x: {title: x, day: 2020-13-45}}\n"
LONG, DEEP = b"1" * 5000, b"[" * 100_000  # Python reads no such number, and no such nesting
SIZES = dict.fromkeys(("d_model", "d_ff", "d_kv", "num_heads", "num_layers", "num_decoder_layers"), 2)
THEIRS = json.dumps({"model_type": "t5", "vocab_size": 128, **SIZES}).encode()

SMALL = ["suite.use=[questions]"]
PREDICT = ["predict", "runs/finetune/a-1", "--input", "input.txt"]
CANCEL = ["cancel", "baseline", *SMALL]
CORPUS = ["inspect", "corpus=text", "corpus.path=text", *SMALL, "-n", "1"]
GIVEN = ["inspect", "vocabulary=given", "vocabulary.path=v.model", *SMALL]

SPOILT_FILES: list[tuple[str, Sequence[bytes], list[str]]] = [
    ("runs/.slurm/12/stages.json", [*SPOILT, b"{}", b"[]", b"[1]", b'"ab"'], CANCEL),
    ("experiments/mine.yaml", [*SPOILT, NO_DAY, b"? [a, b]\n: c\n"], ["plan", "mine"]),
    ("runs/pretrain/a-1/config.yaml", SPOILT, ["export", "runs/pretrain/a-1", "theirs"]),
    (
        "runs/finetune/a-1/config.yaml",
        [*SPOILT, b"identity: 3\nparents: [1]\n"],
        PREDICT,
    ),
    ("theirs/config.json", [*SPOILT, LONG, DEEP, b"[]"], ["import", "theirs", "ours"]),
    ("theirs/model.safetensors", [*SPOILT, b"\x03" + bytes(7) + b"[1]"], ["import", "theirs", "ours"]),
    ("text/a.jsonl", [*SPOILT, LONG, DEEP], CORPUS),
    ("text/a.jsonl.gz", [*SPOILT, gzip.compress(b'{"text": "a"}', mtime=0)[:-9]], CORPUS),
    ("text/a.parquet", [*SPOILT, b"PAR1....PAR1"], CORPUS),
    ("v.model", SPOILT, GIVEN),
    ("lines.txt", [NO_TEXT], ["predict", "questions", "--input", "lines.txt"]),
]
CASES = [(path, content, command) for path, contents, command in SPOILT_FILES for content in contents]


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def put(path: str | Path, content: bytes) -> Path:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_bytes(content)
    return Path(path)


@pytest.mark.parametrize(("path", "content", "command"), CASES)
def test_a_spoilt_file_is_one_line_that_names_it_and_exit_code_2(
    path: str, content: bytes, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    if path.startswith("theirs/"):
        put("theirs/config.json", THEIRS)
    put("input.txt", b"a line\n")
    put(path, content)
    assert main(command) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("t5grid: ") and path in line


def shard(folder: Path, **spoilt: bytes) -> Rows:
    """Rows of one shard of two documents, with some of its files spoilt."""
    lengths = io.BytesIO()
    np.save(lengths, np.array([2, 3], np.int32))
    sound = {
        "tokens.json": b'{"num_shards": 1}',
        "shard-00000.npy": lengths.getvalue(),
        "shard-00000.bin": bytes(10),
    }
    for name, content in sound.items():
        put(folder / name, spoilt.get(name.rpartition(".")[2], content))
    return Rows(folder, 100, 2, concatenate=True)


NO_NUMBER = b'{"num_shards": "1"}'
READERS: list[tuple[str, Sequence[bytes], Callable[[Path], Any]]] = [
    (
        "a/tokens.json",
        [*SPOILT, b"[1]", b'{"num_shards": "1"}'],
        lambda path: shard(path.parent, json=path.read_bytes()),
    ),
    ("a/shard-00000.npy", SPOILT, lambda path: shard(path.parent, npy=path.read_bytes())),
    ("a/shard-00000.bin", [b"", b"abc", b"abcd"], lambda path: shard(path.parent, bin=path.read_bytes())),
    ("step-00000001-ab.safetensors", SPOILT, lambda path: checkpoints.load_model(path, nn.Linear(1, 1))),
    ("metrics.csv", [NO_TEXT + b"\n", b"step,loss\n1,\n", b"step\n1\n", b"step,loss\none,2\n"], read_metrics),
    ("task.jsonl", [NO_TEXT, HALF, LONG, DEEP], lambda path: read_table([path])),
    ("task.csv", [NO_TEXT, b"a,b\n1,2,3\n", b'a\n"b\n'], lambda path: read_table([path])),
    ("task.parquet", [*SPOILT, b"PAR1....PAR1"], lambda path: read_table([path])),
    ("claims.yaml", [NO_TEXT, HALF, b"[a, b]"], load_claims),
    ("any.yaml", [NO_TEXT, HALF, NO_DAY], read_yaml),
    ("vocabulary.model", SPOILT, Vocabulary.read),
    ("a/b-1/config.yaml", SPOILT, lambda path: stage_file.read(path.parent)),
]


@pytest.mark.parametrize(
    ("path", "content", "reader"), [(path, each, reader) for path, some, reader in READERS for each in some]
)
def test_every_reader_names_the_spoilt_file(
    path: str, content: bytes, reader: Callable[[Path], Any], tmp_path: Path
) -> None:
    with pytest.raises(Refused, match=re.escape(path)) as refused:
        reader(put(tmp_path / path, content))
    assert len(str(refused.value).splitlines()) == 1


def test_text_of_a_parquet_file_that_is_not_utf8_is_found_when_the_file_is_read() -> None:
    from pyarrow import array, binary, parquet, string, table

    column = array([b"a", b"\xff"], binary()).view(string())
    parquet.write_table(table({"text": column}), "task.parquet")
    with pytest.raises(Refused, match=r"task\.parquet: unreadable"):
        read_table([Path("task.parquet")])


@pytest.mark.parametrize("content", [*SPOILT, LONG, DEEP, b"[]", b"{}"])
def test_a_damaged_record_is_no_record(content: bytes, tmp_path: Path) -> None:
    assert read_json(put(tmp_path / "record.json", content)) is None


def test_a_foreign_name_among_checkpoints_is_left_out(tmp_path: Path) -> None:
    put(tmp_path / "step-1.safetensors", b"")
    put(tmp_path / "step-last-of-all.safetensors", b"")
    assert checkpoints.steps(tmp_path) == {}


def test_a_curve_whose_last_line_is_not_finished_is_read_without_it(tmp_path: Path) -> None:
    assert losses_in(put(tmp_path / "metrics.csv", b"step,loss\n1,2.5\n2,")) == [(1, 2.5)]


def test_refused_is_one_line_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("t5grid.commands.inspection.show", raising(Refused("rate=2:\n  at most 1")))
    assert main(["inspect"]) == 2
    assert capsys.readouterr().err == "t5grid: rate=2: at most 1\n"


@pytest.mark.parametrize(
    "error", [ValueError("operands could not be broadcast"), json.JSONDecodeError("no", "", 0)]
)
def test_any_other_value_error_leaves_the_command_as_it_is(
    error: ValueError, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("t5grid.commands.inspection.show", raising(error))
    with pytest.raises(type(error)) as raised:
        main(["inspect"])
    assert raised.value is error


@pytest.mark.slow
def test_a_value_error_of_ours_shows_its_traceback_and_exits_1() -> None:
    code = (
        "import sys, numpy, t5grid.commands.inspection as inspection; from t5grid.cli import main\n"
        "inspection.show = lambda *_: numpy.zeros(2) + numpy.zeros(3)\n"
        "sys.exit(main(['inspect']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("Traceback") and "ValueError: operands" in done.stderr.splitlines()[-1]


def test_a_failure_keeps_the_type_of_every_error_but_a_refusal() -> None:
    assert error_line(Refused("rate=2:\n at most 1")) == "rate=2: at most 1"
    assert error_line(ValueError("operands")) == "ValueError: operands"


def raising(error: Exception) -> Callable[..., Any]:
    def fails(*_: Any) -> Any:
        raise error

    return fails
