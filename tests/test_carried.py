"""Joined rows in segments: Transformer-XL's states and memory in a language model."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from t5grid.config.schema import load_cell
from t5grid.data.special_ids import EOS
from t5grid.model.architectures import LanguageModel
from t5grid.model.carried import DecoderRecurrence
from t5grid.model.costs import parameters, step
from t5grid.model.segmented import SegmentedDecoder, last_ids
from t5grid.model.segmenting import Segments
from t5grid.model.size import Size
from t5grid.model.transformer import additive
from t5grid.refused import Refused
from t5grid.stages.workload import shape_of

VOCAB = 120
SIZE = Size(16, 24, 8, 2, 2, dropout=0.0)
SHALLOW = replace(SIZE, num_layers=1)
NONE, STATES = Segments(6, 3, pretrain=True), Segments(6, 3, carry="states", pretrain=True)
MEMORY = Segments(10, 3, memory=2, carry="memory", pretrain=True)
Batch = dict[str, torch.Tensor]


def language_model(segments: Segments | None, size: Size = SIZE) -> Any:
    """The same weights with and without segments."""
    torch.manual_seed(0)
    plain = LanguageModel()
    model = (SegmentedDecoder(plain, segments) if segments else plain).build(size, VOCAB)
    assert isinstance(model.recurrence, DecoderRecurrence) == (segments is not None)
    return model


def batch_of(length: int, inputs: int = 0, segments: Segments = STATES) -> Batch:
    """Two rows of `length` ids, so many of them inputs with their mark."""
    ids = np.random.default_rng(length).integers(3, VOCAB, (2, length)).astype(np.int32)
    sides = ids[:, : max(0, inputs - 1)], ids[:, inputs : length - 1]
    arrays = SegmentedDecoder(LanguageModel(), segments).batching(*sides, 64, 64)
    return {name: torch.from_numpy(array).long() for name, array in arrays.items()}


def gradients(model: Any, batch: Batch) -> dict[str, torch.Tensor]:
    model.zero_grad()
    model.loss(batch).backward()
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("carry", ["none", "states"])
def test_one_segment_is_the_plain_model_bit_for_bit(carry: Any) -> None:
    plain, ours = language_model(None), language_model(Segments(40, 1, carry=carry, pretrain=True))
    for batch in (batch_of(17), batch_of(17, inputs=9)):
        before, after = gradients(plain, batch), gradients(ours, batch)
        assert plain.loss(batch).item() == ours.loss(batch).item() and before.keys() == after.keys()
        assert all(torch.equal(before[name], after[name]) for name in before)
    given = {"inputs": torch.tensor([[7, 9, 30, 1], [44, 1, 0, 0]])}
    for num_beams in (1, 3):
        assert torch.equal(plain.answer(given, 6, num_beams), ours.answer(given, 6, num_beams))


def test_two_segments_with_states_are_one_long_causal_pass() -> None:
    batch = batch_of(12)
    assert torch.allclose(language_model(STATES)(batch), language_model(None)(batch), atol=1e-5)


def test_more_segments_with_states_are_one_pass_that_sees_the_segment_before_and_its_own() -> None:
    batch, plain = batch_of(22), language_model(None)
    ours = language_model(STATES)(batch)
    place = torch.arange(22)
    segment = place // 6
    seen = (place[None] <= place[:, None]) & (segment[:, None] - segment[None] <= 1)
    hidden = plain.decoder(plain.embedding(batch["decoder_inputs"]), additive(seen))
    assert torch.allclose(ours, plain.softmax(hidden, plain.embedding.weight), atol=1e-5)
    assert not torch.allclose(ours[:, 12:], plain(batch)[:, 12:], atol=1e-3)


def changed(model: Any, column: int) -> list[bool]:
    """Whether the states in each of three segments differ after an id in a column is another one."""
    batch = batch_of(18)
    other = {**batch, "decoder_inputs": batch["decoder_inputs"].clone()}
    other["decoder_inputs"][0, column] += 1
    before, after = (model._hidden(given)[0].split(6) for given in (batch, other))
    return [not torch.equal(x, y) for x, y in zip(before, after, strict=True)]


def test_what_is_read_flows_forward_only_and_through_the_carry_only() -> None:
    for segments in (STATES, MEMORY):
        assert changed(language_model(segments), 2) == [True, True, True]
        assert changed(language_model(segments), 8) == [False, True, True]
        assert changed(language_model(segments), 14) == [False, False, True]
    assert changed(language_model(NONE), 2) == [True, False, False]
    assert changed(language_model(STATES, SHALLOW), 2) == [True, True, False]  # one segment a block
    assert changed(language_model(MEMORY, SHALLOW), 2) == [True, True, True]


def reached(segments: Segments) -> list[bool]:
    """Whether the last segment's states have a gradient to what is read in each of three segments."""
    model, seen = language_model(segments), list[torch.Tensor]()
    model.embedding.register_forward_hook(lambda module, given, states: seen.append(states))
    last = model._hidden(batch_of(18))[:, 12:].sum()
    found = torch.autograd.grad(last, seen, allow_unused=True)
    return [gradient is not None and bool(gradient.any()) for gradient in found]


