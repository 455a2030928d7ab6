"""news articles of SemEval-2019 Task 4 -> Arrow table; their HTML -> plain text.

The hub's repository holds the organisers' own files: a zip of the articles and one of what was judged of them
(Kiesel et al., 2019). They are read as they stand, since their loading script is none that a library of today
would run. A copy of the folder may hold them, or rows in files as other data sets have them.
"""

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from t5grid.refused import Refused
from t5grid.tasks.files import content_of, num_rows, read_table
from t5grid.tasks.hub import Source, out_of_reach, reachable
from t5grid.tasks.own_files import OwnFiles

ARCHIVES = ("articles-training-{config}-20181122.zip", "ground-truth-training-{config}-20181122.zip")
"""The files of a configuration in the repository's folder `data`: articles, and judgements by their ids."""
COLUMNS = ("text", "title", "hyperpartisan", "url", "published_at")
INLINE = frozenset(("a", "abbr", "b", "em", "font", "i", "q", "small", "span", "strong", "sub", "sup", "u"))
"""Tags that part no words; at every other one a word ends."""
UNREAD = frozenset(("script", "style"))


@dataclass(frozen=True)
class ArticleSource(Source):
    """The articles of a configuration; without a validation split, every `held_out`-th is held out."""

    held_out: int = 10

    def table(self, split: str) -> Any:
        """The rows of a split."""
        if self._is_split(split):
            return super().table(split)
        table = self._everything()
        return table.take(_places(table.num_rows, self.held_out, split))

    def hub_paths(self, split: str) -> list[str]:
        """Both archives: they hold all articles."""
        return [f"data/{name.format(config=self.config)}" for name in ARCHIVES]

    def hub_patterns(self, split: str) -> list[str]:
        """The same."""
        return self.hub_paths(split)

    def files(self, split: str) -> list[Path]:
        """The files that a split of a local copy is in: both archives, where they are there."""
        folder = self._folder(self.where(split))
        archives = [folder / path for path in self.hub_paths(split)]
        if all(path.is_file() for path in archives):
            return archives
        return super().files(split if self._is_split(split) else "train")

    def rows(self, split: str) -> int | None:
        """Rows of a split of a local copy, None where it is absent."""
        if not self.has(split):
            return None
        if self._is_split(split):
            return num_rows(self.files(split))
        return len(_places(self._everything().num_rows, self.held_out, split))

    def _is_split(self, split: str) -> bool:
        """Whether a copy parts training rows from others itself."""
        if self.root is None:
            return False
        own = Source(self.repository, self.config, self.root, self.revision)
        return own.has("validation") and own.has(split)

    def _everything(self) -> Any:
        """All articles that were judged."""
        if self.root is None:
            return read_archives(*self._downloaded())
        files = self.files("train")
        return read_archives(*files) if files[0].suffix == ".zip" else read_table(files)

    def _downloaded(self) -> list[Path]:
        """The archives of the hub, in its cache. Raises Refused, one line."""
        where = self.where("train")
        if not reachable():
            raise Refused(out_of_reach(where))
        from huggingface_hub import hf_hub_download

        how: dict[str, Any] = {"repo_type": "dataset", "revision": self.revision}
        try:
            return [Path(hf_hub_download(self.repository, path, **how)) for path in self.hub_paths("train")]
        except ConnectionError as error:
            raise Refused(out_of_reach(where)) from error
        except (OSError, ValueError) as error:
            raise Refused(f"{where}: {' '.join(str(error).split())}") from error


@dataclass(frozen=True)
class ArticleFiles(OwnFiles):
    """Articles in files of one's own, a row each."""

    def where(self, split: str) -> str:
        """How messages call a split."""
        return str(self.files(split)[0])


def _places(number: int, held_out: int, split: str) -> list[int]:
    """Where the rows of a split stand among all."""
    is_validation = split == "validation"
    return [row for row in range(number) if (row % held_out == held_out - 1) == is_validation]


def read_archives(articles: Path, judgements: Path) -> Any:
    """The rows of two archives as a table with `COLUMNS`, in the articles' order.

    Raises:
        Refused: one line, for a file that is no archive of such XML, and an article that was not judged.
    """
    return _read_archives(articles, judgements, content_of([articles, judgements]))


@lru_cache(maxsize=4)
def _read_archives(articles: Path, judgements: Path, content: str) -> Any:
    import pyarrow as pa

    judged = {entry.attrib.get("id"): entry.attrib for entry in _entries(judgements)}
    rows = []
    for entry in _entries(articles):
        own = entry.attrib
        judgement = judged.get(own.get("id"))
        if judgement is None or judgement.get("hyperpartisan") not in ("true", "false"):
            raise Refused(f"{judgements}: says nothing of article {own.get('id')!r} of {articles.name}")
        rows.append(
            {
                "text": _inner(entry),
                "title": own.get("title", ""),
                "hyperpartisan": judgement["hyperpartisan"] == "true",
                "url": judgement.get("url", ""),
                "published_at": own.get("published-at", ""),
            }
        )
    return pa.Table.from_pylist(rows, pa.schema([(name, _kind(name)) for name in COLUMNS]))


def _kind(name: str) -> Any:
    import pyarrow as pa

    return pa.bool_() if name == "hyperpartisan" else pa.string()


def _entries(path: Path) -> Iterator[Any]:
    """The articles in the one XML file of an archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.endswith(".xml")]
            if len(names) != 1:
                raise Refused(f"{path}: holds {len(names)} XML files, expected 1")
            with archive.open(names[0]) as file:
                yield from ElementTree.parse(file).getroot()
    except (zipfile.BadZipFile, OSError, ElementTree.ParseError) as error:
        raise Refused(f"{path}: unreadable ({' '.join(str(error).split())})") from None


def _inner(entry: Any) -> str:
    """What stands in an article, tags and all."""
    parts = [entry.text or "", *(ElementTree.tostring(child, encoding="unicode") for child in entry)]
    return "".join(parts).strip()


class _Reader(HTMLParser):
    """Collects text; `depth` counts open elements that nobody reads."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.depth = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.depth += tag in UNREAD
        self.parts += [] if tag in INLINE else [" "]

    def handle_endtag(self, tag: str) -> None:
        self.depth = max(0, self.depth - (tag in UNREAD))
        self.parts += [] if tag in INLINE else [" "]

    def handle_data(self, data: str) -> None:
        self.parts += [] if self.depth else [data]


def plain_text(html: str) -> str:
    """The text of a piece of HTML: no tags, scripts and styles, characters for entities, single blanks.

    Entities are written twice over in a part of the articles, and read so. Addresses stay.

    >>> plain_text("<p>A <b>b</b>old &amp;amp; new</p><p>day.&#160;</p>")
    'A bold & new day.'
    """
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return " ".join(unescape("".join(reader.parts)).split())
