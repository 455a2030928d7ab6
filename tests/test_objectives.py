"""The eight objectives: literal cases, the original's outputs for given masks, statistics of samplers."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from axis_values import axis_values

from t5grid.config.build import build
from t5grid.data import objectives as o
from t5grid.data.batching import finish
from t5grid.data.worked_example import worked_example

CONF = Path(__file__).resolve().parent.parent / "conf" / "objective"
EVERY = list(axis_values("objective").values())


def padded(rows: list[list[int]], width: int | None = None) -> np.ndarray:
    width = max((len(row) for row in rows), default=0) if width is None else width
    return np.array([row + [0] * (width - len(row)) for row in rows], np.int32).reshape(len(rows), width)


def unpadded(rows: np.ndarray) -> list[list[int]]:
    for row in rows:
        assert not row[np.count_nonzero(row) :].any(), "padding inside a row"
    return [row[row != 0].tolist() for row in rows]


def golden(goldens: Path, name: str) -> list[dict]:
    return json.loads((goldens / f"{name}.json").read_text())["cases"]


def draws(rows: int, lengths: int, seed: int = 0) -> tuple[np.ndarray, np.random.Generator]:
    rng = np.random.default_rng(seed)
    return rng.integers(3, 32000, (rows, lengths)).astype(np.int32), rng


# --- given masks ---


def outputs(tokens: np.ndarray, mask: np.ndarray, vocab_size: int) -> dict[str, o.Pair]:
    return {
        "replace_spans_unique_sentinels": o.replace_spans(tokens, mask, vocab_size),
        "drop_corrupted_tokens": o.drop_tokens(tokens, mask),
        "mass_style_mask_each_token": o.mask_tokens(tokens, mask, vocab_size),
        "replace_spans_single_sentinel": o.replace_spans(tokens, mask, vocab_size, unique=False),
        "keep_noise_as_inputs (prefix LM when the mask is a prefix)": o.drop_tokens(tokens, ~mask),
    }


def test_given_masks_give_the_originals_inputs_and_targets(goldens):
    for case in golden(goldens, "objectives_given_mask"):
        # a second row of another length, so that padding takes part
        tokens = padded([case["tokens"], [50, 51]], max(2, len(case["tokens"])) + 3)
        mask = padded([case["noise_mask"], [0, 1]], tokens.shape[1]).astype(bool)
        got = outputs(tokens, mask, case["vocab_size"])
        for name, want in case["outputs"].items():
            pair = [unpadded(side)[0] for side in got[name]]
            assert pair == [want["inputs"], want["targets"]], (case["id"], name)
        for name, want in case.get("outputs_with_eos", {}).items():
            for side, ids in zip(("inputs", "targets"), got[name], strict=True):
                assert unpadded(finish(ids, case["sequence_length"][side]))[0] == want[side], (
                    case["id"],
                    name,
                )


def test_a_mask_on_padding_changes_nothing():
    tokens, mask = padded([[5, 6]], 4), np.array([[False, True, True, True]])
    for inputs, targets in outputs(tokens, mask, 100).values():
        assert unpadded(inputs) in ([[5, 99]], [[5]], [[6]])
        assert unpadded(targets) in ([[99, 6]], [[6]], [[5, 6]], [[5]])


def test_sentinels_run_on_below_the_extra_ids_and_stop_before_the_special_ones():
    tokens = np.full((1, 8), 4, np.int32)
    mask = np.array([[False, True] * 4])
    assert o.spans_to_sentinels(tokens, mask, 7).tolist() == [[4, 6, 4, 5, 4, 4, 4, 3]]
    with pytest.raises(ValueError, match="4 corrupted spans in a piece need more than the 6 ids there are"):
        o.spans_to_sentinels(tokens, mask, 6)


def test_the_worked_example_is_table_3_of_the_paper():
    with open(Path(__file__).parents[1] / "results/published/t5/table03.csv") as file:
        paper = [(row["Objective"], row["Inputs"], row["Targets"]) for row in csv.DictReader(file)]
    # the paper's deshuffled sentence holds one word that is not in its original
    assert worked_example() == [(a, b.replace("last fun you", "last you"), c) for a, b, c in paper]


def test_the_worked_example_takes_any_eleven_words():
    rows = dict((title, inputs) for title, inputs, _ in worked_example(list("abcdefghijk")))
    assert rows["I.i.d. noise, replace spans"] == "a b <X> e f g h <Y> j k"
    with pytest.raises(ValueError, match="2 words given"):
        worked_example(["a", "b"])


# --- masks ---


def test_span_counts_are_the_originals(goldens):
    for case in golden(goldens, "span_counts"):
        lengths, noise, spans = np.array(case["rows"]).T
        got = o.span_counts(lengths, case["noise_density"], case["mean_noise_span_length"])
        np.testing.assert_array_equal(got, (noise, spans), case["id"])


def test_span_counts_stay_possible_where_the_original_fails():
    noise, spans = o.span_counts(np.arange(1, 600), 0.5, 1.0)
    assert (spans <= np.maximum(np.arange(1, 600), 2) - noise).all() and (spans >= 1).all()


def runs(mask: np.ndarray) -> np.ndarray:
    """Lengths of the runs of True in each row, row after row."""
    edges = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    return np.nonzero(edges == -1)[1] - np.nonzero(edges == 1)[1]


def close(got: float, want: float, deviation: float, count: float, want_count: float | None = None) -> bool:
    """Within five standard errors of the difference of two sampled means."""
    return abs(got - want) <= 5 * deviation * np.sqrt(1 / count + 1 / (want_count or count)) + 1e-9


def span_cases(goldens: Path, kind: str) -> list[dict]:
    return [case for case in golden(goldens, "span_mask_stats") if case["kind"] == kind]


def test_random_spans_have_the_originals_counts_and_distribution(goldens):
    for case in span_cases(goldens, "random_spans"):
        tokens, rng = draws(case["draws"], case["length"])
        rate, mean = case["noise_density"], case["mean_noise_span_length"]
        mask = o.random_span_mask(tokens, rate, mean, rng)
        assert np.unique(mask.sum(axis=1)).tolist() == case["noise_tokens"], case["id"]
        assert not mask[:, 0].any() and mask[:, -1].all()
        for sample, name in ((mask, "noise"), (~mask, "kept")):
            spans, want = runs(sample), case[f"{name}_span_length"]
            assert len(spans) == case["draws"] * case[f"{name}_spans"][0], case["id"]
            assert spans.min() == want["min"]
            assert spans.mean() == pytest.approx(want["mean"])
            for length, count in want["histogram_up_to_12"].items():
                error = np.sqrt(2 * max(count, 5))
                assert abs((spans == int(length)).sum() - count) <= 6 * error, (case["id"], name, length)
        if (case.get("distinct_masks") or 9999) < 100:
            assert len(np.unique(mask, axis=0)) == case["distinct_masks"]


def test_every_cut_into_spans_is_equally_likely():
    tokens, rng = draws(20000, 10)
    counts = np.unique(o.random_span_mask(tokens, 0.5, 3.0, rng), axis=0, return_counts=True)[1]
    assert len(counts) == 16 and np.abs(counts - 1250).max() < 5 * np.sqrt(1250)


def test_random_spans_of_rows_of_different_lengths_follow_each_length():
    lengths = np.array([568, 100, 30, 7, 2, 1, 0])
    tokens = np.where(np.arange(568) < lengths[:, None], 9, 0).astype(np.int32)
    mask = o.random_span_mask(tokens, 0.15, 3.0, np.random.default_rng(0))
    assert mask.sum(axis=1).tolist() == [85, 15, 4, 1, 1, 0, 0]
    last = mask[np.arange(5), lengths[:5] - 1]
    assert last.all() and not mask[:, 0].any()
    assert not o.random_span_mask(tokens[5:, :1], 0.15, 3.0, np.random.default_rng(0)).any()


def test_iid_masks_have_the_originals_statistics(goldens):
    for case in span_cases(goldens, "iid"):
        tokens, rng = draws(case["draws"], case["length"])
        rate, n = case["noise_density"], case["length"]
        mask = o.iid_mask(tokens, rate, rng)
        noise = mask.sum(axis=1)
        assert close(noise.mean(), case["noise_tokens_mean"], np.sqrt(n * rate * (1 - rate)), case["draws"])
        _, targets = o.replace_spans(tokens, mask, 32100)
        length = 1 + np.count_nonzero(targets, axis=1)
        assert close(length.mean(), case["target_length_mean_with_eos"], length.std(), case["draws"]), case[
            "id"
        ]
        empty = case["empty_mask_frequency"]
        assert close((noise == 0).mean(), empty, np.sqrt(empty * (1 - empty)) + 0.01, case["draws"])


@pytest.mark.slow
def test_prefixes_are_uniform_and_never_empty_nor_whole(goldens):
    for case in span_cases(goldens, "prefix"):
        tokens, rng = draws(case["draws"], case["length"])
        inputs, targets = o.PrefixLanguageModeling()(tokens, rng, 32100)
        sizes = np.count_nonzero(inputs, axis=1)
        assert (sizes.min(), sizes.max()) == (case["inputs_length_min"], case["inputs_length_max"])
        assert close(sizes.mean(), case["inputs_length_mean"], sizes.std(), case["draws"])
        whole = [a + b for a, b in zip(unpadded(inputs), unpadded(targets), strict=True)]
        assert whole == tokens.tolist()


def test_a_single_token_has_an_empty_prefix():
    inputs, targets = o.PrefixLanguageModeling()(padded([[7], [8, 9]]), np.random.default_rng(0), 100)
    assert (unpadded(inputs), unpadded(targets)) == ([[], [8]], [[7], [9]])


def test_bert_style_masks_nine_tenths_and_exchanges_the_rest(goldens):
    for case in span_cases(goldens, "bert_style"):
        tokens, rng = draws(case["draws"], case["length"])
        inputs, targets = o.BertStyle()(tokens, rng, case["vocab_size"])
        assert (targets == tokens).all()
        changed = inputs[inputs != tokens]
        masked = (changed == case["vocab_size"] - 1).mean()
        assert close(len(changed), case["noise_tokens"], np.sqrt(0.13 * tokens.size), 1)
        assert close(masked, case["sentinel_fraction"], 0.3, len(changed))
        assert changed.min() >= 3


def test_bert_style_draws_every_id_but_the_special_ones():
    tokens, rng = draws(400, 100)
    tokens[:] = 5
    inputs, _ = o.BertStyle(rate=0.5, random_token_rate=1)(tokens, rng, 10)
    assert np.unique(inputs).tolist() == [3, 4, 5, 6, 7, 8, 9]
    assert (o.BertStyle(rate=0.5, random_token_rate=0)(tokens, rng, 10)[0] % 4 == 1).all()


def test_deshuffling_keeps_every_token_and_is_uniform(goldens):
    for case in span_cases(goldens, "deshuffling"):
        tokens = np.tile(np.arange(3, 3 + case["length"], dtype=np.int32), (5000, 1))
        inputs, targets = o.Deshuffling()(tokens, np.random.default_rng(0), 32100)
        assert (targets == tokens).all() and (np.sort(inputs, axis=1) == tokens).all()
        fixed = (inputs == tokens).sum(axis=1)
        assert close(fixed.mean(), case["mean_fixed_points"], 1.0, 5000, case["draws"])
        identity = (fixed == case["length"]).mean()
        assert close(identity, case["identity_frequency"], 0.5, 5000, case["draws"])


def test_deshuffling_leaves_padding_at_the_end():
    tokens = padded([[5, 6, 7], [8]])
    inputs, _ = o.Deshuffling()(tokens, np.random.default_rng(0), 100)
    assert [sorted(row) for row in unpadded(inputs)] == [[5, 6, 7], [8]]


# --- lengths ---


def test_the_length_helper_is_the_originals(goldens):
    for case in golden(goldens, "random_spans_helper"):
        got = o.random_spans_lengths(
            case["inputs_length"],
            case["noise_density"],
            case["mean_noise_span_length"],
            case["extra_tokens_per_span_inputs"],
            case["extra_tokens_per_span_targets"],
        )
        assert got == (case["tokens_length"], case["targets_length"]), case["id"]


@pytest.mark.parametrize("mean, targets", [(2, 126), (3, 114), (5, 105), (10, 99)])
def test_full_pieces_of_random_spans_fill_inputs_and_targets_exactly(mean, targets):
    objective = o.RandomSpans(mean_span_length=mean)
    raw, targets_length = objective.lengths(512)
    inputs, outputs = (finish(side) for side in objective(*draws(16, raw), 32100))
    assert (inputs.shape[1], outputs.shape[1], targets_length) == (512, targets, targets)
    assert (inputs != 0).all() and (outputs != 0).all()


@pytest.mark.parametrize(
    "objective, at_512, at_64",
    [
        (o.PrefixLanguageModeling(), (511, 512), (63, 64)),
        (o.LanguageModeling(), (511, 512), (63, 64)),
        (o.Deshuffling(), (511, 512), (63, 64)),
        (o.BertStyle(), (511, 512), (63, 64)),
        (o.MassStyle(), (511, 512), (63, 64)),
        (o.ReplaceSpans(), (511, 192), (63, 24)),
        (o.ReplaceSpans(0.1, 103), (511, 103), (63, 13)),
        (o.ReplaceSpans(0.25, 256), (511, 256), (63, 32)),
        (o.ReplaceSpans(0.5, 512), (511, 512), (63, 64)),
        (o.DropTokens(), (511, 104), (63, 13)),
        (o.RandomSpans(), (568, 114), (70, 14)),
    ],
)
def test_lengths_are_the_studys_at_512_and_scale_below(objective, at_512, at_64):
    assert (objective.lengths(512), objective.lengths(64)) == (at_512, at_64)
    with pytest.raises(ValueError, match="inputs_length=1: at least 2"):
        objective.lengths(1)


PIPELINES = {
    "all_permute": o.Deshuffling(),
    "denoise": o.BertStyle(),
    "iid_15_d_d": o.DropTokens(),
    "iid_15_m_f": o.MassStyle(),
    "iid_15_u_u": o.ReplaceSpans(),
    "iid_25_u_u": o.ReplaceSpans(0.25, 256),
    "lm": o.LanguageModeling(),
    "prefix_lm": o.PrefixLanguageModeling(),
    "span_10_15_u_u": o.RandomSpans(mean_span_length=10),
    "span_2_15_u_u": o.RandomSpans(mean_span_length=2),
    "span_5_15_u_u": o.RandomSpans(mean_span_length=5),
}


def test_pipelines_have_the_studys_steps_and_lengths(goldens):
    for case in golden(goldens, "objective_pipelines"):
        objective = PIPELINES[case["gin"]]
        assert objective.concatenate == ("reduce_concat_tokens" in case["steps"]), case["gin"]
        raw, targets_length = objective.lengths(case["sequence_length"]["inputs"])
        assert targets_length == case["sequence_length"]["targets"]
        inputs, targets = objective(*draws(400, raw), 32100)
        width = {
            "inputs": 1 + np.count_nonzero(inputs, axis=1),
            "targets": 1 + np.count_nonzero(targets, axis=1),
        }
        for side, sizes in width.items():
            want = case.get(f"{side}_length_with_eos")
            if want and "span" in case["gin"]:
                assert (np.unique(sizes) == want["max"]).all()
            elif want and objective.concatenate:  # a full piece, against a mean with two shorter ones in 395
                assert abs(sizes.mean() - want["mean"]) < 4
        trimmed = (width["targets"] > targets_length).mean()
        assert abs(trimmed - case["trimmed_targets"] / case["examples"]) < 0.03, case["gin"]


# --- what every objective owes ---


@pytest.mark.parametrize("objective", EVERY, ids=lambda objective: type(objective).__name__)
def test_every_objective_returns_left_aligned_int32_rows_and_repeats_with_its_generator(objective):
    lengths = np.array([40, 17, 2, 1])
    tokens = np.where(np.arange(40) < lengths[:, None], np.arange(3, 43), 0)
    pairs = [objective(tokens, np.random.default_rng(5), 200) for _ in range(2)]
    for side, again in zip(*pairs, strict=True):
        assert side.dtype == np.int32 and side.ndim == 2 and len(side) == 4
        unpadded(side)
        np.testing.assert_array_equal(side, again)


@pytest.mark.parametrize("objective", EVERY, ids=lambda objective: type(objective).__name__)
def test_no_objective_changes_the_tokens_it_was_given(objective):
    tokens, rng = draws(4, 30)
    before = tokens.copy()
    objective(tokens, rng, 32100)
    np.testing.assert_array_equal(tokens, before)


@pytest.mark.slow
def test_every_option_of_the_group_builds_the_objective_of_its_name():
    hydra = pytest.importorskip("hydra")
    from hydra.core.global_hydra import GlobalHydra
    from hydra.utils import instantiate

    GlobalHydra.instance().clear()
    built = {}
    with hydra.initialize_config_dir(str(CONF.parent), version_base="1.3"):
        for path in sorted(CONF.glob("*.yaml")):
            node = hydra.compose(overrides=[f"+objective={path.stem}"]).objective
            built[path.stem] = instantiate(node)
            assert set(node) - {"_target_"} == set(vars(built[path.stem])), path
    assert sorted(map(repr, built.values())) == sorted(map(repr, EVERY))
    short = {"language_model": "language_modeling", "prefix_lm": "prefix_language_modeling"}
    for name, objective in built.items():
        assert short.get(name, name).replace("_", "") == type(objective).__name__.lower()


@pytest.mark.parametrize(
    "kind, settings, message",
    [
        (o.ReplaceSpans, {"rate": 1.5}, "rate=1.5: a number above 0, below 1, is needed"),
        (o.DropTokens, {"rate": 0}, "rate=0: a number above 0, below 1, is needed"),
        (o.MassStyle, {"rate": "much"}, "rate=much: "),
        (o.BertStyle, {"rate": float("nan")}, "rate=nan: "),
        (o.RandomSpans, {"rate": True}, "rate=true: "),
        (
            o.BertStyle,
            {"random_token_rate": 2},
            "random_token_rate=2: a number from 0 up, at most 1, is needed",
        ),
        (o.RandomSpans, {"mean_span_length": 0.5}, "mean_span_length=0.5: a number from 1 up is needed"),
        (
            o.RandomSpans,
            {"rate": 0.8, "mean_span_length": 2},
            "rate=0.8: more spans of 2.0 than tokens between them",
        ),
        (
            o.ReplaceSpans,
            {"rate": 0.5},
            "targets_length_at_512=192: at rate 0.5 targets average 384; "
            "write objective.targets_length_at_512=448 too",
        ),
        (
            o.DropTokens,
            {"targets_length_at_512": "x"},
            "targets_length_at_512=x: a whole number from 1 up is",
        ),
    ],
)
def test_what_a_user_wrote_wrong_is_named_in_one_line(kind, settings, message):
    with pytest.raises(ValueError, match=rf"^objective\.{message}") as caught:
        build(settings, "objective", kind)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("rate", [0.16, 0.3, 0.5, 0.9])
def test_the_length_that_is_told_to_write_is_enough(rate):
    with pytest.raises(ValueError) as caught:
        o.ReplaceSpans(rate=rate, targets_length_at_512=1)
    length = int(str(caught.value).partition("write objective.targets_length_at_512=")[2].split()[0])
    o.ReplaceSpans(rate=rate, targets_length_at_512=length)
