"""model + prompts -> answers: chosen by likelihood, or written."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np
import torch
from torch import Tensor

from t5grid.data.batching import one_row_each
from t5grid.data.feeds import padded
from t5grid.data.shots import Asking, Question
from t5grid.data.special_ids import EOS
from t5grid.data.vocabulary import Vocabulary
from t5grid.evaluation.deal import ALONE, Deal
from t5grid.evaluation.likelihood import MEASURES, Scorer, chosen
from t5grid.model.decoding import greedy


@dataclass(frozen=True)
class PromptedModel:
    """A pre-trained model that is asked; `max_length` is that of written answers, in ids."""

    model: Any
    batching: Any
    batch: int
    max_length: int
    deal: Deal = ALONE

    def answers(self, asking: Asking, questions: Sequence[Question]) -> list[str]:
        """The target that each question is answered with."""
        template = asking.template
        if template.closed(asking.task):
            return self._chosen(asking, questions)
        written = self._written(questions, asking.vocabulary)
        pairs = zip(questions, written, strict=True)
        return [template.target(template.cut(text), question.fields) for question, text in pairs]

    def _chosen(self, asking: Asking, questions: Sequence[Question]) -> list[str]:
        scorer = Scorer(self.model, self.batching, self.batch, self.deal)
        scoring = asking.template.scoring or "likelihood"
        if scoring != "unconditional":
            return [chosen(scored, MEASURES[scoring]) for scored in scorer(questions)]
        alone = scorer([asking.unconditional(question) for question in questions])
        pairs = zip(scorer(questions), alone, strict=True)
        return [chosen(scored, MEASURES[scoring], without) for scored, without in pairs]

    def _written(self, questions: Sequence[Question], vocabulary: Vocabulary) -> list[str]:
        """What is written after each prompt: up to its end, or the first id that is no piece of text."""

        def write(places: Sequence[int]) -> list[str]:
            inputs, begun = self.given([questions[i] for i in places])
            rows = greedy(self.model, {"inputs": inputs}, self.max_length, begun).tolist()
            return [vocabulary.decode(_piece_ids(row, vocabulary.num_pieces)) for row in rows]

        sizes = [len(question.inputs + question.start) for question in questions]
        return self.deal(sizes, self.batch, write)

    def given(self, questions: Sequence[Question]) -> tuple[Tensor, Tensor]:
        """What a model reads, with end marks where its batches have them, and how its targets begin."""
        inputs, begun = padded([q.inputs for q in questions]), padded([q.start for q in questions])
        lengths = inputs.shape[1] + 1, begun.shape[1] + 1
        arrays = self.batching(inputs, begun, *lengths, packing=one_row_each)
        if "inputs" in arrays:
            return self._tensor(arrays["inputs"]), self._tensor(begun)
        row = arrays["decoder_inputs"][:, 1:]
        if self.model.sees_prefix:
            return self._tensor(row * arrays["prefix"][:, 1:]), self._tensor(begun)
        return self._tensor(row), self._tensor(begun[:, :0])

    def _tensor(self, array: np.ndarray) -> Tensor:
        device = next(self.model.parameters()).device
        return torch.from_numpy(np.ascontiguousarray(array, np.int64)).to(device)


def _piece_ids(row: Sequence[int], num_pieces: int) -> list[int]:
    end = next((i for i, number in enumerate(row) if number == EOS or number >= num_pieces), len(row))
    return list(row[:end])


def shots_used(questions: Sequence[Question]) -> dict[str, float]:
    """How many examples the prompts had room for: fewest, most, and on average."""
    used = [question.num_shots for question in questions]
    return {"least": min(used), "most": max(used), "mean": round(fmean(used), 2)}
