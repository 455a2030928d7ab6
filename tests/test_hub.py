"""The hub is read through its library at a fixed commit (of a loopback server); offline nothing hangs."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from loopback_hub import serving

from t5grid.tasks import hub
from t5grid.tasks.glue import COMMIT, RTE
from t5grid.tasks.hub import Source
from t5grid.tasks.wmt import EnDe

ROWS = {"sentence1": ["a", "b"], "sentence2": ["c", "d"], "label": [0, 1]}


def repository(
    root: Path, splits: tuple[str, ...] = ("train", "validation"), labels: tuple[int, ...] = (0, 1)
) -> Path:
    """A `nyu-mll/glue` with the configuration `rte`."""
    folder = root / "nyu-mll/glue"
    (folder / "rte").mkdir(parents=True, exist_ok=True)
    listed = "".join(f"  - split: {split}\n    path: rte/{split}-*\n" for split in splits)
    (folder / "README.md").write_text(
        f"---\nconfigs:\n- config_name: rte\n  data_files:\n{listed}---\n# rows\n"
    )
    for split in splits:
        pq.write_table(
            pa.table({**ROWS, "label": list(labels)}), folder / f"rte/{split}-00000-of-00001.parquet"
        )
    return root


def loading(cache: Path, code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Python in a fresh process, since the library reads its environment when it is imported."""
    plain = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "TRANSFORMERS_"))}
    places = {"HF_HOME": str(cache), "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**plain, **places, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


SHOW = """
import json
from t5grid.tasks.glue import RTE
task = RTE()
print(json.dumps([task.fingerprint(), [r["targets"] for r in task.records("train")]]))
"""


@pytest.mark.slow
def test_the_hub_is_read_at_the_pinned_commit_and_later_from_the_cache(tmp_path: Path) -> None:
    root = repository(tmp_path / "served")
    with serving(root, COMMIT) as (address, asked):
        first = loading(tmp_path / "cache", SHOW, HF_ENDPOINT=address)
        assert first.returncode == 0, first.stderr
        assert json.loads(first.stdout)[1] == ["entailment", "not_entailment"]
        files = [path for path in asked if path.endswith("train-00000-of-00001.parquet")]
        assert files and all(f"/resolve/{COMMIT}/rte/" in path for path in files)
    again = loading(tmp_path / "cache", SHOW, HF_ENDPOINT=address, HF_HUB_OFFLINE="1")
    assert again.returncode == 0, again.stderr
    assert again.stdout == first.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "fragment"),
    [
        ("RTE(revision='0' * 40)", "data set nyu-mll/glue (rte, train): "),
        (
            "RTE(repository='no/such')",
            "data set no/such (rte, train): Dataset 'no/such' doesn't exist on the Hub",
        ),
        ("CoLA()", "data set nyu-mll/glue (cola, train): BuilderConfig 'cola' not found. Available: ['rte']"),
    ],
)
def test_what_the_hub_lacks_is_one_line(tmp_path: Path, task: str, fragment: str) -> None:
    code = f"""
from t5grid.tasks.glue import RTE, CoLA
try:
    {task}.records("train")
except ValueError as error:
    print(error)
"""
    with serving(repository(tmp_path / "served"), COMMIT) as (address, _):
        said = loading(tmp_path / "cache", code, HF_ENDPOINT=address)
    assert said.stdout.startswith(fragment) and said.stdout.count("\n") == 1, said.stderr


@pytest.mark.slow
def test_a_split_that_is_neither_cached_nor_asked_for_says_how_to_get_it(tmp_path: Path) -> None:
    said = loading(tmp_path / "cache", SHOW, HF_HUB_OFFLINE="1")
    assert said.returncode == 1
    assert said.stderr.splitlines()[-1].startswith(
        "t5grid.refused.Refused: data set nyu-mll/glue (rte, train) is out of reach"
    )


