"""Who sees whom in a model, and which parameters train when, as `inspect` draws them."""

import math
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from t5grid.cli import main
from t5grid.commands.anatomy import architecture_lines, architecture_svg, finetune_lines, size_lines
from t5grid.config.schema import load_cell
from t5grid.refused import Refused

LM = "objective=language_model"
MLM = "objective=masked_lm"
ENCODER_DECODER = [
    ("encoder self-attention", "fully visible"),
    ("decoder self-attention", "causal"),
    ("decoder cross-attention", "fully visible"),
]


def kinds(*words: str) -> list[tuple[str, str]]:
    """Name and kind of every mask that is drawn of a sentence of five words."""
    lines = architecture_lines(load_cell(words), "One two three four .")
    drawn = [re.match(r"  (.*attention): (.*?) \(", line) for line in lines]
    return [(match[1], match[2]) for match in drawn if match]


@pytest.mark.parametrize("option", ["encoder_decoder", "encoder_decoder_shared", "encoder_decoder_half"])
def test_an_encoder_decoder_has_three_masks(option: str) -> None:
    assert kinds(f"architecture={option}") == ENCODER_DECODER


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["architecture=language_model", LM], [("decoder self-attention", "causal")]),
        (["architecture=gpt", LM], [("decoder self-attention", "causal")]),
        (["architecture=bert", MLM], [("encoder self-attention", "fully visible")]),
        (["architecture=albert", MLM], [("encoder self-attention", "fully visible")]),
    ],
    ids=lambda value: value[0].partition("=")[2] if isinstance(value[0], str) else "",
)
def test_a_single_stack_has_one(words: list[str], expected: list[tuple[str, str]]) -> None:
    assert kinds(*words) == expected


def test_a_prefix_is_seen_whole_by_all_of_it_and_by_what_follows() -> None:
    lines = list(architecture_lines(load_cell(["architecture=prefix_lm"]), "One two three four ."))
    reads = lines[1].split()[2:]
    num_prefix = reads.index("</s>") + 1
    assert f"causal with prefix of {num_prefix} " in lines[4]
    rows = [line.split()[2:] for line in lines[6:]]
    assert [line.split()[1] for line in lines[6:]] == reads and reads[0] == "<s>"
    for i, row in enumerate(rows):
        assert row.count("■") == max(num_prefix, i + 1)
        assert row == ["■"] * row.count("■") + ["·"] * (len(rows) - row.count("■"))


def test_the_layout_says_what_is_read_and_what_is_to_be_told() -> None:
    lines = list(architecture_lines(load_cell(["objective=deshuffling"]), "One two three"))
    assert sorted(lines[1].split()[2:]) == sorted(["One", "two", "three", "</s>"])
    assert lines[2] == "  decoder reads  <s> One two three"
    assert lines[3] == "  to be told     One two three </s>"


def test_the_svg_has_a_square_a_pair_and_every_word() -> None:
    root = ElementTree.fromstring(
        architecture_svg(load_cell(["architecture=language_model", LM]), "One two <three>")
    )
    squares = [element for element in root if element.tag.endswith("rect")]
    assert len(squares) == 4 * 4
    assert sum(square.get("fill") == "#0072b2" for square in squares) == 4 + 3 + 2 + 1
    assert {"One", "two", "<three>", "<s>"} <= {element.text for element in root}


def test_the_command_writes_the_svg_of_a_named_architecture_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["inspect", "architecture=prefix_lm", "--svg", "a.svg"]) == 0
    assert capsys.readouterr().out == "written: a.svg\n"
    assert (tmp_path / "a.svg").read_text().startswith("<svg ")
    assert main(["inspect", "objective=prefix_lm", "--svg", "b.svg"]) == 2
    assert capsys.readouterr().err == "t5grid: inspect: --svg draws architecture=NAME; name one\n"
    assert not (tmp_path / "b.svg").exists()


def trained(*words: str) -> dict[str, list[str]]:
    """Part of the model -> its number of parameters, and the mark of each episode."""
    lines = list(finetune_lines(load_cell(words)))
    rows = [re.split(r"  +", line.strip()) for line in lines[2:-1]]
    return {row[0]: row[1:] for row in rows}


def test_all_parameters_are_trained_from_the_first_step() -> None:
    rows = trained("finetune=all_parameters")
    assert {row[1] for part, row in rows.items() if part != "trained"} == {"●"}
    assert rows["trained"][0] == rows["trained"][1]


def test_gradual_unfreezing_is_shown_step_by_step_from_the_top() -> None:
    cell = load_cell(["finetune=gradual_unfreezing"])
    head, steps, *_ = finetune_lines(cell)
    half = math.ceil(cell.budget.finetune.num_steps / 2)
    assert head.startswith("finetune=gradual_unfreezing: ")
    assert re.findall(r"step (\d+)", steps) == ["0", str(half)]
    rows = trained("finetune=gradual_unfreezing")
    assert rows["encoder block 1"][1:] == rows["decoder block 1"][1:] == ["●", "●"]
    assert rows["encoder block 0"][1:] == ["·", "●"] and rows["embedding"][1:] == ["●", "●"]


def test_the_numbers_are_those_that_a_stage_would_train() -> None:
    from t5grid.stages.finetune import FinetuneStage
    from t5grid.stages.stage import with_parents

    cell = load_cell(["finetune=adapters", "suite.use=[questions]"])
    stages = with_parents(cell.strategy.stages(cell).values())
    stage = next(stage for stage in stages if isinstance(stage, FinetuneStage))
    model = cell.architecture.build(cell.size, cell.vocabulary.size)
    cell.finetune.prepare(model)
    names = stage.method.episodes([name for name, _ in model.named_parameters()], 1)[0]
    number = sum(value.numel() for name, value in model.named_parameters() if name in names)
    assert trained("finetune=adapters")["trained"][1] == f"{number:,}"


def test_output_layers_are_listed_task_by_task() -> None:
    rows = trained("finetune=frozen", "architecture=bert", MLM)
    assert rows["answering.layers.grammatical"][1:] == ["●"] and rows["embedding"][1:] == ["·"]


def test_a_strategy_that_fine_tunes_nothing_has_no_schedule() -> None:
    with pytest.raises(Refused, match="strategy=multitask fine-tunes nothing"):
        list(finetune_lines(load_cell(["strategy=multitask"])))


def test_a_size_is_shown_with_what_its_architecture_makes_of_it() -> None:
    cell = load_cell(["size=tiny"])
    lines = list(size_lines(cell))
    number = cell.architecture.num_parameters(cell.size, cell.vocabulary.size)["total"]
    assert lines[0] == "size=tiny with architecture=encoder_decoder"
    assert lines[-1].split() == ["total", f"{number:,}", "parameters"]
