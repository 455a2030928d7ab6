"""Hugging Face's names of a model's tensors -> ours: all encoders', and GPT's.

The matrices are stored alike, [outputs, inputs]; only the names differ.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

NORM = {"weight": "scale", "bias": "shift"}
DENSE = {"weight": "weight", "bias": "bias"}
Parts = Mapping[str, tuple[str, Mapping[str, str]]]
TABLES: Parts = {
    "word_embeddings": ("embedding", {"weight": "weight"}),
    "position_embeddings": ("position_embedding", {"weight": "weight"}),
    "token_type_embeddings": ("type_embedding", {"weight": "weight"}),
    "LayerNorm": ("embedding_norm", NORM),
}
BERT_BLOCK: Parts = {
    "attention.self.query": ("self_attention.query", DENSE),
    "attention.self.key": ("self_attention.key", DENSE),
    "attention.self.value": ("self_attention.value", DENSE),
    "attention.output.dense": ("self_attention.output", DENSE),
    "attention.output.LayerNorm": ("self_attention_norm", NORM),
    "intermediate.dense": ("feed_forward.input", DENSE),
    "output.dense": ("feed_forward.output", DENSE),
    "output.LayerNorm": ("feed_forward_norm", NORM),
}
ALBERT_BLOCK: Parts = {
    "attention.query": ("self_attention.query", DENSE),
    "attention.key": ("self_attention.key", DENSE),
    "attention.value": ("self_attention.value", DENSE),
    "attention.dense": ("self_attention.output", DENSE),
    "attention.LayerNorm": ("self_attention_norm", NORM),
    "ffn": ("feed_forward.input", DENSE),
    "ffn_output": ("feed_forward.output", DENSE),
    "full_layer_layer_norm": ("feed_forward_norm", NORM),
}
GPT_BLOCK = {
    "attn.c_proj": "self_attention.output",
    "ln_1": "self_attention_norm",
    "mlp.c_fc": "feed_forward.input",
    "mlp.c_proj": "feed_forward.output",
    "ln_2": "feed_forward_norm",
}
XLNET_MATRICES = {"q": "query", "k": "key", "v": "value", "r": "distance", "o": "output"}
XLNET_BLOCK = {
    "rel_attn.r_w_bias": "self_attention.content_bias",
    "rel_attn.r_r_bias": "self_attention.distance_bias",
    "rel_attn.r_s_bias": "self_attention.part_bias",
    "rel_attn.seg_embed": "self_attention.parts",
    "rel_attn.layer_norm.weight": "self_attention_norm.scale",
    "rel_attn.layer_norm.bias": "self_attention_norm.shift",
    "ff.layer_norm.weight": "feed_forward_norm.scale",
    "ff.layer_norm.bias": "feed_forward_norm.shift",
    **{
        f"ff.{layer}.{part}": f"feed_forward.{name}.{part}"
        for layer, name in (("layer_1", "input"), ("layer_2", "output"))
        for part in ("weight", "bias")
    },
}
BERT_HEADS: Parts = {
    "bert.pooler.dense": ("pooler", DENSE),
    "cls.predictions.transform.dense": ("masked_lm.transform", DENSE),
    "cls.predictions.transform.LayerNorm": ("masked_lm.norm", NORM),
    "cls.predictions": ("masked_lm", {"bias": "bias"}),
    "cls.seq_relationship": ("pair", DENSE),
}
ALBERT_HEADS: Parts = {
    "albert.encoder.embedding_hidden_mapping_in": ("widen", DENSE),
    "albert.pooler": ("pooler", DENSE),
    "predictions.dense": ("masked_lm.transform", DENSE),
    "predictions.LayerNorm": ("masked_lm.norm", NORM),
    "predictions": ("masked_lm", {"bias": "bias"}),
    "sop_classifier.classifier": ("pair", DENSE),
}


def bert_names(num_layers: int) -> dict[str, str]:
    """Theirs -> ours, of a BERT with so many blocks."""
    names = _named("bert.embeddings.", "", TABLES) | _named("", "", BERT_HEADS)
    for layer in range(num_layers):
        names |= _named(f"bert.encoder.layer.{layer}.", f"encoder.blocks.{layer}.", BERT_BLOCK)
    return names


def albert_names() -> dict[str, str]:
    """Theirs -> ours, of an ALBERT, whose layers share one block."""
    block = "albert.encoder.albert_layer_groups.0.albert_layers.0."
    names = _named("albert.embeddings.", "", TABLES) | _named("", "", ALBERT_HEADS)
    return names | _named(block, "encoder.blocks.0.", ALBERT_BLOCK)


def _named(theirs: str, ours: str, parts: Parts) -> dict[str, str]:
    return {
        f"{theirs}{their_part}.{their_leaf}": f"{ours}{part}.{leaf}"
        for their_part, (part, leaves) in parts.items()
        for their_leaf, leaf in leaves.items()
    }


def gpt_tensors(state: Mapping[str, Tensor], num_layers: int) -> dict[str, Tensor]:
    """The tensors of an OpenAIGPTLMHeadModel under our names: its matrices are [inputs, outputs], queries,
    keys and values side by side.
    """
    tensors = {
        "embedding.weight": state["transformer.tokens_embed.weight"],
        "position_embedding.weight": state["transformer.positions_embed.weight"],
    }
    for layer in range(num_layers):
        theirs, ours = f"transformer.h.{layer}.", f"decoder.blocks.{layer}."
        for part in ("weight", "bias"):
            joined = state[f"{theirs}attn.c_attn.{part}"].chunk(3, dim=-1)
            for name, tensor in zip(("query", "key", "value"), joined, strict=True):
                tensors[f"{ours}self_attention.{name}.{part}"] = tensor.T if part == "weight" else tensor
            for their_name, name in GPT_BLOCK.items():
                tensor = state[f"{theirs}{their_name}.{part}"]
                leaf = NORM[part] if name.endswith("norm") else part
                tensors[f"{ours}{name}.{leaf}"] = tensor.T if leaf == "weight" else tensor
    return tensors


def xlnet_tensors(state: Mapping[str, Tensor], num_layers: int) -> dict[str, Tensor]:
    """The tensors of an XLNetLMHeadModel under our names: its attention's matrices have a side a head."""
    tensors = {
        "embedding.weight": state["transformer.word_embedding.weight"],
        "telling.start": state["transformer.mask_emb"][0],
        "telling.bias": state["lm_loss.bias"],
    }
    for layer in range(num_layers):
        theirs, ours = f"transformer.layer.{layer}.", f"encoder.blocks.{layer}."
        tensors |= {f"{ours}{name}": state[f"{theirs}{other}"] for other, name in XLNET_BLOCK.items()}
        for other, name in XLNET_MATRICES.items():
            matrix = state[f"{theirs}rel_attn.{other}"].flatten(1)
            tensors[f"{ours}self_attention.{name}.weight"] = matrix if name == "output" else matrix.T
    return tensors


def copy_weights(state: Mapping[str, Tensor], names: Mapping[str, str], model: nn.Module) -> None:
    """Put the tensors of a checkpoint of theirs into a model of ours, every one of whose has to be there."""
    ours = dict(model.named_parameters())
    assert ours.keys() == set(names.values()), ours.keys() ^ set(names.values())
    with torch.no_grad():
        for their_name, name in names.items():
            ours[name].copy_(state[their_name])
