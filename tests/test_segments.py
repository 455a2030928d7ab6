"""Texts in segments: what is cut, what flows where, what is trained, and what it costs."""

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from t5grid.config.schema import load_cell
from t5grid.data.place_targets import FIRST_TASK, asked
from t5grid.data.reading import END, START
from t5grid.data.special_ids import EOS, class_id
from t5grid.grid.model_facts import reading, shown_facts
from t5grid.model.architectures import EncoderDecoder, EncoderDecoderHalf, EncoderDecoderShared
from t5grid.model.costs import Product, kept, parameters, step
from t5grid.model.encoders import Bert
from t5grid.model.recurrence import Recurrence, cut, ended
from t5grid.model.segmented import FORMS
from t5grid.model.segmenting import Segments
from t5grid.model.size import Size
from t5grid.refused import Refused
from t5grid.stages.exchange import export_checkpoint
from t5grid.stages.stage_file import write
from t5grid.stages.workload import shape_of
from t5grid.tasks.answer import Class, Span

VOCAB = 120
SIZE = Size(16, 24, 8, 2, 2, dropout=0.0)
ONE, MEMORY = Segments(24, 1), Segments(10, 3, memory=3, carry="memory")
BY_ROW, ANYWHERE = {"sense": Class(("no", "yes", "maybe"))}, {"sense": Class(("no", "yes")), "where": Span()}
WRITERS = (EncoderDecoder(), EncoderDecoderShared(), EncoderDecoderHalf())
every_writer = pytest.mark.parametrize("architecture", WRITERS, ids=lambda value: type(value).__name__)
Batch = dict[str, torch.Tensor]


def tensors(arrays: dict[str, np.ndarray]) -> Batch:
    return {name: torch.from_numpy(array).long() for name, array in arrays.items()}


def segmented(architecture: Any, segments: Segments) -> Any:
    return FORMS[type(architecture)](architecture, segments)


def writing(architecture: Any, segments: Segments | None) -> Any:
    """A text-to-text model, the same weights with and without segments."""
    torch.manual_seed(0)
    model = architecture.build(SIZE, VOCAB)
    if segments:
        segmented(architecture, segments).prepare(model)
        assert isinstance(model.recurrence, Recurrence)
    return model


def answering(segments: Segments | None, answers: Any = None) -> Any:
    """An encoder with output layers, the same weights with and without segments."""
    torch.manual_seed(0)
    architecture = segmented(Bert(40), segments) if segments else Bert(40)
    model = architecture.answering(answers or BY_ROW).build(SIZE, VOCAB)
    assert isinstance(model.recurrence, Recurrence) == (segments is not None)
    return model


def ids(rows: int, length: int) -> np.ndarray:
    return np.random.default_rng(length).integers(3, VOCAB - 2, (rows, length)).astype(np.int32)


def text_batch(architecture: Any, length: int, rows: int = 3) -> Batch:
    arrays = segmented(architecture, MEMORY).batching(ids(rows, length - 1), ids(rows, 4), 64, 8)
    return tensors(arrays)


