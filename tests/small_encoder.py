"""A small BERT without heads in the Hub's form, and five small tasks of GLUE in the hub's layout."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors.torch import load_file, save_file

from t5grid.data.word_pieces import read_word_pieces
from t5grid.model.encoders import Bert
from t5grid.model.huggingface_bert import write_bert
from t5grid.model.size import Size
from t5grid.stages.exchange import import_checkpoint

WORDS = "[PAD] [unused0] [UNK] [CLS] [SEP] [MASK] . , ? who is a bake ##r ##s anna the of mill left"
PIECES = WORDS.split()
SIZE = Size(32, 48, 8, 4, 3, dropout=0.1)
OF_SIZE = [f"size.d_{name}={value}" for name, value in {"model": 32, "ff": 48, "kv": 8}.items()]
OVERRIDES = [*OF_SIZE, "size.num_heads=4", "size.num_layers=3"]
"""The overrides of a cell that has this size."""
LABELS = {"cola": 2, "sst2": 2, "mrpc": 2, "stsb": 0, "rte": 2}
"""Classes of each task; STS-B has numbers."""


def bare_bert(folder: Path) -> Path:
    """Their folder of a small BertModel: no head for hidden tokens, none for pairs."""
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(PIECES) + "\n")
    torch.manual_seed(0)
    model = Bert(128).build(SIZE, len(PIECES) + 1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    write_bert(model, Bert(128), SIZE, read_word_pieces(folder), folder)  # type: ignore[arg-type]
    (folder / "tokenizer.json").unlink()
    tensors = load_file(folder / "model.safetensors")
    bare = {name.removeprefix("bert."): tensor for name, tensor in tensors.items() if "cls." not in name}
    save_file(bare, folder / "model.safetensors")
    return folder


def imported(folder: Path) -> Path:
    """The same as a folder of ours."""
    import_checkpoint(bare_bert(folder.with_name("theirs")), folder)
    return folder


def small_glue(root: Path, num_train: int = 80, num_validation: int = 12) -> Path:
    """`root` with so many rows of each task, of one sentence or of two of unequal length."""
    for task, classes in LABELS.items():
        columns = ("sentence",) if task in ("cola", "sst2") else ("sentence1", "sentence2")
        folder = root / "nyu-mll" / "glue" / task
        folder.mkdir(parents=True)
        for split, count in (("train", num_train), ("validation", num_validation)):
            texts = {
                column: ["who is " + "anna the baker " * (1 + (row + place) % 3) for row in range(count)]
                for place, column in enumerate(columns)
            }
            labels = pa.array([row % classes if classes else 0.5 * (row % 11) for row in range(count)])
            table = pa.table(texts | {"label": labels})
            pq.write_table(table, folder / f"{split}-00000-of-00001.parquet")
    return root
