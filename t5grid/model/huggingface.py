"""Hugging Face T5 folder <-> size and named weights: config.json and safetensors.

Their T5 and T5 v1.1 are our encoder-decoder: the same numbers under other names, the position table
transposed. Everything is checked before a weight is read, each complaint one line. Pickled checkpoints are
refused, as reading one can run code.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as serialise
from torch import nn

from t5grid.files import write_whole
from t5grid.model.hub_folder import (
    CONFIG,
    FLOATS,
    WEIGHTS,
    Entry,
    as_json,
    count_of,
    entries_of,
    json_object,
    read_tensor,
    refuse_other_files,
)
from t5grid.model.size import FeedForward, Size, fits_table
from t5grid.model.transformer import EncoderDecoderModel
from t5grid.refused import Refused

VOCABULARY = "spiece.model"
TOKENIZER = {
    "tokenizer_class": "T5Tokenizer",
    "extra_ids": 100,
    "pad_token": "<pad>",
    "eos_token": "</s>",
    "unk_token": "<unk>",
}

SUBLAYERS = {
    "encoder": ("self_attention", "feed_forward"),
    "decoder": ("self_attention", "cross_attention", "feed_forward"),
}
THEIR_LAYER = {
    "self_attention": "SelfAttention",
    "cross_attention": "EncDecAttention",
    "feed_forward": "DenseReluDense",
}
ATTENTION = {"query": "q", "key": "k", "value": "v", "output": "o"}
FEED_FORWARD = {
    "relu": {"input": "wi", "output": "wo"},
    "gated_gelu": {"gate": "wi_0", "input": "wi_1", "output": "wo"},
}
FEED_FORWARD_NAMES: dict[str, FeedForward] = {"relu": "relu", "gated-gelu": "gated_gelu"}  # theirs -> ours
MEASURES = ("d_model", "d_ff", "d_kv", "num_heads", "num_layers")
# What every T5 of the study has in common.
FIXED = {
    "layer_norm_epsilon": 1e-6,
    "relative_attention_num_buckets": 32,
    "relative_attention_max_distance": 128,
    "pad_token_id": 0,
    "eos_token_id": 1,
    "decoder_start_token_id": 0,
}
# Tensors that checkpoints repeat, and one that early ones hold and no model reads.
ALIASES = ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "lm_head.weight")
UNREAD = ("decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight",)


def tensor_names(size: Size) -> dict[str, str]:
    """Our name -> theirs of every tensor of a model of this size."""
    names = {"embedding.weight": "shared.weight"}
    for stack, num_blocks in (("encoder", size.num_layers), ("decoder", size.decoder_layers)):
        table = f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
        names |= {
            f"{stack}.position_bias.table": table,
            f"{stack}.norm.scale": f"{stack}.final_layer_norm.weight",
        }
        for block in range(num_blocks):
            names |= _block_names(stack, block, size.feed_forward)
    return names if size.tied else names | {"softmax.weight": "lm_head.weight"}


def _block_names(stack: str, block: int, feed_forward: str) -> dict[str, str]:
    names = {}
    for i, layer in enumerate(SUBLAYERS[stack]):
        ours, theirs = f"{stack}.blocks.{block}.{layer}", f"{stack}.block.{block}.layer.{i}"
        names[f"{ours}_norm.scale"] = f"{theirs}.layer_norm.weight"
        parts = FEED_FORWARD[feed_forward] if layer == "feed_forward" else ATTENTION
        for part, their_part in parts.items():
            names[f"{ours}.{part}.weight"] = f"{theirs}.{THEIR_LAYER[layer]}.{their_part}.weight"
    return names


@dataclass(frozen=True)
class Checkpoint:
    """A checked folder of theirs: the size it describes, where each tensor is, and its vocabulary if any."""

    folder: Path
    size: Size
    num_rows: int
    entries: dict[str, Entry]
    vocabulary: bytes | None

    @property
    def vocab_size(self) -> int:
        """Ids with sentinels; without a vocabulary, all rows of the id table."""
        return _vocab_size(self.vocabulary) if self.vocabulary else self.num_rows

    def model(self) -> EncoderDecoderModel:
        """The model, in single precision."""
        model = EncoderDecoderModel(self.size, self.vocab_size, num_rows=self.num_rows)
        names = tensor_names(self.size)
        with torch.no_grad():
            for ours, parameter in model.named_parameters():
                tensor = read_tensor(self.entries, names[ours])
                parameter.copy_(tensor.t() if _is_transposed(ours) else tensor)
        return model


def read_checkpoint(folder: Path) -> Checkpoint:
    """Check a folder's config, names, shapes and vocabulary. Raises Refused, one line."""
    refuse_other_files(folder)
    config = json_object(folder / CONFIG)
    size, num_rows = _size(config, folder / CONFIG)
    entries = entries_of(folder)
    if _shares_unscaled(config) and "shared.weight" in entries:
        entries.setdefault("lm_head.weight", entries["shared.weight"])
    _check_tensors(folder, entries, size, num_rows)
    file = folder / VOCABULARY
    vocabulary = file.read_bytes() if file.is_file() else None
    number = _vocab_size(vocabulary, file) if vocabulary else num_rows
    if not fits_table(number, num_rows):
        told = f"{number} ids with sentinels, not what tensor shared.weight of {num_rows} rows is for"
        raise Refused(f"{file}: {told}")
    return Checkpoint(folder, size, num_rows, entries, vocabulary)


