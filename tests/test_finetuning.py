"""What each fine-tuning method trains at which step, and that all else stays as it was, bit for bit."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from axis_values import baseline_values
from torch import nn

from t5grid.config.schema import Runtime, load_cell
from t5grid.grid.graph import Grid, expand
from t5grid.model.architectures import EncoderDecoder
from t5grid.model.size import Size
from t5grid.stages.evaluate import EvaluateStage
from t5grid.stages.finetune import FinetuneStage, refuse_gaps
from t5grid.stages.model import num_parameters
from t5grid.stages.stage import Context
from t5grid.training import checkpoints
from t5grid.training.finetuning import (
    Adapters,
    AllParameters,
    FrozenTopBlocks,
    FrozenWithHead,
    FrozenWithLastLayer,
    GradualUnfreezing,
    Method,
    episode_at,
    episodes_of,
    never_trained,
)
from t5grid.training.fit import Plan, fit, initialise
from t5grid.training.schedules import AdafactorSpec, AdamWSpec, Constant

CPU = Runtime("cpu", 1, "fp32", 0, 8, "off", "t5grid", "runs", "results")
SIZE = Size(d_model=16, d_ff=32, d_kv=8, num_heads=2, num_layers=3, num_decoder_layers=2, dropout=0.1)
VARIANTS = {
    "adapters": Adapters(d=4, at_d_model=None),
    "adapters and norms": Adapters(d=4, at_d_model=None, train="adapter_and_norms", initial="near_identity"),
    "gradual, norms and biases": GradualUnfreezing(norms="always", position_biases="always"),
    "top blocks of both": FrozenTopBlocks(num_blocks=2, stacks="both"),
    "head": FrozenWithHead(d=4, at_d_model=None),
}
METHODS = baseline_values("finetune") | VARIANTS
every_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)


def pretrained(dropout: float = 0.1) -> nn.Module:
    return initialise(lambda: EncoderDecoder().build(replace(SIZE, dropout=dropout), 128), 0)


def prepared(method: Method, dropout: float = 0.1) -> nn.Module:
    model = pretrained(dropout)
    initialise(lambda: method.prepare(model), 0, "fine-tuning")
    return model


def names_of(model: nn.Module) -> list[str]:
    return [name for name, _ in model.named_parameters()]


def feed(step: int) -> dict[str, np.ndarray]:
    """The rows of a step: a run of ids to be copied."""
    inputs = (np.random.default_rng(step).integers(3, 60, (4, 1)) + np.arange(6)).astype(np.int32)
    targets = inputs[:, :4]
    return {"inputs": inputs, "targets": targets, "decoder_inputs": np.pad(targets, ((0, 0), (1, 0)))[:, :-1]}


def plan(method: Method, **changed: Any) -> Plan:
    given: dict[str, Any] = {
        "optimizer": AdafactorSpec(),
        "schedule": Constant(0.05),
        "seed": 3,
        "keep": None,
    }
    return Plan(**{"num_steps": 9, "checkpoint_every": 1, "method": method, **given, **changed})


def train(folder: Path, given: Plan, source: Callable[[int], Any] = feed) -> nn.Module:
    model = prepared(given.method)
    fit(model, source, given, folder, CPU, lambda told: None, "finetune/tiny-abc")
    return model


def last(folder: Path) -> bytes:
    return checkpoints.newest(folder / "checkpoints").read_bytes()


@every_method
@pytest.mark.slow
def test_what_a_method_does_not_train_is_bit_identical_afterwards_and_what_it_trains_moved(tmp_path, method):
    before = {name: tensor.clone() for name, tensor in prepared(method).state_dict().items()}
    train(tmp_path, plan(method))
    names = list(before)
    episodes = method.episodes(names, 9)
    for step, path in checkpoints.steps(tmp_path / "checkpoints").items():
        found = checkpoints.parse(path.read_bytes())
        trained = {name for start, each in episodes.items() if start < step for name in each}
        moved = {name for name in names if not torch.equal(found[f"model/{name}"], before[name])}
        assert moved == trained


def test_adapters_are_trained_at_a_rate_of_their_own_times_the_schedules(tmp_path: Path) -> None:
    own = train(tmp_path / "own", plan(Adapters(d=4, at_d_model=None, rate=4.0), schedule=Constant(0.0125)))
    same = train(tmp_path / "same", plan(Adapters(d=4, at_d_model=None), schedule=Constant(0.05)))
    slow = train(tmp_path / "slow", plan(Adapters(d=4, at_d_model=None), schedule=Constant(0.0125)))
    assert all(torch.equal(a, b) for a, b in zip(own.parameters(), same.parameters(), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(own.parameters(), slow.parameters(), strict=True))


@pytest.mark.parametrize(
    ("words", "rate"), [("budget=paper", 1.0), ("budget=encoder", 1.0), ("finetune.rate=2", 2.0)]
)
def test_how_fast_adapters_are_trained_is_the_budgets_unless_they_say_it(words: str, rate: float) -> None:
    assert load_cell(["finetune=adapters", words]).finetune.rate == rate
    given = load_cell(["finetune=adapters", words, "budget.adapter_rate=3"]).finetune.rate
    assert given == (2.0 if words.startswith("finetune") else 3.0)


ADAFACTOR, ADAMW = AdafactorSpec(min_dim_size_to_factor=8), AdamWSpec(weight_decay=0.01)
QUICK = ("adapters", "gradual_unfreezing")
KILLS = [(name, ADAFACTOR, (2, 3, 7)) for name in QUICK]
MORE_KILLS = [(name, ADAFACTOR, (2, 3, 7)) for name in METHODS if name not in ("all_parameters", *QUICK)]
MORE_KILLS += [("gradual_unfreezing", spec, range(1, 9)) for spec in (ADAFACTOR, ADAMW)]
MORE_KILLS += [("adapters", ADAMW, (2, 3))]
KILLS += [pytest.param(*kills, marks=pytest.mark.slow) for kills in MORE_KILLS]


@pytest.mark.parametrize(("name", "spec", "steps"), KILLS)
@pytest.mark.slow
def test_a_run_killed_at_any_step_ends_at_the_bytes_of_the_unbroken_one(tmp_path, name, spec, steps):
    """Three encoder blocks, nine steps: unfreezing at 3 and 6, so killed at, before and after both."""
    names = names_of(prepared(METHODS[name]))
    frozen = never_trained(names, METHODS[name].episodes(names, 9))
    given = plan(METHODS[name], optimizer=spec, without=frozen)
    train(tmp_path / "whole", given)
    for step in steps:
        with pytest.raises(Killed):
            train(tmp_path / "broken", given, killed_at(step))
    train(tmp_path / "broken", given)
    whole, broken = (checkpoints.steps(tmp_path / each / "checkpoints") for each in ("whole", "broken"))
    assert [path.read_bytes() for path in whole.values()] == [path.read_bytes() for path in broken.values()]
    assert list(whole) == list(range(1, 10))


class Killed(Exception):
    pass


def killed_at(step: int) -> Callable[[int], Any]:
    """A feed that breaks off before the batch of `step`."""

    def broken(asked: int) -> Any:
        if asked == step:
            raise Killed
        return feed(asked)

    return broken


def test_unfreezing_goes_from_the_top_of_both_stacks_in_equal_episodes():
    names = ["embedding.weight", "encoder.position_bias.table", "encoder.norm.scale", "decoder.norm.scale"]
    names += [f"{stack}.blocks.{i}.x" for stack in ("encoder", "decoder") for i in range(3)]
    episodes = GradualUnfreezing().episodes(names, 9)
    always = {"embedding.weight", "encoder.norm.scale", "decoder.norm.scale"}
    assert episodes == {
        0: always | {"encoder.blocks.2.x", "decoder.blocks.2.x"},
        3: always | {f"{stack}.blocks.{i}.x" for stack in ("encoder", "decoder") for i in (1, 2)},
        6: set(names),
    }
    assert episode_at(episodes, 2) == episodes[0] and episode_at(episodes, 3) == episodes[3]
    assert episode_at(episodes, 100) == episodes[6]


def test_at_the_paper_s_size_twelve_episodes_share_two_to_the_eighteen_steps():
    names = [f"{stack}.blocks.{i}.x" for stack in ("encoder", "decoder") for i in range(12)]
    episodes = GradualUnfreezing().episodes(names, 2**18)
    starts = [*episodes, 2**18]
    lengths = {after - before for before, after in pairwise(starts)}
    assert len(episodes) == 12 and lengths == {21845, 21846}
    assert [len(trained) for trained in episodes.values()] == list(range(2, 25, 2))


@pytest.mark.parametrize(("num_layers", "num_steps"), [(1, 1), (2, 2), (5, 7), (4, 1000)])
def test_unfreezing_fits_any_number_of_layers_and_steps(num_layers, num_steps):
    episodes = GradualUnfreezing().episodes([f"encoder.blocks.{i}.x" for i in range(num_layers)], num_steps)
    assert len(episodes) == num_layers and max(episodes) < num_steps
    assert [len(trained) for trained in episodes.values()] == list(range(1, num_layers + 1))


def test_a_shallower_stack_keeps_pace_with_the_deeper_one():
    names = [f"encoder.blocks.{i}.x" for i in range(4)] + [f"decoder.blocks.{i}.x" for i in range(2)]
    episodes = GradualUnfreezing().episodes(names, 4)
    counts = [sum(name.startswith("decoder") for name in trained) for trained in episodes.values()]
    assert counts == [1, 1, 2, 2]


def test_norms_and_position_biases_of_frozen_blocks_can_be_trained_from_the_start():
    names = names_of(pretrained())
    lowest = {"encoder.blocks.0.feed_forward_norm.scale", "decoder.blocks.0.self_attention_norm.scale"}
    biases = {"encoder.position_bias.table", "decoder.position_bias.table"}
    for norms, position_biases in (
        ("with_block", "with_lowest_block"), ("always", "with_lowest_block"), ("with_block", "always")
    ):  # fmt: skip
        first = GradualUnfreezing(norms, position_biases).episodes(names, 9)[0]
        assert (lowest <= first, bool(lowest & first)) == (norms == "always",) * 2
        assert (biases <= first, bool(biases & first)) == (position_biases == "always",) * 2


@pytest.mark.parametrize(
    ("method", "first", "count"),
    [
        (METHODS["adapters"], "decoder.blocks.0.adapter.feed_forward.input.weight", 5 * 3),
        (METHODS["adapters and norms"], "decoder.blocks.0.adapter.feed_forward.input.weight", 5 * 3 + 14),
        (METHODS["frozen"], "decoder.blocks.1.cross_attention.key.weight", 10 + 3 + 1),
        (METHODS["head"], "softmax.head.feed_forward.input.weight", 3),
        (METHODS["frozen_last_layer"], "softmax.weight", 1),
    ],
)
def test_each_method_trains_its_own_parameters(method, first, count):
    """A decoder block has 10 matrices and 3 norms; the model 3 x 2 + 2 x 3 + 2 = 14 norms."""
    trained = method.episodes(names_of(prepared(method)), 9)[0]
    assert (min(trained), len(trained)) == (first, count)


@every_method
def test_preparing_depends_on_the_seed_alone_and_keeps_what_was_pretrained(method):
    torch.manual_seed(1)
    a = prepared(method).state_dict()
    torch.manual_seed(2)
    b, before = prepared(method).state_dict(), pretrained().state_dict()
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert all(torch.equal(a[name], before[name]) for name in before)


BATCH = {name: torch.from_numpy(array).long() for name, array in feed(0).items()}


def distance(method: Method) -> float:
    """How far a method's preparation moves the logits, relative to their size."""
    with torch.no_grad():
        before, after = (each.eval()(BATCH) for each in (pretrained(), prepared(method)))
    return float((after - before).norm() / before.norm())


