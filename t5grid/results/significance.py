"""seeds -> how far apart two rows must be to differ by more than chance: Student's t.

A table has one yardstick a column, the standard deviation of the baseline's seeds, which the study assumes
for every row (section 3.1.5). From three or five seeds it is itself uncertain: rows that do not differ are
more than two such deviations apart in a fifth of all cases. So the difference of two rows is set against the
t distribution with the degrees of freedom of the seeds that the deviation is from, for the seeds that each
row has. Not a bootstrap over validation rows and seeds: it would take the variation between trainings from
the one seed that most rows have, where there is none to be seen. What a score owes to the rows it is measured
on stands beside it instead, as its standard error, and is the least that a difference has to exceed.
"""

import math
from collections.abc import Sequence
from functools import cache

LEVEL = 0.05
"""How often, of rows that do not differ, a column says that they do: two-sided."""


@cache
def quantile(freedom: float, level: float = LEVEL) -> float:
    """The two-sided quantile of t: 4.30 of two degrees of freedom, 1.96 of infinitely many."""
    from scipy.special import ndtri, stdtrit

    return float(ndtri(1 - level / 2) if math.isinf(freedom) else stdtrit(freedom, 1 - level / 2))


def margin(freedom: float, num_seeds: int, others: int, comparisons: int = 1) -> float:
    """Standard deviations that the means of rows of so many seeds must be apart, for either to be better.

    `freedom` are the degrees of freedom of the deviation, one less than the seeds it is from. Where a row is
    compared with several, the level is shared among the `comparisons` (Bonferroni).

        deviation of 3 seeds: baseline against a row of one seed  -> 4.97
        deviation of 5 seeds: baseline against a row of one seed  -> 3.04
        deviation of 10 runs: two rows of one run, as the paper's -> 3.20
    """
    return quantile(freedom, LEVEL / comparisons) * math.sqrt(1 / num_seeds + 1 / others)


def of_rows(errors: Sequence[float], comparisons: int = 1) -> float:
    """Points that two scores must be apart by the standard errors of both over their validation rows."""
    return quantile(math.inf, LEVEL / comparisons) * math.hypot(*errors)
