"""At `size=base budget=paper suite=t5` every row of every experiment has the settings of the authors' runs.

Those are read from `goldens/operative_configs.md`, its table of top-level runs and the figures of its text.
`RUNS` says which run a row repeats, `SILENT` why there is none to compare with; a row that is in neither has
to equal some run of the table in everything that the table says.
"""

import re
from dataclasses import replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import pytest

from t5grid.config.compose import data_folder
from t5grid.config.schema import Cell, Cells, load_cell
from t5grid.data import objectives
from t5grid.grid.experiment import load_experiment

SCALE = ("size=base", "budget=paper", "suite=t5")
ROWS = [
    (path.stem, key)
    for path in sorted(data_folder("experiments").glob("*.yaml"))
    for key in load_experiment(path).rows
]

RUNS = {
    ("architectures", "encoder_decoder_denoising"): "architectures/arch-bi_v1-iid_15_u_u",
    ("architectures", "encoder_decoder_shared_denoising"): "architectures/arch-bi_v1_shared-iid_15_u_u",
    ("architectures", "encoder_decoder_half_denoising"): "architectures/arch-bi_v1_l6-iid_15_u_u",
    ("architectures", "language_model_denoising"): "architectures/arch-lm_v1-iid_15_u_u",
    ("architectures", "prefix_lm_denoising"): "architectures/arch-lm_v1_ifa-iid_15_u_u",
    ("architectures", "encoder_decoder_lm"): "architectures/arch-bi_v1-prefix_lm",
    ("architectures", "encoder_decoder_shared_lm"): "architectures/arch-bi_v1_shared-prefix_lm",
    ("architectures", "encoder_decoder_half_lm"): "architectures/arch-bi_v1_l6-prefix_lm",
    ("architectures", "language_model_lm"): "architectures/arch-lm_v1-prefix_lm",
    ("architectures", "prefix_lm_lm"): "architectures/arch-lm_v1_ifa-prefix_lm",
    ("corpora", "filtered"): "datasets/ds-c4",
    ("corpora", "unfiltered"): "datasets/ds-unfilt",
    ("corpora", "news_like"): "datasets/ds-news",
    ("corpora", "web_like"): "datasets/ds-webtxt",
    ("corpora", "encyclopedia"): "datasets/ds-wiki",
    ("corpora", "encyclopedia_books"): "datasets/ds-wikibook",
    ("corruption_rate", "rate_10"): "objectives/obj-iid_10_u_u",
    ("corruption_rate", "rate_15"): "objectives/obj-iid_15_u_u",
    ("corruption_rate", "rate_25"): "objectives/obj-iid_25_u_u",
    ("corruption_rate", "rate_50"): "objectives/obj-iid_50_u_u",
    ("data_repeats", "full"): "datasets/ds-c4",
    ("data_repeats", "repeats_64"): "datasets/ds-take-64",
    ("data_repeats", "repeats_256"): "datasets/ds-take-256",
    ("data_repeats", "repeats_1024"): "datasets/ds-take-1024",
    ("data_repeats", "repeats_4096"): "datasets/ds-take-4096",
    ("finetuning", "all_parameters"): "baseline/bsl-0",
    ("finetuning", "adapters_32"): "adapters/ta-32",
    ("finetuning", "adapters_128"): "adapters/ta-128",
    ("finetuning", "adapters_512"): "adapters/ta-512",
    ("finetuning", "adapters_2048"): "adapters/ta-2048",
    ("baseline", "baseline"): "baseline/bsl-0",
    ("baseline", "no_pretraining"): "nopretrain/npt",
    ("mixing", "baseline"): "baseline/bsl-0",
    ("mixing", "equal"): "multitask/ct-equal",
    ("mixing", "limit_2_16"): "multitask/ct-lim65536",
    ("mixing", "limit_2_17"): "multitask/ct-lim131072",
    ("mixing", "limit_2_18"): "multitask/ct-lim262144",
    ("mixing", "limit_2_19"): "multitask/ct-lim524288",
    ("mixing", "limit_2_20"): "multitask/ct-lim1048576",
    ("mixing", "limit_2_21"): "multitask/ct-lim2097152",
    ("mixing", "temperature_2"): "multitask/ct-tp2_0",
    ("mixing", "temperature_4"): "multitask/ct-tp4_0",
    ("mixing", "temperature_8"): "multitask/ct-tp8_0",
    ("objectives", "prefix_lm"): "objectives/obj-prefix_lm",
    ("objectives", "bert_style"): "objectives/obj-iid_15_r10s90_f",
    ("objectives", "deshuffling"): "objectives/obj-all_permute",
    ("objectives", "mass_style"): "objectives/obj-iid_15_m_f",
    ("objectives", "replace_spans"): "objectives/obj-iid_15_u_u",
    ("objectives", "drop_tokens"): "objectives/obj-iid_15_d_d",
    ("objectives", "random_spans"): "objectives/obj-span_3_15_u_u",
    ("objectives", "no_pretraining"): "nopretrain/npt",
    ("scaling", "baseline"): "baseline/bsl-0",
    ("scaling", "steps_4x"): "scaling/sc-bi_v1",
    ("scaling", "batch_4x"): "scaling/sc-bi_v1-bsx4",
    ("scaling", "size_2x_steps_2x"): "scaling/sc-bi_v1_2x",
    ("scaling", "size_4x"): "scaling/sc-bi_v1_4x",
    ("scaling", "ensemble_finetune"): "scaling/sc-ens-ft0",
    ("span_length", "iid"): "objectives/obj-iid_15_u_u",
    ("span_length", "span_2"): "objectives/obj-span_2_15_u_u",
    ("span_length", "span_3"): "objectives/obj-span_3_15_u_u",
    ("span_length", "span_5"): "objectives/obj-span_5_15_u_u",
    ("span_length", "span_10"): "objectives/obj-span_10_15_u_u",
    ("strategies", "pretrain_finetune"): "baseline/bsl-0",
    ("strategies", "multitask"): "multitask/ct-lim524288",
    ("strategies", "multitask_finetune"): "multitask/ct-ptft",
    ("strategies", "leave_one_out"): "multitask/ct-lo-",
    ("strategies", "supervised_multitask"): "multitask/ct-sup",
}
"""The run that a row repeats, or how the names of several begin."""

