"""XLNet: what it learns by, who sees whom, what it costs, and that it is transformers' on equal weights."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from t5grid.commands.anatomy import architecture_lines
from t5grid.config.schema import load_cell
from t5grid.data.batching import one_row_each
from t5grid.data.characters import Characters
from t5grid.data.permutation_lm import PermutationLM
from t5grid.data.place_targets import answers_of, ranks_of
from t5grid.data.special_ids import EOS, class_id, mask_id
from t5grid.data.vocabulary import Vocabulary
from t5grid.model.costs import step
from t5grid.model.huggingface_encoders import copy_weights, xlnet_tensors
from t5grid.model.size import Size
from t5grid.model.xlnet import Xlnet
from t5grid.model.xlnet_blocks import distances, shifted
from t5grid.model.xlnet_model import content_sight
from t5grid.refused import Refused
from t5grid.stages.workload import shape_of
from t5grid.tasks.answer import Class

VOCAB = 120
SIZE = Size(32, 48, 8, 4, 3, dropout=0.0)
IGNORED = -100


def pieces(number: int = 6, length: int = 27) -> np.ndarray:
    """Pieces of three sentences; the last three are shorter."""
    tokens = np.random.default_rng(0).integers(3, VOCAB - 3, (number, length)).astype(np.int32)
    tokens[3:, 20:] = 0
    tokens[:, [5, 11]] *= -1
    return tokens


def told(tokens: np.ndarray, **how: Any) -> tuple[np.ndarray, np.ndarray]:
    return PermutationLM(**how)(tokens, np.random.default_rng(1), VOCAB)


def batch(packing: Any = one_row_each, **how: Any) -> dict[str, torch.Tensor]:
    arrays = Xlnet().batching(*told(pieces(**how)), 30, 30, packing=packing)
    return {name: torch.from_numpy(array).long() for name, array in arrays.items()}


def small(seed: int = 0) -> Any:
    """A model whose every parameter is far from zero."""
    torch.manual_seed(seed)
    model = Xlnet().build(SIZE, VOCAB).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model


# --- what it learns by ----------------------------------------------------------------------------


def test_rows_end_in_the_class_mark_and_hide_nothing() -> None:
    tokens = pieces()
    inputs, targets = told(tokens)
    for row, wanted in zip(inputs, targets, strict=True):
        ids = row[row != 0]
        assert ids[-2:].tolist() == [EOS, class_id(VOCAB)] and (ids == EOS).sum() == 2
        assert (answers_of(wanted[wanted > 0]) == row[wanted > 0]).all()
        assert not np.isin(ids, [mask_id(VOCAB)]).any() and (wanted[row == 0] == 0).all()


def test_a_sixth_is_told_last_in_a_random_order_and_the_rest_has_none() -> None:
    inputs, targets = told(pieces())
    for row, wanted in zip(inputs, targets, strict=True):
        ranks, is_told = ranks_of(wanted)[row != 0], (wanted > 0)[row != 0]
        marks = np.isin(row[row != 0], [EOS, class_id(VOCAB)])
        assert is_told.sum() == round((~marks).sum() / 6) and not (is_told & marks).any()
        assert sorted(ranks[is_told | marks]) == list(range(1, 1 + (is_told | marks).sum()))
        assert (ranks[~is_told & ~marks] == 0).all()
    orders = {tuple(ranks_of(row)[row > 0]) for row in told(np.repeat(pieces(1), 50, axis=0))[1]}
    assert len(orders) > 20


def lengths_of_spans(longest: int) -> np.ndarray:
    """How many spans there are of each length in many pieces."""
    tokens = np.random.default_rng(0).integers(3, VOCAB - 3, (400, 120)).astype(np.int32)
    is_told = told(tokens, longest_span=longest)[1] > 0
    edges = np.diff(np.pad(is_told, ((0, 0), (1, 1))).astype(int), axis=1)
    return np.bincount(np.nonzero(edges == -1)[1] - np.nonzero(edges == 1)[1])


def test_told_tokens_stand_in_spans_or_anywhere() -> None:
    spans, single = lengths_of_spans(5), lengths_of_spans(1)
    assert spans[5] > 0.05 * spans.sum() and spans[6:].sum() < 0.02 * spans.sum()
    assert single[1] > 0.8 * single.sum() and single[5:].sum() < 0.002 * single.sum()
    assert (spans * np.arange(len(spans))).sum() == (single * np.arange(len(single))).sum() == 400 * 20


def test_of_one_token_nothing_is_told_and_of_two_one() -> None:
    tokens = np.array([[5, 0], [5, 6]], np.int32)
    assert (told(tokens)[1] > 0).sum(axis=1).tolist() == [0, 1]


def test_lengths_leave_room_for_the_marks() -> None:
    assert PermutationLM().lengths(128) == (125, 21)
    with pytest.raises(Refused, match=r"^inputs_length=4: at least 5"):
        PermutationLM().lengths(4)
    with pytest.raises(Refused, match=r"^objective.one_in=2: 2998 tokens told of inputs_length=6000; an ord"):
        PermutationLM(one_in=2).lengths(6000)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["architecture=bert"], "objective=permutation_lm: its targets are in an order; architecture=bert"),
        (["objective=masked_lm"], "objective=masked_lm: its targets are in place; architecture=xlnet learns"),
        (["objective.one_in=1"], "objective.one_in=1: "),
        (["suite.use=[to_norvin]"], "suite.use: architecture=xlnet: fine-tuned through an output layer"),
        (["size.tied=false"], "size.tied=false: this architecture's logits"),
        (["segments=recurrent_memory"], "segments=recurrent_memory: architecture=xlnet reads no text in"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_name(words: list[str], message: str) -> None:
    with pytest.raises(Refused) as caught:
        cell = load_cell(["architecture=xlnet", "objective=permutation_lm", *words])
        cell.strategy.stages(cell)
    assert str(caught.value).startswith(message)


# --- who sees whom --------------------------------------------------------------------------------


def moved(before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
    """Which places of a row, in each of its variants, differ."""
    return (before - after).abs().amax(dim=-1) > 1e-4


def exchanged(ids: torch.Tensor) -> tuple[list[int], torch.Tensor]:
    """The places of a row that hold tokens, and the row with one of them exchanged, one after another."""
    places = [place for place, number in enumerate(ids[0].tolist()) if 2 < number < VOCAB - 2]
    rows = ids.repeat(len(places), 1)
    for row, place in zip(rows, places, strict=True):
        row[place] = 3 + (int(row[place]) - 2) % (VOCAB - 6)
    return places, rows


def test_a_place_sees_what_precedes_it_in_the_order_and_the_query_stream_never_itself() -> None:
    """Each token of a row is exchanged: what changes in both streams is what follows it, and no more."""
    model, row = small(), {name: array[:1] for name, array in batch().items()}
    order, asked = row["order"][0], row["places"][0]
    places, rows = exchanged(row["inputs"])
    assert len(places) == 27 and len(asked) > 2
    changed = {name: array.repeat(len(places), 1) for name, array in row.items()} | {"inputs": rows}
    content = moved(model.states(row)[-1], model.states(changed)[-1])
    query = moved(model.told(row)[-1], model.told(changed)[-1])
    for number, place in enumerate(places):
        itself, context = torch.arange(len(order)) == place, (order == 0) & (order[place] == 0)
        assert torch.equal(content[number], (order > order[place]) | itself | context)
        assert torch.equal(query[number], order[asked] > order[place])


def test_without_an_order_every_place_sees_its_whole_row() -> None:
    model, ids = small(), batch()["inputs"][:1]
    assert moved(model.states({"inputs": ids})[-1], model.states({"inputs": exchanged(ids)[1]})[-1]).all()


def test_the_masks_of_both_streams_are_drawn() -> None:
    cell = load_cell(["architecture=xlnet", "objective=permutation_lm"])
    lines = list(architecture_lines(cell, "a b c d e f g h"))
    content, query = (
        next(number for number, line in enumerate(lines) if f"self-attention, {name} stream" in line)
        for name in ("content", "query")
    )
    reads, asked = lines[1].split()[2:], lines[2].split()[3:]
    assert reads == [*"abcdefgh", "[SEP]", "[CLS]"] and len(asked) == 1
    seen = [line.split()[2:] for line in lines[content + 2 : content + 12]]
    at = reads.index(asked[0])
    assert [row[number] for number, row in enumerate(seen)] == ["■"] * 10
    assert lines[query + 2].split()[1] == asked[0] and lines[query + 2].split()[2:][at] == "·"
    assert all(row[at] == "·" for number, row in enumerate(seen[:8]) if number != at)


# --- its form -------------------------------------------------------------------------------------


def test_scores_by_distance_are_shifted_into_their_places() -> None:
    scores = torch.arange(3, -3, -1).expand(2, 3, 6)
    assert shifted(scores).tolist() == [[[0, -1, -2], [1, 0, -1], [2, 1, 0]]] * 2


def test_it_reads_the_class_mark_last_and_answers_there() -> None:
    vocabulary = Vocabulary(Characters().make(iter(())))
    tuned = Xlnet().answering({"pair": Class(("a", "b"), second="two:")})
    ids, targets = tuned.reading(vocabulary, 40).pair("pair", {"inputs": "x two: y", "targets": "b"})
    size = vocabulary.size
    assert [number for number in ids if number in (EOS, size - 2, size - 3)] == [EOS, EOS, size - 2]
    assert ids[-2:] == [EOS, size - 2] and [place for place, one in enumerate(targets) if one > 0] == [
        len(ids) - 1
    ]
    model = tuned.build(SIZE, size)
    assert model.answer_places(torch.tensor([ids])).tolist() == [[len(ids) - 1]]


def test_before_it_is_fine_tuned_it_answers_what_masks_hide() -> None:
    model, mask = small(), mask_id(VOCAB)
    inputs = torch.tensor([[7, mask, 9, mask, EOS, class_id(VOCAB)], [7, 8, EOS, class_id(VOCAB), 0, 0]])
    order = (inputs == mask).long()
    likeliest = model({"inputs": inputs, "order": order, "places": torch.tensor([[1, 3], [0, 0]])}).argmax(-1)
    assert model.answer({"inputs": inputs}, 8).tolist() == [[*likeliest[0].tolist(), EOS], [EOS, 0, 0]]


def test_the_weights_that_are_shown_are_those_of_the_layer() -> None:
    model, rows = small(), batch()
    x, layer = model.embedding(rows["inputs"]), model.encoder.blocks[0].self_attention
    keys, sight = layer.keys(x, distances(x.shape[1], x)), content_sight(rows)
    mixed = (layer.weights(x, keys, sight) @ keys.value).transpose(1, 2).flatten(2)
    assert torch.allclose(layer.output(mixed), layer(x, keys, sight), atol=1e-5)


@pytest.mark.slow
def test_recomputed_blocks_have_the_same_gradients() -> None:
    rows, gradients = batch(), []
    for recomputes in (False, True):
        model = small().train()
        model.stack.recomputes = recomputes
        model.loss(rows).backward()
        gradients.append([parameter.grad for parameter in model.parameters()])
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(*gradients, strict=True))


@pytest.mark.parametrize("last_block_only", [False, True])
def test_operations_of_pre_training_are_those_torch_counts(last_block_only: bool) -> None:
    rows = {name: array[:3] for name, array in batch().items()}
    model = small()
    is_trained = (lambda name: ".blocks.2." in name) if last_block_only else (lambda name: True)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(is_trained(name))
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model.loss(rows).backward()
    products = Xlnet().products(SIZE, VOCAB, *shape_of(rows))
    assert counter.get_total_flops() == step(products, is_trained).total


# --- transformers' --------------------------------------------------------------------------------


def theirs_and_ours(transformers: Any) -> tuple[Any, Any]:
    config = transformers.XLNetConfig(
        vocab_size=VOCAB, d_model=32, n_layer=3, n_head=4, d_inner=48, dropout=0.0
    )
    torch.manual_seed(5)
    theirs = transformers.XLNetLMHeadModel(config).eval()
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    ours, tensors = Xlnet().build(SIZE, VOCAB).eval(), xlnet_tensors(theirs.state_dict(), 3)
    copy_weights(tensors, {name: name for name in tensors}, ours)
    return theirs, ours


def difference(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).detach().abs().max())


def given(rows: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The batch as theirs takes it: numbers of parts, and which ids each id must not see."""
    ids, order, places = rows["inputs"], rows["order"], rows["places"]
    marks = (ids == EOS).long()
    itself = torch.nn.functional.one_hot(places, ids.shape[1]) * (rows["targets"] > 0)[..., None]
    context_sees = (order[:, :, None] == 0) & (order[:, None, :] == 0)
    return {
        "input_ids": ids,
        "attention_mask": (ids != 0).float(),
        "token_type_ids": marks.cumsum(dim=1) - marks,
        "perm_mask": (~(context_sees | (order[:, None, :] < order[:, :, None]))).float(),
        "target_mapping": itself.float(),
        "labels": torch.where(rows["targets"] > 0, rows["targets"], IGNORED),
    }


