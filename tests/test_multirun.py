"""Multiruns under each of Hydra's launchers: they share identity, locks and store with everything else."""

import shutil
import subprocess
from pathlib import Path

import pytest
from test_sweep import SMALL, records, run, times

pytestmark = pytest.mark.slow
CELL = [*SMALL[:5], "budget.finetune.num_tokens=128", "strategy=no_pretraining", "executor.num_workers=1"]
SUBMITIT = ("timeout_min=10", "cpus_per_task=1", "mem_gb=2")
LAUNCHERS = {"basic": (), "joblib": ("n_jobs=2",), "submitit_local": SUBMITIT, "submitit_slurm": SUBMITIT}


def has_slurm() -> bool:
    return bool(shutil.which("sinfo")) and subprocess.run(["sinfo"], capture_output=True).returncode == 0


def test_what_one_launcher_did_the_next_does_not_do_again(tmp_path: Path) -> None:
    """Cells of seeds 0 and 1, then 1 and 2, and so on: a vocabulary, and two new stages for each new seed."""
    for i, (launcher, settings) in enumerate(LAUNCHERS.items()):
        if launcher == "submitit_slurm" and not has_slurm():
            pytest.skip("no Slurm answers (.ci/run sets one up where it can); the other launchers work")
        words = [f"hydra/launcher={launcher}", *(f"hydra.launcher.{each}" for each in settings)]
        before = times(tmp_path)
        code, out, err = run(tmp_path, "run", "-m", *CELL, f"seed={i},{i + 1}", *words)
        assert code == 0, err
        done = records(tmp_path)
        assert len(done) == 5 + 2 * i, (launcher, out, err)
        after = times(tmp_path)
        assert {path: after[path] for path in before if path.endswith("record.json")} == {
            path: when for path, when in before.items() if path.endswith("record.json")
        }