SILENT = {
    ("lineage", "*"): "the study has no such table",
    ("predicted_tokens", "denoising_twice"): "the study has no such row",
    ("predicted_tokens", "prefix_lm_half"): "the study has no such row",
    ("arithmetic", "*"): "the study has no such table",
    ("prompts", "*"): "the study has no such table",
    ("long_inputs", "*"): "the study has no such table",
    ("long_text", "*"): "the study has no such table",
    ("domains", "*"): "the study has no such table",
    ("cross_lingual", "*"): "the study has no such table",
    ("sharing", "*"): "the study has no such table",
    ("task_transfer", "*"): "the study has no such table",
    ("encoder_transfer", "*"): "the study has no such table",
    ("encoder_sample_efficiency", "*"): "the study has no such table",
    ("bert", "*"): "a table of BERT's",
    ("bert_masking", "*"): "a table of BERT's",
    ("bert_features", "*"): "a table of BERT's",
    ("corpora", "other_world"): "a generated corpus, which the study has none of",
    ("objectives", "language_model"): "the mirror of the runs has no plain language model",
    ("convergence", "*"): "the mirror of the runs ends before the longer ones",
    ("curriculum", "*"): "the study has no such table",
    ("final", "*"): "the mirror of the runs ends before the final models",
}
"""Rows, or whole experiments, that no run says anything of."""

CORPORA = {
    ("allenai/c4", "en"): "c4_v020",
    ("allenai/c4", "en.noclean"): "c4_noclean_v020",
    ("allenai/c4", "realnewslike"): "c4_realnewslike_v020",
    ("Skylion007/openwebtext", "plain_text"): "c4_webtextlike_v020",
    ("wikimedia/wikipedia", "20231101.en"): "wikipedia_20190301.en_v003",
    ("wikimedia/wikipedia + rojagtap/bookcorpus",): "wikipedia_books",
}
"""Ours, and the authors' name of the same; the hub has another dump of Wikipedia, OpenWebText itself and a
copy of the books."""

