"""Batches of mixtures: what they hold, how often, and that they depend on seed and step alone."""

from dataclasses import dataclass
from itertools import product

import numpy as np
import pytest

from t5grid.data.batching import EncoderDecoderBatching
from t5grid.data.feeds import Labelled, MixtureFeed, Unlabelled
from t5grid.data.mixing import Phase
from t5grid.data.objectives import ReplaceSpans
from t5grid.data.vocabulary import Trained, Vocabulary

SIZES, RATES = (5, 200, 40), (1.0, 3.0, 12.0)


@dataclass(frozen=True)
class Numbers:
    """Examples whose inputs are (source, index) as ids, and whose length differs by source."""

    source: int
    size: int

    def __len__(self) -> int:
        return self.size

    def pairs(self, indices, noise):
        return [([10 + self.source, 100 + i] * (self.source + 1), [10 + self.source]) for i in indices]


def feed(seed: int = 0, phases: tuple[Phase, ...] = (Phase(1.0, RATES),), **changed) -> MixtureFeed:
    settings = {
        "sources": [Numbers(number, size) for number, size in enumerate(SIZES)],
        "phases": phases,
        "num_steps": 100,
        "batching": EncoderDecoderBatching(),
        "num_tokens": 400,
        "inputs_length": 32,
        "targets_length": 32,
        "seed": seed,
    }
    return MixtureFeed(**{**settings, **changed})


def same(a: dict, b: dict) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[key], b[key]) for key in a)


def test_a_batch_depends_on_seed_and_step_alone() -> None:
    forward = [feed()(step) for step in (0, 1, 2)]
    one = feed()
    backward = [one(step) for step in (2, 1, 0)]
    assert all(same(a, b) for a, b in zip(forward, reversed(backward), strict=True))
    assert not same(forward[0], forward[1]) and not same(forward[0], feed(seed=1)(0))


@pytest.mark.slow
def test_observed_rates_over_a_long_run_match() -> None:
    long = feed(num_steps=3000)
    counts = np.zeros(3)
    for step in range(3000):
        counts += np.bincount([source for source, _ in long.drawn(step)], minlength=3)
    share = counts / counts.sum()
    expected = np.array(RATES) / sum(RATES)
    assert counts.sum() > 100_000
    # three standard deviations of independent draws
    assert (abs(share - expected) < 3 * np.sqrt(expected * (1 - expected) / counts.sum())).all()


def test_the_rows_of_each_source_come_once_an_epoch() -> None:
    drawn = [each for step in range(40) for each in feed().drawn(step)]
    for source, size in enumerate(SIZES):
        rows = [row for number, row in drawn if number == source]
        for epoch in range(len(rows) // size):
            assert sorted(rows[epoch * size : (epoch + 1) * size]) == list(range(size))


def test_a_batch_holds_the_examples_drawn_and_about_the_tokens_asked_for() -> None:
    one = feed()
    for step in range(5):
        batch = one(step)
        drawn = one.drawn(step)
        assert sorted(batch["targets"][batch["targets"] >= 10]) == sorted(10 + s for s, _ in drawn)
    filled = np.mean([(one(step)["inputs"] > 0).sum() for step in range(50)])
    assert abs(filled - 400) < 20


def test_rates_change_at_the_end_of_a_phase() -> None:
    phases = (Phase(0.25, (1.0, 0.0, 0.0)), Phase(1.0, (0.0, 1.0, 1.0)))
    two = feed(phases=phases)
    sources = [{source for source, _ in two.drawn(step)} for step in range(100)]
    assert sources[:25] == [{0}] * 25 and set().union(*sources[25:]) == {1, 2}
    assert same(feed(phases=phases)(25), two(25))


def test_examples_are_trimmed_to_the_lengths_of_the_mixture() -> None:
    long = feed(sources=[Numbers(40, 3)], phases=(Phase(1.0, (1.0,)),))(0)
    assert long["inputs"].shape[1] == 32 and (long["inputs"][:, -1] == 1).all()


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    syllables = ["ka", "lo", "mi", "ru", "te", "so", "na", "pi"]
    return Vocabulary(
        Trained(num_pieces=32).make(
            map(" ".join, product(map("".join, product(syllables, syllables)), syllables))
        )
    )


def test_records_become_pairs_of_ids(vocabulary: Vocabulary) -> None:
    source = Labelled([{"inputs": "ka lo", "targets": "mi"}, {"inputs": "", "targets": "ru"}], vocabulary)
    pairs = source.pairs([1, 0], np.random.default_rng(0))
    assert pairs == [([], *vocabulary.encode(["ru"])), tuple(vocabulary.encode(["ka lo", "mi"]))]


class Pieces:
    """Two pieces of a corpus."""

    def __len__(self) -> int:
        return 2

    def pieces(self, rows: np.ndarray) -> np.ndarray:
        pieces = np.zeros((2, 40), np.int32)
        pieces[0], pieces[1, :10] = np.arange(3, 43), np.arange(50, 60)
        return pieces[rows]


def test_pieces_become_pairs_under_the_objective_with_fresh_noise() -> None:
    source = Unlabelled(Pieces(), ReplaceSpans(rate=0.15, targets_length_at_512=192), 1000)
    (inputs, targets), (short, _) = source.pairs([0, 1], np.random.default_rng(0))
    assert sorted(i for i in [*inputs, *targets] if i < 900) == list(range(3, 43))
    assert max(i for i in short if i < 900) <= 59
    assert source.pairs([0], np.random.default_rng(1)) != source.pairs([0], np.random.default_rng(2))
