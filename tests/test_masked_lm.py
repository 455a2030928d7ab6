"""The objectives of BERT, RoBERTa and ALBERT: true borders, shares of the noise, targets in place."""

import numpy as np
import pytest

from t5grid.config.schema import load_cell
from t5grid.data.encoder_batching import EncoderBatching
from t5grid.data.masked_lm import MaskedLM, MaskedLMSentenceOrder, MaskedLMWithoutNSP
from t5grid.data.place_targets import PAIR, TOKEN, answers_of, heads_of
from t5grid.data.special_ids import EOS
from t5grid.grid.strategies import pretrain_stage, vocabulary_stage
from t5grid.refused import Refused

VOCAB = 5000
CLS, MASK = VOCAB - 2, VOCAB - 1


def pieces(rows: int, sentences: int = 4, length: int = 5) -> np.ndarray:
    """Pieces of numbered sentences: s of piece r is `1000 + 100 r + 10 s`, and following ids."""
    r, s, i = np.meshgrid(np.arange(rows), np.arange(sentences), np.arange(length), indexing="ij")
    ids = 1000 + 100 * r + 10 * s + i
    return np.where(i == length - 1, -ids, ids).reshape(rows, -1).astype(np.int32)


def segments(row: np.ndarray) -> list[list[int]]:
    """The segments between the marks."""
    ids = row[row > 0].tolist()
    assert ids[0] == CLS and ids[-1] == EOS
    cut = ids.index(EOS)
    return [ids[1:cut], ids[cut + 1 : -1]] if cut < len(ids) - 1 else [ids[1:cut]]


