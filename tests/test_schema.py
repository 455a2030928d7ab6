"""The whole config is checked before anything runs, and at `size=base budget=paper` it is the authors'."""

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest
from axis_values import cell_of

from t5grid.cli import main
from t5grid.config.build import build, canonical, check_type
from t5grid.config.compose import GROUPS, data_folder
from t5grid.config.rules import AtLeast
from t5grid.config.schema import Cell, load_cell
from t5grid.execution.local import Local
from t5grid.grid.experiment import load_experiment
from t5grid.stages.stage import Stage

WITHOUT_SEED = (data_folder("conf") / "config.yaml").read_text().replace("seed: 0", "")
OPTIONS = sorted((path.parent.name, path.stem) for path in data_folder("conf").glob("*/*.yaml"))
EXPERIMENTS = sorted(data_folder("experiments").glob("*.yaml"))
ROWS = [(path.stem, key, row) for path in EXPERIMENTS for key, row in load_experiment(path).rows.items()]
COMMON = {path.stem: load_experiment(path).common for path in EXPERIMENTS}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, and no stage that could start from it."""

    def refuse(*_: Any) -> None:
        raise AssertionError("a stage was about to run")

    folder = tmp_path / "cwd"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(Local, "run", refuse)
    return folder


def complaint(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line that a refused command says."""
    assert main(list(arguments)) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.startswith("t5grid: ") and said.err.count("\n") == 1
    return said.err


def every_fifth_at_once(cases: list[tuple[str, str]]) -> list[Any]:
    """Cases named by their words; a developer's loop composes every fifth, the whole suite all of them."""
    marks = [() if i % 5 == 0 else pytest.mark.slow for i in range(len(cases))]
    return [pytest.param(*case, marks=mark, id=case[0]) for case, mark in zip(cases, marks, strict=True)]