def write_checkpoint(model: nn.Module, size: Size, vocabulary: bytes | None, folder: Path) -> None:
    """Write what `T5ForConditionalGeneration.from_pretrained` loads. Raises Refused for other models.

    The number of blocks is the model's own: an architecture may build fewer than the size says.
    """
    if type(model) is not EncoderDecoderModel:
        raise Refused(
            f"a {type(model).__name__} has no twin in Hugging Face's T5: only an encoder-decoder has"
        )
    assert model.encoder is not None
    size = replace(size, num_layers=len(model.encoder.blocks), num_decoder_layers=len(model.decoder.blocks))
    names, tensors = tensor_names(size), {}
    for ours, parameter in model.named_parameters():
        if ours not in names:
            raise Refused(f"tensor {ours} {tuple(parameter.shape)} has no place in Hugging Face's T5")
        tensor = parameter.detach().float()
        tensors[names[ours]] = (tensor.t() if _is_transposed(ours) else tensor).contiguous()
    write_whole(folder / WEIGHTS, serialise(tensors, metadata={"format": "pt"}))
    rows = len(tensors["shared.weight"])
    if vocabulary:
        write_whole(folder / VOCABULARY, vocabulary)
        write_whole(folder / "tokenizer_config.json", as_json(TOKENIZER))
    write_whole(folder / CONFIG, as_json(_config(size, rows)))


def _size(config: Mapping[str, Any], path: Path) -> tuple[Size, int]:
    """The measures in a config.json, and the rows of its id table."""
    if config.get("model_type") != "t5":
        raise Refused(f"{path}: model_type={config.get('model_type')}: only t5 and bert can be read")
    for key, needed in FIXED.items():
        if config.get(key, needed) != needed:
            raise Refused(f"{path}: {key}={config[key]}: {needed} is needed, as in every T5 of the study")
    feed_forward, dropout = config.get("feed_forward_proj", "relu"), config.get("dropout_rate", 0.1)
    if feed_forward not in tuple(FEED_FORWARD_NAMES):
        raise Refused(f"{path}: feed_forward_proj={feed_forward}: relu or gated-gelu is needed")
    if type(dropout) not in (int, float) or not 0 <= dropout < 1:
        raise Refused(f"{path}: dropout_rate={dropout}: a number from 0 up and below 1 is needed")
    measures: dict[str, Any] = {key: count_of(config, key, path) for key in MEASURES}
    decoder = config.get("num_decoder_layers")
    decoder = None if decoder is None else count_of(config, "num_decoder_layers", path)
    size = Size(
        **measures,
        num_decoder_layers=None if decoder == measures["num_layers"] else decoder,
        feed_forward=FEED_FORWARD_NAMES[feed_forward],
        tied=_is_tied(config, path),
        dropout=float(dropout),
    )
    return size, count_of(config, "vocab_size", path)