UNIQUE = ("span->unique sentinel", "nonnoise span->unique sentinel")
OBJECTIVES: dict[type, tuple[str, str, str]] = {
    objectives.ReplaceSpans: ("iid", *UNIQUE),
    objectives.RandomSpans: ("random_spans", *UNIQUE),
    objectives.DropTokens: ("iid", "drop noise", "drop nonnoise"),
    objectives.MassStyle: ("iid", "token->sentinel", "full text"),
    objectives.BertStyle: ("iid", "token->random|sentinel", "full text"),
    objectives.Deshuffling: ("iid", "permute", "full text"),
    objectives.PrefixLanguageModeling: ("random_prefix", "drop noise", "drop nonnoise"),
}
"""Mask, what becomes of inputs and of targets, in the words of the runs."""
DENSITIES = {objectives.Deshuffling: 1.0, objectives.PrefixLanguageModeling: 0.5}

MODELS = {
    "EncoderDecoder": ("bitransformer", ""),
    "EncoderDecoderShared": ("bitransformer", ""),
    "EncoderDecoderHalf": ("bitransformer", ""),
    "LanguageModel": ("lm", "False"),
    "PrefixLM": ("lm", "True"),
}
"""Kind of model, and whether inputs are visible in full to what reads them."""


@pytest.fixture(scope="session")
def text(goldens: Path) -> str:
    """The notes on the authors' runs."""
    return (goldens / "operative_configs.md").read_text()


@pytest.fixture(scope="session")
def runs(text: str) -> dict[str, dict[str, str]]:
    """The table of top-level runs: name -> column -> cell."""
    lines = [line for line in text.split("## Top-level configs")[1].splitlines() if line.startswith("|")]
    header, _, *body = ([cell.strip() for cell in cells_of(line)] for line in lines)
    return {row[0]: dict(zip(header, row, strict=True)) for row in body}


def cells_of(line: str) -> list[str]:
    """Cells of a table's line; one function of the table has a bar in its own name."""
    return line.replace("random|sentinel", "random/sentinel").strip("|").split("|")


def figure(text: str, pattern: str) -> int:
    """The one number that a pattern finds in the notes."""
    (found,) = re.findall(pattern, text)
    return int(found.replace(",", ""))


@pytest.fixture(scope="session")
def span_targets(goldens: Path) -> dict[tuple[float, float], int]:
    """Targets length at 512 of each density and mean span length, as the original code gives them."""
    lines = (goldens / "span_lengths.md").read_text().replace("*", "").splitlines()
    rows = [re.findall(r"\| (\.\d\d) \| (\d+) \| (\d+) \| (\d+) \|", line) for line in lines]
    return {(float(d), float(m)): int(targets) for found in rows for d, m, _, targets in found}


@lru_cache(maxsize=1)
def loader() -> Cells:
    return Cells()


@cache
def cell_of(experiment: str, key: str) -> Cell:
    """The cell of a row at the paper's scale."""
    rows = load_experiment(data_folder("experiments") / f"{experiment}.yaml").rows
    return loader().load([*SCALE, *rows[key].overrides])


def objective_settings(cell: Cell) -> dict[str, str]:
    """What the table says of an objective."""
    objective, pretrain = cell.objective, cell.budget.pretrain
    mask, inputs, targets = OBJECTIVES[type(objective)]
    density = DENSITIES.get(type(objective), getattr(objective, "rate", None))
    span = getattr(objective, "mean_span_length", None)
    return {
        "mask fn": mask,
        "inputs fn": inputs.replace("|", "/"),
        "targets fn": targets,
        "density": f"{density:g}" if density != 1 else "1.0",
        "span": "" if span is None else f"{span:.1f}",
        "lengths": f"{pretrain.inputs_length}/{objective.lengths(pretrain.inputs_length)[1]}",
    }


def settings(cell: Cell) -> dict[str, str]:
    """What the table says of a run, of our cell, in the table's own words."""
    size, pretrain = cell.size, cell.budget.pretrain
    kind = type(cell.architecture).__name__
    layers = size.halved() if kind == "EncoderDecoderHalf" else size
    assert layers.num_layers == layers.decoder_layers
    model, full = MODELS[kind]
    return {
        **objective_settings(cell),
        "layers": str(layers.num_layers),
        "d_ff": str(size.d_ff),
        "tokens/batch": str(pretrain.num_rows * pretrain.inputs_length),
        "model_type": model,
        "input full attention": full,
        **mixture_settings(cell),
    }