REFUSED = [
    (
        "objectve=bert_style",
        "objectve=bert_style: no key 'objectve' in the config (did you mean 'objective'?)",
    ),
    ("objective=foo", "objective=foo: no such option; there are bert_style, deshuffling, drop_tokens"),
    ("objective=bert_stile", "(did you mean 'bert_style'?)"),
    ("objective=5", "objective=5: no such option; there are bert_style"),
    ("objective=null", "objective=null: one option is needed; there are bert_style"),
    ("objective=[bert_style,mass_style]", "one option is needed; there are bert_style"),
    ("objective=", "objective=: one option is needed; there are bert_style"),
    ("~objective", "~objective: one option is needed"),
    ("+objective=bert_style", "every cell has its objective already; write objective=bert_style"),
    ("objective=bert_style,mass_style", "several values are for `t5grid run -m`"),
    (
        "objective=bert_style objective=mass_style",
        "objective is given 2 times: objective=bert_style, objective=",
    ),
    (
        "objective=prefix_lm objective.rate=0.2",
        "objective.rate=0.2: no key 'rate' in objective; there are none",
    ),
    ("objective={bad", "objective={bad: no override ("),
    ("objective", "objective: no override (missing EQUAL"),
    ("=3", "=3: no key; write key=value"),
    ("objective.rat=0.2", "no key 'rat' in objective (did you mean 'rate'?); there are rate, targets_length"),
    ("+objective.rat=0.2", "objective.rat: no such key (did you mean 'rate'?); there are rate"),
    ("objective.rate=1.5", "objective.rate=1.5: a number above 0, below 1, is needed"),
    ("objective.rate=1", "objective.rate=1: a number above 0, below 1, is needed"),
    ("objective.rate=0", "objective.rate=0: a number above 0, below 1, is needed"),
    ("objective.rate=abc", "objective.rate=abc: a number above 0, below 1, is needed"),
    ("objective.rate=nan", "objective.rate=nan: a number above 0, below 1, is needed"),
    ("objective.rate=true", "objective.rate=true: a number above 0, below 1, is needed"),
    ("objective.rate=null", "objective.rate=null: a number above 0, below 1, is needed"),
    ("objective.rate=[0.1]", "objective.rate=[0.1]: a number above 0, below 1, is needed"),
    ("objective.rate=???", "objective.rate: a value is needed (write objective.rate=...)"),
    ("objective.rate=${nope}", "objective.rate: Interpolation key 'nope' not found"),
    (
        "objective._target_=t5grid.files.write_whole",
        "objective._target_=t5grid.files.write_whole: not a dataclass, and only dataclasses are",
    ),
    (
        "objective._target_=t5grid.files.nope",
        "objective._target_=t5grid.files.nope: not found (AttributeError: module 't5grid.files'",
    ),
    (
        "--allow nope objective._target_=nope.Nope",
        "objective._target_=nope.Nope: not found (ModuleNotFoundError: No module",
    ),
    (
        "objective._target_=os.system",
        "objective._target_=os.system: not from t5grid, torch, ",
    ),
    ("objective._target_=t5gridx.Nope", "if you trust t5gridx, say --allow t5gridx"),
    ("objective._target_=5", "objective._target_=5: not from t5grid, torch"),
    (
        "objective=prefix_lm objective._target_=t5grid.model.architectures.EncoderDecoder",
        "objective=EncoderDecoder: the class lacks __call__, lengths, concatenate; every Objective has",
    ),
    ("budget=huge", "budget=huge: no such option; there are "),
    ("budget.pretrain=5", "budget.pretrain=5: a mapping with num_steps, num_rows, inputs_length"),
    ("budget.pretrain.num_steps=ten", "budget.pretrain.num_steps=ten: a whole number from 1 up is needed"),
    ("budget.pretrain.num_steps=-1", "budget.pretrain.num_steps=-1: a whole number from 1 up is needed"),
    ("budget.pretrain.num_steps=1e3", "budget.pretrain.num_steps=1000.0: a whole number from 1 up"),
    ("budget.pretrain.inputs_length=7", "budget.pretrain.inputs_length=7: a whole number from 8 up"),
    ("budget.pretrain.inputs_length=8", "objective with budget.pretrain.inputs_length=8: leaves 3 target"),
    ("budget.pretrain.optimizer=null", "budget.pretrain.optimizer=null: a _target_ whose class has build"),
    (
        "budget.pretrain.schedule.decay_fraction=3",
        "budget.pretrain.schedule.decay_fraction=3: a number from 0 up, at most 1, is needed",
    ),
    ("budget.pretrain.checkpoint_every=9999999", "more than budget.pretrain.num_steps="),
    (
        "budget.finetune.checkpoint_every=9999999",
        "budget.finetune.checkpoint_every=9999999: more than budget.",
    ),
    ("budget.finetune.labelled_share=0", "budget.finetune.labelled_share=0: a number above 0, at most 1,"),
    ("budget.finetune.labelled_share=1.5", "budget.finetune.labelled_share=1.5: a number above 0, at most 1"),
    ("finetune=adapters finetune.d=0", "finetune.d=0: a whole number from 1 up is needed"),
    ("finetune=adapters finetune.d=-32", "finetune.d=-32: a whole number from 1 up is needed"),
    ("finetune=adapters finetune.d=1.5", "finetune.d=1.5: a whole number from 1 up is needed"),
    ("finetune=adapters finetune.at_d_model=0", "finetune.at_d_model=0: a whole number from 1 up or null is"),
    ("finetune=adapters finetune.train=norms", "finetune.train=norms: one of adapter, adapter_and_norms is"),
    ("finetune=adapters finetune.initial=zero", "finetune.initial=zero: one of dense, near_identity is"),
    ("finetune=frozen_head finetune.d=0", "finetune.d=0: a whole number from 1 up is needed"),
    ("finetune=frozen finetune.num_blocks=0", "finetune.num_blocks=0: a whole number from 1 up is needed"),
    ("finetune=frozen finetune.num_blocks=3", "finetune.num_blocks=3: a stack has 2 blocks"),
    (
        "finetune=frozen finetune.num_blocks=2 architecture=encoder_decoder_half",
        "finetune.num_blocks=2: a stack has 1 blocks",
    ),
    (
        "finetune=gradual_unfreezing finetune.norms=never",
        "finetune.norms=never: one of with_block, always is",
    ),
    (
        "finetune=gradual_unfreezing budget.finetune.num_steps=1 budget.finetune.checkpoint_every=1",
        "budget.finetune.num_steps=1: finetune=gradual_unfreezing takes at least one step for",
    ),
    ("budget.finetune.continue_optimizer=1", "budget.finetune.continue_optimizer=1: true or false is needed"),
    ("budget.num_seeds=0", "budget.num_seeds=0: a whole number from 1 up is needed"),
    ("budget.evaluate.num_examples=0", "budget.evaluate.num_examples=0: a whole number from 1 up or null"),
    ("budget.name=../up", "budget.name=../up: a name of letters, digits and _ . - is needed"),
    ("size.d_model=0", "size.d_model=0: a whole number from 1 up is needed"),
    ("size.num_heads=2.5", "size.num_heads=2.5: a whole number from 1 up is needed"),
    ("size.dropout=2", "size.dropout=2: a number from 0 up, below 1, is needed"),
    ("seed=-1", "seed=-1: a whole number from 0 up"),
    ("seed=4294967296", "seed=4294967296: a whole number from 0 up, at most 4294967295"),
    ("~seed", "seed: a value is needed"),
    ("+foo=1", "foo: no such key; there are architecture, segments, objective"),
    (
        "mixing=odd",
        "mixing=odd: no such option; there are curriculum, equal, examples_proportional, temperature",
    ),
    ("mixing.limit=0", "mixing.limit=0: a whole number from 1 up or null is needed"),
    ("mixing.limit=0.5", "mixing.limit=0.5: a whole number from 1 up or null is needed"),
    (
        "mixing.limit=100",
        "mixing.limit=100 times mixing.limit_scale=0.00390625: leaves 0.390625 examples; at",
    ),
    ("mixing.limit_scale=0", "mixing.limit_scale=0: a number above 0 is needed"),
    ("mixing=temperature_scaled mixing.temperature=0", "mixing.temperature=0: a number above 0 is needed"),
    ("mixing=temperature_scaled mixing.temperature=-2", "mixing.temperature=-2: a number above 0 is needed"),
    ("mixing=curriculum mixing.strategy=odd", "mixing.strategy=odd: one of none, naive, mixed, combined is"),
    ("mixing=curriculum strategy=multitask", "mixing=curriculum: sentences.grammatical has no difficulty;"),
    ("strategy=multitask budget.pretrain.num_repeats=4", "budget.pretrain.num_repeats: only for a corpus"),
    ("suite.use=[nope]", "suite.use: no column 'nope'; there are sentences, summarization, questions"),
    ("suite.use=[question]", "(did you mean 'questions'?)"),
    ("suite.use=questions", "suite.use=questions: a list, each text, or null is needed"),
    ("suite.use=[]", "suite.use: no column is left"),
    ("suite.columns=5", "suite.columns=5: a mapping is needed"),
    ("suite.columns.sentences=null", "suite.columns.sentences=null: a mapping with title, inputs_length"),
    (
        "suite.columns.sentences.inputs_length=1",
        "suite.columns.sentences.inputs_length=1: a whole number from 2",
    ),
    (
        "suite.columns.sentences.tasks.sentiment.num_train=-3",
        "suite.columns.sentences.tasks.sentiment.num_train=-3: a whole number from 1 up",
    ),
    (
        "suite.columns.sentences.tasks.sentiment=5",
        "tasks.sentiment=5: a _target_ whose class has records, score",
    ),
    (
        "runtime.precision=fp16",
        "one of fp32, bf16 (fp16 is refused: T5's activations overflow in it) is needed",
    ),
    ("runtime.wandb=maybe", "runtime.wandb=maybe: one of off, offline, online is needed"),
    ("runtime.accelerator=abacus", "runtime.accelerator=abacus: one of cpu, gpu"),
    ("executor.num_workers=0", "executor.num_workers=0: a whole number from 1 up or null is needed"),
    ("runtime.num_devices=0", "runtime.num_devices=0: a whole number from 1 up"),
    (
        "budget=paper budget.pretrain.optimizer._target_=t5grid.training.schedules.AdamWSpec",
        "budget.finetune.continue_optimizer=true: pre-training's AdamWSpec leaves no state for AdafactorSpec",
    ),
    ("corpus=text", "corpus.path: a value is needed (write corpus.path=...)"),
    ("corpus=text corpus.path=/nope", "corpus.path=/nope: no such file or folder"),
    ("corpus.genres=[nope]", "corpus.genres[0]=nope: one of life_story, opinion, praise, everyday"),
    ("vocabulary=given", "vocabulary.path: a value is needed (write vocabulary.path=...)"),
    ("vocabulary=given vocabulary.path=/nope", "vocabulary.path=/nope: No such file or directory"),
    ("size*=3", "size=nano_3x: no such option"),
    ("size.d_model*=1.01", "size.d_model*=1.01: 64 times 1.01 is not a whole number"),
    ("size.d_model*=x", "size.d_model*=x: a factor is a number"),
    ("size.d_model*=nan", "size.d_model*=nan: 64 times nan is not a whole number"),
    ("size.dmodel*=2", "size.dmodel*=2: no key 'dmodel' in size (did you mean 'd_model'?)"),
    ("budget.name*=2", "budget.name*=2: nano is not a number"),
    ("size.d_model*=2 size.d_model*=2", "is given 2 times"),
    ("size.num_decoder_layers=0", "size.num_decoder_layers=0: a whole number from 1 up, at most 1000"),
    ("suite.limit_scale=0", "suite.limit_scale=0: a number above 0 is needed"),
    ("budget.pretrain.schedule.peak=-1", "budget.pretrain.schedule.peak=-1: a number from 0 up is needed"),
    ("vocabulary.num_documents=0", "vocabulary.num_documents=0: a whole number from 1 up or null is needed"),
    ("hydra.nope=1", "hydra.nope=1: no key 'nope' in hydra; there are run, sweep"),
    ("hydra/launcher=nope", "hydra/launcher=nope: no such option; there are basic"),
    ("-x", "run: unknown option -x"),
    ("-m objective=prefix_lm,foo", "objective=foo: no such option; there are bert_style"),
    ("-m objective.rate=0.1,7", "objective.rate=7: a number above 0, below 1, is needed"),
    ("-m objective=prefix_lm,replace_spans objective.rate=0.1", "no key 'rate' in objective; there are none"),
]