def _is_tied(config: Mapping[str, Any], path: Path) -> bool:
    """Whether the softmax is the id table; transformers 5 says it by the factor, not by the tie."""
    for key in ("tie_word_embeddings", "scale_decoder_outputs"):
        if type(config.get(key, True)) is not bool:
            raise Refused(f"{path}: {key}={config[key]}: true or false is needed")
    return config.get("scale_decoder_outputs", config.get("tie_word_embeddings", True))


def _shares_unscaled(config: Mapping[str, Any]) -> bool:
    """Whether transformers 5 takes the id table for a softmax that is absent, without the factor."""
    return config.get("scale_decoder_outputs") is False and config.get("tie_word_embeddings", True)


def _check_tensors(folder: Path, entries: Mapping[str, Entry], size: Size, num_rows: int) -> None:
    """The names and shapes must be those of the config; what is repeated must be equal."""
    for stack, num_blocks in (("encoder", size.num_layers), ("decoder", size.decoder_layers)):
        _check_deepest(folder, entries, f"{stack}.block.{num_blocks - 1}", (size.d_model,))
    wanted = dict(_shapes(size, num_rows))
    for name, shape in wanted.items():
        if name not in entries:
            raise Refused(f"{folder}: tensor {name} is missing: {shape} by {CONFIG}, none is there")
        if entries[name].shape != shape:
            raise Refused(f"{folder}: tensor {name} is {entries[name].shape}, by {CONFIG} {shape}")
        if entries[name].dtype not in FLOATS:
            raise Refused(f"{folder}: tensor {name} {shape} is {entries[name].dtype}: not a floating type")
    for name in sorted(entries.keys() - wanted.keys() - set(UNREAD)):
        shape = entries[name].shape
        if name not in ALIASES:
            raise Refused(
                f"{folder}: tensor {name} {shape} has no place in the T5 of {CONFIG}, which has none"
            )
        if shape != wanted["shared.weight"] or not torch.equal(
            read_tensor(entries, name), read_tensor(entries, "shared.weight")
        ):
            raise Refused(f"{folder}: tensor {name} {shape} is not shared.weight, to which {CONFIG} ties it")


def _check_deepest(folder: Path, entries: Mapping[str, Entry], block: str, shape: tuple[int, ...]) -> None:
    """Before a model of any depth that a config may say is built."""
    name = f"{block}.layer.0.layer_norm.weight"
    if name not in entries:
        raise Refused(f"{folder}: tensor {name} is missing: {shape} by {CONFIG}, none is there")


def _shapes(size: Size, num_rows: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Their name and shape of every tensor of a model of this size."""
    with torch.device("meta"):
        model = EncoderDecoderModel(size, 1)
    names = tensor_names(size)
    for ours, parameter in model.named_parameters():
        shape = tuple(parameter.shape)
        if names[ours] in ("shared.weight", "lm_head.weight"):
            shape = (num_rows, size.d_model)
        yield names[ours], shape[::-1] if _is_transposed(ours) else shape


def _is_transposed(ours: str) -> bool:
    return ours.endswith("position_bias.table")


def _vocab_size(model: bytes, path: Path | None = None) -> int:
    from t5grid.data.vocabulary import Vocabulary

    return (Vocabulary(model) if path is None else Vocabulary.read(path)).size


def _config(size: Size, num_rows: int) -> dict[str, Any]:
    """What their config.json says of a model of this size."""
    theirs = {ours: theirs for theirs, ours in FEED_FORWARD_NAMES.items()}
    return {
        "architectures": ["T5ForConditionalGeneration"],
        "model_type": "t5",
        "is_encoder_decoder": True,
        **{key: getattr(size, key) for key in MEASURES},
        "num_decoder_layers": size.decoder_layers,
        "feed_forward_proj": theirs[size.feed_forward],
        "tie_word_embeddings": size.tied,
        "dropout_rate": size.dropout,
        "vocab_size": num_rows,
        "dtype": "float32",
        **FIXED,
    }
