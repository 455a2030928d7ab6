"""rules in type hints: `Annotated[int, AtLeast(1)]`, `Annotated[float, AtLeast(0)]`."""

import dataclasses
import re
from dataclasses import dataclass
from typing import Annotated, Any


class Rule:
    """What `Annotated` adds to a type: whether a value of the type is allowed, and how that is said."""

    def allows(self, value: Any) -> bool:
        raise NotImplementedError

    def wanted(self, base: str) -> str:
        """What is wanted, where the type alone wants `base`."""
        raise NotImplementedError


@dataclass(frozen=True)
class AtLeast(Rule):
    """Rule: a number from `least` up."""

    least: int

    def allows(self, value: Any) -> bool:
        return value >= self.least

    def wanted(self, base: str) -> str:
        return f"{base} from {self.least} up"


@dataclass(frozen=True)
class Above(Rule):
    """Rule: a number larger than `bound`."""

    bound: int

    def allows(self, value: Any) -> bool:
        return value > self.bound

    def wanted(self, base: str) -> str:
        return f"{base} above {self.bound}"


@dataclass(frozen=True)
class AtMost(Rule):
    """Rule: a number up to `most`."""

    most: int

    def allows(self, value: Any) -> bool:
        return value <= self.most

    def wanted(self, base: str) -> str:
        return f"{base}, at most {self.most},"


@dataclass(frozen=True)
class Below(Rule):
    """Rule: a number smaller than `bound`."""

    bound: int

    def allows(self, value: Any) -> bool:
        return value < self.bound

    def wanted(self, base: str) -> str:
        return f"{base}, below {self.bound},"


@dataclass(frozen=True)
class OneOf(Rule):
    """Rule: one of some names that a program knows; names that never change are a `Literal`."""

    names: tuple[str, ...]

    def allows(self, value: Any) -> bool:
        return value in self.names

    def wanted(self, base: str) -> str:
        return f"one of {', '.join(self.names)}"


@dataclass(frozen=True)
class NotEmpty(Rule):
    """Rule: a list or mapping that holds something."""

    def allows(self, value: Any) -> bool:
        return len(value) > 0

    def wanted(self, base: str) -> str:
        return f"{base.rstrip(',')}, not empty,"


@dataclass(frozen=True)
class FileName(Rule):
    """Rule: a text that can stand in a file name."""

    def allows(self, value: Any) -> bool:
        return bool(re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", value))

    def wanted(self, base: str) -> str:
        return "a name of letters, digits and _ . -"


@dataclass(frozen=True)
class OneLine(Rule):
    """Rule: a text without line breaks, as stands in a line of a script; numbers and the like too."""

    def allows(self, value: Any) -> bool:
        return len(str(value).splitlines()) <= 1

    def wanted(self, base: str) -> str:
        return f"{base} of one line"


@dataclass(frozen=True)
class Because(Rule):
    """No rule, but the reason of a narrow type, for who meets it."""

    reason: str

    def allows(self, value: Any) -> bool:
        return True

    def wanted(self, base: str) -> str:
        return f"{base} ({self.reason})"


class Having(Rule):
    """Rule: an object of a class with these attributes, as every value of the axis has."""

    def __init__(self, *names: str) -> None:
        self.names = names

    def allows(self, value: Any) -> bool:
        return dataclasses.is_dataclass(value) and all(hasattr(value, name) for name in self.names)

    def wanted(self, base: str) -> str:
        return f"a _target_ whose class has {', '.join(self.names)}"


Count = Annotated[int, AtLeast(1)]
Probability = Annotated[float, AtLeast(0), AtMost(1)]
