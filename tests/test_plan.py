"""What a plan says: sharing, operations, memory, hours and disk, against literal numbers and torch."""

import json
import math
from dataclasses import asdict
from pathlib import Path

import pytest
from axis_values import writers, written_objectives

from t5grid.config.build import build
from t5grid.config.reuse import ByObject
from t5grid.config.schema import load_cell
from t5grid.execution import plan, speed
from t5grid.execution.memory import memory_line
from t5grid.execution.provenance import machine
from t5grid.execution.store import Store
from t5grid.files import write_whole
from t5grid.grid.graph import expand, merged
from t5grid.model.costs import kept, parameters
from t5grid.stages.stage import with_parents
from t5grid.stages.workload import estimate, shape_of

GPU = ["runtime=gpu", "runtime.peak_tflops=100", "runtime.mfu=0.5"]


def estimates(*words: str) -> dict:
    """The estimates of a cell with one column, by kind."""
    cell = load_cell(["suite.use=[questions]", *words])
    stages = with_parents(list(cell.strategy.stages(cell).values()))
    works = {stage.kind: stage.workload(build) for stage in stages}
    return {kind: estimate(work, cell.runtime) for kind, work in works.items() if work}


def table(names: list[str], words: list[str], store: Store) -> tuple[dict[str, list[str]], list[str]]:
    """The plan's rows by kind, from the counts on, and its sentences."""
    grids = [expand(name, words) for name in names]
    head, how, *rows = plan.plan_lines(grids, merged(grids), store)
    names_of_columns = [*plan.COUNTS, *plan.COSTS]
    assert head.split() == ["stage", *" ".join(names_of_columns).split()]
    assert how.split() == ["largest", "sum", "sum", "largest", "sum", "sum"] and len(how) == len(head)
    assert rows.pop(6).startswith("largest: of all stages of a kind")
    kinds = {row.split()[0]: row.split()[1:] for row in rows[:5]}
    return kinds, rows[5:]


@pytest.mark.parametrize("name", ["objectives", "strategies"])
def test_stages_that_are_alike_have_one_workload(name: str) -> None:
    grid, built, works = expand(name, []), ByObject(build), {}
    for stage in grid.stages:
        assert works.setdefault(stage.alike(), stage.workload(built)) == stage.workload(built), stage.identity
    assert len(works) < len(grid.stages)


def test_pretraining_of_the_default_cell_takes_the_operations_its_record_counted() -> None:
    """BERT-style on nano: 4,500 steps of 4 x (128 + 128) tokens; 6,341,787,648,000 stands in a record."""
    found = estimates("objective=bert_style")["pretrain"]
    assert (found.flops.total, found.tokens, found.parameters) == (6341787648000, 4608000, 361472)


def test_objectives_without_inputs_or_with_short_targets_are_planned_at_their_own_shapes() -> None:
    tokens = {name: estimates(f"objective={name}")["pretrain"].tokens for name in written_objectives()}
    steps_and_rows = 4500 * 4
    assert tokens["language_model"] == steps_and_rows * (1 + 128)
    assert tokens["deshuffling"] == steps_and_rows * (128 + 128)
    assert tokens["replace_spans"] < steps_and_rows * (128 + 48)


def test_what_is_frozen_costs_no_backward_pass_and_leaves_smaller_checkpoints() -> None:
    whole, frozen, adapters = (
        estimates(f"finetune={name}")["finetune"] for name in ("all_parameters", "frozen", "adapters")
    )
    assert frozen.flops.forward == whole.flops.forward < adapters.flops.forward
    assert frozen.flops.backward < 0.5 * adapters.flops.backward < 0.25 * whole.flops.backward
    assert frozen.disk < 0.25 * whole.disk and adapters.disk < 0.25 * whole.disk
    assert frozen.memory < whole.memory and adapters.parameters > whole.parameters