def mixture_settings(cell: Cell) -> dict[str, str]:
    """What is mixed, how and for how many steps."""
    pretrain, strategy = cell.budget.pretrain, type(cell.strategy).__name__
    corpus, steps = f"{corpus_name(cell.corpus)}_unsupervised", pretrain.num_steps
    if strategy in ("PretrainFinetune", "Ensemble"):
        return {"mixture": corpus, "steps": str(steps), "K (rate max)": "", "T": ""}
    assert corpus == "c4_v020_unsupervised"
    steps += cell.budget.finetune.num_steps if strategy == "Multitask" else 0
    if type(cell.mixing).__name__ == "Equal":
        return {"mixture": "all_equal", "steps": str(steps), "K (rate max)": "", "T": ""}
    assert cell.mixing.limit_scale == 1
    proportional = "all_proportional" if cell.strategy.unsupervised else "all_mix"
    return {
        "mixture": {"LeaveOneOut": "leave_one_out"}.get(strategy, proportional),
        "steps": str(steps),
        "K (rate max)": str(cell.mixing.limit),
        "T": f"{cell.mixing.temperature:.1f}",
    }


def corpus_name(corpus: Any) -> str:
    """The authors' name of a corpus; ours where they have none."""
    corpus = getattr(corpus, "used", corpus)
    if parts := getattr(corpus, "parts", None):
        return CORPORA[" + ".join(part.repository for part in parts.values()),]
    return CORPORA.get((getattr(corpus, "repository", ""), getattr(corpus, "subset", "")), repr(corpus))


def expected(run: dict[str, str], spans: dict[tuple[float, float], int]) -> dict[str, str]:
    """A run of the table; lengths that it computes are those of the notes on the original code."""
    row = {column: cell for column, cell in run.items() if column != "config"}
    row["mixture"] = re.sub(r"^leave_one_out_.*", "leave_one_out", row["mixture"])
    if row["lengths"] == "512/auto":
        row["lengths"] = f"512/{spans[float(row['density']), float(row['span'])]}"
    return row


@pytest.mark.parametrize(("experiment", "key"), ROWS, ids=["-".join(row) for row in ROWS])
def test_a_row_has_the_settings_of_the_authors_run(
    experiment: str,
    key: str,
    runs: dict[str, dict[str, str]],
    span_targets: dict[tuple[float, float], int],
) -> None:
    if {(experiment, key), (experiment, "*")} & SILENT.keys():
        return
    cell = cell_of(experiment, key)
    name = RUNS.get((experiment, key))
    if type(cell.strategy).__name__ == "NoPretraining":
        assert runs[name or "nopretrain/npt"]["steps"] == "1"  # the authors' way to write none
        return
    ours = settings(cell)
    if name is None:
        assert ours in [expected(run, span_targets) for run in runs.values()]
    elif name.endswith("-"):
        several = [run for each, run in runs.items() if each.startswith(name)]
        assert several and all(ours == expected(run, span_targets) for run in several)
    else:
        assert ours == expected(runs[name], span_targets)


def test_every_run_and_row_named_here_exists(runs: dict[str, dict[str, str]]) -> None:
    assert len(runs) == 74
    assert all(any(each.startswith(name) for each in runs) for name in RUNS.values())
    there = {*ROWS, *((experiment, "*") for experiment, _ in ROWS)}
    experiments = {experiment for experiment, _ in ROWS}
    assert {row for row in (*RUNS, *SILENT) if row[0] in experiments} <= there


def test_the_baselines_model_is_the_authors(text: str) -> None:
    size = cell_of("objectives", "replace_spans").size
    assert size.d_model == figure(text, r"- d_model (\d+), d_ff")
    assert size.d_ff == figure(text, r"d_model \d+, d_ff (\d+)")
    assert size.d_kv == figure(text, r"d_kv (\d+)")
    assert size.num_heads == figure(text, r"d_kv \d+, (\d+) heads")
    assert size.dropout == float(re.findall(r"dropout (0\.\d+) \(also", text)[0])


