"""seed -> records that need a passage, a reason or another language.

Summaries, questions, translation, and six harder kinds of reasoning; made and split like those
in `sentence_tasks`.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from t5grid.config.rules import Count, OneOf
from t5grid.nano import languages, lexicon
from t5grid.nano.corpus import COUNTERFACTIVE, FACTIVE, OPEN, frame, mood_words
from t5grid.nano.dice import Dice
from t5grid.nano.facts import (
    KINDS,
    Fact,
    answer,
    article,
    ask,
    ask_who,
    change,
    draw,
    is_or_are,
    passage,
    people,
    rival,
    say,
    say_twice,
    sentence,
)
from t5grid.nano.nano_task import Candidate, NanoTask, row
from t5grid.nano.sentence_tasks import TAUGHT
from t5grid.nano.word_classes import RATED
from t5grid.tasks.answer import Answer, Class, Span
from t5grid.tasks.task import Record

TRUTH = ("no", "yes")
TAUGHT_VERBS = FACTIVE[:4] + OPEN[:4] + COUNTERFACTIVE[:4]


def rivals(dice: Dice, counts: tuple[int, ...]) -> tuple[Fact, list[list[Fact]]]:
    """Individuals and one of their facts, which often has a rival that holds of another one."""
    individuals = people(dice, counts)
    facts = [fact for person in individuals for fact in person]
    asked = dice.pick(facts)
    for person in individuals:
        if dice.chance(0.6) and all(fact.kind != asked.kind for fact in person):
            person[-1] = rival(dice, asked, person[0].subject, facts)
            facts.append(person[-1])
    return asked, individuals


def joined(individuals: list[list[Fact]]) -> list[Fact]:
    return [fact for person in individuals for fact in person]


SUMMARY_PHRASES = {
    "food": "eats {v}",
    "pet": "keeps {a}",
    "hobby": "is fond of {v}",
    "thing": "carries {aw} {v}",
    "event": "had {w} the {v}",
}


@dataclass(frozen=True)
class Summarization(NanoTask):
    """Two sentences, in a fixed order and wording, on the individual whom most of the passage is about."""

    name: str = "summarization"
    num_train: Count = 800
    num_validation: Count = 300
    reported: ClassVar[tuple[str, ...]] = ("rouge2",)

    def candidate(self, dice: Dice, label: int) -> Candidate:
        sampled = dice.sample(tuple(SUMMARY_PHRASES), 2)
        chosen = [kind for kind in SUMMARY_PHRASES if kind in sampled]
        minor, (seed,) = people(dice, (2, 1))
        facts: list[Fact] = []
        for kind in ("job", "place", *chosen):
            facts.append(draw(dice, seed.subject, kind, minor + facts))
        document = " ".join(passage(dice.shuffled([dice.shuffled(facts), minor]), dice))
        return [*facts, *minor], [row(f"summarize: {document}", _summary(seed.subject, facts))]

    def score(self, records: list[Record], predictions: list[str]) -> dict[str, float]:
        from t5grid.tasks.metrics import rouge

        return rouge([record["targets"] for record in records], predictions)


def _summary(name: str, facts: list[Fact]) -> str:
    job, place, *details = facts
    clauses = [
        SUMMARY_PHRASES[fact.kind].format(
            v=fact.value,
            a=article(fact.value),
            w=lexicon.PARTICIPLE.get(fact.extra, ""),
            aw=article(fact.extra or "x"),
        )
        for fact in details
    ]
    first = sentence(f"{name}, the {job.value}, lives near the {place.value}")
    return f"{first} {sentence(f'{lexicon.PRONOUN[name]} ' + ' and '.join(clauses))}"


@dataclass(frozen=True)
class Questions(NanoTask):
    """The words of the passage that answer a question about one or two individuals."""

    name: str = "questions"
    num_train: Count = 800
    num_validation: Count = 300
    reported: ClassVar[tuple[str, ...]] = ("em",)
    answer: ClassVar[Answer] = Span(second="context:")
    version: ClassVar[int] = 3

    def candidate(self, dice: Dice, label: int) -> Candidate:
        asked, individuals = rivals(dice, dice.pick(((2,), (1, 1), (1, 1), (2, 1))))
        who = dice.chance(0.25)
        target = asked.subject if who else answer(asked)
        question = ask_who(asked) if who else ask(asked, dice)
        context = " ".join(passage(dice.shuffled(individuals), dice, synonyms=0.0))
        return joined(individuals), [
            row(f"question: {question} context: {context}", target, answers=[target])
        ]

    def score(self, records: list[Record], predictions: list[str]) -> dict[str, float]:
        from t5grid.tasks.metrics import squad

        return squad([record["answers"] for record in records], predictions)


@dataclass(frozen=True)
class Translation(NanoTask):
    """English clauses into one of the constructed languages, a field of `languages` by name."""

    name: str = "translation"
    language: Annotated[str, OneOf(tuple(language.name for language in languages.LANGUAGES))] = "Norvin"
    num_train: Count = 800
    num_validation: Count = 300
    reported: ClassVar[tuple[str, ...]] = ("bleu",)

    def candidate(self, dice: Dice, label: int) -> Candidate:
        (language,) = (language for language in languages.LANGUAGES if language.name == self.language)
        clause = languages.clause(dice)
        inputs = f"translate English to {language.name}: {languages.english(clause)}."
        return [clause.core], [row(inputs, language.translate(clause) + ".")]

    def score(self, records: list[Record], predictions: list[str]) -> dict[str, float]:
        from t5grid.tasks.metrics import bleu

        return bleu([record["targets"] for record in records], predictions)


@dataclass(frozen=True)
class BooleanQuestions(NanoTask):
    """Was something good? Said in a passage, mostly by words that never occur in training rows."""

    name: str = "boolean"
    num_train: Count = 300
    labels: ClassVar[tuple[str, ...]] = TRUTH
    answer: ClassVar[Answer] = Class(labels, second="passage:")
    version: ClassVar[int] = 3

    def candidate(self, dice: Dice, label: int) -> Candidate:
        ((first,), (second,)) = people(dice, (1, 1))
        target, word = dice.pick(RATED), dice.pick(lexicon.PRAISE if label else lexicon.BLAME)
        was = "were" if is_or_are(target) == "are" else "was"
        told = sentence(
            dice.pick(
                (
                    f"the {target} {was} {word}",
                    f"{first.subject} found the {target} {word}",
                    f"{first.subject} said that the {target} {was} {word}",
                )
            )
        )
        shown = " ".join(dice.shuffled([told, sentence(say(first, dice)), sentence(say(second, dice))]))
        inputs = f"boolean question: {was} the {target} good? passage: {shown}"
        return [first, second, (word,)], [row(inputs, self.labels[label])]

    def usable(self, content: list, split: str) -> bool:
        (word,) = content[-1]
        return super().usable(content, split) and (split != "train" or word in TAUGHT)


@dataclass(frozen=True)
class Commitment(NanoTask):
    """Is what somebody knows, thinks or pretends true, open or false? Validation has new verbs too."""

    name: str = "commitment"
    num_train: Count = 300
    labels: ClassVar[tuple[str, ...]] = ("yes", "maybe", "no")
    answer: ClassVar[Answer] = Class(labels, second="premise:")
    version: ClassVar[int] = 3

    def candidate(self, dice: Dice, label: int) -> Candidate:
        (fact,), (speaker,) = people(dice, (1, 1))
        first, second = say_twice(fact, dice)
        verb = dice.pick((FACTIVE, OPEN, COUNTERFACTIVE)[label])
        premise = sentence(f"{speaker.subject} {verb} that {first}")
        if dice.chance(0.5):
            premise = f"{sentence(say(speaker, dice))} {premise}"
        inputs = f"commitment hypothesis: {sentence(second)} premise: {premise}"
        return [fact, speaker, (verb,)], [row(inputs, self.labels[label])]

    def usable(self, content: list, split: str) -> bool:
        (verb,) = content[-1]
        return super().usable(content, split) and (split != "train" or verb in TAUGHT_VERBS)


@dataclass(frozen=True)
class CauseEffect(NanoTask):
    """Which of two clauses is the cause, or the effect, of the premise? Gains make glad, losses make sad."""

    name: str = "cause_effect"
    num_train: Count = 300
    labels: ClassVar[tuple[str, ...]] = ("first", "second")
    answer: ClassVar[Answer] = Class(labels, second="premise:")

    def candidate(self, dice: Dice, label: int) -> Candidate:
        glad, name, thing = dice.chance(0.5), dice.pick(lexicon.NAMES), dice.pick(lexicon.THINGS)
        they = lexicon.PRONOUN[name]
        events = [f"{dice.pick(verbs)[1]} the {thing}" for verbs in (lexicon.LOSS_VERBS, lexicon.GAIN_VERBS)]
        moods = [self._mood(dice, good) for good in (False, True)]
        kind = dice.pick(("cause", "effect"))
        premise, choices = (moods[glad], events) if kind == "cause" else (events[glad], moods)
        ordered = (choices[glad], choices[not glad]) if label == 0 else (choices[not glad], choices[glad])
        first, second = (sentence(f"{they} {choice}") for choice in ordered)
        text = f"first: {first} second: {second} premise: {sentence(f'{name} {premise}')} question: {kind}"
        return [name, premise, *choices], [row(f"cause_effect {text}", self.labels[label])]

    def _mood(self, dice: Dice, good: bool) -> str:
        feeling, act = mood_words(dice, good)
        return dice.pick((f"was {feeling}", act))


@dataclass(frozen=True)
class GroupedTruth(NanoTask):
    """Is the answer offered to a question on a passage true? Two answers make a group."""

    name: str = "grouped"
    num_train: Count = 300
    labels: ClassVar[tuple[str, ...]] = TRUTH
    answer: ClassVar[Answer] = Class(labels, second="paragraph:")

    def candidate(self, dice: Dice, label: int) -> Candidate:
        asked, individuals = rivals(dice, (2, 2))
        facts = joined(individuals)
        elsewhere = [answer(fact) for fact in facts if fact.kind == asked.kind and fact != asked]
        wrong = elsewhere[0] if elsewhere else answer(change(asked, dice))
        question, text = ask(asked, dice), " ".join(passage(dice.shuffled(individuals), dice))
        offered = dice.shuffled([(answer(asked), "yes"), (wrong, "no")])
        rows = [
            row(
                f"grouped question: {question} answer: {words} paragraph: {text}",
                truth,
                group=f"{question} {text}",
            )
            for words, truth in offered
        ]
        return facts, rows

    def score(self, records: list[Record], predictions: list[str]) -> dict[str, float]:
        """Accuracy over answers, and F1 and the share of groups without a mistake beside it."""
        from t5grid.tasks.metrics import multirc

        targets, guesses = self.classes(records, predictions)
        grouped = multirc([record["group"] for record in records], targets, guesses)
        return super().score(records, predictions) | grouped


@dataclass(frozen=True)
class WordSense(NanoTask):
    """Has the word the same sense in both sentences? The frame around it tells."""

    name: str = "word_sense"
    num_train: Count = 300
    labels: ClassVar[tuple[str, ...]] = TRUTH
    answer: ClassVar[Answer] = Class(labels, second="sentence2:")

    def candidate(self, dice: Dice, label: int) -> Candidate:
        word = dice.pick(tuple(lexicon.TWO_SENSES))
        sense, another = dice.shuffled(lexicon.TWO_SENSES[word])
        first, second = frame(dice, word, sense), frame(dice, word, sense if label else another)
        inputs = f"word_sense sentence1: {sentence(first)} sentence2: {sentence(second)} word: {word}"
        return [word, first, second], [row(inputs, self.labels[label])] if first != second else []


@dataclass(frozen=True)
class FillEntity(NanoTask):
    """Which of the individuals of a passage belongs in the gap?"""

    name: str = "fill_entity"
    num_train: Count = 300
    answer: ClassVar[Answer] = Span(second="passage:")

    def candidate(self, dice: Dice, label: int) -> Candidate:
        asked, individuals = rivals(dice, (2, 1, 1))
        phrases = dice.sample(KINDS[asked.kind].phrases, 2)
        text = " ".join(passage(dice.shuffled(individuals), dice, {asked: phrases[0]}))
        query = say(asked, dice, template=phrases[1]).replace(asked.subject, "_")
        names = ", ".join(dice.shuffled([person[0].subject for person in individuals]))
        inputs = f"fill_entity query: {sentence(query)} entities: {names} passage: {text}"
        return joined(individuals), [row(inputs, asked.subject)]