@pytest.mark.parametrize(("words", "fragment"), every_fifth_at_once(REFUSED))
def test_a_wrong_override_is_one_line_and_leaves_nothing_behind(
    words: str, fragment: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fragment in complaint(capsys, "run", *words.split())
    assert list(folder.iterdir()) == []


def test_a_file_that_is_no_vocabulary_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder.parent / "README.md").write_text("not a model")
    said = complaint(capsys, "run", "vocabulary=given", "vocabulary.path=../README.md")
    assert "vocabulary.path=../README.md: not a SentencePiece model" in said and list(folder.iterdir()) == []


def test_the_papers_suite_without_its_data_says_how_to_get_them(capsys: pytest.CaptureFixture[str]) -> None:
    said = complaint(capsys, "run", "suite=t5", "suite.root=/nope")
    assert "suite.root=/nope is not a folder" in said


@pytest.mark.parametrize(
    ("arguments", "fragment"),
    [
        ("sweep nothing_like_this", "no experiment 'nothing_like_this'; there are "),
        ("sweep", "the following arguments are required: NAME"),
        ("sweep size=tiny", "name at least one experiment, such as: objectives"),
        ("sweep objectives --foo", "sweep: unknown option --foo"),
        (
            "plan objectives objectve=bert_style",
            "experiments/objectives.yaml, row prefix_lm: objectve=bert_style",
        ),
        ("plan objectives objective=bert_style", "rows bert_style and replace_spans: one and the same cell"),
        ("plan objectives seed=1 seed=2", "seed is given 2 times: seed=1, seed=2"),
        ("table objectives suite.use=[nope]", "suite.use: no column 'nope'"),
        ("inspect objective=foo", "objective=foo: no such option"),
        ("inspect -n x", "argument -n/--num: invalid int value: 'x' (see t5grid inspect --help)"),
        ("inspect -n -1", "inspect: -n -1: at least 0"),
        ("inspect objective=bert_style objective=prefix_lm", "objective is given 2 times"),
        ("clean corpus=cleaned corpus=cleaned_v3", "corpus is given 2 times"),
        ("nope", "invalid choice: 'nope'"),
    ],
)
def test_a_wrong_command_is_one_line_and_leaves_nothing_behind(
    arguments: str, fragment: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fragment in complaint(capsys, *arguments.split())
    assert list(folder.iterdir()) == []


MINE = "defaults: [replace_spans, _self_]\n"


@pytest.mark.parametrize(
    ("name", "text", "fragment"),
    [
        ("conf/objective/mine.yaml", "a: [1\n", "conf/objective/mine.yaml"),
        ("conf/objective/mine.yaml", "a: \xff\n", "conf: 'utf-8' codec can't decode"),
        ("conf/objective/mine.yaml", "- 1\n", "objective=[1]: a _target_ whose class has __call__"),
        (
            "conf/objective/mine.yaml",
            "rate: 0.2\n",
            "objective={rate: 0.2}: a _target_ whose class has __call__",
        ),
        ("conf/objective/mine.yaml", "defaults: [nope]\n", "objective=nope: no such option; there are "),
        (
            "conf/objective/mine.yaml",
            MINE + "rat: 0.2\n",
            "objective.rat: no such key (did you mean 'rate'?)",
        ),
        (
            "conf/objective/mine.yaml",
            "_target_: nowhere.Mine\n",
            "objective._target_=nowhere.Mine: not from t5grid, torch, pytorch_lightning",
        ),
        ("conf/config.yaml", WITHOUT_SEED, "seed: a value is needed"),
    ],
)
@pytest.mark.slow
def test_a_broken_file_of_the_users_own_is_one_line(
    name: str, text: str, fragment: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / name).parent.mkdir(parents=True)
    (folder / name).write_text(text, encoding="latin-1")
    words = ["objective=mine"] if "mine" in name else []
    assert fragment in complaint(capsys, "run", *words)
    assert [path.name for path in folder.iterdir()] == ["conf"]


def test_an_option_of_the_users_own_is_found_first(folder: Path) -> None:
    (folder / "conf/objective").mkdir(parents=True)
    (folder / "conf/objective/mine.yaml").write_text(MINE + "rate: 0.2\n")
    (folder / "conf/objective/mass_style.yaml").write_text(
        "_target_: t5grid.data.objectives.MassStyle\nrate: 0.4\n"
    )
    assert load_cell(["objective=mine"]).objective.rate == 0.2
    assert load_cell(["objective=mass_style"]).objective.rate == 0.4


def test_another_working_directory_has_another_search_path(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "conf/objective").mkdir(parents=True)
    (folder / "conf/objective/mine.yaml").write_text(MINE + "rate: 0.2\n")
    assert load_cell(["objective=mine"]).labels["objective"] == "mine"
    monkeypatch.chdir(folder.parent)
    with pytest.raises(ValueError, match="objective=mine: no such option"):
        load_cell(["objective=mine"])


@pytest.mark.slow
def test_a_new_objective_takes_one_dataclass_and_one_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "conf/objective").mkdir(parents=True)
    (folder / "conf/objective/reversal.yaml").write_text("_target_: my_reversal.Reversal\nshare: 1\n")
    (folder / "my_reversal.py").write_text(
        "from dataclasses import dataclass\n"
        "from t5grid.data.objectives import Objective\n"
        "@dataclass(frozen=True)\n"
        "class Reversal(Objective):\n"
        "    share: float\n"
        "    def __call__(self, tokens, rng, vocab_size):\n"
        "        return tokens[:, ::-1], tokens\n"
    )
    assert main(["plan", "objectives", "suite.use=[questions]"]) == 0  # puts the directory on the import path
    with pytest.raises(ValueError, match="say --allow my_reversal"):
        load_cell(["objective=reversal"])
    assert "my_reversal" not in sys.modules
    monkeypatch.setenv("T5GRID_ALLOW", "other,my_reversal")
    cell = load_cell(["objective=reversal"])
    inputs, _ = cell.objective(np.array([[5, 6, 7]]), np.random.default_rng(0), 100)
    assert inputs.tolist() == [[7, 6, 5]] and cell.objective.share == 1.0