@pytest.mark.parametrize("name", ["gradual_unfreezing", "frozen", "frozen_last_layer"])
def test_what_adds_nothing_starts_at_the_pretrained_model(name):
    assert distance(METHODS[name]) < 1e-6


def test_the_head_and_near_identity_adapters_start_close_to_the_pretrained_model():
    assert 0 < distance(METHODS["head"]) < 0.01 and 0 < distance(METHODS["adapters and norms"]) < 0.02
    assert distance(METHODS["adapters"]) > 0.1


class Watched(nn.Module):
    """Keeps whether what passes needs a gradient."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner, self.needs_gradient = inner, None

    def forward(self, x: torch.Tensor, *rest: Any, **more: Any) -> torch.Tensor:
        out = self.inner(x, *rest, **more)
        self.needs_gradient = out.requires_grad
        return out


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("all_parameters", [True] * 5),
        ("adapters", [True] * 5),
        ("frozen", [False, False, False, False, True]),
        ("head", [False] * 5),
        ("frozen_last_layer", [False] * 5),
    ],
)
def test_a_frozen_bottom_is_not_back_propagated_through(name, expected):
    """Which blocks' outputs need a gradient: three of the encoder, two of the decoder."""
    model = prepared(METHODS[name])
    trained = METHODS[name].episodes(names_of(model), 9)[0]
    for parameter_name, parameter in model.named_parameters():
        parameter.requires_grad_(parameter_name in trained)
    for stack in (model.encoder, model.decoder):
        stack.blocks = nn.ModuleList(Watched(block) for block in stack.blocks)
    model(BATCH)
    assert [block.needs_gradient for stack in (model.encoder, model.decoder) for block in stack.blocks] == (
        expected
    )


