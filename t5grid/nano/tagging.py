"""seed -> records of a task over the words of a sentence: who, where and what.

Two facts in one sentence, often beside a word with two senses that is such an entity in one of them only.
Words and the full stop stand apart, so that each has a tag.
"""

from dataclasses import dataclass
from typing import ClassVar

from t5grid.config.rules import Count
from t5grid.nano import lexicon
from t5grid.nano.dice import Dice
from t5grid.nano.facts import KINDS, Fact, fill, people, surface
from t5grid.nano.nano_task import Candidate, NanoTask
from t5grid.tasks.answer import Answer, Tags
from t5grid.tasks.task import Record

TAGS = Tags(("person", "place", "thing"))
TAG_OF = {"place": "place", "thing": "thing", "state": "thing", "event": "thing"}
"""Kind of fact, or sense of a word -> the tag of what it tells of."""
PROMPT = "entities sentence:"
MARK = "|"
"""Stands between a word and its tag while a sentence is made."""


@dataclass(frozen=True)
class Entities(NanoTask):
    """Which words of a sentence are names, places and things? Scored by the F1 of all entities together."""

    name: str = "entities"
    num_train: Count = 1000
    reported: ClassVar[tuple[str, ...]] = ("entity_f1",)
    answer: ClassVar[Answer] = TAGS

    def candidate(self, dice: Dice, label: int) -> Candidate:
        facts = [fact for person in people(dice, (1, 1)) for fact in person]
        clauses = [told(fact, dice) for fact in facts]
        if dice.chance(0.5):
            clauses.insert(dice.below(3), framed(dice))
        return facts, [tagged(" and ".join(clauses))]

    def score(self, records: list[Record], predictions: list[str]) -> dict[str, float]:
        """F1 of the entities, each its tag and its words, over all records."""
        from t5grid.tasks.metrics import entity_f1

        targets = [TAGS.entities(record["targets"]) for record in records]
        return entity_f1(targets, [TAGS.entities(prediction) for prediction in predictions])


def told(fact: Fact, dice: Dice) -> str:
    """A phrasing of the fact with marks on its entities."""
    value = _marked(surface(fact.value, dice, 0.3), TAG_OF.get(fact.kind, ""))
    of_marked = fact._replace(subject=_marked(fact.subject, "person"))
    template = dice.pick(KINDS[fact.kind].phrases)
    return fill(template, of_marked, of_marked.subject, value, surface(fact.extra, dice, 0.3))


def framed(dice: Dice) -> str:
    """A sentence of a word in one of its two senses, with marks on its entities."""
    word = dice.pick(tuple(lexicon.TWO_SENSES))
    sense = dice.pick(lexicon.TWO_SENSES[word])
    return dice.pick(lexicon.FRAMES[sense]).format(
        x=_marked(word, TAG_OF.get(sense, "")),
        n=_marked(dice.pick(lexicon.NAMES), "person"),
        p=_marked(dice.pick(lexicon.PLACES), "place"),
        c=dice.pick(lexicon.COLOURS),
    )


def _marked(text: str, tag: str) -> str:
    return " ".join(f"{word}{MARK}{tag}" for word in text.split()) if tag else text


def tagged(clause: str) -> Record:
    """`anna|person met Bo|person` -> its record: words, what is asked of them, and the tag of each."""
    parts = [word.partition(MARK)[::2] for word in clause.split(" ")]
    words, tags = [word for word, _ in parts], [tag for _, tag in parts]
    words = [words[0][0].upper() + words[0][1:], *words[1:], "."]
    prompt = PROMPT.split(" ")
    return {
        "inputs": " ".join([*prompt, *words]),
        "targets": TAGS.written(words, tags),
        "tags": [*[""] * len(prompt), *tags, ""],
    }
