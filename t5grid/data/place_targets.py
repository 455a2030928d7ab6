"""answers in their places: what an encoder is to give where in its inputs.

Beside each id of the inputs stands `head << 20 | answer` where something is asked, and any negative number
where nothing is. A head is an output layer: 0 gives the token that was hidden, 1 says how two segments
belong together, the following ones are those of the tasks. Answers count from 1; tokens are their own.

Where a row is told in an order, the rank of each id in it stands there instead of a head:
`rank << 20 | token` where a token is to be told, and `-1 - rank` where none is.
"""

import numpy as np
from jaxtyping import Bool, Int

ANSWER_BITS = 20  # vocabularies stay below 2**20 ids
TOKEN, PAIR, FIRST_TASK = 0, 1, 2
MOST_RANKS = 1 << 31 - ANSWER_BITS
TEXTS, IN_PLACE, IN_ORDER = "texts", "in place", "in an order"
"""The forms of an objective's targets: of their own, beside the inputs in their places, or so with ranks."""
BESIDE = (IN_PLACE, IN_ORDER)
"""Those that stand beside the inputs."""

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


def ordered(ranks: Ids, tokens: Ids, told: Bool[np.ndarray, "..."]) -> Ids:
    """Ranks with the tokens that are `told`: ranks 0 and 3, the second told as 7 -> -1 and 3145735."""
    return np.where(told, ranks << ANSWER_BITS | tokens, -1 - ranks)


def ranks_of(targets: Ids) -> Ids:
    """The rank of each place in the order of its row."""
    return np.where(targets > 0, targets >> ANSWER_BITS, -1 - targets)
