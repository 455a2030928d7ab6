"""tables + claims.yaml of each paper -> whether our numbers say what a paper says.

A claim is data: the experiment whose rows it compares, the section it comes from and one or more tests. The
same tests run on the paper's own numbers, in units of its standard deviations (T5: Table 1), and on ours, in
units of our baseline's; columns correspond by what they mirror in the paper. A paper that published no
deviations gives no verdict of its own.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, median
from typing import Annotated, Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from t5grid.config.build import build
from t5grid.config.rules import AtLeast, Having
from t5grid.grid.published import STUDY, paper_folder, papers
from t5grid.refused import Refused
from t5grid.results.evidence import (
    AGREES,
    CONTRADICTS,
    FLOOR,
    MIXED,
    NOISE,
    NOT_RUN,
    PARTLY,
    UNPUBLISHED,
    Answer,
    Effect,
    Evidence,
    evidence_of,
    joined,
    paper_evidence,
    verdict_of,
)
from t5grid.results.table import ROUNDING, Table


@dataclass(frozen=True)
class Better:
    """Every row of `higher` beats every row of `lower` by more than chance.

    In at least `at_least` columns (default: more than half); what fewer say is `evidence.verdict_of`.
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
        """The verdict on all pairs."""
        pairs = [self._pair(evidence, high, low) for high in self.higher for low in self.lower]
        return joined(pairs, "; ")

    def _pair(self, evidence: Evidence, high: str, low: str) -> Answer:
        columns = self.columns or list(evidence.columns)
        if lacking := evidence.lacking([high, low], columns):
            return lacking
        above = len(evidence.beyond(high, low, columns))
        below = len(evidence.beyond(low, high, columns))
        floor = sum(evidence.both_at_floor(high, low, column) for column in columns)
        needed = self.at_least or len(columns) // 2 + 1
        verdict = verdict_of(above, below, needed, len(columns), floor)
        where = f"above in {above} of {len(columns)} columns, below in {below}"
        where += f", both at the floor in {floor}" if floor else ""
        titles = f"{evidence.title(high)} against {evidence.title(low)}"
        numbers = f"{titles}: {where}; {evidence.effect_text(high, low, columns)}"
        return Answer(
            verdict,
            numbers,
            _rests_on(verdict, above, below, len(columns)),
            _effects(evidence, high, low, columns),
        )


