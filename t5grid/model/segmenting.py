"""segments, or none -> the form an architecture is trained in."""

from dataclasses import dataclass
from typing import Any, ClassVar

from t5grid.model.segmented import FORMS
from t5grid.model.segments import Windows
from t5grid.refused import Refused


@dataclass(frozen=True)
class Whole:
    """Every text is read at once."""

    axis: ClassVar[str] = "segments"
    reads_whole: ClassVar[bool] = True

    def around(self, architecture: Any, node: Any, own: Any, pretraining: bool = False) -> Any:
        """The node of an architecture in the form that is trained: as it is."""
        return node

    def measures(self, architecture: Any) -> dict[str, str]:
        """What a table shows of them."""
        return dict.fromkeys(("segment_size", "memory_size", "num_segments"), "")

    def at_once(self, length: int) -> int:
        """How many of so many ids a model sees at once: all."""
        return length

    def check(self, cell: Any) -> None:
        """Nothing is refused."""


@dataclass(frozen=True)
class Segments(Windows):
    """Texts are read window by window."""

    axis: ClassVar[str] = "segments"
    reads_whole: ClassVar[bool] = False

    def around(self, architecture: Any, node: Any, own: Any, pretraining: bool = False) -> Any:
        """The node of an architecture in the form that is trained; `own` is that of these settings."""
        if pretraining and not self.pretrain:
            return node
        form = FORMS[type(architecture)]
        return {"_target_": f"{form.__module__}.{form.__qualname__}", "architecture": node, "segments": own}

    def measures(self, architecture: Any) -> dict[str, str]:
        """What a table shows of them; the size is that of the text in a segment, as in RMT's tables."""
        form = FORMS[type(architecture)]
        room = self.room(form.num_marks, form.num_memories)
        return {"segment_size": f"{room}", "memory_size": f"{self.memory}", "num_segments": f"{self.number}"}

    def at_once(self, length: int) -> int:
        """How many of so many ids a model sees at once."""
        return min(length, self.size)

    def check(self, cell: Any) -> None:
        """Raise Refused for an architecture, a strategy or a method that cannot read so."""
        form, option = FORMS.get(type(cell.architecture)), cell.labels["architecture"]
        if form is None:
            raise Refused(
                f"segments={cell.labels['segments']}: architecture={option} reads no text in segments"
            )
        if not getattr(cell.strategy, "in_segments", False):
            told = f"strategy={cell.labels['strategy']} reads whole texts"
            raise Refused(
                f"segments={cell.labels['segments']}: {told}; pretrain_finetune and no_pretraining need not"
            )
        if self.carry not in form.carries:
            could = ", ".join(form.carries)
            raise Refused(f"segments.carry={self.carry}: architecture={option} can carry {could}")
        if self.pretrain and not form.pretrains:
            raise Refused(f"segments.pretrain=true: architecture={option} is pre-trained on whole rows only")
        if self.room(form.num_marks, form.num_memories) < 1:
            beside = "the mark" if form.num_marks else "the memory to write"
            raise Refused(
                f"segments.memory={self.memory}: leaves no room for text in a window of "
                f"segments.size={self.size} beside {beside} that architecture={option} has in each"
            )
