"""What is missing is named before training, and what is not the real data beside the scores."""

import shutil
from pathlib import Path

import pytest

from t5grid.config.schema import load_cell
from t5grid.tasks.availability import NOT_REAL, caption, fetch, left_out, refuse_missing, standing


def chosen(*words: str) -> dict:
    return load_cell(["suite=t5", *words]).suite.chosen()


def test_a_copy_has_every_column_and_goes_without_two_splits(shared: Path) -> None:
    columns = chosen(f"suite.root={shared / 'mirror'}")
    refuse_missing(columns)
    assert list(columns) == [
        *("glue", "cnn_dailymail", "squad", "super_glue"),
        *("wmt_ende", "wmt_enfr", "wmt_enro"),
    ]
    assert left_out(columns) == [
        "nyu-mll/glue mnli validation_mismatched",
        "community-datasets/definite_pronoun_resolution plain_text train",
    ]


def test_everything_a_copy_lacks_is_named_in_one_line(shared: Path, tmp_path: Path) -> None:
    for name in ("rajpurkar/squad", "wmt/wmt14"):
        shutil.copytree(shared / "mirror" / name, tmp_path / name)
    (tmp_path / "rajpurkar/squad/plain_text/train-00000-of-00001.parquet").unlink()
    shutil.rmtree(tmp_path / "wmt/wmt14/de-en")
    with pytest.raises(ValueError) as caught:
        refuse_missing(chosen("suite.use=[squad,wmt_ende,wmt_enfr]", f"suite.root={tmp_path}"))
    said = str(caught.value)
    assert said.startswith("data set rajpurkar/squad (plain_text, train): no such split in ")
    assert (
        said.endswith("(and it lacks wmt/wmt14 de-en train; wmt/wmt14 de-en validation)") and "\n" not in said
    )


def test_the_caption_marks_what_is_not_the_real_split(shared: Path) -> None:
    columns = chosen("suite.use=[squad,wmt_ende]", f"suite.root={shared / 'mirror'}")
    assert caption(standing(columns), {"squad": "SQuAD", "wmt_ende": "WMT EnDe"}) == (
        NOT_REAL,
        "Rows of SQuAD: squad (train 5169 of 87599, validation 1082 of 10570).",
        "Rows of WMT EnDe: wmt_ende (train 13071 of 4508785, validation 3000).",
    )


@pytest.mark.slow
def test_a_part_of_the_rows_of_the_hub_is_marked_and_all_of_them_are_not() -> None:
    whole, part = (
        chosen("suite.use=[squad]"),
        chosen("suite.use=[squad]", "+suite.columns.squad.tasks.squad.num_train=9"),
    )
    assert caption(standing(whole), {"squad": "SQuAD"}) == (
        "Rows of SQuAD: squad (train 87599, validation 10570).",
    )
    assert caption(standing(part), {"squad": "SQuAD"})[1] == (
        "Rows of SQuAD: squad (train 9 of 87599, validation 10570)."
    )


def test_generated_data_need_no_caption() -> None:
    columns = load_cell([]).suite.chosen()
    fetch(columns)
    assert standing(columns) == {} and caption({}, {}) == ()


def test_the_place_of_a_copy_is_no_part_of_a_stages_identity(shared: Path, tmp_path: Path) -> None:
    for name in ("rajpurkar/squad",):
        shutil.copytree(shared / "mirror" / name, tmp_path / name)
    cells = [
        load_cell(["suite=t5", "suite.use=[squad]", f"suite.root={root}"])
        for root in (shared / "mirror", tmp_path)
    ]
    assert len({cell.strategy.stages(cell)["squad"].identity for cell in cells}) == 1
    path = tmp_path / "rajpurkar/squad/plain_text/validation-00000-of-00001.parquet"
    shutil.copyfile(tmp_path / "rajpurkar/squad/plain_text/train-00000-of-00001.parquet", path)
    assert len({cell.strategy.stages(cell)["squad"].identity for cell in cells}) == 1
    changed = load_cell(["suite=t5", "suite.use=[squad]", f"suite.root={tmp_path}"])
    assert (
        changed.strategy.stages(changed)["squad"].identity
        != cells[0].strategy.stages(cells[0])["squad"].identity
    )


def test_bad_rows_are_refused_before_anything_is_trained(shared: Path, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    shutil.copytree(shared / "mirror/rajpurkar/squad", tmp_path / "rajpurkar/squad")
    rows = pa.table({"question": ["q"], "context": ["c"], "answers": [{"text": [], "answer_start": []}]})
    pq.write_table(rows, tmp_path / "rajpurkar/squad/plain_text/validation-00000-of-00001.parquet")
    with pytest.raises(ValueError, match=r"\(plain_text, validation\), row 0: answers are"):
        fetch(chosen("suite.use=[squad]", f"suite.root={tmp_path}"))
