"""tables + results/paper/claims.yaml -> findings: what the paper says, and whether our numbers say so too.

A claim is data: the experiment whose rows it compares, the section it comes from and one or more tests. The
same tests run on the paper's own numbers (`results/paper`), in units of its standard deviations (Table 1),
and on ours, in units of our baseline's; columns correspond by what they mirror in the paper.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from typing import Annotated, Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from t5grid.config.build import build
from t5grid.config.rules import AtLeast, Having
from t5grid.grid.published import COLUMNS, paper_deviations, paper_folder
from t5grid.refused import Refused
from t5grid.results.table import WIDTH, Table

AGREES, CONTRADICTS, NOISE, NOT_RUN = "agrees", "contradicts", "within noise", "not run"
_WORST_FIRST = (CONTRADICTS, NOT_RUN, NOISE, AGREES)
NO_YARDSTICK = "no standard deviation: two seeds of the baseline are needed"
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Evidence:
    """Scores by row key and paper column (0 to 100), and the baseline's standard deviation a column."""

    scores: Mapping[str, Mapping[str, float]]
    deviations: Mapping[str, float]

    def gaps(self, higher: str, lower: str, columns: Sequence[str]) -> dict[str, float]:
        """`higher - lower` in every column asked for that both rows and the deviations have, in points."""
        high, low = self.scores.get(higher, {}), self.scores.get(lower, {})
        return {c: high[c] - low[c] for c in columns if c in high and c in low and c in self.deviations}

    def lacking(self, rows: Sequence[str], columns: Sequence[str]) -> str:
        """What is missing for a comparison of the rows in all columns; empty if nothing is."""
        scored = [c for c in columns if all(c in self.scores.get(row, {}) for row in rows)]
        if len(scored) < len(columns):
            return f"{' or '.join(rows)}: {len(columns) - len(scored)} of {len(columns)} missing"
        if not all(c in self.deviations for c in columns):
            return NO_YARDSTICK
        return ""

    def beyond(self, gaps: Mapping[str, float]) -> list[str]:
        """The columns whose gap is more than two standard deviations above nothing."""
        return [c for c, gap in gaps.items() if gap > WIDTH * self.deviations[c] + _ROUNDING]

    def effect(self, gaps: Mapping[str, float]) -> str:
        """The median gap in points and in standard deviations: `+3.52 (8.4 sd)`."""
        units = [gap / self.deviations[c] for c, gap in gaps.items() if self.deviations[c]]
        size = f" ({median(units):+.1f} sd)" if units else ""
        return f"{median(gaps.values()):+.2f}{size}"


@dataclass(frozen=True)
class Answer:
    """What one test says: a verdict and its numbers."""

    verdict: str
    numbers: str


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
        columns = self.columns or list(COLUMNS)
        if lacking := evidence.lacking([high, low], columns):
            return Answer(NOT_RUN, lacking)
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
        columns = self.columns or list(COLUMNS)
        if lacking := evidence.lacking([self.row, self.to], columns):
            return Answer(NOT_RUN, lacking)
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
        scored = [c for c in COLUMNS if c in ours]
        columns = [c for c in scored if c in evidence.deviations]
        if len(scored) < self.at_least or not others:
            return Answer(NOT_RUN, f"{self.row}: {len(scored)} of {len(COLUMNS)} columns have a score")
        if len(columns) < self.at_least:
            return Answer(NOT_RUN, NO_YARDSTICK)
        beaten: dict[str, list[str]] = {}
        for other in others:
            for column in evidence.beyond(evidence.gaps(other, self.row, columns)):
                beaten.setdefault(column, []).append(other)
        leads = len(columns) - len(beaten)
        by = (
            f"; beaten by {', '.join(sorted({o for each in beaten.values() for o in each}))}"
            if beaten
            else ""
        )
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
    """The claims by name, in the file's order. Raises ValueError naming the file and the claim."""
    path = path or paper_folder() / "claims.yaml"
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
    found = {paper: table.deviation(key) for key, paper in mirrored}
    return Evidence(scores, {paper: sd for paper, sd in found.items() if sd is not None})


def paper_evidence(table: Table) -> Evidence:
    """The published numbers of the same rows."""
    scores = {
        row.key: {column: float(score) for column, score in row.paper.scores.items() if score}
        for row in table.rows
        if row.paper
    }
    return Evidence(scores, paper_deviations())


def answer(claim: Claim, evidence: Evidence) -> Answer:
    """All tests of a claim on one set of numbers."""
    answers = [test(evidence) for test in claim.tests]
    return Answer(worst([each.verdict for each in answers]), ". ".join(each.numbers for each in answers))


def findings(claims: Mapping[str, Claim], tables: Mapping[str, Table]) -> list[Finding]:
    """Every claim judged on the tables by experiment name. Raises ValueError for an unknown row."""
    found = []
    for name, claim in claims.items():
        if claim.experiment not in tables:
            missing = Answer(NOT_RUN, f"no experiment {claim.experiment}")
            found.append(Finding(name, claim, missing, missing))
            continue
        table = tables[claim.experiment]
        known = [row.key for row in table.rows]
        for key in (key for test in claim.tests for key in test.rows):
            if key not in known:
                where = f"claims.yaml: {name}: experiments/{claim.experiment}.yaml"
                raise Refused(f"{where} has no row {key!r}; there are {', '.join(known)}")
        ours, paper = answer(claim, evidence_of(table)), answer(claim, paper_evidence(table))
        found.append(Finding(name, claim, ours, paper))
    return found


def to_markdown(found: Sequence[Finding], scale: str) -> str:
    """The findings as GitHub Markdown: counts, one line a claim, then the numbers behind each."""
    counts = {
        verdict: sum(each.ours.verdict == verdict for each in found) for verdict in reversed(_WORST_FIRST)
    }
    summary = ", ".join(f"{verdict} {count}" for verdict, count in counts.items())
    parts = [
        "## The paper's claims",
        f"{scale}. {len(found)} claims: {summary}. A difference counts where it exceeds two standard "
        "deviations of the baseline's seeds in its column; the paper's numbers are judged by the same tests "
        "with the deviations of its Table 1.",
        "| Claim | Paper | Ours | On the paper's numbers |\n| :--- | :--- | :--- | :--- |\n"
        + "\n".join(
            f"| {each.claim.claim} | {each.claim.source} | **{each.ours.verdict}** | {each.paper.verdict} |"
            for each in found
        ),
        "### The numbers",
    ]
    for each in found:
        parts.append(
            f"**{each.claim.claim}** (experiment `{each.claim.experiment}`)\n\n"
            f"- ours, {each.ours.verdict}: {each.ours.numbers}\n"
            f"- paper, {each.paper.verdict}: {each.paper.numbers}"
        )
    return "\n\n".join(parts) + "\n"
