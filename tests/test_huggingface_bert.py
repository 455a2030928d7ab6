"""BERT folders of the Hub's form: vocabulary, weights and ids, there and back; what is odd is refused."""

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from t5grid.cli import main
from t5grid.config.schema import load_cell
from t5grid.data.reading import LayerReading
from t5grid.data.special_ids import EOS, class_id, mask_id
from t5grid.data.vocabulary import Vocabulary
from t5grid.data.word_pieces import NONE, read_word_pieces
from t5grid.model.encoder_blocks import EPSILON
from t5grid.model.encoders import Bert
from t5grid.model.huggingface_bert import read_bert, write_bert
from t5grid.model.size import Size
from t5grid.refused import Refused
from t5grid.stages.exchange import export_checkpoint, import_checkpoint
from t5grid.tasks.answer import Span

pytest.importorskip("tokenizers", reason="tokenizers is not installed: pip install t5grid[hf]")

WORDS = "[PAD] [unused0] [UNK] [CLS] [SEP] [MASK] . , ? who is a bake ##r ##s anna the of mill"
PIECES = WORDS.split()
SIZE = Size(32, 48, 8, 4, 3)
CONFIG = {
    "model_type": "bert", "hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4,
    "num_hidden_layers": 3, "max_position_embeddings": 128, "vocab_size": len(PIECES),
    "layer_norm_eps": EPSILON,
}  # fmt: skip
IDS = len(PIECES) + 1


