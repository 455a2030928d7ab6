"""Bad inputs: what is written or spoilt, the exit code, and what the one line names.

A row is a case that somebody met. Every line was read once for whether it helps: it names the file, key, row
or option, what was given and what is possible.
"""

import io
import json
import os
import shutil
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from small_vocabulary import small_vocabulary

from t5grid.cli import main
from t5grid.config.schema import load_cell
from t5grid.execution.store import Store
from t5grid.grid.graph import expand
from t5grid.model.huggingface import write_checkpoint
from t5grid.model.size import Size
from t5grid.model.transformer import EncoderDecoderModel
from t5grid.stages import stage_file
from t5grid.stages.model import build_model
from t5grid.stages.stage import Stage, with_parents
from t5grid.training import checkpoints

pytestmark = pytest.mark.slow
RECORDS = Path(__file__).resolve().parents[2] / "results" / "records"
PATIENCE = 60  # seconds after which a command counts as hanging

Spoil = Callable[[Path], Any]


@pytest.fixture(autouse=True)
def impatient() -> Iterator[None]:
    """A command that hangs, as one that waits for a FIFO, fails instead."""

    def give_up(*_: Any) -> None:
        raise TimeoutError(f"no answer within {PATIENCE} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(PATIENCE)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def put(path: str, content: str | bytes) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_bytes(content.encode() if isinstance(content, str) else content)


def complaint(words: Sequence[str], code: int, capsys: pytest.CaptureFixture[str]) -> str:
    """The one line of a refused command."""
    ended = main(list(words))
    shown = capsys.readouterr()
    assert ended == code, shown.err + shown.out
    lines = [line for line in shown.err.splitlines() if not line.startswith("t5grid: set aside")]
    assert len(lines) == 1 and lines[0].startswith("t5grid: ") and "Traceback" not in shown.err, shown.err
    return lines[0]


# --- command lines: words, what the line names

OVERRIDES: list[tuple[str, list[str]]] = [
    ("run nope=1", ["nope"]),
    ("run size=huge", ["size=huge", "base"]),
    ("run size.d_model=0", ["size.d_model=0", "from 1 up"]),
    ("run size.d_model=a", ["size.d_model=a"]),
    ("run size.d_model=1e400", ["size.d_model"]),
    ("run size.num_layers=1000000", ["size.num_layers=1000000", "at most 1000"]),
    ("run size.num_decoder_layers=100000", ["size.num_decoder_layers=100000", "at most 1000"]),
    ("run size.dropout=1", ["size.dropout=1"]),
    ("run seed=x", ["seed=x"]),
    ("run seed=0 seed=1", ["seed"]),
    ("run objective.rate=2", ["objective.rate=2"]),
    ("run objective.rate=nan", ["objective.rate=nan"]),
    ("run objective.rate=a=b", ["objective.rate"]),
    ("run objective=prefix_lm objective.rate=0.1", ["rate", "objective"]),
    ("run budget.pretrain.num_steps=-1", ["budget.pretrain.num_steps=-1"]),
    ("run budget.finetune.schedule.peak=-1", ["budget.finetune.schedule"]),
    ("run corpus=text", ["corpus"]),
    ("run corpus=text corpus.path=nowhere", ["nowhere"]),
    ("run vocabulary=given", ["vocabulary"]),
    ("run vocabulary=given vocabulary.path=nowhere.model", ["vocabulary.path=nowhere.model", "No such file"]),
    (
        "run strategy=no_pretraining budget.finetune.schedule.peak=0.1",
        ["budget.finetune.schedule.peak=0.1", "has no effect"],
    ),
    ("run suite.use=[nope]", ["nope"]),
    ("run suite.use=[]", ["suite.use"]),
    ("run --nope", ["--nope"]),
    ("run -m objective=nope,bert_style", ["objective=nope", "bert_style"]),
    ("run executor.num_workers=0", ["executor.num_workers=0"]),
    ("run strategy.pretrained=nowhere", ["strategy.pretrained=nowhere", "no such folder"]),
    ("run runtime.accelerator=tpu", ["runtime.accelerator=tpu"]),
    ("sweep", ["NAME"]),
    ("sweep nope", ["nope", "objectives"]),
    ("sweep objectives objective=bert_style", ["objectives.yaml", "one and the same cell"]),
    ("plan objectives size.num_layers=1000000", ["size.num_layers=1000000", "at most 1000"]),
    ("status nope", ["nope"]),
    ("logs pretrain/nope", ["pretrain/nope"]),
    ("logs objectives -n 0", ["--num 0"]),
    ("cancel ../x", ["../x"]),
    ("explain pretrain/a", ["two stages"]),
    ("explain pretrain/a pretrain/b", ["pretrain/a"]),
    ("table --all objectives", ["objectives"]),
    ("report nope", ["nope"]),
    ("report objectives --serve --port 99999", ["--port 99999", "65535"]),
    ("report objectives --serve --port -1", ["--port -1", "65535"]),
    ("report objectives --serve --port x", ["--port", "x"]),
    ("findings budget=nope", ["budget=nope"]),
    ("records merge nowhere", ["nowhere", "no records"]),
    ("predict nope", ["nope"]),
    ("predict", ["COLUMN"]),
    ("predict questions to_norvin", ["questions to_norvin"]),
    ("predict questions --beams 0", ["--beams 0"]),
    ("predict questions --input nowhere.txt", ["nowhere.txt"]),
    ("predict finetune/nope-1", ["finetune/nope-1"]),
    ("import nowhere DIR", ["nowhere", "config.json"]),
    ("import model.bin DIR", ["model.bin", "safetensors"]),
    ("export nowhere DIR", ["nowhere", "no such folder"]),
    ("inspect -n -1", ["-n -1"]),
    ("inspect objective=nope", ["objective=nope"]),
    ("clean", ["corpus.source.path"]),
    ("clean corpus.source.path=nowhere", ["nowhere"]),
    ("nope", ["nope"]),
]


@pytest.mark.parametrize(("words", "named"), OVERRIDES, ids=[words for words, _ in OVERRIDES])
def test_a_bad_command_line_is_refused_in_one_line_and_leaves_nothing(
    words: str, named: list[str], folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO()))
    line = complaint(words.split(), 2, capsys)
    assert all(name in line for name in named), line
    assert list(folder.iterdir()) == []


