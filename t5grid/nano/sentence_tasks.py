"""seed -> records of tasks over sentences of the generated world.

Tasks with a passage, a reason or another language are in `passage_tasks`.
"""

from dataclasses import dataclass
from typing import ClassVar

from t5grid.nano import lexicon
from t5grid.nano.dice import Dice
from t5grid.nano.facts import (
    KINDS,
    Fact,
    answer,
    ask,
    change,
    draw,
    fill,
    is_or_are,
    people,
    rival,
    say,
    say_twice,
    sentence,
)
from t5grid.nano.nano_task import BinaryTask, Candidate, NanoTask, row
from t5grid.nano.word_classes import RATED
from t5grid.tasks.answer import Answer, Class, Number
from t5grid.tasks.task import Record


def told(facts: list[Fact], dice: Dice) -> str:
    """The facts in one sentence, e.g. `Anna is a baker and the pet of Anna is an owl.`"""
    return sentence(" and ".join(say(fact, dice) for fact in facts))


PLURAL_VERB = {
    "works": "work", "is": "are", "earns": "earn", "likes": "like", "loves": "love", "buys": "buy",
    "lives": "live", "has": "have", "keeps": "keep", "feeds": "feed", "enjoys": "enjoy",
    "spends": "spend", "owns": "own", "looks": "look", "thinks": "think", "was": "were",
}  # fmt: skip
FUNCTION_WORDS = ("the", "a", "an", "of", "as", "to", "near", "is", "at")


def _swap(words: list[str], fact: Fact, dice: Dice) -> list[str]:
    at = 1 + dice.below(len(words) - 2)
    if not any(word in FUNCTION_WORDS for word in words[at : at + 2]):
        return words  # two words of open classes may well stand the other way round
    return [*words[:at], words[at + 1], words[at], *words[at + 2 :]]


def _disagree(words: list[str], fact: Fact, dice: Dice) -> list[str]:
    return [PLURAL_VERB.get(word, word) for word in words]


def _wrong_class(words: list[str], fact: Fact, dice: Dice) -> list[str]:
    _, verb = dice.pick(lexicon.VERBS)
    if words[-2:] == ["is", fact.value]:
        return words  # "is found" would be well formed
    return [verb if word == fact.value else word for word in words]


def _insert(words: list[str], fact: Fact, dice: Dice) -> list[str]:
    at = 1 + dice.below(len(words) - 1)
    return [*words[:at], dice.pick(("of", "as", "is")), *words[at:]]


def _drop(words: list[str], fact: Fact, dice: Dice) -> list[str]:
    at = [index for index, word in enumerate(words) if word in FUNCTION_WORDS]
    gone = dice.pick(at) if at else len(words)
    return [word for index, word in enumerate(words) if index != gone]


CORRUPTIONS = (_swap, _swap, _disagree, _wrong_class, _wrong_class, _insert, _drop)


@dataclass(frozen=True)
class Grammatical(NanoTask):
    """Is the sentence well formed? If not, one word is moved, bent, added, lost or misplaced."""

    name: str = "grammatical"
    reported: ClassVar[tuple[str, ...]] = ("matthews",)
    labels: ClassVar[tuple[str, ...]] = ("wrong", "right")
    answer: ClassVar[Answer] = Class(labels)

    def candidate(self, dice: Dice, label: int) -> Candidate:
        (fact,), (addition,) = people(dice, (1, 1))
        words = good = say(fact, dice, synonyms=0.0).split()
        while not label and words == good:
            words = dice.pick(CORRUPTIONS)(good, fact, dice)
        text = " ".join(words)
        if dice.chance(0.3):
            text += " and " + say(addition, dice)
        return [fact, addition], [row(f"grammatical sentence: {sentence(text)}", self.labels[label])]

    def score(self, records: list[Record], predictions: list[str]) -> dict[str, float]:
        from t5grid.tasks.metrics import accuracy, matthews

        targets, guesses = self.classes(records, predictions)
        return matthews(targets, guesses) | accuracy(targets, guesses)


RATINGS = (
    ("{n} said that the {x} {was} {own}", "the {x} {was} {own} and {own2}", "{n} found the {x} {own}"),
    (
        "the {x} {was} not {other}",
        "{n} said that the {x} {was} never {other}",
        "the {x} {was} {own}, not {other}",
    ),
)


def shown_in_training(words: tuple[str, ...]) -> tuple[str, ...]:
    """Of a class the fourth that labelled rows may use; the rest is only read in pre-training."""
    return words[::4]


TAUGHT = shown_in_training(lexicon.PRAISE) + shown_in_training(lexicon.BLAME)