def test_a_method_that_trains_nothing_of_a_model_is_refused():
    with pytest.raises(
        ValueError, match="finetune=FrozenWithLastLayer: nothing of this model is trained from"
    ):
        episodes_of(FrozenWithLastLayer(), names_of(pretrained()), 9)


@pytest.mark.parametrize("spec", [AdafactorSpec(), AdamWSpec()], ids=["adafactor", "adamw"])
def test_a_continued_optimizer_finds_its_parameters_among_the_new_ones(tmp_path, spec):
    """Adapters stand between the pre-trained parameters, so that these have other numbers than before."""
    before = plan(AllParameters(), optimizer=spec, num_steps=3)
    train(tmp_path / "pretrain", before)
    start = checkpoints.newest(tmp_path / "pretrain" / "checkpoints")
    method = METHODS["adapters and norms"]
    given = plan(method, optimizer=spec, optimizer_from=start, num_steps=1, schedule=Constant(0.0))
    model = train(tmp_path / "tuned", given)
    old, new = states(start.read_bytes(), pretrained()), states(last(tmp_path / "tuned"), model)
    trained = method.episodes(names_of(model), 1)[0]
    for name, state in old.items():
        same = all(torch.equal(state[key], new[name][key]) for key in state)
        assert same == (name not in trained), name
    assert new["decoder.blocks.0.adapter.norm.scale"].keys() == old["decoder.norm.scale"].keys()