@pytest.fixture
def theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small BERT with vocab.txt, below the working directory."""
    monkeypatch.chdir(tmp_path)
    source = Path("theirs")
    source.mkdir()
    (source / "vocab.txt").write_text("\n".join(PIECES) + "\n")
    torch.manual_seed(0)
    model = Bert(128).build(SIZE, IDS)
    write_bert(model, Bert(128), SIZE, read_word_pieces(source), source)  # type: ignore[arg-type]
    (source / "tokenizer.json").unlink()
    return source


def test_ids_are_theirs_in_our_order_and_pieces_say_where_a_word_begins(theirs: Path) -> None:
    vocabulary = Vocabulary(read_word_pieces(theirs))
    (ids,) = vocabulary.encode(["Anna is a bakers, who?"])
    order = vocabulary._processor.theirs
    assert [PIECES[order[i]] for i in ids] == ["anna", "is", "a", "bake", "##r", "##s", ",", "who", "?"]
    assert [PIECES[order[i]] for i in (0, EOS, 2, class_id(IDS), mask_id(IDS))] == [
        "[PAD]", "[SEP]", "[UNK]", "[CLS]", "[MASK]"
    ]  # fmt: skip
    assert (vocabulary.size, vocabulary.num_pieces, order[IDS - 3]) == (IDS, IDS - 3, NONE)
    assert [vocabulary.piece(i) for i in ids[:5]] == ["▁anna", "▁is", "▁a", "▁bake", "r"]
    assert vocabulary.decode(ids) == "anna is a bakers, who?"
    assert vocabulary.decode(vocabulary.encode(["anna xyz"])[0]) == "anna ⁇"
    assert vocabulary.spelled("the Mill.")[1][1:] == (4, 8)
    ids, targets = LayerReading(vocabulary, 40, {"q": Span(second="who")}).pair(
        "q", {"inputs": "a who is Anna", "targets": "Anna"}
    )
    assert [PIECES[order[i]] for i, target in zip(ids, targets, strict=True) if target > 0] == ["anna"]


def test_ids_are_those_of_the_fast_tokenizer_on_real_sentences(shared: Path, tmp_path: Path) -> None:
    from datasets import load_dataset
    from tokenizers import BertWordPieceTokenizer

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        transformers = pytest.importorskip("transformers", reason="pip install t5grid[hf]")
        folder = shared / "mirror" / "nyu-mll" / "glue" / "sst2"
        rows = load_dataset(
            "parquet", data_files=str(folder / "validation-*.parquet"), cache_dir=str(tmp_path)
        )
    sentences = [
        *rows["train"]["sentence"],
        *(f"{s} Ärger – {s.upper()}!" for s in rows["train"]["sentence"]),
    ]
    trained = BertWordPieceTokenizer()
    trained.train_from_iterator(sentences[:600], vocab_size=900, show_progress=False)
    trained.save_model(str(tmp_path))
    fast = transformers.BertTokenizerFast(str(tmp_path / "vocab.txt"))
    for wanted in (read_word_pieces(tmp_path), fast.backend_tokenizer.to_str().encode()):
        vocabulary = Vocabulary(wanted)
        ours = vocabulary.encode(sentences[:1000])
        expected = fast(sentences[:1000], add_special_tokens=False)["input_ids"]
        assert len(ours) == 1000
        assert [[vocabulary._processor.theirs[i] for i in ids] for ids in ours] == expected


def test_import_and_export_give_their_tensors_again(theirs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", "theirs", "DIR"]) == 0
    words = capsys.readouterr().out.split("start from it with: ")[1].split("\n")[0].split()
    cell = load_cell(["suite.use=[questions]", *words])
    assert (cell.architecture, cell.vocabulary.size) == (Bert(128), IDS)
    (start,) = cell.strategy.stages(cell)["questions"].trained[0].trained
    assert start.kind == "import"
    assert main(["export", "DIR", "back"]) == 0
    before, after = (load_file(Path(name) / "model.safetensors") for name in ("theirs", "back"))
    assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)
    assert (Path("back") / "vocab.txt").read_text().split() == PIECES
    import_checkpoint(Path("back"), Path("again"))
    assert read_word_pieces(Path("back")) == Path("again/vocabulary.model").read_bytes()


def test_a_bare_bert_gets_fresh_heads_and_says_so(theirs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tensors = load_file(theirs / "model.safetensors")
    bare = {name.removeprefix("bert."): tensor for name, tensor in tensors.items() if "cls." not in name}
    save_file(bare, theirs / "model.safetensors")
    import_checkpoint(theirs, Path("DIR"))
    assert capsys.readouterr().out == (
        "not in theirs, so fresh: the head for hidden tokens, the head for pairs\n"
    )
    table = read_bert(theirs).model.embedding.weight
    assert torch.equal(table[class_id(IDS)], tensors["bert.embeddings.word_embeddings.weight"][3])


@pytest.mark.slow
def test_what_is_exported_is_what_transformers_reads(theirs: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        transformers = pytest.importorskip("transformers", reason="pip install t5grid[hf]")
        import_checkpoint(theirs, Path("DIR"))
        export_checkpoint(Path("DIR"), Path("back"))
        model = transformers.BertForPreTraining.from_pretrained("back").eval()
        fast = transformers.BertTokenizerFast.from_pretrained("back")
    ours, vocabulary = read_bert(theirs).model.eval(), Vocabulary(read_word_pieces(theirs))
    given = fast(["anna is a baker . who", "the mill"], padding=True, return_tensors="pt")
    rows = [[class_id(IDS), *ids, EOS] for ids in vocabulary.encode(["anna is a baker . who", "the mill"])]
    inputs = torch.tensor([row + [0] * (len(rows[0]) - len(row)) for row in rows])
    their_states = model(**given, output_hidden_states=True).hidden_states[-1]
    real = inputs != 0
    difference = (ours.states({"inputs": inputs})[-1] - their_states)[real].abs().max()
    assert difference < 1e-5


def change(folder: Path, **values: Any) -> None:
    config = json.loads((folder / "config.json").read_text()) | values
    (folder / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (lambda f: change(f, hidden_act="relu"), "theirs/config.json: hidden_act=relu: gelu is needed"),
        (lambda f: change(f, model_type="roberta"), "theirs/config.json: model_type=roberta: only t5"),
        (lambda f: change(f, vocab_size=7), "theirs/config.json: vocab_size=7: its vocabulary has 19 ids"),
        (lambda f: (f / "vocab.txt").unlink(), "theirs: neither tokenizer.json nor vocab.txt: a BERT needs"),
        (lambda f: (f / "vocab.txt").write_text("[PAD]\n"), "theirs/vocab.txt: no piece [SEP]; there are"),
        (lambda f: change(f, num_hidden_layers=2), "theirs: tensor bert.encoder.layer.2.attention.output"),
        (lambda f: change(f, num_hidden_layers=4), "theirs: tensor encoder.blocks.3.self_attention.query"),
        (lambda f: change(f, max_position_embeddings=9), "theirs: tensor position_embedding.weight, as we"),
        (lambda f: (f / "tokenizer.json").write_text("{}"), "theirs/tokenizer.json: "),
    ],
)  # fmt: skip
def test_an_odd_folder_is_refused_and_nothing_is_written(theirs: Path, broken: Any, message: str) -> None:
    broken(theirs)
    with pytest.raises(Refused) as caught:
        import_checkpoint(theirs, Path("DIR"))
    assert str(caught.value).startswith(message)
    assert not Path("DIR").exists()


def test_a_checkpoint_of_another_family_is_refused(theirs: Path) -> None:
    import_checkpoint(theirs, Path("DIR"))
    words = ["strategy.pretrained=DIR", "vocabulary=given", "vocabulary.path=DIR/vocabulary.model"]
    cell = load_cell([*words, "suite.use=[questions]"])
    with pytest.raises(
        Refused, match=r"^strategy.pretrained=DIR: architecture: Bert\(.*the cell has EncoderDec"
    ):
        cell.strategy.stages(cell)
