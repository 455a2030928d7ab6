"""fact -> one of several English sentences: what is so in the generated world.

A fact is a plain tuple; what is built from facts (a document, a labelled row) is known by them, and a digest
of them decides which split may use it. So pre-training text, training, validation and test rows never share
their content.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from t5grid.nano import lexicon
from t5grid.nano.dice import Dice

BUCKETS = ("pretraining",) * 6 + ("train",) * 2 + ("validation", "test")


class Fact(NamedTuple):
    """One thing that holds of one individual, e.g. `Fact("Anna", "thing", "hat", "red")`."""

    subject: str
    kind: str
    value: str
    extra: str = ""


@dataclass(frozen=True)
class Kind:
    """Phrasings of a kind of fact.

    In a template `{s}` is the subject (a name or a pronoun), `{o}` the subject's name, `{v}` the value,
    `{w}` the extra value; `{a}` and `{aw}` are those with an indefinite article.
    """

    values: tuple[str, ...]
    phrases: tuple[str, ...]
    questions: tuple[str, ...]
    who: str
    check: str
    extras: tuple[str, ...] = ("",)
    asks_extra: bool = False
    """Whether `questions` ask for the extra value."""


KINDS: dict[str, Kind] = {
    "job": Kind(
        lexicon.JOBS,
        ("{s} works as {a}", "{s} is {a}", "{s} earns money as {a}", "the job of {o} is {v}"),
        ("what is the job of {o}?", "what does {o} work as?", "how does {o} earn money?"),
        "who works as {a}?",
        "does {o} work as {a}?",
    ),
    "food": Kind(
        lexicon.FOODS,
        (
            "{s} likes to eat {v}",
            "the favourite food of {o} is {v}",
            "{s} loves {v}",
            "{s} buys {v} every day",
        ),
        ("what does {o} like to eat?", "what is the favourite food of {o}?", "which food does {o} love?"),
        "who likes to eat {v}?",
        "does {o} like to eat {v}?",
    ),
    "place": Kind(
        lexicon.PLACES,
        ("{s} lives near the {v}", "the home of {o} is by the {v}", "{s} has a house beside the {v}"),
        ("what is near the home of {o}?", "what does {o} live near?", "by which place is the house of {o}?"),
        "who lives near the {v}?",
        "does {o} live near the {v}?",
    ),
    "pet": Kind(
        lexicon.ANIMALS,
        ("{s} has a pet {v}", "{s} keeps {a} at home", "the pet of {o} is {a}", "{s} feeds the {v}"),
        ("what pet does {o} have?", "which animal does {o} keep?", "what is the pet of {o}?"),
        "who has a pet {v}?",
        "does {o} have a pet {v}?",
    ),
    "hobby": Kind(
        lexicon.HOBBIES,
        (
            "{s} enjoys {v}",
            "the hobby of {o} is {v}",
            "{s} spends the evening with {v}",
            "{s} is good at {v}",
        ),
        ("what does {o} enjoy?", "what is the hobby of {o}?", "what is {o} good at?"),
        "who enjoys {v}?",
        "does {o} enjoy {v}?",
    ),
    "thing": Kind(
        lexicon.THINGS,
        ("{s} owns {aw} {v}", "the {v} of {o} is {w}", "{s} painted the {v} {w}", "{s} has {aw} {v}"),
        ("what colour is the {v} of {o}?", "in which colour did {o} paint the {v}?"),
        "who owns {aw} {v}?",
        "does {o} own {aw} {v}?",
        lexicon.COLOURS,
        asks_extra=True,
    ),
    "state": Kind(
        lexicon.THINGS,
        ("the {v} of {o} looks {w}", "{s} got {aw} {v} as a gift", "{s} thinks of the {w} {v} at home"),
        ("how does the {v} of {o} look?", "what is the {v} of {o} like?"),
        "who got {aw} {v}?",
        "did {o} get {aw} {v}?",
        lexicon.STATES,
        asks_extra=True,
    ),
    "event": Kind(
        lexicon.THINGS,
        ("{s} {w} the {v}", "the {v} was {part} by {o}", "it was {o} who {w} the {v}"),
        ("what was {part} by {o}?", "which thing was {part} by {o}?"),
        "who {w} the {v}?",
        "was the {v} {part} by {o}?",
        tuple(past for _, past in lexicon.VERBS),
    ),
}
KIND_NAMES = tuple(KINDS)


def bucket(content: Iterable[tuple | str]) -> str:
    """The one split that may use rows made of `content`, whatever its order: 60/20/10/10 per cent."""
    digest = hashlib.blake2b(repr(sorted(content)).encode(), digest_size=4).digest()
    return BUCKETS[int.from_bytes(digest, "big") % len(BUCKETS)]


def article(word: str) -> str:
    """`owl -> an owl`."""
    return ("an " if word[0] in "aeiou" else "a ") + word


def is_or_are(word: str) -> str:
    """`is`, or `are` for a plural food."""
    return "are" if word in lexicon.FOODS and word.endswith("s") else "is"


def surface(word: str, dice: Dice, share: float) -> str:
    """The word, or its synonym in `share` of the cases where it has one."""
    return lexicon.SYNONYM[word] if word in lexicon.SYNONYM and dice.chance(share) else word


def fill(template: str, fact: Fact, subject: str, value: str, extra: str) -> str:
    """`template` with the words given in place of the fact's own."""
    return template.format(
        s=subject,
        o=fact.subject,
        v=value,
        a=article(value),
        w=extra,
        aw=article(extra) if extra else "",
        part=lexicon.PARTICIPLE.get(extra, extra),
    )


