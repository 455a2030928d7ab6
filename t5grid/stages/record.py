"""record.json -> what a finished stage left, or what is wrong with the file.

Records come from other machines, older versions and full disks. What tables, reports and estimates take from
one is checked here, where it is read, so that one bad record is named and the others are shown.
"""

import json
import math
import reprlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from t5grid.files import is_regular

Check = tuple[Callable[[Any], bool], str]


def is_number(value: Any) -> bool:
    """Whether a value is a number that a float can hold; NaN and infinity are none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number of 400 digits
        return False


def is_undefined(value: Any) -> bool:
    """Whether a score is NaN: the metric has no value for the answers."""
    return isinstance(value, float) and math.isnan(value)


def _is_score(value: Any) -> bool:
    return is_number(value) or is_undefined(value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _of(key: Callable[[Any], bool], value: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """Whether a mapping has keys and values of these kinds."""
    return lambda node: isinstance(node, dict) and all(key(k) and value(v) for k, v in node.items())


def _is_sizes(node: Any) -> bool:
    """How many rows a split has, and of how many."""
    return isinstance(node, dict) and node.keys() == {"rows", "of"} and all(map(_is_count, node.values()))


def _is_count(value: Any) -> bool:
    return value is None or isinstance(value, int)


def _is_example(node: Any) -> bool:
    return isinstance(node, dict) and all(
        _is_text(node.get(key)) for key in ("input", "target", "prediction")
    )


def _are_examples(node: Any) -> bool:
    return isinstance(node, list) and all(map(_is_example, node))


def _are_scores(node: Any) -> bool:
    """The metrics of one task, and the step that was chosen."""
    return isinstance(node, dict) and "step" in node and _of(_is_text, _is_score)(node)


def _are_shots(node: Any) -> bool:
    """Of the prompts of a task: examples asked for (null: as many as fit), fewest and most."""
    if not isinstance(node, dict) or "asked" not in node:
        return False
    return _is_count(node["asked"]) and all(is_number(node.get(name)) for name in ("least", "most"))


def _are_numbers(node: Any) -> bool:
    """A score on each resample of the rows; null where it has no value."""
    return isinstance(node, list) and all(value is None or is_number(value) for value in node)


def _is_reading(node: Any) -> bool:
    """Bits of a text's ids by their place, and with nothing carried from segment to segment."""
    if not (isinstance(node, dict) and is_number(node.get("texts")) and _is_count(node.get("segment"))):
        return False
    whole, alone = node.get("bits", ()), node.get("alone")
    return _are_bits(whole) and (alone is None or (_are_bits(alone) and len(alone) == len(whole)))


def _are_bits(node: Any) -> bool:
    return isinstance(node, list) and bool(node) and all(map(is_number, node))


def _has_torch(node: Any) -> bool:
    return isinstance(node, dict) and _is_text(node.get("torch"))


NUMBER: Check = (is_number, "a number is needed")
TEXT: Check = (_is_text, "text is needed")
SCORES: dict[str, Check] = {
    "score": (_is_score, "a number is needed"),
    "step": NUMBER,
    "tasks": (
        _of(_is_text, _are_scores),
        "the step and each metric of each task are needed",
    ),
    "machine": TEXT,
    "python": TEXT,
    "versions": (_has_torch, "the version of torch is needed"),
}
NEEDED: dict[str, dict[str, Check]] = {"evaluate": SCORES, "prompt": SCORES, "perplexity": SCORES}
"""Kind of stage -> what its record must say."""
POSSIBLE: dict[str, Check] = {
    "validation_rows": (_of(_is_text, _is_count), "the number of rows of each task is needed"),
    "resamples": (_are_numbers, "numbers are needed"),
    "seconds": NUMBER,
    "flops": NUMBER,
    "samples": (_of(_is_text, _are_examples), "examples with input, target and prediction are needed"),
    "shots": (
        _of(_is_text, _are_shots),
        "how many examples the prompts of each task had (asked, least, most) is needed",
    ),
    "perplexity": (
        _of(_is_text, _is_reading),
        "texts, segment, and bits by place (alone: with nothing carried, or null) of each task are needed",
    ),
    "data": (
        _of(_is_text, _of(_is_text, _is_sizes)),
        "rows, and of how many, of each task's splits are needed",
    ),
}
"""What a record may say, and how."""


def read_record(path: Path, identity: str) -> dict[str, Any] | None:
    """What the stage of that name recorded in a file; None where there is none, or it cannot be used."""
    return _judged(path, identity)[0]


def record_fault(path: Path, identity: str) -> str:
    """Why a record that is there cannot be used; empty if it can, or is not there."""
    return _judged(path, identity)[1]


def _judged(path: Path, identity: str) -> tuple[dict[str, Any] | None, str]:
    try:
        if not is_regular(path):
            return None, "not a file"
        record = json.loads(path.read_text(encoding="utf-8"))
        fault = fault_in(record, identity)
    except FileNotFoundError:  # deleted meanwhile
        return None, ""
    except OSError as error:
        path.parent.stat()  # raises where not this file is at fault, but the place of all
        return None, error.strerror or str(error)
    except UnicodeDecodeError:
        return None, "not UTF-8"
    except ValueError as error:
        return None, f"not JSON ({error})"
    except RecursionError:
        return None, "nested too deeply"
    return (None, fault) if fault else (record, "")


def fault_in(record: Any, identity: str) -> str:
    """What is wrong with a record of the stage of that name; empty if nothing is."""
    if not (isinstance(record, dict) and record):
        return "not a record, but " + ("an empty object" if record == {} else f"{_short(record)}")
    if record.get("identity", identity) != identity:
        return f"identity={_short(record['identity'])}: {identity} is needed"
    needed = NEEDED.get(identity.partition("/")[0], {})
    for key, (is_right, wanted) in (needed | POSSIBLE).items():
        if key not in record and key in needed:
            return f"{key} is missing"
        if key in record and not is_right(record[key]):
            return f"{key}={_short(record[key])}: {wanted}"
    return ""


def _short(value: Any) -> str:
    """A value in a few characters, however long or deep it is."""
    return reprlib.repr(value)