@pytest.mark.parametrize(
    "word", ["hydra.launcher._target_=os.system", "hydra.job_logging.handlers.console.class=os.system"]
)
@pytest.mark.slow
def test_what_hydra_would_call_of_an_unknown_package_is_refused(
    word: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = complaint(capsys, "run", "-m", "seed=0,1", word)
    assert "=os.system: not from hydra, hydra_plugins, logging" in line
    assert list(folder.iterdir()) == []


def test_no_name_leads_out_of_the_store(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "experiment=../mine: a name of letters" in complaint(capsys, "plan", "../mine")
    for name in ("../../up", "a/b", ""):
        with pytest.raises(ValueError, match="a stage's name stands in a path"):
            Stage(name, {}, {})


def text_file(folder: Path) -> str:
    (folder / "text.txt").write_text("Mira owns a boat.\n")
    return "corpus.path=text.txt"


def model_file(folder: Path) -> str:
    from t5grid.data.vocabulary import Trained

    texts = (f"the river {i} meets a town" for i in range(50))
    (folder / "mine.model").write_bytes(Trained(num_pieces=32).make(texts))
    return "vocabulary.path=mine.model"


def source_file(folder: Path) -> str:
    return text_file(folder).replace("corpus.", "corpus.source.")


def imported_folder(folder: Path) -> str:
    """A folder that may hold any vocabulary: one of pieces will do."""
    model_file(folder)
    (folder / "minilm").mkdir()
    (folder / "mine.model").rename(folder / "minilm" / "vocabulary.model")
    return "vocabulary.folder=minilm"


NEEDS_A_FILE = {
    ("corpus", "text"): text_file,
    ("corpus", "cleaned"): source_file,
    ("corpus", "cleaned_v3"): source_file,
    ("vocabulary", "given"): model_file,
    ("vocabulary", "minilm"): imported_folder,
}


@pytest.mark.parametrize(("group", "option"), OPTIONS)
@pytest.mark.slow
def test_every_option_of_every_group_is_a_valid_cell(group: str, option: str, folder: Path) -> None:
    assert group in GROUPS
    make = NEEDS_A_FILE.get((group, option))
    cell = load_cell([f"{group}={option}", make(folder)]) if make else cell_of(group, option)
    assert cell.labels[group] == option
    if group in ("corpus", "vocabulary"):
        assert getattr(cell, group).fingerprint()


@pytest.mark.parametrize("scale", ["", "size=base budget=paper suite=t5"], ids=["defaults", "paper"])
@pytest.mark.parametrize(("name", "key", "row"), ROWS, ids=[f"{name}-{key}" for name, key, _ in ROWS])
@pytest.mark.slow
def test_every_row_of_every_experiment_is_a_valid_cell(
    name: str, key: str, row: Any, scale: str, folder: Path
) -> None:
    own = {word.partition("=")[0] for word in COMMON[name]}  # such as a table of columns of its own
    own |= {"suite"} if any(word.startswith("suite.") for word in COMMON[name]) else set()
    words = [word for word in scale.split() if word.partition("=")[0] not in own]
    words += [imported_folder(folder)] if "vocabulary=minilm" in COMMON[name] else []
    assert isinstance(load_cell([*COMMON[name], *words, *row.overrides]), Cell)


def test_the_root_config_is_the_starred_baseline() -> None:
    labels = load_cell([]).labels
    assert {group: labels[group] for group in ("architecture", "objective", "finetune", "strategy")} == {
        "architecture": "encoder_decoder",
        "objective": "replace_spans",
        "finetune": "all_parameters",
        "strategy": "pretrain_finetune",
    }
    assert [labels[group] for group in ("size", "budget", "suite", "corpus")] == ["nano"] * 4


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("size.d_model", 768),
        ("size.d_ff", 3072),
        ("size.d_kv", 64),
        ("size.num_heads", 12),
        ("size.num_layers", 12),
        ("size.decoder_layers", 12),
        ("size.feed_forward", "relu"),
        ("size.tied", True),
        ("size.dropout", 0.1),
        ("objective.rate", 0.15),
        ("budget.num_baseline_seeds", 10),
        ("budget.pretrain.num_steps", 524288),
        ("budget.pretrain.num_rows", 128),
        ("budget.pretrain.inputs_length", 512),
        ("budget.pretrain.checkpoint_every", 5000),
        ("budget.pretrain.schedule.num_warmup_steps", 10000),
        ("budget.pretrain.schedule.scale", 1.0),
        ("budget.pretrain.optimizer.decay_exponent", 0.8),
        ("budget.pretrain.optimizer.decay_offset", 0),
        ("budget.pretrain.optimizer.clipping", 1.0),
        ("budget.pretrain.optimizer.min_dim_size_to_factor", 128),
        ("budget.pretrain.optimizer.scale_by_parameter", True),
        ("budget.finetune.num_steps", 262144),
        ("budget.finetune.num_tokens", 65536),
        ("budget.finetune.checkpoint_every", 5000),
        ("budget.finetune.continue_optimizer", True),
        ("budget.finetune.schedule.rate", 0.001),
        ("budget.evaluate.num_examples", None),
    ],
)
@pytest.mark.slow
def test_base_size_and_paper_budget_are_the_authors(key: str, value: Any) -> None:
    got: Any = load_cell(["size=base", "budget=paper"])
    for name in key.split("."):
        got = getattr(got, name)
    assert got == value and type(got) is type(value)


