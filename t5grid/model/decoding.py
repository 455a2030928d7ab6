"""model + inputs -> predicted ids: greedy (section 3.1.2), beams as in the final runs.

Predictions are rows of ids that end with EOS (1) and are filled up with 0; the start id 0 is not part of
them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from t5grid.data.special_ids import EOS

WORST = -1e7  # log probability and score of a beam that does not exist

# ids [rows] and a state -> log probabilities of the next id [rows, vocab] and the new state
Step = Callable[[Tensor, Any], tuple[Tensor, Any]]


@torch.inference_mode()
def greedy(
    model: Any,
    batch: dict[str, Tensor],
    max_length: int,
    begun: Int[Tensor, "rows start"] | None = None,
) -> Int[Tensor, "rows length"]:
    """The most probable id at each position, until every row has ended or has max_length ids.

    Rows that have ended are computed no longer once they are half of the rows. `length` is that of the
    longest prediction. With `begun`, filled up with 0, rows begin with those ids, which are no part of the
    predictions. Call `model.eval()` first: dropout is not switched off here.
    """
    num_rows = len(batch["inputs"])
    given = batch["inputs"].new_zeros(num_rows, 0) if begun is None else begun
    width = given.shape[1] + max_length
    sizes = (given != 0).sum(dim=1)
    state = model.start_decoding(batch, width)
    rows = torch.arange(num_rows, device=batch["inputs"].device)  # of the result, one for each computed row
    tokens = torch.zeros_like(rows)
    predicted = tokens.new_zeros(num_rows, width)
    open_rows = torch.ones_like(rows, dtype=torch.bool)
    for position in range(width):
        tokens = model.decode_step(tokens[:, None], state).argmax(dim=-1) * open_rows
        if position < given.shape[1]:
            tokens = torch.where(position < sizes[rows], given[rows, position], tokens)
        predicted[rows, position] = tokens
        open_rows = open_rows & (tokens != EOS) & (position + 1 < sizes[rows] + max_length)
        num_open = int(open_rows.sum())
        if num_open == 0:
            return _without(predicted[:, : position + 1], sizes)
        if 2 * num_open <= len(rows):
            kept = open_rows.nonzero()[:, 0]
            rows, tokens, open_rows, state = rows[kept], tokens[kept], open_rows[kept], state.select(kept)
    return _without(predicted, sizes)


def _without(predicted: Int[Tensor, "rows width"], sizes: Int[Tensor, " rows"]) -> Tensor:
    """What follows the first `sizes` ids of each row, filled up with 0, as wide as the longest."""
    if not sizes.any():
        return predicted
    left = predicted.shape[1] - int(sizes.min())
    places = sizes[:, None] + torch.arange(left, device=sizes.device)
    inside = places < predicted.shape[1]
    return predicted.gather(1, places.clamp(max=predicted.shape[1] - 1)) * inside


def length_penalty(length: int, alpha: float) -> float:
    """((5 + length) / 6)^alpha, EOS counted: what log probabilities are divided by."""
    return ((5.0 + length) / 6.0) ** alpha


def beam_max_length(longest_input: int, max_length: int = 128) -> int:
    """The authors' limit with beams: one and a half times the longest input of the batch, plus 10."""
    return min(max_length, int(1.5 * longest_input) + 10)


@dataclass(frozen=True)
class Beams:
    """Sequences of each row with their scores, best first; a beam that does not exist is all 0."""

    ids: Int[Tensor, "rows beams length"]
    scores: Float[Tensor, "rows beams"]

    def best(self, number: int) -> tuple["Beams", Int[Tensor, "rows number"]]:
        """The `number` best of each row, and the places they had."""
        scores, places = self.scores.topk(number, dim=1)
        return Beams(_of(self.ids, places), scores), places

    def exist(self) -> Bool[Tensor, "rows beams"]:
        return self.scores > WORST


def _of(sequences: Tensor, places: Tensor) -> Tensor:
    """The sequences at some places of each row."""
    return sequences.gather(1, places[..., None].expand(-1, -1, sequences.shape[2]))


