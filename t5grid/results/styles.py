"""plain text -> a cell of Markdown, LaTeX or HTML: what renderings are made of."""

import html
import re
from collections.abc import Callable
from dataclasses import dataclass

from t5grid.results.table import Row

_LATEX = {
    **{c: f"\\{c}" for c in "&%$#_{}"},
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"},
    **{"−": "$-$", "★": r"$\bigstar$", "±": r"$\pm$", "–": "--", "×": r"$\times$", "↑": r"$\uparrow$"},
    **{"✓": r"$\checkmark$", "✗": r"$\times$", "≈": r"$\approx$", "ρ": r"$\rho$"},
}


def _escape_latex(text: str) -> str:
    return re.sub('"([^"]*)"', r"``\1''", "".join(_LATEX.get(c, c) for c in text))


def _escape_markdown(text: str) -> str:
    return "".join("\\" + c if c in "\\|*_`<" else c for c in text)


@dataclass(frozen=True)
class Style:
    """The syntax of one format: escape plain text, print it bold, as at the floor, or as a raised mark."""

    escape: Callable[[str], str]
    bold: str
    floor: str
    mark: str
    tint: str = "{text}"


MARKDOWN = Style(_escape_markdown, "**{}**", "*{}*", "<sup>{}</sup>")
LATEX = Style(_escape_latex, r"\textbf{{{}}}", r"\textit{{{}}}", r"\textsuperscript{{{}}}")
HTML = Style(
    *(html.escape, "<b>{}</b>", '<i class="floor">{}</i>', "<sup>{}</sup>"),
    tint='<span class="{kind}">{text}</span>',
)

Lines = list[list[str]]
"""A grid of formatted cells; the first line is the header, the first cell of each other line its title."""


def format_spread(deviation: float | None, style: Style) -> str:
    """A standard deviation with three decimals, as in the paper's Table 1; a dash where there is none."""
    return style.escape("–" if deviation is None else f"± {deviation:.3f}")


def row_title(row: Row, style: Style) -> str:
    return style.escape(("★ " if row.starred else "") + row.title)