@dataclass(frozen=True)
class Close:
    """`row` loses at most `at_most` per cent of the score of `to`, on the mean over the columns.

    More than that contradicts where `to` is above by more than chance in more than half of them, and is mixed
    where it is in some. A loss of at most that agrees only if chance alone makes no larger one: else it is
    within noise. With `alike` the row must not gain more either, and is judged likewise where it does.
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
        loss, chance = self._loss(evidence, columns)
        lost = len(evidence.beyond(self.to, self.row, columns))
        gained = len(evidence.beyond(self.row, self.to, columns)) if self.alike else 0
        floor = sum(evidence.both_at_floor(self.row, self.to, column) for column in columns)
        beyond = gained if self.alike and loss < 0 else lost
        verdict = self._verdict(loss, chance, beyond, len(columns), floor)
        limit = f"either way at most {self.at_most:g} %" if self.alike else f"at most {self.at_most:g} %"
        change = f"gains {-loss:.1f} ± {chance:.1f} %" if loss < 0 else f"loses {loss:.1f} ± {chance:.1f} %"
        row, to = evidence.title(self.row), evidence.title(self.to)
        where = f"more than chance in {beyond} of {len(columns)} columns"
        effect = evidence.effect_text(self.row, self.to, columns)
        numbers = f"{row} {change} against {to} ({limit}); {where}; {effect}"
        rests_on = f"apart in {beyond} of {len(columns)} columns" if verdict in (CONTRADICTS, MIXED) else ""
        return Answer(verdict, numbers, rests_on, _effects(evidence, self.row, self.to, columns))

    def _loss(self, evidence: Evidence, columns: Sequence[str]) -> tuple[float, float]:
        """The mean loss in per cent, and how large chance alone makes it if columns are independent."""
        gaps = evidence.gaps(self.to, self.row, columns)
        reference = {c: max(evidence.scores[self.to][c], 1.0) for c in gaps}
        chances = [100 * evidence.chance(self.row, self.to, c) / reference[c] for c in gaps]
        loss = 100 * fmean(gap / reference[c] for c, gap in gaps.items())
        return loss, math.hypot(*chances) / len(chances)

    def _verdict(self, loss: float, chance: float, beyond: int, columns: int, at_floor: int) -> str:
        if at_floor == columns:
            return FLOOR
        if (abs(loss) if self.alike else loss) > self.at_most:
            return CONTRADICTS if 2 * beyond > columns else MIXED if beyond else NOISE
        return AGREES if chance <= self.at_most else NOISE


@dataclass(frozen=True)
class GainsMore:
    """`row` gains more over `over` than `than` gains over `than_over`, by more than chance.

    In at least `at_least` columns (default: more than half); a difference of two differences has the chance
    of both.
    """

    row: str
    over: str
    than: str
    than_over: str
    columns: list[str] | None = None
    at_least: Annotated[int, AtLeast(1)] | None = None

    @property
    def rows(self) -> list[str]:
        """Keys of the rows compared."""
        return [self.row, self.over, self.than, self.than_over]

    def __call__(self, evidence: Evidence) -> Answer:
        """The verdict, and by how much in the middle of the columns."""
        columns = self.columns or list(evidence.columns)
        if lacking := evidence.lacking(self.rows, columns):
            return lacking
        more = {column: self._more(evidence, column) for column in columns}
        above = sum(gain > chance for gain, chance in more.values())
        below = sum(gain < -chance for gain, chance in more.values())
        needed = self.at_least or len(columns) // 2 + 1
        verdict = verdict_of(above, below, needed, len(columns))
        titles = [evidence.title(key) for key in self.rows]
        points = median(gain for gain, _ in more.values())
        numbers = (
            f"{titles[0]} over {titles[1]} against {titles[2]} over {titles[3]}: more in {above} of "
            f"{len(columns)} columns, less in {below}; median {points:+.2f} points"
        )
        return Answer(verdict, numbers, _rests_on(verdict, above, below, len(columns)))

    def _more(self, evidence: Evidence, column: str) -> tuple[float, float]:
        """What one gain is above the other, and what chance alone makes it, in points."""
        pairs = ((self.row, self.over), (self.than, self.than_over))
        first, second = (evidence.gaps(*pair, [column])[column] for pair in pairs)
        return first - second, math.hypot(*(evidence.chance(*pair, column) for pair in pairs)) + ROUNDING


@dataclass(frozen=True)
class Best:
    """In at least `at_least` columns `row` beats some other row of the table more than chance, none it."""

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
        title = evidence.title(self.row)
        if len(scored) < self.at_least or not others:
            return Answer(NOT_RUN, f"{title}: {len(scored)} of {len(evidence.columns)} columns have a score")
        if len(columns) < self.at_least:
            return evidence.no_yardstick
        beats = {c for other in others for c in evidence.beyond(self.row, other, columns, len(others))}
        winners = {other: evidence.beyond(other, self.row, columns, len(others)) for other in others}
        beaten = {c for of_other in winners.values() for c in of_other}
        leads = len(beats - beaten)
        verdict = verdict_of(
            leads, len(beaten), self.at_least, len(columns), self._at_floor(evidence, columns)
        )
        by = "; ".join(evidence.title(other) for other, of_other in winners.items() if of_other)
        numbers = f"{title} leads in {leads} of {len(columns)} columns (at least {self.at_least})"
        numbers += f", beaten in {len(beaten)}"
        rests_on = _rests_on(verdict, leads, len(beaten), len(columns))
        effects = [e for other in others for e in _effects(evidence, self.row, other, columns)]
        nearest = sorted(effects, key=lambda effect: effect.size)[:1]
        rival = tuple(replace(effect, title=f"{title} over its nearest rival") for effect in nearest)
        return Answer(verdict, numbers + (f" by {by}" if by else ""), rests_on, rival)

    def _at_floor(self, evidence: Evidence, columns: Sequence[str]) -> int:
        """In how many columns no row is above a constant answer."""
        return sum(set(evidence.scores) <= evidence.at_floor.get(c, frozenset()) for c in columns)


def _rests_on(verdict: str, above: int, below: int, columns: int) -> str:
    """The columns that a verdict rests on; empty where none is apart by more than chance."""
    texts = {
        AGREES: f"{above} of {columns} columns",
        PARTLY: f"{above} of {columns} columns, none the other way",
        MIXED: f"{above} of {columns} columns, {below} the other way",
        CONTRADICTS: f"{below} of {columns} columns the other way",
    }
    return texts.get(verdict, "")


def _effects(evidence: Evidence, high: str, low: str, columns: Sequence[str]) -> tuple[Effect, ...]:
    effect = evidence.effect(high, low, columns)
    return (effect,) if effect.sizes else ()


Test = Annotated[Any, Having("__call__", "rows")]


@dataclass(frozen=True)
class Claim:
    """One qualitative statement of the paper, the experiment that can tell, and the tests of it."""

    claim: str
    source: str
    experiment: str
    tests: list[Test]
    paper: str = STUDY


@dataclass(frozen=True)
class Finding:
    """A claim with our verdict and the paper's own, each with its numbers."""

    name: str
    claim: Claim
    ours: Answer
    paper: Answer


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
        claims |= {name: replace(claim, paper=paper) for name, claim in own.items()}
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


def answer(claim: Claim, evidence: Evidence) -> Answer:
    """All tests of a claim on one set of numbers."""
    return joined([test(evidence) for test in claim.tests], ". ")


def findings(claims: Mapping[str, Claim], tables: Mapping[str, Table]) -> list[Finding]:
    """Every claim judged on the tables by experiment name. Raises Refused for an unknown row.

    Those of papers beside the study are left out until their rows have run.
    """
    judged = []
    for name, claim in claims.items():
        if claim.experiment in tables:
            table = tables[claim.experiment]
            _check_rows(name, claim, table)
            ours, paper = answer(claim, evidence_of(table)), _published_answer(claim, table)
        else:
            ours = paper = Answer(NOT_RUN, f"no experiment {claim.experiment}")
        if claim.paper == STUDY or ours.verdict != NOT_RUN:
            judged.append(Finding(name, claim, ours, paper))
    return judged


def _published_answer(claim: Claim, table: Table) -> Answer:
    """What the paper's own numbers say of its claim; some papers are here by their words alone."""
    published = answer(claim, paper_evidence(table))
    return replace(published, verdict=UNPUBLISHED) if published.verdict == NOT_RUN else published


def _check_rows(name: str, claim: Claim, table: Table) -> None:
    known = [row.key for row in table.rows]
    for key in (key for test in claim.tests for key in test.rows):
        if key not in known:
            where = f"claims.yaml: {name}: experiments/{claim.experiment}.yaml"
            raise Refused(f"{where} has no row {key!r}; there are {', '.join(known)}")
