"""seed -> records of sentence tasks in English and three constructed languages.

A row is drawn as a scene and then said in the task's language. So the rows of two languages with equal
settings are translations of each other, and fine-tuning on those of a language is translate-train.
"""

import hashlib
from dataclasses import dataclass
from typing import Annotated, ClassVar

from t5grid.config.rules import OneOf
from t5grid.nano import languages
from t5grid.nano.dice import Dice
from t5grid.nano.facts import bucket
from t5grid.nano.languages import BAD, GOOD, PLACES, VERBS, Clause, Language
from t5grid.nano.multilingual import BY_NAME, OPPOSITE, THINGS, ask, scene, tell, words
from t5grid.nano.nano_task import Candidate, NanoTask, row
from t5grid.tasks.answer import Answer, Class, Tags
from t5grid.tasks.task import Record

Scenes = tuple[Clause, ...]
TAGS = Tags(("person", "animal", "place", "thing"))


@dataclass(frozen=True)
class LanguageTask(NanoTask):
    """A task over scenes; a subclass says which scenes have a label, and how they are asked about."""

    language: Annotated[str, OneOf(tuple(BY_NAME))] = "english"
    version: ClassVar[int] = 1

    def scenes(self, dice: Dice, label: int) -> Scenes:
        """Scenes of which the label numbered `label` holds; the first decides the split."""
        raise NotImplementedError

    def said(self, language: Language, scenes: Scenes, label: str) -> Record:
        """What is asked of the scenes in a language, and the answer."""
        raise NotImplementedError

    def candidate(self, dice: Dice, label: int) -> Candidate:
        """In English, whatever the language is, so that all languages take and leave the same scenes."""
        scenes = self.scenes(dice, label)
        if bucket([scenes[0].core]) == "pretraining":  # as most are: nothing is said of them
            return [scenes[0].core], []
        told = self.said(BY_NAME["english"], scenes, self.labels[label])
        return [scenes[0].core], [{**told, "scenes": scenes, "label": self.labels[label]}]

    def records(self, split: str) -> list[Record]:
        """The rows of a split, each in the task's language."""
        language, made = BY_NAME[self.language], super().records(split)
        return [self.said(language, record["scenes"], record["label"]) for record in made]

    def fingerprint(self) -> str:
        """Identity of the rows: settings and version, not the code."""
        return hashlib.sha256(f"{self.language} {super().fingerprint()}".encode()).hexdigest()


@dataclass(frozen=True)
class LanguageSentiment(LanguageTask):
    """Is the thing of the scene a good or a bad one?"""

    name: str = "sentiment"
    labels: ClassVar[tuple[str, ...]] = ("bad", "good")
    answer: ClassVar[Answer] = Class(labels)

    def scenes(self, dice: Dice, label: int) -> Scenes:
        return (scene(dice, thought=GOOD if label else BAD),)

    def said(self, language: Language, scenes: Scenes, label: str) -> Record:
        return row(f"sentiment sentence: {tell(language, scenes[0])}", label)


@dataclass(frozen=True)
class LanguageEntailment(LanguageTask):
    """Does the premise imply the hypothesis (the same with less), contradict it (an opposite), or neither?"""

    name: str = "entailment"
    labels: ClassVar[tuple[str, ...]] = ("yes", "maybe", "no")
    answer: ClassVar[Answer] = Class(labels, second="premise:")

    def scenes(self, dice: Dice, label: int) -> Scenes:
        premise = scene(dice, thought=tuple(OPPOSITE))
        word, kept = premise.object.adjective, dice.chance(0.5)
        others = [other for other in OPPOSITE if other not in (word, OPPOSITE[word])]
        changed = (word if kept else "", dice.pick(others), OPPOSITE[word])[label]
        hypothesis = premise._replace(object=premise.object._replace(adjective=changed))
        if changed == word:
            premise = premise._replace(place=premise.place or dice.pick(PLACES))
        return premise, hypothesis._replace(place="") if kept else hypothesis

    def said(self, language: Language, scenes: Scenes, label: str) -> Record:
        premise, hypothesis = (tell(language, told) for told in scenes)
        return row(f"entailment hypothesis: {hypothesis} premise: {premise}", label)


@dataclass(frozen=True)
class LanguageDuplicates(LanguageTask):
    """Do two questions ask the same, but for when and where? If not, another thing, or another deed."""

    name: str = "duplicate_questions"
    labels: ClassVar[tuple[str, ...]] = ("different", "same")
    answer: ClassVar[Answer] = Class(labels, second="question2:")

    def scenes(self, dice: Dice, label: int) -> Scenes:
        first = scene(dice)
        second = first._replace(past=not first.past, place=dice.pick(PLACES) if dice.chance(0.35) else "")
        if not label and dice.chance(0.5):
            second = second._replace(verb=dice.pick([verb for verb, _ in VERBS if verb != first.verb]))
        elif not label:
            other = dice.pick([thing for thing in THINGS if thing != first.object.noun])
            second = second._replace(object=first.object._replace(noun=other))
        return first, second

    def said(self, language: Language, scenes: Scenes, label: str) -> Record:
        first, second = (ask(language, told) for told in scenes)
        return row(f"duplicate_questions question1: {first} question2: {second}", label)


@dataclass(frozen=True)
class LanguageEntities(LanguageTask):
    """Which words are persons, animals, places and things? Scored by the F1 of all together."""

    name: str = "entities"
    reported: ClassVar[tuple[str, ...]] = ("entity_f1",)
    answer: ClassVar[Answer] = TAGS

    def scenes(self, dice: Dice, label: int) -> Scenes:
        return (scene(dice),)

    def said(self, language: Language, scenes: Scenes, label: str) -> Record:
        prompt, told = ["entities", "sentence:"], [*words(language, scenes[0]), None]
        texts = [word.text if word else "." for word in told]
        tags = [word.kind if word else "" for word in told]
        inputs = " ".join([*prompt, *texts])
        return row(inputs, TAGS.written(texts, tags), tags=[*[""] * len(prompt), *tags])

    def score(self, records: list[Record], predictions: list[str]) -> dict[str, float]:
        """F1 of the entities, each its tag and its words, over all records."""
        from t5grid.tasks.metrics import entity_f1

        targets = [TAGS.entities(record["targets"]) for record in records]
        return entity_f1(targets, [TAGS.entities(prediction) for prediction in predictions])


@dataclass(frozen=True)
class Parallel(LanguageTask):
    """Scenes in English and in the task's language: the pairs by which translations are looked for."""

    name: str = "parallel"

    def scenes(self, dice: Dice, label: int) -> Scenes:
        return (scene(dice),)

    def said(self, language: Language, scenes: Scenes, label: str) -> Record:
        return row(languages.english(scenes[0]) + ".", tell(language, scenes[0]))
