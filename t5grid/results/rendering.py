"""Table -> Markdown, LaTeX (booktabs), HTML, CSV: one grid of formatted cells."""

import csv
import io
from collections.abc import Callable, Sequence
from pathlib import Path

from t5grid.files import write_whole
from t5grid.results.beside_lines import (
    GAINS,
    SPREAD,
    gain_lines,
    gain_rule,
    paper_heading,
    paper_lines,
    paper_rule,
)
from t5grid.results.styles import HTML, LATEX, MARKDOWN, Lines, Style, format_spread, row_title
from t5grid.results.table import (
    Row,
    Scores,
    Table,
    caption,
)

CONSTANT, PERFECT, HUMAN = "Constant answer", "Perfect answer", "People"
MEASURED = "Metric (↑ higher is better), rows"
RELATIVE = "Gain over the starred row, as a share of its score"

HTML_STYLE = """
:root { color-scheme: light dark; font: 1rem/1.4 system-ui, sans-serif; }
section { max-width: max-content; margin: 1rem auto; overflow-x: auto; }
p { max-width: 60rem; margin: .3rem 0; }
table { border-collapse: collapse; margin: 1.5rem 0 1rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding-bottom: .4rem; }
th, td { padding: .2rem .6rem; text-align: right; border-bottom: 1px solid #8886; white-space: nowrap; }
th:first-child { text-align: left; font-weight: normal; }
thead tr + tr th { font-weight: normal; font-size: .8rem; }
.same { color: #0072b2; } .opposite { color: #c04a00; } .noise { opacity: .65; }
@media (prefers-color-scheme: dark) { .same { color: #6cb8ea; } .opposite { color: #f0975a; } }
.floor { background: #8884; padding: 0 .3rem; border-radius: .2rem; }
"""


def format_cell(cell: Scores, around: str, spread: bool, holes: Sequence[str], style: Style) -> str:
    """A score with two decimals, as the paper's, put into `around`; a hole as a dash and a number."""
    if cell.mean is None:
        return style.escape("–") + style.mark.format(holes.index(cell.hole or "") + 1)
    text = f"{cell.mean:.2f}"
    if spread and cell.deviation is not None:
        text += f" ± {cell.deviation:.2f}"
    elif spread and cell.error is not None:
        text += f" ({cell.error:.1f})"
    return around.format(style.escape(text))


def _around(table: Table, style: Style) -> Callable[[str, str], str]:
    """(row, column) -> what a score is put into: bold, as at the floor, or nothing."""
    bold = {column.key: table.bold(column.key) for column in table.columns}
    floor = {column.key: table.at_floor(column.key) for column in table.columns}

    def around(row: str, column: str) -> str:
        return style.bold if row in bold[column] else style.floor if row in floor[column] else "{}"

    return around


def our_lines(table: Table, style: Style) -> Lines:
    """Header, rows, what they lie between and the baseline's standard deviations, every cell formatted."""
    around = _around(table, style)
    titles = (table.first_column, *table.shown, *(column.title for column in table.columns))
    lines = [[style.escape(text) for text in titles]]
    for row in table.rows:
        cells = [
            format_cell(cell, around(row.key, key), _has_spread(table, row), table.holes, style)
            for key, cell in row.cells.items()
        ]
        lines.append([row_title(row, style), *map(style.escape, row.shown), *cells])
    spread = [format_spread(table.deviation(column.key), style) for column in table.columns]
    bounds = [[style.escape(text) for text in line] for line in bound_lines(table, "{:.2f}")]
    return [*lines, *bounds, [style.escape(SPREAD), *([""] * len(table.shown)), *spread]]


def _has_spread(table: Table, row: Row) -> bool:
    """Whether a row's scores print their own uncertainty: that of the baseline's seeds has a line."""
    return not table.provenance.meaningless and not (row.starred and row.seeds != (1,))


def bound_lines(table: Table, number: str, unknown: str = "–") -> Lines:
    """What the scores lie between, a line each: a constant answer, a perfect one, people where known."""
    columns = table.columns
    bounds = [table.bounds.get(column.key) for column in columns]
    known: dict[str, list[float | None]] = {
        CONSTANT: [None if of_column is None else of_column.floor for of_column in bounds],
        PERFECT: [None if of_column is None else of_column.ceiling for of_column in bounds],
        HUMAN: [column.human for column in columns],
    }
    return [
        [title, *[""] * len(table.shown), *(unknown if s is None else number.format(s) for s in scores)]
        for title, scores in known.items()
        if any(score is not None for score in scores)
    ]


def measured_line(table: Table, style: Style) -> Lines:
    """What stands under the heads: metric, direction and number of rows of each column; none if unknown."""
    texts = [column.measured for column in table.columns]
    line = [MEASURED, *[""] * len(table.shown), *texts]
    return [[style.escape(text) for text in line]] if any(texts) else []


