"""An experiment of the package with some of its rows, a tiny model and little text, to be swept in a test."""

from pathlib import Path

import yaml
from speck import SIZE

from t5grid.config.compose import data_folder

SMALL = [
    "budget=smoke",
    "size=speck",
    "budget.num_documents=400",
    "vocabulary.num_pieces=300",
    "vocabulary.num_documents=400",
    "budget.pretrain.inputs_length=32",
    "budget.pretrain.num_rows=2",
    "budget.finetune.num_tokens=128",
    "executor.num_workers=1",
]


def write_rows(folder: Path, experiment: str, *rows: str) -> None:
    """Put the experiment `some`, with these rows of another one, and the size that it takes into a folder."""
    whole = yaml.safe_load((data_folder("experiments") / f"{experiment}.yaml").read_text())
    kept = {key: row for key, row in whole["rows"].items() if key in rows or row.get("starred")}
    (folder / "conf/size").mkdir(parents=True)
    (folder / "conf/size/speck.yaml").write_text(SIZE)
    (folder / "experiments").mkdir()
    (folder / "experiments/some.yaml").write_text(
        yaml.safe_dump(whole | {"command": "t5grid sweep some", "rows": kept}, sort_keys=False)
    )
