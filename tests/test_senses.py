"""`inspect --word`: what a vector is near, and how alike a word is from sentence to sentence."""

from pathlib import Path

import pytest
import torch

from t5grid.cli import main
from t5grid.commands.senses import _compared, draw, sentences_of
from t5grid.config.schema import load_cell
from t5grid.data.characters import Characters
from t5grid.data.vocabulary import Vocabulary
from t5grid.model.size import Size
from t5grid.nano import lexicon
from t5grid.refused import Refused

SIZE = Size(16, 24, 8, 2, 2, dropout=0.0)
LETTERS = Vocabulary(Characters().make(iter(())))
SENTENCES = ("The crane slept.", "Anna painted the crane red.", "the crane slept.")


def test_a_word_of_two_senses_has_two_sentences_of_each() -> None:
    found = list(sentences_of("bank"))
    assert len(set(found)) == 4 and all("bank" in text for text in found)
    assert "lives near the bank" in found[0] and "painted the bank" in found[2]
    assert all(len(list(sentences_of(word))) == 4 for word in lexicon.TWO_SENSES)


@pytest.mark.parametrize(
    ("option", "is_one"), [("cbow", True), ("elmo", False), ("bert", False), ("gpt", False), ("xlnet", False)]
)
def test_a_word_has_one_vector_in_a_window_and_a_state_for_each_sentence_elsewhere(
    option: str, is_one: bool
) -> None:
    torch.manual_seed(0)
    objective = {"bert": "masked_lm", "xlnet": "permutation_lm"}.get(option, "language_model")
    architecture = load_cell([f"architecture={option}", f"objective={objective}"]).architecture
    model = architecture.build(SIZE, LETTERS.size).eval()
    with torch.no_grad():
        for parameter in model.parameters():  # far from where all places are nearly alike
            parameter.add_(0.2 * torch.randn_like(parameter))
    found = _compared(model, LETTERS, option, "crane", SENTENCES)
    (first, second, third) = found.cosines
    assert first[0] == pytest.approx(1) and first[1] == pytest.approx(second[0], abs=1e-6)
    assert (first[1] == pytest.approx(1, abs=1e-5)) == is_one
    assert third[0] > 0.8 > -1  # but for the case of one letter the same sentence
    lines = list(found.lines())
    assert lines[0].startswith(f"{option}: nearest to the vector of crane:") and len(lines) == 5


def test_the_picture_is_drawn_in_the_form_of_its_name(tmp_path: Path) -> None:
    architecture = load_cell(["architecture=cbow", "objective=language_model"]).architecture
    found = _compared(architecture.build(SIZE, LETTERS.size), LETTERS, "cbow", "crane", SENTENCES[:2])
    draw(found, tmp_path / "crane.svg")
    assert "Anna painted the crane red." in (tmp_path / "crane.svg").read_text()
    with pytest.raises(Refused, match=r"^--figure .*crane.txt: .svg or .png"):
        draw(found, tmp_path / "crane.txt")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--word", "xyz"], "--word xyz: write sentences with it (--sentence TEXT), or one of bat, crane"),
        (["--word", "bat", "--sentence", "a bat", "--sentence", "a cat"], "--word bat: two sentences"),
        (["--word", "bat"], "pretrain/cbow-language_model-nano-smoke-seed0"),
        (["--word", "bat", "strategy=no_pretraining"], "--word: strategy=no_pretraining has no pre"),
        (["--sentence", "a bat"], "inspect: --sentence and --figure go with --word"),
    ],
)  # fmt: skip
def test_what_cannot_be_shown_is_refused(
    words: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    cell = ["architecture=cbow", "objective=language_model", "budget=smoke", "suite.use=[questions]"]
    assert main(["inspect", *words, *cell]) == 2
    assert message in capsys.readouterr().err
