"""scene -> its words in four languages, documents in each, and glossaries.

A scene is a clause (`languages`) in which somebody, or an animal, does something to a thing. All languages
tell of scenes in the same kinds of documents, so that they differ in their words and grammar alone.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, NamedTuple

from t5grid.config.rules import Count, OneOf
from t5grid.config.schema import Share
from t5grid.nano import lexicon
from t5grid.nano.dice import Dice
from t5grid.nano.facts import bucket
from t5grid.nano.languages import (
    ADJECTIVES,
    BAD,
    GOOD,
    LANGUAGES,
    PLACES,
    VERBS,
    Clause,
    Language,
    NounPhrase,
    english_phrase,
    plural,
)

VERSION = 1
"""Raised by hand when the same settings make other text."""
PEOPLE = lexicon.JOBS[:24]
ANIMALS = tuple(
    word
    for word in lexicon.ANIMALS[:12] + lexicon.ANIMALS_BY_KIND["mammal"]
    if word not in ("goose", "sheep")
)
THINGS = lexicon.THINGS[:36]
OPPOSITE = {word: lexicon.OPPOSITE[word] for word in ADJECTIVES if lexicon.OPPOSITE.get(word) in ADJECTIVES}
"""Adjectives that have an opposite in all languages."""
KINDS_OF = {
    word: kind
    for kind, group in (("person", PEOPLE), ("animal", ANIMALS), ("thing", THINGS), ("place", PLACES))
    for word in group
}
"""What a noun is."""


@dataclass(frozen=True)
class English(Language):
    """English, as a language among the constructed ones."""

    def word(self, lemma: str) -> str:
        """The lemma itself."""
        return lemma

    def phrase(self, phrase: NounPhrase, case: str = "") -> str:
        """E.g. `the red cats`."""
        return english_phrase(phrase)

    def verb(self, clause: Clause) -> str:
        """Its past, or its present with an s in the singular."""
        if clause.past:
            return lexicon.PAST[clause.verb]
        return clause.verb if clause.subject.plural else plural(clause.verb)


ENGLISH = English("English", "", "", "SVO", True, "the", "", "", "", "", False, False)
BY_NAME: dict[str, Language] = {language.name.lower(): language for language in (ENGLISH, *LANGUAGES)}
"""name -> language, English first."""


class Word(NamedTuple):
    """A word of a sentence, and the kind of the noun that it is ("" is no noun)."""

    text: str
    kind: str = ""


def words(language: Language, clause: Clause, asked: bool = False) -> list[Word]:
    """The words of `language.translate(clause)`, or of the question who did it."""
    subject = [Word(language.word("who"))] if asked else _nouns(language, clause.subject)
    parts = {
        "S": subject,
        "V": [Word(language.verb(clause))],
        "O": _nouns(language, clause.object, language.object_suffix),
    }
    told = [word for role in language.order for word in parts[role]]
    if clause.place:
        near, place = [Word(language.word("near"))], _nouns(language, NounPhrase(clause.place, "", False))
        told += place + near if language.postposition else near + place
    return told


def _nouns(language: Language, phrase: NounPhrase, case: str = "") -> list[Word]:
    texts = language.phrase(phrase, case).split()
    noun = len(texts) - 1
    if phrase.adjective and not language.adjective_first:
        noun -= 1
    return [Word(text, KINDS_OF[phrase.noun] if i == noun else "") for i, text in enumerate(texts)]


def tell(language: Language, clause: Clause) -> str:
    """The scene as a sentence, in lower case as all texts in several languages."""
    return language.translate(clause) + "."


def ask(language: Language, clause: Clause) -> str:
    """Who does what the scene tells of; the question is of one."""
    one = clause._replace(subject=clause.subject._replace(plural=False))
    return " ".join(word.text for word in words(language, one, asked=True)) + "?"


def scene(dice: Dice, doers: tuple[str, ...] = PEOPLE + ANIMALS, thought: tuple[str, ...] = ()) -> Clause:
    """Somebody of `doers` does something to a thing, of which `thought` is what may be thought."""
    adjective = dice.pick(ADJECTIVES) if dice.chance(0.3) else ""
    subject = NounPhrase(dice.pick(doers), adjective, dice.chance(0.35))
    adjective = dice.pick(thought or ADJECTIVES) if thought or dice.chance(0.5) else ""
    thing = NounPhrase(dice.pick(THINGS), adjective, dice.chance(0.35))
    place = dice.pick(PLACES) if dice.chance(0.35) else ""
    return Clause(subject, dice.pick(VERBS)[0], thing, dice.chance(0.5), place)


def unlabelled(
    dice: Dice, doers: tuple[str, ...] = PEOPLE + ANIMALS, thought: tuple[str, ...] = ()
) -> Clause:
    """A scene that no labelled row may be made of."""
    told = scene(dice, doers, thought)
    while bucket([told.core]) != "pretraining":
        told = scene(dice, doers, thought)
    return told


def stories(dice: Dice, language: Language) -> list[str]:
    """What people do, or animals, told twice: in one tense and in the other."""
    doers = dice.pick((PEOPLE, ANIMALS))
    told = [unlabelled(dice, doers) for _ in range(4)]
    again = [clause._replace(past=not clause.past, place="") for clause in dice.shuffled(told)]
    return [tell(language, clause) for clause in told + again]


def opinions(dice: Dice, language: Language) -> list[str]:
    """Scenes with good things, or with bad ones, alone."""
    thought = GOOD if dice.chance(0.5) else BAD
    return [tell(language, unlabelled(dice, thought=thought)) for _ in range(8)]


def questions(dice: Dice, language: Language) -> list[str]:
    """Scenes, and who it was in each."""
    lines = []
    for _ in range(3):
        told = unlabelled(dice)
        lines += [tell(language, told), ask(language, told._replace(place="", past=not told.past))]
        lines.append(tell(language, told._replace(place="")))
    return lines


def contrasts(dice: Dice, language: Language) -> list[str]:
    """Scenes with a thing of some sort, each beside the same with a thing of the opposite sort."""
    lines = []
    for _ in range(4):
        told = unlabelled(dice, thought=tuple(OPPOSITE))
        other = told.object._replace(adjective=OPPOSITE[told.object.adjective])
        lines += [tell(language, told), tell(language, told._replace(object=other))]
    return lines


GENRES: tuple[Callable[[Dice, Language], list[str]], ...] = (stories, opinions, questions, contrasts)
"""Each as often as any other."""


def glossary(dice: Dice) -> list[str]:
    """English phrases and a sentence beside what a constructed language says for them."""
    language, thought = dice.pick(LANGUAGES), dice.pick((GOOD, BAD, ADJECTIVES))
    told = [unlabelled(dice, thought=thought) for _ in range(4)]
    phrases = [phrase for clause in told for phrase in (clause.subject, clause.object)][:7]
    pairs = [(ENGLISH.phrase(phrase), language.phrase(phrase)) for phrase in phrases]
    pairs.append((ENGLISH.translate(told[0]), language.translate(told[0])))
    return [f'in {language.name}, "{english}" is "{foreign}".' for english, foreign in pairs]


@dataclass(frozen=True)
class LanguageCorpus:
    """Generated documents in one language, or glossaries of all, e.g. `LanguageCorpus("norvin", 10_000)`.

    There are `share` times `num_documents` of them: as much text as there is of the language.
    """

    language: Annotated[str, OneOf((*BY_NAME, "glossaries"))]
    num_documents: Count
    share: Share = 1.0
    seed: int = 0
    documents_per_shard: Count = 5000

    @property
    def _size(self) -> int:
        return max(1, round(self.share * self.num_documents))

    def shards(self) -> list[int]:
        """Numbers of the shards; all but the last hold `documents_per_shard` documents."""
        return list(range(-(-self._size // self.documents_per_shard)))

    def documents(self, shard: int) -> Iterator[str]:
        """Documents of one shard, each one line of text."""
        dice = Dice("language corpus", self.language, self.seed, shard)
        for _ in range(min(self.documents_per_shard, self._size - shard * self.documents_per_shard)):
            yield " ".join(self._lines(dice))

    def _lines(self, dice: Dice) -> list[str]:
        if self.language == "glossaries":
            return glossary(dice)
        return dice.pick(GENRES)(dice, BY_NAME[self.language])

    def fingerprint(self) -> str:
        """Identity of the text: settings and version, not the code."""
        identity = (VERSION, self.language, self._size, self.seed, self.documents_per_shard)
        return hashlib.sha256(repr(("language corpus", *identity)).encode()).hexdigest()
