"""Where pre-training hurts: rows that are alike but for it, beyond two deviations, above the floor."""

from t5grid.evaluation.constant import Bounds
from t5grid.grid.experiment import Experiment, RowSpec
from t5grid.results.findings_text import to_markdown
from t5grid.results.negative_transfer import NegativeTransfer, negative_transfer
from t5grid.results.table import Provenance, Table, TableColumn, build_table

FEW = "budget.finetune.labelled_share=0.03"
ROWS = {
    "base": RowSpec("Base", [], starred=True),
    "other": RowSpec("Other", ["objective=deshuffling", "objective.rate=0.5"]),
    "few": RowSpec("Few", [FEW]),
    "none": RowSpec("None", ["strategy=no_pretraining"]),
    "none_few": RowSpec("None, few", ["strategy=no_pretraining", FEW]),
}
EXPERIMENT = Experiment("T", "Row", ROWS, command="t5grid sweep t")
SCORES = {"base": [69.0, 70.0, 71.0], "other": [60.0], "few": [40.0], "none": [71.9], "none_few": [41.0]}


def table(scores: dict = SCORES, floor: float = 10.0) -> Table:
    columns = [TableColumn("reading", "Reading")]
    bounds = {"reading": Bounds(floor, 100.0, 100, {})}
    by_column = {key: {"reading": value} for key, value in scores.items()}
    return build_table(EXPERIMENT, columns, by_column, Provenance("nano", "nano", "nano"), bounds=bounds)


def cases(shown: Table) -> list[str]:
    return [str(case) for case in negative_transfer({"t": EXPERIMENT}, {"t": shown})]


def test_only_rows_that_differ_in_pretraining_are_compared() -> None:
    assert cases(table()) == ["None beats Other in Reading (by 11.9 sd) (experiment `t`)"]


def test_more_than_two_deviations_are_needed() -> None:
    assert cases(table(SCORES | {"none": [72.0], "other": [72.0]})) == []
    assert cases(table(SCORES | {"none": [72.01]})) == [
        "None beats Base in Reading (by 2.0 sd) (experiment `t`)",
        "None beats Other in Reading (by 12.0 sd) (experiment `t`)",
    ]
    assert cases(table(SCORES | {"none_few": [43.0]}))[1:] == [
        "None, few beats Few in Reading (by 3.0 sd) (experiment `t`)"
    ]


def test_two_rows_at_the_floor_are_not_compared() -> None:
    assert cases(table(floor=90.0)) == []


def test_findings_name_it_last_and_only_where_there_is_some() -> None:
    case = NegativeTransfer("t", "Base", "None", {"Reading": 2.5})
    text = to_markdown([], "Suite nano", [case])
    assert text.endswith("\n- None beats Base in Reading (by 2.5 sd) (experiment `t`)\n")
    assert "Negative transfer" in text and "Negative transfer" not in to_markdown([], "Suite nano")
