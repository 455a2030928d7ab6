"""The token cache: tokens a second read from it against what memory gives, and memory while it is written.

    python benchmarks/tokens.py

Reading: batches of 128 pieces of 511 tokens at shuffled places of a cache of 2^27 ids (256 MiB), as
pre-training asks for them. Against it, as many ids copied and widened from memory: in one call of numpy's out
of one plain array, at places shuffled alike; and lying side by side, which no shuffled reading can reach, as
every piece is another page. Sides take turns batch by batch, each at places of its own; figures are of
medians. Writing: peak memory of a process that encodes a text file into a cache, for files of three sizes.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from t5grid.data.stream import shuffled
from t5grid.data.tokens import Rows

ROOT = Path(__file__).resolve().parent.parent
NUM_IDS, SHARDS, PIECE, BATCH = 1 << 27, 8, 511, 128
WRITE = """
import sys
from pathlib import Path
from t5grid.data.corpora import TextCorpus
from t5grid.data.tokens import encode_corpus
model = Path(sys.argv[1], "vocabulary.model").read_bytes()
corpus = TextCorpus(sys.argv[2], txt_documents="line")
folder = Path(sys.argv[2] + ".tokens")
folder.mkdir()
counts = encode_corpus(corpus, model, folder, 1, lambda done, total: None)
status = Path("/proc/self/status").read_text()  # getrusage's peak would count the parent's memory too
print(counts["num_tokens"], int(status.split("VmHWM:")[1].split()[0]) / 1024)
"""


def write_cache(folder: Path) -> None:
    """A cache of random ids in documents of 400 on average."""
    rng = np.random.default_rng(0)
    for number in range(SHARDS):
        lengths = rng.integers(100, 700, NUM_IDS // SHARDS // 400).astype(np.int32)
        np.save(folder / f"shard-{number:05d}.npy", lengths)
        rng.integers(3, 32000, lengths.sum()).astype(np.uint16).tofile(folder / f"shard-{number:05d}.bin")
    (folder / "tokens.json").write_text(json.dumps({"num_shards": SHARDS}))


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def reading(folder: Path, rounds: int = 15, batches: int = 100) -> None:
    """Tokens a second of both sides."""
    start = time.perf_counter()
    rows = Rows(folder, 32100, PIECE, concatenate=True)
    print(f"opened: {len(rows):,} rows in {time.perf_counter() - start:.2f} s")
    places = np.arange(batches * BATCH).reshape(batches, BATCH)
    asked = [shuffled(batch, len(rows), "benchmark") for batch in places]
    flat = np.concatenate([np.fromfile(path, np.uint16) for path in sorted(folder.glob("*.bin"))])
    windows = np.lib.stride_tricks.sliding_window_view(flat, PIECE)
    others = np.random.default_rng(1).integers(0, len(windows), (batches, BATCH))
    sides: list[Callable[[int], object]] = [
        lambda batch: rows.pieces(asked[batch]),
        lambda batch: windows[others[batch]].astype(np.int32),
        lambda batch: flat[batch * BATCH * PIECE : (batch + 1) * BATCH * PIECE].astype(np.int32),
    ]
    times = [
        [seconds(lambda: side(batch)) for side in sides]  # noqa: B023
        for _ in range(rounds)
        for batch in range(batches)
    ]
    read, gathered, copied = BATCH * PIECE / np.median(times, axis=0)
    print(f"read {read:,.0f} tokens/s")
    print(f"memory, shuffled places {gathered:,.0f} tokens/s, ratio {read / gathered:.2f}")
    print(f"memory, side by side {copied:,.0f} tokens/s, ratio {read / copied:.2f}")


def writing(folder: Path) -> None:
    """Peak memory of encoding files of three sizes."""
    from t5grid.data.vocabulary import Trained
    from t5grid.nano.corpus import NanoCorpus

    documents = list(NanoCorpus(20_000, documents_per_shard=20_000).documents(0))
    (folder / "vocabulary.model").write_bytes(Trained(num_pieces=1948).make(iter(documents[:5000])))
    text = "\n".join(documents) + "\n"
    for times in (1, 4, 16):
        path = folder / f"text-{times}.txt"
        with open(path, "w") as file:
            for _ in range(times):
                file.write(text)
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        start = time.perf_counter()
        said = subprocess.run(
            [sys.executable, "-c", WRITE, str(folder), str(path)],
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        ).stdout.split()
        took, size = time.perf_counter() - start, path.stat().st_size / 2**20
        rate = int(said[0]) / took
        print(
            f"{size:>8.0f} MiB of text: {float(said[1]):>6.0f} MiB at most, {rate:>12,.0f} tokens/s encoded"
        )


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        write_cache(Path(name))
        reading(Path(name))
    with tempfile.TemporaryDirectory() as name:
        writing(Path(name))


if __name__ == "__main__":
    main()