def states(data: bytes, model: nn.Module) -> dict[str, dict[str, torch.Tensor]]:
    """The optimizer's state by parameter name."""
    found: dict[str, dict[str, torch.Tensor]] = {}
    for key, tensor in checkpoints.parse(data).items():
        if key.startswith("optimizer/"):
            _, index, part = key.split("/")
            found.setdefault(names_of(model)[int(index)], {})[part] = tensor
    return found


def test_a_run_says_how_many_parameters_it_trains_from_when_on(tmp_path, capsys):
    train(tmp_path, plan(GradualUnfreezing(), num_steps=3))
    said = [line for line in capsys.readouterr().out.splitlines() if "are trained" in line]
    assert [line.split(" of ")[0] for line in said] == [
        "from step 0: 7,280", "from step 1: 12,480", "from step 2: 14,688",
    ]  # fmt: skip
    assert said[-1] == "from step 2: 14,688 of 14,688 parameters are trained (100.00%)"


def stages_of(*overrides: str) -> tuple[FinetuneStage, EvaluateStage]:
    """Fine-tuning and evaluation of one column."""
    cell = load_cell(["suite.use=[to_norvin]", *overrides])
    evaluate = cell.strategy.stages(cell)["to_norvin"]
    assert isinstance(evaluate, EvaluateStage) and isinstance(evaluate.parents[0], FinetuneStage)
    return evaluate.parents[0], evaluate


