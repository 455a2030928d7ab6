"""Hugging Face BERT folder <-> architecture, size, vocabulary and named weights.

Theirs and ours have the same numbers under other names. The rows of the id table stand in our order of ids
(`data.word_pieces`), which has one more, the mark between two texts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as serialise
from torch import Tensor

from t5grid.data.special_ids import EOS, class_id, mask_id
from t5grid.data.word_pieces import LIST, NONE, TOKENIZER, WordPieces, is_word_pieces, read_word_pieces
from t5grid.files import write_whole
from t5grid.model.encoder import EncoderModel
from t5grid.model.encoder_blocks import EPSILON
from t5grid.model.encoders import NUM_TYPES, Bert
from t5grid.model.hub_folder import (
    CONFIG,
    WEIGHTS,
    as_json,
    count_of,
    entries_of,
    json_object,
    read_tensor,
    refuse_other_files,
)
from t5grid.model.huggingface_encoders import bert_names
from t5grid.model.size import Size
from t5grid.refused import Refused

FIXED = {
    "hidden_act": "gelu",
    "layer_norm_eps": EPSILON,
    "position_embedding_type": "absolute",
    "type_vocab_size": NUM_TYPES,
    "is_decoder": False,
}
"""What every BERT of its authors has in common."""
UNREAD = ("embeddings.position_ids", "cls.predictions.decoder.weight", "cls.predictions.decoder.bias")
"""Tensors that checkpoints repeat."""
BY_ID = ("embedding.weight", "masked_lm.bias")
HEADS = {"pooler": "the pooler", "masked_lm": "the head for hidden tokens", "pair": "the head for pairs"}
"""Parts that a checkpoint may lack as a whole: they start fresh."""


@dataclass(frozen=True)
class BertCheckpoint:
    """What is read of a folder; `fresh` are the parts that it does not have."""

    architecture: Bert
    size: Size
    vocabulary: bytes
    model: EncoderModel
    fresh: tuple[str, ...]


def is_bert(folder: Path) -> bool:
    """Whether a folder's config.json says that it is a BERT."""
    path = folder / CONFIG
    return path.is_file() and json_object(path).get("model_type") == "bert"


def read_bert(folder: Path) -> BertCheckpoint:
    """Check and read a folder. Raises Refused, one line."""
    refuse_other_files(folder)
    config, vocabulary = json_object(folder / CONFIG), read_word_pieces(folder)
    size, num_positions, num_rows = _measures(config, folder / CONFIG)
    pieces = WordPieces(vocabulary)
    if len(pieces.theirs) - 1 != num_rows:
        told = f"vocab_size={num_rows}: its vocabulary has {len(pieces.theirs) - 1} ids"
        raise Refused(f"{folder / CONFIG}: {told}")
    tensors, architecture = _tensors(folder, size.num_layers), Bert(num_positions)
    torch.manual_seed(0)
    model = architecture.build(size, len(pieces.theirs))
    assert isinstance(model, EncoderModel)
    fresh = _fill(model, tensors, pieces, folder)
    return BertCheckpoint(architecture, size, vocabulary, model, fresh)


