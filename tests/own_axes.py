"""One minimal class of one's own for every axis, written from the contracts alone: nothing is inherited."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from t5grid.data.mixing import Phase
from t5grid.grid import strategies
from t5grid.model.costs import Product

WORDS = ["ana", "ben", "cem", "dora", "emil", "fatma", "gia", "hugo", "ines", "jon", "kaya", "lena"]


class Unigrams(nn.Module):
    """Gives every target position the same logits, and answers with its likeliest id."""

    def __init__(self, vocab_size: int) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(vocab_size))

    def loss(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        targets = batch["targets"]
        return nn.functional.cross_entropy(self.logits.expand(targets.numel(), -1), targets.flatten())

    def answer(self, batch: dict[str, torch.Tensor], max_length: int, num_beams: int = 1) -> torch.Tensor:
        return self.logits[3:].argmax().add(3).expand(len(batch["inputs"]), 1)


def cut(inputs: Any, targets: Any, inputs_length: int, targets_length: int) -> dict[str, Any]:
    return {"inputs": inputs[:, :inputs_length], "targets": targets[:, :targets_length]}


@dataclass(frozen=True)
class Architecture:
    @property
    def batching(self) -> Any:
        return cut

    def build(self, size: Any, vocab_size: int, dropout: float | None = None) -> nn.Module:
        return Unigrams(vocab_size)

    def num_parameters(self, size: Any, vocab_size: int) -> dict[str, int]:
        return {"logits": vocab_size, "total": vocab_size}

    def products(self, size: Any, vocab_size: int, rows: int, inputs: int, targets: int) -> list[Product]:
        number = rows * targets * vocab_size
        return [Product("logits", parameter="logits", size=number, shape=(vocab_size,))]

    def num_blocks(self, size: Any) -> int:
        return 1

    def block_steps(self, size: Any, inputs: int, targets: int) -> int:
        return inputs + targets


@dataclass(frozen=True)
class Objective:
    concatenate: ClassVar[bool] = True

    def __call__(self, tokens: Any, rng: Any, vocab_size: int) -> tuple[Any, Any]:
        half = tokens.shape[1] // 2
        return tokens[:, :half].astype(np.int32), tokens[:, half:].astype(np.int32)

    def lengths(self, inputs_length: int) -> tuple[int, int]:
        return inputs_length - 1, inputs_length


@dataclass(frozen=True)
class Corpus:
    def shards(self) -> list[int]:
        return [0, 1]

    def documents(self, shard: int) -> Any:
        dice = np.random.default_rng(shard)
        for _ in range(60):
            yield " ".join(dice.choice(WORDS, 20))

    def fingerprint(self) -> str:
        return "my corpus"


@dataclass(frozen=True)
class Task:
    name: str = "first word"
    reported: ClassVar[tuple[str, ...]] = ("share",)

    def records(self, split: str) -> list[dict[str, Any]]:
        words = WORDS if split == "train" else WORDS[:5]
        return [{"inputs": f"{word} ben", "targets": word} for word in words]

    def score(self, records: Any, predictions: list[str]) -> dict[str, float]:
        pairs = zip(records, predictions, strict=True)
        return {"share": 100.0 * np.mean([row["targets"] == answer for row, answer in pairs])}

    def fingerprint(self) -> str:
        return "my task"


@dataclass(frozen=True)
class Mixing:
    def rates(self, parts: Any) -> tuple[float, ...]:
        return tuple(float(1 + place) for place in range(len(parts)))

    def phases(self, parts: Any) -> tuple[Phase, ...]:
        return (Phase(1.0, self.rates(parts)),)


@dataclass(frozen=True)
class Method:
    def episodes(self, names: Any, num_steps: int) -> dict[int, frozenset[str]]:
        return {0: frozenset(names)}

    def prepare(self, model: Any) -> None: ...

    def products(self, products: list[Any], d_model: int) -> list[Any]:
        return products

    def check(self, cell: Any) -> None: ...


@dataclass(frozen=True)
class Strategy:
    """Fine-tunes each column on a mixture of everything."""

    def stages(self, cell: Any) -> dict[str, Any]:
        vocabulary = strategies.vocabulary_stage(cell)
        columns, num_steps = cell.suite.chosen(), cell.budget.pretrain.num_steps
        mixed = strategies.multitask_stage(cell, vocabulary, columns, True, num_steps)
        return strategies.column_stages(
            cell, vocabulary, (mixed,), cell.config["budget"]["finetune"]["schedule"]
        )