@pytest.mark.parametrize("size", ["nano", "small"])
@pytest.mark.parametrize("architecture", writers())
@pytest.mark.parametrize("method", ["all_parameters", "frozen"])
@pytest.mark.slow
def test_activations_are_those_autograd_keeps(size: str, architecture: str, method: str) -> None:
    import torch

    from t5grid.data.stream import generator
    from t5grid.model.loss import loss
    from t5grid.stages.workload import KEPT, KEPT_WITH_DROPOUT

    words = [f"size={size}", f"architecture={architecture}", f"finetune={method}"]
    cell = load_cell([*words, "size.dropout=0.1"] if size == "small" else words)
    torch.manual_seed(0)
    model = cell.architecture.build(cell.size, 1024)
    products = cell.architecture.products(cell.size, 1024, 1, 1, 1)
    trained = cell.finetune.episodes(list(parameters(products)), 1)[0]
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in trained)
    noise = generator(0, "ids", 0)
    ids = (noise.integers(3, 900, (2, length)) for length in (95, 47))
    arrays = cell.architecture.batching(*ids, 96, 48)
    held: dict[int, torch.Tensor] = {}

    def hold(tensor: torch.Tensor) -> torch.Tensor:
        held[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    batch = {key: torch.from_numpy(value).long() for key, value in arrays.items()}
    with torch.autograd.graph.saved_tensors_hooks(hold, lambda tensor: tensor):
        loss(model(batch), batch["targets"])
    ours = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    measured = sum(each.untyped_storage().nbytes() for key, each in held.items() if key not in ours)
    elements = kept(cell.architecture.products(cell.size, 1024, *shape_of(arrays)), trained.__contains__)
    each = KEPT_WITH_DROPOUT if cell.size.dropout else KEPT
    assert 0.8 < elements * each / measured < (1.25 if method == "all_parameters" else 1.45)


@pytest.mark.parametrize("words", [["size=nano"], ["size=small"], ["size=tiny", "architecture=prefix_lm"]])
@pytest.mark.parametrize("optimizer", ["AdafactorSpec", "AdamWSpec"])
@pytest.mark.slow
def test_a_checkpoint_is_as_large_as_planned(words: list[str], optimizer: str, tmp_path: Path) -> None:
    import torch

    from t5grid.training import checkpoints, schedules

    cell, spec = load_cell(words), getattr(schedules, optimizer)()
    model = cell.architecture.build(cell.size, 1024)
    made = spec.build(model.parameters(), lr=0.0)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    made.step()
    size = checkpoints.save(tmp_path, 1, model, made).stat().st_size
    shapes = parameters(cell.architecture.products(cell.size, 1024, 1, 1, 1)).values()
    numbers = sum(math.prod(shape) + spec.num_moments(shape) for shape in shapes)
    assert 4 * numbers == pytest.approx(size, rel=0.02)


@pytest.mark.slow
def test_devices_share_the_rows_of_a_batch_and_each_holds_the_weights() -> None:
    one = estimates("size=base", "budget=paper", "suite=nano", "corpus=nano", "vocabulary=trained", *GPU)
    four = estimates(
        "size=base",
        "budget=paper",
        "suite=nano",
        "corpus=nano",
        "vocabulary=trained",
        *GPU,
        "runtime.num_devices=4",
    )
    assert one["pretrain"].flops == four["pretrain"].flops
    weights = 4 * one["pretrain"].parameters
    assert weights < four["pretrain"].memory < 0.4 * one["pretrain"].memory


RECORDED = {"score": 1.0, "step": 1, "tasks": {}, "machine": "", "python": "", "versions": {"torch": ""}}


def test_a_plan_says_what_sharing_saves_and_what_the_rest_takes(tmp_path: Path) -> None:
    store = Store(tmp_path)
    words = ["suite.use=[questions]", "budget.num_baseline_seeds=1", *GPU]
    kinds, sentences = table(["objectives", "span_length"], words, store)
    assert kinds["pretrain"][:5] == ["13", "11", "2", "0", "11"]
    assert sentences[0] == "objectives, span_length: size nano, budget nano, suite nano"
    assert sentences[1].startswith("sharing saves 12% of the pretrain stages' operations: ")
    assert "at 50.0 T FLOP/s a device (50% of runtime.peak_tflops=100)" in sentences[-2]
    for stage in merged([expand(name, words) for name in ("objectives", "span_length")]):
        store.finish(stage, RECORDED)
    done, sentences = table(["objectives", "span_length"], words, store)
    memory, nothing = kinds["pretrain"][-5:-3], ["0", "0"]
    assert done["pretrain"][3:] == ["11", "0", "361.5", "k", *nothing, *memory, "0.0", "0.0", "MiB"]
    assert sentences[-3].startswith("to run: 0 FLOPs forward, 0 backward")


def test_hours_follow_the_stated_speed_and_the_longest_chain(tmp_path: Path) -> None:
    grid = expand("corruption_rate", ["suite.use=[questions]", "budget.num_baseline_seeds=1", *GPU])
    costs = plan.Costs([grid], grid.stages, Store(tmp_path))
    stages = grid.rows["rate_50"][0][1]["questions"]
    pretrain = stages.parents[0].parents[1]
    assert costs.hours(pretrain) == costs.estimates[pretrain.identity].flops.total / 50e12 / 3600
    chain = [pretrain, stages.parents[0], stages]
    assert costs.chain() == pytest.approx(sum(map(costs.hours, chain)))  # its targets are the longest


def test_jobs_on_slurm_are_counted(tmp_path: Path) -> None:
    words = ["suite.use=[questions]", "budget.num_baseline_seeds=1", "executor=slurm", *GPU]
    _, sentences = table(["corruption_rate"], words, Store(tmp_path))
    assert sentences[-1].startswith("14 Slurm jobs in ")


def test_the_speed_of_this_machine_is_that_of_its_records(tmp_path: Path) -> None:
    cell, store = load_cell([]), Store(tmp_path)
    size = cell.config["size"]
    record = {
        "config": {"size": size},
        "flops": 6e9,
        "seconds": 3.0,
        "machine": machine(),
        "runtime": {"accelerator": "cpu", "precision": "fp32", "num_devices": 1},
    }
    others = [{"machine": "abacus"}, {"seconds": 0.5}, {"resumed_at": 7}, {"flops": None}]
    others += [{"runtime": {**record["runtime"], "precision": "bf16"}}]
    for i, change in enumerate([{}, {"flops": 3e9}, *others]):
        write_whole(store.root / "pretrain" / str(i) / "record.json", json.dumps({**record, **change}))
    large = {**record, "config": {"size": {**size, "d_model": 9}}, "flops": 9e12}
    write_whole(store.root / "pretrain" / "large" / "record.json", json.dumps(large))
    found = speed.speed_of(cell.runtime, store, size, 2)
    assert (found.flops, found.source) == (1.5e9, "as recorded of 2 stages here")


def test_the_measured_mfu_comes_before_the_stated_one(tmp_path: Path) -> None:
    cell, store = load_cell([*GPU, "runtime.num_devices=2"]), Store(tmp_path)
    size = cell.config["size"]
    record = {"config": {"size": size}, "flops": 240e12, "seconds": 3.0, "machine": machine()}
    record |= {"runtime": asdict(cell.runtime)}
    other_card = {"runtime": {**asdict(cell.runtime), "peak_tflops": 989}, "flops": 9e15}
    larger = {"config": {"size": {**size, "d_model": 9}}, "flops": 9e15}
    stated = speed.speed_of(cell.runtime, store, size, 1)
    for number, change in enumerate([other_card, larger]):
        write_whole(store.root / "pretrain" / str(number) / "record.json", json.dumps({**record, **change}))
    assert speed.speed_of(cell.runtime, store, size, 1) == stated
    write_whole(store.root / "pretrain" / "same" / "record.json", json.dumps(record))
    found = speed.speed_of(cell.runtime, store, size, 1)
    assert found.flops == pytest.approx(40e12)  # of each of the two
    assert found.source == "MFU 40.0% of runtime.peak_tflops=100, as recorded of 1 stages here"


def test_without_a_record_a_product_is_tried_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "_product_rate", lambda: 8e9)
    monkeypatch.setattr(speed, "num_cores", lambda: 8)
    cell = load_cell([])
    assert speed.speed_of(cell.runtime, Store(tmp_path), {}, 2).flops == speed.SHARE * 8e9 * 4


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (999, "999"),
        (1500, "1.5 k"),
        (222903552, "222.9 M"),
        (3.4e12, "3.4 T"),
        (1.234e21, "1.23e+21"),
    ],
)
def test_numbers_are_short(value: float, text: str) -> None:
    assert plan.number(value) == text