def _measures(config: Mapping[str, Any], path: Path) -> tuple[Size, int, int]:
    """Size, positions and ids of a config.json."""
    for key, needed in FIXED.items():
        if config.get(key, needed) != needed:
            raise Refused(f"{path}: {key}={config[key]}: {needed} is needed, as in every BERT of its authors")
    keys = ("hidden_size", "intermediate_size", "num_attention_heads", "num_hidden_layers")
    width, d_ff, num_heads, num_layers = (count_of(config, key, path) for key in keys)
    if width % num_heads:
        raise Refused(f"{path}: hidden_size={width}: no multiple of num_attention_heads={num_heads}")
    dropout = config.get("hidden_dropout_prob", 0.1)
    if type(dropout) not in (int, float) or not 0 <= dropout < 1:
        raise Refused(f"{path}: hidden_dropout_prob={dropout}: a number from 0 up and below 1 is needed")
    size = Size(width, d_ff, width // num_heads, num_heads, num_layers, dropout=float(dropout))
    return size, count_of(config, "max_position_embeddings", path), count_of(config, "vocab_size", path)


def _tensors(folder: Path, num_layers: int) -> dict[str, Tensor]:
    """The tensors of a folder under our names, of a bare BERT or of one with heads. Raises Refused."""
    names, entries, tensors = bert_names(num_layers), entries_of(folder), dict[str, Tensor]()
    for name in sorted(entries):
        theirs = name.replace(".gamma", ".weight").replace(".beta", ".bias")
        full = theirs if theirs in names or theirs.startswith(("bert.", "cls.")) else f"bert.{theirs}"
        if full.removeprefix("bert.") in UNREAD:
            continue
        if full not in names:
            raise Refused(f"{folder}: tensor {name} {entries[name].shape} has no place in a BERT of {CONFIG}")
        tensors[names[full]] = read_tensor(entries, name)
    return tensors


def _fill(
    model: EncoderModel, tensors: Mapping[str, Tensor], pieces: WordPieces, folder: Path
) -> tuple[str, ...]:
    """Put tensors in their places; the parts that are fresh. Raises Refused for what is missing or odd."""
    theirs = torch.tensor(pieces.theirs)
    here = theirs != NONE
    given = {name.partition(".")[0] for name in tensors}
    fresh = [part for part in HEADS if part not in given]
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.partition(".")[0] in fresh:
                continue
            if name not in tensors:
                raise Refused(f"{folder}: tensor {name} {tuple(parameter.shape)}, as we call it, is missing")
            target, tensor = (parameter[here] if name in BY_ID else parameter), tensors[name]
            if target.shape != tensor.shape:
                shapes = f"{tuple(tensor.shape)}, by {CONFIG} {tuple(target.shape)}"
                raise Refused(f"{folder}: tensor {name}, as we call it, is {shapes}")
            if name in BY_ID:
                parameter[here] = tensor[theirs[here]]
            else:
                parameter.copy_(tensor)
    return tuple(HEADS[part] for part in fresh)


def write_bert(
    model: EncoderModel, architecture: Any, size: Size, vocabulary: bytes | None, folder: Path
) -> None:
    """Write what `BertForPreTraining.from_pretrained` loads, a WordPiece vocabulary in their order of ids.

    Other vocabularies keep ours. Raises Refused for another encoder than a BERT.
    """
    if type(architecture) is not Bert:
        raise Refused(f"{type(architecture).__name__}: of the encoders only BERT is written in their form")
    pieces = WordPieces(vocabulary) if vocabulary and is_word_pieces(vocabulary) else None
    order = _their_order(pieces, model.vocab_size)
    ours = dict(model.named_parameters())
    tensors = {
        theirs: (ours[name][order] if name in BY_ID else ours[name]).detach().float().contiguous()
        for theirs, name in bert_names(size.num_layers).items()
    }
    write_whole(folder / WEIGHTS, serialise(tensors, metadata={"format": "pt"}))
    if pieces and vocabulary:
        write_whole(folder / TOKENIZER, vocabulary)
        write_whole(folder / LIST, pieces.listed())
    elif vocabulary:
        write_whole(folder / "spiece.model", vocabulary)
    marks = {} if pieces else _our_marks(model.vocab_size)
    config = _config(architecture, size, len(order)) | marks
    write_whole(folder / CONFIG, as_json(config))


def _their_order(pieces: WordPieces | None, vocab_size: int) -> Tensor:
    """Our id of each of theirs."""
    if pieces is None:
        return torch.arange(vocab_size)
    return torch.tensor(pieces.theirs).argsort()[1:]  # the first is the one that theirs has not


def _our_marks(vocab_size: int) -> dict[str, int]:
    marks = {"sep_token_id": EOS, "cls_token_id": class_id(vocab_size), "mask_token_id": mask_id(vocab_size)}
    return {"pad_token_id": 0, **marks}


def _config(architecture: Bert, size: Size, num_rows: int) -> dict[str, Any]:
    """What their config.json says of a model of this size."""
    if size.d_model != size.num_heads * size.d_kv:
        inner = f"size.num_heads={size.num_heads} of size.d_kv={size.d_kv}"
        raise Refused(f"size.d_model={size.d_model}: not {inner}, as in their BERT")
    return {
        "architectures": ["BertForPreTraining"],
        "model_type": "bert",
        "hidden_size": size.d_model,
        "intermediate_size": size.d_ff,
        "num_attention_heads": size.num_heads,
        "num_hidden_layers": size.num_layers,
        "hidden_dropout_prob": size.dropout,
        "attention_probs_dropout_prob": size.dropout,
        "max_position_embeddings": architecture.num_positions,
        "vocab_size": num_rows,
        "dtype": "float32",
        **FIXED,
    }
