"""seed -> records of tasks over long generated documents.

A document is as many sentences of the generated world as fill four parts of about equally many words. What
decides the answer stands in any part (`where` anywhere) or, as a control, at the end, right before the
question. The rest says nothing of the answer.
"""

import hashlib
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

from t5grid.config.rules import Count
from t5grid.nano import lexicon
from t5grid.nano.dice import Dice
from t5grid.nano.facts import KINDS, Fact, draw, say, sentence
from t5grid.nano.nano_task import PATIENCE, BinaryTask, Candidate, NanoTask, row
from t5grid.refused import Refused
from t5grid.tasks.answer import Answer, Class
from t5grid.tasks.task import Record

NUM_PARTS = 4
LOADED = lexicon.PRAISE + lexicon.BLAME
FILLERS = {
    kind: tuple(phrase for phrase in KINDS[kind].phrases if not set(phrase.split()) & set(LOADED))
    for kind in ("food", "place", "hobby")
}
"""Kinds of facts that the rest of a document is made of, and their phrasings without praise or blame."""
Where = Literal["anywhere", "end"]


class Evidence(NamedTuple):
    """What decides an answer: facts, the clauses that tell them, the inputs around a document, the answer."""

    facts: list[Fact]
    clauses: list[str]
    inputs: str
    targets: str


@dataclass(frozen=True)
class LongTask(NanoTask):
    """A task over documents of four parts, of about `part_words` words each.

    Its evidence and two other facts of a document decide which split may have it.
    """

    where: Where = "anywhere"
    part_words: Count = 20
    version: ClassVar[int] = 1

    def evidence(self, dice: Dice, label: int) -> Evidence:
        """What a row with the label numbered `label` stands on; its inputs hold `{text}`."""
        raise NotImplementedError

    def candidate(self, dice: Dice, label: int) -> Candidate:
        evidence, others = self.evidence(dice, label), [_filler(dice), _filler(dice)]
        return [*evidence.facts, *others], [self._row(dice, evidence, others)]

    def _fresh(self, dice: Dice, label: int, split: str, rows: dict[str, Record], num: int) -> list[Record]:
        """As in other tasks; a document is made only where its split may have it."""
        for _ in range(PATIENCE):
            evidence, others = self.evidence(dice, label), [_filler(dice), _filler(dice)]
            if self.usable([*evidence.facts, *others], split):
                new = self._row(dice, evidence, others)
                if new["inputs"] not in rows:
                    return [new]
        raise Refused(f"{self.name}: {split} has no more than about {len(rows)} rows, got num_{split}={num}")

    def _row(self, dice: Dice, evidence: Evidence, others: list[Fact]) -> Record:
        parts = self._parts(dice, evidence.clauses, [_told(fact, dice) for fact in others])
        text = " ".join(sentence(clause) for part in parts for clause in part)
        return row(evidence.inputs.format(text=text), evidence.targets)

    def _parts(self, dice: Dice, clauses: list[str], others: list[str]) -> list[list[str]]:
        """The clauses of each part: those that decide, each in a part of its own or all at the end."""
        order, last = dice.sample(range(NUM_PARTS), NUM_PARTS), NUM_PARTS - 1
        parts: list[list[str]] = [[] for _ in order]
        for number, clause in enumerate(others):
            parts[order[-1 - number]].append(clause)
        for number, clause in enumerate(clauses):
            parts[order[number % NUM_PARTS] if self.where == "anywhere" else last].append(clause)
        for number, part in enumerate(parts):
            while sum(len(clause.split()) for clause in part) < self.part_words:
                part.insert(0, _told(_filler(dice), dice))
            if self.where == "anywhere" or number < last:
                parts[number] = dice.shuffled(part)
        return parts

    def fingerprint(self) -> str:
        """Identity of the rows, with where the evidence stands."""
        identity = (super().fingerprint(), self.where, self.part_words)
        return hashlib.sha256(repr(identity).encode()).hexdigest()


def _filler(dice: Dice) -> Fact:
    """A fact that decides nothing."""
    return draw(dice, dice.pick(lexicon.NAMES), dice.pick(tuple(FILLERS)))


def _told(fact: Fact, dice: Dice) -> str:
    return say(fact, dice, template=dice.pick(FILLERS[fact.kind]))


OPINIONS = ("everyone knows that {n} is {w}", "nobody doubts that {n} is {w}", "{n} is {w} as ever")
NEUTRAL = ("nurse", "baker", "pilot", "judge", "clerk", "cook", "waiter", "singer", "tailor", "miller")


@dataclass(frozen=True)
class Partisan(BinaryTask, LongTask):
    """Is somebody praised or blamed in the text? One sentence does, or says of somebody what the job is."""

    name: str = "partisan"
    reported: ClassVar[tuple[str, ...]] = ("f1",)
    labels: ClassVar[tuple[str, ...]] = ("false", "true")
    answer: ClassVar[Answer] = Class(labels)

    def evidence(self, dice: Dice, label: int) -> Evidence:
        words = LOADED if label else tuple(f"a {job}" for job in NEUTRAL)
        name, word = dice.pick(lexicon.NAMES), dice.pick(words)
        clause = dice.pick(OPINIONS).format(n=name, w=word)
        return Evidence([Fact(name, "opinion", word)], [clause], "partisan text: {text}", self.labels[label])


PETS = ("robin", "cat", "bee", "trout")
TRADES = ("baker", "nurse", "pilot", "judge")


@dataclass(frozen=True)
class DistantQuestion(LongTask):
    """What pet, or what job, does the one individual have of whom that is told? The question stands last."""

    name: str = "distant_question"
    version: ClassVar[int] = 2
    labels: ClassVar[tuple[str, ...]] = PETS + TRADES
    answer: ClassVar[Answer] = Class(labels, second="question:")

    def evidence(self, dice: Dice, label: int) -> Evidence:
        asks_pet = label < len(PETS)
        name = dice.pick(lexicon.NAMES)
        pet, job = self.labels[label] if asks_pet else dice.pick(PETS), dice.pick(TRADES)
        job = job if asks_pet else self.labels[label]
        facts = [Fact(name, "pet", pet), Fact(name, "job", job)]
        clauses = [f"{name} feeds the {pet}", f"{name} works as a {job}"]
        question = f"what {'pet' if asks_pet else 'job'} does {name} have?"
        return Evidence(facts, clauses, f"context: {{text}} question: {question}", self.labels[label])


SHADES = ("red", "blue", "green", "yellow")


@dataclass(frozen=True)
class Retrieval(LongTask):
    """The value that was said of a key: four pairs, a part for each, and the key again at the end."""

    name: str = "retrieval"
    labels: ClassVar[tuple[str, ...]] = SHADES
    answer: ClassVar[Answer] = Class(labels, second="query:")

    def evidence(self, dice: Dice, label: int) -> Evidence:
        names = dice.sample(lexicon.NAMES, NUM_PARTS)
        others = [dice.pick(SHADES) for _ in range(NUM_PARTS - 1)]
        pairs = list(zip(names, [self.labels[label], *others], strict=True))
        facts = [Fact(name, "shade", shade) for name, shade in pairs]
        clauses = dice.shuffled([f"{name} wears {shade}" for name, shade in pairs])
        return Evidence(facts, clauses, f"pairs: {{text}} query: {names[0]} wears", self.labels[label])