# --- a task, a config or a text of one's own: files, words, exit code, what is named

OWN = """name: own
columns:
  own:
    title: Own
    inputs_length: 16
    targets_length: 8
    tasks:
      own:
        _target_: t5grid.tasks.own.OwnTask
        name: own
        train: {file}
        held_out: 2
        inputs: "own: {{text}}"
        targets: "{{label}}"
        metrics: [accuracy]
"""
INSPECT = "inspect suite=own"
ROWS = "text\tlabel\na\tbad\nb\tgood\nc\tbad\nd\tgood\n"


def own(more: str = "", rows: str | bytes = ROWS, file: str = "rows.tsv") -> Callable[[], None]:
    def make() -> None:
        put("conf/suite/own.yaml", OWN.format(file=file) + (f"        {more}\n" if more else ""))
        put(file, rows)

    return make


def parquet(column: Any) -> Callable[[], None]:
    def make() -> None:
        from pyarrow import parquet, table

        own(file="rows.parquet", rows=b"")()
        parquet.write_table(table({"text": ["a", "b", "c", "d"], "label": column}), "rows.parquet")

    return make


def config(path: str, text: str) -> Callable[[], None]:
    return lambda: put(path, text)


def nothing() -> None:
    """No file."""


def labels_of_one_id() -> None:
    own('labels: {bad: "\u2603", good: "\u2665"}')()
    put("small.model", small_vocabulary(60))


