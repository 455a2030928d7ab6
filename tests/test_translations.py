"""`inspect --translations`: which layers have a sentence nearest to its translation."""

from pathlib import Path

import numpy as np
import pytest
import torch

from t5grid.cli import main
from t5grid.commands.pretrained_model import start_of
from t5grid.commands.translations import Retrieval, draw, generated, pairs_of
from t5grid.config.schema import Cells
from t5grid.evaluation.retrieval import retrieved, sentence_states
from t5grid.model.size import Size
from t5grid.nano.facts import bucket
from t5grid.refused import Refused

CELLS = Cells()
SIZE = Size(16, 24, 8, 2, 3, dropout=0.0)
IDS = [[5, 6, 7], [8, 9], [7, 6, 5], [10, 11, 12, 13]]
FOUND = Retrieval(
    "encoder_decoder", {"Norvin": 4, "Kelosh": 5}, {"Norvin": (25.0, 87.5), "Kelosh": (0.0, 100.0)}
)


def model_of(option: str, objective: str = "replace_spans") -> torch.nn.Module:
    torch.manual_seed(0)
    return (
        CELLS.load([f"architecture={option}", f"objective={objective}"]).architecture.build(SIZE, 300).eval()
    )


@pytest.mark.parametrize(
    ("option", "objective"),
    [
        ("encoder_decoder", "replace_spans"),
        ("encoder_decoder_shared", "replace_spans"),
        ("bert", "masked_lm"),
    ],
)
def test_layer_0_is_blind_to_order_and_every_other_layer_is_not(option: str, objective: str) -> None:
    size = SIZE if option != "bert" else Size(16, 24, 8, 2, 3, dropout=0.0, initialisation="study")
    cell = CELLS.load([f"architecture={option}", f"objective={objective}"])
    torch.manual_seed(0)
    states = sentence_states(cell.architecture.build(size, 300).eval(), 300, IDS)
    assert states.shape == (4, 4, 16) and np.allclose(np.linalg.norm(states, axis=-1), 1, atol=1e-5)
    assert not np.allclose(states[-1, 0], states[-1, 2], atol=1e-6)
    if option != "bert":  # whose layer 0 has positions
        assert np.allclose(states[0, 0], states[0, 2], atol=1e-6)


def test_sentences_of_other_lengths_beside_it_change_no_state() -> None:
    model = model_of("encoder_decoder")
    together = sentence_states(model, 300, IDS)
    for place, ids in enumerate(IDS):
        assert np.allclose(sentence_states(model, 300, [ids])[:, 0], together[:, place], atol=1e-6)


def test_states_are_those_that_the_encoder_gives_its_last_norm() -> None:
    model = model_of("encoder_decoder")
    states = sentence_states(model, 300, IDS[:1])
    with torch.no_grad():
        encoded, _ = model.encode(torch.tensor([[*IDS[0], 1]]))
    assert not model.encoder.blocks[0]._forward_hooks
    table = torch.nn.functional.normalize(model.embedding.weight[IDS[0]].mean(dim=0), dim=-1)
    assert np.allclose(states[0, 0], table.detach().numpy(), atol=1e-6)
    assert encoded.shape == (1, 4, 16)


def test_a_translation_is_found_where_it_is_nearest_both_ways() -> None:
    ours = np.eye(3)[None]
    assert retrieved(ours, ours) == [100.0]
    assert retrieved(ours, ours[:, [1, 2, 0]]) == [0.0]
    assert retrieved(ours, ours[:, [0, 2, 1]]) == [pytest.approx(100 / 3)]
    assert retrieved(np.ones((1, 3, 2)), np.ones((1, 3, 2))) == [0.0], "what is all alike finds nothing"


def test_generated_pairs_are_of_scenes_that_no_corpus_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(
        "t5grid.nano.nano_task.bucket", lambda content: told.append(bucket(content)) or told[-1]
    )
    pairs = generated(3)
    assert list(pairs) == ["Norvin", "Kelosh", "Tamiri"] and {len(rows) for rows in pairs.values()} == {3}
    assert [english for english, _ in pairs["Norvin"]] == [english for english, _ in pairs["Tamiri"]]
    assert told.count("test") == 9


def test_pairs_are_read_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "de.tsv").write_text("It froze.\tEs fror.\nIt rained.\tEs regnete.\n")
    assert pairs_of(tmp_path / "de.tsv") == [("It froze.", "Es fror."), ("It rained.", "Es regnete.")]
    for text, message in (
        ("a\tb\n", "at least two"),
        ("a\tb\nc\n", "line 2: two"),
        ("a\tb\tc\nd\te\n", "line 1: two"),
    ):
        (tmp_path / "bad.tsv").write_text(text)
        with pytest.raises(Refused, match=message):
            pairs_of(tmp_path / "bad.tsv")
    with pytest.raises(Refused, match=r"--pairs .*none.tsv: "):
        pairs_of(tmp_path / "none.tsv")


def test_what_is_found_is_a_table_with_the_score_of_chance() -> None:
    assert list(FOUND.lines()) == [
        "encoder_decoder: translations found by the mean of a layer's states, % of both ways",
        "          pairs  chance      ids  layer 1",
        "  Norvin      4    25.0     25.0     87.5",
        "  Kelosh      5    20.0      0.0    100.0",
    ]


def test_the_curve_is_drawn_in_the_form_of_its_name(tmp_path: Path) -> None:
    draw(FOUND, tmp_path / "found.svg")
    text = (tmp_path / "found.svg").read_text()
    assert "Norvin" in text and "Kelosh" in text and "layer of the encoder" in text
    with pytest.raises(Refused, match=r"^--figure .*found.txt: .svg or .png"):
        draw(FOUND, tmp_path / "found.txt")


def test_the_model_is_the_one_that_finetuning_starts_from() -> None:
    first, last = (
        start_of(CELLS.load(["suite.use=[questions,to_norvin]", f"strategy={name}"]), "--translations")
        for name in ("pretrain_adapt_finetune", "continued_pretraining")
    )
    assert "-then_" not in first.name and "-then_nano-" in last.name


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--translations"], "pretrain/encoder_decoder-replace_spans-nano-smoke-seed0"),
        (
            ["--translations", "strategy=no_pretraining"],
            "inspect --translations: strategy=no_pretraining has no pre",
        ),
        (["--translations", "--word", "bat"], "inspect: --word and --translations are asked one at a time"),
        (["--pairs", "a.tsv"], "inspect: --pairs goes with --translations"),
        (["--translations", "--pairs", "/nowhere.tsv"], "--pairs /nowhere.tsv: "),
    ],
)
def test_what_cannot_be_asked_is_refused_in_one_line(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["inspect", *words, "budget=smoke", f"runtime.runs_dir={tmp_path}"]) == 2
    assert capsys.readouterr().err.startswith(f"t5grid: {message}")
