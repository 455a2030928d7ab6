"""seed -> records whose texts are longer than a model: evidence in any of four parts, a question last.

A document is as many sentences of the generated world as fill four parts of about equally many words. What
decides the answer stands in any part (`where` anywhere) or, as a control, at the end, right before the
question. The rest says nothing of the answer.
"""

import hashlib
from dataclasses import dataclass
from typing import ClassVar, Literal

from t5grid.config.rules import Count
from t5grid.nano import lexicon
from t5grid.nano.dice import Dice
from t5grid.nano.facts import KINDS, Fact, draw, say, sentence
from t5grid.nano.nano_task import BinaryTask, Candidate, NanoTask, row
from t5grid.tasks.answer import Answer, Class

NUM_PARTS = 4
LOADED = lexicon.PRAISE + lexicon.BLAME
FILLERS = {
    kind: tuple(phrase for phrase in KINDS[kind].phrases if not set(phrase.split()) & set(LOADED))
    for kind in ("food", "place", "hobby")
}
"""Kinds of facts that the rest of a document is made of, and their phrasings without praise or blame."""
Where = Literal["anywhere", "end"]


@dataclass(frozen=True)
class LongTask(NanoTask):
    """A task over documents of four parts, of about `part_words` words each."""

    where: Where = "anywhere"
    part_words: Count = 20
    version: ClassVar[int] = 1

    def document(self, dice: Dice, clauses: list[str]) -> tuple[list[Fact], str]:
        """The other facts of a document with these clauses, each in a part of its own, and its text."""
        fillers: list[Fact] = []
        parts = [self._part(dice, told, fillers) for told in self._placed(dice, clauses)]
        return fillers, " ".join(sentence(clause) for part in parts for clause in part)

    def _placed(self, dice: Dice, clauses: list[str]) -> list[list[str]]:
        """The clauses of each part."""
        parts: list[list[str]] = [[] for _ in range(NUM_PARTS)]
        anywhere = dice.sample(range(NUM_PARTS), NUM_PARTS)
        for number, clause in enumerate(clauses):
            parts[anywhere[number % NUM_PARTS] if self.where == "anywhere" else -1].append(clause)
        return parts

    def _part(self, dice: Dice, clauses: list[str], fillers: list[Fact]) -> list[str]:
        """The clauses among as many others as fill a part, or after them."""
        others: list[str] = []
        while sum(len(clause.split()) for clause in (*clauses, *others)) < self.part_words:
            kind = dice.pick(tuple(FILLERS))
            fillers.append(draw(dice, dice.pick(lexicon.NAMES), kind))
            others.append(say(fillers[-1], dice, template=dice.pick(FILLERS[kind])))
        return dice.shuffled([*others, *clauses]) if self.where == "anywhere" else [*others, *clauses]

    def fingerprint(self) -> str:
        """Identity of the rows, with where the evidence stands."""
        identity = (super().fingerprint(), self.where, self.part_words)
        return hashlib.sha256(repr(identity).encode()).hexdigest()


OPINIONS = ("everyone knows that {n} is {w}", "nobody doubts that {n} is {w}", "{n} is {w} as ever")
NEUTRAL = ("nurse", "baker", "pilot", "judge", "clerk", "cook", "waiter", "singer", "tailor", "miller")


@dataclass(frozen=True)
class Partisan(BinaryTask, LongTask):
    """Is somebody praised or blamed in the text? One sentence does, or says of somebody what the job is."""

    name: str = "partisan"
    reported: ClassVar[tuple[str, ...]] = ("f1",)
    labels: ClassVar[tuple[str, ...]] = ("false", "true")
    answer: ClassVar[Answer] = Class(labels)

    def candidate(self, dice: Dice, label: int) -> Candidate:
        words = LOADED if label else tuple(f"a {job}" for job in NEUTRAL)
        name, word = dice.pick(lexicon.NAMES), dice.pick(words)
        fillers, text = self.document(dice, [dice.pick(OPINIONS).format(n=name, w=word)])
        return [Fact(name, "opinion", word), *fillers], [row(f"partisan text: {text}", self.labels[label])]


PETS = ("robin", "cat", "bee", "trout")
TRADES = ("baker", "nurse", "pilot", "judge")


@dataclass(frozen=True)
class DistantQuestion(LongTask):
    """What pet, or what job, does the one individual have of whom that is told? The question stands last."""

    name: str = "distant_question"
    labels: ClassVar[tuple[str, ...]] = PETS + TRADES
    answer: ClassVar[Answer] = Class(labels, second="question:")

    def candidate(self, dice: Dice, label: int) -> Candidate:
        asks_pet = label < len(PETS)
        name = dice.pick(lexicon.NAMES)
        pet, job = self.labels[label] if asks_pet else dice.pick(PETS), dice.pick(TRADES)
        facts = [Fact(name, "pet", pet), Fact(name, "job", job if asks_pet else self.labels[label])]
        fillers, text = self.document(dice, [say(fact, dice, synonyms=0.0) for fact in facts])
        question = f"what {'pet' if asks_pet else 'job'} does {name} have?"
        return [*facts, *fillers], [row(f"context: {text} question: {question}", self.labels[label])]


SHADES = ("red", "blue", "green", "yellow")


@dataclass(frozen=True)
class Retrieval(LongTask):
    """The value that was said of a key: four pairs, a part for each, and the key again at the end."""

    name: str = "retrieval"
    labels: ClassVar[tuple[str, ...]] = SHADES
    answer: ClassVar[Answer] = Class(labels, second="query:")

    def candidate(self, dice: Dice, label: int) -> Candidate:
        names, others = (
            dice.sample(lexicon.NAMES, NUM_PARTS),
            [dice.pick(SHADES) for _ in range(NUM_PARTS - 1)],
        )
        pairs = list(zip(names, [self.labels[label], *others], strict=True))
        fillers, text = self.document(dice, dice.shuffled([f"{name} wears {shade}" for name, shade in pairs]))
        content = [Fact(name, "shade", shade) for name, shade in pairs]
        return [*content, *fillers], [row(f"pairs: {text} query: {names[0]} wears", self.labels[label])]
