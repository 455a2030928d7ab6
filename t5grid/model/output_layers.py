"""hidden states -> answers and losses, by an output layer a task."""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from t5grid.data.place_targets import FIRST_TASK
from t5grid.data.reading import END, START, STEPS
from t5grid.data.special_ids import EOS, delimiter_id
from t5grid.model.answers import is_of_row, layer_name, width_of
from t5grid.model.encoder import Batch, of_head, summed, taken
from t5grid.model.encoder_blocks import Dense
from t5grid.model.features import Reader, beside_pooled
from t5grid.tasks.answer import Answer, Class, Number, Span

LONGEST_SPAN = 30
"""Pieces of an answer at most (the authors' setting for SQuAD)."""
HIDDEN = -1e9


def answer_with(model: Any, answers: Mapping[str, Answer]) -> None:
    """Output layers for some tasks in the place of the heads of pre-training."""
    model.drop_heads()
    model.answers, model.answering = answers, OutputLayers(answers, model.width, model.row_width)
    model.train(model.training)


class OutputLayers(nn.Module):
    """A layer a task, over the last hidden states or over what a small task model makes of fixed features."""

    def __init__(self, answers: Mapping[str, Answer], width: int, row_width: int) -> None:
        super().__init__()
        self.answers = answers
        self.reader: Reader | None = None
        self._add_layers(width, row_width)

    def _add_layers(self, width: int, row_width: int) -> None:
        self.layers = nn.ModuleDict()
        for task, answer in self.answers.items():
            ins = row_width if is_of_row(answer) else width
            self.layers[layer_name(task)] = Dense(ins, width_of(answer))

    def read_by(self, reader: Reader) -> None:
        """From now on, answer by what a task model makes of the states, with layers of that width."""
        self.reader = reader
        self._add_layers(reader.width, reader.row_width)

    def _read(
        self, states: list[Float[Tensor, "rows length width"]], batch: Batch
    ) -> Float[Tensor, "rows length width"]:
        if self.reader is None:
            return states[-1]
        return self.reader(states, batch["inputs"] != 0, batch.get("inputs_segments"))

    def _of_rows(
        self, model: Any, x: Float[Tensor, "rows length width"], batch: Batch
    ) -> Float[Tensor, "rows length row_width"]:
        """What may answer for a row, of what is read of it."""
        if self.reader is None:
            return model.of_rows(x, batch["inputs"])
        return beside_pooled(x, batch.get("inputs_segments", batch["inputs"] != 0))

    def _pooled(self, model: Any, x: Float[Tensor, "*rows width"]) -> Float[Tensor, "*rows width"]:
        """What answers for a row, of the states in the place for that."""
        return model.dropout(model.pooled(x) if self.reader is None else x)

    def loss(self, model: Any, batch: Batch) -> Float[Tensor, ""]:
        """The mean over all that is asked in the batch."""
        states = model.states(batch)
        x = self._read(states, batch)
        losses = [
            self._loss(model, x, batch, FIRST_TASK + number, answer, self.layers[layer_name(task)])
            for number, (task, answer) in enumerate(self.answers.items())
        ]
        places, _, num_asked, _ = batch["counts"].amax(dim=0)
        share = places / max(1, batch["targets"].numel())
        beside = 0.0 if self.reader else model.beside(batch, states[-1])
        return torch.stack(losses).sum() * share / num_asked.clamp(min=1) + beside

    def _loss(
        self,
        model: Any,
        x: Float[Tensor, "rows length width"],
        batch: Batch,
        head: int,
        answer: Answer,
        layer: nn.Module,
    ) -> Float[Tensor, ""]:
        """The sum over what is asked of one task."""
        if isinstance(answer, Span):
            return _span_loss(layer(model.dropout(x)), batch, head, model.vocab_size)
        x = self._of_rows(model, x, batch) if is_of_row(answer) else x
        states, wanted = of_head(taken(x, batch["places"]), batch, head)
        if isinstance(answer, Class):
            return summed(layer(self._pooled(model, states)), wanted - 1, ignored=-1)
        if isinstance(answer, Number):
            share = (wanted - 1) / STEPS
            return ((layer(self._pooled(model, states))[..., 0] - share).square() * (wanted > 0)).sum()
        return summed(layer(model.dropout(states)), wanted - 1, ignored=-1)

    def answer(self, model: Any, batch: Batch) -> Int[Tensor, "rows answer"]:
        """What the layer of `heads`, one for the whole batch, answers: from 1, or places of a span."""
        task, answer = list(self.answers.items())[int(batch["heads"][0, 0]) - FIRST_TASK]
        layer, x = self.layers[layer_name(task)], self._read(model.states(batch), batch)
        if isinstance(answer, Span):
            return _best_span(layer(x), _words(batch["inputs"], model.vocab_size))
        if not is_of_row(answer):
            return (layer(x).argmax(-1) + 1) * (batch["inputs"] != 0)
        at = taken(self._of_rows(model, x, batch), model.answer_places(batch["inputs"]))
        outputs = layer(self._pooled(model, at))
        if isinstance(answer, Class):
            return outputs.argmax(-1) + 1
        return (outputs[..., 0].clamp(0, 1) * STEPS).round().long() + 1


def _words(inputs: Int[Tensor, "rows length"], vocab_size: int) -> Bool[Tensor, "rows length"]:
    """Where words stand, and no marks."""
    return (inputs > EOS) & (inputs < delimiter_id(vocab_size))


def _span_loss(
    logits: Float[Tensor, "rows length 2"], batch: Batch, head: int, vocab_size: int
) -> Float[Tensor, ""]:
    """Cross-entropy of the place where a span starts and of that where it ends, in rows of one example."""
    where = _words(batch["inputs"], vocab_size)[..., None]
    chances = logits.float().masked_fill(~where, HIDDEN).log_softmax(dim=1)
    at = taken(chances, batch["places"])
    wanted = batch["targets"] * (batch["heads"] == head)
    sides = torch.stack([(wanted & side) > 0 for side in (START, END)], dim=-1)
    return -(at * sides).sum()


def _best_span(
    logits: Float[Tensor, "rows length 2"], words: Bool[Tensor, "rows length"]
) -> Int[Tensor, "rows 2"]:
    """First and last place of the likeliest span of at most `LONGEST_SPAN` places."""
    start, end = logits.masked_fill(~words[..., None], HIDDEN).unbind(-1)
    together = start[:, :, None] + end[:, None, :]
    allowed = torch.ones_like(together[0], dtype=torch.bool).triu().tril(LONGEST_SPAN - 1)
    best = together.masked_fill(~allowed, 4 * HIDDEN).flatten(1).argmax(-1)
    return torch.stack([best // words.shape[1], best % words.shape[1]], dim=-1)
