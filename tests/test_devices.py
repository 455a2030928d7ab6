"""A device that is not here is refused before anything is read or run."""

from dataclasses import replace
from pathlib import Path

import pytest
from toy_stages import RUNTIME

from t5grid.cli import main
from t5grid.config.schema import load_cell
from t5grid.execution import devices
from t5grid.refused import Refused


@pytest.mark.parametrize(
    ("accelerator", "asked", "here", "told"),
    [
        ("gpu", 1, 0, "runtime.accelerator=gpu: torch sees none on this machine; write runtime=cpu"),
        ("mps", 1, 0, "runtime.accelerator=mps: torch sees none"),
        ("cuda", 4, 1, "runtime.num_devices=4: torch sees 1 on this machine"),
        ("cuda", 1, 1, ""),
        ("cpu", 4, 0, ""),
        ("auto", 4, 0, ""),
    ],
)
def test_fewer_devices_than_asked_for_are_refused(
    accelerator: str, asked: int, here: int, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "num_here", lambda _: here)
    runtime = replace(RUNTIME, accelerator=accelerator, num_devices=asked)
    try:
        devices.refuse_absent(runtime)
        said = ""
    except Refused as error:
        said = str(error)
    assert said.startswith(told) and bool(said) == bool(told)


@pytest.mark.parametrize("command", ["run", "sweep baseline"])
def test_a_command_is_refused_before_anything_is_written(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(devices, "num_here", lambda _: 0)
    words = [*command.split(), "runtime=gpu", "budget=smoke", "suite.use=[questions]"]
    assert main(words) == 2
    said = capsys.readouterr()
    assert "runtime.accelerator=gpu: torch sees none" in said.err and said.err.count("\n") == 1
    assert not said.out and list(tmp_path.iterdir()) == []


def test_where_jobs_run_elsewhere_no_device_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "num_here", lambda _: 0)
    cell = load_cell(["executor=slurm", "runtime=gpu"])
    devices.check_machine(cell.executor, cell.runtime)
