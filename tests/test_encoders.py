"""What every architecture with output layers owes: costs, losses in parts, answers, methods."""

import re
from typing import Any

import numpy as np
import pytest
import torch
from axis_values import axis_values
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from t5grid.cli import main
from t5grid.config.schema import load_cell
from t5grid.data.batching import one_row_each
from t5grid.data.datamodule import micro_batches
from t5grid.data.masked_lm import MaskedLM, MaskedLMWithoutNSP
from t5grid.data.permutation_lm import PermutationLM
from t5grid.data.place_targets import BESIDE, FIRST_TASK, IN_PLACE, asked
from t5grid.data.reading import END, START, STEPS
from t5grid.data.special_ids import EOS, class_id, mask_id
from t5grid.grid.graph import expand
from t5grid.grid.strategies import pretrain_stage, vocabulary_stage
from t5grid.model.costs import parameters, step
from t5grid.model.output_layers import _best_span
from t5grid.model.size import Size
from t5grid.refused import Refused
from t5grid.stages.workload import shape_of
from t5grid.tasks.answer import Answer, Class, Number, Span, Tags
from t5grid.training.feature_based import FeatureBased, WithBiLstm
from t5grid.training.finetuning import Adapters, FrozenTopBlocks, GradualUnfreezing, episodes_of

VOCAB = 150
SIZE = Size(16, 24, 8, 2, 3, dropout=0.0)
ANSWERS: dict[str, Answer] = {
    "sense": Class(("no", "yes", "maybe")),
    "grade": Number(0.0, 5.0),
    "where": Span(),
    "names": Tags(("person", "place")),
}
EVERY = {
    option: value for option, value in axis_values("architecture").items() if hasattr(value, "answering")
}
FORMS = {option: getattr(value, "learns_from", ()) for option, value in EVERY.items()}
MARKED = [EVERY[option] for option, forms in FORMS.items() if set(forms) & set(BESIDE)]
"""Those whose targets stand beside their inputs."""
ENCODERS = {option: value for option, value in EVERY.items() if IN_PLACE in FORMS[option]}
RECURRENT = [EVERY["elmo"], EVERY["ulmfit"]]
ON_RUNNING_TEXT = [*RECURRENT, EVERY["cbow"]]
"""They read an example a row, and have no feed-forward layers; the last has no blocks."""
every_encoder = pytest.mark.parametrize("architecture", ENCODERS.values(), ids=ENCODERS)
every_architecture = pytest.mark.parametrize("architecture", EVERY.values(), ids=EVERY)
METHODS = {
    "adapters": Adapters(d=4, at_d_model=None, train="adapter_and_norms"),
    "gradual": GradualUnfreezing(norms="always"),
    "frozen": FrozenTopBlocks(),
    **{f"features, {choice}": FeatureBased(choice, 8, None) for choice in (
        "embeddings", "second_to_last", "last", "sum_last_four", "concat_last_four", "weighted_sum"
    )},
}  # fmt: skip
every_method = pytest.mark.parametrize(
    ("architecture", "method"),
    [
        pytest.param(architecture, method, id=f"{option}, {name}")
        for option, architecture in EVERY.items()
        for name, method in METHODS.items()
        if architecture not in ON_RUNNING_TEXT or name.startswith("features")
        or (architecture in RECURRENT and name != "adapters")
    ],
)  # fmt: skip


def tensors(arrays: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(array).long() for name, array in arrays.items()}


def pretraining_batch(
    architecture: Any, objective: Any = None, num_pieces: int = 7, **how: Any
) -> dict[str, torch.Tensor]:
    rng = np.random.default_rng(0)
    tokens = rng.integers(3, VOCAB - 2, (num_pieces, 21)).astype(np.int32)
    tokens[:, 4::6] *= -1
    pair = (np.zeros((num_pieces, 0), np.int32), np.abs(tokens))  # language modelling
    if architecture in MARKED:
        usual = MaskedLM() if architecture in ENCODERS.values() else PermutationLM()
        pair = (objective or usual)(tokens, rng, VOCAB)
    return tensors(architecture.batching(*pair, 60, 60, **how))