def test_both_streams_logits_and_loss_are_those_of_transformers(transformers: Any) -> None:
    theirs, ours = theirs_and_ours(transformers)
    rows = batch()
    answer = theirs(**given(rows), output_hidden_states=True, use_mems=False)
    real, is_told = rows["inputs"] != 0, rows["targets"] > 0
    content, query = ours.states(rows), ours.told(rows)
    assert len(answer.hidden_states) == len(content) + len(query) == 8
    for mine, other in zip(content, answer.hidden_states[::2], strict=True):
        assert difference(mine[real], other[real]) < 1e-4
    for mine, other in zip(query, answer.hidden_states[1::2], strict=True):
        assert difference(mine[is_told], other[is_told]) < 1e-4
    assert difference(ours(rows)[is_told], answer.logits[is_told]) < 1e-4
    assert difference(ours.loss(rows), answer.loss) < 1e-4 and answer.loss.item() > 1


def test_rows_read_as_a_whole_and_their_gradients_are_those_of_transformers(transformers: Any) -> None:
    theirs, ours = theirs_and_ours(transformers)
    rows = {"inputs": batch()["inputs"]}
    ids, real = rows["inputs"], rows["inputs"] != 0
    marks = (ids == EOS).long()
    words = {"attention_mask": real.float(), "token_type_ids": marks.cumsum(dim=1) - marks, "use_mems": False}
    answer = theirs.transformer(ids, **words, output_hidden_states=True)
    states = ours.states(rows)
    pairs = zip(states, answer.hidden_states, strict=True)
    assert max(difference(mine[real], other[real]) for mine, other in pairs) < 1e-4
    weights = torch.randn(real.sum(), SIZE.d_model)
    (states[-1][real] * weights).sum().backward()
    (answer.last_hidden_state[real] * weights).sum().backward()
    told_alone = {"transformer.mask_emb": torch.zeros(1, 1, 32), "lm_loss.bias": torch.zeros(VOCAB)}
    learned = {name: p.grad for name, p in theirs.named_parameters() if p.grad is not None}
    gradients = xlnet_tensors(learned | told_alone, 3)
    for name, parameter in ours.named_parameters():
        if parameter.grad is not None:
            scale = gradients[name].abs().max().clamp(min=1)
            assert difference(parameter.grad / scale, gradients[name] / scale) < 1e-4, name