def row_batch(length: int, place: int = 0, head: int = 0, answer: int = 2) -> Batch:
    """Rows `[CLS] text [SEP]` for which `answer` is asked at `place`; the last of the four is shorter."""
    inputs = ids(4, length)
    inputs[:, 0], inputs[:, -1], inputs[-1, length // 2 :] = class_id(VOCAB), EOS, 0
    targets = -inputs
    targets[:, place] = asked(FIRST_TASK + head, answer)
    return tensors(Bert(40).answering(BY_ROW).batching(inputs, targets, 64, 64))


def gradients(model: Any, batch: Batch) -> dict[str, torch.Tensor]:
    model.zero_grad()
    model.loss(batch).backward()
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


# --- what is cut ------------------------------------------------------------------------------------


def text_of(segments: Segments, row: list[int], num_marks: int = 0) -> list[list[int]]:
    rows = torch.tensor([row])
    return [piece.of(rows)[0].tolist() for piece in cut(segments, rows, num_marks)]


def test_the_last_segment_is_full_and_the_first_is_what_is_left_over() -> None:
    assert text_of(Segments(3, 4), [5, 6, 7, 8, 9, 10, 11, 1]) == [[5, 6], [7, 8, 9], [10, 11, 1]]
    assert text_of(Segments(3, 4), [5, 6]) == [[5, 6]]
    memory = Segments(6, 4, memory=2, carry="memory")  # with a mark: three ids of text a window
    assert text_of(memory, [2, 5, 6, 7, 8, 9, 1], 1) == [[5, 6, 7], [8, 9, 1]]


def test_a_short_text_beside_a_long_one_begins_in_a_later_segment() -> None:
    rows = torch.tensor([[5, 6, 7, 8, 9, 1], [5, 6, 7, 1, 0, 0], [5, 1, 0, 0, 0, 0]])
    pieces = [piece.of(rows).tolist() for piece in cut(Segments(3, 4), rows)]
    assert pieces == [[[5, 6, 7], [5, 0, 0], [0, 0, 0]], [[8, 9, 1], [6, 7, 1], [5, 1, 0]]]


def test_what_is_more_than_the_segments_is_left_out_at_either_end() -> None:
    row = [5, 6, 7, 8, 9, 10, 1]
    assert text_of(Segments(3, 2), row) == [[5, 6, 7], [8, 9, 10]]
    assert text_of(Segments(3, 2, keep="last"), row) == [[6, 7, 8], [9, 10, 1]]
    rows = torch.tensor([row, [5, 6, 7, 8, 9, 1, 0], [5, 6, 1, 0, 0, 0, 0]])
    assert ended(Segments(3, 2), rows)[:, 5].tolist() == [EOS, 1, 0]
    assert ended(Segments(3, 2, keep="last"), rows) is ended(Segments(3, 3), rows) is rows


# --- one segment is the plain model -----------------------------------------------------------------


@every_writer
def test_one_segment_without_memory_is_the_plain_model_bit_for_bit(architecture: Any) -> None:
    batch = text_batch(architecture, 20)
    plain, ours = writing(architecture, None), writing(architecture, ONE)
    before, after = gradients(plain, batch), gradients(ours, batch)
    assert plain.loss(batch).item() == ours.loss(batch).item() and before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    given = {"inputs": batch["inputs"]}
    for num_beams in (1, 3):
        assert torch.equal(plain.answer(given, 6, num_beams), ours.answer(given, 6, num_beams))


@pytest.mark.parametrize("answers", [BY_ROW, ANYWHERE], ids=["by row", "anywhere"])
def test_one_segment_without_memory_is_the_plain_encoder_bit_for_bit(answers: Any) -> None:
    plain, ours = answering(None, answers), answering(ONE, answers)
    for batch in (row_batch(20), row_batch(20, place=6, head=1, answer=START + END))[: len(answers)]:
        before, after = gradients(plain, batch), gradients(ours, batch)
        assert plain.loss(batch).item() == ours.loss(batch).item() and before.keys() == after.keys()
        assert all(torch.equal(before[name], after[name]) for name in before)
        given = {"inputs": batch["inputs"], "heads": batch["heads"][:, :1]}
        assert torch.equal(plain.answer(given, 6), ours.answer(given, 6))


def test_plain_truncation_is_the_plain_model_of_a_cut_text() -> None:
    architecture, short = EncoderDecoder(), Segments(8, 1)
    batch = text_batch(architecture, 20)
    cut_batch = tensors(architecture.batching(ids(3, 19), ids(3, 4), 8, 8))
    assert cut_batch["inputs"].shape == (3, 8)
    assert torch.equal(writing(architecture, short)(batch), writing(architecture, None)(cut_batch))


# --- what flows where -------------------------------------------------------------------------------


def windows(model: Any, batch: Batch) -> list[torch.Tensor]:
    """What each pass of the encoder gives while a loss is worked out."""
    seen: list[torch.Tensor] = []
    stack = model.encoder if hasattr(model, "pooler") else model.encoder or model.decoder
    forward = stack.forward

    def noted(*given: Any, **named: Any) -> Any:
        result = forward(*given, **named)
        states = result if isinstance(result, torch.Tensor) else list(result)
        seen.append(states if isinstance(states, torch.Tensor) else states[-1])
        return states

    stack.forward = noted
    model.loss(batch)
    del stack.forward
    return seen


def perturbed(batch: Batch, column: int) -> Batch:
    other = {**batch, "inputs": batch["inputs"].clone()}
    other["inputs"][0, column] += 1
    return other


def changed(model: Any, batch: Batch, column: int) -> list[bool]:
    """Whether the first row's states differ in each window after its id in a column is another one."""
    before, after = (windows(model, given) for given in (batch, perturbed(batch, column)))
    return [not torch.equal(x[0], y[0]) for x, y in zip(before, after, strict=True)]


@every_writer
def test_what_is_read_flows_forward_only_and_through_the_memory_only(architecture: Any) -> None:
    batch = text_batch(architecture, 20)  # three segments of 6, 7 and 7 ids
    shared = isinstance(architecture, EncoderDecoderShared)  # whose decoder is seen as a last window
    model, alone = writing(architecture, MEMORY), writing(architecture, Segments(7, 3))
    for column, expected in ((1, [True, True, True]), (8, [False, True, True]), (17, [False, False, True])):
        assert changed(model, batch, column) == expected + [True] * shared
        loss = [alone.loss(given).item() for given in (batch, perturbed(batch, column))]
        assert (loss[0] != loss[1]) == (column == 17)
    assert changed(alone, batch, 8) == [False] * (1 + shared)


def test_an_encoder_s_segments_are_joined_by_the_memory_only() -> None:
    batch = row_batch(19)  # a mark and three segments of six
    for column, expected in ((1, [True, True, True]), (9, [False, True, True]), (15, [False, False, True])):
        assert changed(answering(MEMORY), batch, column) == expected
        alone = answering(Segments(7, 3), ANYWHERE)
        assert changed(alone, batch, column) == [column == 1, column == 9, column == 15]
    assert changed(answering(Segments(7, 3)), batch, 1) == [False]  # the last one alone is answered by


def test_other_rows_and_padding_change_nothing_of_a_row() -> None:
    model, batch = answering(MEMORY), row_batch(19)
    length = int((batch["inputs"][-1] != 0).sum())
    short = {name: tensor[-1:] for name, tensor in batch.items()} | {"inputs": batch["inputs"][-1:, :length]}
    short |= {name: batch[name][-1:, :length] for name in ("types", "positions", "inputs_segments")}
    assert torch.allclose(model.states(batch)[-1][-1, 0], model.states(short)[-1][0, 0], atol=1e-6)


def test_states_stand_where_their_ids_do() -> None:
    """Of a text in windows without carry, those of each window by itself."""
    model, batch = answering(Segments(7, 3), ANYWHERE), row_batch(19)
    whole, passes = model.states(batch)[-1], windows(model, batch)
    assert whole.shape == (4, 19, 16)
    for number in range(3):
        assert torch.equal(whole[0, 1 + 6 * number : 7 + 6 * number], passes[number][0, 1:])
    assert torch.equal(whole[:, 0], passes[2][:, 0])
    assert not whole[-1, 9:].any()


# --- what is trained --------------------------------------------------------------------------------


def reached(architecture: Any, truncation: int | None) -> list[bool]:
    """Whether the loss has a gradient to what is read in the first, the second and the third segment."""
    segments = replace(MEMORY, truncation=truncation)
    is_bert = isinstance(architecture, Bert)
    model = answering(segments) if is_bert else writing(architecture, segments)
    seen: list[torch.Tensor] = []
    model.embedding.register_forward_hook(lambda module, given, states: seen.append(states))
    loss = model.loss(row_batch(19) if is_bert else text_batch(architecture, 20))
    trained = [states for states in seen[:3] if states.requires_grad]
    found = torch.autograd.grad(loss, trained, allow_unused=True)
    return [False] * (3 - len(trained)) + [
        gradient is not None and bool(gradient.any()) for gradient in found
    ]


@pytest.mark.parametrize("architecture", [*WRITERS, Bert(40)], ids=lambda value: type(value).__name__)
def test_gradients_pass_through_the_last_segments_of_the_truncation(architecture: Any) -> None:
    assert reached(architecture, None) == reached(architecture, 3) == [True, True, True]
    assert reached(architecture, 2) == [False, True, True]
    assert reached(architecture, 1) == [False, False, True]


def test_a_truncation_changes_gradients_and_no_answer() -> None:
    batch = row_batch(19)
    losses = [answering(replace(MEMORY, truncation=t)).loss(batch).item() for t in (None, 1)]
    assert losses[0] == losses[1]


def test_where_answers_stand_anywhere_every_segment_is_trained_by_its_own() -> None:
    batch = row_batch(19, place=3, head=1, answer=START + END)
    table = gradients(answering(replace(MEMORY, truncation=1), ANYWHERE), batch)["embedding.weight"]
    assert table[batch["inputs"][0, 3]].any()


def test_memory_is_learned_where_a_text_begins() -> None:
    for model, batch in (
        (writing(EncoderDecoder(), MEMORY), text_batch(EncoderDecoder(), 20)),
        (answering(MEMORY), row_batch(19)),
    ):
        assert gradients(model, batch)["recurrence.memory"].any()


# --- what it costs ----------------------------------------------------------------------------------

SETTINGS = [
    MEMORY,
    replace(MEMORY, truncation=1),
    replace(MEMORY, truncation=2),
    Segments(7, 3),
    ONE,
    Segments(10, 2, memory=3, carry="memory", keep="last"),
]
every_setting = pytest.mark.parametrize("segments", SETTINGS, ids=str)


def torchs(model: Any, batch: Batch) -> int:
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model.loss(batch).backward()
    return counter.get_total_flops()


@every_setting
@pytest.mark.parametrize("architecture", WRITERS[:2], ids=lambda value: type(value).__name__)
def test_operations_of_a_writer_are_those_torch_counts(architecture: Any, segments: Segments) -> None:
    batch, model = text_batch(architecture, 23), writing(architecture, segments)
    batch["targets"] = batch["targets"].clamp(min=2)  # logits everywhere
    products = segmented(architecture, segments).products(SIZE, VOCAB, *shape_of(batch))
    assert step(products).total == torchs(model, batch)
    assert parameters(products) == {name: tuple(p.shape) for name, p in model.named_parameters()}


@every_setting
@pytest.mark.parametrize("answers", [BY_ROW, {"where": Span()}], ids=["by row", "anywhere"])
def test_operations_of_an_encoder_are_those_torch_counts(answers: Any, segments: Segments) -> None:
    batch, model = row_batch(22), answering(segments, answers)
    form = segmented(Bert(40), segments).answering(answers)
    if "where" in answers:
        batch = row_batch(22, place=6, answer=START + END)
    products = form.products(SIZE, VOCAB, *shape_of(batch))
    assert parameters(products) == {name: tuple(p.shape) for name, p in model.named_parameters()}
    assert form.num_parameters(SIZE, VOCAB)["total"] == sum(p.numel() for p in model.parameters())
    if "where" in answers:
        products = [product for product in products if product.writes != "pooled"]
    assert step(products).total == torchs(model, batch)


def test_what_a_step_keeps_grows_with_the_truncation_and_not_with_the_text() -> None:
    def elements(number: int, truncation: int | None) -> int:
        segments = Segments(10, number, memory=3, carry="memory", truncation=truncation)
        products = segmented(EncoderDecoder(), segments).products(SIZE, VOCAB, 2, 7 * number, 4)
        return kept(products, lambda name: True)

    assert elements(3, 1) == elements(30, 1) < elements(3, 2) == elements(30, 2)
    assert elements(3, None) * 3 < elements(30, None)


def test_what_is_detached_costs_its_forward_pass() -> None:
    chain = [Product("x", (), "table"), Product("y", ("x",), "matrix", 10, 4, detached=True)]
    assert step([*chain, Product("z", ("y",), "last", 3)]).total == 10 + 3 + 3
    assert kept(chain, lambda name: True) == 0


def test_a_block_passes_the_memory_too() -> None:
    form = segmented(EncoderDecoder(), MEMORY)
    assert form.block_steps(SIZE, 21, 4) == (30 + 4) * 2 and form.block_steps(SIZE, 0, 1) == 2
    assert form.num_parameters(SIZE, VOCAB)["memory"] == 3 * 16


# --- what is refused --------------------------------------------------------------------------------

BERT, LONG = ("architecture=bert", "objective=masked_lm"), "suite.columns.questions.inputs_length=256"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["segments.memory=64"], r"segments\.memory=64: leaves no room"),
        ([*BERT, "segments.memory=63"], r"segments\.memory=63: leaves no room .* architecture=bert"),
        (["segments.number=0"], r"segments\.number=0: a whole number from 1 up"),
        (["segments.memory=0"], r"segments\.memory=0: carry=memory hands on at least 1"),
        (["segments.carry=none"], r"segments\.memory=5: carry=none hands none on"),
        (["segments.carry=none", "segments.memory=0", "segments.truncation=1"], r"segments\.truncation"),
        (["segments.truncation=0"], r"segments\.truncation=0: "),
        (["architecture=gpt", "objective=language_model"], "segments=recurrent_memory: architecture=gpt"),
        (["segments.pretrain=true"], r"segments\.pretrain=true: architecture=encoder_decoder is pre-trained"),
        ([*BERT, "finetune=feature_based"], "finetune=feature_based: reads states of whole texts"),
        (
            [*BERT, "architecture.num_positions=128", "segments.size=200", LONG],
            r"segments\.size=200: more than architecture\.num_positions=128",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_read_in_segments_is_refused_naming_the_key(words: list[str], told: str) -> None:
    with pytest.raises(Refused, match=f"^{told}"):
        load_cell(["segments=recurrent_memory", *words])


@pytest.mark.parametrize("strategy", ["multitask", "leave_one_out", "soft_sharing", "intermediate_finetune"])
def test_a_strategy_that_reads_whole_texts_is_refused(strategy: str) -> None:
    with pytest.raises(Refused, match=f"^segments=recurrent_memory: strategy={strategy} reads whole texts"):
        load_cell(["segments=recurrent_memory", f"strategy={strategy}"])


def test_fine_tuning_is_in_segments_and_pre_training_the_plain_model_s() -> None:
    plain, ours = (load_cell(words) for words in ([], ["segments=recurrent_memory"]))
    before, after = (next(iter(cell.strategy.stages(cell).values())) for cell in (plain, ours))
    (tuned, _), (other, _) = before.parents, after.parents
    assert [stage.identity for stage in tuned.parents] == [stage.identity for stage in other.parents]
    assert tuned.identity != other.identity and "encoder_decoder-recurrent_memory-" in other.name
    assert other.content["architecture"] == {
        "_target_": "segments/SegmentedEncoderDecoder",
        "architecture": {"_target_": "architecture/EncoderDecoder"},
        "segments": {
            "_target_": "segments/Segments",
            "size": 64,
            "number": 4,
            "memory": 5,
            "carry": "memory",
        },
    }
    assert "segments" not in tuned.config


def test_a_model_is_copied_with_its_memory() -> None:
    model = answering(MEMORY)
    assert torch.equal(copy.deepcopy(model).recurrence.memory, model.recurrence.memory)


def test_a_table_shows_what_is_read_at_once_and_what_reading_costs() -> None:
    names = ("segment_size", "memory_size", "num_segments")
    words = ["suite=long", "segments=recurrent_memory", "segments.size=54", "segments.memory=10"]
    assert shown_facts(load_cell(words), names) == ("44", "10", "4")
    assert shown_facts(load_cell([*words, *BERT]), names) == ("43", "10", "4")
    assert shown_facts(load_cell(["suite=long"]), names) == ("", "", "")
    costs = [reading(load_cell([*words, f"segments.number={number}"])) for number in (1, 2, 3)]
    assert costs[2] - costs[1] == pytest.approx(costs[1] - costs[0]) and costs[0] < costs[1]


def test_a_model_that_reads_in_segments_is_not_exported(tmp_path: Path) -> None:
    cell = load_cell(["segments=recurrent_memory"])
    tuned = next(iter(cell.strategy.stages(cell).values())).parents[0]
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "step-00000000-0.safetensors").touch()
    write([tuned], lambda stage: tmp_path)
    with pytest.raises(
        Refused, match=r"a model that reads in segments; Hugging Face's T5 reads whole texts$"
    ):
        export_checkpoint(tmp_path, tmp_path / "out")