def relative_lines(table: Table, style: Style) -> Lines:
    """Every other row's gain over the starred one; empty where the experiment does not ask for it."""
    if not table.relative:
        return []
    lines = [[style.escape(text) for text in (table.first_column, *(c.title for c in table.columns))]]
    for row in table.rows:
        if not row.starred:
            gains = [table.gain(row, column.key) for column in table.columns]
            texts = ["–" if gain is None else f"{gain:+.1f}%".replace("-", "−") for gain in gains]
            lines.append([row_title(row, style), *map(style.escape, texts)])
    return lines


def _notes(table: Table, style: Style) -> list[str]:
    """Reasons for the holes, then the rows' notes, then who says what people score."""
    reasons = [
        f"{style.mark.format(k)} {style.escape(' '.join(hole.split()))}"
        for k, hole in enumerate(table.holes, 1)
    ]
    notes = [f"{row.title}: {row.note}." for row in table.rows if row.note]
    people = [f"{HUMAN} in {c.title}: {c.human_source}." for c in table.columns if c.human_source]
    return reasons + [style.escape(text) for text in notes + people]


def markdown_grid(lines: Lines, under: Sequence[list[str]] = ()) -> str:
    """Lines as a GitHub table, numbers to the right; `under` stand right below the head."""
    rule = [":---", *["---:"] * (len(lines[0]) - 1)]
    return "\n".join(f"| {' | '.join(line)} |" for line in [lines[0], rule, *under, *lines[1:]])


def to_markdown(table: Table) -> str:
    """The table as GitHub Markdown: title, caption, our rows, reasons for holes, the paper's rows."""
    sentences = [MARKDOWN.escape(line) for line in caption(table)[:-1]]
    parts = [f"## {MARKDOWN.escape(table.title)}", " ".join(sentences), f"Command: `{table.command}`"]
    parts += [markdown_grid(our_lines(table, MARKDOWN), measured_line(table, MARKDOWN))]
    parts += _notes(table, MARKDOWN)
    if relative := relative_lines(table, MARKDOWN):
        parts += [f"### {RELATIVE}", markdown_grid(relative)]
    if beside := gain_lines(table, MARKDOWN):
        parts += [f"### {GAINS}", gain_rule(table), markdown_grid(beside)]
    if paper := paper_lines(table, MARKDOWN):
        parts += [f"### {MARKDOWN.escape(paper_heading(table))}", *filter(None, [paper_rule(table)])]
        parts += [markdown_grid(paper)]
    return "\n\n".join(parts) + "\n"


def latex_grid(lines: Lines, apart: int = 1, under: Sequence[list[str]] = ()) -> str:
    """Lines as a booktabs tabular, shrunk where the page is narrower; the `apart` last below a rule.

    `under` stand below the head, in small print.
    """
    body = [" & ".join(line) + r" \\" for line in lines]
    align = "l" + "r" * (len(lines[0]) - 1)
    small = [" & ".join(rf"\scriptsize {cell}" for cell in line) + r" \\" for line in under]
    head = [rf"\begin{{tabular}}{{{align}}}", r"\toprule", body[0], *small, r"\midrule"]
    split = len(body) - apart
    last = [r"\midrule", *body[split:]] if apart else []
    tabular = "\n".join([*head, *body[1:split], *last, r"\bottomrule", r"\end{tabular}"])
    return "\\resizebox{\\ifdim\\width>\\linewidth\\linewidth\\else\\width\\fi}{!}{%\n" + tabular + "}"


def to_latex(table: Table) -> str:
    r"""The table as a LaTeX float; needs `booktabs`, `graphicx` and `amssymb` (for \bigstar)."""
    head = LATEX.escape(" ".join([table.title + ".", *caption(table)]))
    parts = [
        "% needs \\usepackage{booktabs,amssymb,graphicx}",
        r"\begin{table}",
        r"\centering\small",
        rf"\caption{{{head}}}\smallskip",
    ]
    apart = 1 + len(bound_lines(table, "{}"))
    parts += [latex_grid(our_lines(table, LATEX), apart, measured_line(table, LATEX))]
    parts += [rf"\par\smallskip{{\footnotesize {note}}}" for note in _notes(table, LATEX)]
    if relative := relative_lines(table, LATEX):
        parts += [rf"\par\medskip {RELATIVE}\par\smallskip", latex_grid(relative, apart=0)]
    if beside := gain_lines(table, LATEX):
        parts += [rf"\par\medskip {LATEX.escape(f'{GAINS}. {gain_rule(table)}')}\par\smallskip"]
        parts += [latex_grid(beside, apart=2)]
    if paper := paper_lines(table, LATEX):
        head = LATEX.escape(f"{paper_heading(table)}. {paper_rule(table)}".strip())
        parts += [rf"\par\medskip {head}\par\smallskip"]
        parts += [latex_grid(paper, apart=int(table.paper.deviations is not None))]
    return "\n".join([*parts, r"\end{table}"]) + "\n"


