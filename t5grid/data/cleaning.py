"""pages -> clean pages: C4's heuristics, with counts of what each dropped.

The rules, in order (paper, section 2.2); the two published versions of the paper differ in two numbers and in
the rules marked *:

    citation marks * ("[1]", "[edit]", "[citation needed]") are taken out of lines
    a line goes: no terminal punctuation; too few words; "javascript"; a policy notice *
    a page goes: a word of the bad words list; "lorem ipsum"; a curly bracket; not English; too few sentences
    of three sentences in a row that were met before, on any page, all are taken out

The journal's version (July 2020) has 3 words and 5 sentences and not the rules marked *; the later one has 5
words, 3 sentences and all rules. An ellipsis is no terminal punctuation, as in C4's public recipe.
"""

import gzip
import hashlib
import json
import re
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from t5grid.config.rules import Count, Probability
from t5grid.data.vocabulary import Corpus
from t5grid.files import file_whole
from t5grid.refused import Refused

TERMINAL = re.compile(r"[.!?][\"'\u201d\u2019)\]]*$|[\"\u201d]$")
ELLIPSIS = re.compile(r"(\.\.\.|\u2026)$")
SENTENCE_END = re.compile(r"(?<=[.!?])[\"'\u201d\u2019)\]]*\s+")
CITATION = re.compile(r"\[(?:\d+|edit|citation needed)\]", re.IGNORECASE)
NOTICES = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")
SPAN = 3  # sentences


class Seen:
    """Which spans of sentences were met before: a Bloom filter, whose memory does not grow.

    Of 2^27 bits (16 MiB) four say that a span was met: after ten million, one new span in 200 is taken for an
    old one.
    """

    def __init__(self, bits: int = 27) -> None:
        self.bits = bits
        self.filled = np.zeros(1 << (bits - 3), np.uint8)

    def before(self, text: str) -> bool:
        """Whether the text was asked for before; from now on it was."""
        digest = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "little")
        places = [digest >> (self.bits * i) & ((1 << self.bits) - 1) for i in range(4)]
        known = all(self.filled[place >> 3] >> (place & 7) & 1 for place in places)
        for place in places:
            self.filled[place >> 3] |= 1 << (place & 7)
        return known


@dataclass(frozen=True)
class Rules:
    """What a page has to be like; the defaults are the later published version.

    Args:
        min_words: words a line needs.
        min_sentences: sentences a page needs.
        citations: whether citation marks are taken out.
        notices: whether lines that speak of terms, privacy or cookies go.
        repeated_spans: whether sentences of a span of three that was met before go.
        bad_words: a file with one word or phrase a line, a page with any of which goes; null checks none. The
            study took the "List of Dirty, Naughty, Obscene or Otherwise Bad Words".
        min_english: probability of English that langdetect must give a page (the study: 0.99); null leaves
            languages alone.
    """

    min_words: Count = 5
    min_sentences: Count = 3
    citations: bool = True
    notices: bool = True
    repeated_spans: bool = True
    bad_words: str | None = None
    min_english: Probability | None = None

    def clean(self, page: str, seen: Seen, counts: "Counter[str]") -> str | None:
        """What is left of a page, None where nothing is; `counts` learns what went for which rule."""
        counts["pages read"] += 1
        why, lines = self._page(page, counts)
        if why is None and self.repeated_spans:
            lines = without_repeats(lines, seen, counts)
            why = None if _num_sentences(lines) >= self.min_sentences else self._too_short
        counts["pages kept" if why is None else f"pages dropped: {why}"] += 1
        return "\n".join(lines) if why is None else None

    def _page(self, page: str, counts: "Counter[str]") -> tuple[str | None, list[str]]:
        """Why the page goes (None: it stays) and the lines that stay."""
        lines = []
        for line in map(str.strip, page.splitlines()):
            line = CITATION.sub("", line) if self.citations else line
            counts["lines read"] += bool(line)
            if why := self.drops_line(line):
                counts[f"lines dropped: {why}"] += bool(line)
            else:
                lines.append(line)
        return self.drops_page("\n".join(lines), page), lines

    def drops_line(self, line: str) -> str | None:
        """Why a line goes; None where it stays."""
        lower = line.lower()
        if not TERMINAL.search(line) or ELLIPSIS.search(line):
            return "no terminal punctuation"
        if len(line.split()) < self.min_words:
            return f"fewer than {self.min_words} words"
        if "javascript" in lower:
            return "javascript"
        if self.notices and any(notice in lower for notice in NOTICES):
            return "policy notice"
        return None

    def drops_page(self, text: str, page: str) -> str | None:
        """Why a page goes, of which the lines of `text` are left; None where it stays."""
        lower = page.lower()
        if self.bad_words is not None and _pattern_of(self.bad_words).search(lower):
            return "bad word"
        if "lorem ipsum" in lower:
            return "lorem ipsum"
        if "{" in page:
            return "curly bracket"
        if _num_sentences(text.split("\n")) < self.min_sentences:
            return self._too_short
        if self.min_english is not None and english(text) < self.min_english:
            return "not English"
        return None

    @property
    def _too_short(self) -> str:
        return f"fewer than {self.min_sentences} sentences"


