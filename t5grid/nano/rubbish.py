"""lines of a document -> the page a crawl would find; or lines about another world.

The embedded stand-ins for what C4's heuristics take out of Common Crawl (paper, sections 2.2 and 3.4.1):
whole pages that are menus, code, filler, lists or gibberish, and buttons and notices around a page's text.
"""

import re
from functools import lru_cache

from t5grid.nano import lexicon
from t5grid.nano.dice import Dice

VERSION = 1
"""Raised by hand when the same settings make other text."""

MENU = ("Home", "Shop", "Login", "Contact", "News", "About us", "Help", "Search", "Basket", "Next page")
NOTICES = (
    "Please enable Javascript to see this page.",
    "This site uses cookies to give you the best experience.",
    "Read our privacy policy and the terms of use.",
    "Click here",
    "Share this page with your friends",
    "No comments yet",
)
LATIN = ("dolor", "sit", "amet", "consectetur", "adipiscing", "elit", "sed", "do", "eiusmod", "tempor")
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def page(lines: list[str], dice: Dice, rubbish: float) -> str:
    """A page's text: with probability `rubbish` no document at all, else the lines, perhaps among notices."""
    if dice.chance(rubbish):
        return dice.pick((menu, code, filler, price_list, gibberish, repetition))(dice)
    if dice.chance(rubbish):
        lines = [" | ".join(dice.sample(MENU, 5)), *lines, *dice.sample(NOTICES, 2)]
    return "\n".join(lines)


def menu(dice: Dice) -> str:
    """Buttons, line by line, without a sentence."""
    return "\n".join(" | ".join(dice.sample(MENU, 5)) for _ in range(9))


def code(dice: Dice) -> str:
    """A script that was taken for text."""
    words = dice.sample(lexicon.THINGS, 8)
    return "\n".join(f"function {word}() {{ return {word}.open({dice.below(100)}); }}" for word in words)


def filler(dice: Dice) -> str:
    """A template nobody has filled in."""
    return "\n".join(f"Lorem ipsum {' '.join(dice.sample(LATIN, 6))}." for _ in range(7))


def price_list(dice: Dice) -> str:
    """Goods and prices, without a sentence."""
    return "\n".join(f"{word} {dice.below(90)}.99" for word in dice.sample(lexicon.THINGS, 20))


def gibberish(dice: Dice) -> str:
    """Letters, as of a file that is not text."""
    return "\n".join("".join(dice.pick(LETTERS) for _ in range(2 + dice.below(7))) for _ in range(50))


def repetition(dice: Dice) -> str:
    """One button over and over."""
    return "\n".join([f"Buy the {dice.pick(lexicon.THINGS)} now"] * 12)


def in_other_words(line: str) -> str:
    """The line with every word of an open class exchanged, always for the same other word.

    Form, names and little words stay; what is true of the world does not.
    """
    return re.sub(r"[A-Za-z]+", lambda match: _exchanged(match.group()), line)


def _exchanged(word: str) -> str:
    counterpart = exchange().get(word.lower())
    if counterpart is None:
        return word
    return counterpart.capitalize() if word[0].isupper() else counterpart


@lru_cache(maxsize=1)
def exchange() -> dict[str, str]:
    """Each word of an open class and the word it is exchanged for: permutations, each of one word form."""
    nouns = (*lexicon.ANIMALS, *lexicon.THINGS, *lexicon.PLACES, *lexicon.JOBS)
    adjectives = (*lexicon.COLOURS, *lexicon.PRAISE, *lexicon.BLAME, *lexicon.STATES)
    exchanged: dict[str, str] = {}
    for group in (nouns, adjectives, lexicon.FOODS, lexicon.HOBBIES):
        words = sorted({*group, *(lexicon.SYNONYM[word] for word in group if word in lexicon.SYNONYM)})
        exchanged |= zip(words, Dice("exchange", words[0]).shuffled(words), strict=True)
    return exchanged
