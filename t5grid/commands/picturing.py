"""masks, trained parameters, corrupted words -> pictures: text, colour, SVG."""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

SEEN, UNSEEN = "■", "·"
ALL, PART, NONE = "●", "◐", "·"
COLOURS = (34, 33, 35, 36, 32, 31)
"""Of a terminal, one a mark: told apart where several stand beside each other, and named by the mark too."""
CELL, LABEL, LINE = 16, 130, 26
BLUE, GREY = "#0072b2", "#e4e4e4"


def mask_lines(mask: Any, queries: Sequence[str], keys: Sequence[str]) -> Iterator[str]:
    """A mask as text: a line a position that looks, a mark a position it may see."""
    width = max(map(len, queries))
    numbers = "".join(f"{i % 10} " for i in range(1, len(keys) + 1))
    yield f"  {mask.name}: {mask.kind} ({SEEN}: the word of the line sees that of the column)"
    yield f"  {'':>{width + 5}}{numbers}".rstrip()
    for i, word in enumerate(queries):
        marks = " ".join(SEEN if seen else UNSEEN for seen in mask.visible[i])
        yield f"  {i + 1:>3} {word:<{width}} {marks}"


def masks_svg(title: str, masks: Sequence[tuple[Any, Sequence[str], Sequence[str]]]) -> str:
    """Masks below one another as one SVG: blue squares are seen, grey ones are not."""
    parts, top, width = list[str](), LINE, 0
    for mask, queries, keys in masks:
        parts.append(_text(0, top, f"{mask.name}: {mask.kind}", 'font-weight="bold"'))
        top += LABEL
        for j, word in enumerate(keys):
            x = LABEL + CELL * j + 12
            parts.append(_text(x, top - 6, word, f'transform="rotate(-60 {x} {top - 6})"'))
        for i, word in enumerate(queries):
            parts.append(_text(LABEL - 8, top + CELL * i + 12, word, 'text-anchor="end"'))
            for j in range(len(keys)):
                fill = BLUE if mask.visible[i][j] else GREY
                place = f'x="{LABEL + CELL * j}" y="{top + CELL * i}"'
                parts.append(f'<rect {place} width="{CELL - 2}" height="{CELL - 2}" fill="{fill}"/>')
        top += CELL * len(queries) + 2 * LINE
        width = max(width, LABEL + CELL * len(keys) + LABEL // 2)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{top}" role="img"'
    style = 'font-family="DejaVu Sans, Verdana, sans-serif" font-size="11"'
    return "\n".join([f"{head} {style}>", f"<title>{escape(title)}</title>", *parts, "</svg>"]) + "\n"


def _text(x: int, y: int, text: str, more: str) -> str:
    return f'<text x="{x}" y="{y}" {more}>{escape(text)}</text>'


def schedule_lines(counts: Mapping[str, int], episodes: Mapping[int, Mapping[str, int]]) -> Iterator[str]:
    """Which part trains from which step on: `counts[part]` numbers, of which `episodes[step][part]` train."""
    width = max(map(len, [*counts, "trained"]))
    heads = [f"step {step:,}" for step in episodes]
    totals = [f"{sum(trained.values()):,}" for trained in episodes.values()]
    columns = [max(map(len, pair)) for pair in zip(heads, totals, strict=True)]
    yield _row("", "parameters", heads, width, columns)
    for part, count in counts.items():
        trained = [of_step.get(part, 0) for of_step in episodes.values()]
        marks = [NONE if not number else ALL if number == count else PART for number in trained]
        yield _row(part, f"{count:,}", marks, width, columns)
    yield _row("trained", f"{sum(counts.values()):,}", totals, width, columns)
    yield f"  {ALL} all of it is trained, {PART} a part, {NONE} nothing"


def _row(part: str, count: str, marks: Sequence[str], width: int, columns: Sequence[int]) -> str:
    cells = "".join(f"  {mark:>{column}}" for mark, column in zip(marks, columns, strict=True))
    return f"  {part:<{width}}  {count:>13}{cells}"


def in_colour() -> bool:
    """Whether standard output is a terminal that is to be coloured (https://no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def painted(tokens: Sequence[str], plain: Sequence[str], colour: bool) -> str:
    """Tokens in a line, those that do not stand in `plain` at their place or are marks coloured."""
    if not colour:
        return " ".join(tokens)
    marks = list(dict.fromkeys(token for token in tokens if _is_mark(token)))
    texts = []
    for place, token in enumerate(tokens):
        if _is_mark(token):
            texts.append(_in(COLOURS[marks.index(token) % len(COLOURS)], token))
        else:
            same = not plain or (place < len(plain) and plain[place] == token)
            texts.append(token if same else _in(COLOURS[-1], token))
    return " ".join(texts)


def _is_mark(token: str) -> bool:
    return token.startswith(("<", "[")) and token.endswith((">", "]"))


def _in(number: int, text: str) -> str:
    return f"\x1b[1;{number}m{text}\x1b[0m"
