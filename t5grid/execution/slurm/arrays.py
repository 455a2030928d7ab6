"""stages -> arrays: which are submitted together, and what each array waits for.

Stages of a kind that wait for the same stages are one array. Where every task of an array has a child of a
kind, these are one array too, each task of which waits for its own parent alone (`aftercorr`): a row's
fine-tuning starts when its own pre-training ends, and a grid of thousands of stages takes tens of arrays.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from t5grid.stages.stage import Stage


@dataclass(frozen=True)
class Array:
    """Stages of one kind to be submitted together.

    `after` are the stages that all of them wait for; or, with `pairwise`, the array whose task of the same
    number each of them waits for.
    """

    stages: tuple[Stage, ...]
    after: tuple[Stage, ...] = ()
    pairwise: "Array | None" = None


def arrays_of(stages: Iterable[Stage], waiting: set[str], largest: int) -> Iterator[Array]:
    """Arrays of up to `largest` stages, each after those it waits for.

    `stages` come parents first; `waiting` are identities of others that are neither done nor among them: jobs
    in the queue already.
    """
    todo = {stage.identity: stage for stage in stages}
    needs = _needs(todo, waiting)
    depths: dict[str, int] = {}
    levels: dict[int, list[Stage]] = defaultdict(list)
    for identity, stage in todo.items():
        depths[identity] = 1 + max((depths.get(parent.identity, 0) for parent in needs[identity]), default=0)
        levels[depths[identity]].append(stage)
    home: dict[str, Array] = {}
    for depth in sorted(levels):
        for array in _of_level(levels[depth], needs, home, largest):
            home |= {stage.identity: array for stage in array.stages}
            yield array


def _needs(todo: dict[str, Stage], waiting: set[str]) -> dict[str, tuple[Stage, ...]]:
    """For each stage the parents it waits for, without those that others of them wait for anyway."""
    needs: dict[str, tuple[Stage, ...]] = {}
    above: dict[str, frozenset[str]] = {}
    for identity, stage in todo.items():
        parents = {parent.identity: parent for parent in stage.parents}
        pending = {key: parent for key, parent in parents.items() if key in todo or key in waiting}
        higher = frozenset().union(*(above.get(key, frozenset()) for key in pending))
        above[identity] = higher | pending.keys()
        needs[identity] = tuple(parent for key, parent in pending.items() if key not in higher)
    return needs


def _of_level(
    level: list[Stage], needs: dict[str, tuple[Stage, ...]], home: dict[str, Array], largest: int
) -> Iterator[Array]:
    """The arrays of stages none of which waits for another."""
    together: dict[tuple[str, ...], list[Stage]] = defaultdict(list)
    for stage in level:
        together[stage.kind, *(parent.identity for parent in needs[stage.identity])].append(stage)
    pairs: dict[tuple[str, int, int], dict[str, Stage]] = defaultdict(dict)
    for (kind, *after), siblings in together.items():
        if len(after) == 1 and len(home.get(after[0], Array(())).stages) > 1:
            for number, stage in enumerate(siblings):
                pairs[kind, id(home[after[0]]), number][after[0]] = stage
    paired: set[str] = set()
    for children in pairs.values():
        parents = home[next(iter(children))]
        if len(children) == len(parents.stages):
            stages = tuple(children[parent.identity] for parent in parents.stages)
            paired |= {stage.identity for stage in stages}
            yield Array(stages, pairwise=parents)
    for siblings in together.values():
        rest = [stage for stage in siblings if stage.identity not in paired]
        for start in range(0, len(rest), largest):
            yield Array(tuple(rest[start : start + largest]), needs[siblings[0].identity])
