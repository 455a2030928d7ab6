"""What a table can say of a row's model beside its scores."""

from fractions import Fraction

import pytest

from t5grid.config.schema import load_cell
from t5grid.grid.experiment import load_experiment
from t5grid.grid.graph import experiment_path
from t5grid.grid.model_facts import check_names, model_facts, multiple, shown_facts
from t5grid.grid.published import paper_row


@pytest.mark.parametrize(
    ("of", "text"), [("2", "2P"), ("1", "P"), ("1/2", "P/2"), ("3/2", "3P/2"), ("11/13", "0.85P")]
)
def test_multiples_are_written_as_the_paper_does(of, text):
    assert multiple(Fraction(of), "P") == text


@pytest.mark.parametrize("size", ["nano", "base"])
@pytest.mark.slow
def test_parameters_and_cost_of_every_row_are_those_printed_in_table_2(size):
    rows = load_experiment(experiment_path("architectures")).rows.values()
    assert len(rows) == 10
    for row in rows:
        facts = model_facts(load_cell([f"size={size}", *row.overrides]))
        assert {"Params": facts.params, "Cost": facts.cost}.items() <= paper_row(row.paper).facts.items()


def test_facts_are_given_in_the_order_asked_for():
    cell = load_cell(["architecture=prefix_lm"])
    assert shown_facts(cell, ["cost", "parameters"]) == ("M", "229,824")
    assert shown_facts(cell, []) == ()


def test_a_fact_that_is_none_is_refused():
    with pytest.raises(
        ValueError, match=r"^show\.flop: no such fact \(did you mean 'flops'\?\); there are p"
    ):
        check_names(["flop"], "show")
