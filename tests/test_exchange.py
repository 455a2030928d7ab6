"""Folders with a trained model: from Hugging Face and back, and as the start of a fine-tuning."""

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from small_vocabulary import small_vocabulary
from toy_stages import RUNTIME

from t5grid.cli import main
from t5grid.config.schema import load_cell
from t5grid.model.huggingface import write_checkpoint
from t5grid.model.size import Size
from t5grid.model.transformer import EncoderDecoderModel
from t5grid.stages.exchange import export_checkpoint, import_checkpoint
from t5grid.stages.model import build_model
from t5grid.stages.stage import Context, Stage, with_parents
from t5grid.stages.stage_file import trained_model
from t5grid.training import checkpoints

NANO = Size(64, 256, 16, 4, 2, dropout=0.0)
NUM_IDS = 40 + 100


@pytest.fixture(scope="module")
def both_forms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A nano T5 with a vocabulary of its own, `theirs`, and `DIR` imported from it. Not to be changed."""
    folder = tmp_path_factory.mktemp("imported")
    torch.manual_seed(0)
    write_checkpoint(EncoderDecoderModel(NANO, NUM_IDS), NANO, small_vocabulary(40), folder / "theirs")
    import_checkpoint(folder / "theirs", folder / "DIR")
    return folder


@pytest.fixture
def imported(both_forms: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of DIR, with `theirs` beside it, below the working directory."""
    shutil.copytree(both_forms, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "DIR"


def ends(*overrides: str) -> Stage:
    cell = load_cell(["suite.use=[questions]", *overrides])
    return cell.strategy.stages(cell)["questions"]


GIVEN = ["vocabulary=given", "vocabulary.path=DIR/vocabulary.model"]
START = ["strategy.pretrained=DIR", *GIVEN]


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_import_export_and_import_again_give_the_same_bytes(imported: Path) -> None:
    export_checkpoint(imported, Path("back"))
    assert contents(Path("back")) == contents(Path("theirs"))
    import_checkpoint(Path("back"), Path("again"))
    assert contents(Path("again")) == contents(imported)
    assert sorted(path.name for path in imported.iterdir()) == [
        "checkpoints",
        "config.yaml",
        "vocabulary.model",
    ]


def test_the_command_says_how_to_start_from_it(imported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", "theirs", "other"]) == 0
    words = "strategy.pretrained=other size=nano vocabulary=given vocabulary.path=other/vocabulary.model"
    assert capsys.readouterr().out.splitlines() == ["written: other", f"start from it with: {words}"]
    assert load_cell(words.split()).strategy.pretrained == "other"


@pytest.mark.slow
def test_a_size_without_an_option_is_said_measure_by_measure(imported: Path) -> None:
    odd = Size(64, 256, 32, 3, 2, 1, "gated_gelu", False)
    write_checkpoint(EncoderDecoderModel(odd, 128), odd, None, Path("odd"))
    words = import_checkpoint(Path("odd"), Path("odd_import"))
    assert load_cell(words).size == odd  # num_decoder_layers is written out


def test_fine_tuning_starts_from_it_instead_of_pretraining(imported: Path) -> None:
    stages = with_parents([ends(*START)])
    assert [stage.kind for stage in stages] == ["vocabulary", "import", "finetune", "evaluate"]
    assert stages[2].name == "questions-imported-encoder_decoder-nano-nano-seed0"


def test_it_is_identified_by_its_weights_and_not_by_its_path(imported: Path) -> None:
    before = ends(*START)
    imported.rename(imported.with_name("moved"))
    there = [word.replace("DIR", "moved") for word in START]
    assert [s.hash for s in with_parents([ends(*there)])] == [s.hash for s in with_parents([before])]
    torch.manual_seed(1)
    write_checkpoint(EncoderDecoderModel(NANO, NUM_IDS), NANO, None, Path("others"))
    import_checkpoint(Path("others"), Path("DIR"))
    other = ends("strategy.pretrained=DIR", *(word.replace("DIR", "moved") for word in GIVEN))
    assert other.hash != before.hash


def test_no_pretrained_weights_leave_identities_as_they_are() -> None:
    assert ends("strategy.pretrained=null").identity == ends().identity


def test_its_stage_hands_the_weights_on(imported: Path, tmp_path: Path) -> None:
    stage = next(each for each in with_parents([ends(*START)]) if each.kind == "import")
    context = Context(lambda each: tmp_path / "runs" / each.identity, RUNTIME, 1, lambda progress: None)
    for _ in range(2):
        stage.run(context)
    (file,) = (tmp_path / "runs" / stage.identity / "checkpoints").iterdir()
    assert file.read_bytes() == trained_model(imported).checkpoint().read_bytes()


def test_weights_that_were_damaged_since_are_refused(imported: Path, tmp_path: Path) -> None:
    stage = next(each for each in with_parents([ends(*START)]) if each.kind == "import")
    file = trained_model(imported).checkpoint()
    file.write_bytes(file.read_bytes()[:-1])
    context = Context(lambda each: tmp_path / each.identity, RUNTIME, 1, lambda progress: None)
    with pytest.raises(ValueError, match="no sound checkpoint is left"):
        stage.run(context)


@pytest.mark.parametrize(
    ("words", "fragment"),
    [
        ("strategy.pretrained=nope", "strategy.pretrained=nope: no such folder"),
        ("strategy.pretrained=theirs", "Hugging Face's form; make it ours first: t5grid import theirs DIR"),
        ("strategy.pretrained=.", "a folder that t5grid import or a stage wrote is needed"),
        ("strategy.pretrained=5", "strategy.pretrained=5: text or null is needed"),
        ("strategy.pretrained=DIR", "write vocabulary=given vocabulary.path=DIR/vocabulary.model"),
        (
            f"{' '.join(START)} size=tiny",
            "size.d_model: 64 was trained, the cell has 256; write size.d_model=64",
        ),
        (
            f"{' '.join(START)} size.num_decoder_layers=1",
            "size.num_decoder_layers: 2 was trained, the cell has 1; write size.num_decoder_layers=2",
        ),
        (f"{' '.join(START)} strategy=no_pretraining", "no key 'pretrained' in strategy; there are none"),
    ],
)
@pytest.mark.slow
def test_a_start_that_does_not_fit_is_one_line_and_leaves_nothing_behind(
    imported: Path, capsys: pytest.CaptureFixture[str], words: str, fragment: str
) -> None:
    assert main(["run", *words.split()]) == 2
    said = capsys.readouterr().err
    assert fragment in said and said.count("\n") == 1
    assert sorted(path.name for path in imported.parent.iterdir()) == ["DIR", "theirs"]


def test_weights_without_a_vocabulary_need_one_that_is_given_and_fits_their_table(
    imported: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_checkpoint(EncoderDecoderModel(NANO, NUM_IDS), NANO, None, Path("bare"))
    assert main(["import", "bare", "bare_import"]) == 0
    given = "bare has no spiece.model: add the vocabulary it was trained with: vocabulary=given vocabulary.pa"
    assert capsys.readouterr().out.splitlines()[2].startswith(given)
    start = ends("strategy.pretrained=bare_import", *GIVEN).parents[0].start
    (doubt,) = start.preface(Path)
    assert "brings no vocabulary: whether its weights were trained with the pieces" in doubt
    with pytest.raises(ValueError, match="it brings no vocabulary; give the one it was trained with: vocabu"):
        ends("strategy.pretrained=bare_import", "vocabulary.num_pieces=40")
    Path("big.model").write_bytes(small_vocabulary(157))
    with pytest.raises(ValueError, match="its id table has 256 rows, the cell's vocabulary of 257 ids 384"):
        ends("strategy.pretrained=bare_import", "vocabulary=given", "vocabulary.path=big.model")


def test_a_table_that_is_not_filled_up_is_trained_and_exported_as_it_is(imported: Path) -> None:
    torch.manual_seed(0)
    write_checkpoint(EncoderDecoderModel(NANO, NUM_IDS, num_rows=NUM_IDS), NANO, None, Path("odd"))
    shutil.copy("theirs/spiece.model", "odd")
    words = import_checkpoint(Path("odd"), Path("odd_import"))
    export_checkpoint(Path("odd_import"), Path("odd_back"))
    assert contents(Path("odd_back"))["model.safetensors"] == contents(Path("odd"))["model.safetensors"]
    finetune = ends(*words).parents[0]
    model, _ = build_model(finetune.config, NUM_IDS)
    context = Context(lambda stage: Path("runs") / stage.identity, RUNTIME, 1, lambda progress: None)
    finetune.start.run(context)
    finetune.prepare(context, model)
    assert len(model.embedding.weight) == NUM_IDS
    saved = checkpoints.save(Path("odd_import/checkpoints"), 5, model, None)
    export_checkpoint(Path("odd_import"), Path("odd_trained"), step=5)
    assert saved and len(load_file("odd_trained/model.safetensors")["shared.weight"]) == NUM_IDS


def test_damaged_weights_are_named_where_a_cell_starts_from_them(imported: Path) -> None:
    path = trained_model(imported).checkpoint()
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(ValueError, match=r"DIR.*\.safetensors: damaged: where its id table is"):
        ends(*START)


@pytest.mark.parametrize(
    ("command", "fragment"),
    [
        ("import theirs DIR", "DIR: is there already"),
        ("import DIR new", "DIR/config.json: No such file or directory"),
        ("import theirs", "the following arguments are required: DIR"),
        ("export theirs new", "Hugging Face's form; make it ours first"),
        ("export DIR theirs", "theirs: is there already"),
        ("export DIR new --step 7", "DIR: no checkpoint of step 7; there are 0"),
        ("import theirs theirs/config.json/new", "theirs/config.json/.new"),
        ("export DIR/checkpoints new", "DIR/checkpoints: a folder that t5grid import or a stage wrote"),
    ],
)
@pytest.mark.slow
def test_a_wrong_import_or_export_is_one_line_and_leaves_nothing_behind(
    imported: Path, capsys: pytest.CaptureFixture[str], command: str, fragment: str
) -> None:
    before = contents(imported.parent)
    assert main(command.split()) == 2
    said = capsys.readouterr().err
    assert fragment in said and said.count("\n") == 1
    assert contents(imported.parent) == before


def test_a_folder_whose_config_says_nothing_is_refused(imported: Path) -> None:
    model = "config: {architecture: {a: 1}, size: {a: 1}}\n"
    wrong = (f"{model}parents: []\n", f"{model}kind: import\n", f"{model}kind: import\nparents: 3\n")
    for text in ("config: {}\n", "- 1\n", "a: [1\n", *wrong):
        (imported / "config.yaml").write_text(text)
        with pytest.raises(ValueError, match="architecture and size of a trained model are not in it"):
            trained_model(imported)


def test_a_file_that_is_called_like_no_checkpoint_is_none(imported: Path) -> None:
    for path in (imported / "checkpoints").glob("*"):
        path.rename(path.with_name("step-foo.safetensors"))
    with pytest.raises(ValueError, match="no checkpoint is in it"):
        trained_model(imported)
