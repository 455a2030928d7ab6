"""Sweeps killed at random moments, and on a disk that is full: what is left, and where they end."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import kills
import pytest

SIZE = """
_target_: t5grid.model.architectures.Size
d_model: 16
d_ff: 32
d_kv: 8
num_heads: 2
num_layers: 1
num_decoder_layers: null
feed_forward: relu
tied: true
dropout: 0.1
"""
EXPERIMENT = """
title: Two
reproduces: nothing
cost: two pre-trainings
command: t5grid sweep two
first_column: Row
rows:
  one: {title: One, overrides: [], starred: true, paper: null}
  two: {title: Two, overrides: [objective=deshuffling], paper: null}
"""
WORDS = [
    "budget=smoke",
    "size=speck",
    "suite.use=[questions,to_norvin]",
    "budget.num_documents=300",
    "vocabulary.num_pieces=300",
    "budget.pretrain.inputs_length=32",
    "budget.pretrain.num_rows=2",
    "budget.pretrain.num_steps=60",
    "budget.pretrain.checkpoint_every=4",
    "budget.finetune.num_steps=8",
    "budget.finetune.checkpoint_every=2",
    "budget.finetune.num_tokens=128",
    "executor.num_workers=2",
]
CLOCKS = ("seconds", "wall_seconds", "resumed_at", "runtime")
"""What of a record says how long it took and in which folder it was made."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in (("conf/size/speck.yaml", SIZE), ("experiments/two.yaml", EXPERIMENT)):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def made(folder: Path) -> dict[str, Any]:
    """All that stages leave: records without clocks, curves, checkpoints by a digest of their bytes."""
    found: dict[str, Any] = {}
    for path in (folder / "runs").glob("*/*/*"):
        name = str(path.relative_to(folder / "runs"))
        if path.name == "record.json":
            record = json.loads(path.read_text())
            found[name] = {key: value for key, value in record.items() if key not in CLOCKS}
        elif path.name == "metrics.csv":
            found[name] = path.read_text()
        elif path.name == "checkpoints":
            found[name] = sorted(each.name for each in path.iterdir())
    return found


@pytest.mark.slow
def test_sweeps_killed_at_twenty_random_moments_end_bit_for_bit_where_the_unbroken_one_does(
    folder: Path,
) -> None:
    """Workers, commands and all processes together, some of them in the middle of writing a file."""
    command = [sys.executable, kills.__file__, str(folder), "5", "20", "sweep", "two", *WORDS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    victims = json.loads(done.stdout)["kills"]
    assert Counter(who for who, *_ in victims) == dict.fromkeys(kills.WHO, 4)
    moments = {num_done for _, _, num_done in victims}
    assert len(moments) > 3 and max(moments) > 6  # of 12 stages: in the midst of training and scoring too
    expected = made(folder / "whole")
    assert sum(name.endswith("record.json") for name in expected) == 12
    for name in {sweep for _, sweep, _ in victims}:
        assert made(folder / name) == expected
        left = [path.name for path in (folder / name / "runs").rglob("*")]
        assert not [each for each in left if each.startswith(("lock", "."))]
