"""The rankings that EleutherAI's lm-evaluation-harness gives on the same prompts, where it is installed."""

import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from t5grid.data.characters import Characters
from t5grid.data.prompts import Template
from t5grid.data.shots import Asking, Shots
from t5grid.data.vocabulary import BLANK, Vocabulary
from t5grid.evaluation.likelihood import Scorer
from t5grid.model.architectures import EncoderDecoder
from t5grid.model.huggingface import write_checkpoint
from t5grid.model.size import Size
from t5grid.tasks.answer import Class

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),
]
SIZE = Size(d_model=32, d_ff=64, d_kv=8, num_heads=4, num_layers=2)
CHOICES = ("yes", "no", "neither", "a longer answer")
TEXTS = ("Is ice cold?", "Tom sings.\nQuestion: is Tom old?", "2 * 3 =", "x")


@pytest.fixture(scope="module")
def harness() -> Any:
    """Its class for Hugging Face's models."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        why = "lm-evaluation-harness is not installed: pip install t5grid[harness]"
        return pytest.importorskip("lm_eval.models.huggingface", reason=why).HFLM


def tokenizer(vocabulary: Vocabulary) -> Any:
    """The vocabulary of characters in Hugging Face's form."""
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    ids = {vocabulary.piece(i).replace(BLANK, " "): i for i in range(vocabulary.num_pieces)}
    words = Tokenizer(models.WordLevel(ids, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    words.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    marks = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    return PreTrainedTokenizerFast(tokenizer_object=words, **marks)


def test_likelihoods_and_rankings_are_those_of_the_harness(harness: Any, tmp_path: Path) -> None:
    from transformers import T5ForConditionalGeneration

    torch.manual_seed(1)
    vocabulary = Vocabulary(Characters().make(iter(())))
    model: Any = EncoderDecoder().build(SIZE, vocabulary.size).eval()
    write_checkpoint(model, SIZE, None, tmp_path / "theirs")
    theirs = harness(
        pretrained=T5ForConditionalGeneration.from_pretrained(tmp_path / "theirs").eval(),
        tokenizer=tokenizer(vocabulary),
        backend="seq2seq",
        device="cpu",
        batch_size=3,
    )
    task: Any = SimpleNamespace(answer=Class(CHOICES))
    asking = Asking("toy", task, Template(), Shots(0, False, False, 0), "prefix", 200, vocabulary)
    questions = list(asking.questions([{"inputs": text, "targets": "yes"} for text in TEXTS], []))
    ours = Scorer(model, EncoderDecoder().batching, 5)(questions)
    pairs = [(question.text, f" {choice}") for question in questions for choice in CHOICES]
    requests = [SimpleNamespace(args=pair) for pair in pairs]
    found = iter(value for value, _ in theirs.loglikelihood(requests, disable_tqdm=True))
    for scored in ours:
        wanted = {choice: next(found) for choice in CHOICES}
        assert {choice: value for choice, (value, _) in scored.items()} == pytest.approx(wanted, abs=2e-3)
        assert sorted(CHOICES, key=wanted.__getitem__) == sorted(CHOICES, key=lambda c: scored[c][0])