def without_repeats(lines: list[str], seen: Seen, counts: "Counter[str]") -> list[str]:
    """The lines without the sentences of any three in a row that were met before."""
    sentences = [(number, text) for number, line in enumerate(lines) for text in sentences_of(line)]
    repeated: set[int] = set()
    for first in range(len(sentences) - SPAN + 1):
        span = " ".join(text.lower() for _, text in sentences[first : first + SPAN])
        if seen.before(span):
            repeated.update(range(first, first + SPAN))
    counts["sentences dropped: repeated span"] += len(repeated)
    if not repeated:
        return lines
    left: list[list[str]] = [[] for _ in lines]
    for place, (number, text) in enumerate(sentences):
        if place not in repeated:
            left[number].append(text)
    return [" ".join(texts) for texts in left if texts]


def sentences_of(line: str) -> list[str]:
    """A line cut behind its full stops, exclamation and question marks."""
    return [text for text in SENTENCE_END.split(line) if text]


def _num_sentences(lines: list[str]) -> int:
    return sum(len(sentences_of(line)) for line in lines)


@lru_cache(maxsize=2)
def _pattern_of(path: str) -> re.Pattern[str]:
    """A pattern that finds any of the words of a file, as whole words."""
    try:
        words = Path(path).expanduser().read_text(encoding="utf-8").lower().split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"corpus.rules.bad_words={path}: {error}") from None
    alternatives = [re.escape(word.strip()) for word in words if word.strip()]
    if not alternatives:
        raise Refused(f"corpus.rules.bad_words={path}: holds no word")
    return re.compile(rf"(?<!\w)(?:{'|'.join(alternatives)})(?!\w)")


def english(text: str) -> float:
    """The probability of English that langdetect gives a text. Raises Refused without that package."""
    try:
        from langdetect import DetectorFactory, detect_langs
        from langdetect.lang_detect_exception import LangDetectException
    except ImportError:
        raise Refused("corpus.rules.min_english: needs the package langdetect (pip install)") from None
    DetectorFactory.seed = 0
    try:
        return next((guess.prob for guess in detect_langs(text) if guess.lang == "en"), 0.0)
    except LangDetectException:
        return 0.0


@dataclass(frozen=True)
class Cleaned:
    """Another corpus under the rules; repeated spans are looked for shard by shard, so that these stay apart.

    `t5grid clean` writes the cleaned text once, with spans looked for over all of it.
    """

    source: Corpus
    rules: Rules = field(default_factory=Rules)

    def shards(self) -> list[Any]:
        """The shards of the source."""
        return self.source.shards()

    def documents(self, shard: Any) -> Iterator[str]:
        """What is left of the pages of one shard."""
        return self.counted(shard, Counter())

    def counted(self, shard: Any, counts: "Counter[str]", seen: Seen | None = None) -> Iterator[str]:
        """`documents`, while `counts` learns what each rule dropped; `seen` brings spans of other shards."""
        seen = seen or Seen()
        for page in self.source.documents(shard):
            if (left := self.rules.clean(page, seen, counts)) is not None:
                yield left

    def fingerprint(self) -> str:
        """Hash of the source's and of the rules; of the bad words, their file's content."""
        rules = {name: value for name, value in vars(self.rules).items()}
        if self.rules.bad_words is not None:
            rules["bad_words"] = _pattern_of(self.rules.bad_words).pattern
        parts = [self.source.fingerprint(), rules]
        return hashlib.blake2b(json.dumps(parts, sort_keys=True).encode(), digest_size=8).hexdigest()


def clean_whole(corpus: Cleaned, counts: "Counter[str]", folder: Path | None) -> Iterator[Any]:
    """Clean all of a corpus, spans being looked for over all of it; yields each shard when it is done.

    What is left goes to shard-00000.jsonl.gz and so on in `folder` (None: nowhere), each written whole or not
    at all, as `corpus=text` reads it. Memory is the filter's and a document's.
    """
    seen = Seen()
    for number, shard in enumerate(corpus.shards()):
        left = corpus.counted(shard, counts, seen)
        if folder is None:
            deque(left, maxlen=0)
        else:
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"shard-{number:05d}.jsonl.gz"
            with file_whole(path) as partial, gzip.open(partial, "wt", encoding="utf-8") as file:
                file.writelines(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in left)
        yield shard
