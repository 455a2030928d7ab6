"""A training step of BERT against Hugging Face's with fused attention, and the padding of the batches.

    python benchmarks/bert.py [SIZE:IDS ...]

Both hold the same weights, take the same examples (hidden tokens and next sentences, of unequal length) and
use one thread. A step is forward, both losses, backward and one step of torch's fused AdamW, with dropout.
They take turns; printed are the medians of processor seconds and that of the ratios of the turns: above 1,
t5grid is faster. `same rows` pads both alike, an example a row; `packed` is t5grid's own batch of the same
examples, as it trains. Needs transformers.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import torch

from t5grid.config.schema import load_cell
from t5grid.data.batching import first_fit_decreasing, one_row_each, padding_share
from t5grid.data.encoder_batching import EncoderBatching
from t5grid.data.masked_lm import MaskedLM
from t5grid.data.place_targets import PAIR
from t5grid.model.encoder import EncoderModel
from t5grid.model.encoders import Bert
from t5grid.model.huggingface_encoders import bert_names, copy_weights
from t5grid.model.size import Size

MODELS = ("small:30522",)  # size and ids: BERT's
EXAMPLES, LENGTH, SENTENCE, ROUNDS = 8, 128, 12, 5
IGNORED = -100
Batch = dict[str, torch.Tensor]


def both(size: Size, num_ids: int) -> tuple[EncoderModel, Any]:
    """The same weights twice."""
    from transformers import BertConfig, BertForPreTraining

    config = BertConfig(
        vocab_size=num_ids, hidden_size=size.d_model, intermediate_size=size.d_ff,
        num_attention_heads=size.num_heads, num_hidden_layers=size.num_layers,
        hidden_dropout_prob=size.dropout, attention_probs_dropout_prob=size.dropout,
        attn_implementation="sdpa",
    )  # fmt: skip
    torch.manual_seed(0)
    ours, theirs = Bert().build(size, num_ids), BertForPreTraining(config)
    copy_weights(theirs.state_dict(), bert_names(size.num_layers), ours)
    return ours, theirs


def batches(num_ids: int) -> tuple[Batch, Batch]:
    """The same examples, from a quarter of the length up, an example a row and packed."""
    noise, objective = np.random.default_rng(0), MaskedLM()
    raw, asked = objective.lengths(LENGTH)
    tokens = noise.integers(3, num_ids - 2, (EXAMPLES, raw)).astype(np.int32)
    tokens[:, SENTENCE - 1 :: SENTENCE] *= -1
    tokens[np.arange(raw) >= noise.integers(raw // 4, raw + 1, (EXAMPLES, 1))] = 0
    pair = objective(tokens, noise, num_ids)
    arrays = (EncoderBatching()(*pair, LENGTH, asked, how) for how in (one_row_each, first_fit_decreasing))
    alone, packed = ({name: torch.from_numpy(a).long() for name, a in batch.items()} for batch in arrays)
    return alone, packed


def given(batch: Batch) -> Batch:
    """A batch of an example a row as theirs takes it."""
    ids, is_pair = batch["inputs"], batch["heads"] == PAIR
    asked = torch.where(is_pair | (batch["targets"] == 0), IGNORED, batch["targets"])
    labels = torch.full_like(ids, IGNORED)
    for row, places in enumerate(batch["places"]):
        told = asked[row] != IGNORED
        labels[row, places[told]] = asked[row][told]
    return {
        "input_ids": ids, "attention_mask": (ids != 0).long(), "token_type_ids": batch["types"],
        "labels": labels, "next_sentence_label": (batch["targets"] * is_pair).sum(dim=1) - 1,
    }  # fmt: skip


def step(model: Any, loss: Callable[[], torch.Tensor]) -> Callable[[], None]:
    """A training step of a model on what says its loss."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-6, fused=True)

    def train() -> None:
        loss().backward()
        optimizer.step()
        optimizer.zero_grad()

    return train


def seconds(run: Callable[[], Any]) -> float:
    started = time.process_time()
    run()
    return time.process_time() - started


def compare(name: str, size: Size, num_ids: int) -> None:
    """Print medians and ratios of turns, after one that is not counted, and the padding."""
    ours, theirs = both(size, num_ids)
    alone, packed = batches(num_ids)
    words = given(alone)
    with torch.no_grad():
        losses = (ours.eval().loss(alone), ours.loss(packed), theirs.eval()(**words).loss)
    assert all(torch.allclose(loss, losses[0], atol=1e-3) for loss in losses), f"the losses differ: {losses}"
    sides = {
        "same rows": step(ours.train(), lambda: ours.loss(alone)),
        "packed": step(ours, lambda: ours.loss(packed)),
        "theirs": step(theirs.train(), lambda: theirs(**words).loss),
    }
    turns = [{side: seconds(run) for side, run in sides.items()} for _ in range(ROUNDS + 1)][1:]
    for side, batch in (("same rows", alone), ("packed", packed)):
        mine, other = (statistics.median(turn[key] for turn in turns) for key in (side, "theirs"))
        ratio = statistics.median(turn["theirs"] / turn[side] for turn in turns)
        print(f"{f'{name}: training step, {side}':<44}{mine:9.3f} s{other:9.3f} s{ratio:8.2f}")
        rows, length = batch["inputs"].shape
        padding = padding_share({key: value.numpy() for key, value in batch.items()})
        print(f"  {rows} rows of {length}, {padding:.1%} padding", flush=True)


def main(names: list[str]) -> None:
    torch.set_num_threads(1)
    print(f"{'':<44}{'t5grid':>11}{'theirs':>11}{'ratio':>8}")
    for name in names or MODELS:
        option, _, num_ids = name.partition(":")
        compare(name, load_cell([f"size={option}"]).size, int(num_ids))


if __name__ == "__main__":
    main(sys.argv[1:])
