"""findings -> Markdown: a line a claim, the numbers behind each, and how to read them."""

from collections.abc import Sequence

from t5grid.results.evidence import UNJUDGED, VERDICTS
from t5grid.results.findings import Finding
from t5grid.results.negative_transfer import NegativeTransfer
from t5grid.results.significance import LEVEL

HEAD = ("| Claim | Paper | Ours | On the paper's numbers |", "| :--- | :--- | :--- | :--- |")

TEST = (
    "Two rows are apart in a column where their difference is more than chance: beyond the two-sided "
    f"{100 * LEVEL:g} % quantile of Student's t, with the degrees of freedom of the baseline's seeds (one "
    "less than there are), whose standard deviation is taken for that of every row. Of twenty comparisons "
    "of rows that do not differ one is apart."
)
VERDICTS_MEAN = (
    "Agrees: in as many columns as the claim says. Partly: in some, none the other way. Mixed: some each "
    "way, or one part of the claim holds and another does not. Contradicts: more than half the other way, "
    "or some and none this way. Within noise: no column is apart, or a loss as small as claimed could not "
    "be seen. At the floor: no row is above a constant answer, so that there is nothing to compare."
)


NEGATIVE = (
    "Where a row without pre-training is above one that differs in pre-training or fine-tuning only, by more "
    "than two standard deviations of the baseline's seeds, in columns where not both are at the floor. Two "
    "deviations are less than what the claims' test asks of rows of few seeds."
)


def to_markdown(judged: Sequence[Finding], scale: str, negative: Sequence[NegativeTransfer] = ()) -> str:
    """The findings as GitHub Markdown: counts, one line a claim, then the numbers behind each.

    Last, where there is any, negative transfer.
    """
    lines = [
        f"| {finding.claim.claim} | {finding.claim.source} | {_bold(finding)} | {finding.paper} |"
        for finding in judged
    ]
    parts = [
        "## The paper's claims",
        f"{scale}. {summary(judged)} {TEST} {VERDICTS_MEAN} Sizes are in standard deviations (sd) of the "
        f"baseline's seeds; the paper's numbers are judged by the same tests with those of its Table 1"
        f"{_unjudged(judged)}.",
        "\n".join([*HEAD, *lines]),
        "### The numbers",
    ]
    for finding in judged:
        parts.append(
            f"**{finding.claim.claim}** (experiment `{finding.claim.experiment}`)\n\n"
            f"- ours, {finding.ours.verdict}: {finding.ours.numbers}\n"
            f"- paper, {finding.paper.verdict}: {finding.paper.numbers}"
        )
    if negative:
        parts += ["### Negative transfer", NEGATIVE, "\n".join(f"- {case}" for case in negative)]
    return "\n\n".join(parts) + "\n"


def _bold(finding: Finding) -> str:
    """Our verdict in bold, and what it rests on."""
    rests_on = f" ({finding.ours.rests_on})" if finding.ours.rests_on else ""
    return f"**{finding.ours.verdict}**{rests_on}"


def summary(judged: Sequence[Finding]) -> str:
    """How many claims there are, and how many of them have which verdict on our numbers."""
    given = [finding.ours.verdict for finding in judged]
    counts = [f"{verdict} {given.count(verdict)}" for verdict in VERDICTS if verdict in given]
    return f"{len(judged)} claims: {', '.join(counts)}."


def _unjudged(judged: Sequence[Finding]) -> str:
    """What must be said of papers that published no deviations; empty if there is none."""
    some = any(finding.paper.verdict == UNJUDGED for finding in judged)
    return ", and those of a paper that published none are not judged" if some else ""