@pytest.mark.parametrize("option", ["adapters", "frozen", "frozen_head", "frozen_last_layer"])
def test_only_the_trained_part_is_saved_and_loaded_on_top_of_the_pretrained_weights(tmp_path, option):
    tuned, _ = stages_of(f"finetune={option}", "size.d_model=16", "size.d_ff=32")
    context = Context(lambda stage: tmp_path / stage.kind, CPU, 1, lambda told: None)
    cell = load_cell(["size.d_model=16", "size.d_ff=32"])
    fresh = lambda seed: initialise(lambda: cell.architecture.build(cell.size, 300), seed)  # noqa: E731
    start = fresh(7)
    checkpoints.save(tmp_path / "pretrain" / "checkpoints", cell.budget.pretrain.num_steps, start, None)
    model, again = fresh(0), fresh(1)
    without = tuned.prepare(context, model)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name not in without:
                parameter.add_(1.0)
    path = checkpoints.save(tmp_path / "finetune", 4, model, None, without)
    stored = {name.removeprefix("model/") for name in checkpoints.parse(path.read_bytes())}
    assert stored == set(names_of(model)) - without and without == set(names_of(start)) - stored
    left_out = tuned.prepare(context, again, evaluating=True)
    checkpoints.load_model(path, again, left_out)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))


def test_whole_checkpoints_are_evaluated_without_the_pretrained_weights(tmp_path):
    tuned, _ = stages_of("finetune=gradual_unfreezing")
    context = Context(lambda stage: tmp_path / "absent", CPU, 1, lambda told: None)
    cell = load_cell([])
    model = cell.architecture.build(cell.size, 300)
    assert tuned.prepare(context, model, evaluating=True) == frozenset()
    with pytest.raises(ValueError, match="absent: no sound checkpoint"):
        tuned.prepare(context, model)


def test_a_finished_pretraining_whose_last_checkpoint_is_damaged_is_not_started_from(tmp_path):
    tuned, _ = stages_of("finetune=frozen")
    context = Context(lambda stage: tmp_path / stage.kind, CPU, 1, lambda told: None)
    cell = load_cell([])
    model = cell.architecture.build(cell.size, 300)
    steps = cell.budget.pretrain.num_steps
    _, last = (checkpoints.save(tmp_path / "pretrain/checkpoints", s, model, None) for s in (5, steps))
    tuned.prepare(context, model)
    last.write_bytes(last.read_bytes()[:-1])
    with pytest.raises(ValueError, match=rf"^pretrain/\S+: its checkpoint of step {steps} is damaged or"):
        tuned.prepare(context, model)


def test_a_finished_finetuning_that_lost_a_checkpoint_is_not_scored_by_the_others(tmp_path):
    budget = load_cell(["budget=smoke"]).config["budget"]["finetune"] | {
        "checkpoint_every": 2,
        "num_steps": 5,
    }
    stage = FinetuneStage("toy", {"budget": budget}, {})
    context = Context(lambda stage: tmp_path / stage.kind, CPU, 1, lambda told: None)
    folder, model = tmp_path / "finetune/checkpoints", nn.Linear(2, 2)
    paths = [checkpoints.save(folder, step, model, None) for step in (2, 4, 5)]
    refuse_gaps(context, stage, [2, 4, 5])
    refuse_gaps(context, stage, [2, 5])  # another member of an ensemble lost it
    paths[1].write_bytes(b"half")
    with pytest.raises(ValueError, match=r"^finetune/toy-\w+: its checkpoint of step 4 is damaged or gone"):
        refuse_gaps(context, stage, [2, 5])


def test_without_pretraining_the_frozen_part_is_saved_too(tmp_path):
    tuned, _ = stages_of("finetune=adapters", "strategy=no_pretraining")
    context = Context(lambda stage: tmp_path, CPU, 1, lambda told: None)
    cell = load_cell([])
    assert tuned.prepare(context, cell.architecture.build(cell.size, 300)) == frozenset()


@pytest.fixture(scope="module")
def grids() -> dict[str, Grid]:
    return {name: expand(name, []) for name in ("objectives", "finetuning", "sample_efficiency")}


def of_kind(grid: Grid, kind: str) -> set[str]:
    return {stage.identity for stage in grid.stages if stage.kind == kind}


@pytest.mark.parametrize("name", ["finetuning", "sample_efficiency"])
@pytest.mark.slow
def test_nothing_new_is_pretrained_for_the_tables_of_fine_tuning(grids, name):
    for kind in ("vocabulary", "tokens", "pretrain"):
        assert of_kind(grids[name], kind) <= of_kind(grids["objectives"], kind)
    assert len(of_kind(grids[name], "pretrain")) == 5  # the baseline's seeds


