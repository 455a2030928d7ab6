"""seed -> documents that are lists of solved exercises; a corpus with some.

All items of a document are of one kind and written alike, so that what is asked can be told from the items
before: words and their opposites, their sorts, good and bad, he and she, phrases in another language,
questions on what was just said, marks that mean something in this list only, calculations. No item is a row
of a task: its content is that of the pre-training split, item by item.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from t5grid.config.rules import NotEmpty, OneOf, Probability
from t5grid.nano import languages, lexicon
from t5grid.nano.arithmetic import CALCULATIONS
from t5grid.nano.corpus import Document, NanoCorpus, pretraining_clause
from t5grid.nano.dice import Dice
from t5grid.nano.facts import answer, article, ask, bucket, is_or_are, passage, people, sentence

VERSION = 2
"""Raised by hand when the same settings make other exercises."""
NUM_WORDS = 60
"""Words after which a list ends, which is about the length of other documents."""

Item = tuple[list, str, str]
"""Its content, what is asked and the answer."""
Exercise = Callable[[Dice], Item]
FORMS = (
    '"{asked}" is "{answer}".',
    "{asked}: {answer}.",
    "Dan asked: {asked} The answer was {answer}.",
)
"""How the items of a document are written; one of these for all."""


def opposites(dice: Dice) -> Exercise:
    """`long` -> `short`."""

    def item(dice: Dice) -> Item:
        first, second = dice.shuffled(dice.pick(lexicon.ANTONYMS))
        return [first, second], first, second

    return item


def sorts(dice: Dice) -> Exercise:
    """`plum` -> `fruit`."""

    def item(dice: Dice) -> Item:
        kind = dice.pick(tuple(lexicon.MEMBERS))
        word = dice.pick(lexicon.MEMBERS[kind])
        return [word, kind], word, kind

    return item


def phrases(dice: Dice) -> Exercise:
    """`the long coat` -> what one language says for it; now and then a clause."""
    language = dice.pick(languages.LANGUAGES)

    def item(dice: Dice) -> Item:
        clause = pretraining_clause(dice)
        content = [clause.core]
        if dice.chance(0.3):
            return content, languages.english(clause), language.translate(clause)
        return content, languages.english_phrase(clause.subject), language.phrase(clause.subject)

    return item


def questions(dice: Dice) -> Exercise:
    """`Anna is a baker. What is the job of Anna?` -> `baker`."""

    def item(dice: Dice) -> Item:
        individuals = people(dice, (1, 1))
        facts = [fact for person in individuals for fact in person]
        asked = dice.pick(facts)
        told = " ".join(passage(individuals, dice, synonyms=0.0))
        return list(facts), f"{told} {ask(asked, dice)}", answer(asked)

    return item


def moods(dice: Dice) -> Exercise:
    """`The inn was lovely.` -> `good`."""

    def item(dice: Dice) -> Item:
        good, place, word = _judged(dice)
        return ["moods", place, word], _was(place, word), "good" if good else "bad"

    return item


def pronouns(dice: Dice) -> Exercise:
    """`Anna is a baker.` -> `she`."""

    def item(dice: Dice) -> Item:
        name, job = dice.pick(lexicon.NAMES), dice.pick(lexicon.JOBS)
        return ["pronouns", name, job], sentence(f"{name} is {article(job)}"), lexicon.PRONOUN[name]

    return item


def marks(dice: Dice) -> Exercise:
    """`the inn was lovely` -> one of two words of this list, which say good and bad in it alone."""
    own = dice.sample(lexicon.COLOURS, 2)

    def item(dice: Dice) -> Item:
        good, place, word = _judged(dice)
        return ["marks", place, word], _was(place, word), own[good]

    return item


def _judged(dice: Dice) -> tuple[bool, str, str]:
    """Whether a place is praised, the place, and in which word."""
    good, place = dice.chance(0.5), dice.pick(lexicon.PLACES)
    return good, place, dice.pick(lexicon.PRAISE if good else lexicon.BLAME)


def _was(place: str, word: str) -> str:
    return sentence(f"the {place} {'were' if is_or_are(place) == 'are' else 'was'} {word}")


def sums(dice: Dice) -> Exercise:
    """`17 plus 14` -> `31`, or another calculation of the suite `arithmetic`."""
    task = dice.pick(CALCULATIONS)()

    def item(dice: Dice) -> Item:
        content, (record,) = task.candidate(dice, 0)
        return content, f"What is {content[1]}?", record["targets"]

    return item


OF_WORDS: dict[str, Callable[[Dice], Exercise]] = {
    "opposites": opposites,
    "sorts": sorts,
    "moods": moods,
    "pronouns": pronouns,
    "phrases": phrases,
    "questions": questions,
    "marks": marks,
}
KINDS = OF_WORDS | {"sums": sums}
Kind = Annotated[str, OneOf(tuple(KINDS))]


def exercises(dice: Dice, kinds: tuple[str, ...] = tuple(OF_WORDS)) -> Document:
    """A list of solved exercises of one kind, as a genre of the corpus: content and lines."""
    kind = dice.pick(kinds)
    item, form = KINDS[kind](dice), "Q: {asked} A: {answer}." if kind == "sums" else dice.pick(FORMS)
    content: list = [kind]
    lines: list[str] = []
    while sum(len(line.split()) for line in lines) < NUM_WORDS:
        told, asked, solution = item(dice)
        if bucket(told) == "pretraining":
            content += told
            lines.append(form.format(asked=asked, answer=solution))
    return content, lines


@dataclass(frozen=True)
class NanoExercises(NanoCorpus):
    """A nano corpus in which a share of the documents are exercises of some kinds (null: those of words)."""

    share: Probability = 0.5
    kinds: Annotated[tuple[Kind, ...], NotEmpty()] | None = None

    def fingerprint(self) -> str:
        """Identity of the text: settings and versions, not the code."""
        kinds = sorted(self.kinds or OF_WORDS)
        identity = (super().fingerprint(), "exercises", VERSION, self.share, kinds)
        return hashlib.sha256(repr(identity).encode()).hexdigest()

    def _lines(self, dice: Dice) -> list[str]:
        if not dice.chance(self.share):
            return super()._lines(dice)
        _, lines = exercises(dice, tuple(sorted(self.kinds or OF_WORDS)))
        return lines