def say(fact: Fact, dice: Dice, *, pronoun: bool = False, synonyms: float = 0.3, template: str = "") -> str:
    """One phrasing of the fact as a clause without capital or full stop."""
    subject = lexicon.PRONOUN[fact.subject] if pronoun else fact.subject
    template = template or dice.pick(KINDS[fact.kind].phrases)
    return fill(
        template, fact, subject, surface(fact.value, dice, synonyms), surface(fact.extra, dice, synonyms)
    )


def say_twice(fact: Fact, dice: Dice) -> list[str]:
    """Two different phrasings, which never use a pronoun."""
    return [say(fact, dice, template=template) for template in dice.sample(KINDS[fact.kind].phrases, 2)]


def ask(fact: Fact, dice: Dice) -> str:
    """A question whose answer is `answer(fact)`."""
    return fill(dice.pick(KINDS[fact.kind].questions), fact, fact.subject, fact.value, fact.extra)


def ask_who(fact: Fact) -> str:
    """A question whose answer is the fact's subject."""
    return fill(KINDS[fact.kind].who, fact, fact.subject, fact.value, fact.extra)


def check(fact: Fact) -> str:
    """A yes-or-no question about the fact."""
    return fill(KINDS[fact.kind].check, fact, fact.subject, fact.value, fact.extra)


def answer(fact: Fact) -> str:
    return fact.extra if KINDS[fact.kind].asks_extra else fact.value


def draw(dice: Dice, subject: str, kind: str, avoided: Iterable[Fact] = ()) -> Fact:
    """A fact about `subject` whose values occur in no fact of `avoided`."""
    used = [word for fact in avoided for word in fact[2:]]
    value, extra = dice.pick(KINDS[kind].values), dice.pick(KINDS[kind].extras)
    while value in used or (extra and extra in used):
        value, extra = dice.pick(KINDS[kind].values), dice.pick(KINDS[kind].extras)
    return Fact(subject, kind, value, extra)


def rival(dice: Dice, fact: Fact, subject: str, avoided: Iterable[Fact] = ()) -> Fact:
    """A fact about `subject` that answers the same question as `fact` in another way."""
    drawn = draw(dice, subject, fact.kind, [*avoided, fact])
    return (
        drawn._replace(value=fact.value) if KINDS[fact.kind].asks_extra else drawn._replace(extra=fact.extra)
    )


def people(dice: Dice, counts: tuple[int, ...], kinds: tuple[str, ...] = KIND_NAMES) -> list[list[Fact]]:
    """For each count, an individual with that many facts of different kinds; no two facts share a value."""
    earlier: list[Fact] = []
    individuals = []
    for name, count in zip(dice.sample(lexicon.NAMES, len(counts)), counts, strict=True):
        facts: list[Fact] = []
        for kind in dice.sample(kinds, count):
            facts.append(draw(dice, name, kind, earlier + facts))
        earlier += facts
        individuals.append(facts)
    return individuals


def change(fact: Fact, dice: Dice, avoided: Iterable[Fact] = (), *, same_kind: bool | None = None) -> Fact:
    """The fact with another answer of the same class; an opposite, where there is one.

    Args:
        avoided: facts whose values are not used.
        same_kind: whether the new value must be of the same sort (a fruit for a fruit); None leaves it open.
    """
    if answer(fact) in lexicon.OPPOSITE and same_kind is None and dice.chance(0.7):
        return fact._replace(extra=lexicon.OPPOSITE[fact.extra])
    sort = lexicon.KIND_OF.get(answer(fact))
    while True:
        drawn = draw(dice, fact.subject, fact.kind, [*avoided, fact])
        changed = (
            fact._replace(extra=drawn.extra)
            if KINDS[fact.kind].asks_extra
            else fact._replace(value=drawn.value)
        )
        if same_kind is None or sort is None or (lexicon.KIND_OF.get(answer(changed)) == sort) == same_kind:
            return changed


def sentence(clause: str) -> str:
    """`anna runs -> Anna runs.`"""
    return clause[0].upper() + clause[1:] + "."


def passage(
    individuals: list[list[Fact]],
    dice: Dice,
    templates: dict[Fact, str] | None = None,
    synonyms: float = 0.3,
) -> list[str]:
    """One sentence a fact, person by person; a person just named may be a pronoun.

    Args:
        templates: the phrasing of a fact; a fact that is missing gets any.
    """
    lines = []
    for facts in individuals:
        for index, fact in enumerate(facts):
            pronoun, template = index > 0 and dice.chance(0.6), (templates or {}).get(fact, "")
            lines.append(sentence(say(fact, dice, pronoun=pronoun, synonyms=synonyms, template=template)))
    return lines