def test_a_server_that_never_answers_is_given_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    for name in hub.OFFLINE_SWITCHES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(hub, "REACH_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        started = time.monotonic()
        with pytest.raises(
            ValueError, match=r"nyu-mll/glue \(rte, train\) is out of reach: run with network"
        ):
            RTE().records("train")
    assert time.monotonic() - started < 30


def test_data_at_a_commit_are_identified_without_being_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "reachable", lambda: pytest.fail("the hub was asked"))
    assert EnDe().source.revision == "b199e406369ec1b7634206d3ded5ba45de2fe696"
    prints = [RTE().fingerprint(), RTE(revision="0" * 40).fingerprint(), RTE(num_train=7).fingerprint()]
    assert len(set(prints)) == 3
    assert RTE(repository="mine/rte").source.revision is None


def test_a_branch_is_identified_by_its_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    tables = iter([ROWS, ROWS, {**ROWS, "label": [1, 1]}])
    monkeypatch.setattr(Source, "table", lambda *_: pa.table(next(tables)))
    one, same, other = (Source("a/b", "c", revision="main").content("train") for _ in range(3))
    assert one == same != other


def test_a_changed_file_of_a_folder_of_the_same_name_is_seen(tmp_path: Path) -> None:
    first = RTE(root=str(repository(tmp_path / "one/mirror")))
    second = RTE(root=str(repository(tmp_path / "two/mirror", labels=(1, 1))))
    assert [record["label"] for record in first.records("train")] == [0, 1]
    assert [record["label"] for record in second.records("train")] == [1, 1]
    assert first.fingerprint() != second.fingerprint()
    repository(tmp_path / "one/mirror", labels=(1, 1))
    assert [record["label"] for record in first.records("train")] == [1, 1]
    assert RTE(root=str(tmp_path / "one/mirror")).fingerprint() == second.fingerprint()


def test_a_copy_without_front_matter_is_read_by_the_names_of_its_files(tmp_path: Path) -> None:
    root = repository(tmp_path)
    (root / "nyu-mll/glue/README.md").unlink()
    assert len(RTE(root=str(root)).records("validation")) == 2


def test_a_byte_order_mark_does_not_hide_the_front_matter(tmp_path: Path) -> None:
    readme = repository(tmp_path, labels=(0, 1)) / "nyu-mll/glue/README.md"
    readme.write_text("\ufeff" + readme.read_text().replace("config_name: rte", "config_name: cola"))
    with pytest.raises(ValueError, match="no configuration 'rte'"):
        RTE(root=str(tmp_path)).records("train")


def test_text_stored_as_bytes_or_views_is_text(tmp_path: Path) -> None:
    place = repository(tmp_path) / "nyu-mll/glue/rte/train-00000-of-00001.parquet"
    views = {"sentence1": pa.array(["a", "b"], pa.string_view()), "sentence2": pa.array([b"c", b"d"])}
    pq.write_table(pa.table({**ROWS, **views}), place)
    inputs = [record["inputs"] for record in RTE(root=str(tmp_path), num_train=1).records("train")]
    assert inputs == ["rte sentence1: a sentence2: c"]


def test_a_broken_front_matter_is_named(tmp_path: Path) -> None:
    root = repository(tmp_path)
    (root / "nyu-mll/glue/README.md").write_text("---\nconfigs:\n- name: rte\n---\n")
    with pytest.raises(ValueError, match=r"README.md: its front matter is no list of configurations"):
        RTE(root=str(root)).records("train")


def test_files_of_several_parts_are_one_split(tmp_path: Path) -> None:
    root = repository(tmp_path)
    pq.write_table(pa.table(ROWS), root / "nyu-mll/glue/rte/train-00001-of-00002.parquet")
    task = RTE(root=str(root))
    assert len(task.records("train")) == task.source.rows("train") == 4
    assert [record["inputs"][-1] for record in task.records("train")[1:3]] == ["d", "c"]
    assert task.records("train")[-1]["targets"] == "not_entailment"
