"""Curricula: which grade is drawn when."""

import pytest

from t5grid.config.schema import load_cell
from t5grid.data.curriculum import Curriculum
from t5grid.data.mixing import MixturePart, shares
from t5grid.grid.graph import expand

LADDER = [MixturePart(f"copying.{grade}", 100, difficulty=grade) for grade in (1, 2, 3, 4)]


def drawn(strategy: str, parts: list[MixturePart] = LADDER) -> list[tuple[float, tuple[float, ...]]]:
    return [(phase.until, shares(phase.rates)) for phase in Curriculum(strategy).phases(parts)]


def test_none_draws_the_hardest_grade_only_and_mixed_all_alike() -> None:
    assert drawn("none") == [(1.0, (0, 0, 0, 1))]
    assert drawn("mixed") == [(1.0, (0.25, 0.25, 0.25, 0.25))]


def test_naive_draws_one_grade_after_another_for_equal_parts_of_the_steps() -> None:
    assert drawn("naive") == [
        (0.25, (1, 0, 0, 0)),
        (0.5, (0, 1, 0, 0)),
        (0.75, (0, 0, 1, 0)),
        (1.0, (0, 0, 0, 1)),
    ]


def test_combined_is_half_of_naive_and_half_of_mixed() -> None:
    assert drawn("combined")[1] == (0.5, (0.125, 0.625, 0.125, 0.125))
    naive, mixed, combined = (drawn(strategy) for strategy in ("naive", "mixed", "combined"))
    for (_, one), (_, both) in zip(naive, combined, strict=True):
        assert both == pytest.approx([(a + b) / 2 for a, b in zip(one, mixed[0][1], strict=True)])


@pytest.mark.parametrize("strategy", ["none", "naive", "mixed", "combined"])
def test_columns_are_drawn_equally_often_however_many_grades_they_have(strategy: str) -> None:
    parts = [*LADDER, MixturePart("reversal.1", 5, difficulty=1), MixturePart("reversal.9", 5, difficulty=9)]
    for _, each in drawn(strategy, parts):
        assert sum(each[:4]) == pytest.approx(0.5) and sum(each[4:]) == pytest.approx(0.5)


def test_a_shorter_ladder_is_climbed_in_the_same_time() -> None:
    parts = [*LADDER, MixturePart("reversal.1", 5, difficulty=1), MixturePart("reversal.9", 5, difficulty=9)]
    assert [each[4:] for _, each in drawn("naive", parts)] == [(0.5, 0)] * 2 + [(0, 0.5)] * 2


def test_tasks_of_one_grade_share_its_rate() -> None:
    parts = [*LADDER, MixturePart("copying.other", 7, difficulty=4)]
    assert drawn("none", parts) == [(1.0, (0, 0, 0, 0.5, 0.5))]


def test_a_task_without_difficulty_is_refused() -> None:
    with pytest.raises(ValueError) as caught:
        Curriculum().phases([*LADDER, MixturePart("unsupervised", None)])
    assert str(caught.value) == (
        "mixing=curriculum: unsupervised has no difficulty; "
        "strategy=single_task suite=programs mixes graded tasks only"
    )
    cell = load_cell(["mixing=curriculum", "strategy=multitask", "suite.use=[questions]"])
    with pytest.raises(ValueError, match=r"mixing=curriculum: questions\.questions has no difficulty"):
        cell.strategy.stages(cell)


def test_an_unknown_strategy_is_refused_by_its_key() -> None:
    with pytest.raises(ValueError, match=r"mixing\.strategy=odd: one of none, naive, mixed, combined"):
        load_cell(["mixing=curriculum", "mixing.strategy=odd"])


def test_the_experiment_trains_each_column_by_itself_from_scratch_under_four_curricula() -> None:
    grid = expand("curriculum", ["budget=smoke"])
    assert {key: row[0][0].mixing.strategy for key, row in grid.rows.items()} == {
        key: key for key in ("none", "naive", "mixed", "combined")
    }
    kinds = [stage.kind for stage in grid.stages]
    assert {kind: kinds.count(kind) for kind in kinds} == {"vocabulary": 1, "multitask": 12, "evaluate": 12}
    for stage in grid.stages:
        if stage.kind == "multitask":
            (column,) = stage.config["columns"]
            assert stage.name.startswith(f"{column}-curriculum")
