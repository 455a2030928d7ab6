"""a table beside the paper -> lines: gains, order of the rows, published scores."""

from t5grid.grid.published import PaperRow
from t5grid.results.beside import MARKS, Gain, Order, compared, counterparts, gains, order
from t5grid.results.styles import Lines, Style, format_spread, row_title
from t5grid.results.table import Row, Table, paper_columns, paper_facts, paper_source, paper_spread

SPREAD = "Baseline standard deviation"
BOLD_BESIDE = "Bold as printed there"
BESIDE = "in brackets, ours minus the paper's in the columns that are its own"
GAINS = "Gains over the starred row beside the paper's, in standard deviations"
GAINS_RULE = (
    "Ours / the paper's, each in standard deviations of its own baseline. ✓ same sign and ✗ opposite sign, "
    "both by more than chance (Student's t over the seeds); ≈ within the noise of either."
)
GAINS_IN_POINTS = (
    "Ours in standard deviations / the paper's, which published none, in points. ✓ same sign and ✗ opposite "
    "sign, ours by more than chance (Student's t over the seeds); ≈ within our noise."
)
CORRELATION, PAIRS = "Spearman's ρ of the rows (95 %)", "Pairs of rows ordered alike"


def paper_lines(table: Table, style: Style) -> Lines:
    """The published rows beside ours, bold where printed bold; empty if the paper has none of them."""
    columns = paper_columns(table)
    if not columns:
        return []
    facts = paper_facts(table)
    lines = [[style.escape(text) for text in (table.first_column, *facts, *columns, "Printed in")]]
    for row in table.rows:
        if row.paper:
            known = [style.escape(row.paper.facts.get(fact, "")) for fact in facts]
            lines.append([row_title(row, style), *known, *_paper_cells(table, row, row.paper, style)])
    return [*lines, *_paper_spread_lines(table, len(facts), style)]


def _paper_spread_lines(table: Table, num_facts: int, style: Style) -> Lines:
    """The paper's standard deviations and where they are printed; no line if it published none."""
    paper, spread = table.paper, paper_spread(table)
    if paper.deviations is None:
        return []
    cells = [format_spread(spread.get(column), style) for column in paper_columns(table)]
    source = style.escape(paper.table_title(paper.deviations.table))
    return [[style.escape(SPREAD), *([""] * num_facts), *cells, source]]


def paper_heading(table: Table) -> str:
    """What stands over the published rows: whose they are."""
    if table.paper.called:
        return f"{table.paper.called}'s numbers for the same rows"
    return f"The numbers of the same rows in {paper_source(table)}"


def paper_rule(table: Table) -> str:
    """How to read the published rows, as a sentence."""
    marks_best = table.paper.deviations or any(row.paper and row.paper.bold for row in table.rows)
    rules = [BOLD_BESIDE] if marks_best and not table.provenance.meaningless else []
    rules += [BESIDE] if _own_columns(table) else []
    return "; ".join(rules)[:1].upper() + "; ".join(rules)[1:] + "." * bool(rules)


def _own_columns(table: Table) -> dict[str, str]:
    """The paper's column -> ours, of those that are the paper's own; none at smoke."""
    shown = not table.provenance.meaningless
    return {column.mirrors: column.key for column in table.columns if shown and column.own and column.mirrors}


def _paper_cells(table: Table, row: Row, paper: PaperRow, style: Style) -> list[str]:
    """A row's published scores, each with our difference from it where the column is the paper's own."""
    own, cells = _own_columns(table), []
    for column in paper_columns(table):
        score = style.escape(paper.scores.get(column, ""))
        is_bold = column in paper.bold and not table.provenance.meaningless
        score = style.bold.format(score) if is_bold else score
        mean, points = row.cells[own[column]].mean if column in own else None, paper.points.get(column)
        difference = "" if mean is None or points is None else f" ({mean - points:+.2f})"
        cells.append(score + style.escape(difference.replace("-", "−")))
    return [*cells, style.escape(table.paper.table_title(paper.table))]


def gain_lines(table: Table, style: Style) -> Lines:
    """Gains beside the paper's, rank correlations and pairs; empty where nothing can be compared."""
    columns, known = compared(table), gains(table)
    orders = [order(table, column) for column in columns]
    if not any(of_column.pairs for of_column in orders):
        return []
    heads = [table.first_column, *(f"{column.title} ({column.mirrors})" for column in columns)]
    lines = [[style.escape(text) for text in heads]]
    for row in counterparts(table) if known else ():
        cells = [_gain_cell(known.get(row.key, {}).get(column.key), style) for column in columns]
        lines.append([row_title(row, style), *cells])
    last = [[CORRELATION, *map(_correlation, orders)]]
    last += [[PAIRS, *(f"{of_column.alike} of {of_column.pairs}" for of_column in orders)]]
    return lines + [[style.escape(text) for text in line] for line in last]


def _gain_cell(gain: Gain | None, style: Style) -> str:
    if gain is None:
        return style.escape("–")
    paper = f"{gain.paper:+.2f} points" if gain.in_points else f"{gain.paper:+.1f}"
    text = f"{gain.ours:+.1f} / {paper} {MARKS[gain.agreement]}".replace("-", "−")
    return style.tint.format(kind=gain.agreement, text=style.escape(text))


def _correlation(of_column: Order) -> str:
    if of_column.correlation is None:
        return "–"
    interval = "" if of_column.interval is None else " [{:+.2f}, {:+.2f}]".format(*of_column.interval)
    return f"{of_column.correlation:+.2f}{interval}".replace("-", "−")


def gain_rule(table: Table) -> str:
    """How to read the gains, as a sentence or two."""
    return GAINS_RULE if table.paper.deviations else GAINS_IN_POINTS