def test_the_papers_learning_rates() -> None:
    budget = load_cell(["budget=paper"]).budget
    rates = [budget.pretrain.schedule(step) for step in (0, 10_000, 40_000, 524_288)]
    assert rates == pytest.approx([0.01, 0.01, 0.005, 0.0013810679])
    assert budget.finetune.schedule(0) == budget.finetune.schedule(262_143) == 0.001


@pytest.mark.parametrize(
    ("words", "key", "value"),
    [
        ("budget.pretrain.num_steps*=4", "budget.pretrain.num_steps", 18000),
        ("budget.pretrain.num_steps*=4", "budget.pretrain.schedule.num_steps", 18000),
        ("budget.pretrain.num_steps=7 budget.pretrain.num_steps*=1000", "budget.pretrain.num_steps", 7000),
        ("budget=paper budget.pretrain.num_steps*=4", "budget.pretrain.num_steps", 2097152),
        ("budget.pretrain.num_steps*=0.5", "budget.pretrain.num_steps", 2250),
        ("budget.pretrain.schedule.peak*=2", "budget.pretrain.schedule.peak", 0.016),
        ("size*=2", "size.d_model", 96),
        ("size*=4", "size.num_layers", 4),
        ("size=base size*=2", "size.num_layers", 16),
        ("size*=2 size.d_model*=2", "size.d_model", 192),
    ],
)
def test_a_number_or_an_option_can_be_multiplied(words: str, key: str, value: Any) -> None:
    got: Any = load_cell(words.split())
    for name in key.split("."):
        got = getattr(got, name)
    assert got == value and type(got) is type(value)


