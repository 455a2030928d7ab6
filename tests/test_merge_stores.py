"""What another machine did, brought in."""

import json
from pathlib import Path
from typing import Any

import pytest
from toy_stages import Toy, make

from t5grid.cli import main
from t5grid.execution.merge_stores import merge_store
from t5grid.execution.store import Store
from t5grid.files import write_whole


@pytest.fixture
def here(tmp_path: Path) -> Store:
    return Store(tmp_path / "here")


@pytest.fixture
def there(tmp_path: Path) -> Store:
    return Store(tmp_path / "there")


def done(store: Store, name: str, folder: Path, **result: Any) -> Toy:
    """A finished stage with a checkpoint."""
    stage = make(Toy, name, folder / "diary")
    with store.lock(stage):
        store.begin(stage)
        write_whole(store.folder(stage) / "checkpoints" / "step-1.safetensors", f"weights of {name}")
        store.finish(stage, {"score": 1.5, "machine": "theirs", "wall_seconds": 3.0, **result})
    return stage


def words(store: Store, other: Store | Path, records: Path) -> dict[str, tuple[str, str]]:
    place = other.root if isinstance(other, Store) else other
    return {each.identity: (each.word, each.detail) for each in merge_store(place, store, records)}


def files(store: Store) -> dict[str, bytes]:
    return {str(p.relative_to(store.root)): p.read_bytes() for p in store.root.rglob("*") if p.is_file()}


def test_finished_stages_come_with_their_files_and_unfinished_ones_stay(
    here: Store, there: Store, tmp_path: Path
) -> None:
    stage = done(there, "new", tmp_path)
    there.begin(make(Toy, "half", tmp_path / "diary"))
    write_whole(there.folder(stage) / "lock.1", "")
    write_whole(there.folder(stage) / "status.json", "{}")
    write_whole(here.folder(stage) / "checkpoints" / "step-9.safetensors", "of a run that was killed here")
    here.fail(stage, "no", "Traceback")
    assert words(here, there, tmp_path / "records") == {stage.identity: ("taken", "")}
    left = {"checkpoints/step-1.safetensors", "config.yaml", "record.json"}
    assert set(files(here)) == {f"{stage.identity}/{name}" for name in left}
    assert here.state(stage) == "done" and here.record(stage) == there.record(stage)
    assert words(here, there, tmp_path / "records") == {stage.identity: ("same", "")}


def test_other_scores_are_shown_and_never_overwritten(here: Store, there: Store, tmp_path: Path) -> None:
    stage = done(here, "a", tmp_path, machine="ours", wall_seconds=9.0)
    done(there, "a", tmp_path, score=2.5, tasks={"x": 1})
    agreed = done(here, "b", tmp_path, machine="ours")
    done(there, "b", tmp_path, resamples=[1.0, 2.0])  # which older records do not have
    before = files(here)
    assert words(here, there, tmp_path / "records") == {
        stage.identity: ("conflict", 'score: 1.5 here, 2.5 there; tasks: null here, {"x": 1} there'),
        agreed.identity: ("same", ""),
    }
    assert files(here) == before


def test_kept_records_join_the_kept_ones_and_are_compared_with_the_stores(
    here: Store, there: Store, tmp_path: Path
) -> None:
    kept, records = tmp_path / "kept", tmp_path / "records"
    new, old = done(there, "new", tmp_path), done(here, "old", tmp_path)
    for stage, score in ((new, 1.5), (old, 7.0)):
        text = json.dumps({**stage.describe(), "score": score})
        write_whole(kept / f"{stage.identity}.json", text)
    write_whole(kept / f"{new.identity}.csv", "step,loss")
    found = words(here, kept, records)
    assert found[new.identity] == ("taken", "") and found[old.identity][0] == "conflict"
    assert sorted(p.name for p in records.rglob("*.*")) == [
        f"{Path(new.identity).name}.{e}" for e in ("csv", "json")
    ]
    assert words(here, kept, records)[new.identity] == ("same", "")


def test_a_stage_that_runs_here_is_left_alone(here: Store, there: Store, tmp_path: Path) -> None:
    stage = done(there, "new", tmp_path)
    with here.lock(stage):
        assert words(here, there, tmp_path / "records") == {stage.identity: ("held", "it runs here")}
    assert here.record(stage) is None


def test_records_that_are_not_what_they_say_are_refused(here: Store, there: Store, tmp_path: Path) -> None:
    """A changed content, a name of another stage, a place outside, a link, something else altogether."""
    stage = done(there, "new", tmp_path)
    record = there.record(stage)
    assert record is not None
    path = there.folder(stage) / "record.json"
    for change in (
        {"content": {}},
        {"version": 2},
        {"identity": "../../x"},
        {"kind": "other"},
        {"parents": None},
    ):
        write_whole(path, json.dumps({**record, **change}))
        assert words(here, there, tmp_path / "records")[stage.identity][0] == "refused"
    for text in ("{", "[]", "{}", b"\xff"):
        write_whole(path, text)
        assert words(here, there, tmp_path / "records")[stage.identity] == ("refused", "not a record")
    write_whole(tmp_path / "secret", json.dumps(record))
    path.unlink()
    path.symlink_to(tmp_path / "secret")
    assert words(here, there, tmp_path / "records")[stage.identity] == ("refused", "not a record")
    path.unlink()
    write_whole(path, json.dumps(record))
    path.parents[1].rename(tmp_path / "elsewhere")
    path.parents[1].symlink_to(tmp_path / "elsewhere")
    assert words(here, there, tmp_path / "records")[stage.identity] == ("refused", "not a record")
    assert not here.root.exists() or files(here) == {}


def test_the_command_counts_and_fails_on_a_conflict(
    tmp_path: Path, there: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    stage = done(there, "new", tmp_path)
    assert main(["records", "merge", "there"]) == 0
    assert capsys.readouterr().out == "1 taken\n"
    there.finish(stage, {"score": 9.0, "machine": "theirs"})
    assert main(["records", "merge", "there", "runtime.runs_dir=runs"]) == 1
    assert capsys.readouterr().out == (
        f"conflict: {stage.identity}: score: 1.5 here, 9.0 there\n0 taken, 1 conflict\n"
    )
    assert main(["records", "merge", "nowhere"]) == 2
    assert capsys.readouterr().err.startswith("t5grid: nowhere: no records; ")