def test_a_row_is_summarised_as_by_transformers(transformers: Any) -> None:
    theirs, _ = theirs_and_ours(transformers)
    classifier = transformers.XLNetForSequenceClassification(theirs.config).eval()
    ours = Xlnet().answering({"sense": Class(("no", "yes"))}).build(SIZE, VOCAB).eval()
    state = classifier.state_dict()
    tensors = xlnet_tensors(state | {"lm_loss.bias": torch.zeros(VOCAB)}, 3)
    for part in ("weight", "bias"):
        tensors[f"summary.{part}"] = state[f"sequence_summary.summary.{part}"]
        tensors[f"answering.layers.sense.{part}"] = state[f"logits_proj.{part}"]
    kept = [name for name in tensors if name not in ("telling.start", "telling.bias")]
    copy_weights(tensors, {name: name for name in kept}, ours)
    ids = batch()["inputs"][:3]
    marks = (ids == EOS).long()
    logits = classifier(ids, token_type_ids=marks.cumsum(dim=1) - marks, use_mems=False).logits
    last = ours.states({"inputs": ids})[-1].gather(1, ours.answer_places(ids)[..., None].expand(-1, -1, 32))
    assert difference(ours.answering.layers["sense"](ours.pooled(last))[:, 0], logits) < 1e-4