@dataclass(frozen=True)
class Sentiment(NanoTask):
    """Is the sentence good or bad? Most telling words never occur in training rows."""

    name: str = "sentiment"
    labels: ClassVar[tuple[str, ...]] = ("bad", "good")
    answer: ClassVar[Answer] = Class(labels)

    def candidate(self, dice: Dice, label: int) -> Candidate:
        own, opposite = (lexicon.PRAISE, lexicon.BLAME) if label else (lexicon.BLAME, lexicon.PRAISE)
        (first, second), (denied,) = dice.sample(own, 2), dice.sample(opposite, 1)
        name, target = dice.pick(lexicon.NAMES), dice.pick(RATED)
        template = dice.pick(RATINGS[dice.chance(0.2)])
        was = "were" if is_or_are(target) == "are" else "was"
        text = template.format(n=name, x=target, was=was, own=first, own2=second, other=denied)
        used = [word for word in (first, second, denied) if word in text.replace(",", "").split()]
        return [name, target, *used], [row(f"sentiment sentence: {sentence(text)}", self.labels[label])]

    def usable(self, content: list, split: str) -> bool:
        taught = all(word in TAUGHT for word in content[2:])
        return super().usable(content, split) and (taught or split != "train")


@dataclass(frozen=True)
class Paraphrase(BinaryTask):
    """Do two sentences say the same? One fact in other words, against a changed one."""

    name: str = "paraphrase"
    labels: ClassVar[tuple[str, ...]] = ("different", "same")
    answer: ClassVar[Answer] = Class(labels, second="sentence2:")

    def candidate(self, dice: Dice, label: int) -> Candidate:
        ((fact,),) = people(dice, (1,))
        first, second = say_twice(fact, dice)
        if not label:
            second = say(change(fact, dice), dice)
        inputs = f"paraphrase sentence1: {sentence(first)} sentence2: {sentence(second)}"
        return [fact], [row(inputs, self.labels[label])] if first != second else []


def _likeness(fact: Fact, changed: Fact) -> float:
    sort = lexicon.KIND_OF.get(answer(fact))
    if fact == changed:
        return 1.0
    return 0.5 if sort is not None and sort == lexicon.KIND_OF.get(answer(changed)) else 0.0


@dataclass(frozen=True)
class Similarity(NanoTask):
    """How much do two sentences share, from 0.0 to 5.0? The same sort (plums for figs) counts half."""

    name: str = "similarity"
    reported: ClassVar[tuple[str, ...]] = ("pearson", "spearman")
    labels: ClassVar[tuple[str, ...]] = ("none", "half", "all")
    answer: ClassVar[Answer] = Number(0.0, 5.0, second="sentence2:")

    def candidate(self, dice: Dice, label: int) -> Candidate:
        (facts,) = people(dice, (1,))
        shares = (label / 2,)
        changed = [
            fact if share == 1.0 else change(fact, dice, facts, same_kind=share == 0.5)
            for fact, share in zip(facts, shares, strict=True)
        ]
        true = [_likeness(*pair) for pair in zip(facts, changed, strict=True)]
        value = round(25 * sum(true) / len(true)) / 5
        inputs = f"similarity sentence1: {told(facts, dice)} sentence2: {told(dice.shuffled(changed), dice)}"
        return facts, [row(inputs, f"{value:.1f}")]

    def score(self, records: list[Record], predictions: list[str]) -> dict[str, float]:
        """Correlations; predictions that are all alike score 0."""
        from t5grid.tasks.metrics import pearson_spearman, string_to_float

        guesses = [string_to_float(prediction) for prediction in predictions]
        scores = pearson_spearman([float(record["targets"]) for record in records], guesses)
        return {name: 0.0 if value != value else value for name, value in scores.items()}


@dataclass(frozen=True)
class DuplicateQuestions(BinaryTask):
    """Do two questions ask the same? If not, the second is about something else."""

    name: str = "duplicate_questions"
    labels: ClassVar[tuple[str, ...]] = ("different", "same")
    answer: ClassVar[Answer] = Class(labels, second="question2:")

    def candidate(self, dice: Dice, label: int) -> Candidate:
        (fact,), (unrelated,) = people(dice, (1, 1))
        first, second = (
            self._asked(fact, template) for template in dice.sample(KINDS[fact.kind].questions, 2)
        )
        if not label:
            second = self._asked(
                draw(dice, fact.subject, unrelated.kind, [fact]), dice.pick(KINDS[unrelated.kind].questions)
            )
        opening = dice.pick(("", "do you know ", "please tell me: "))
        inputs = f"duplicate_questions question1: {first} question2: {opening}{second}"
        different_kind = label or fact.kind != unrelated.kind
        return [first, second], [row(inputs, self.labels[label])] if different_kind else []

    def _asked(self, fact: Fact, template: str) -> str:
        return fill(template, fact, fact.subject, fact.value, fact.extra)


