import numpy as np
import pytest

from t5grid.data.stream import Mixture, generator, key_of, permute, shuffled, uniform


def test_keys_are_the_same_on_every_machine():
    assert key_of(0, "corpus") == 6356123508581651745
    assert key_of("a", "b") != key_of("ab") != key_of("b", "a")


def test_a_generator_depends_on_its_parts_alone():
    assert generator(1, "noise", 2).random() == generator(1, "noise", 2).random()
    assert generator(1, "noise", 2).random() != generator(1, "noise", 3).random()


def test_uniform_numbers_are_uniform_and_independent_of_order():
    drawn = uniform(np.arange(100_000), key_of("u"))
    assert drawn.min() >= 0 and drawn.max() < 1
    counts = np.bincount((drawn * 20).astype(int), minlength=20)
    assert ((counts - 5000) ** 2 / 5000).sum() < 43.8  # chi-squared of 19 degrees at 0.001
    assert abs(np.corrcoef(drawn[:-1], drawn[1:])[0, 1]) < 0.01
    assert abs(np.corrcoef(drawn, uniform(np.arange(100_000), key_of("v")))[0, 1]) < 0.01
    np.testing.assert_array_equal(uniform(np.array([7, 3]), key_of("u")), drawn[[7, 3]])


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100, 1000])
def test_permute_is_a_bijection(size):
    for key in range(20):
        assert sorted(permute(np.arange(size), size, key_of(key))) == list(range(size))


def test_permute_does_not_depend_on_what_is_asked_together():
    whole = permute(np.arange(1000), 1000, key_of("k"))
    some = np.array([999, 0, 5, 5])
    np.testing.assert_array_equal(permute(some, 1000, key_of("k")), whole[some])


@pytest.mark.parametrize("size", [2, 3, 7, pytest.param(20, marks=pytest.mark.slow)])
def test_every_item_comes_first_equally_often_over_keys(size):
    num_keys = 200 * size
    first = [int(permute(np.array([0]), size, key_of("first", key))[0]) for key in range(num_keys)]
    counts = np.bincount(first, minlength=size)
    freedom = size - 1
    assert ((counts - 200) ** 2 / 200).sum() < freedom + 4.5 * np.sqrt(2 * freedom)


def test_permutations_of_different_keys_differ():
    orders = {tuple(permute(np.arange(100), 100, key_of(key))) for key in range(50)}
    assert len(orders) == 50
    places = np.array([permute(np.arange(1000), 1000, key_of(key)) for key in range(2)])
    assert (places[0] == places[1]).sum() < 10
    assert abs(np.corrcoef(np.arange(1000), places[0])[0, 1]) < 0.15


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100, 1000])
def test_shuffled_shows_every_item_once_an_epoch(size):
    seen = shuffled(np.arange(3 * size), size, 1, "corpus").reshape(3, size)
    for epoch in seen:
        assert sorted(epoch) == list(range(size))


def test_epochs_and_keys_are_shuffled_differently():
    first, second = shuffled(np.arange(200), 100, 1, "corpus").reshape(2, 100)
    assert list(first) != list(second)
    assert list(first) != list(shuffled(np.arange(100), 100, 2, "corpus"))


def test_shuffled_positions_may_be_asked_for_in_any_order():
    whole = shuffled(np.arange(30), 7, "k")
    np.testing.assert_array_equal(shuffled(np.arange(29, -1, -1), 7, "k"), whole[::-1])
    np.testing.assert_array_equal(shuffled(np.array([20]), 7, "k"), whole[20:21])


def mixture() -> Mixture:
    return Mixture([10, 3, 50], [1.0, 2.0, 5.0], 4, "finetune")


def test_draws_do_not_depend_on_call_order_or_on_how_positions_are_split():
    whole = mixture().draw(0, 300)
    forward, backward = mixture(), mixture()
    assert [pair for start in range(0, 300, 20) for pair in forward.draw(start, 20)] == whole
    parts = [backward.draw(start, 30) for start in range(270, -1, -30)]
    assert [pair for part in reversed(parts) for pair in part] == whole
    assert mixture().draw(299, 1) == whole[299:]


def test_draws_far_into_the_stream_cross_counting_blocks():
    here, there = mixture(), mixture()
    start = (1 << 20) - 5
    np.testing.assert_array_equal(here._before(start + 7, block=1000), there._before(start + 7))
    assert here.draw(start, 10) == there.draw(start, 5) + mixture().draw(start + 5, 5)


def test_tasks_are_drawn_at_their_rates_whatever_the_rates_sum_to():
    tasks = mixture().tasks(np.arange(100_000))
    share = np.bincount(tasks, minlength=3) / 100_000
    np.testing.assert_allclose(share, [0.125, 0.25, 0.625], atol=0.006)  # four standard errors
    scaled = Mixture([10, 3, 50], [0.125, 0.25, 0.625], 4, "finetune")
    np.testing.assert_array_equal(scaled.tasks(np.arange(1000)), tasks[:1000])


def test_successive_tasks_are_independent():
    tasks = Mixture([1, 1], [1, 1], "pairs").tasks(np.arange(100_000))
    pairs = np.bincount(2 * tasks[:-1] + tasks[1:], minlength=4) / 99_999
    np.testing.assert_allclose(pairs, 0.25, atol=0.006)


def test_a_task_of_rate_zero_is_never_drawn():
    for rates in ([0, 1, 1], [1, 0, 1], [1, 1, 0]):
        assert rates.index(0) not in mixture_tasks(rates)


def mixture_tasks(rates: list[float]) -> set[int]:
    return {task for task, _ in Mixture([4, 4, 4], rates, "zero").draw(0, 500)}


def test_the_rows_of_each_task_are_seen_epoch_by_epoch():
    sizes = [10, 3, 50]
    drawn = mixture().draw(0, 1000)
    for task, size in enumerate(sizes):
        rows = [row for t, row in drawn if t == task]
        assert len(rows) > 2 * size
        for start in range(0, len(rows) - size + 1, size):
            assert sorted(rows[start : start + size]) == list(range(size))


def test_seeds_change_tasks_and_rows():
    a, b = (Mixture([10, 10], [1, 1], seed, "finetune").draw(0, 200) for seed in (0, 1))
    assert [task for task, _ in a] != [task for task, _ in b]
    assert [row for task, row in a if task == 0] != [row for task, row in b if task == 0]