def task_batch(architecture: Any) -> dict[str, torch.Tensor]:
    """A row of each kind of answer, and of the first two another one."""
    inputs = np.random.default_rng(1).integers(3, VOCAB - 2, (6, 12)).astype(np.int32)
    inputs[:, 0], inputs[:, 11] = class_id(VOCAB), EOS
    targets, at = -inputs, 11 if architecture.answers_at_end else 0
    for row, (head, places) in enumerate(
        [(0, {at: 2}), (1, {at: 1 + STEPS // 2}), (2, {3: START, 5: END}), (3, {2: 1, 4: 3}), (0, {at: 1})]
    ):
        for place, answer in places.items():
            targets[row, place] = asked(FIRST_TASK + head, answer)
    targets[5, 7] = asked(FIRST_TASK + 2, START + END)
    return tensors(architecture.answering(ANSWERS).batching(inputs, targets, 20, 20))


def tuned(architecture: Any, method: Any = None) -> Any:
    """A model with output layers for every kind of answer, prepared by a method."""
    torch.manual_seed(0)
    model = architecture.answering(ANSWERS).build(SIZE, VOCAB)
    if method:
        method.prepare(model)
    return model


@pytest.mark.parametrize("architecture", [value for value in EVERY.values() if value not in ON_RUNNING_TEXT])
def test_an_example_sees_nothing_of_others_in_its_row(architecture: Any) -> None:
    torch.manual_seed(0)
    model = architecture.build(SIZE, VOCAB).eval()
    packed, alone = pretraining_batch(architecture), pretraining_batch(architecture, packing=one_row_each)
    together, apart = model.states(packed)[-1], model.states(alone)[-1]
    segments, single = (
        next(array for name, array in batch.items() if name.endswith("_segments"))
        for batch in (packed, alone)
    )
    assert len(segments) < len(single) == 7
    found = [
        together[row][segments[row] == segment]
        for row in range(len(segments))
        for segment in range(1, int(segments[row].max()) + 1)
    ]
    rest = [states[own != 0] for states, own in zip(apart, single, strict=True)]
    for states in found:
        assert any(states.shape == other.shape and torch.allclose(states, other, atol=1e-5) for other in rest)
    whole = [model.loss(batch) * batch["targets"].numel() for batch in (packed, alone)]
    if architecture in MARKED:  # means over what is asked, not over all positions
        whole = [model.loss(batch) for batch in (packed, alone)]
    assert torch.allclose(*whole, rtol=1e-5)


@every_architecture
@pytest.mark.parametrize("num_rows", [1, 2, 5])
def test_a_loss_in_parts_adds_up_to_the_loss_of_the_whole_batch(architecture: Any, num_rows: int) -> None:
    torch.manual_seed(0)
    for model, batch in (
        (architecture.build(SIZE, VOCAB), pretraining_batch(architecture, packing=one_row_each)),
        (tuned(architecture), task_batch(architecture)),
    ):
        parts = micro_batches(batch, num_rows)
        total = sum(model.loss(part) * part["weight"] for part in parts)
        assert torch.allclose(total, model.loss(batch), atol=1e-6)


@every_encoder
def test_the_parts_of_the_loss_are_named_and_add_up(architecture: Any) -> None:
    model, batch = architecture.build(SIZE, VOCAB), pretraining_batch(architecture)
    loss = model.loss(batch)
    assert tuple(model.loss_parts) == model.named_losses == ("masked_lm_loss", "pair_loss")
    assert torch.allclose(sum(model.loss_parts.values()), loss) and min(model.loss_parts.values()) > 0


@every_encoder
def test_operations_of_pre_training_are_those_torch_counts(architecture: Any) -> None:
    batch = pretraining_batch(architecture, MaskedLMWithoutNSP(), num_pieces=6)  # rows alike
    model = architecture.build(SIZE, VOCAB)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model.losses(batch)["masked_lm_loss"].backward()
    products = architecture.products(SIZE, VOCAB, *shape_of(batch))
    pair = [p for p in products if (p.parameter or "").startswith(("pooler", "pair"))]
    assert counter.get_total_flops() == step(p for p in products if p not in pair).total
    assert {p.parameter: p.flops for p in pair if p.flops} == {
        "pooler.weight": 2 * len(batch["inputs"]) * 16 * 16, "pair.weight": 2 * len(batch["inputs"]) * 16 * 2,
    }  # fmt: skip


@every_method
def test_products_name_every_parameter_of_a_fine_tuned_encoder(architecture: Any, method: Any) -> None:
    model = tuned(architecture, method)
    products = method.products(architecture.answering(ANSWERS).products(SIZE, VOCAB, 8, 12, 12), SIZE.d_model)
    assert parameters(products) == {name: tuple(p.shape) for name, p in model.named_parameters()}


@every_method
def test_a_method_trains_what_it_should_of_an_encoder_and_the_output_layers(
    architecture: Any, method: Any
) -> None:
    model, batch = tuned(architecture, method), task_batch(architecture)
    names = [name for name, _ in model.named_parameters()]
    trained = episodes_of(method, names, 30)[0]
    assert {name for name in names if name.startswith("answering.layers")} < trained
    assert trained < set(names) or not any(".blocks.1." in name for name in names)  # one for all layers
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in trained)
    model.loss(batch).backward()
    moved = {name for name, p in model.named_parameters() if p.grad is not None and p.grad.any()}
    assert moved <= trained
    needed = {name for name in trained if not re.search("pooler|where.bias|^(embedding|position|type)", name)}
    needed -= (
        {"answering.reader.features.weights"} if architecture == EVERY["cbow"] else set()
    )  # of one state
    assert needed <= moved


@every_architecture
def test_features_are_read_off_a_fixed_encoder_without_dropout(architecture: Any) -> None:
    size = Size(16, 24, 8, 2, 3, dropout=0.5)
    model = architecture.answering(ANSWERS).build(size, VOCAB)
    FeatureBased("last", 8, None).prepare(model)
    batch = task_batch(architecture)
    assert torch.equal(model.train().loss(batch), model.loss(batch))
    trained = FeatureBased().episodes([name for name, _ in model.named_parameters()], 5)[0]
    assert all(name.startswith("answering.") for name in trained)


@every_architecture
def test_an_lstm_on_top_is_trained_with_the_whole_model_and_leaves_its_dropout(architecture: Any) -> None:
    torch.manual_seed(0)
    method = WithBiLstm(d=8, at_d_model=None)
    model = architecture.answering(ANSWERS).build(Size(16, 24, 8, 2, 3, dropout=0.5), VOCAB)
    method.prepare(model)
    names = [name for name, _ in model.named_parameters()]
    assert method.episodes(names, 10) == {0: frozenset(names)}
    products = method.products(architecture.answering(ANSWERS).products(SIZE, VOCAB, 8, 12, 12), SIZE.d_model)
    assert parameters(products) == {name: tuple(p.shape) for name, p in model.named_parameters()}
    batch = task_batch(architecture)
    loss = model.train().loss(batch)
    loss.backward()
    assert model.embedding.weight.grad.any() and model.answering.reader.lstm.weight_ih_l0.grad.any()
    assert model.loss(batch) != loss


def test_features_are_those_of_table_7() -> None:
    from t5grid.model.features import Features

    states = [torch.randn(2, 3, 4) for _ in range(7)]
    expected = {
        "embeddings": states[0],
        "second_to_last": states[5],
        "last": states[6],
        "sum_last_four": sum(states[3:]),
        "concat_last_four": torch.cat(states[3:], dim=-1),
        "weighted_sum": sum(states[1:]) / 6,
    }
    for choice, features in expected.items():
        assert torch.allclose(Features(choice, 6)(states), features, atol=1e-6), choice


def test_the_task_model_sees_both_sides_of_a_place_and_no_padding() -> None:
    from t5grid.model.features import Reader

    torch.manual_seed(0)
    reader = Reader("last", 4, 3, 5, 2)
    x, real = torch.randn(1, 6, 4), torch.tensor([[True] * 4 + [False] * 2])
    before = reader([x], real)
    for place, seen in ((0, True), (3, True), (4, False)):
        changed = x.clone()
        changed[0, place] += 1
        assert (reader([changed], real)[0, 1] != before[0, 1]).any() == seen
    assert before.shape == (1, 6, 10) and not before[0, 4:].any()


def test_what_answers_for_a_row_is_pooled_over_its_example_alone() -> None:
    from t5grid.model.features import beside_pooled

    x = torch.randn(2, 5, 3)
    parts = torch.tensor([[1, 1, 2, 2, 2], [1, 1, 1, 0, 0]])
    pooled = beside_pooled(x, parts)
    for row, first, end in ((0, 0, 2), (0, 2, 5), (1, 0, 3)):
        example = x[row, first:end]
        rest = torch.cat([example.amax(dim=0), example.mean(dim=0)])
        for place in range(first, end):
            assert torch.allclose(pooled[row, place], torch.cat([x[row, place], rest]))
    assert torch.allclose(beside_pooled(x[1:], parts[1:] != 0), pooled[1:])


def test_recurrent_layers_start_with_open_forget_gates_over_rows_of_length_one() -> None:
    torch.manual_seed(0)
    for architecture in RECURRENT:
        model = architecture.build(SIZE, VOCAB)
        lstms = [module for module in model.modules() if isinstance(module, torch.nn.LSTM)]
        assert lstms
        for lstm in lstms:
            biases = lstm.bias_ih_l0 + lstm.bias_hh_l0
            _, forget, _, _ = biases.chunk(4)
            assert (forget == 1).all() and biases.abs().sum() != forget.sum()
        assert model.embedding.weight.detach().norm(dim=1).mean().item() == pytest.approx(1, abs=0.2)


PACKABLE: dict[str, Answer] = {name: ANSWERS[name] for name in ("sense", "grade", "names")}


def packable_pairs() -> tuple[np.ndarray, np.ndarray]:
    """Twelve examples of 5 to 16 ids, each with a class, a number or tags."""
    dice = np.random.default_rng(2)
    inputs = dice.integers(3, VOCAB - 2, (12, 16)).astype(np.int32)
    inputs[:, 0] = class_id(VOCAB)
    for row, length in enumerate(dice.integers(5, 17, 12)):
        inputs[row, length - 1], inputs[row, length:] = EOS, 0
    targets = -inputs
    for row in range(12):
        for place in (1, 2) if row % 3 == 2 else (0,):
            targets[row, place] = asked(FIRST_TASK + row % 3, 1 + row % 2)
    return inputs, targets


@every_encoder
@pytest.mark.parametrize("method", [None, METHODS["adapters"], METHODS["features, weighted_sum"]])
def test_packed_examples_give_the_loss_and_the_gradients_of_rows_of_one(
    architecture: Any, method: Any
) -> None:
    answering = architecture.answering(PACKABLE)
    torch.manual_seed(0)
    model = answering.build(SIZE, VOCAB)
    if method:
        method.prepare(model)
    found = []
    for batching in (answering.packed, answering.batching):
        batch = tensors(batching(*packable_pairs(), 40, 40))
        model.zero_grad()
        loss = model.loss(batch)
        loss.backward()
        grads = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
        found.append((len(batch["inputs"]), float(loss.detach()), grads))
    (few, loss, gradients), (many, wanted, expected) = found
    assert few < 8 and many == 12 and loss == pytest.approx(wanted, rel=1e-5)
    assert torch.allclose(gradients, expected, atol=1e-5) and expected.abs().max() > 1e-3


def test_spans_and_models_that_read_running_text_are_not_packed() -> None:
    for option, answers in (("bert", ANSWERS), ("gpt", PACKABLE), ("ulmfit", PACKABLE), ("elmo", PACKABLE)):
        tuned = EVERY[option].answering(answers)
        rows = [batching(*packable_pairs(), 40, 40)["inputs"] for batching in (tuned.packed, tuned.batching)]
        assert len(rows[0]) == len(rows[1]) == 12


@every_encoder
def test_before_it_is_fine_tuned_an_encoder_answers_what_its_masks_hide(architecture: Any) -> None:
    torch.manual_seed(0)
    model = architecture.build(SIZE, VOCAB).eval()
    mask = mask_id(VOCAB)
    inputs = torch.tensor([[class_id(VOCAB), 7, mask, 9, mask, EOS], [class_id(VOCAB), 7, 8, EOS, 0, 0]])
    answer = model.answer({"inputs": inputs}, 8)
    logits = model.masked_lm(model.states({"inputs": inputs})[-1], model.embedding.weight)
    likeliest = logits[0].argmax(-1)
    assert answer.tolist() == [[likeliest[2], likeliest[4], EOS], [EOS, 0, 0]]


def test_the_best_span_is_the_likeliest_that_does_not_end_before_it_starts() -> None:
    start = torch.tensor([[0.0, 5.0, 1.0, 9.0, 0.0]])
    end = torch.tensor([[9.0, 0.0, 2.0, 0.0, 8.0]])
    words = torch.tensor([[False, True, True, True, False]])
    assert _best_span(torch.stack([start, end], dim=-1), words).tolist() == [[3, 3]]
    assert _best_span(torch.stack([start, end], dim=-1), words & (start < 9)).tolist() == [[1, 2]]


@every_architecture
@pytest.mark.slow
def test_an_encoder_learns_every_kind_of_answer(architecture: Any) -> None:
    model, batch = tuned(architecture), task_batch(architecture)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(150):
        optimizer.zero_grad()
        model.loss(batch).backward()
        optimizer.step()
    model.eval()

    def given(head: int, row: int) -> list[int]:
        heads = torch.full((1, 1), FIRST_TASK + head)
        return model.answer({"inputs": batch["inputs"][row : row + 1], "heads": heads}, 4)[0].tolist()

    assert [given(0, 0), given(0, 4)] == [[2], [1]]
    assert given(1, 1)[0] == pytest.approx(1 + STEPS // 2, abs=100)
    assert [given(2, 2), given(2, 5)] == [[3, 5], [7, 7]]
    assert [given(3, 3)[place] for place in (2, 4)] == [1, 3]


BERT = ["architecture=bert", "objective=masked_lm"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("finetune=frozen_head", "finetune=frozen_head: architecture=bert has no softmax to answer by"),
        ("finetune=frozen_last_layer", "finetune=frozen_last_layer: architecture=bert has no softmax"),
        ("finetune.num_blocks=3 finetune=frozen", "finetune.num_blocks=3: a stack has 2 blocks"),
        ("suite.use=[to_norvin]", "suite.use: architecture=bert: an encoder alone writes no text"),
        ("strategy=multitask", "strategy=multitask: architecture=bert answers each column by layers"),
        ("strategy=ensemble", "strategy=ensemble: architecture=bert answers each column by layers"),
        ("architecture.num_positions=100", "budget.pretrain.inputs_length=128: more than architecture.num_p"),
        (
            "architecture.num_positions=128 suite.columns.reasoning.inputs_length=200",
            "suite.columns.reasoning.inputs_length=200: more than architecture.num_positions=128",
        ),
        ("size.tied=false", "size.tied=false: this architecture's logits"),
    ],
)
def test_what_an_encoder_cannot_do_is_refused_before_anything_runs(words: str, message: str) -> None:
    with pytest.raises(Refused) as caught:
        cell = load_cell([*BERT, *words.split()])
        cell.strategy.stages(cell)
    assert str(caught.value).startswith(message)


def test_an_initialisation_of_the_size_that_is_not_asked_for_falls_back_and_is_noted() -> None:
    elmo = ["architecture=elmo", "objective=language_model", "finetune=feature_based"]
    elmo.append("suite.use=[sentences]")
    mine = load_cell([*elmo, "size=nano_2x", "size.d_model=32"])
    plain = load_cell([*elmo, "size=nano_2x", "size.d_model=32", "size.initialisation=study"])
    assert (mine.size, mine.config["size"]) == (plain.size, plain.config["size"]) and not plain.notes
    assert mine.size.initialisation == "study" and mine.labels["size"] == "nano_2x,d_model=32"
    note = f"{NOTED}: size.initialisation=mimetic of size=nano_2x"
    assert mine.notes[0].startswith(note)
    assert load_cell([*BERT]).size.initialisation == "mimetic"
    with pytest.raises(Refused, match=rf"^size.initialisation=mimetic: {NOTED}; leave it at study"):
        load_cell([*elmo, "size.initialisation=mimetic"])


NOTED = "architecture=elmo starts as its authors' models"


@pytest.mark.slow
def test_a_plan_notes_an_initialisation_that_falls_back(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "lineage", "budget=smoke"]) == 0
    assert NOTED in capsys.readouterr().err


def test_gpt_predicts_its_inputs_beside_its_task_at_half_the_weight_and_sees_what_is_before() -> None:
    torch.manual_seed(0)
    architecture = EVERY["gpt"]
    model, batch = tuned(architecture), task_batch(architecture)
    both = model.loss(batch)
    model.lm_weight = 0.0
    logits, ids = model.states(batch)[-1] @ model.embedding.weight.T, batch["inputs"]
    lm = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
    assert torch.allclose(both - model.loss(batch), 0.5 * lm, atol=1e-5)
    changed = batch | {"inputs": ids.index_fill(1, torch.tensor([7]), 9)}
    same = (model.states(changed)[-1] == model.states(batch)[-1]).all(dim=-1)
    assert same[:, :7].all() and not same[:, 7:].any()


def test_gpt_reads_two_texts_around_a_delimiter_and_answers_at_the_end() -> None:
    from t5grid.data.characters import Characters
    from t5grid.data.vocabulary import Vocabulary

    vocabulary = Vocabulary(Characters().make(iter(())))
    tuned_gpt = EVERY["gpt"].answering({"pair": Class(("a", "b"), second="two:")})
    ids, targets = tuned_gpt.reading(vocabulary, 40).pair("pair", {"inputs": "x two: y", "targets": "b"})
    size = vocabulary.size
    assert [number for number in ids if number in (EOS, size - 2, size - 3)] == [size - 2, size - 3, EOS]
    assert [place for place, target in enumerate(targets) if target > 0] == [len(ids) - 1]


def test_rows_of_gpt_fit_its_positions() -> None:
    words = ["architecture=gpt", "objective=language_model", "architecture.num_positions=128"]
    load_cell(words)
    with pytest.raises(Refused, match=r"^architecture.num_positions=128: budget.pretrain"):
        load_cell(["architecture=gpt", "objective=prefix_lm", "architecture.num_positions=128"])


def test_features_of_a_model_that_writes_text_are_refused_with_what_there_is_instead() -> None:
    with pytest.raises(Refused, match=r"^finetune=feature_based: architecture=prefix_lm answers"):
        load_cell(["finetune=feature_based", "architecture=prefix_lm"])


def test_the_columns_that_an_encoder_can_answer_have_stages_and_the_others_none() -> None:
    cell = load_cell(BERT)
    assert list(cell.strategy.stages(cell)) == ["sentences", "questions", "reasoning"]
    assert pretrain_stage(cell, vocabulary_stage(cell)).name == "bert-masked_lm-nano-nano-seed0"


TABLE = """
title: Encoders
reproduces: nothing
cost: nothing
published: t5
command: t5grid sweep encoders
first_column: Model
common: [budget=smoke]
rows:
  t5: {title: T5, starred: true, overrides: []}
  bert: {title: BERT, overrides: [architecture=bert, objective=masked_lm]}
"""


def test_a_column_that_needs_text_is_a_hole_with_its_reason_in_table_and_findings(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from t5grid.execution.store import Store
    from t5grid.results.collect import table_of
    from t5grid.results.findings import Better, evidence_of
    from t5grid.results.rendering import to_markdown

    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "encoders.yaml").write_text(TABLE)
    monkeypatch.chdir(tmp_path)
    table = table_of(expand("encoders", []), Store(tmp_path / "runs"), tmp_path / "records")
    holes = {key: cell.hole for key, cell in table.rows[1].cells.items()}
    text = "an encoder alone writes no text"
    assert holes == {
        **dict.fromkeys(("sentences", "questions", "reasoning"), "not run"),
        **dict.fromkeys(("summarization", "to_norvin", "to_kelosh", "to_tamiri"), text),
    }
    assert text in to_markdown(table)
    answer = Better(["bert"], ["t5"])(evidence_of(table))
    assert answer.verdict == "not run" and text in answer.numbers


@pytest.mark.slow
def test_an_encoder_goes_the_whole_way_and_its_metrics_have_both_losses(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """At budget smoke: pre-trained, fine-tuned by features on a column, scored, asked again by `predict`."""
    from t5grid.commands.multirun import run_cell
    from t5grid.commands.predicting import answers
    from t5grid.execution.store import Store
    from t5grid.training.callbacks import read_metrics

    monkeypatch.chdir(tmp_path)
    words = [*BERT, "budget=smoke", "budget.num_documents=300", "vocabulary.num_pieces=300"]
    words += ["finetune=feature_based", "suite.use=[questions,to_norvin]", "executor.num_workers=1"]
    words += ["suite.columns.questions.tasks.questions.num_train=200", "architecture.long_rows=cut"]
    cell = load_cell(words)
    assert run_cell(cell) == 0
    out = capsys.readouterr().out
    assert "To Norvin" in out and "an encoder alone writes no text" in out
    stages, store = cell.strategy.stages(cell), Store(tmp_path / "runs")
    tuned = stages["questions"].parents[0]
    rows = read_metrics(store.folder(tuned.parents[1]) / "metrics.csv")
    for row in rows:
        parts = float(row["masked_lm_loss"]), float(row["pair_loss"])
        assert sum(parts) == pytest.approx(float(row["loss"]), abs=1e-4) and min(parts) > 0.1
    record = store.record(stages["questions"])
    assert set(record["by_step"]) == {"2", "4"} and len(record["samples"]["questions"]) == 3
    line = "question: who is it context: Anna is a baker."
    (text,) = answers(["questions", *words], [line])
    assert text and text.split()[0] in line