def test_a_multiplied_cell_is_the_cell_with_the_number_written_out() -> None:
    plain = load_cell(["budget.pretrain.num_steps=9000", "size=nano_2x"])
    assert load_cell(["budget.pretrain.num_steps*=2", "size*=2"]) == plain


@pytest.mark.parametrize(
    ("row", "values"),
    [
        ("steps_4x", (12, 768, 3072, 12, 2097152, 128, 1048576, 65536)),
        ("batch_4x", (12, 768, 3072, 12, 524288, 512, 262144, 262144)),
        ("size_2x_steps_2x", (16, 1024, 4096, 16, 1048576, 128, 524288, 65536)),
        ("size_4x", (32, 1024, 4096, 16, 524288, 128, 262144, 65536)),
    ],
)
def test_scaled_rows_have_the_authors_values(row: str, values: tuple[int, ...]) -> None:
    overrides = next(each.overrides for name, key, each in ROWS if (name, key) == ("scaling", row))
    cell = load_cell(["size=base", "budget=paper", *overrides])
    size, pretrain, finetune = cell.size, cell.budget.pretrain, cell.budget.finetune
    assert values == (
        *(size.num_layers, size.d_model, size.d_ff, size.num_heads),
        *(pretrain.num_steps, pretrain.num_rows, finetune.num_steps, finetune.num_tokens),
    )


