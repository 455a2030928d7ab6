"""Which stages are submitted together, and what they wait for."""

from pathlib import Path

import pytest
from toy_stages import Toy, make

from t5grid.execution.slurm.arrays import Array, arrays_of
from t5grid.stages.stage import Stage, with_parents


class Tuned(Toy):
    kind = "tuned"


class Scored(Toy):
    kind = "scored"


def grid(num_rows: int, columns: str) -> list[Stage]:
    """A root, a row of toys on it, and for each a tuned and a scored stage a column."""
    root = make(Toy, "root", Path())
    ends = []
    for i in range(num_rows):
        row = make(Toy, f"row{i}", Path(), make(Toy, "root", Path()))
        for column in columns:
            tuned = make(Tuned, f"{column}{i}", Path(), root, row)
            ends.append(make(Scored, f"{column}{i}", Path(), tuned, root))
    return with_parents(ends)


def shown(array: Array) -> tuple[list[str], list[str] | str]:
    """Names of an array's stages, and of those they wait for; a letter for a pairwise wait."""
    names = [stage.name for stage in array.stages]
    return names, "pairs" if array.pairwise else [stage.name for stage in array.after]


def test_siblings_are_an_array_and_each_childs_task_waits_for_its_own_parent() -> None:
    arrays = list(arrays_of(grid(3, "ab"), set(), 1000))
    assert [shown(array) for array in arrays] == [
        (["root"], []),
        (["row0", "row1", "row2"], ["root"]),
        (["a0", "a1", "a2"], "pairs"),
        (["b0", "b1", "b2"], "pairs"),
        (["a0", "a1", "a2"], "pairs"),
        (["b0", "b1", "b2"], "pairs"),
    ]
    assert [array.pairwise for array in arrays[2:]] == [arrays[1], arrays[1], arrays[2], arrays[3]]


def test_a_row_that_is_partly_done_waits_for_what_is_left_of_it() -> None:
    stages = [stage for stage in grid(2, "ab") if stage.name not in ("root", "row0")]
    stages = [stage for stage in stages if (stage.kind, stage.name) != ("tuned", "a1")]
    assert sorted(map(shown, arrays_of(stages, set(), 1000)), key=str) == sorted(
        [
            (["row1"], []),
            (["a0", "b0"], []),
            (["b1"], ["row1"]),
            (["a1"], []),  # its tuned stage is done
            (["a0", "b0"], "pairs"),
            (["b1"], ["b1"]),
        ],
        key=str,
    )


def test_a_stage_waits_for_jobs_in_the_queue_and_for_none_that_another_waits_for() -> None:
    stages = grid(1, "a")
    root, row, tuned, scored = stages
    (array,) = arrays_of([scored], {root.identity, row.identity, tuned.identity}, 1000)
    assert {stage.name for stage in array.after} == {"a0", "root"}
    first, second = arrays_of([tuned, scored], {row.identity}, 1000)
    assert (shown(first), shown(second)) == ((["a0"], ["row0"]), (["a0"], ["a0"]))


def test_no_array_is_larger_than_allowed() -> None:
    sizes = [len(array.stages) for array in arrays_of(grid(5, "a"), set(), 2)]
    assert sizes == [1, 2, 2, 1, 2, 2, 1, 2, 2, 1]


@pytest.mark.parametrize("num_rows", [2000])
@pytest.mark.slow
def test_thousands_of_stages_take_tens_of_arrays(num_rows: int) -> None:
    stages = grid(num_rows, "abcdefg")
    arrays = list(arrays_of(stages, set(), 1000))
    assert sum(len(array.stages) for array in arrays) == len(stages) == 1 + 15 * num_rows
    assert len(arrays) == 1 + 2 + 14 + 14