FILES: list[tuple[str, Callable[[], None], str, list[str]]] = [
    (
        "labels that YAML reads as booleans",
        own("labels: {bad: no, good: yes}"),
        INSPECT,
        ["labels"],
    ),
    ("labels that are numbers", own("labels: {bad: 0, good: 1}"), INSPECT, ["labels"]),
    ("a label that is a list", own("labels: {bad: [a], good: b}"), INSPECT, ["labels"]),
    ("two labels of one text", own("labels: {bad: x, good: x}"), INSPECT, ["labels", "x"]),
    (
        "a label that no row of the file has a text for",
        own("labels: {bad: a}"),
        INSPECT,
        ["good"],
    ),
    ("a column that is not there", own(rows="text\tother\na\tb\nc\td\n"), INSPECT, ["label"]),
    ("a row with a cell too many", own(rows=ROWS + "e\tbad\tmore\n"), INSPECT, ["rows.tsv"]),
    ("no rows", own(rows=""), INSPECT, ["rows.tsv"]),
    ("not UTF-8", own(rows=b"text\tlabel\n\xff\tbad\n"), INSPECT, ["rows.tsv"]),
    ("a file of no kind", own(file="rows.xyz"), INSPECT, ["rows.xyz"]),
    ("a column of lists", parquet([["a"], ["b"], ["c"], ["d"]]), INSPECT, ["label", "list"]),
    ("a column of structures", parquet([{"a": 1}] * 4), INSPECT, ["label", "struct"]),
    ("bytes that are no text", parquet([b"\xff"] * 4), INSPECT, ["label", "binary"]),
    ("a metric there is not", own("round_to: 0"), INSPECT, ["round_to"]),
    ("a suite that is no YAML", config("conf/suite/own.yaml", "a: [1\n"), INSPECT, ["own.yaml"]),
    (
        "an option that asks for itself",
        config("conf/size/own.yaml", "defaults: [own]\n"),
        "run size=own",
        ["own"],
    ),
    (
        "a suite with a class of a stranger",
        config("conf/suite/own.yaml", OWN.format(file="x").replace("t5grid.tasks.own.OwnTask", "os.system")),
        INSPECT,
        ["os.system", "--allow"],
    ),
    (
        "an experiment with a row of no override",
        config("experiments/own.yaml", "title: Own\nrows: {a: {title: A, overrides: [nope=1]}}\n"),
        "plan own",
        ["experiments/own.yaml"],
    ),
    ("an experiment that is empty", config("experiments/own.yaml", ""), "plan own", ["experiments/own.yaml"]),
    (
        "a text file that is empty",
        config("text.txt", ""),
        "inspect corpus=text corpus.path=text.txt",
        ["text.txt"],
    ),
    ("a path at home", nothing, "inspect corpus=text corpus.path=~/nowhere-at-all", ["nowhere-at-all"]),
    (
        "a vocabulary of no bytes",
        config("v.model", ""),
        "run vocabulary=given vocabulary.path=v.model",
        ["v.model"],
    ),
    ("lines that are no text", config("in.txt", b"\xff"), "predict questions --input in.txt", ["in.txt"]),
    (
        "labels that the vocabulary makes equal",
        labels_of_one_id,
        "run suite=own vocabulary=given vocabulary.path=small.model budget=smoke",
        ["task own", "label '\u2603'", "take another vocabulary"],
    ),
    ("a store that is a file", config("runs", ""), "status objectives", ["runs"]),
    ("records that are a file", config("results", ""), "table objectives", ["results"]),
    ("a store without end", lambda: os.symlink("runs", "runs"), "status objectives", ["runs"]),
    ("results without end", lambda: os.symlink("results", "results"), "table objectives", ["results"]),
    ("results of a name too long", nothing, f"table objectives runtime.results_dir={'x' * 300}", ["xxx"]),
    ("results nobody can write", nothing, "table objectives runtime.results_dir=/proc/none", ["/proc/none"]),
    ("a report nobody can write", nothing, "report objectives -o /proc/none/x.html", ["/proc/none"]),
    ("findings nobody can write", nothing, "findings runtime.results_dir=/proc/none", ["/proc/none"]),
    (
        "records merged to where nobody can write",
        lambda: shutil.copytree(RECORDS / "pretrain", "other/pretrain"),
        "records merge other runtime.results_dir=/proc/none",
        ["/proc/none"],
    ),
]


