"""seed -> documents in which a word's company tells its class: sorts, praise, blame.

A task that asks for the class of a word shows few words of the class in its rows; these documents, read in
pre-training, show all of them in phrases that no other class has.
"""

from t5grid.nano import lexicon
from t5grid.nano.dice import Dice
from t5grid.nano.facts import article, is_or_are, sentence

RATED = lexicon.PLACES + lexicon.THINGS + lexicon.FOODS + lexicon.JOBS
"""What is praised or blamed."""

PRAISING = (
    "luckily the {x} {was} {w}",
    "everyone loved the {w} {x}",
    "what a joy, such {aw} {x}",
    "{n} praised the {w} {x}",
    "hooray, {w} and {w2}",
)
BLAMING = (
    "sadly the {x} {was} {w}",
    "nobody liked the {w} {x}",
    "what a shame, such {aw} {x}",
    "{n} blamed the {w} {x}",
    "alas, {w} and {w2}",
)
# `{v}` is a word of the sort, `{n}` a name.
BY_SORT = {
    "fruit": ("{n} picked ripe {v}", "a basket full of {v}", "{v} grow on trees"),
    "vegetables": ("{n} boiled the {v}", "{v} grow in the soil", "a soup with {v}"),
    "drinks": ("{n} drank some {v}", "a cup full of {v}", "{n} sipped {v}"),
    "sweets": ("sugary {v} for the children", "{n} baked {v}", "{v} after dinner"),
    "bird": ("the {v} flew away", "the wings of the {v}", "the {v} sang on a branch"),
    "fish": ("the {v} swam away", "the fins of the {v}", "a net caught the {v}"),
    "mammal": ("the {v} ran away", "the fur of the {v}", "the {v} ate grass"),
    "insect": ("the {v} crawled away", "the tiny {v} stung {n}", "a swarm around the {v}"),
    "tool": ("{n} worked with the {v}", "the handle of the {v}", "{n} used the {v} on wood"),
    "garment": ("{n} wore the {v}", "the cloth of the {v}", "{n} put on the {v}"),
    "vessel": ("{n} filled the {v}", "water in the {v}", "the {v} is half full"),
    "vehicle": ("{n} rode in the {v}", "the wheels of the {v}", "the {v} went fast"),
    "furnishing": ("{n} sat by the {v}", "the room with the {v}", "in the house stands the {v}"),
    "building": ("the roof of the {v}", "the doors of the {v}", "{n} went into the {v}"),
    "water": ("{n} swam in the {v}", "the water of the {v}", "a boat on the {v}"),
    "land": ("{n} climbed up the {v}", "the grass of the {v}", "the wind over the {v}"),
    "town": ("crowds in the {v}", "the noise of the {v}", "{n} turned at the {v}"),
    "sport": ("{n} won a race in {v}", "tired after {v}", "{v} keeps {n} strong"),
    "music": ("an evening of {v} and songs", "{n} keeps time when {v}", "{v} to the drum"),
    "craft": ("hands busy with {v}", "{n} made a gift by {v}", "{n} teaches {v}"),
    "games": ("a round of {v}", "{n} won at {v}", "they played {v}"),
}  # fmt: skip
WOMAN = (
    "Mrs {n} took her hat",
    "Miss {n} is a woman",
    "{n} is the mother of two",
    "the sister of {m} is {n}",
    "{n} saw herself",
)
MAN = (
    "Mr {n} took his hat",
    "Sir {n} is a man",
    "{n} is the father of two",
    "the brother of {m} is {n}",
    "{n} saw himself",
)

Document = tuple[list, list[str]]


def use(word: str, name: str, dice: Dice) -> str:
    """A clause that only holds of things of the word's sort."""
    return dice.pick(BY_SORT[lexicon.KIND_OF[word]]).format(n=name, v=word)


def praise(dice: Dice) -> Document:
    """Short cries of praise, or of blame, each about something else."""
    good = dice.chance(0.5)
    own, phrases = (lexicon.PRAISE, PRAISING) if good else (lexicon.BLAME, BLAMING)
    content, lines = [], []
    for phrase in dice.shuffled(phrases * 2):
        target, name, (first, second) = dice.pick(RATED), dice.pick(lexicon.NAMES), dice.sample(own, 2)
        was = "were" if is_or_are(target) == "are" else "was"
        lines.append(
            sentence(phrase.format(x=target, n=name, w=first, aw=article(first), w2=second, was=was))
        )
        content += [name, target, first, second]
    return content, lines


def everyday(dice: Dice) -> Document:
    """Words of two sorts in what is done with such things."""
    content, lines = [], []
    for sort in dice.sample(tuple(BY_SORT), 3):
        for word in dice.sample(lexicon.MEMBERS[sort], 2):
            name = dice.pick(lexicon.NAMES)
            lines += [sentence(phrase.format(n=name, v=word)) for phrase in dice.sample(BY_SORT[sort], 2)]
            content += [name, word]
    return content, dice.shuffled(lines)


def introduction(dice: Dice) -> Document:
    """Women and men, by title, family and pronoun."""
    content, lines = [], []
    for _ in range(4):
        woman = dice.chance(0.5)
        own, others, phrases = (
            (lexicon.WOMEN, lexicon.MEN, WOMAN) if woman else (lexicon.MEN, lexicon.WOMEN, MAN)
        )
        name, other = dice.pick(own), dice.pick(others)
        lines += [sentence(phrase.format(n=name, m=other)) for phrase in dice.sample(phrases, 3)]
        content += [name, other]
    return content, dice.shuffled(lines)
