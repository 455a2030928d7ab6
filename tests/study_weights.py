"""The weights and arrays of the study's own model code (the `arch_*` goldens), under our names."""

import re

import numpy as np
import torch

# The last part of a name in the study's code, and in Hugging Face's, -> ours.
LAYERS = {
    "SelfAttention": "self_attention",
    "EncDecAttention": "cross_attention",
    "DenseReluDense": "feed_forward",
    "q": "query",
    "k": "key",
    "v": "value",
    "o": "output",
    "wi": "input",
    "wi_0": "gate",
    "wi_1": "input",
    "wo": "output",
}
# Sublayers of a stack by number; the shared model names its own.
SUBLAYERS = {
    "encoder": ("self_attention", "feed_forward"),
    "decoder": ("self_attention", "cross_attention", "feed_forward"),
    "transformer": ("self_attention", "feed_forward"),
}
SHARED = {
    "self_attention": "self_attention",
    "enc_dec_attention": "cross_attention",
    "dense_relu_dense": "feed_forward",
}
STACKS = {"transformer": "decoder"}  # a decoder without encoder is a decoder to us


def name_in_t5grid(stack, block, layer, parts):
    """`layer` is a number, or the shared model's word."""
    sublayer = SHARED[layer] if layer in SHARED else SUBLAYERS[stack][int(layer)]
    stack = STACKS.get(stack, stack)
    if "relative_attention_bias" in parts:
        return f"{stack}.position_bias.table"
    if "rms_norm" in parts or "layer_norm" in parts:
        return f"{stack}.blocks.{block}.{sublayer}_norm.scale"
    return f"{stack}.blocks.{block}." + ".".join([LAYERS[parts[0]], LAYERS[parts[1]], "weight"])


def from_study(weights):
    state = {}
    for name, value in weights.items():
        if name.endswith("/embedding"):
            state["embedding.weight"] = value
        elif found := re.fullmatch(r"(\w+)/block_(\d+)/(?:layer_)?(\w+?)/(.*)", name):
            parts = found[4].split("/")
            ours = name_in_t5grid(found[1], int(found[2]), found[3], parts)
            state[ours] = value.T if value.ndim == 2 and "relative_attention_bias" not in parts else value
        elif name == "decoder/logits/kernel":
            state["softmax.weight"] = value.T
        else:
            stack = name.split("/")[0]
            state[STACKS.get(stack, stack) + ".norm.scale"] = value
    return {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in state.items()}


def study_arrays(goldens, name):
    """Inputs (as long tensors), outputs (as arrays) and our state of one golden."""
    arrays = np.load(goldens / f"arch_{name}.npz")
    of = {part: {} for part in ("in", "out", "weight")}
    for key in arrays.files:
        part, _, rest = key.partition("|")
        of[part][rest] = arrays[key]
    given = {key: torch.from_numpy(value).long() for key, value in of["in"].items()}
    return given, of["out"], from_study(of["weight"])


def shifted(targets, segments=None):
    decoder_inputs = torch.cat([torch.zeros_like(targets[:, :1]), targets[:, :-1]], dim=1)
    if segments is not None:
        decoder_inputs[:, 1:][segments[:, 1:] != segments[:, :-1]] = 0
    return decoder_inputs
