"""model + questions -> log-likelihoods of their answers, and the choice."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from t5grid.data.batching import one_row_each
from t5grid.data.feeds import padded
from t5grid.data.shots import Ids, Question
from t5grid.evaluation.deal import ALONE, Deal

Scored = tuple[float, int]
"""The log-likelihood of an answer in nats, and how many ids it has."""
Measure = Callable[[Scored, Scored | None], float]
MEASURES: Mapping[str, Measure] = {
    "likelihood": lambda scored, alone: scored[0],
    "per_token": lambda scored, alone: scored[0] / scored[1],
    "unconditional": lambda scored, alone: scored[0] - (alone or (0.0, 0))[0],
}
"""scoring -> what an answer is chosen by, the largest: of its likelihood, and that after no question."""


@dataclass(frozen=True)
class Scorer:
    """A model in the form its architecture's batching gives it, at most `batch` answers at a time."""

    model: Any
    batching: Any
    batch: int
    deal: Deal = ALONE

    def __call__(self, questions: Sequence[Question]) -> list[dict[str, Scored]]:
        """Of each question, target -> log-likelihood of that answer after the prompt."""
        rows = [(question, ids) for question in questions for ids in question.choices.values()]
        sizes = [sum(map(len, _pair(*row))) for row in rows]
        found = iter(self.deal(sizes, self.batch, lambda places: self._batch([rows[i] for i in places])))
        return [{t: (next(found), len(ids)) for t, ids in q.choices.items()} for q in questions]

    @torch.inference_mode()
    def _batch(self, rows: Sequence[tuple[Question, Ids]]) -> list[float]:
        inputs, targets = (padded(side) for side in zip(*(_pair(*row) for row in rows), strict=True))
        lengths = inputs.shape[1] + 1, targets.shape[1] + 1
        arrays = self.batching(inputs, targets, *lengths, packing=one_row_each)
        device = next(self.model.parameters()).device
        given = {name: torch.from_numpy(array.astype(np.int64)).to(device) for name, array in arrays.items()}
        sizes = torch.tensor([len(ids) for _, ids in rows], device=device)
        counted = _last_ids(given["targets_segments"], sizes)
        wanted = given["targets"][counted]
        logits = self.model.logits_where(given, counted).float()
        found = logits.log_softmax(dim=-1).gather(1, wanted[:, None])[:, 0].double()
        row_of = counted.nonzero()[:, 0]
        return found.new_zeros(len(rows)).index_add(0, row_of, found).tolist()


def _pair(question: Question, answer: Ids) -> tuple[Ids, Ids]:
    """Inputs and targets of a question with an answer, without end marks."""
    return question.inputs, [*question.start, *answer]


def _last_ids(segments: Int[Tensor, "rows length"], sizes: Int[Tensor, " rows"]) -> Tensor:
    """Where a row's last `sizes` ids are, before the end mark that closes it."""
    ends = (segments != 0).sum(dim=1) - 1
    column = torch.arange(segments.shape[1], device=segments.device)
    return (column < ends[:, None]) & (column >= (ends - sizes)[:, None])


def chosen(scored: Mapping[str, Scored], measure: Measure, alone: Mapping[str, Scored] | None = None) -> str:
    """The target of the answer that a measure says most for; of equals the first."""

    def weight(target: str) -> float:
        return measure(scored[target], alone[target] if alone else None)

    return max(scored, key=weight)
