"""What transformers answers from a checkpoint that we exported; left out where it is not installed."""

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from small_vocabulary import small_vocabulary

from t5grid.data.vocabulary import Vocabulary
from t5grid.model.decoding import greedy
from t5grid.model.huggingface import read_checkpoint, write_checkpoint
from t5grid.model.loss import loss
from t5grid.model.size import Size
from t5grid.model.transformer import EncoderDecoderModel

SIZES = {
    "v1_0": Size(32, 64, 8, 4, 2),
    "v1_1": Size(48, 64, 8, 4, 2, feed_forward="gated_gelu", tied=False),
}

PADDING = list(
    range(160, 256)
)  # rows of the id table without an id, which an untrained model may well predict


@pytest.fixture(params=SIZES)
def pair(
    request: pytest.FixtureRequest, tmp_path: Path, transformers: Any
) -> tuple[EncoderDecoderModel, Any, Path]:
    """A model of ours, and what transformers makes of its export."""
    torch.manual_seed(0)
    size = SIZES[request.param]
    ours = EncoderDecoderModel(size, 160).eval()
    write_checkpoint(ours, size, small_vocabulary(60), tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = transformers.T5ForConditionalGeneration.from_pretrained(tmp_path).eval()
    return ours, theirs, tmp_path


@pytest.mark.slow
def test_an_exported_model_answers_the_same_in_transformers(
    pair: tuple[EncoderDecoderModel, Any, Path],
) -> None:
    ours, theirs, _ = pair
    torch.manual_seed(1)
    inputs, targets = torch.randint(2, 160, (3, 9)), torch.randint(2, 160, (3, 5))
    inputs[0, 6:] = 0
    answer = theirs(input_ids=inputs, attention_mask=(inputs > 0).long(), labels=targets)
    decoder_inputs = torch.cat([torch.zeros_like(targets[:, :1]), targets[:, :-1]], dim=1)
    logits = ours({"inputs": inputs, "decoder_inputs": decoder_inputs})
    assert (logits - answer.logits).abs().max() < 1e-4
    assert loss(logits, targets, z_loss=0.0, per_token=True).item() == pytest.approx(
        answer.loss.item(), abs=1e-4
    )
    settings = {"do_sample": False, "num_beams": 1, "max_new_tokens": 12, "suppress_tokens": PADDING}
    their_ids = theirs.generate(inputs, attention_mask=(inputs > 0).long(), **settings)[:, 1:]
    our_ids = greedy(ours, {"inputs": inputs}, 12)
    assert our_ids.tolist() == their_ids[:, : our_ids.shape[1]].tolist()


@pytest.mark.slow
def test_what_transformers_saves_is_read_again(pair: tuple[EncoderDecoderModel, Any, Path]) -> None:
    ours, theirs, folder = pair
    for place, limit in (("whole", "1GB"), ("shards", "50KB")):
        theirs.save_pretrained(folder / place, max_shard_size=limit)
        found = read_checkpoint(folder / place)
        state = found.model().state_dict()
        assert all(torch.equal(value, state[name]) for name, value in ours.state_dict().items())
    assert len(list((folder / "shards").glob("*.safetensors"))) > 1


@pytest.mark.slow
def test_its_vocabulary_gives_the_same_ids_sentinels_included(
    pair: tuple[EncoderDecoderModel, Any, Path], transformers: Any
) -> None:
    _, theirs, folder = pair
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    ours = Vocabulary((folder / "spiece.model").read_bytes())
    for text in ("the river meets a town", " two  spaces", "an unknown 字"):
        assert tokenizer(text)["input_ids"] == [*ours.encode([text])[0], 1]
    assert tokenizer.convert_tokens_to_ids(["<extra_id_0>", "<extra_id_99>"]) == [159, 60]
    assert (len(tokenizer), theirs.config.vocab_size) == (160, 256)


@pytest.mark.slow
@pytest.mark.parametrize("tied", [True, False])
def test_a_table_that_is_not_filled_up_gives_their_logits_loss_and_answers(
    tmp_path: Path, transformers: Any, tied: bool
) -> None:
    """Made by transformers, which writes `scale_decoder_outputs` for what it calls an untied softmax."""
    measures = {"d_model": 32, "d_ff": 64, "d_kv": 8, "num_heads": 4, "num_layers": 2, "dropout_rate": 0.0}
    torch.manual_seed(0)
    fixed = {"vocab_size": 101, "decoder_start_token_id": 0}
    config = transformers.T5Config(tie_word_embeddings=tied, **fixed, **measures)
    theirs = transformers.T5ForConditionalGeneration(config).eval()
    theirs.save_pretrained(tmp_path / "theirs")
    found = read_checkpoint(tmp_path / "theirs")
    ours = found.model().eval()
    assert (found.num_rows, found.size.tied) == (101, tied)
    torch.manual_seed(1)
    inputs, targets = torch.randint(2, 101, (3, 9)), torch.randint(2, 101, (3, 5))
    answer = theirs(input_ids=inputs, labels=targets)
    decoder_inputs = torch.cat([torch.zeros_like(targets[:, :1]), targets[:, :-1]], dim=1)
    logits = ours({"inputs": inputs, "decoder_inputs": decoder_inputs})
    assert (logits - answer.logits).abs().max() < 1e-4
    assert loss(logits, targets, z_loss=0.0).item() == pytest.approx(answer.loss.item(), abs=1e-4)
    their_ids = theirs.generate(inputs, do_sample=False, num_beams=1, max_new_tokens=8)[:, 1:]
    our_ids = greedy(ours, {"inputs": inputs}, 8)
    assert our_ids.tolist() == their_ids[:, : our_ids.shape[1]].tolist()
    write_checkpoint(ours, found.size, None, tmp_path / "back")
    again = transformers.T5ForConditionalGeneration.from_pretrained(tmp_path / "back").eval()
    assert torch.equal(again(input_ids=inputs, labels=targets).logits, answer.logits)