@pytest.mark.slow
def test_the_tables_of_fine_tuning_share_their_baseline_and_nothing_else(grids):
    common = of_kind(grids["finetuning"], "finetune") & of_kind(grids["objectives"], "finetune")
    assert len(common) == 5 * 7
    common = of_kind(grids["sample_efficiency"], "finetune") & of_kind(grids["objectives"], "finetune")
    assert len(common) == 5 * 7 + 7
    assert len(of_kind(grids["finetuning"], "finetune")) == (5 + 8) * 7


@pytest.mark.parametrize(("size", "widths"), [("base", [32, 128, 512, 2048]), ("nano", [3, 11, 43, 171])])
def test_the_rows_of_table_10_have_the_paper_s_widths_at_base_and_their_share_elsewhere(size, widths):
    cells = [
        load_cell([f"size={size}", "finetune=adapters", f"finetune.d={d}"]) for d in (32, 128, 512, 2048)
    ]
    assert [cell.finetune.width(cell.size.d_model) for cell in cells] == widths
    written = load_cell([f"size={size}", "finetune=adapters", "finetune.d=50", "finetune.at_d_model=null"])
    assert written.finetune.width(written.size.d_model) == 50


def test_a_stage_s_name_says_what_differs_from_the_baseline():
    tuned, _ = stages_of("finetune=adapters", "finetune.d=32", "budget.finetune.labelled_share=0.03")
    assert tuned.name == "to_norvin-replace_spans-encoder_decoder-nano-nano-adapters,d=32-0.03_labelled-seed0"
    assert stages_of()[0].name == "to_norvin-replace_spans-encoder_decoder-nano-nano-seed0"


@pytest.mark.slow
def test_a_base_model_s_adapters_are_saved_in_a_few_megabytes(tmp_path):
    """Twelve blocks a side, d = 32: 2 x 12 x (2 x 768 x 32 + 768) numbers of 4 bytes, 4.6 MiB of 855."""
    cell = load_cell(["size=base", "finetune=adapters", "finetune.d=32"])
    with torch.device("meta"):
        model = cell.architecture.build(cell.size, 32100)
        cell.finetune.prepare(model)
    trained = cell.finetune.episodes(names_of(model), 9)[0]
    count = sum(p.numel() for name, p in model.named_parameters() if name in trained)
    assert count == 24 * (2 * 768 * 32 + 768) and count * 4 < 5 * 2**20
    assert num_parameters(model) == 222_903_552 + count


@pytest.mark.slow
def test_a_cell_with_adapters_is_tuned_saved_and_scored(tmp_path, monkeypatch):
    """The whole way at budget smoke: 2 x 2 blocks, d = 11, 2 x 64 x 11 + 64 numbers each."""
    from t5grid.commands.multirun import run_cell
    from t5grid.execution.store import Store

    monkeypatch.chdir(tmp_path)
    words = ["budget=smoke", "suite.use=[to_norvin]", "budget.num_documents=300", "vocabulary.num_pieces=300"]
    cell = load_cell(
        [*words, "finetune=adapters", "budget.finetune.labelled_share=0.01", "executor.num_workers=1"]
    )
    assert run_cell(cell) == 0
    evaluate = cell.strategy.stages(cell)["to_norvin"]
    store, tuned = Store(tmp_path / "runs"), evaluate.parents[0]
    record = store.record(tuned)
    assert record["trained_parameters"] == {"0": 4 * (2 * 64 * 11 + 64)}
    assert record["training_rows"] == {"to_norvin": 6}
    whole, small = (
        checkpoints.newest(store.folder(stage) / "checkpoints").stat().st_size
        for stage in (tuned.parents[1], tuned)
    )
    assert small < 60_000 < 2_000_000 < whole * 2
    assert set(store.record(evaluate)["by_step"]) == {"2", "4"}
    assert store.record(evaluate)["resamples"] == [], "a smoke run's few rows say nothing of their spread"
    assert "from step 0: 5,888 of" in (store.folder(tuned) / "log.txt").read_text()
