"""tables + findings -> what the page opens with: a summary, and scores as heat."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from t5grid.results.evidence import (
    AGREES,
    CONTRADICTS,
    FLOOR,
    MIXED,
    NOISE,
    NOT_RUN,
    PARTLY,
    UNJUDGED,
)
from t5grid.results.findings import Finding
from t5grid.results.table import Table

QUESTION = (
    "T5 (Raffel et al., 2020) casts every language task as text to text and asks what such a model's success "
    "depends on: its architecture, what it is pre-trained to do and on which text, how it is fine-tuned, and "
    "how it is scaled. Here each of the study's tables is run again; a row changes one thing of the starred "
    "baseline, a column is a kind of task."
)
GROUPS = {
    "Agrees with the paper": (AGREES,),
    "Agrees in part": (PARTLY,),
    "Does not agree": (CONTRADICTS, MIXED),
    "Cannot be told": (NOISE, FLOOR, UNJUDGED),
    "Not run": (NOT_RUN,),
}
"""What a stranger is told -> the verdicts that say it."""


@dataclass(frozen=True)
class Group:
    """Claims under one heading, each with its verdict."""

    head: str
    claims: tuple[str, ...]


def summary(tables: Mapping[str, Table], judged: Sequence[Finding]) -> list[str]:
    """What was asked, how much was run, and how far it can be read: a paragraph each."""
    made = list(tables.values())
    if any(table.provenance.meaningless for table in made):
        return [
            QUESTION,
            _how_much(made),
            "This budget shows that every stage runs; its scores mean nothing.",
        ]
    return [QUESTION, _how_much(made), *filter(None, [_at_floor(made), _claims(judged)])]


def _how_much(tables: Sequence[Table]) -> str:
    cells = [cell for table in tables for row in table.rows for cell in row.cells.values()]
    done, trained = sum(not cell.hole for cell in cells), sum(len(cell.by_seed) for cell in cells)
    seeds = {len(table.starred.cells[column.key].by_seed) for table in tables for column in table.columns}
    most = max(seeds, default=0)
    texts = [f"{_counted(len(tables), 'table')}: {done:,} of {len(cells):,} cells have a score"]
    texts += (
        [f"from {trained:,} evaluations; the baseline has {_counted(most, 'seed')}, most rows one"]
        if done
        else []
    )
    return ", ".join(texts) + "."


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _at_floor(tables: Sequence[Table]) -> str:
    """How many scores are no better than a constant answer; empty where no floor is known."""
    known = [
        (table, column.key) for table in tables for column in table.columns if column.key in table.bounds
    ]
    scored = sum(not row.cells[key].hole for table, key in known for row in table.rows)
    low = sum(len(table.at_floor(key)) for table, key in known)
    if not scored:
        return ""
    return (
        f"{low:,} of {scored:,} scores are within two standard deviations of what a constant answer gets: "
        "they are hatched or shaded, and differences among them mean nothing."
    )


def _claims(judged: Sequence[Finding]) -> str:
    """How the claims stand, in a sentence; empty where none is judged."""
    told = [group for group in groups(judged) if group.head != "Not run"]
    number = sum(len(group.claims) for group in told)
    if not number:
        return ""
    parts = [f"{group.head[0].lower()}{group.head[1:]} {len(group.claims)}" for group in told]
    tested = f"Of {_counted(len(judged), 'claim')} of the papers {number} could be put to the test"
    return f"{tested}: {', '.join(parts)}."


def groups(judged: Sequence[Finding]) -> list[Group]:
    """The claims by what can be said of them, headings without any left out."""
    found = {
        head: tuple(
            f"{finding.claim.claim} — {finding.ours}"
            for finding in judged
            if finding.ours.verdict in verdicts
        )
        for head, verdicts in GROUPS.items()
    }
    return [Group(head, claims) for head, claims in found.items() if claims]


def heat(tables: Mapping[str, Table]) -> dict[str, tuple[float, float]]:
    """Column key -> (floor, best): what the colours of its scores lie between, over all tables.

    Where no floor is known it is the lowest score. Columns without any score are left out.
    """
    scores: dict[str, list[float]] = {}
    floors: dict[str, float] = {}
    for table in tables.values():
        floors |= {key: bounds.floor for key, bounds in table.bounds.items()}
        for row in table.rows:
            for key, cell in row.cells.items():
                if cell.mean is not None:
                    scores.setdefault(key, []).append(cell.mean)
    return {key: (floors.get(key, min(of_key)), max(of_key)) for key, of_key in scores.items()}


def warmth(score: float, floor: float, best: float) -> float:
    """Where a score lies between floor (0) and best (1)."""
    return min(1.0, max(0.0, (score - floor) / (best - floor))) if best > floor else 0.0
