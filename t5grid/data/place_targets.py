"""answers in their places: what an encoder is to give where in its inputs.

Beside each id of the inputs stands `head << 20 | answer` where something is asked, and any negative number
where nothing is. A head is an output layer: 0 gives the token that was hidden, 1 says how two segments
belong together, the following ones are those of the tasks. Answers count from 1; tokens are their own.
"""

import numpy as np
from jaxtyping import Int

ANSWER_BITS = 20  # vocabularies stay below 2**20 ids
TOKEN, PAIR, FIRST_TASK = 0, 1, 2
TEXTS, IN_PLACE = "texts", "in place"
"""The forms of an objective's targets: of their own, or beside the inputs in their places."""

Ids = Int[np.ndarray, "..."]


def asked(head: Ids | int, answer: Ids | int) -> Ids | int:
    """The target of a place: head 1, answer 2 -> 1048578."""
    return head << ANSWER_BITS | answer


def heads_of(targets: Ids) -> Ids:
    """The output layer of each target."""
    return targets >> ANSWER_BITS


def answers_of(targets: Ids) -> Ids:
    """The answer of each target."""
    return targets & ((1 << ANSWER_BITS) - 1)