@pytest.mark.parametrize(
    ("make", "words", "named"), [row[1:] for row in FILES], ids=[name for name, *_ in FILES]
)
def test_a_bad_file_is_refused_in_one_line_that_names_it(
    make: Callable[[], None], words: str, named: list[str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make()
    line = complaint(words.split(), 2, capsys)
    assert all(name in line for name in named), line


WHOLE: list[tuple[str, Callable[[], None], str, list[str]]] = [
    ("quoted booleans", own('labels: {bad: "no", good: "yes"}'), INSPECT, ["targets  no"]),
    ("a cell of 200,000 letters", own(rows=f"{ROWS}{'e' * 200_000}\tbad\n"), INSPECT, ["own: a"]),
    ("an empty last line", own(rows=ROWS + "\n"), INSPECT, ["own: a"]),
    (
        "a text of 100,000 letters without a blank line",
        config("text.txt", "one two three four five " * 5000),
        "inspect corpus=text corpus.path=text.txt",
        ["one two three four five one"],
    ),
    ("a byte-order mark", own(rows=b"\xef\xbb\xbf" + ROWS.encode()), INSPECT, ["own: a"]),
    (
        "a line separator in a cell",
        own(rows=ROWS.replace("a\tb", "a\u2028z\tb")),
        INSPECT,
        ["own: a"],
    ),
    (
        "whole and broken numbers",
        own(file="rows.jsonl", rows='{"text": "a", "label": 5}\n{"text": "b", "label": 5.5}\n' * 2),
        "inspect suite=own -n 4",
        ["targets  5\n"],
    ),
    ("bytes of a text", parquet([b"bad", b"good"] * 2), INSPECT, ["targets  bad"]),
    (
        "another project's conf/config.yaml",
        config("conf/config.yaml", "defaults: [model, _self_]\nlr: 1\n"),
        "inspect objective=prefix_lm",
        ["inputs"],
    ),
]


@pytest.mark.parametrize(
    ("make", "words", "shown"), [row[1:] for row in WHOLE], ids=[name for name, *_ in WHOLE]
)
def test_an_odd_input_is_taken_as_it_is(
    make: Callable[[], None], words: str, shown: list[str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make()
    ended, printed = main(words.split()), capsys.readouterr()
    assert ended == 0, printed.err
    assert all(text in printed.out for text in shown), printed.out


def test_a_port_in_use_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        line = complaint(["report", "baseline", "--serve", "--port", port], 2, capsys)
    assert f"--port {port}: Address already in use" in line


# --- spoilt records: all are named, the others are shown


def fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def changed(**values: Any) -> Spoil:
    def change(path: Path) -> None:
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    return change


def without(key: str) -> Spoil:
    def change(path: Path) -> None:
        record = json.loads(path.read_text())
        del record[key]
        path.write_text(json.dumps(record))

    return change


def holding(content: str | bytes) -> Spoil:
    return lambda path: path.write_bytes(content.encode() if isinstance(content, str) else content)


SPOILT: list[tuple[Spoil, str]] = [
    (holding(""), "not JSON"),
    (holding("{}"), "an empty object"),
    (holding("[1]"), "not a record"),
    (holding(b"\xff"), "not UTF-8"),
    (holding("[" * 100_000), "nested too deeply"),
    (without("score"), "score is missing"),
    (without("machine"), "machine is missing"),
    (changed(score=10**400), "score=1000"),
    (changed(score=float("inf")), "score=inf"),
    (changed(score=True), "score=True"),
    (changed(tasks={"questions": 3}), "tasks="),
    (changed(samples={"questions": [{"input": "a"}]}), "samples="),
    (changed(identity="evaluate/other-1"), "identity='evaluate/other-1'"),
    (fifo, "not a file"),
]
STUDY = ["objectives", "finetuning", "suite.use=[questions]"]
CURVES: list[tuple[Spoil, str]] = [
    (holding("step\n1\n"), "not the metrics of a training"),
    (holding("step,loss\n1,nan\n2,x\n"), "not the metrics of a training"),
    (holding(b"\xff\n"), "not the metrics of a training"),
    (fifo, "not a file"),
]


@pytest.fixture
def spoilt(folder: Path) -> dict[str, str]:
    """Kept records of two tables, some of them spoilt each in its way: file -> what is wrong with it."""
    grids = [expand(name, STUDY[2:]) for name in STUDY[:2]]
    stages = {stage.identity: stage for grid in grids for stage in grid.stages}
    for identity in stages:
        for ending in (".json", ".csv"):
            if (RECORDS / f"{identity}{ending}").is_file():
                Path("results/records", identity).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(RECORDS / f"{identity}{ending}", f"results/records/{identity}{ending}")
    wrong = {}
    for files, ways in (("evaluate/*.json", SPOILT), ("pretrain/*.csv", CURVES)):
        for path, (spoil, fault) in zip(sorted(Path("results/records").glob(files)), ways, strict=False):
            spoil(path)
            wrong[str(path)] = fault
    assert len(wrong) == len(SPOILT) + len(CURVES)
    return wrong


@pytest.mark.parametrize("command", ["table", "report", "status"])
def test_spoilt_records_are_named_and_the_others_are_shown(
    command: str, spoilt: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, *STUDY]) == 0
    shown = capsys.readouterr()
    for path, fault in spoilt.items():
        (line,) = {line for line in shown.err.splitlines() if path in line}
        assert fault in line and line.startswith("t5grid: set aside: "), line
    if command == "table":
        assert (
            "record set aside: score is missing" in shown.out and "| ★ Replace corrupted spans |" in shown.out
        )
        assert len([line for line in shown.out.splitlines() if "**" in line]) > 0


def test_findings_set_spoilt_records_aside(
    spoilt: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["findings", *STUDY[2:]]) == 0
    shown = capsys.readouterr()
    assert all(path in shown.err for path in spoilt) and "## The paper's claims" in shown.out


def test_a_merge_takes_the_sound_records_and_names_the_spoilt_ones(
    spoilt: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    number = sum(1 for _ in Path("results/records").glob("*/*.json")) - len(SPOILT)
    Path("results").rename("other")
    assert main(["records", "merge", "other/records"]) == 1
    shown = capsys.readouterr()
    assert shown.out.splitlines()[-1] == f"{number} taken, {len(SPOILT)} refused"
    assert all(
        f"refused: evaluate/{Path(path).stem}" in shown.out for path in spoilt if path.endswith(".json")
    )


# --- a trained model: its folder is spoilt, and `predict` says how

WORDS = [
    *("strategy=no_pretraining", "size=nano", "budget=smoke", "suite.use=[questions]"),
    *("vocabulary=given", "vocabulary.path=v.model"),
]


@pytest.fixture(scope="module")
def fine_tuned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a fine-tuning that has two checkpoints, and the evaluation that reports the first."""
    folder = tmp_path_factory.mktemp("fine_tuned")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        put("v.model", small_vocabulary(40))
        cell = load_cell(WORDS)
        stages, store = with_parents(cell.strategy.stages(cell).values()), Store("runs")
        stage_file.write(stages, store.folder)
        of_kind = {stage.kind: stage for stage in stages}
        put(f"runs/{of_kind['vocabulary'].identity}/vocabulary.model", small_vocabulary(40))
        model, _ = build_model(of_kind["finetune"].config, 140)
        for step in (2, 4):
            checkpoints.save(store.folder(of_kind["finetune"]) / "checkpoints", step, model, None)
        for stage in stages:
            store.finish(stage, EVALUATED if stage.kind == "evaluate" else {})
    return folder


EVALUATED = {
    **{"score": 1.0, "step": 2, "tasks": {"questions": {"step": 2, "word_f1": 1.0}}},
    **{"machine": "abacus", "python": "3.11", "versions": {"torch": "2"}},
}


def of(kind: str) -> Path:
    return next(Path("runs", kind).iterdir())


def in_checkpoints(change: Callable[[Path], Any], step: str = "") -> None:
    for path in list(of("finetune").glob(f"checkpoints/step-*{step}-*")):
        change(path)


def not_a_number(path: Path) -> None:
    tensors = {name: torch.full_like(tensor, torch.nan) for name, tensor in load_file(path).items()}
    save_file(tensors, "nan.safetensors")
    content = Path("nan.safetensors").read_bytes()
    path.unlink()
    (path.parent / f"{path.name[:13]}-{checkpoints._digest(content)}.safetensors").write_bytes(content)


def in_config(kind: str, old: str, new: str) -> None:
    path = of(kind) / "config.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def in_circle() -> None:
    name = f"finetune/{of('finetune').name}"
    in_config("vocabulary", "parents: []", f"parents:\n- {name}")


PREDICT: list[tuple[str, Callable[[], Any], list[str]]] = [
    ("no checkpoint", lambda: shutil.rmtree(of("finetune") / "checkpoints"), ["no sound checkpoint"]),
    ("cut checkpoints", lambda: in_checkpoints(lambda path: os.truncate(path, 99)), ["no sound checkpoint"]),
    (
        "the reported one is cut",
        lambda: in_checkpoints(lambda path: os.truncate(path, 99), "2"),
        ["no sound checkpoint of step 2", "there are 4"],
    ),
    ("weights that are NaN", lambda: in_checkpoints(not_a_number), ["step-00000002", "NaN"]),
    ("no record", lambda: (of("finetune") / "record.json").unlink(), ["finetune/", "missing"]),
    ("no vocabulary", lambda: (of("vocabulary") / "vocabulary.model").unlink(), ["vocabulary.model"]),
    (
        "an empty vocabulary",
        lambda: os.truncate(of("vocabulary") / "vocabulary.model", 0),
        ["vocabulary.model"],
    ),
    ("no config", lambda: (of("finetune") / "config.yaml").unlink(), ["finetune/"]),
    (
        "an empty config",
        lambda: os.truncate(of("finetune") / "config.yaml", 0),
        ["config.yaml", "are needed"],
    ),
    ("a config that waits", lambda: fifo(of("vocabulary") / "config.yaml"), ["config.yaml", "not a file"]),
    ("an unknown kind", lambda: in_config("finetune", "kind: finetune", "kind: x"), ["kind=x", "finetune"]),
    (
        "another identity",
        lambda: in_config("finetune", "seed: 0", "seed: 1"),
        ["config.yaml", "another version"],
    ),
    ("parents in a circle", in_circle, ["config.yaml", "parents", "stands on this stage"]),
    (
        "the wrong vocabulary",
        lambda: put(f"runs/vocabulary/{of('vocabulary').name}/vocabulary.model", small_vocabulary(200)),
        ["tensor embedding.weight"],
    ),
]


@pytest.mark.parametrize(("spoil", "named"), [row[1:] for row in PREDICT], ids=[name for name, *_ in PREDICT])
def test_a_spoilt_model_answers_in_one_line(
    spoil: Callable[[], Any],
    named: list[str],
    fine_tuned: Path,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(fine_tuned, folder, dirs_exist_ok=True)
    put("in.txt", "a line\n")
    name = of("finetune").name
    spoil()
    ended = main(["predict", f"finetune/{name}", "--raw", "--input", "in.txt"])
    *before, line = capsys.readouterr().err.splitlines()
    assert ended == 2 and all(text in line for text in named), line
    assert all(", step " in told for told in before)


def test_a_spoilt_evaluation_of_another_stops_nobody(
    fine_tuned: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(fine_tuned, folder, dirs_exist_ok=True)
    put("runs/evaluate/other-1/config.yaml", "a: [\n")
    put("in.txt", "a line\n")
    assert main(["predict", f"finetune/{of('finetune').name}", "--raw", "--input", "in.txt"]) == 0
    shown = capsys.readouterr()
    assert "set aside: " in shown.err and "other-1/config.yaml" in shown.err and shown.out.count("\n") == 1


# --- a Hugging Face folder


def their(num_rows: int = 140, vocabulary: bytes | None = None) -> Callable[[], None]:
    def make() -> None:
        size = Size(32, 64, 8, 4, 2)
        write_checkpoint(EncoderDecoderModel(size, 140, num_rows=num_rows), size, vocabulary, Path("theirs"))

    return make


def told(**changes: Any) -> Callable[[], None]:
    def make() -> None:
        their()()
        path = Path("theirs/config.json")
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return make


IMPORT: list[tuple[str, Callable[[], None], int, list[str]]] = [
    ("any number of rows", their(), 0, ["has no spiece.model", "vocabulary.path=FILE.model"]),
    (
        "its own vocabulary",
        their(vocabulary=small_vocabulary(40)),
        0,
        ["vocabulary.path=DIR/vocabulary.model"],
    ),
    ("a larger vocabulary", their(vocabulary=small_vocabulary(60)), 2, ["160 ids", "140 rows"]),
    ("a bad tie", told(tie_word_embeddings="no"), 2, ["config.json", "tie_word_embeddings=no"]),
    ("a bad factor", told(scale_decoder_outputs=None), 2, ["config.json", "scale_decoder_outputs=None"]),
    ("another model", told(model_type="bart"), 2, ["config.json", "model_type=bart"]),
    ("other rows", told(vocab_size=139), 2, ["shared.weight", "(140, 32)", "(139, 32)"]),
    ("endless blocks", told(num_layers=10**9), 2, ["encoder.block.999999999"]),
]


@pytest.mark.parametrize(
    ("make", "code", "named"), [row[1:] for row in IMPORT], ids=[name for name, *_ in IMPORT]
)
def test_a_hugging_face_folder_is_taken_or_refused_in_one_line(
    make: Callable[[], None], code: int, named: list[str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make()
    ended, shown = main(["import", "theirs", "DIR"]), capsys.readouterr()
    assert ended == code and all(text in shown.out + shown.err for text in named), shown
    assert shown.err.count("\n") == (code == 2) and Path("DIR").exists() == (code == 0)


def test_every_stage_of_the_store_that_is_spoilt_is_one(fine_tuned: Path) -> None:
    """What the rows above spoil is a model that answers."""
    assert isinstance(stage_file.read(next((fine_tuned / "runs/finetune").iterdir())), Stage)
