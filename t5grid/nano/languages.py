"""clause -> English text and its translation into three constructed languages.

They differ in lexicon (every lemma hashes to two syllables of the language's own), word order (SVO, SOV,
VSO; adjective before or after its noun) and morphology (what is marked, and where). A clause is a plain
tuple, so it can be hashed into a split.
"""

import hashlib
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from t5grid.nano import lexicon
from t5grid.nano.dice import Dice

NOUNS = tuple(
    word
    for group in (
        lexicon.JOBS[:24],
        lexicon.ANIMALS[:12],
        lexicon.ANIMALS_BY_KIND["mammal"],
        lexicon.THINGS[:36],
    )
    for word in group
    if word not in ("goose", "fly", "sheep")
)
ADJECTIVES = lexicon.COLOURS[:12] + lexicon.STATES[:16]
VERBS = lexicon.PLAIN_VERBS[:12] + lexicon.GAIN_VERBS[:4]
PLACES = lexicon.PLACES[:24]
GOOD, BAD = lexicon.PRAISE[:16], lexicon.BLAME[:16]
FURTHER = (*GOOD, *BAD, "who")
"""Lemmas that no clause of `clause` has: what is thought of things, and the word that asks."""
LEMMAS = NOUNS + ADJECTIVES + tuple(lemma for lemma, _ in VERBS) + PLACES + ("near",) + FURTHER


class NounPhrase(NamedTuple):
    """A noun with an optional adjective, one or many."""

    noun: str
    adjective: str
    plural: bool


class Clause(NamedTuple):
    """Who did what, when and (optionally) near which place."""

    subject: NounPhrase
    verb: str
    object: NounPhrase
    past: bool
    place: str

    @property
    def core(self) -> tuple[str, ...]:
        """What decides the split of the clause: not its tense and place."""
        return (repr(self.subject), self.verb, repr(self.object))


def noun_phrase(dice: Dice) -> NounPhrase:
    adjective = dice.pick(ADJECTIVES) if dice.chance(0.5) else ""
    return NounPhrase(dice.pick(NOUNS), adjective, dice.chance(0.35))


def clause(dice: Dice) -> Clause:
    place = dice.pick(PLACES) if dice.chance(0.35) else ""
    return Clause(noun_phrase(dice), dice.pick(VERBS)[0], noun_phrase(dice), dice.chance(0.5), place)


def plural(noun: str) -> str:
    """Regular English plural, e.g. `fox -> foxes`, `butterfly -> butterflies`, `wolf -> wolves`."""
    if noun.endswith(("s", "x", "ch", "sh")):
        return noun + "es"
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return noun[:-1] + "ies"
    return noun[:-1] + "ves" if noun in ("wolf", "shelf") else noun + "s"


def english_phrase(phrase: NounPhrase) -> str:
    noun = plural(phrase.noun) if phrase.plural else phrase.noun
    return " ".join(word for word in ("the", phrase.adjective, noun) if word)


def english(clause: Clause) -> str:
    """E.g. `the red cats find the bowl near the mill`."""
    present = clause.verb if clause.subject.plural else plural(clause.verb)
    verb = lexicon.PAST[clause.verb] if clause.past else present
    place = f" near the {clause.place}" if clause.place else ""
    return f"{english_phrase(clause.subject)} {verb} {english_phrase(clause.object)}{place}"


@dataclass(frozen=True)
class Language:
    """A constructed language: sounds, word order and affixes."""

    name: str
    consonants: str
    vowels: str
    order: str  # the order of S, V and O
    adjective_first: bool
    article: str
    plural_suffix: str
    past_suffix: str
    object_suffix: str
    agreement_prefix: str  # on the verb of a plural subject, and on an adjective where adjectives agree
    adjectives_agree: bool
    postposition: bool

    def word(self, lemma: str) -> str:
        """The language's stem for an English lemma."""
        return _stems(self.name, self.consonants, self.vowels)[lemma]

    def phrase(self, phrase: NounPhrase, case: str = "") -> str:
        """A noun phrase, with `case` as the noun's last suffix."""
        noun = self.word(phrase.noun) + (self.plural_suffix if phrase.plural else "") + case
        adjective = self.word(phrase.adjective) if phrase.adjective else ""
        if adjective and self.adjectives_agree and phrase.plural:
            adjective = self.agreement_prefix + adjective
        ordered = (adjective, noun) if self.adjective_first else (noun, adjective)
        return " ".join(word for word in (self.article, *ordered) if word)

    def verb(self, clause: Clause) -> str:
        prefix = self.agreement_prefix if clause.subject.plural else ""
        return prefix + self.word(clause.verb) + (self.past_suffix if clause.past else "")

    def translate(self, clause: Clause) -> str:
        """The clause in this language, lower case, without a full stop."""
        parts = {
            "S": self.phrase(clause.subject),
            "V": self.verb(clause),
            "O": self.phrase(clause.object, self.object_suffix),
        }
        words = [parts[role] for role in self.order]
        if clause.place:
            near, place = self.word("near"), self.phrase(NounPhrase(clause.place, "", False))
            words.append(f"{place} {near}" if self.postposition else f"{near} {place}")
        return " ".join(words)


@cache
def _stems(name: str, consonants: str, vowels: str) -> dict[str, str]:
    """Two syllables a lemma, from a digest of the lemma; a stem that is taken moves on to the next digest."""
    syllables = [consonant + vowel for consonant in consonants for vowel in vowels]
    stems: dict[str, str] = {}
    taken: set[str] = set()
    for lemma in dict.fromkeys(LEMMAS):
        attempt = 0
        while lemma not in stems:
            digest = hashlib.sha256(f"{name} {lemma} {attempt}".encode()).digest()
            stem = syllables[digest[0] % len(syllables)] + syllables[digest[1] % len(syllables)]
            if stem not in taken:
                stems[lemma] = stem
                taken.add(stem)
            attempt += 1
    return stems


# From the hardest to the easiest: four affixes and verb-final; verb-first with an article; nearly English.
NORVIN = Language("Norvin", "gdzrvn", "aoiu", "SOV", False, "", "ri", "zu", "ga", "va", True, True)
KELOSH = Language("Kelosh", "klshtp", "eoia", "VSO", False, "el", "sh", "ke", "", "", False, False)
TAMIRI = Language("Tamiri", "tmrbfj", "aei", "SVO", True, "ta", "m", "ri", "", "", False, False)
LANGUAGES = (NORVIN, KELOSH, TAMIRI)
