"""Same weights, same hidden states, logits and losses as transformers' BERT and ALBERT."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_encoder
import torch

from t5grid.data.batching import one_row_each
from t5grid.data.encoder_batching import EncoderBatching
from t5grid.data.masked_lm import MaskedLM
from t5grid.data.place_targets import PAIR
from t5grid.model.encoder import EncoderModel
from t5grid.model.encoders import Albert, Bert
from t5grid.model.gpt import Gpt
from t5grid.model.huggingface_encoders import albert_names, bert_names, copy_weights, gpt_tensors
from t5grid.model.size import Size

VOCAB = 120
SIZE = Size(32, 48, 8, 4, 3, dropout=0.0)
IGNORED = -100


def bert(transformers: Any) -> tuple[EncoderModel, Any]:
    config = transformers.BertConfig(
        vocab_size=VOCAB, hidden_size=32, intermediate_size=48, num_attention_heads=4, num_hidden_layers=3,
        max_position_embeddings=40, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    ours, theirs = Bert(num_positions=40).build(SIZE, VOCAB), transformers.BertForPreTraining(config)
    copy_weights(shaken(theirs).state_dict(), bert_names(3), ours)
    return ours.eval(), theirs.eval()


def albert(transformers: Any) -> tuple[EncoderModel, Any]:
    config = transformers.AlbertConfig(
        vocab_size=VOCAB, embedding_size=12, hidden_size=32, intermediate_size=48, num_attention_heads=4,
        num_hidden_layers=3, max_position_embeddings=40, hidden_dropout_prob=0.0, classifier_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    architecture = Albert(num_positions=40, embedding_width=12, at_d_model=None)
    ours, theirs = architecture.build(SIZE, VOCAB), transformers.AlbertForPreTraining(config)
    copy_weights(shaken(theirs).state_dict(), albert_names(), ours)
    return ours.eval(), theirs.eval()


def shaken(model: torch.nn.Module) -> torch.nn.Module:
    """Weights that are far from zero, biases and norms included, so that each takes part."""
    torch.manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model


PAIRS = {"bert": bert, "albert": albert}


@pytest.fixture(params=PAIRS)
def pair(request: pytest.FixtureRequest, transformers: Any) -> tuple[EncoderModel, Any]:
    """A model of ours and one of theirs, with the same weights."""
    return PAIRS[request.param](transformers)


def batch() -> dict[str, torch.Tensor]:
    """Six rows of up to 30 ids in two segments, one example each, with targets of both kinds."""
    rng = np.random.default_rng(0)
    tokens = rng.integers(3, VOCAB - 2, (6, 27)).astype(np.int32)
    tokens[:, 20:] *= np.arange(6)[:, None] > 2
    tokens[:, [5, 11]] *= -1
    inputs, targets = MaskedLM(rate=0.3)(tokens, rng, VOCAB)
    arrays = EncoderBatching()(inputs, targets, 30, 30, packing=one_row_each)
    return {name: torch.from_numpy(array).long() for name, array in arrays.items()}


def given(ours: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The same batch as their models take it."""
    ids, is_pair = ours["inputs"], ours["heads"] == PAIR
    labels = torch.full_like(ids, IGNORED)
    for row, places in enumerate(ours["places"]):
        told = (ours["targets"][row] > 0) & ~is_pair[row]
        labels[row, places[told]] = ours["targets"][row][told]
    order = {"next_sentence_label": (ours["targets"] * is_pair).sum(dim=1) - 1, "labels": labels}
    return {"input_ids": ids, "attention_mask": (ids != 0).long(), "token_type_ids": ours["types"]} | order


def difference(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).detach().abs().max())


def test_hidden_states_logits_and_both_losses_are_those_of_transformers(
    pair: tuple[EncoderModel, Any],
) -> None:
    ours, theirs = pair
    mine = batch()
    words = given(mine)
    if "Albert" in type(theirs).__name__:
        words["sentence_order_label"] = words.pop("next_sentence_label")
    answer = theirs(**words, output_hidden_states=True)
    states = ours.states(mine)
    real = mine["inputs"] != 0
    pairs = zip(states, answer.hidden_states, strict=True)
    assert max(difference(a[real], b[real]) for a, b in pairs) < 1e-4
    logits = ours.masked_lm(states[-1], ours.embedding.weight)
    assert difference(logits[real], answer.prediction_logits[real]) < 1e-4
    order = getattr(answer, "seq_relationship_logits", None)
    order = answer.sop_logits if order is None else order
    assert difference(ours.pair(ours.pooled(states[-1][:, 0])), order) < 1e-4
    losses = ours.losses(mine)
    labels = words["labels"].view(-1)
    tokens = torch.nn.functional.cross_entropy(answer.prediction_logits.view(-1, VOCAB), labels)
    assert difference(losses["masked_lm_loss"], tokens) < 1e-4
    assert difference(losses["pair_loss"], answer.loss - tokens) < 1e-4
    assert difference(ours.loss(mine), answer.loss) < 1e-4 and answer.loss.item() > 1


