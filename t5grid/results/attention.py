"""what a fine-tuned model attends to -> a file beside the records, and text to look at."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from t5grid.files import read_json, write_whole

MOST_TEXTS = 10
"""Texts kept of one cell: the last that were asked for."""

WHOLE = 1000
"""What the weights of a query sum up to in a file, up to rounding."""

SHADES = " ░▒▓█"
PARTS = {
    "encoder": "Encoder: what each token that is read attends to",
    "decoder": "Decoder: what each token that is written attends to among those before it",
    "cross": "From decoder to encoder: what each token that is written attends to in the input",
}


def attention_path(identity: str, results: Path) -> Path:
    """Where the attention of an evaluation's model is kept."""
    return results / "attention" / f"{identity.partition('/')[2]}.json"


def entry_of(attended: Any, text: str, task: str, step: int) -> dict[str, Any]:
    """What is kept of one text; weights by layer, head, query and key, in thousandths."""
    parts = [
        {
            "part": part,
            "queries": attended.queries[part],
            "keys": attended.keys[part],
            "weights": (weights * WHOLE).round().astype(int).tolist(),
        }
        for part, weights in attended.weights.items()
    ]
    return {"text": text, "task": task, "step": step, "answer": attended.answer, "parts": parts}


def keep_attention(entry: dict[str, Any], identity: str, results: Path) -> Path:
    """Keep a text's attention, in the place of an older one of the same text; the file."""
    path = attention_path(identity, results)
    others = [older for older in kept_attention(identity, results) if older["text"] != entry["text"]]
    write_whole(path, json.dumps({"texts": [*others, entry][-MOST_TEXTS:]}, ensure_ascii=False) + "\n")
    return path


def kept_attention(identity: str, results: Path) -> list[dict[str, Any]]:
    """The texts whose attention is kept of an evaluation's model; none from a file of no use."""
    kept = read_json(attention_path(identity, results)) or {}
    texts = kept.get("texts", [])
    return [entry for entry in texts if isinstance(entry, dict) and {"text", "parts"} <= entry.keys()]


def attention_lines(entry: dict[str, Any]) -> Iterator[str]:
    """Each part and layer as a heat map in letters, the mean over the heads."""
    yield f"text    {entry['text']}"
    yield f"answer  {entry['answer']} (step {entry['step']})"
    for part in entry["parts"]:
        yield ""
        yield f"{PARTS[part['part']]}. Mean over {len(part['weights'][0])} heads:"
        for number, heads in enumerate(part["weights"], 1):
            mean = _mean(heads)
            most = max((max(row, default=0.0) for row in mean), default=0.0) or 1.0
            yield f"layer {number}, darkest {most:.2f}"
            yield from _map_lines(part["queries"], part["keys"], [[w / most for w in row] for row in mean])


def _mean(heads: Sequence[Sequence[Sequence[int]]]) -> list[list[float]]:
    """Heads' weights [heads, queries, keys] -> their mean, 1 for a whole."""
    return [
        [sum(weights) / len(heads) / WHOLE for weights in zip(*of_query, strict=True)]
        for of_query in zip(*heads, strict=True)
    ]


def _map_lines(
    queries: Sequence[str], keys: Sequence[str], weights: Sequence[Sequence[float]]
) -> Iterator[str]:
    """A line a query, two letters a key; below, each key downwards."""
    width = max(map(len, queries), default=0)
    for query, row in zip(queries, weights, strict=True):
        yield f"  {query:>{width}} " + "".join(_shade(weight) * 2 for weight in row)
    for k in range(max(map(len, keys), default=0)):
        yield f"  {'':>{width}} " + "".join(f"{key[k] if k < len(key) else ' '} " for key in keys).rstrip()


def _shade(weight: float) -> str:
    return SHADES[round(weight * (len(SHADES) - 1))]
