"""seed -> documents with opinions of one domain: places and food, or things and people.

The domains have no target in common, and two in five of the words that praise or blame are each domain's
own; the remaining fifth, names and little words are of both.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Annotated

from t5grid.config.rules import NotEmpty, OneOf
from t5grid.nano import lexicon, word_classes
from t5grid.nano.corpus import BLAMING_ACTS, GENRES, PRAISING_ACTS, Document, NanoCorpus
from t5grid.nano.dice import Dice
from t5grid.nano.facts import article, is_or_are, sentence

VERSION = 1
"""Raised by hand when the same settings make other text."""


@dataclass(frozen=True)
class Domain:
    """What opinions are of, and the words of praise and of blame that no other domain has."""

    targets: tuple[str, ...]
    praise: tuple[str, ...]
    blame: tuple[str, ...]

    def words(self, good: bool) -> tuple[str, ...]:
        """Its own words of one polarity, and those of every domain."""
        return (self.praise, self.blame)[not good] + SHARED[good]


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


SHARED = {
    True: _words("good fine great wonderful perfect excellent fabulous joyful"),
    False: _words("bad awful dreadful horrid terrible poor broken hopeless"),
}
"""Good and bad words of every domain."""
DOMAINS = {
    "places_food": Domain(
        lexicon.PLACES + lexicon.FOODS,
        _words(
            "lovely superb tasty splendid pleasant charming delightful fresh magnificent cosy bright tender"
            " beautiful marvellous lively warm"
        ),
        _words(
            "nasty rotten stale dirty dull bitter gloomy foul filthy noisy dismal grim sour dreary"
            " tasteless bland"
        ),
    ),
    "things_people": Domain(
        lexicon.THINGS + lexicon.JOBS,
        _words(
            "brilliant elegant graceful clever funny polite honest gentle smart tidy generous helpful"
            " noble neat witty friendly"
        ),
        _words(
            "ugly boring rude cruel clumsy messy vile lazy greedy shabby wicked weak stupid careless"
            " useless harsh"
        ),
    ),
}


def praise(domain: str, dice: Dice) -> Document:
    """Short cries of praise, or of blame, each about something else of the domain."""
    good, content, lines = dice.chance(0.5), list[str](), list[str]()
    for phrase in dice.shuffled((word_classes.PRAISING if good else word_classes.BLAMING) * 2):
        told, used = _filled(phrase, dice, domain, good)
        lines.append(told)
        content += used
    return content, lines


def _filled(phrase: str, dice: Dice, domain: str, good: bool) -> tuple[str, list[str]]:
    """A sentence of a phrase about something of the domain, and the words in it that make its content."""
    (first, second), name = dice.sample(DOMAINS[domain].words(good), 2), dice.pick(lexicon.NAMES)
    target = dice.pick(DOMAINS[domain].targets)
    told = phrase.format(x=target, n=name, w=first, aw=article(first), w2=second, was=was(target))
    return sentence(told), [name, target, first, second]


def was(target: str) -> str:
    """The past of `is_or_are`."""
    return "were" if is_or_are(target) == "are" else "was"


def opinion(domain: str, dice: Dice) -> Document:
    """Somebody praises or blames some of the domain, and does what one does who is pleased or is not."""
    good, name = dice.chance(0.5), dice.pick(lexicon.NAMES)
    they, acts = lexicon.PRONOUN[name], dice.sample(PRAISING_ACTS if good else BLAMING_ACTS, 3)
    targets, words = dice.sample(DOMAINS[domain].targets, 3), dice.sample(DOMAINS[domain].words(good), 9)
    denied = dice.sample(DOMAINS[domain].words(not good), 3)
    lines = []
    for i, target in enumerate(targets):
        first, second, third = words[3 * i : 3 * i + 3]
        lines.append(sentence(f"{name} said that the {target} {was(target)} {first} and {second}"))
        lines.append(sentence(f"{they} {acts[i]}, for it was not {denied[i]} but {third}"))
    return [name, *targets, *words], lines


WRITERS: dict[str, Callable[[str, Dice], Document]] = {"opinion": opinion, "praise": praise}
"""The genres that tell of one domain."""


@dataclass(frozen=True)
class DomainCorpus(NanoCorpus):
    """Generated documents whose opinions are of some domains, e.g. `DomainCorpus(10_000)`.

    All other genres are those of `NanoCorpus`; they hold no word that is a domain's own praise or blame, but
    for moods. With `genres=[opinion, praise]` it is the domain's text and nothing else.
    """

    domains: Annotated[tuple[Annotated[str, OneOf(tuple(DOMAINS))], ...], NotEmpty()] = ("places_food",)

    def fingerprint(self) -> str:
        """Identity of the text: settings and versions, not the code."""
        identity = ("domains", VERSION, sorted(self.domains), super().fingerprint())
        return hashlib.sha256(repr(identity).encode()).hexdigest()

    @cached_property
    def _writers(self) -> list[Callable[[Dice], Document]]:
        """The writer of each genre in use, in each domain where it has one, as often as its weight says."""
        used = {name: GENRES[name] for name in GENRES if self.genres is None or name in self.genres}
        return [
            partial(WRITERS[name], domain) if name in WRITERS else writer
            for name, (writer, weight) in used.items()
            for domain in sorted(self.domains)
            for _ in range(weight)
        ]
