"""attention: the weights that give the answer, of every kind of model, kept and shown."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_vocabulary import small_vocabulary

from t5grid.config.schema import Column
from t5grid.data.vocabulary import Vocabulary
from t5grid.evaluation.attention import Attended, _weights, _weights_of_encoder, attended
from t5grid.evaluation.predict import predict
from t5grid.files import write_whole
from t5grid.model.answering import AnsweringEncoder
from t5grid.model.architectures import EncoderDecoder, EncoderDecoderShared, LanguageModel, PrefixLM
from t5grid.model.encoder_blocks import SelfAttention
from t5grid.model.encoders import Albert, Bert
from t5grid.model.ensemble import as_one
from t5grid.model.layers import Attention
from t5grid.model.size import Size
from t5grid.model.xlnet import Xlnet
from t5grid.refused import Refused
from t5grid.results.attention import (
    MOST_TEXTS,
    WHOLE,
    attention_lines,
    attention_path,
    entry_of,
    keep_attention,
    kept_attention,
)
from t5grid.tasks.answer import Class

SIZE = Size(16, 24, 8, 2, 2, dropout=0.0)
TEXT = "rive town vire"
COLUMN = Column("C", 32, 6, {})


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return Vocabulary(small_vocabulary(40))


def model_of(architecture: Any, vocabulary: Vocabulary) -> Any:
    torch.manual_seed(0)
    return architecture.build(SIZE, vocabulary.size, 0.0).eval()


@pytest.mark.parametrize("architecture", [EncoderDecoder(), EncoderDecoderShared()])
def test_an_encoder_decoder_has_three_parts_named_by_what_is_read_and_written(
    architecture: Any, vocabulary: Vocabulary
) -> None:
    model = model_of(architecture, vocabulary)
    made = attended(model, vocabulary, TEXT, COLUMN)
    assert made.answer == predict(model, vocabulary, [TEXT], COLUMN, 1)[0]
    read = len(vocabulary.encode([TEXT])[0]) + 1
    written = made.weights["cross"].shape[2]
    assert {part: weights.shape for part, weights in made.weights.items()} == {
        "encoder": (2, 2, read, read),
        "decoder": (2, 2, written, written),
        "cross": (2, 2, written, read),
    }
    for part, weights in made.weights.items():
        np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-5)
        assert (len(made.queries[part]), len(made.keys[part])) == weights.shape[2:]
    assert not np.triu(made.weights["decoder"], 1).any()
    assert made.keys["cross"] == made.queries["encoder"] and made.keys["cross"][-1] == "</s>"
    assert made.keys["decoder"][0] == "<start>" and made.keys["decoder"][1:] == made.queries["decoder"][:-1]


@pytest.mark.parametrize(("architecture", "looks_ahead"), [(LanguageModel(), False), (PrefixLM(), True)])
def test_a_single_stack_reads_and_writes_one_sequence(
    architecture: Any, looks_ahead: bool, vocabulary: Vocabulary
) -> None:
    made = attended(model_of(architecture, vocabulary), vocabulary, TEXT, COLUMN)
    (weights,) = made.weights.values()
    np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-5)
    read = len(vocabulary.encode([TEXT])[0]) + 1
    assert bool(np.triu(weights[..., :read, :read], 1).any()) == looks_ahead
    assert not np.triu(weights, 1)[..., read:, :].any()
    assert made.queries["decoder"] == made.keys["decoder"] and len(made.queries["decoder"]) > read


@pytest.mark.parametrize("architecture", [Bert(), Albert(), Xlnet()])
def test_an_encoder_attends_to_what_it_reads_alone(architecture: Any, vocabulary: Vocabulary) -> None:
    answering = AnsweringEncoder(architecture, (("t", Class(("a", "b"))),))
    model = model_of(answering, vocabulary)
    made = attended(model, vocabulary, TEXT, COLUMN, "t")
    assert made.answer in ("a", "b") and list(made.weights) == ["encoder"]
    read = len(made.queries["encoder"])
    assert made.weights["encoder"].shape == (2, 2, read, read)
    np.testing.assert_allclose(made.weights["encoder"].sum(-1), 1, atol=1e-5)


def test_what_is_shown_is_what_the_layers_compute() -> None:
    torch.manual_seed(0)
    x, bias = torch.randn(1, 5, 16), torch.randn(1, 2, 5, 5)
    layer = Attention(16, 2, 8, 0.0)
    keys, values = layer.key_values(x)
    mixed = _weights(layer, x, keys, values, bias) @ values
    by_hand = layer.output(mixed.transpose(1, 2).flatten(2))
    assert torch.allclose(by_hand, layer(x, keys, values, bias), atol=1e-5)
    other, visible = SelfAttention(16, 2, 8, 0.0), torch.ones(1, 1, 5, 5, dtype=torch.bool).tril()
    values = other.value(x).view(1, 5, 2, 8).transpose(1, 2)
    mixed = _weights_of_encoder(other, x, visible) @ values
    by_hand = other.output(mixed.transpose(1, 2).flatten(2))
    assert torch.allclose(by_hand, other(x, visible), atol=1e-5)


def test_a_model_is_left_as_it_was_and_what_has_no_attention_is_refused(vocabulary: Vocabulary) -> None:
    model = model_of(EncoderDecoder(), vocabulary)
    attended(model, vocabulary, TEXT, COLUMN)
    assert "decode_step" not in model.__dict__
    assert not any(module._forward_pre_hooks for module in model.modules())
    with pytest.raises(Refused, match="attention: an ensemble has as many as members"):
        attended(as_one([model, model]), vocabulary, TEXT, COLUMN)
    with pytest.raises(Refused, match="attention: Linear has none to show"):
        attended(torch.nn.Linear(2, 2), vocabulary, TEXT, COLUMN)


WEIGHTS = np.array([[[[1.0, 0.0], [0.25, 0.75]], [[1.0, 0.0], [0.75, 0.25]]]])
MADE = Attended("b c", {"cross": WEIGHTS}, {"cross": ["b", "cc"]}, {"cross": ["x", "yz"]})


def test_a_cell_keeps_its_last_texts_once_each(tmp_path: Path) -> None:
    identity = "evaluate/name-12ab"
    for text in [*map(str, range(MOST_TEXTS + 1)), "3"]:
        keep_attention(entry_of(MADE, text, "t", 5), identity, tmp_path)
    kept = kept_attention(identity, tmp_path)
    assert [entry["text"] for entry in kept] == ["1", "2", *map(str, range(4, MOST_TEXTS + 1)), "3"]
    (part,) = kept[0]["parts"]
    assert part["weights"][0][0] == [[WHOLE, 0], [250, 750]]
    assert (part["queries"], part["keys"]) == (["b", "cc"], ["x", "yz"])


@pytest.mark.parametrize("content", ["", "{", "[]", '{"texts": [1, {}]}'])
def test_a_file_of_no_use_is_nothing_kept(content: str, tmp_path: Path) -> None:
    write_whole(attention_path("evaluate/a", tmp_path), content)
    assert kept_attention("evaluate/a", tmp_path) == []
    assert kept_attention("evaluate/b", tmp_path) == []


def test_the_map_in_letters_is_the_mean_over_the_heads() -> None:
    assert list(attention_lines(entry_of(MADE, "x yz", "t", 5)))[3:] == [
        "From decoder to encoder: what each token that is written attends to in the input. "
        "Mean over 2 heads:",
        "layer 1, darkest 1.00",
        "   b ██  ",
        "  cc ▒▒▒▒",
        "     x y",
        "       z",
    ]