def originals(inputs: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rows before the noise, and what is asked at [CLS]."""
    before = np.abs(targets)
    asked = np.where(targets[:, 0] > 0, answers_of(targets[:, 0]), 0)
    assert (heads_of(targets[targets[:, 0] > 0, 0]) == PAIR).all()
    before[:, 0] = CLS
    return before, asked


def test_half_of_the_second_segments_follow_the_first_and_the_others_are_of_another_document() -> None:
    follow = []
    for seed in range(60):
        inputs, targets = MaskedLM()(pieces(20), np.random.default_rng(seed), VOCAB)
        for row, asked in zip(*originals(inputs, targets), strict=True):
            first, second = segments(row)
            assert (
                first[0] % 100 == 0 and first[-1] % 10 == 4 and second[0] % 10 == 0
            )  # cut at sentences' ends
            same = first[0] // 100 == second[0] // 100
            assert asked == (1 if same else 2)
            assert not same or second[0] == first[-1] + 6  # the very next sentence
            follow.append(same)
    assert abs(np.mean(follow) - 0.5) < 0.05


def test_rows_fill_their_room_and_never_exceed_it() -> None:
    raw, asked = MaskedLM().lengths(40)
    tokens = pieces(20, sentences=8)[:, :raw]
    inputs, targets = MaskedLM()(tokens, np.random.default_rng(0), VOCAB)
    assert (raw, inputs.shape[1]) == (37, 40)
    assert asked == 1 + (targets > 0)[:, 1:].sum(axis=1).max() == 7


def test_a_piece_of_one_sentence_is_a_segment_of_which_nothing_is_asked() -> None:
    for objective in (MaskedLM(), MaskedLMSentenceOrder()):
        inputs, targets = objective(pieces(6, sentences=1), np.random.default_rng(0), VOCAB)
        before, asked = originals(inputs, targets)
        assert not asked.any() and all(len(segments(row)) == 1 for row in before)


def test_half_of_the_pairs_of_segments_are_turned_round() -> None:
    turned = []
    for seed in range(40):
        inputs, targets = MaskedLMSentenceOrder()(pieces(20), np.random.default_rng(seed), VOCAB)
        for row, asked in zip(*originals(inputs, targets), strict=True):
            first, second = segments(row)
            assert sorted(first + second) == list(np.abs(pieces(20))[(first[0] - 1000) // 100])
            turned.append(first[0] > second[0])
            assert asked == (2 if turned[-1] else 1)
    assert abs(np.mean(turned) - 0.5) < 0.06


def test_fifteen_per_cent_are_chosen_of_which_eighty_ten_and_ten_are_masked_exchanged_and_kept() -> None:
    tokens = np.full((400, 100), 7, np.int32)
    inputs, targets = MaskedLMWithoutNSP()(tokens, np.random.default_rng(1), VOCAB)
    chosen = targets > 0
    assert (chosen.sum(axis=1) == 15).all() and (targets[chosen] == 7).all()
    assert (inputs[~chosen] == np.abs(targets[~chosen])).all()  # nothing else is changed
    shares = [(inputs[chosen] == MASK).mean(), (inputs[chosen] == 7).mean()]
    assert shares == pytest.approx([0.8, 0.1], abs=0.015)
    assert not np.isin(inputs[chosen & (inputs != MASK)], (CLS, EOS)).any()


def test_every_share_is_a_setting() -> None:
    tokens = np.full((50, 40), 7, np.int32)
    for shares, expected in (((1, 0, 0), MASK), ((0, 0, 1), 7)):
        objective = MaskedLMWithoutNSP(0.5, *map(float, shares))
        inputs, targets = objective(tokens, np.random.default_rng(0), VOCAB)
        assert ((targets > 0).sum(axis=1) == 20).all() and (inputs[targets > 0] == expected).all()


def test_a_short_piece_has_one_token_to_tell_at_least() -> None:
    _, targets = MaskedLMWithoutNSP()(np.array([[9]], np.int32), np.random.default_rng(0), VOCAB)
    assert targets.tolist() == [[-CLS, 9, -EOS]]


@pytest.mark.parametrize(
    ("words", "fragment"),
    [
        (
            "objective=masked_lm objective.kept=0.3",
            "masked=0.8, exchanged=0.1 and kept=0.3 add up to 1.2",
        ),
        ("objective=masked_lm objective.rate=1.5", "objective.rate=1.5: a number above 0, below 1"),
        ("objective=masked_lm objective.masked=-0.1", "objective.masked=-0.1: a number from 0 up"),
    ],
)
def test_shares_that_cannot_be_are_refused(words: str, fragment: str) -> None:
    with pytest.raises(Refused) as caught:
        load_cell(["architecture=bert", *words.split()])
    assert fragment in str(caught.value)


@pytest.mark.parametrize(
    ("words", "fragment"),
    [
        (
            "architecture=bert",
            "objective=replace_spans: its targets are texts; architecture=bert",
        ),
        (
            "objective=masked_lm",
            "objective=masked_lm: its targets are in place; architecture=",
        ),
    ],
)
def test_an_objective_that_does_not_fit_the_architecture_is_refused(words: str, fragment: str) -> None:
    cell = load_cell(words.split())
    with pytest.raises(Refused) as caught:
        pretrain_stage(cell, vocabulary_stage(cell))
    assert str(caught.value).startswith(fragment)


def packed(length: int = 64) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    inputs, targets = MaskedLM()(pieces(30)[:, :17], np.random.default_rng(3), VOCAB)
    return inputs, targets, EncoderBatching()(inputs, targets, length, length)


def test_packed_rows_keep_every_example_and_every_target_in_its_place() -> None:
    inputs, targets, batch = packed()
    assert batch["inputs"].shape[0] < len(inputs) / 2
    found = []
    for row in range(len(batch["inputs"])):
        own = batch["targets"][row] > 0
        places, heads, answers = (batch[key][row][own] for key in ("places", "heads", "targets"))
        for segment in range(1, batch["inputs_segments"][row].max() + 1):
            inside = np.flatnonzero(batch["inputs_segments"][row] == segment)
            here = np.isin(places, inside)
            start = inside[0]
            ids = tuple(batch["inputs"][row, inside].tolist())
            assert batch["positions"][row, inside].tolist() == list(range(len(inside)))
            sort = (places[here] - start).tolist(), heads[here].tolist(), answers[here].tolist()
            found.append((ids, *map(tuple, sort)))
            mark = ids.index(EOS)
            assert batch["types"][row, inside].tolist() == [int(i > mark) for i in range(len(ids))]
    wanted = []
    for row, asked in zip(inputs, targets, strict=True):
        places = np.flatnonzero(asked > 0)
        parts = places, heads_of(asked[places]), answers_of(asked[places])
        wanted.append((tuple(row[row > 0].tolist()), *(tuple(part.tolist()) for part in parts)))
    assert sorted(found) == sorted(wanted)
    counts = {tuple(row) for row in batch["counts"].tolist()}
    num_pairs = int((batch["heads"] == PAIR).sum())
    num_tokens = int(((batch["heads"] == TOKEN) & (batch["targets"] > 0)).sum())
    assert counts == {(batch["targets"].size, num_tokens, num_pairs, np.count_nonzero(batch["inputs"]) - 30)}
    assert num_pairs == len(inputs)


def test_a_row_that_is_too_long_still_ends_in_its_mark_and_asks_nothing_there() -> None:
    inputs, targets = MaskedLMWithoutNSP(0.9)(pieces(4), np.random.default_rng(0), VOCAB)
    batch = EncoderBatching()(inputs, targets, 10, 10)
    assert (batch["inputs"][:, -1] == EOS).all() and (batch["places"] < 9).all()
