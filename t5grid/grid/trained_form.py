"""cell -> its architecture in the form that a stage trains."""

from typing import Any

from t5grid.config.reuse import NUM_SHARED, ByObject
from t5grid.config.schema import Cell


def architecture_node(cell: Cell, pretraining: bool = False) -> Any:
    """The node of the cell's architecture: plain, or in segments."""
    nodes = cell.config["architecture"], cell.config["segments"]
    return _in_segments(cell.segments, cell.architecture, *nodes, pretraining)


def _around(segments: Any, architecture: Any, node: Any, own: Any, pretraining: bool) -> Any:
    return segments.around(architecture, node, own, pretraining)


_in_segments = ByObject(_around, limit=NUM_SHARED)


def trained_option(cell: Cell, pretraining: bool = False) -> str:
    """What the architecture is called in the names of stages."""
    option = cell.labels["architecture"]
    is_plain = architecture_node(cell, pretraining) is cell.config["architecture"]
    return option if is_plain else f"{option}-{cell.labels['segments']}"