def test_gradients_pass_through_memory_as_far_as_the_truncation_and_never_through_states() -> None:
    assert reached(MEMORY) == [True, True, True]
    assert reached(replace(MEMORY, truncation=2)) == [False, True, True]
    assert reached(replace(MEMORY, truncation=1)) == reached(STATES) == reached(NONE) == [False, False, True]


def test_padding_changes_nothing() -> None:
    for segments in (STATES, MEMORY):
        batch, model = batch_of(18), language_model(segments)
        short = {name: tensor[:, :8] for name, tensor in batch.items()}
        padded = {name: torch.nn.functional.pad(tensor, (0, 10)) for name, tensor in short.items()}
        assert torch.allclose(model._hidden(padded)[:, :8], model._hidden(short), atol=1e-6)


@pytest.mark.slow
def test_recomputing_changes_nothing() -> None:
    for segments in (STATES, MEMORY):
        batch, model = batch_of(18), language_model(segments)
        before = gradients(model, batch)
        model.train().recompute()
        after = gradients(model, batch)
        assert all(torch.allclose(before[name], after[name], atol=1e-6) for name in before)


@pytest.mark.parametrize("segments", [NONE, STATES, MEMORY], ids=lambda value: value.carry)
def test_decoding_says_what_reading_does(segments: Segments) -> None:
    """Greedy answers are the likeliest ids of a joined row, across borders, whatever else is in the batch."""
    model = language_model(segments).eval()
    inputs = torch.tensor([[7, 9, 30, 51, 8, 77, 12, 1], [44, 13, 1, 0, 0, 0, 0, 0]])
    answers = model.answer({"inputs": inputs}, 7)
    for row, ids in zip(inputs, answers, strict=True):
        ids = ids[ids != 0]
        joined = torch.cat([row[row != 0], ids])[None]
        logits = model({"decoder_inputs": torch.nn.functional.pad(joined, (1, 0))[:, :-1]})
        likeliest = logits[0, int((row != 0).sum()) :, :VOCAB].argmax(-1)
        assert torch.equal(likeliest, ids)


def test_inputs_beyond_the_segments_are_left_out_at_either_end() -> None:
    ids = np.array([[5, 6, 7, 8, 9], [5, 6, 0, 0, 0]])
    assert last_ids(ids, 3).tolist() == [[7, 8, 9], [5, 6, 0]] and last_ids(ids, 9).tolist() == ids.tolist()
    for keep, expected in (("first", [5, 6, 1]), ("last", [8, 9, 1])):
        segments = Segments(3, 1, keep=keep)
        batch = SegmentedDecoder(LanguageModel(), segments).batching(ids, ids[:, :1], 64, 64)
        assert batch["targets"][0].tolist() == [*expected, 5, EOS]
        torch.manual_seed(0)
        model = LanguageModel().build(SIZE, VOCAB)
        SegmentedDecoder(LanguageModel(), segments).prepare(model)
        state = model.start_decoding({"inputs": torch.tensor([[5, 6, 7, 8, 9, 1], [5, 6, 1, 0, 0, 0]])}, 4)
        assert state.ids.tolist() == [[0, *expected], [0, 5, 6, 1]]


@pytest.mark.parametrize("segments", [NONE, STATES, MEMORY, replace(MEMORY, truncation=1)], ids=str)
def test_operations_are_those_torch_counts(segments: Segments) -> None:
    batch, model = batch_of(21), language_model(segments)
    products = SegmentedDecoder(LanguageModel(), segments).products(SIZE, VOCAB, *shape_of(batch))
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model.loss(batch).backward()
    assert step(products).total == counter.get_total_flops()
    assert parameters(products) == {name: tuple(p.shape) for name, p in model.named_parameters()}


def test_language_models_are_pre_trained_in_segments_where_that_is_asked_for() -> None:
    words = ["architecture=language_model", "objective=language_model"]
    for more, reads in (([], True), (["segments.pretrain=false"], False)):
        cell = load_cell([*words, "segments=transformer_xl", *more])
        tuned = next(iter(cell.strategy.stages(cell).values())).parents[0]
        pretrained = next(stage for stage in tuned.parents if stage.kind == "pretrain")
        assert ("segments" in pretrained.config["architecture"]) == reads
        assert ("language_model-transformer_xl" in pretrained.name) == reads
        assert tuned.content["architecture"]["segments"]["carry"] == "states"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["segments=transformer_xl"], r"segments\.carry=states: architecture=encoder_decoder can"),
        (
            ["segments=recurrent_memory", "architecture=language_model", "segments.memory=32"],
            r"segments\.memory=32: leaves no room .* beside the memory to write",
        ),
        (["segments=transformer_xl", "architecture=prefix_lm"], "segments=transformer_xl: architecture=p"),
    ],
)  # fmt: skip
def test_what_a_decoder_cannot_have_is_refused(words: list[str], told: str) -> None:
    with pytest.raises(Refused, match=f"^{told}"):
        load_cell(words)