ALBERT = {"hidden_size": 768, "num_attention_heads": 12, "intermediate_size": 3072}
LARGE = {
    **{"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096},
}
PUBLISHED = {
    ("bert_base", Bert()): ("BertForPreTraining", "BertConfig", {}, 110_106_428),
    ("bert_large", Bert()): ("BertForPreTraining", "BertConfig", LARGE, 336_226_108),
    ("bert_base", Albert()): ("AlbertForPreTraining", "AlbertConfig", ALBERT, 11_813_810),
}


@pytest.mark.parametrize("name, architecture", PUBLISHED)
def test_the_published_sizes_have_the_parameters_of_the_published_models(
    name: str, architecture: Bert, transformers: Any
) -> None:
    from t5grid.config.schema import load_cell

    model, config, more, number = PUBLISHED[name, architecture]
    size = load_cell([f"size={name}"]).size
    vocab_size = 30_000 if isinstance(architecture, Albert) else 30_522
    assert architecture.num_parameters(size, vocab_size)["total"] == number
    with torch.device("meta"):
        theirs = getattr(transformers, model)(getattr(transformers, config)(**more))
    assert sum(parameter.numel() for parameter in theirs.parameters()) == number


def test_states_logits_and_loss_of_gpt_are_those_of_openai_gpt(transformers: Any) -> None:
    config = transformers.OpenAIGPTConfig(
        vocab_size=VOCAB, n_positions=40, n_embd=32, n_layer=3, n_head=4, resid_pdrop=0.0, embd_pdrop=0.0,
        attn_pdrop=0.0,
    )  # fmt: skip
    size = Size(32, 128, 8, 4, 3, dropout=0.0)
    ours, theirs = Gpt(num_positions=40).build(size, VOCAB).eval(), transformers.OpenAIGPTLMHeadModel(config)
    tensors = gpt_tensors(shaken(theirs).state_dict(), 3)
    copy_weights(tensors, {name: name for name in tensors}, ours)
    ids = torch.randint(3, VOCAB, (4, 21))
    batch = {"decoder_inputs": ids[:, :-1], "targets": ids[:, 1:]}
    answer = theirs.eval()(ids, labels=ids, output_hidden_states=True)
    pairs = zip(ours.states(batch), answer.hidden_states, strict=True)
    assert max(difference(a, b[:, :-1]) for a, b in pairs) < 1e-4
    assert difference(ours(batch), answer.logits[:, :-1]) < 1e-4
    assert difference(ours.loss(batch), answer.loss) < 1e-4 and answer.loss.item() > 1


def test_gpt_has_the_parameters_of_the_first_one(transformers: Any) -> None:
    from t5grid.config.schema import load_cell

    with torch.device("meta"):
        theirs = transformers.OpenAIGPTLMHeadModel(transformers.OpenAIGPTConfig())
    number = sum(parameter.numel() for parameter in theirs.parameters())
    assert Gpt().num_parameters(load_cell(["size=bert_base"]).size, 40_478)["total"] == number == 116_534_784


def test_an_imported_bert_without_heads_has_the_states_of_their_bert_model(
    transformers: Any, tmp_path: Path
) -> None:
    from t5grid.data.reading import LayerReading
    from t5grid.data.vocabulary import Vocabulary
    from t5grid.model.huggingface_bert import read_bert
    from t5grid.tasks.answer import Class

    read = read_bert(small_encoder.bare_bert(tmp_path / "theirs"))
    theirs = transformers.BertModel.from_pretrained(tmp_path / "theirs").eval()
    fast = transformers.BertTokenizerFast(str(tmp_path / "theirs" / "vocab.txt"))
    pairs = [("Anna is a baker.", "who left the mill?"), ("the mill", "of")]
    words = fast(*zip(*pairs, strict=True), padding=True, return_tensors="pt")
    answer = theirs(**words, output_hidden_states=True)
    reading = LayerReading(
        Vocabulary(read.vocabulary), 40, {"t": Class(("a", "b"), first="a:", second="b:")}, bare=True
    )
    ids = reading.encode("t", [f"a: {first} b: {second}" for first, second in pairs])
    mine = {"inputs": torch.from_numpy(reading.batch("t", ids)["inputs"]).long()}
    real = words["attention_mask"].bool()
    model = read.model.eval()
    states = model.states(mine)
    assert max(difference(a[real], b[real]) for a, b in zip(states, answer.hidden_states, strict=True)) < 1e-4
    assert difference(model.pooled(states[-1][:, 0]), answer.pooler_output) < 1e-4
    assert read.fresh == ("the head for hidden tokens", "the head for pairs")