@pytest.mark.parametrize(
    ("experiment", "row", "lengths"),
    [
        ("objectives", "prefix_lm", (511, 512)),
        ("objectives", "language_model", (511, 512)),
        ("objectives", "deshuffling", (511, 512)),
        ("objectives", "bert_style", (511, 512)),
        ("objectives", "mass_style", (511, 512)),
        ("objectives", "replace_spans", (511, 192)),
        ("objectives", "drop_tokens", (511, 104)),
        ("corruption_rate", "rate_10", (511, 103)),
        ("corruption_rate", "rate_15", (511, 192)),
        ("corruption_rate", "rate_25", (511, 256)),
        ("corruption_rate", "rate_50", (511, 512)),
        ("span_length", "span_2", (None, 126)),
        ("span_length", "span_3", (568, 114)),
        ("span_length", "span_5", (None, 105)),
        ("span_length", "span_10", (None, 99)),
    ],
)
@pytest.mark.slow
def test_rows_have_the_authors_lengths(experiment: str, row: str, lengths: tuple[int | None, int]) -> None:
    overrides = next(each.overrides for name, key, each in ROWS if (name, key) == (experiment, row))
    cell = load_cell(["size=base", "budget=paper", *overrides])
    raw, targets = cell.objective.lengths(cell.budget.pretrain.inputs_length)
    assert (lengths[0] or raw, lengths[1]) == (raw, targets)


