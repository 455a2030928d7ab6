"""Steps a second of every fine-tuning method against all parameters, interleaved in one run.

    python benchmarks/finetuning.py [SIZE]

SIZE is an option of conf/size, tiny by default. A step is forward, loss, backward and Adafactor on one
thread, on a batch of 8 rows of 128 inputs and 64 targets, in processor time; an episode of gradual
unfreezing has a line of its own. Beside the time stand the operations of a step by the rule of automatic
differentiation.
"""

import statistics
import sys
import time
from collections.abc import Callable, Iterator

import torch

from t5grid.config.schema import Cell, load_cell
from t5grid.data.stream import generator
from t5grid.model.costs import step as operations
from t5grid.model.loss import loss
from t5grid.stages.workload import shape_of
from t5grid.training.fit import initialise

METHODS = {
    "all_parameters": [],
    **{f"adapters, d = {d}": ["finetune=adapters", f"finetune.d={d}"] for d in (32, 128, 512, 2048)},
    "gradual_unfreezing": ["finetune=gradual_unfreezing"],
    "frozen, top decoder block": ["finetune=frozen"],
    "frozen, top block of both": ["finetune=frozen", "finetune.stacks=both"],
    "frozen_head": ["finetune=frozen_head"],
    "frozen_last_layer": ["finetune=frozen_last_layer"],
}
VOCAB_SIZE, ROWS, INPUTS, TARGETS = 2048, 8, 128, 64
Step = Callable[[], None]


def steps_of(cell: Cell, batch: dict[str, torch.Tensor]) -> Iterator[tuple[Step, float]]:
    """For each episode: a step of it, and its operations."""
    model = initialise(lambda: cell.architecture.build(cell.size, VOCAB_SIZE), 0).train()
    cell.finetune.prepare(model)
    names = [name for name, _ in model.named_parameters()]
    shape = shape_of({name: tensor.numpy() for name, tensor in batch.items()})
    products = cell.finetune.products(
        cell.architecture.products(cell.size, VOCAB_SIZE, *shape), cell.size.d_model
    )
    optimizer = cell.budget.finetune.optimizer.build(model.parameters(), lr=1e-6)
    for trained in cell.finetune.episodes(names, 1000).values():

        def step(trained: frozenset[str] = trained) -> None:
            for name, parameter in model.named_parameters():
                parameter.requires_grad_(name in trained)
            optimizer.zero_grad()
            loss(model(batch), batch["targets"]).backward()
            optimizer.step()

        yield step, operations(products, trained.__contains__).total


def main(size: str = "tiny", rounds: int = 15) -> None:
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    noise, baseline = generator(0, "benchmark"), load_cell([f"size={size}"])
    pairs = [noise.integers(3, VOCAB_SIZE, (ROWS, length - 1)) for length in (INPUTS, TARGETS)]
    arrays = baseline.architecture.batching(*pairs, INPUTS, TARGETS)
    batch = {name: torch.from_numpy(array).long() for name, array in arrays.items()}
    cases: dict[str, tuple[Step, float]] = {}
    for title, overrides in METHODS.items():
        found = list(steps_of(load_cell([f"size={size}", *overrides]), batch))
        for i, case in enumerate(found, start=1):
            cases[title if len(found) == 1 else f"{title}, episode {i}"] = case
    seconds: dict[str, list[float]] = {title: [] for title in cases}
    for _ in range(rounds + 1):
        for title, (step, _) in cases.items():
            started = time.process_time()
            step()
            seconds[title].append(time.process_time() - started)
    _print(cases, {title: statistics.median(each[1:]) for title, each in seconds.items()})


def _print(cases: dict[str, tuple[Step, float]], seconds: dict[str, float]) -> None:
    print("| method | steps a second | ratio | operations |\n| --- | ---: | ---: | ---: |")
    first, (_, most) = seconds["all_parameters"], cases["all_parameters"]
    for title, (_, flops) in cases.items():
        ratio = first / seconds[title]
        print(f"| {title} | {1 / seconds[title]:.2f} | {ratio:.2f} | {flops / most:.2f} |")


if __name__ == "__main__":
    main(*sys.argv[1:2])
