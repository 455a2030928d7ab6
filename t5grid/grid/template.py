"""NAME -> experiments/NAME.yaml: a table to fill in, which runs as it stands."""

from pathlib import Path
from typing import Annotated

from t5grid.config.build import check_type
from t5grid.config.rules import FileName
from t5grid.files import write_whole
from t5grid.grid.graph import experiment_places
from t5grid.refused import Refused

TEMPLATE = """\
# t5grid sweep {name} runs what is missing of it and writes results/tables/{name}-BUDGET.md; add budget=smoke
# to see it happen in a minute or two, and t5grid plan {name} says what it would cost.
title: {title}
# reproduces: Table 6 of Raffel et al. (2020)
# cost: 2 pre-trainings and 2 fine-tunings a column.
# about: What varies, and why.
first_column: Corruption rate
# common: ["suite.use=[questions]"]    # overrides of every row
# x_title: Corruption rate             # a figure over the numbers in `x`
rows:                                  # in printed order; the key is the row's name everywhere
  baseline:
    title: 15%
    overrides: []                      # nothing: conf/config.yaml, the paper's starred baseline
    starred: true                      # exactly one row is
    # x: 0.15
  rate_25:
    title: 25%
    overrides: [objective.rate=0.25, objective.targets_length_at_512=256]   # as on a command line
    # x: 0.25
    # paper: {{table: table06, row: 25%}}  # the published row it stands beside
"""


def write_template(name: str) -> Path:
    """Write the file into the working directory; its path. Raises Refused where there is one of that name."""
    check_type(name, Annotated[str, FileName()], "experiment")
    for place in experiment_places():
        if (place / f"{name}.yaml").exists():
            raise Refused(f"experiment new {name}: there is {place / name}.yaml; take another name")
    path = Path("experiments") / f"{name}.yaml"
    write_whole(path, TEMPLATE.format(name=name, title=name.replace("_", " ").capitalize()))
    return path
