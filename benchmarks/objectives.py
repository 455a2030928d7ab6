"""Sequences per second and core of every objective, against the same thing written one example at a time.

    python benchmarks/objectives.py

The plain side draws its noise with numpy for one example, walks its tokens in Python where the rule is about
single tokens or runs, and pads the batch at the end, so that both sides return the same kind of arrays. Sides
take turns within one run; the ratio is of medians.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from t5grid.data import objectives

BATCH, INPUTS_LENGTH, VOCAB_SIZE = 128, 512, 32100
Example = tuple[list[int], list[int]]


def sentinels(tokens: list[int], mask: list[bool]) -> list[int]:
    out, number, before = [], 0, False
    for token, marked in zip(tokens, mask, strict=True):
        if not marked:
            out.append(token)
        elif not before:
            number += 1
            out.append(VOCAB_SIZE - number)
        before = marked
    return out


def replace_spans(tokens: np.ndarray, mask: np.ndarray) -> Example:
    return sentinels(tokens.tolist(), mask.tolist()), sentinels(tokens.tolist(), (~mask).tolist())


def plain_prefix_lm(tokens: np.ndarray, rng: np.random.Generator) -> Example:
    cut = rng.integers(1, len(tokens))
    return tokens[:cut], tokens[cut:]


def plain_language_model(tokens: np.ndarray, rng: np.random.Generator) -> Example:
    return [], tokens


def plain_bert_style(tokens: np.ndarray, rng: np.random.Generator) -> Example:
    out = tokens.tolist()
    for index, noise in enumerate(rng.random(len(tokens)).tolist()):
        if noise < 0.15:
            out[index] = rng.integers(3, VOCAB_SIZE) if rng.random() < 0.1 else VOCAB_SIZE - 1
    return out, tokens


def plain_mass_style(tokens: np.ndarray, rng: np.random.Generator) -> Example:
    noise = rng.random(len(tokens)).tolist()
    return [
        VOCAB_SIZE - 1 if u < 0.15 else token for token, u in zip(tokens.tolist(), noise, strict=True)
    ], tokens


def plain_replace_spans(tokens: np.ndarray, rng: np.random.Generator) -> Example:
    return replace_spans(tokens, rng.random(len(tokens)) < 0.15)


def plain_drop_tokens(tokens: np.ndarray, rng: np.random.Generator) -> Example:
    inputs, targets = [], []
    for token, noise in zip(tokens.tolist(), rng.random(len(tokens)).tolist(), strict=True):
        (targets if noise < 0.15 else inputs).append(token)
    return inputs, targets


def plain_random_spans(tokens: np.ndarray, rng: np.random.Generator) -> Example:
    noise = round(len(tokens) * 0.15)
    spans = max(1, round(noise / 3))
    mask: list[bool] = []
    for kept_part, noise_part in zip(
        parts(len(tokens) - noise, spans, rng), parts(noise, spans, rng), strict=True
    ):
        mask += [False] * kept_part + [True] * noise_part
    return replace_spans(tokens, np.array(mask))


def parts(items: int, count: int, rng: np.random.Generator) -> np.ndarray:
    cuts = np.sort(rng.choice(items - 1, count - 1, replace=False)) + 1
    return np.diff([0, *cuts, items])


def plain_deshuffling(tokens: np.ndarray, rng: np.random.Generator) -> Example:
    return rng.permutation(tokens), tokens


PAIRS: list[tuple[objectives.Objective, Callable[[np.ndarray, np.random.Generator], Example]]] = [
    (objectives.PrefixLanguageModeling(), plain_prefix_lm),
    (objectives.LanguageModeling(), plain_language_model),
    (objectives.BertStyle(), plain_bert_style),
    (objectives.MassStyle(), plain_mass_style),
    (objectives.ReplaceSpans(), plain_replace_spans),
    (objectives.DropTokens(), plain_drop_tokens),
    (objectives.RandomSpans(), plain_random_spans),
    (objectives.Deshuffling(), plain_deshuffling),
]


def plain_batch(one: Callable, tokens: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The plain side of a whole batch: example by example, then padded."""
    pairs = [one(row, rng) for row in tokens]
    sides = []
    for rows in zip(*pairs, strict=True):
        side = np.zeros((len(rows), max(map(len, rows))), np.int32)
        for target, row in zip(side, rows, strict=True):
            target[: len(row)] = row
        sides.append(side)
    return tuple(sides)


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def main(rounds: int = 15) -> None:
    print(f"{BATCH} pieces for {INPUTS_LENGTH} inputs, {rounds} rounds, one core\n")
    print(f"{'objective':<16}{'t5grid seq/s':>14}{'plain seq/s':>14}{'ratio':>8}")
    rng = np.random.default_rng(0)
    for objective, one in PAIRS:
        raw, _ = objective.lengths(INPUTS_LENGTH)
        tokens = rng.integers(3, 32000, (BATCH, raw)).astype(np.int32)
        sides = (lambda: objective(tokens, rng, VOCAB_SIZE)), (lambda: plain_batch(one, tokens, rng))  # noqa: B023
        times = np.median([[seconds(side) for side in sides] for _ in range(rounds)], axis=0)
        ours, plain = BATCH / times
        print(f"{type(objective).__name__:<16}{ours:>14,.0f}{plain:>14,.0f}{ours / plain:>8.1f}")


if __name__ == "__main__":
    main()
