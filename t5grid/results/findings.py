"""tables + claims.yaml of each paper -> whether our numbers say what a paper says.

A claim is data: the experiment whose rows it compares, the section it comes from and one or more tests. The
same tests run on the paper's own numbers, in units of its standard deviations (T5: Table 1), and on ours, in
units of our baseline's; columns correspond by what they mirror in the paper. A paper that published no
deviations gives no verdict of its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, median
from typing import Annotated, Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from t5grid.config.build import build
from t5grid.config.rules import AtLeast, Having
from t5grid.grid.published import paper_deviations, paper_folder, papers
from t5grid.refused import Refused
from t5grid.results.table import ROUNDING, WIDTH, Table, paper_columns

AGREES, CONTRADICTS, NOISE, NOT_RUN = "agrees", "contradicts", "within noise", "not run"
UNJUDGED = "no standard deviation"
HEAD = ("| Claim | Paper | Ours | On the paper's numbers |", "| :--- | :--- | :--- | :--- |")
_WORST_FIRST = (CONTRADICTS, NOT_RUN, UNJUDGED, NOISE, AGREES)
NO_YARDSTICK = "no standard deviation: two seeds of the baseline are needed"
NO_PUBLISHED_YARDSTICK = "no standard deviation: the paper published none"


@dataclass(frozen=True)
class Answer:
    """What one test says: a verdict and its numbers."""

    verdict: str
    numbers: str


@dataclass(frozen=True)
class Evidence:
    """Scores by row key and paper column (0 to 100), and the baseline's standard deviation a column.

    `columns` are all that the paper compares its rows in; `no_yardstick` is the answer without a deviation.
    `unanswered` says of a row why its model cannot answer some of them.
    """

    scores: Mapping[str, Mapping[str, float]]
    deviations: Mapping[str, float]
    columns: Sequence[str]
    no_yardstick: Answer = Answer(NOT_RUN, NO_YARDSTICK)
    unanswered: Mapping[str, str] = field(default_factory=dict)

    def gaps(self, higher: str, lower: str, columns: Sequence[str]) -> dict[str, float]:
        """`higher - lower` in every column asked for that both rows and the deviations have, in points."""
        high, low = self.scores.get(higher, {}), self.scores.get(lower, {})
        return {c: high[c] - low[c] for c in columns if c in high and c in low and c in self.deviations}

    def lacking(self, rows: Sequence[str], columns: Sequence[str]) -> Answer | None:
        """What is missing for a comparison of the rows in all columns; None if nothing is."""
        scored = [c for c in columns if all(c in self.scores.get(row, {}) for row in rows)]
        if len(scored) < len(columns):
            reasons = dict.fromkeys(self.unanswered[row] for row in rows if row in self.unanswered)
            why = f" ({', '.join(reasons)})" if reasons else ""
            missing = f"{len(columns) - len(scored)} of {len(columns)} missing{why}"
            return Answer(NOT_RUN, f"{' or '.join(rows)}: {missing}")
        if not all(c in self.deviations for c in columns):
            return self.no_yardstick
        return None

    def beyond(self, gaps: Mapping[str, float]) -> list[str]:
        """The columns whose gap is more than two standard deviations above nothing."""
        return [c for c, gap in gaps.items() if gap > WIDTH * self.deviations[c] + ROUNDING]

    def effect(self, gaps: Mapping[str, float]) -> str:
        """The median gap in points and in standard deviations: `+3.52 (8.4 sd)`."""
        units = [gap / self.deviations[c] for c, gap in gaps.items() if self.deviations[c]]
        size = f" ({median(units):+.1f} sd)" if units else ""
        return f"{median(gaps.values()):+.2f}{size}"


@dataclass(frozen=True)
class Better:
    """Every row of `higher` beats every row of `lower` by more than two standard deviations.

    In at least `at_least` columns (default: more than half); below in more than half contradicts.
    """

    higher: list[str]
    lower: list[str]
    columns: list[str] | None = None
    at_least: Annotated[int, AtLeast(1)] | None = None

    @property
    def rows(self) -> list[str]:
        """Keys of the rows compared."""
        return [*self.higher, *self.lower]

    def __call__(self, evidence: Evidence) -> Answer:
        """The verdict of the pair that says it least."""
        pairs = [self._pair(evidence, high, low) for high in self.higher for low in self.lower]
        return Answer(worst([pair.verdict for pair in pairs]), "; ".join(pair.numbers for pair in pairs))

    def _pair(self, evidence: Evidence, high: str, low: str) -> Answer:
        columns = self.columns or list(evidence.columns)
        if lacking := evidence.lacking([high, low], columns):
            return lacking
        gaps = evidence.gaps(high, low, columns)
        above = evidence.beyond(gaps)
        below = evidence.beyond({c: -gap for c, gap in gaps.items()})
        most = len(columns) // 2 + 1
        verdict = (
            AGREES if len(above) >= (self.at_least or most) else CONTRADICTS if len(below) >= most else NOISE
        )
        where = f"above in {len(above)} of {len(columns)}, below in {len(below)}"
        return Answer(verdict, f"{high} against {low}: {where}; median {evidence.effect(gaps)}")


@dataclass(frozen=True)
class Close:
    """`row` loses at most `at_most` per cent of the score of `to`, on the mean over the columns.

    More than that contradicts where `to` is also above by two standard deviations in more than half of them.
    With `alike` it must not gain more either, and is judged likewise where it does.
    """

    row: str
    to: str
    at_most: float
    columns: list[str] | None = None
    alike: bool = False

    @property
    def rows(self) -> list[str]:
        """Keys of the rows compared."""
        return [self.row, self.to]

    def __call__(self, evidence: Evidence) -> Answer:
        """The verdict and the mean relative loss or gain."""
        columns = self.columns or list(evidence.columns)
        if lacking := evidence.lacking([self.row, self.to], columns):
            return lacking
        gaps = evidence.gaps(self.to, self.row, columns)
        reference = evidence.scores[self.to]
        loss = 100 * fmean(gap / max(reference[c], 1.0) for c, gap in gaps.items())
        limit = f"either way at most {self.at_most:g} %" if self.alike else f"at most {self.at_most:g} %"
        change = f"gains {-loss:.1f} %" if loss < 0 else f"loses {loss:.1f} %"
        up = {c: -gap for c, gap in gaps.items()}
        beyond = evidence.beyond(up if self.alike and loss < 0 else gaps)
        near = (abs(loss) if self.alike else loss) <= self.at_most
        verdict = AGREES if near else CONTRADICTS if 2 * len(beyond) > len(columns) else NOISE
        where = f"beyond two deviations in {len(beyond)} of {len(columns)}; median {evidence.effect(up)}"
        return Answer(verdict, f"{self.row} {change} against {self.to} ({limit}); {where}")


@dataclass(frozen=True)
class Best:
    """`row` is within two standard deviations of the table's best in at least `at_least` columns."""

    row: str
    at_least: Annotated[int, AtLeast(1)]

    @property
    def rows(self) -> list[str]:
        """Keys of the rows compared: the table's others count as far as they have run."""
        return [self.row]

    def __call__(self, evidence: Evidence) -> Answer:
        """The verdict, and how many columns the row leads."""
        ours = evidence.scores.get(self.row, {})
        others = [key for key in evidence.scores if key != self.row]
        scored = [c for c in evidence.columns if c in ours]
        columns = [c for c in scored if c in evidence.deviations]
        if len(scored) < self.at_least or not others:
            return Answer(
                NOT_RUN, f"{self.row}: {len(scored)} of {len(evidence.columns)} columns have a score"
            )
        if len(columns) < self.at_least:
            return evidence.no_yardstick
        beaten: dict[str, list[str]] = {}
        for other in others:
            for column in evidence.beyond(evidence.gaps(other, self.row, columns)):
                beaten.setdefault(column, []).append(other)
        leads = len(columns) - len(beaten)
        winners = sorted({other for others in beaten.values() for other in others})
        by = f"; beaten by {', '.join(winners)}" if winners else ""
        numbers = f"{self.row} is among the best in {leads} of {len(columns)} (at least {self.at_least}){by}"
        return Answer(AGREES if leads >= self.at_least else CONTRADICTS, numbers)