@torch.inference_mode()
def beam_search(
    step: Step,
    state: Any,
    num_rows: int,
    max_length: int,
    num_beams: int = 4,
    alpha: float = 0.6,
    device: torch.device | str = "cpu",
) -> tuple[Int[Tensor, "rows beams length"], Float[Tensor, "rows beams"]]:
    """The best finished sequences and their scores, log probability / length_penalty, best first.

    `step` sees rows * beams rows, all beams of a row together; `state.select(rows)` must give the state of
    other rows. Each step ranks all extensions of the alive beams and keeps twice as many as there are
    beams: those ending in EOS compete for the finished list, the best others stay alive. Ends at
    max_length, or when in every row the worst of the finished so far (however few) beats all that an alive
    beam can still reach. A row without a finished sequence gives its alive beams and their log
    probabilities; missing beams are all 0 and score -1e7.
    """
    ids = torch.zeros(num_rows, num_beams, max_length, dtype=torch.long, device=device)
    nothing = torch.full((num_rows, num_beams), WORST, device=device)
    only_first = torch.where(torch.arange(num_beams, device=device) == 0, 0.0, nothing)
    alive, finished = Beams(ids, only_first), Beams(ids, nothing)
    tokens = ids.new_zeros(num_rows * num_beams)
    first_beam = torch.arange(num_rows, device=device)[:, None] * num_beams
    for position in range(max_length):
        log_probs, state = step(tokens, state)
        extended, beams = _extended(alive, log_probs, position)
        finished = _with_ended(finished, extended, position, length_penalty(position + 1, alpha))
        ended = extended.ids[:, :, position] == EOS
        alive, kept = Beams(extended.ids, extended.scores + WORST * ended).best(num_beams)
        if _is_settled(finished, alive.scores[:, 0] / length_penalty(max_length, alpha)):
            break
        state = state.select((first_beam + beams.gather(1, kept)).flatten())
        tokens = alive.ids[:, :, position].flatten()
    any_finished = finished.exist()[:, :1]
    return (
        torch.where(any_finished[..., None], finished.ids, alive.ids),
        torch.where(any_finished, finished.scores, alive.scores),
    )


def _extended(
    alive: Beams, log_probs: Float[Tensor, "candidates vocab"], position: int
) -> tuple[Beams, Int[Tensor, "rows doubled"]]:
    """The best extensions by one id, twice as many as beams, with log probabilities; and of which beam."""
    num_rows, num_beams = alive.scores.shape
    candidates = log_probs.view(num_rows, num_beams, -1) + alive.scores[..., None]
    top, places = candidates.flatten(1).topk(2 * num_beams, dim=1)
    beams = places // candidates.shape[2]
    sequences = _of(alive.ids, beams)
    sequences[:, :, position] = places % candidates.shape[2]
    return Beams(sequences, top), beams


def _with_ended(finished: Beams, extended: Beams, position: int, penalty: float) -> Beams:
    """The best finished sequences once those have joined them that end at this position."""
    ended = extended.ids[:, :, position] == EOS
    ids = torch.cat([finished.ids, extended.ids * ended[..., None]], dim=1)
    scores = torch.cat([finished.scores, extended.scores / penalty + WORST * ~ended], dim=1)
    best, _ = Beams(ids, scores).best(finished.scores.shape[1])
    best = Beams(best.ids, best.scores.clamp(min=WORST))
    return Beams(best.ids * best.exist()[..., None], best.scores)


def _is_settled(finished: Beams, reachable: Float[Tensor, " rows"]) -> bool:
    """Whether every row's worst finished sequence beats what its alive beams can still reach."""
    exist = finished.exist()
    worst = (finished.scores * exist).amin(dim=1)
    return bool(((worst > reachable) & exist[:, 0]).all())


def beam_decode(
    model: Any, batch: dict[str, Tensor], max_length: int, num_beams: int = 4, alpha: float = 0.6
) -> Int[Tensor, "rows length"]:
    """The best prediction of each row by beam search, within the authors' length limit for this batch."""

    def step(tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        return F.log_softmax(model.decode_step(tokens[:, None], state).float(), dim=-1), state

    inputs = batch["inputs"]
    limit = beam_max_length(int((inputs != 0).sum(dim=1).max()), max_length)
    with torch.inference_mode():
        state = model.start_decoding(batch, limit)
        rows = torch.arange(len(inputs), device=inputs.device).repeat_interleave(num_beams)
        sequences, _ = beam_search(
            step, state.select(rows), len(inputs), limit, num_beams, alpha, device=inputs.device
        )
    return sequences[:, 0]
