"""a node with `_target_` -> a class and its arguments, made where it is needed.

It may be any class, no dataclass alone, as what is not part of an identity: loggers, callbacks.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from t5grid.config.trust import check_allowed
from t5grid.refused import Refused


@dataclass(frozen=True)
class Called:
    """A class by its path, and what it is called with: plain values."""

    target: str
    arguments: dict[str, Any] = field(default_factory=dict, hash=False)

    @classmethod
    def of(cls, node: Any, key: str) -> "Called":
        """The class that a node names, which must be of a trusted package. Raises Refused."""
        if not isinstance(node, Mapping) or not isinstance(node.get("_target_"), str):
            raise Refused(f"{key}: a mapping with the class as its _target_ is needed")
        check_allowed(node["_target_"], f"{key}._target_")
        arguments = {str(name): value for name, value in node.items() if name != "_target_"}
        _refuse_nested(arguments, key)
        return cls(node["_target_"], arguments)


def _refuse_nested(value: Any, key: str) -> None:
    """Raise Refused for a class among arguments: they are plain."""
    inside = (
        value.items() if isinstance(value, Mapping) else enumerate(value if isinstance(value, list) else ())
    )
    for name, item in inside:
        if name == "_target_":
            raise Refused(f"{key}._target_={item}: arguments are plain values, no classes")
        _refuse_nested(item, f"{key}.{name}")
