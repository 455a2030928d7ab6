"""Hugging Face T5 folders: the same answers, the same bytes again, and one line for whatever is wrong."""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from small_vocabulary import small_vocabulary

from t5grid.model import architectures
from t5grid.model.decoding import beam_decode, greedy
from t5grid.model.huggingface import read_checkpoint, tensor_names, write_checkpoint
from t5grid.model.loss import loss
from t5grid.model.size import Size
from t5grid.model.transformer import EncoderDecoderModel

TINY = Size(32, 64, 8, 4, 2)
V1_1 = replace(TINY, feed_forward="gated_gelu", tied=False)
VERSIONS = {"v1_0": TINY, "v1_1": V1_1}


def model(size: Size = TINY, vocab_size: int = 128) -> EncoderDecoderModel:
    torch.manual_seed(0)
    return EncoderDecoderModel(size, vocab_size).eval()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small T5 in Hugging Face's form."""
    write_checkpoint(model(), TINY, None, tmp_path / "t5")
    return tmp_path / "t5"


# --- equal to Hugging Face


@pytest.mark.parametrize("version", VERSIONS)
def test_a_checkpoint_gives_their_encoder_states_logits_and_loss(goldens: Path, version: str) -> None:
    source = goldens / f"tiny_t5_{version}"
    found = read_checkpoint(source)
    assert (found.size, found.vocab_size) == (VERSIONS[version], 128)
    read, arrays = found.model().eval(), np.load(source / "io.npz")
    seen = arrays["attention_mask"] > 0
    inputs, labels = torch.from_numpy(arrays["input_ids"] * seen), torch.from_numpy(arrays["labels"])
    encoded = read.encode(inputs)[0].detach().numpy()
    np.testing.assert_allclose(encoded[seen], arrays["encoder_last_hidden_state"][seen], atol=1e-4)
    logits = read({"inputs": inputs, "decoder_inputs": torch.from_numpy(arrays["decoder_input_ids"])})
    np.testing.assert_allclose(logits.detach().numpy(), arrays["logits"], atol=1e-4)
    value = loss(logits, labels, z_loss=0.0, per_token=True)
    assert value.item() == pytest.approx(float(arrays["loss"]), abs=1e-5)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_checkpoint_answers_as_theirs_greedily_and_as_the_study_s_beam_search(
    goldens: Path, version: str
) -> None:
    source = goldens / f"tiny_t5_{version}"
    expected, arrays = json.loads((source / "expected.json").read_text()), np.load(source / "io.npz")
    read = read_checkpoint(source).model().eval()
    batch = {"inputs": torch.from_numpy(arrays["input_ids"] * arrays["attention_mask"])}
    answers = greedy(read, batch, 12).tolist()
    assert answers == [row[1 : len(answers[0]) + 1] for row in expected["generate"]["greedy"]]
    best = expected["generate"]["original search, beams 4, alpha 0.6"]
    found = beam_decode(read, batch, 12, 4, 0.6).tolist()
    assert [[i for i in row if i] for row in found] == [case["sequence"] for case in best]


@pytest.mark.parametrize("version", VERSIONS)
def test_their_files_are_written_again_tensor_for_tensor(goldens: Path, tmp_path: Path, version: str) -> None:
    source = goldens / f"tiny_t5_{version}"
    found = read_checkpoint(source)
    write_checkpoint(found.model(), found.size, None, tmp_path)
    before, after = (load_file(each / "model.safetensors") for each in (source, tmp_path))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    config, theirs = (json.loads((each / "config.json").read_text()) for each in (tmp_path, source))
    assert {key: theirs.get(key, value) for key, value in config.items()} == config


# --- names and sizes


@pytest.mark.parametrize("size", [TINY, V1_1, replace(TINY, num_decoder_layers=1)])
def test_every_tensor_has_one_name_of_theirs(size: Size) -> None:
    names = tensor_names(size)
    assert list(names) != [] and set(names) == {name for name, _ in model(size).named_parameters()}
    assert len(set(names.values())) == len(names)


@pytest.mark.parametrize(
    "size", [TINY, V1_1, replace(TINY, num_decoder_layers=1), replace(TINY, d_kv=5, dropout=0.0)]
)
def test_what_is_written_is_read_as_the_same_model(tmp_path: Path, size: Size) -> None:
    before = model(size)
    write_checkpoint(before, size, None, tmp_path)
    found = read_checkpoint(tmp_path)
    assert found.size == size
    after = found.model().state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.state_dict().items())