@pytest.mark.parametrize(
    ("num_bytes", "text"), [(2**19, "0.5 MiB"), (3 * 2**30, "3.0 GiB"), (2**50, "1,024.0 TiB")]
)
def test_sizes_are_short(num_bytes: float, text: str) -> None:
    assert plan.size(num_bytes) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.04, "0.0"), (999.94, "999.9"), (1234.5, "1,234"), (138_907_305, "138.9 M")]
)
def test_hours_are_short(value: float, text: str) -> None:
    assert plan.hours(value) == text


@pytest.mark.parametrize(
    ("gib", "words", "line"),
    [
        (400, [], "memory: 79.9 GiB at most, which fits a device of 400 GiB"),
        (40, [], "does not fit a device of 40 GiB; with runtime.micro_batch=32 it takes 21.5 GiB"),
        (2.5, [], "of 2.5 GiB; with runtime.micro_batch=1 runtime.recompute=true it takes 2.4 GiB"),
        (2, [], "nor does a single row (runtime.parallel=fsdp spreads the weights over devices)"),
        (16, ["runtime.micro_batch=16"], "which fits a device of 16 GiB"),
    ],
)
def test_a_plan_says_whether_a_model_fits_a_device(gib: float, words: list[str], line: str) -> None:
    cell = load_cell(
        ["size=base", "budget=paper", "suite=nano", *GPU, f"runtime.device_memory={gib}", *words]
    )
    stages = with_parents(list(cell.strategy.stages(cell).values()))
    work = next(stage.workload(build) for stage in stages if stage.kind == "pretrain")
    assert line in memory_line([(work, cell.runtime)])


@pytest.mark.parametrize(
    ("kind", "gib", "line"),
    [
        ("evaluate", 80, "memory: 30.4 GiB at most, which fits a device of 80 GiB"),
        ("evaluate", 9, "of 9 GiB; with runtime.evaluation_batch=16 it takes 7.9 GiB"),
        ("pretrain", 120, "of 120 GiB; with runtime.recompute=true it takes 108.9 GiB"),
        ("pretrain", 40, "nor does less at once (each of more devices keeps a smaller part of the weights)"),
    ],
)
def test_a_plan_counts_the_part_of_a_model_that_each_device_keeps(kind: str, gib: int, line: str) -> None:
    spread = ["runtime.parallel=fsdp", "runtime.num_devices=8", f"runtime.device_memory={gib}"]
    cell = load_cell(["size=xxl_11b", "budget=paper", "suite=nano", *GPU, *spread])
    stages = with_parents(list(cell.strategy.stages(cell).values()))
    work = next(stage.workload(build) for stage in stages if stage.kind == kind)
    assert line in memory_line([(work, cell.runtime)])