@pytest.mark.parametrize(
    ("column", "inputs_length", "targets_length"),
    [
        ("glue", 512, 84),
        ("squad", 512, 97),
        ("super_glue", 512, 62),
        ("cnn_dailymail", 512, 512),
        ("wmt_ende", 512, 512),
        ("wmt_enfr", 512, 512),
        ("wmt_enro", 512, 512),
    ],
)
def test_columns_have_the_authors_lengths(column: str, inputs_length: int, targets_length: int) -> None:
    chosen = load_cell(["suite=t5"]).suite.columns[column]
    assert (chosen.inputs_length, chosen.targets_length) == (inputs_length, targets_length)


@pytest.mark.parametrize(
    ("words", "label"),
    [
        ("", "replace_spans"),
        ("objective.rate=0.15", "replace_spans"),
        ("objective.rate=0.10", "replace_spans,rate=0.1"),
        ("objective=random_spans objective.mean_span_length=2", "random_spans,mean_span_length=2"),
        ("objective=random_spans objective.mean_span_length=2.0", "random_spans,mean_span_length=2"),
    ],
)
def test_equal_values_have_equal_names_however_they_are_written(words: str, label: str) -> None:
    assert load_cell(words.split()).labels["objective"] == label


def test_equal_values_have_equal_identities_however_they_are_written() -> None:
    words = ["objective=random_spans", "suite.use=[questions]"]
    same = [load_cell([*words, f"objective.mean_span_length={value}"]) for value in ("3", "3.0", "3.00")]
    same.append(load_cell(words))
    assert len({cell.strategy.stages(cell)["questions"].identity for cell in same}) == 1


def test_machine_settings_never_enter_an_identity() -> None:
    words = ["suite.use=[questions]", "budget=smoke"]
    cells = [load_cell([*words, *more]) for more in ([], ["runtime=gpu", "executor.num_workers=3"])]
    assert len({cell.strategy.stages(cell)["questions"].identity for cell in cells}) == 1


@dataclass(frozen=True)
class Inner:
    rate: float
    count: Annotated[int, AtLeast(1)] = 1

    def __post_init__(self) -> None:
        if self.rate > 1:
            raise ValueError(f"a.rate={self.rate}: too much")


@dataclass(frozen=True)
class Outer:
    parts: dict[str, Inner]
    names: list[str] | None = None


def test_nested_values_are_built_from_their_hints() -> None:
    outer = build({"parts": {"a": {"rate": 1}}, "names": ["x"]}, "outer", Outer)
    assert outer == Outer(parts={"a": Inner(rate=1.0, count=1)}, names=("x",))
    assert type(outer.parts["a"].rate) is float


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ({"parts": {"a": {"rate": "x"}}}, "outer.parts.a.rate=x: a number is needed"),
        ({"parts": {"a": {}}}, "outer.parts.a.rate: a value is needed (write outer.parts.a.rate=...)"),
        ({"parts": {"a": {"rate": 2}}}, "outer.parts.a.rate=2.0: too much"),
        (
            {"parts": {"a": {"rate": 1, "count": 0}}},
            "outer.parts.a.count=0: a whole number from 1 up is needed",
        ),
        ({"parts": {"a": 3}}, "outer.parts.a=3: a mapping with rate, count is needed"),
        ({"parts": {}, "names": [1]}, 'outer.names[0]=1: text is needed; quote it: "1"'),
        (
            {"parts": {}, "nmes": []},
            "outer.nmes: no such key (did you mean 'names'?); there are parts, names",
        ),
    ],
)
def test_a_wrong_nested_value_is_named_with_its_full_key(node: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        build(node, "outer", Outer)
    assert str(caught.value) == message


def test_whole_numbers_serve_as_floats_and_not_the_other_way() -> None:
    assert check_type(2, float, "x") == 2.0
    with pytest.raises(ValueError, match=r"x=2\.0: a whole number is needed"):
        check_type(2.0, int, "x")
    with pytest.raises(ValueError, match="x=true: a whole number is needed"):
        check_type(True, int, "x")


def test_canonical_writes_floats_as_floats() -> None:
    node = canonical({"parts": {"a": {"rate": 1, "count": 1}}}, Outer)
    assert repr(node) == "{'parts': {'a': {'rate': 1.0, 'count': 1}}}"


@pytest.mark.slow
def test_the_packages_own_conf_is_not_its_users_too(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    shutil.copytree(data_folder("conf"), folder / "conf")
    assert load_cell([]).labels == load_cell(["objective=replace_spans"]).labels
