"""The GPU benchmark without a GPU: every path at tiny size, its clock, its errors, the largest batch."""

import importlib.util
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from t5grid.model import costs
from t5grid.model.architectures import EncoderDecoder


def load() -> ModuleType:
    path = Path(__file__).resolve().parents[1] / "benchmarks" / "gpu.py"
    spec = importlib.util.spec_from_file_location("benchmarks_gpu", path)
    assert spec is not None and spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


gpu = load()
ALL = {measurement.name: measurement for measurement in gpu.measurements()}


@pytest.mark.slow
def test_what_fits_into_a_minute_is_measured_and_the_rest_is_named(tmp_path: Path) -> None:
    """As a process of its own: the suite's checks of array shapes would break what is compiled."""
    output = tmp_path / "gpu.json"
    command = [sys.executable, "-W", "ignore", gpu.__file__, "--device=cpu", "--tiny", "--minutes=1"]
    done = subprocess.run([*command, f"--output={output}"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    report = json.loads(output.read_text())
    assert {*report["skipped"], *report["results"]} == ALL.keys() and "base, eager" in report["results"]
    for name, found in report["results"].items():
        assert "error" not in found and all(value > 0 for value in found.values()), (name, found)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("other", ["flex_score_mod", "flex_table"])
@pytest.mark.slow
def test_attentions_are_the_same_attention(other: str) -> None:
    torch.manual_seed(0)
    given = [torch.randn(2, 2, 32, 16) for _ in range(3)]
    torch.manual_seed(1)
    ours = gpu.attentions(gpu.TINY)["sdpa_bias"](*given)
    torch.manual_seed(1)
    with torch.no_grad():
        theirs = gpu.attentions(gpu.TINY)[other](*given)
    torch.testing.assert_close(theirs, ours, rtol=1e-4, atol=1e-4)


def test_one_that_fails_is_recorded_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu, "free", lambda setting: None)

    def fail(setting: Any) -> dict[str, float]:
        raise RuntimeError("no\nkernel")

    wanted = [gpu.Measurement("bad", 1, fail), gpu.Measurement("good", 1, lambda setting: {"seconds": 2.0})]
    gpu.go_through(wanted, gpu.TINY, 1, tmp_path / "gpu.json", lambda: 0.0)
    report = json.loads((tmp_path / "gpu.json").read_text())
    assert report["results"] == {"bad": {"error": "RuntimeError: no kernel"}, "good": {"seconds": 2.0}}
    assert report["skipped"] == []


def test_what_does_not_fit_the_time_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "free", lambda setting: None)
    wanted = [gpu.Measurement(name, need, lambda setting: {}) for name, need in (("a", 50), ("b", 90))]
    report = gpu.go_through(wanted, gpu.TINY, 1, tmp_path / "gpu.json", lambda: 0.0)
    assert list(report["results"]) == ["a"] and report["skipped"] == ["b"]


@pytest.mark.parametrize(("room", "largest"), [(3, 2), (16, 16), (70, 64), (9999, 256)])
def test_the_largest_batch_is_found_by_halves_and_doubles(
    room: int, largest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu, "free", lambda setting: None)

    def step(size: Any, rows: int, compiled: bool, setting: Any) -> float:
        if rows > room:
            raise torch.OutOfMemoryError
        return 0.5

    setting = replace(gpu.TINY, rows=8, most_rows=256)
    assert gpu.at_most_rows(step, "base", False, setting)["rows"] == largest


def test_figures_are_the_products_of_the_architecture() -> None:
    setting = replace(gpu.TINY, peak=2e-3)
    size = setting.size("base")
    found = gpu.figures(size, 2, 0.25, setting)
    flops = costs.step(EncoderDecoder().products(size, 128, 2, 32, 16)).total
    assert found["tokens_per_second"] == 2 * 48 / 0.25
    assert found["mfu"] == pytest.approx(flops / 0.25 / 2e9)


def test_peaks_go_by_the_name_of_the_card() -> None:
    cards = ("NVIDIA A100-SXM4-80GB", "NVIDIA A10", "NVIDIA GeForce RTX 4090", "Abacus")
    assert [gpu.peak_of(card) for card in cards] == [312, 125, 165, None]