def test_shards_read_as_one_file(folder: Path) -> None:
    before = read_checkpoint(folder).model().state_dict()
    in_shards(folder)
    after = read_checkpoint(folder).model().state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


def in_shards(folder: Path) -> dict[str, str]:
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    files = {name: f"part-{i % 3}.safetensors" for i, name in enumerate(sorted(tensors))}
    for file in set(files.values()):
        save_file({name: tensors[name] for name in files if files[name] == file}, folder / file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": files}))
    return files


def test_half_precision_is_read_as_single(folder: Path) -> None:
    tensors = {name: each.bfloat16() for name, each in load_file(folder / "model.safetensors").items()}
    save_file(tensors, folder / "model.safetensors")
    weight = read_checkpoint(folder).model().embedding.weight
    assert weight.dtype == torch.float32 and torch.equal(weight, tensors["shared.weight"].float())


def test_tensors_that_a_checkpoint_repeats_are_taken_once(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    unread = "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"
    tensors |= {
        name: tensors["shared.weight"].clone() for name in ("lm_head.weight", "encoder.embed_tokens.weight")
    }
    save_file(tensors | {unread: torch.zeros(32, 4)}, folder / "model.safetensors")
    assert read_checkpoint(folder).size == TINY


def test_a_softmax_that_transformers_5_shares_without_the_factor_is_the_id_table(tmp_path: Path) -> None:
    write_checkpoint(model(TINY), TINY, None, tmp_path)
    change_config(tie_word_embeddings=True, scale_decoder_outputs=False)(tmp_path)
    found = read_checkpoint(tmp_path)
    read = found.model()
    assert not found.size.tied and torch.equal(read.softmax.weight, read.embedding.weight)
    assert read.softmax.weight is not read.embedding.weight


def test_what_transformers_5_says_of_an_untied_softmax_is_understood(tmp_path: Path) -> None:
    write_checkpoint(model(V1_1), V1_1, None, tmp_path)
    change_config(tie_word_embeddings=True, scale_decoder_outputs=False)(tmp_path)
    assert read_checkpoint(tmp_path).size == V1_1


# --- vocabularies


def test_a_vocabulary_comes_along_with_its_sentinels_below_the_padding(tmp_path: Path) -> None:
    vocabulary = small_vocabulary(40)
    write_checkpoint(model(vocab_size=140), TINY, vocabulary, tmp_path)
    found = read_checkpoint(tmp_path)
    assert (found.vocab_size, found.num_rows, found.vocabulary) == (140, 256, vocabulary)
    assert json.loads((tmp_path / "config.json").read_text())["vocab_size"] == 256
    assert found.model().vocab_size == 140


# --- what has no twin


def test_an_architecture_without_a_twin_says_so(tmp_path: Path) -> None:
    class Other(EncoderDecoderModel):
        pass

    with pytest.raises(ValueError, match="a Other has no twin in Hugging Face's T5: only an encoder-decoder"):
        write_checkpoint(Other(TINY, 128), TINY, None, tmp_path)


def test_a_model_with_more_than_a_t5_says_what(tmp_path: Path) -> None:
    more = model()
    more.decoder.blocks[0].adapter = torch.nn.Linear(3, 2, bias=False)
    with pytest.raises(ValueError, match=r"tensor decoder\.blocks\.0\.adapter\.weight \(2, 3\) has no place"):
        write_checkpoint(more, TINY, None, tmp_path)


# --- bad input


def change_config(**changes: Any) -> Callable[[Path], Any]:
    def change(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text()) | changes
        (folder / "config.json").write_text(json.dumps(config))

    return change


def change_tensors(changes: dict[str, torch.Tensor | None]) -> Callable[[Path], Any]:
    def change(folder: Path) -> None:
        tensors = load_file(folder / "model.safetensors") | changes
        save_file({k: v for k, v in tensors.items() if v is not None}, folder / "model.safetensors")

    return change


def cut(length: int) -> Callable[[Path], Any]:
    def change(folder: Path) -> None:
        file = folder / "model.safetensors"
        file.write_bytes(file.read_bytes()[:length])

    return change


def without_a_shard(folder: Path) -> None:
    in_shards(folder)
    (folder / "part-1.safetensors").unlink()


def with_a_wrong_index(folder: Path) -> None:
    files = in_shards(folder) | {"lm_head.weight": "part-0.safetensors"}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": files}))


def elsewhere(folder: Path) -> None:
    in_shards(folder)
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {"a": "../x.safetensors"}}')


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


Q = "encoder.block.0.layer.0.SelfAttention.q.weight"
NORM = "decoder.final_layer_norm.weight"
WRONG = [
    (change_tensors({Q: None}), f"tensor {Q} is missing: (32, 32) by config.json, none is there"),
    (change_tensors({Q: torch.zeros(32, 8)}), f"tensor {Q} is (32, 8), by config.json (32, 32)"),
    (change_tensors({"more": torch.zeros(3, 2)}), "tensor more (3, 2) has no place in the T5 of config.json"),
    (change_tensors({NORM: torch.zeros(32, dtype=torch.int8)}), f"tensor {NORM} (32,) is I8: not a floating"),
    (
        change_tensors({"lm_head.weight": torch.zeros(128, 32)}),
        "tensor lm_head.weight (128, 32) is not shared.w",
    ),
    (change_config(vocab_size=256), "tensor shared.weight is (128, 32), by config.json (256, 32)"),
    (change_config(d_ff=65), "DenseReluDense.wi.weight is (64, 32), by config.json (65, 32)"),
    (change_config(num_layers=3), "tensor encoder.block.2.layer.0.layer_norm.weight is missing: (32,)"),
    (change_config(num_layers=10**9), "tensor encoder.block.999999999.layer.0.layer_norm.weight is missing:"),
    (
        change_config(num_decoder_layers=1),
        "tensor decoder.block.1.layer.0.SelfAttention.k.weight (32, 32) has no",
    ),
    (change_config(feed_forward_proj="gated-gelu"), "DenseReluDense.wi_0.weight is missing: (64, 32)"),
    (change_config(tie_word_embeddings=False), "tensor lm_head.weight is missing: (128, 32)"),
    (
        change_config(feed_forward_proj="gated-silu"),
        "feed_forward_proj=gated-silu: relu or gated-gelu is needed",
    ),
    (change_config(feed_forward_proj=["relu"]), "feed_forward_proj=['relu']: relu or gated-gelu is needed"),
    (change_config(dropout_rate=None), "config.json: dropout_rate=None: a number from 0 up and below 1"),
    (change_config(dropout_rate="0.1x"), "config.json: dropout_rate=0.1x: a number from 0 up and below 1"),
    (change_config(dropout_rate=2), "config.json: dropout_rate=2: a number from 0 up and below 1"),
    (change_config(tie_word_embeddings="no"), "tie_word_embeddings=no: true or false is needed"),
    (change_config(scale_decoder_outputs=None), "scale_decoder_outputs=None: true or false is needed"),
    (change_config(model_type="mt5"), "config.json: model_type=mt5: only t5 and bert can be read"),
    (change_config(d_model="32"), "config.json: d_model=32: a whole number from 1 up is needed"),
    (change_config(vocab_size=None), "config.json: vocab_size=None: a whole number from 1 up is needed"),
    (change_config(layer_norm_epsilon=1e-5), "config.json: layer_norm_epsilon=1e-05: 1e-06 is needed"),
    (lambda folder: (folder / "config.json").write_text("{"), "config.json: not JSON (Expecting property"),
    (lambda folder: (folder / "config.json").write_text("[]"), "config.json: a JSON object is needed"),
    (lambda folder: (folder / "config.json").unlink(), "config.json: No such file"),
    (lambda folder: (folder / "model.safetensors").unlink(), "model.safetensors: No such file"),
    (cut(20_000), "cut short: tensor "),
    (cut(200), "model.safetensors: cut short, or not a safetensors file: its header cannot be read"),
    (cut(0), "model.safetensors: cut short, or not a safetensors file"),
    (without_a_shard, "part-1.safetensors: No such file"),
    (
        with_a_wrong_index,
        "part-0.safetensors: tensor lm_head.weight is missing, though model.safetensors.index",
    ),
    (elsewhere, "../x.safetensors: a shard lies in the same folder"),
    (pickled, "pickled checkpoints are refused, as they can run code; give safetensors"),
    (
        lambda folder: (folder / "spiece.model").write_bytes(small_vocabulary(140)),
        "240 ids with sentinels, not what tensor",
    ),
    (lambda folder: (folder / "spiece.model").write_bytes(b"no"), "spiece.model: not a SentencePiece model"),
    (shutil.rmtree, "t5: a folder with config.json and model.safetensors is needed"),
]


@pytest.mark.parametrize(("change", "fragment"), WRONG, ids=[fragment for _, fragment in WRONG])
def test_a_wrong_folder_is_refused_in_one_line(folder: Path, change: Callable, fragment: str) -> None:
    change(folder)
    with pytest.raises(ValueError) as caught:
        read_checkpoint(folder)
    assert fragment in str(caught.value) and "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)


def test_a_file_cut_short_names_the_tensor_its_shape_and_the_bytes(folder: Path) -> None:
    cut(20_000)(folder)
    found = r"cut short: tensor [a-zA-Z_.0-9]+ \(\d+, \d+\) ends at byte \d+, the file at 20000$"
    with pytest.raises(ValueError, match=found):
        read_checkpoint(folder)


def test_a_pickle_given_by_name_is_refused() -> None:
    with pytest.raises(ValueError, match=re.escape("t5/pytorch_model.bin: pickled checkpoints are refused")):
        read_checkpoint(Path("t5/pytorch_model.bin"))


@pytest.mark.parametrize("size", VERSIONS.values(), ids=VERSIONS)
@pytest.mark.parametrize("num_rows", [140, 150, 256])
def test_a_table_of_any_number_of_rows_is_read_and_written_again(
    tmp_path: Path, size: Size, num_rows: int
) -> None:
    """Of 140 ids with sentinels; 32,100 is as common as 32,128."""
    write_checkpoint(unfilled(size, num_rows), size, small_vocabulary(40), tmp_path / "t5")
    found = read_checkpoint(tmp_path / "t5")
    assert (found.vocab_size, found.num_rows) == (140, num_rows)
    write_checkpoint(found.model(), found.size, found.vocabulary, tmp_path / "again")
    before, after = (load_file(tmp_path / each / "model.safetensors") for each in ("t5", "again"))
    assert len(before["shared.weight"]) == num_rows and before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("size", VERSIONS.values(), ids=VERSIONS)
def test_a_row_that_a_table_lacks_gets_no_probability(tmp_path: Path, size: Size) -> None:
    write_checkpoint(unfilled(size, 140), size, None, tmp_path)
    read = read_checkpoint(tmp_path).model().eval()
    batch = {"inputs": torch.tensor([[5, 139, 1]]), "decoder_inputs": torch.tensor([[0, 7]])}
    logits = read(batch)
    assert logits.shape == (1, 2, 140)
    targets = torch.tensor([[7, 139]])
    expected = torch.nn.functional.cross_entropy(logits[0], targets[0])
    assert loss(logits, targets, z_loss=0.0).item() == pytest.approx(expected.item(), abs=1e-6)
    assert greedy(read, batch, 4).max() < 140 and beam_decode(read, batch, 4, 2).max() < 140


def unfilled(size: Size, num_rows: int) -> EncoderDecoderModel:
    torch.manual_seed(0)
    return EncoderDecoderModel(size, 140, num_rows=num_rows).eval()


@pytest.mark.parametrize("num_rows", [139, 257])
def test_a_table_without_a_row_for_each_id_is_refused(tmp_path: Path, num_rows: int) -> None:
    write_checkpoint(unfilled(TINY, num_rows), TINY, small_vocabulary(40), tmp_path)
    expected = f"spiece.model: 140 ids with sentinels, not what tensor shared.weight of {num_rows} rows"
    with pytest.raises(ValueError, match=expected):
        read_checkpoint(tmp_path)


def test_the_measures_of_the_published_checkpoints_are_those_of_our_options() -> None:
    """What `size=small` has to be for the public t5-small to start from: 60,506,624 numbers."""
    small = Size(512, 2048, 64, 8, 6)
    assert architectures.EncoderDecoder().num_parameters(small, 32_100)["total"] == 60_506_624
