"""parameter names -> which keep the weights of pre-training, and which are trained."""

import re
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from t5grid.config.rules import Count
from t5grid.model.costs import parameters
from t5grid.refused import Refused
from t5grid.training.finetuning import BLOCK, Episodes, Method, Names, stack_depths

Part = Literal["everything", "embeddings", "lowest_blocks", "top_blocks", "encoder", "decoder"]
TABLES = re.compile(r"^(\w*embedding(_norm)?|widen)\.")
"""The id table, and what an encoder makes of ids before its first block."""
OUTPUT = ("softmax.", "pooler.")
"""What stands above the last block, besides the norm that closes a stack."""


@dataclass(frozen=True)
class PartialTransfer(Method):
    """Only a part of the pre-trained weights is taken, the rest starts afresh and is always trained.

    `lowest_blocks` and `top_blocks` are `num_blocks` of each stack: the lowest with the position biases,
    which the study's code keeps there, the top ones with the norm that closes the stack. `encoder` and
    `decoder` are whole stacks; attention to the encoder is the decoder's. The id tables go with every part,
    which was trained to read them, unless `embeddings` is false; a softmax that is tied to them goes too.
    `frozen` fixes what is taken. An optimizer that goes on from pre-training has no moments of what is fresh.
    """

    part: Part
    num_blocks: Count = 1
    embeddings: bool = True
    frozen: bool = False
    needs_start: ClassVar[bool] = True

    def taken(self, names: Names) -> frozenset[str]:
        """The parameters, of a pre-trained model's, that keep its weights."""
        depths = stack_depths(names)
        return frozenset(
            name
            for name in names
            if (self.embeddings if TABLES.match(name) else self._is_in_part(name, depths))
        )

    def episodes(self, names: Names, num_steps: int) -> Episodes:
        return {0: frozenset(names) - (self.taken(names) if self.frozen else frozenset())}

    def _is_in_part(self, name: str, depths: dict[str, int]) -> bool:
        """Whether a parameter beside the id tables is taken."""
        if self.part in ("everything", "embeddings"):
            return self.part == "everything"
        stack, _, rest = name.partition(".")
        if self.part in ("encoder", "decoder"):
            return stack == self.part or (self.part == "decoder" and name.startswith(OUTPUT))
        block = BLOCK.match(name)
        if self.part == "lowest_blocks":
            return int(block[2]) < self.num_blocks if block else rest.startswith("position_bias.")
        if block:
            return int(block[2]) >= depths[block[1]] - self.num_blocks
        return (stack in depths and rest.startswith("norm.")) or name.startswith(OUTPUT)

    def check(self, cell: Any) -> None:
        names = list(parameters(cell.architecture.products(cell.size, 128, 1, 8, 8)))
        depth, option = min(stack_depths(names).values(), default=0), cell.labels["architecture"]
        if "blocks" in self.part and self.num_blocks > depth:
            raise Refused(f"finetune.num_blocks={self.num_blocks}: a stack has {depth} blocks")
        if self.part in ("encoder", "decoder") and not self._has_both(names):
            raise Refused(
                f"finetune.part={self.part}: architecture={option} has no encoder and decoder of their own"
            )
        if not self.taken(names):
            raise Refused(f"finetune.part={self.part}: with finetune.embeddings=false nothing is taken")
        if self.frozen and self.taken(names) == frozenset(names):
            raise Refused(f"finetune.part={self.part}: with finetune.frozen=true nothing is trained")

    @staticmethod
    def _has_both(names: Names) -> bool:
        return {"encoder", "decoder"} <= stack_depths(names).keys()
