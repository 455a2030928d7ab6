"""experiments/NAME.yaml -> Experiment: a table of the study as rows of overrides."""

from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

from t5grid.config.build import build
from t5grid.files import read_yaml
from t5grid.grid.published import STUDY, PaperReference, paper_folder, paper_row
from t5grid.refused import Refused


@dataclass
class RowSpec:
    """One row: its printed title, what it changes in the baseline, and the published row it stands beside."""

    title: str
    overrides: list[str]
    starred: bool = False
    paper: PaperReference | None = None
    note: str = ""
    x: float | None = None
    series: str = ""

    def __post_init__(self) -> None:
        self.overrides = list(self.overrides)
        self.x = None if self.x is None else float(self.x)


@dataclass
class Experiment:
    """One experiment file; a repeated row name is refused.

        title: Corruption rate                    # head of the caption
        reproduces: Table 6 of Raffel et al.      # optional: text
        cost: 4 pre-trainings, 4 x 7 fine-tunings # optional: what has to run
        about: What varies and why.               # optional: a sentence or two
        command: t5grid sweep corruption_rate     # optional: what regenerates the table, if not this
        first_column: Corruption rate             # header of the row titles
        common: [suite=programs]                  # optional: overrides of every row, the starred one too
        show: {parameters: Parameters}            # `grid.facts` as columns: name, title (optional)
        relative: true                            # optional: each score's gain over the starred row's, too
        heat_map: true                            # optional: a figure of the gains over the starred row
        x_title: Corruption rate (%)              # optional: a figure's axis (x_log: decades, and 0)
        published: bert                           # optional: the paper that ours stands beside, if not t5
        rows:                                     # in printed order; the key is the row's name everywhere
          rate_10:
            title: 10%
            overrides: [objective.rate=0.1]           # Hydra grammar, on top of the baseline
            paper: {table: table06, row: 10%}     # null: it has no such row; `of: bert`: another paper
            note: Printed under the table.        # optional
            x: 10                                 # optional: where the row stands in a figure over x_title
            series: with pre-training             # optional: the line it belongs to there
          rate_15: {title: 15%, overrides: [], starred: true, paper: {table: table06, row: 15%}}

    Exactly one row is starred: the baseline, which is `conf/config.yaml` with what is `common` and what the
    row overrides. Rows with equal overrides, here or in another file, share their stages. All published rows
    are of one paper, the experiment's. `name` is the file's stem.
    """

    title: str
    first_column: str
    rows: dict[str, RowSpec]
    reproduces: str = ""
    cost: str = ""
    command: str = ""
    about: str = ""
    common: list[str] = field(default_factory=list)
    relative: bool = False
    show: dict[str, str] = field(default_factory=dict)
    heat_map: bool = False
    x_title: str = ""
    x_log: bool = False
    published: str = ""
    name: str = field(default="", kw_only=True)

    def __post_init__(self) -> None:
        """Find the one paper, and say it in every row. Raises Refused for a row beside another."""
        beside = {key: row.paper.of for key, row in self.rows.items() if row.paper and row.paper.of}
        self.published = self.published or next(iter(beside.values()), STUDY)
        for key, of in beside.items():
            if of != self.published:
                raise Refused(f"rows.{key}.paper.of={of}: the experiment stands beside {self.published}")
        for row in self.rows.values():
            row.paper = replace(row.paper, of=self.published) if row.paper else None

    @property
    def starred(self) -> str:
        """Key of the baseline's row."""
        return next(key for key, row in self.rows.items() if row.starred)


def _problem(experiment: Experiment) -> str:
    """What is wrong with the rows, as one line; empty if nothing is."""
    rows = experiment.rows
    starred = [key for key, row in rows.items() if row.starred]
    if len(starred) != 1:
        return f"rows: exactly one must be starred (the baseline), got {starred or 'none'}"
    for what, values in (("title", [row.title for row in rows.values()]), ("overrides", _sets(rows))):
        value, count = Counter(values).most_common(1)[0]
        if count > 1:
            return f"rows: {count} rows have the {what} {value!r}, each row needs its own"
    return ""


def _sets(rows: dict[str, RowSpec]) -> list[str]:
    return [" ".join(sorted(row.overrides)) for row in rows.values()]


def load_experiment(path: Path | str) -> Experiment:
    """Read and check one experiment file; Refused of one line names the file and the wrong key."""
    path = Path(path)
    plain = read_yaml(path)
    try:
        experiment = build(plain, "experiment", Experiment)
    except Refused as error:
        raise Refused(f"{path}: {str(error).replace('experiment.', '')}") from None
    if not isinstance(experiment, Experiment):
        raise Refused(f"{path}: a mapping with title, rows and more is needed")
    experiment.common = list(experiment.common)
    if problem := _problem(experiment):
        raise Refused(f"{path}: {problem}")
    _check_references(path, experiment)
    return replace(experiment, name=path.stem, command=experiment.command or f"t5grid sweep {path.stem}")


def _check_references(path: Path, experiment: Experiment) -> None:
    where = "published"
    try:
        paper_folder(experiment.published)
        for key, row in experiment.rows.items():
            where = f"rows.{key}.paper"
            _ = row.paper and paper_row(row.paper)
    except Refused as error:
        raise Refused(f"{path}: {where}: {error}") from error
