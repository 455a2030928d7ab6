"""The log-likelihood of answers, against a computation from nothing but a model's logits."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from t5grid.data.shots import FORMS, Question
from t5grid.evaluation.likelihood import MEASURES, Scorer, chosen
from t5grid.model.architectures import EncoderDecoder, EncoderDecoderShared, LanguageModel, PrefixLM
from t5grid.model.size import Size

VOCAB = 60
SIZE = Size(d_model=16, d_ff=32, d_kv=8, num_heads=2, num_layers=2)
MODELS = {
    "encoder_decoder": EncoderDecoder(),
    "shared": EncoderDecoderShared(),
    "language_model": LanguageModel(),
    "targets_only": LanguageModel(loss_on_targets_only=True),
    "prefix_lm": PrefixLM(),
}


def built(name: str) -> nn.Module:
    """A model whose probabilities are far from equal."""
    torch.manual_seed(3)
    model = MODELS[name].build(SIZE, VOCAB).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.5)
    return model


def questions(form: str, number: int = 3) -> list[Question]:
    """Prompts of several lengths, each with three answers of one to four ids."""
    rng = np.random.default_rng(1)
    made = []
    for i in range(number):
        inputs, start = FORMS[form](rng.integers(3, 50, 2 + 3 * i).tolist(), VOCAB)
        choices = {f"answer {k}": rng.integers(3, 50, 1 + (i + k) % 4).tolist() for k in range(3)}
        made.append(Question("", 0, {}, inputs, start, choices))
    return made


def from_scratch(name: str, model: Any, question: Question, answer: list[int]) -> float:
    """The sum of log probabilities, one id after another, each of a forward pass of its own."""
    total = 0.0
    for end in range(len(answer)):
        before = [*question.start, *answer[:end]]
        if "decoder" in name or name == "shared":
            batch = {"inputs": [[*question.inputs, 1]], "decoder_inputs": [[0, *before]]}
        else:
            read = [*question.inputs, 1] if question.inputs else []
            row = [0, *read, *before]
            batch = {"decoder_inputs": [row], "prefix": [[1] * (1 + len(read)) + [0] * len(before)]}
            batch["prefix"] = batch["prefix"] if read else [[0] * len(row)]
        with torch.no_grad():
            logits = model({key: torch.tensor(value) for key, value in batch.items()})[0, -1].double()
        total += (logits[answer[end]] - torch.logsumexp(logits, 0)).item()
    return total


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", MODELS)
def test_likelihoods_and_rankings_are_those_from_scratch_one_by_one_and_batched(name: str, form: str) -> None:
    model, asked = built(name), questions(form)
    wanted = [{t: from_scratch(name, model, q, ids) for t, ids in q.choices.items()} for q in asked]
    for batch in (1, 4, 100):
        found = Scorer(model, MODELS[name].batching, batch)(asked)
        for scored, right, question in zip(found, wanted, asked, strict=True):
            assert {t: value for t, (value, _) in scored.items()} == pytest.approx(right, rel=1e-4, abs=1e-4)
            assert {t: number for t, (_, number) in scored.items()} == {
                t: len(ids) for t, ids in question.choices.items()
            }
            assert sorted(right, key=lambda t: -right[t]) == sorted(right, key=lambda t: -scored[t][0])
    assert len({round(value, 2) for right in wanted for value in right.values()}) > 7


def test_each_measure_says_its_own_best() -> None:
    scored = {"a": (-2.0, 1), "b": (-3.0, 3), "c": (-2.5, 1)}
    alone = {"a": (-0.5, 1), "b": (-1.6, 3), "c": (-9.0, 1)}
    assert {name: chosen(scored, measure, alone) for name, measure in MEASURES.items()} == {
        "likelihood": "a",
        "per_token": "b",
        "unconditional": "c",
    }
    assert chosen({"x": (-1.0, 1), "y": (-1.0, 1)}, MEASURES["likelihood"]) == "x"


def test_an_answer_that_a_prompt_makes_certain_has_no_loss() -> None:
    """A model that always says the next id up: of `5 6` the answer `7 8` is certain, `8 7` out of reach."""

    class NextUp(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.unused = nn.Parameter(torch.zeros(1))

        def logits_where(self, batch: dict[str, torch.Tensor], counted: torch.Tensor) -> torch.Tensor:
            return 50.0 * nn.functional.one_hot(batch["decoder_inputs"] + 1, 20).float()[counted]

    question = Question("", 0, {}, [], [5, 6], {"up": [7, 8], "down": [8, 7]})
    (scored,) = Scorer(NextUp(), LanguageModel().batching, 8)([question])
    assert scored["up"][0] == pytest.approx(0.0, abs=1e-9)
    assert scored["down"][0] == pytest.approx(-100.0) and math.isfinite(scored["down"][0])
    assert chosen(scored, MEASURES["likelihood"]) == "up"