def test_xlnet_base_has_the_parameters_of_the_published_one(transformers: Any) -> None:
    config = transformers.XLNetConfig(d_model=768, n_layer=12, n_head=12, d_inner=3072)
    with torch.device("meta"):
        theirs = transformers.XLNetLMHeadModel(config)
        ours = Xlnet().build(load_cell(["size=xlnet_base"]).size, 32_000)
    number = sum(parameter.numel() for parameter in theirs.parameters())
    assert sum(parameter.numel() for parameter in ours.parameters()) == number == 116_750_336
    assert Xlnet().num_parameters(load_cell(["size=xlnet_base"]).size, 32_000)["total"] == number


@pytest.mark.slow
def test_it_goes_the_whole_way_by_three_methods(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At budget smoke: pre-trained, fine-tuned for classes and spans, scored, asked again by `predict`."""
    from t5grid.commands.multirun import run_cell
    from t5grid.commands.predicting import answers

    monkeypatch.chdir(tmp_path)
    words = ["architecture=xlnet", "objective=permutation_lm", "architecture.long_rows=cut", "budget=smoke"]
    words += ["budget.num_documents=300", "vocabulary.num_pieces=300", "executor.num_workers=1"]
    words += ["suite.use=[sentences,questions]", "suite.columns.questions.tasks.questions.num_train=200"]
    for method in ("all_parameters", "feature_based", "frozen"):
        assert run_cell(load_cell([*words, f"finetune={method}"])) == 0
    line = "question: who is it context: Anna is a baker."
    (text,) = answers(["questions", *words], [line])
    assert text and text.split()[0] in line
