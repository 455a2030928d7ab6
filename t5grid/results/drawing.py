"""figures -> SVG and PNG: drawn once, and kept while they show the same."""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from t5grid.execution.local import num_cores
from t5grid.files import write_whole
from t5grid.results import beside, forest, heat_map, plots
from t5grid.results import table as tables

DRAWING = (plots, tables, beside, forest, heat_map)
"""Modules whose text decides what a figure looks like."""
BOTH = ("svg", "png")
FEWEST_SHARED = 8
"""Figures below which other processes do not pay: each has to import matplotlib first."""

Drawn = dict[str, bytes]
"""Format -> a figure in it; nothing in each where there is nothing to draw."""


@dataclass(frozen=True)
class Figure:
    """One figure: the name of its files, the function of `plots` that draws it, and all that it shows."""

    name: str
    plot: Callable[..., Any]
    shows: tuple[Any, ...]

    def draw(self) -> Any | None:
        """The matplotlib figure; None where there is nothing to draw."""
        return self.plot(*self.shows)

    @cached_property
    def digest(self) -> str:
        """Twelve hex digits of what it shows and what draws it."""
        text = json.dumps([_drawn_by(), self.plot.__name__, _plain(self.shows)], ensure_ascii=False)
        return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


@cache
def _drawn_by() -> list[str]:
    sources = [Path(str(module.__file__)).read_bytes() for module in DRAWING]
    return [version("matplotlib"), *(hashlib.blake2b(source).hexdigest() for source in sources)]


def _plain(value: Any) -> Any:
    """A value as JSON holds it, alike in every process."""
    if dataclasses.is_dataclass(value):
        return [_plain(getattr(value, key.name)) for key in dataclasses.fields(value)]
    if isinstance(value, Mapping):
        return [[_plain(key), _plain(item)] for key, item in value.items()]
    if isinstance(value, frozenset):
        return sorted(value)
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


class Drawings:
    """Figures as files, remembered here and in a folder; one that cannot be written is only remembered."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._known = folder, dict[tuple[str, str], bytes]()

    def __call__(self, figures: Iterable[Figure], formats: Sequence[str]) -> dict[str, Drawn]:
        """Each figure's name -> it in these formats; what neither place has is drawn."""
        figures = list(figures)
        missing = [figure for figure in figures if not all(self._look(figure, form) for form in formats)]
        for figure, drawn in zip(missing, drawn_together(missing, formats), strict=True):
            self._keep(figure, drawn)
        return {
            figure.name: {form: self._known[figure.digest, form] for form in formats} for figure in figures
        }

    def _look(self, figure: Figure, form: str) -> bool:
        with suppress(OSError):
            if (figure.digest, form) not in self._known:
                self._known[figure.digest, form] = self._path(figure, form).read_bytes()
        return (figure.digest, form) in self._known

    def _path(self, figure: Figure, form: str) -> Path:
        return self.folder / f"{figure.name}-{figure.digest}.{form}"

    def _keep(self, figure: Figure, drawn: Drawn) -> None:
        """Remember a figure, in the place of those of its name that showed something else."""
        self._known |= {(figure.digest, form): content for form, content in drawn.items()}
        with suppress(OSError):
            if not (ignored := self.folder / ".gitignore").exists():
                write_whole(ignored, "*\n")
            for form, content in drawn.items():
                for old in self.folder.glob(f"{figure.name}-{'[0-9a-f]' * 12}.{form}"):
                    old.unlink()
                write_whole(self._path(figure, form), content)


def drawn_together(figures: Sequence[Figure], formats: Sequence[str]) -> list[Drawn]:
    """Every figure drawn: by as many processes as there are cores where there are many, else here."""
    cores = num_cores()
    jobs = [(figure, tuple(formats)) for figure in figures]
    if cores > 1 and len(jobs) >= FEWEST_SHARED:
        pool = ProcessPoolExecutor(min(cores, len(jobs)), get_context("spawn"))
        with (
            suppress(BrokenProcessPool),
            pool,
        ):  # of a program whose start cannot be had again, as one typed in
            return list(pool.map(_draw, jobs))
    return [_draw(job) for job in jobs]


def _draw(job: tuple[Figure, tuple[str, ...]]) -> Drawn:
    """A figure in each format, from one drawing."""
    figure, formats = job[0].draw(), job[1]
    render = {"svg": plots.svg, "png": plots.png}
    return {form: b"" if figure is None else render[form](figure) for form in formats}