def html_grid(lines: Lines, title: str, under: Sequence[list[str]] = ()) -> str:
    """Lines as an HTML table with its caption; `under` stand below the head."""
    heads = ["".join(f'<th scope="col">{cell}</th>' for cell in line) for line in (lines[0], *under)]
    body = [
        f'<tr><th scope="row">{line[0]}</th>{"".join(f"<td>{c}</td>" for c in line[1:])}</tr>'
        for line in lines[1:]
    ]
    rows = "\n".join(body)
    head = "".join(f"<tr>{cells}</tr>" for cells in heads)
    head = f"<caption>{title}</caption>\n<thead>{head}</thead>"
    return f"<table>\n{head}\n<tbody>\n{rows}\n</tbody>\n</table>"


def html_page(title: str, parts: Sequence[str]) -> str:
    """A page that stands alone: the parts in a `<section>` under the title, their encoding and style said."""
    head = f'<meta charset="utf-8">\n<title>{title}</title>\n<style>{HTML_STYLE}</style>'
    body = "\n".join([f"<section>\n<h2>{title}</h2>", *parts, "</section>"])
    return f'<!doctype html>\n<html lang="en">\n{head}\n{body}\n</html>\n'


def to_html(table: Table) -> str:
    """The table as an HTML page: a `<section>` with one `<table>` for ours and one for the paper's."""
    title = HTML.escape(table.title)
    parts = [f"<p>{HTML.escape(line)}</p>" for line in caption(table)]
    parts += [
        html_grid(our_lines(table, HTML), title, measured_line(table, HTML)),
        *(f"<p><small>{note}</small></p>" for note in _notes(table, HTML)),
    ]
    if relative := relative_lines(table, HTML):
        parts.append(html_grid(relative, RELATIVE))
    if beside := gain_lines(table, HTML):
        parts.append(html_grid(beside, HTML.escape(f"{GAINS}. {gain_rule(table)}")))
    if paper := paper_lines(table, HTML):
        head = f"{paper_heading(table)}. {paper_rule(table)}".strip()
        parts.append(html_grid(paper, HTML.escape(head)))
    return html_page(title, parts)


def to_csv(table: Table) -> str:
    """The table for programs: means to four decimals, `starred` and `bold` as in the published files.

    `errors` are standard errors over the validation rows, of scores of one seed, one a column.
    A hole is an empty cell, its reason in `holes` as `column: reason`. The last rows are no rows of the table
    (their `row` is empty): what the scores lie between, and the standard deviations.
    """
    titles = [column.title for column in table.columns]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    of_row = ("starred", "bold", "row", "seeds", "holes", "errors")
    writer.writerow([table.first_column, *table.shown, *titles, *of_row])
    writer.writerows(_csv_row(table, row) for row in table.rows)
    deviations = [table.deviation(column.key) for column in table.columns]
    spread = [*[""] * len(table.shown), *("" if sd is None else f"{sd:.4f}" for sd in deviations)]
    for line in (*bound_lines(table, "{:.4f}", unknown=""), [SPREAD, *spread]):
        writer.writerow([*line, 0, "", "", "", "", ""])
    return buffer.getvalue()


def _csv_row(table: Table, row: Row) -> list[str | int]:
    cells = [(column, row.cells[column.key]) for column in table.columns]
    means = ["" if cell.mean is None else f"{cell.mean:.4f}" for _, cell in cells]
    bold = ";".join(column.title for column, _ in cells if row.key in table.bold(column.key))
    holes = "; ".join(f"{column.title}: {' '.join(cell.hole.split())}" for column, cell in cells if cell.hole)
    seeds = ";".join(str(len(cell.by_seed)) for _, cell in cells)
    errors = ";".join("" if cell.error is None else f"{cell.error:.4f}" for _, cell in cells)
    return [row.title, *row.shown, *means, int(row.starred), bold, row.key, seeds, holes, errors]


FORMATS: dict[str, Callable[[Table], str]] = {
    "md": to_markdown,
    "tex": to_latex,
    "html": to_html,
    "csv": to_csv,
}
"""File name ending -> rendering."""


def write_table(table: Table, folder: Path | str, stem: str) -> list[Path]:
    """Write `stem.md`, `.tex`, `.html`, `.csv` into `folder`, each whole or not at all; their paths."""
    texts = {Path(folder) / f"{stem}.{ending}": render(table) for ending, render in FORMATS.items()}
    for path, text in texts.items():
        write_whole(path, text)
    return list(texts)