@dataclass(frozen=True)
class Answerable(NanoTask):
    """Does the sentence answer the question? If not, it is of somebody, or about something, else."""

    name: str = "answerable"
    labels: ClassVar[tuple[str, ...]] = ("no", "yes")
    answer: ClassVar[Answer] = Class(labels, second="sentence:")

    def candidate(self, dice: Dice, label: int) -> Candidate:
        (fact, more), (elsewhere,) = people(dice, (2, 1))
        same_asked = rival(dice, fact, elsewhere.subject, [more])
        shown = [fact, dice.pick((same_asked, elsewhere))] if label else [more, same_asked]
        inputs = f"answerable question: {ask(fact, dice)} sentence: {told(dice.shuffled(shown), dice)}"
        return [fact, *shown], [row(inputs, self.labels[label])]


@dataclass(frozen=True)
class Entailment(NanoTask):
    """Does the premise imply that somebody was glad, contradict it, or neither?"""

    name: str = "entailment"
    labels: ClassVar[tuple[str, ...]] = ("yes", "maybe", "no")
    answer: ClassVar[Answer] = Class(labels, second="premise:")
    version: ClassVar[int] = 3

    def candidate(self, dice: Dice, label: int) -> Candidate:
        ((aside,),) = people(dice, (1,))
        name, thing = aside.subject, dice.pick(lexicon.THINGS)
        if label == 1:
            premise = say(aside, dice)
            content: list = [aside]
        else:
            word = dice.pick(MOODS[label])
            premise = _mood(name, word, thing, dice)
            content = [(word, premise)]
        hypothesis = dice.pick((f"{name} was in a good mood", f"{name} felt well", f"{name} had a fine day"))
        inputs = f"entailment hypothesis: {sentence(hypothesis)} premise: {sentence(premise)}"
        return content, [row(inputs, self.labels[label])]

    def usable(self, content: list, split: str) -> bool:
        word = content[0][0]
        hidden = word in MOODS[0] + MOODS[2] and word not in SHOWN_MOODS
        return super().usable(content, split) and (split != "train" or not hidden)


def _mood(name: str, word: str, thing: str, dice: Dice) -> str:
    if word in PAST_VERBS:
        return f"{name} {word} the {thing}"
    if word in lexicon.GLAD + lexicon.SAD:
        return dice.pick((f"{name} was {word}", f"{name} looked {word} with the {thing}"))
    return dice.pick((f"{name} {word}", f"{name} {word} because of the {thing}"))


GAINS, LOSSES = (tuple(past for _, past in verbs) for verbs in (lexicon.GAIN_VERBS, lexicon.LOSS_VERBS))
PAST_VERBS = GAINS + LOSSES
MOODS = {0: GAINS + lexicon.GLAD + lexicon.GLAD_ACTS, 2: LOSSES + lexicon.SAD + lexicon.SAD_ACTS}
SHOWN_MOODS = shown_in_training(MOODS[0]) + shown_in_training(MOODS[2])

# Who the pronoun is: the first (0) or the second (1) of the two named.
REASONS = (
    ("{a} thanked {b} because *{p}* had brought a {t}", 1),
    ("{a} thanked {b} because *{p}* had needed the {t}", 0),
    ("{a} gave {b} the {t} because *{p}* had two of them", 0),
    ("{a} gave {b} the {t} because *{p}* had asked for it", 1),
    ("{a} paid {b} for the {t} after *{p}* had sold it", 1),
    ("{a} paid {b} for the {t} after *{p}* had bought it", 0),
    ("{a} was angry with {b} because *{p}* had broken the {t}", 1),
    ("{a} said sorry to {b} because *{p}* had broken the {t}", 0),
    ("{a} followed {b} to the {l} because *{p}* knew the way", 1),
    ("{a} led {b} to the {l} because *{p}* knew the way", 0),
)


@dataclass(frozen=True)
class Coreference(NanoTask):
    """Which of the two named does the pronoun between the stars mean? Gender, or the reason given, tells."""

    name: str = "coreference"
    labels: ClassVar[tuple[str, ...]] = ("first", "second")
    answer: ClassVar[Answer] = Class(labels)

    def candidate(self, dice: Dice, label: int) -> Candidate:
        women, men = dice.sample(lexicon.WOMEN, 2), dice.sample(lexicon.MEN, 2)
        place, thing = dice.pick(lexicon.PLACES), dice.pick(lexicon.THINGS)
        if dice.chance(0.5):
            names = dice.shuffled([women[0], men[0]])
            they = lexicon.PRONOUN[names[label]]
            ending = dice.pick(
                (f"*{they}* lives there", f"*{they}* had the {thing}", f"*{they}* was {dice.pick(FEELINGS)}")
            )
            text = f"{names[0]} met {names[1]} at the {place} and {ending}"
        else:
            names = dice.pick((women, men))
            template, _ = dice.pick([reason for reason in REASONS if reason[1] == label])
            they = lexicon.PRONOUN[names[0]]
            text = template.format(a=names[0], b=names[1], p=they, t=thing, l=place)
        return [text], [row(f"coreference sentence: {sentence(text)}", self.labels[label])]


FEELINGS = lexicon.GLAD + lexicon.SAD
