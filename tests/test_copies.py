"""What cells read from the hub is fetched into a folder of copies, checked byte for byte, once."""

from pathlib import Path

import pytest
from loopback_hub import serving
from test_hub import loading, repository

from t5grid.cli import main
from t5grid.config.schema import load_cell
from t5grid.data import copies
from t5grid.data.copies import HubFile, Wanted
from t5grid.tasks.glue import COMMIT
from t5grid.tasks.hub import Source

FETCH = """
import sys
from pathlib import Path
from t5grid.data import copies
from t5grid.data.copies import Wanted
from t5grid.tasks.hub import Source
splits = [Wanted(Source("nyu-mll/glue", "rte", None, {revision!r}), split) for split in {splits!r}]
try:
    files = copies.files_of(splits)
    print([file.path for file in files])
    print(copies.fetch(files, Path({folder!r})))
except ValueError as error:
    print(error)
"""
SPLITS = ("train", "validation")
NAMES = ["README.md", "rte/train-00000-of-00001.parquet", "rte/validation-00000-of-00001.parquet"]


def fetching(tmp_path: Path, address: str, splits: tuple[str, ...] = SPLITS) -> list[str]:
    code = FETCH.format(revision=COMMIT, splits=splits, folder=str(tmp_path / "copies"))
    done = loading(tmp_path / "cache", code, HF_ENDPOINT=address)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.slow
def test_files_are_fetched_at_the_commit_once_and_what_is_spoilt_again(tmp_path: Path) -> None:
    root = repository(tmp_path / "served", splits=(*SPLITS, "test"))
    with serving(root, COMMIT) as (address, asked):
        assert fetching(tmp_path, address) == [str(NAMES), "3"]
        assert all(f"/resolve/{COMMIT}/" in path for path in asked if path.startswith("/datasets/"))
        assert fetching(tmp_path, address) == [str(NAMES), "0"]
        spoilt = tmp_path / "copies/nyu-mll/glue" / NAMES[1]
        spoilt.write_bytes(spoilt.read_bytes()[:-1] + b"?")
        assert fetching(tmp_path, address) == [str(NAMES), "1"]
    for name in NAMES:
        assert (tmp_path / "copies/nyu-mll/glue" / name).read_bytes() == (
            root / "nyu-mll/glue" / name
        ).read_bytes()
    assert Source("nyu-mll/glue", "rte", str(tmp_path / "copies")).table("train").num_rows == 2
    assert not Source("nyu-mll/glue", "rte", str(tmp_path / "copies")).has("test")


@pytest.mark.slow
def test_bytes_that_are_not_the_hubs_and_splits_it_lacks_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = repository(tmp_path / "served")
    with serving(root, COMMIT) as (address, _):
        (lacking,) = fetching(tmp_path, address, ("dev",))
        assert lacking == "data set nyu-mll/glue (rte, dev): no such split, it has train, validation"
        monkeypatch.setattr("loopback_hub._content", lambda path: {"size": 3, "blobId": "0" * 40})
        _, wrong = fetching(tmp_path, address)
    assert wrong == (
        f"{tmp_path}/copies/nyu-mll/glue/README.md: its bytes are not those of nyu-mll/glue at {COMMIT}"
    )


def test_a_cell_wants_the_splits_of_its_tasks_and_its_corpora_each_once() -> None:
    cell = load_cell(["suite=t5", "suite.use=[squad]", "corpus=wikipedia_books", "vocabulary=t5_trained"])
    task = cell.suite.columns["squad"].tasks["squad"]
    found = copies.wanted([cell, cell])
    assert found[:2] == [Wanted(task.source, split.name) for split in task.needed_splits]
    assert len(found) == len(set(found))
    assert Wanted(Source("rojagtap/bookcorpus", "default"), "train") in found
    assert "allenai/c4" in {place[0] for place in (wanted.place for wanted in found)}


def test_what_is_read_from_a_folder_or_a_file_is_not_wanted(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"text": "a", "label": true}\n' * 20)
    own = f"suite.columns.hyperpartisan.tasks.hyperpartisan.train={tmp_path}/rows.jsonl"
    for words in (["suite=t5", f"suite.root={tmp_path}"], ["suite=hyperpartisan", own]):
        assert copies.wanted([load_cell(words)]) == []
    assert copies.wanted([load_cell(["corpus=c4", f"corpus.root={tmp_path}", "vocabulary=characters"])]) == []


def test_a_data_set_says_itself_which_files_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stage", "suite=hyperpartisan", "--list"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    names = [f"data/{kind}-training-byarticle-20181122.zip" for kind in ("articles", "ground-truth")]
    assert " ".join(f"--include {name}" for name in ["README.md", *names]) in line


def test_the_list_is_one_command_a_repository(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stage", "suite=t5", "suite.use=[squad]", "--list", "--to", "/data/a b"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("hf download rajpurkar/squad --repo-type dataset --revision ")
    assert line.endswith(
        " --include README.md --include 'plain_text/*train*' --include 'plain_text/*validation*'"
        " --local-dir '/data/a b/rajpurkar/squad'"
    )
    assert main(["stage", "suite=nano", "--list"]) == 0 and capsys.readouterr().out == ""
    assert main(["stage", "suite=t5"]) == 2
    assert "--to DIR fetches, --list prints" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("large", "digest"),
    [(True, "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"),
     (False, "b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0")],
)  # fmt: skip
def test_a_file_is_known_by_the_hash_of_its_kind(tmp_path: Path, large: bool, digest: str) -> None:
    file = HubFile("a/b", COMMIT, "c.txt", 5, digest, large)
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/c.txt").write_text("hello")
    assert file.is_in(tmp_path)
    (tmp_path / "a/b/c.txt").write_text("hallo")
    assert not file.is_in(tmp_path)