Test = Annotated[Any, Having("__call__", "rows")]


@dataclass(frozen=True)
class Claim:
    """One qualitative statement of the paper, the experiment that can tell, and the tests of it."""

    claim: str
    source: str
    experiment: str
    tests: list[Test]


@dataclass(frozen=True)
class Finding:
    """A claim with our verdict and the paper's own, each with its numbers."""

    name: str
    claim: Claim
    ours: Answer
    paper: Answer


def worst(verdicts: Sequence[str]) -> str:
    """The verdict of several tests together: one contradiction contradicts, one missing leaves it open."""
    return next(verdict for verdict in _WORST_FIRST if verdict in verdicts)


def load_claims(path: Path | None = None) -> dict[str, Claim]:
    """The claims by name, in the file's order; without a path those of all papers, the study's own first.

    Raises Refused naming the file and the claim.
    """
    if path is not None:
        return _read_claims(path)
    claims: dict[str, Claim] = {}
    for paper in papers():
        path = paper_folder(paper) / "claims.yaml"
        own = _read_claims(path) if path.is_file() else {}
        if repeated := [name for name in own if name in claims]:
            raise Refused(f"{path}: {repeated[0]}: another paper has a claim of this name")
        claims |= own
    return claims


def _read_claims(path: Path) -> dict[str, Claim]:
    try:
        plain = OmegaConf.to_container(OmegaConf.load(path))
    except OSError as error:
        raise Refused(f"{path}: {error.strerror or error}") from error
    except (OmegaConfBaseException, YAMLError, UnicodeDecodeError) as error:
        raise Refused(f"{path}: {' '.join(str(error).split())}") from error
    if not isinstance(plain, dict):
        raise Refused(f"{path}: a mapping of claims by name is needed")
    claims = {}
    for name, value in plain.items():
        try:
            claims[str(name)] = build(value, str(name), Claim)
        except Refused as error:
            raise Refused(f"{path}: {error}") from None
    return claims


