"""Rows a second and core from raw rows to token ids, against `datasets.map` with a fast tokenizer.

    python benchmarks/formatting.py [MIRROR] [VOCABULARY]

MIRROR is a folder with copies of hub repositories (default ../shared/mirror), VOCABULARY a SentencePiece
model (default ../shared/sentencepiece/t5_spiece_32000.model). Both sides start from the same Arrow table in
memory, make the same texts of the same rows and the same ids of them; the other side, with transformers' T5
tokenizer, writes its inputs and targets in one `map`, once a row at a time and once in batches of 1,000 (the
faster one counts). A new cache folder for each turn keeps it from reading an earlier answer. Each side has
one core and takes its turns within one run; the ratio is of medians of processor seconds.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("RAYON_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import datasets
from transformers import T5Tokenizer

from t5grid.data.vocabulary import Vocabulary
from t5grid.tasks.glue import MNLI, SST2
from t5grid.tasks.labelled import Formatted, HubTask
from t5grid.tasks.squad import SQuAD
from t5grid.tasks.super_glue import BoolQ
from t5grid.tasks.wmt import EnDe

SHARED = Path(__file__).resolve().parent.parent.parent / "shared"
TURNS = 3
Ids = list[list[int]]


def ours(task: HubTask, table: Any, vocabulary: Vocabulary) -> tuple[Ids, Ids]:
    """The ids of all rows, without EOS."""
    records = list(Formatted(table, task.record))
    texts = ([record[side] for record in records] for side in ("inputs", "targets"))
    inputs, targets = (vocabulary.encode(side) for side in texts)
    return inputs, targets


def mapped(task: HubTask, table: Any, tokenizer: Any, batched: bool) -> tuple[Ids, Ids]:
    """The same through `datasets.map`, with EOS."""

    def one(row: dict[str, Any]) -> dict[str, Any]:
        record = task.record(row)
        return {
            "input_ids": tokenizer(record["inputs"], return_attention_mask=False)["input_ids"],
            "labels": tokenizer(record["targets"], return_attention_mask=False)["input_ids"],
        }

    def many(columns: dict[str, list[Any]]) -> dict[str, Any]:
        rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        records = [task.record(row) for row in rows]
        sides = {"input_ids": "inputs", "labels": "targets"}
        return {
            key: tokenizer([record[side] for record in records], return_attention_mask=False)["input_ids"]
            for key, side in sides.items()
        }

    rows = datasets.Dataset(table)
    with tempfile.TemporaryDirectory() as cache:
        made = rows.map(
            many if batched else one,
            batched=batched,
            remove_columns=rows.column_names,
            cache_file_name=f"{cache}/rows.arrow",
            new_fingerprint=f"turn{time.monotonic_ns()}",
        )
        return made["input_ids"][:], made["labels"][:]


def seconds(run: Callable[[], Any]) -> tuple[float, Any]:
    """Processor seconds of a call, and what it returned."""
    started = time.process_time()
    result = run()
    return time.process_time() - started, result


def compare(task: HubTask, table: Any, vocabulary: Vocabulary, tokenizer: Any) -> tuple[list[float], int]:
    """Rows a second of ours, of `map` by row and of `map` in batches, and the rows whose ids are equal."""
    sides: dict[str, Callable[[], tuple[Ids, Ids]]] = {
        "ours": lambda: ours(task, table, vocabulary),
        "rows": lambda: mapped(task, table, tokenizer, batched=False),
        "batches": lambda: mapped(task, table, tokenizer, batched=True),
    }
    times: dict[str, list[float]] = {name: [] for name in sides}
    found: dict[str, tuple[Ids, Ids]] = {}
    for _ in range(TURNS):
        for name, side in sides.items():
            took, found[name] = seconds(side)
            times[name].append(took)
    pairs = zip(zip(*found["ours"], strict=True), zip(*found["batches"], strict=True), strict=True)
    equal = sum(all([*a, 1] == list(b) for a, b in zip(mine, theirs, strict=True)) for mine, theirs in pairs)
    return [table.num_rows / statistics.median(times[name]) for name in sides], equal


def main() -> None:
    mirror, model = [*sys.argv[1:], None, None][:2]
    mirror = mirror or str(SHARED / "mirror")
    model = model or str(SHARED / "sentencepiece/t5_spiece_32000.model")
    vocabulary = Vocabulary.load(model)
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(model, f"{folder}/spiece.model")
        tokenizer = T5Tokenizer.from_pretrained(folder, model_max_length=10**9)
    assert tokenizer.is_fast
    datasets.disable_progress_bars()
    tasks: list[HubTask] = [
        SST2(root=mirror, num_train=3000),
        MNLI(root=mirror, num_train=3000),
        SQuAD(root=mirror, num_train=1500),
        BoolQ(root=mirror, num_validation=1500),
        EnDe(root=mirror, num_train=3000),
    ]
    print(
        f"{'rows of':<12}{'rows':>7}{'t5grid':>10}{'by row':>10}{'batched':>10}{'ratio':>8}{'equal ids':>12}"
    )
    for task in tasks:
        role = "train" if task.num_train else "validation"
        records = task.records(role)
        assert isinstance(records, Formatted)
        table = records.table.combine_chunks()
        speeds, equal = compare(task, table, vocabulary, tokenizer)
        ratio = speeds[0] / max(speeds[1:])
        shown = "".join(f"{speed:>10,.0f}" for speed in speeds)
        print(f"{task.name:<12}{table.num_rows:>7}{shown}{ratio:>8.1f}{equal:>12}", flush=True)


if __name__ == "__main__":
    main()
