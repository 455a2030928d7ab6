"""length of a text -> its segments, and what is carried.

What a model sees at once is a window: the memory it is handed, a mark in front where its texts have one, and
a segment of the text. A text is cut from its end, so that the last segment is full and the first one what is
left over, as the authors of recurrent memory do (Bulatov et al., 2022). Not to be confused with the
`..._segments` of batches, which number the examples of a packed row: here a row holds one example.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from t5grid.config.rules import AtLeast, Count
from t5grid.refused import Refused

Carry = Literal["none", "states", "memory"]
Keep = Literal["first", "last"]


@dataclass(frozen=True)
class Windows:
    """Windows of `size` ids, `memory` of them handed on, over the `number` segments of a text that are read.

    What is more than those is left out: `keep` says which end of a text stays. Gradients pass through the
    memory of the last `truncation` segments, those before them only read; null is all. Fine-tuning reads so;
    pre-training too with `pretrain`, else its rows are read whole, and the memory is new in fine-tuning.
    """

    size: Annotated[int, AtLeast(2)]
    number: Count
    memory: Annotated[int, AtLeast(0)] = 0
    carry: Carry = "none"
    truncation: Count | None = None
    keep: Keep = "first"
    pretrain: bool = False

    def __post_init__(self) -> None:
        if self.memory >= self.size:
            raise Refused(f"memory={self.memory}: leaves no room for text in a window of size={self.size}")
        if self.carry == "memory" and not self.memory:
            raise Refused("memory=0: carry=memory hands on at least 1")
        if self.carry != "memory" and self.memory:
            raise Refused(
                f"memory={self.memory}: carry={self.carry} hands none on; 0 is needed, or carry=memory"
            )
        if self.carry != "memory" and self.truncation:
            raise Refused(f"truncation={self.truncation}: only memory has gradients; null is needed")

    def room(self, num_marks: int, num_memories: int = 1) -> int:
        """Ids of the text in a full segment, beside the memory and the marks that each window has."""
        return self.size - num_memories * self.memory - num_marks

    def widths(self, length: int, num_marks: int = 0) -> list[int]:
        """Ids of the text in each segment, of a text of `length` ids without its mark.

        >>> Windows(8, 4, memory=2, carry="memory").widths(15)
        [3, 6, 6]
        """
        room = self.room(num_marks)
        read = min(length, room * self.number)
        number = max(1, -(-read // room))
        return [read - (number - 1) * room, *[room] * (number - 1)]

    def trained_from(self, number: int) -> int:
        """The first of `number` segments that is trained through what the last one answers."""
        if self.carry == "none":
            return number - 1
        return 0 if self.truncation is None else max(0, number - self.truncation)
