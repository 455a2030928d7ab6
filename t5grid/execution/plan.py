"""graph -> what it would cost: stages distinct, shared, done, to run; hours, memory.

Nothing needs to have run: batches are taken to be full of tokens, and answers as long as they may get. The
vocabulary and the encoding of a corpus are counted as stages only.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from t5grid.config.build import build
from t5grid.config.reuse import ByObject
from t5grid.config.schema import Runtime
from t5grid.execution.memory import memory_line
from t5grid.execution.speed import Speed, speed_of
from t5grid.execution.store import Store
from t5grid.grid.graph import Grid
from t5grid.model.costs import total_of
from t5grid.stages.stage import Stage, with_parents
from t5grid.stages.workload import Estimate, Workload, estimate

SELDOM = ("multitask", "import", "tied", "member", "prompt", "perplexity")
"""Kinds without a line where there is none of them."""
KINDS = ("vocabulary", "tokens", "pretrain", *SELDOM, "finetune", "evaluate")
COUNTS = ("asked for", "distinct", "shared", "done", "to run")
COSTS = ("parameters", "FLOPs", "tokens", "memory", "hours", "disk")
HOW = ("largest", "sum", "sum", "largest", "sum", "sum")
READING = "largest: of all stages of a kind, done ones too; sum: over those to run"


class Costs:
    """What each stage of a graph takes on the machine of a cell."""

    def __init__(self, grids: Sequence[Grid], stages: Sequence[Stage], store: Store) -> None:
        cell = grids[0].baseline
        self.executor, self.runtime, built = cell.executor, cell.runtime, ByObject(build)
        states = store.states(stages)
        self.todo = [stage for stage in stages if states[stage.identity] != "done"]
        self.estimates: dict[str, Estimate] = {}
        self.num_devices: dict[str, int] = {}
        self.largest: list[tuple[Workload, Runtime]] = []
        known: dict[Any, tuple[Estimate, int]] = {}
        for stage in stages:
            alike = stage.alike()
            if alike not in known:
                known[alike] = self._estimate(stage, built)
            self.estimates[stage.identity], self.num_devices[stage.identity] = known[alike]
        self.num_parallel, self.outlook = self.executor.outlook(self.todo, self.runtime)
        self.speed: Speed = speed_of(self.runtime, store, cell.config["size"], self.num_parallel)
        self._hours = {
            identity: cost.flops.total / self.speed.flops / self.num_devices[identity] / 3600
            for identity, cost in self.estimates.items()
        }

    def _estimate(self, stage: Stage, built: ByObject) -> tuple[Estimate, int]:
        """What a stage takes, and of how many devices."""
        work, machine = stage.workload(built), self.executor.runtime_of(stage, self.runtime)
        if not stage.takes_every_device(machine):
            machine = replace(machine, num_devices=1, num_nodes=1)
        if work and (stage.trains or machine.parallel == "fsdp"):
            self.largest.append((work, machine))
        return estimate(work, machine) if work else Estimate(), machine.num_devices * machine.num_nodes

    def of(self, stages: Iterable[Stage]) -> list[Estimate]:
        """The estimates of some stages."""
        return [self.estimates[stage.identity] for stage in stages]

    def hours(self, stage: Stage) -> float:
        """Time a stage takes by itself, on the devices it gets."""
        return self._hours[stage.identity]

    def chain(self) -> float:
        """Hours of the longest chain of stages that wait for one another."""
        until: dict[str, float] = {}
        for stage in self.todo:
            waited = max((until.get(parent.identity, 0.0) for parent in stage.parents), default=0.0)
            until[stage.identity] = waited + self.hours(stage)
        return max(until.values(), default=0.0)


def plan_lines(grids: Sequence[Grid], stages: Sequence[Stage], store: Store) -> list[str]:
    """The plan as text: a table by kind of stage, and sentences on what it assumes and comes to."""
    costs = Costs(grids, stages, store)
    todo = {stage.identity for stage in costs.todo}
    asked = Counter(stage.identity for grid in grids for stage in _asked_for(grid))
    kinds: dict[str, list[Stage]] = {}
    for stage in stages:
        kinds.setdefault(stage.kind, []).append(stage)
    out, saved = [_row("stage", COUNTS, COSTS), _row("", [""] * len(COUNTS), HOW)], []
    for kind in KINDS:
        distinct = kinds.get(kind, [])
        if not distinct and kind in SELDOM:
            continue
        wanted = sum(asked[stage.identity] for stage in distinct)
        left = [stage for stage in distinct if stage.identity in todo]
        counts = (wanted, len(distinct), wanted - len(distinct), len(distinct) - len(left), len(left))
        out.append(_row(kind, [f"{count:,}" for count in counts], _of_kind(distinct, left, costs)))
        saved.append(_saving(kind, distinct, asked, costs))
    cell = grids[0].baseline
    names = ", ".join(grid.experiment.name for grid in grids)
    out.append(f"{names}: size {cell.labels['size']}, budget {cell.budget.name}, suite {cell.suite.name}")
    return [*out, READING, *filter(None, saved), *_sentences(costs)]


def _asked_for(grid: Grid) -> Iterable[Stage]:
    """The stages that every cell alone would run."""
    for row in grid.rows.values():
        for _, ends in row:
            yield from with_parents(list(ends.values()))


def _row(kind: str, counts: Sequence[str], costs: Sequence[str]) -> str:
    cells = [f"{text:>10}" for text in counts] + [f"{text:>11}" for text in costs]
    return f"{kind:<11}{''.join(cells)}"


def _of_kind(distinct: list[Stage], left: list[Stage], costs: Costs) -> Sequence[str]:
    """What a kind of stage takes: the largest model and memory of all, and the sums of those to run."""
    every, to_run = costs.of(distinct), costs.of(left)
    if not any(cost.parameters for cost in every):
        return "–" * len(COSTS)
    return (
        number(max(cost.parameters for cost in every)),
        number(sum(cost.flops.total for cost in to_run)),
        number(sum(cost.tokens for cost in to_run)),
        size(max(cost.memory for cost in every)),
        hours(sum(map(costs.hours, left))),
        size(sum(cost.disk for cost in to_run)),
    )


def _saving(kind: str, distinct: list[Stage], asked: Counter[str], costs: Costs) -> str:
    """What sharing spares of a kind; empty if nothing."""
    whole = sum(asked[stage.identity] * costs.estimates[stage.identity].flops.total for stage in distinct)
    once = sum(cost.flops.total for cost in costs.of(distinct))
    if whole == once:
        return ""
    share = f"{1 - once / whole:.0%} of the {kind} stages' operations"
    return f"sharing saves {share}: {number(whole - once)} FLOPs"


def _sentences(costs: Costs) -> list[str]:
    """What the stages to run come to, and the speed that is taken for granted."""
    total = total_of(cost.flops for cost in costs.of(costs.todo))
    every, longest = sum(map(costs.hours, costs.todo)), costs.chain()
    wall = max(longest, every / max(costs.num_parallel, 1))
    speed = f"{number(costs.speed.flops)} FLOP/s a device ({costs.speed.source})"
    flops = f"to run: {number(total.forward)} FLOPs forward, {number(total.backward)} backward"
    return [
        f"{flops}; {number(total.attention)} of them attention's own products",
        f"hours: of one stage at a time, at {speed}",
        f"{costs.outlook}: about {hours(wall)} hours, {hours(longest)} the longest chain",
        *filter(None, [memory_line(costs.largest)]),
    ]


def number(value: float) -> str:
    """222,903,552 -> `222.9 M`; from 1e15 on with an exponent."""
    for unit, size in (("", 1.0), ("k", 1e3), ("M", 1e6), ("G", 1e9), ("T", 1e12)):
        if value < 999.5 * size:
            return f"{value / size:.{0 if size == 1 else 1}f} {unit}".rstrip()
    return f"{value:.2e}"


def hours(value: float) -> str:
    """Hours, with a decimal where that says anything; from a million on in short."""
    return number(value) if value >= 1e6 else f"{value:,.{0 if value >= 1000 else 1}f}"


def size(num_bytes: float) -> str:
    """Bytes as MiB, GiB or TiB."""
    for unit, scale in (("MiB", 2**20), ("GiB", 2**30)):
        if num_bytes < 1000 * scale:
            return f"{num_bytes / scale:.1f} {unit}"
    return f"{num_bytes / 2**40:,.1f} TiB"
