"""A training step and greedy decoding, against Hugging Face's T5 with fused attention in the same run.

    OMP_NUM_THREADS=1 python benchmarks/huggingface.py [SIZE:IDS ...]

Both hold the same weights, take the same batches (rows of different lengths) and use one thread. A training
step is forward, loss, backward and one step of torch's fused AdamW, with dropout; decoding is 64 new ids for
32 rows, none of which may end. The two take turns; printed are the medians of processor seconds (so that
other work on the machine counts less) and their ratio: above 1, t5grid is faster. Needs transformers.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf

from t5grid.config.build import build
from t5grid.config.compose import compose
from t5grid.data.special_ids import EOS
from t5grid.model.decoding import greedy
from t5grid.model.huggingface import write_checkpoint
from t5grid.model.loss import loss
from t5grid.model.size import Size
from t5grid.model.transformer import EncoderDecoderModel

MODELS = ("tiny:2048", "tiny:32128", "small:32128")  # size and ids: the default vocabulary's, and T5's
TRAINING = {"rows": 8, "inputs": 128, "targets": 32}
DECODING = {"rows": 32, "inputs": 64, "new": 64}


def both(size: Size, num_ids: int) -> tuple[EncoderDecoderModel, Any]:
    """The same weights twice; the end mark's row is zero, so that no row ends before it is full."""
    from transformers import T5ForConditionalGeneration
    from transformers.utils import logging

    logging.disable_progress_bar()
    torch.manual_seed(0)
    ours = EncoderDecoderModel(size, num_ids)
    with torch.no_grad():
        ours.embedding.weight[EOS] = 0.0
    with tempfile.TemporaryDirectory() as folder:
        write_checkpoint(ours, size, None, Path(folder))
        theirs = T5ForConditionalGeneration.from_pretrained(folder, attn_implementation="sdpa")
    return ours, theirs


def batch(num_ids: int, rows: int, inputs: int, **_: int) -> torch.Tensor:
    """Rows of random ids, from half of the length up, filled up with 0."""
    ids = torch.randint(2, num_ids, (rows, inputs))
    lengths = torch.randint(inputs // 2, inputs + 1, (rows, 1))
    return ids * (torch.arange(inputs) < lengths)


def training(ours: EncoderDecoderModel, theirs: Any) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """One training step of each, on the same batch."""
    ids = batch(ours.vocab_size, **TRAINING)
    targets = torch.randint(2, ours.vocab_size, (TRAINING["rows"], TRAINING["targets"]))
    decoder_inputs = torch.cat([torch.zeros_like(targets[:, :1]), targets[:, :-1]], dim=1)
    optimizers = [torch.optim.AdamW(each.parameters(), lr=1e-6, fused=True) for each in (ours, theirs)]

    def step(value: torch.Tensor, optimizer: torch.optim.Optimizer) -> None:
        value.backward()
        optimizer.step()
        optimizer.zero_grad()

    def our_step() -> None:
        step(loss(ours({"inputs": ids, "decoder_inputs": decoder_inputs}), targets), optimizers[0])

    def their_step() -> None:
        step(theirs(input_ids=ids, attention_mask=(ids > 0).long(), labels=targets).loss, optimizers[1])

    return our_step, their_step


def decoding(ours: EncoderDecoderModel, theirs: Any) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Greedy answers of each; they must be the same."""
    ids, length = batch(ours.vocab_size, **DECODING), DECODING["new"]

    def our_answers() -> torch.Tensor:
        return greedy(ours, {"inputs": ids}, length)

    def their_answers() -> torch.Tensor:
        mask = (ids > 0).long()
        out = theirs.generate(ids, attention_mask=mask, max_new_tokens=length, do_sample=False, num_beams=1)
        return out[:, 1:]

    assert torch.equal(our_answers(), their_answers()), "the answers differ"
    return our_answers, their_answers


def seconds(run: Callable[[], Any]) -> float:
    started = time.process_time()
    run()
    return time.process_time() - started


def compare(name: str, ours: Callable[[], Any], theirs: Callable[[], Any], rounds: int) -> None:
    """Print the medians of both and the median of their ratios, after a turn that is not counted."""
    pairs = [(seconds(ours), seconds(theirs)) for _ in range(rounds + 1)][1:]
    mine, other = (statistics.median(each) for each in zip(*pairs, strict=True))
    ratio = statistics.median(b / a for a, b in pairs)
    print(f"{name:<30}{mine:9.3f} s{other:9.3f} s{ratio:8.2f}", flush=True)


def main(names: list[str], rounds: int = 7) -> None:
    torch.set_num_threads(1)
    print(f"{'':<30}{'t5grid':>11}{'theirs':>11}{'ratio':>8}")
    for name in names or MODELS:
        option, _, num_ids = name.partition(":")
        size = build(OmegaConf.to_container(compose([f"size={option}"]).size, resolve=True), "size")
        ours, theirs = both(size, int(num_ids))
        compare(f"{name}: greedy decoding", *decoding(ours.eval(), theirs.eval()), rounds)
        compare(f"{name}: training step", *training(ours.train(), theirs.train()), rounds)


if __name__ == "__main__":
    main(sys.argv[1:])