def test_larger_models_have_the_authors_width_and_heads(text: str) -> None:
    ((layers, width, inner, heads),) = re.findall(
        r"`2x` (\d+)\+\d+ layers d_model (\d+) d_ff (\d+) (\d+) heads", text
    )
    sizes = [cell_of("scaling", key).size for key in ("size_2x_steps_2x", "size_4x")]
    assert sizes[0].num_layers == int(layers)
    for size in sizes:
        assert (size.d_model, size.d_ff, size.num_heads) == (int(width), int(inner), int(heads))


def test_optimizer_and_schedules_are_the_authors(text: str) -> None:
    budget = cell_of("objectives", "replace_spans").budget
    for part in (budget.pretrain, budget.finetune):
        assert part.optimizer.clipping == float(re.findall(r"clipping ([\d.]+),", text)[0])
        assert part.optimizer.decay_exponent == float(re.findall(r"1-t\^-([\d.]+)\)", text)[0])
        assert part.optimizer.min_dim_size_to_factor == figure(text, r"min_dim_size_to_factor (\d+)")
        assert part.optimizer.scale_by_parameter
        assert part.checkpoint_every == figure(text, r"checkpoint every (\d+) steps")
    assert budget.pretrain.schedule.num_warmup_steps == figure(text, r"multiplier 1.0, warmup_steps (\d+)")
    assert budget.finetune.schedule(10**5) == float(re.findall(r"Fine-tune LR: constant (0\.\d+)", text)[0])


def test_finetuning_takes_the_authors_steps_and_lengths(text: str) -> None:
    cell = cell_of("objectives", "replace_spans")
    assert cell.budget.finetune.num_steps == figure(text, r"until step \d+ \(=\+(\d+)\)")
    assert cell.budget.finetune.num_tokens == figure(text, r"tokens_per_batch (\d+)")
    ((glue, superglue, squad, summary, translation),) = re.findall(
        r"lengths: GLUE (\d+), SuperGLUE (\d+), SQuAD (\d+), CNN/DM (\d+), WMT (\d+) \(inputs 512\)", text
    )
    titles = {"glue": glue, "super_glue": superglue, "squad": squad, "cnn": summary, "wmt": translation}
    for key, column in cell.suite.columns.items():
        length = next((each for name, each in titles.items() if key.startswith(name)), None)
        assert (column.inputs_length, column.targets_length) == (512, int(length or -1)), key


def test_repeats_leave_the_examples_that_the_authors_took(text: str) -> None:
    pretrain = cell_of("data_repeats", "repeats_64").budget.pretrain
    taken = figure(text, r"`ds-take-64` takes (\d+) examples")
    assert pretrain.num_steps * pretrain.num_rows // pretrain.num_repeats == taken


def test_adapters_have_the_authors_widths(text: str) -> None:
    (widths,) = re.findall(r"d in \{([\d,]+)\}", text)
    rows = [key for experiment, key in ROWS if experiment == "finetuning" and key.startswith("adapters")]
    assert [cell_of("finetuning", key).finetune.d for key in rows] == [int(d) for d in widths.split(",")]


def test_no_pretraining_learns_under_the_schedule_of_pretraining(text: str) -> None:
    assert "No-pre-training row: one step of pre-training, then 262145 steps with the pre-train LR" in text
    cell = cell_of("objectives", "no_pretraining")
    stage = next(iter(cell.strategy.stages(nano_columns(cell)).values())).parents[0]
    assert stage.config["budget"]["schedule"] == cell.config["budget"]["pretrain"]["schedule"]


def nano_columns(cell: Cell) -> Cell:
    """The cell with columns that need no data on disk."""
    nano = load_cell(["suite.use=[questions]"])
    return replace(cell, suite=nano.suite, config={**cell.config, "suite": nano.config["suite"]})


def test_the_vocabulary_is_the_studys() -> None:
    vocabulary = cell_of("objectives", "replace_spans").vocabulary
    assert vocabulary.num_pieces == 32000
    assert vocabulary.corpus.shares == {"en": 10, "de": 1, "fr": 1, "ro": 1}