def evidence_of(table: Table) -> Evidence:
    """Our numbers of a table, under the names of the paper's columns that ours mirror."""
    mirrored = [(column.key, column.mirrors) for column in table.columns if column.mirrors]
    scores = {
        row.key: {paper: mean for key, paper in mirrored if (mean := row.cells[key].mean) is not None}
        for row in table.rows
    }
    deviations = {paper: sd for key, paper in mirrored if (sd := table.deviation(key)) is not None}
    unanswered = {
        row.key: cell.hole for row in table.rows for cell in row.cells.values() if cell.lasting and cell.hole
    }
    return Evidence(scores, deviations, compared_columns(table), unanswered=unanswered)


def paper_evidence(table: Table) -> Evidence:
    """The published numbers of the same rows."""
    scores = {row.key: row.paper.points for row in table.rows if row.paper}
    deviations = paper_deviations(table.paper.name)
    without = Answer(UNJUDGED, NO_PUBLISHED_YARDSTICK)
    return Evidence(scores, deviations, compared_columns(table), without)


def compared_columns(table: Table) -> list[str]:
    """The paper's columns that rows are compared in: all it says it has, else those that the rows have."""
    return table.paper.columns or paper_columns(table)


def answer(claim: Claim, evidence: Evidence) -> Answer:
    """All tests of a claim on one set of numbers."""
    answers = [test(evidence) for test in claim.tests]
    return Answer(worst([one.verdict for one in answers]), ". ".join(one.numbers for one in answers))


def findings(claims: Mapping[str, Claim], tables: Mapping[str, Table]) -> list[Finding]:
    """Every claim judged on the tables by experiment name. Raises Refused for an unknown row."""
    judged = []
    for name, claim in claims.items():
        if claim.experiment in tables:
            table = tables[claim.experiment]
            _check_rows(name, claim, table)
            ours, paper = answer(claim, evidence_of(table)), answer(claim, paper_evidence(table))
        else:
            ours = paper = Answer(NOT_RUN, f"no experiment {claim.experiment}")
        judged.append(Finding(name, claim, ours, paper))
    return judged


def _check_rows(name: str, claim: Claim, table: Table) -> None:
    known = [row.key for row in table.rows]
    for key in (key for test in claim.tests for key in test.rows):
        if key not in known:
            where = f"claims.yaml: {name}: experiments/{claim.experiment}.yaml"
            raise Refused(f"{where} has no row {key!r}; there are {', '.join(known)}")


def to_markdown(judged: Sequence[Finding], scale: str) -> str:
    """The findings as GitHub Markdown: counts, one line a claim, then the numbers behind each."""
    lines = [
        f"| {finding.claim.claim} | {finding.claim.source} | **{finding.ours.verdict}** "
        f"| {finding.paper.verdict} |"
        for finding in judged
    ]
    parts = [
        "## The paper's claims",
        f"{scale}. {_summary(judged)} A difference counts where it exceeds two standard "
        "deviations of the baseline's seeds in its column; the paper's numbers are judged by the same tests "
        f"with the deviations of its Table 1{_unjudged(judged)}.",
        "\n".join([*HEAD, *lines]),
        "### The numbers",
    ]
    for finding in judged:
        parts.append(
            f"**{finding.claim.claim}** (experiment `{finding.claim.experiment}`)\n\n"
            f"- ours, {finding.ours.verdict}: {finding.ours.numbers}\n"
            f"- paper, {finding.paper.verdict}: {finding.paper.numbers}"
        )
    return "\n\n".join(parts) + "\n"


def _summary(judged: Sequence[Finding]) -> str:
    """How many claims there are, and how many of them have which verdict on our numbers."""
    verdicts = [finding.ours.verdict for finding in judged]
    counts = [f"{verdict} {verdicts.count(verdict)}" for verdict in (AGREES, NOISE, NOT_RUN, CONTRADICTS)]
    return f"{len(judged)} claims: {', '.join(counts)}."


def _unjudged(judged: Sequence[Finding]) -> str:
    """What must be said of papers that published no deviations; empty if there is none."""
    some = any(finding.paper.verdict == UNJUDGED for finding in judged)
    return ", and those of a paper that published none are not judged" if some else ""
