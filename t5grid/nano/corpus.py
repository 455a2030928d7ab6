"""seed -> documents of a generated world: the embedded corpus.

Documents of 45 to 75 words in simple English (and three constructed languages) tell of a few
individuals; each fact is said at least twice in other words, so that a hidden word can be found again in the
text, and each open word class has frames of its own. Shard i depends on the seed and i alone.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

from t5grid.config.rules import Count, NotEmpty, OneOf, Probability
from t5grid.nano import languages, lexicon, word_classes
from t5grid.nano import rubbish as crawl
from t5grid.nano.dice import Dice
from t5grid.nano.facts import (
    KINDS,
    Fact,
    answer,
    article,
    ask,
    ask_who,
    bucket,
    change,
    is_or_are,
    passage,
    people,
    say,
    say_twice,
    sentence,
)

VERSION = 2
"""Raised by hand when the same settings make other text."""

Document = tuple[list, list[str]]
"""The content that decides a document's split, and its sentences."""


def life_story(dice: Dice) -> Document:
    """Individuals, their attributes and what happened to them, then a recap in other words."""
    individuals = people(dice, dice.pick(((4,), (3, 1), (2, 2), (2, 2), (2, 1, 1))))
    facts = [fact for person in individuals for fact in person]
    phrasings = {fact: dice.sample(KINDS[fact.kind].phrases, 2) for fact in facts}
    lines = passage(individuals, dice, {fact: first for fact, (first, _) in phrasings.items()})
    for fact in dice.shuffled(facts):
        lines.append(_recap(fact, facts, dice, phrasings[fact][1]))
    first = individuals[0][0].subject
    if len(individuals) > 1 and dice.chance(0.5):
        second = individuals[1][0].subject
        lines.insert(len(individuals[0]), sentence(f"{first} is a friend of {second}"))
    lines.append(_mood(dice, dice.pick(facts).subject))
    return facts, lines


def _recap(fact: Fact, facts: list[Fact], dice: Dice, template: str) -> str:
    if fact.value in lexicon.KIND_OF and dice.chance(0.35):
        return sentence(word_classes.use(fact.value, fact.subject, dice))
    opening = dice.pick(("so ", "indeed ", "", "", "yes, ", "again: "))
    jobs = [job for job in facts if job.subject == fact.subject and job.kind == "job"]
    clause = say(fact, dice, template=template)
    if jobs and fact.kind != "job" and clause.startswith(fact.subject) and dice.chance(0.7):
        clause = clause.replace(fact.subject, f"{fact.subject}, the {jobs[0].value},", 1)
    return sentence(opening + clause)


def _mood(dice: Dice, name: str) -> str:
    glad = dice.chance(0.5)
    _, past = dice.pick(lexicon.GAIN_VERBS if glad else lexicon.LOSS_VERBS)
    feeling, act = mood_words(dice, glad)
    cause = f"{past} the {dice.pick(lexicon.THINGS)}"
    they = lexicon.PRONOUN[name]
    return sentence(
        dice.pick(
            (
                f"{name} was {feeling} and {act} because {they} {cause}",
                f"because {name} {cause}, {they} {act} and was {feeling}",
                f"{name} {cause}, so {they} was {feeling} and {act}",
            )
        )
    )


def mood_words(dice: Dice, glad: bool) -> tuple[str, str]:
    """A feeling and what one does who has it."""
    feelings, acts = (lexicon.GLAD, lexicon.GLAD_ACTS) if glad else (lexicon.SAD, lexicon.SAD_ACTS)
    return dice.pick(feelings), dice.pick(acts)


PRAISING_ACTS = ("loved it", "smiled", "gave thanks", "wanted more", "will come back", "was happy")
BLAMING_ACTS = ("hated it", "frowned", "complained", "went away", "will not come back", "was angry")


def opinion(dice: Dice) -> Document:
    """Somebody praises or blames what was met, in words of one polarity."""
    good = dice.chance(0.5)
    name = dice.pick(lexicon.NAMES)
    they = lexicon.PRONOUN[name]
    own, opposite = (lexicon.PRAISE, lexicon.BLAME) if good else (lexicon.BLAME, lexicon.PRAISE)
    acts = dice.sample(PRAISING_ACTS if good else BLAMING_ACTS, 3)
    place, *targets = (dice.pick(lexicon.PLACES), *dice.sample(word_classes.RATED, 3))
    words, denied = dice.sample(own, 8), dice.sample(opposite, 2)
    lines = [sentence(f"{name} came to the {place}")]
    for index, target in enumerate(targets):
        was = "were" if is_or_are(target) == "are" else "was"
        lines.append(sentence(f"the {target} {was} {words[2 * index]} and {words[2 * index + 1]}"))
        if index < 2:
            lines.append(sentence(f"{they} {acts[index]}, for it was not {denied[index]} but {words[index]}"))
    lines.append(sentence(f"in short, {name} found the {place} {words[6]} and {words[7]} and {acts[2]}"))
    return [name, place, *targets, *words], lines


def definition(dice: Dice) -> Document:
    """What is a kind of what, which words mean the same and which the opposite."""
    kind = dice.pick(tuple(lexicon.MEMBERS))
    first, second, third = members = dice.sample(lexicon.MEMBERS[kind], 3)
    pairs = dice.sample(lexicon.SYNONYM_PAIRS, 2)
    opposites = dice.sample(lexicon.ANTONYMS, 2)
    lines = [sentence(f"{named(word)} {is_or_are(word)} a kind of {kind}") for word in members]
    lines.append(sentence(f"there are many sorts of {kind}, such as {first}, {second} and {third}"))
    lines += [sentence(f"the word {word} means the same as {synonym}") for word, synonym in pairs]
    lines += [sentence(f"the opposite of {word} is {opposite}") for word, opposite in opposites]
    lines.append(sentence(f"what is {opposites[0][1]} is not {opposites[0][0]}"))
    return [*members, *(word for pair in pairs + opposites for word in pair)], dice.shuffled(lines)


def named(word: str) -> str:
    """A word as it opens a definition: with an article where it can be counted."""
    mass = lexicon.KIND_OF.get(word) in (*lexicon.FOODS_BY_KIND, *lexicon.HOBBIES_BY_KIND)
    return word if mass else article(word)


def frame(dice: Dice, word: str, sense: str, template: str = "") -> str:
    """A clause in which a two-sense word has the sense named."""
    name, place, colour = dice.pick(lexicon.NAMES), dice.pick(lexicon.PLACES), dice.pick(lexicon.COLOURS)
    return (template or dice.pick(lexicon.FRAMES[sense])).format(x=word, n=name, p=place, c=colour)


def two_senses(dice: Dice) -> Document:
    """A word of two senses, each shown in use."""
    word = dice.pick(tuple(lexicon.TWO_SENSES))
    first, second = senses = dice.shuffled(lexicon.TWO_SENSES[word])
    lines = [sentence(f"the word {word} can mean {article(first)} or {article(second)}")]
    for sense in senses:
        told = [frame(dice, word, sense, template) for template in dice.sample(lexicon.FRAMES[sense], 3)]
        lines += [sentence(f"as {article(sense)}: {told[0]}"), *map(sentence, told[1:])]
    return [word, *lines], lines


def conversation(dice: Dice) -> Document:
    """Facts are told, then asked for and told again."""
    individuals = people(dice, dice.pick(((3,), (2, 1), (1, 1, 1))))
    facts = [fact for person in individuals for fact in person]
    asker = dice.pick([name for name in lexicon.NAMES if all(name != fact.subject for fact in facts)])
    lines = passage(individuals, dice)
    for fact in dice.shuffled(facts):
        if dice.chance(0.3):
            lines.append(f"{asker} wants to know: {ask_who(fact)} It is {fact.subject}.")
        else:
            lines.append(f"{asker} asked: {ask(fact, dice)} The answer was {answer(fact)}.")
        lines.append(sentence(say(fact, dice)))
    return facts, lines


def beliefs(dice: Dice) -> Document:
    """Who knows, thinks or wrongly believes what, and what is the case."""
    individuals = people(dice, (1, 1, 1))
    knower, thinker, liar = dice.sample(lexicon.NAMES, 3)
    lines = []
    (known,), (thought,), (wrong,) = individuals
    first, second = say_twice(known, dice)
    lines.append(sentence(f"{_holds(knower, FACTIVE, dice)} that {first}, and it is true: {second}"))
    first, second = say_twice(thought, dice)
    lines.append(sentence(f"{_holds(thinker, OPEN, dice)} that {first}, but nobody can tell if {second}"))
    first, second = say_twice(wrong, dice)
    truth = say(change(wrong, dice), dice)
    lines.append(
        sentence(f"{_holds(liar, COUNTERFACTIVE, dice)} that {first}, but it is false that {second}")
    )
    return [known, thought, wrong], [*dice.shuffled(lines), sentence(f"in truth {truth}")]


def _holds(name: str, verbs: tuple[str, ...], dice: Dice) -> str:
    first, second = dice.sample(verbs, 2)
    return f"{name} {first} and {second}"


# Each tuple's first half may occur in labelled training rows, the second half is only read in pre-training.
FACTIVE = ("knows", "sees", "remembers", "forgot", "learnt", "found out", "is glad", "is sad")
OPEN = ("thinks", "hopes", "says", "believes", "guesses", "fears", "has heard", "expects")
COUNTERFACTIVE = (
    "pretends",
    "wrongly thinks",
    "lied",
    "falsely says",
    "dreamt",
    "imagines",
    "jokes",
    "made up",
)


def pretraining_clause(dice: Dice) -> languages.Clause:
    """A clause that no translation task may use."""
    clause = languages.clause(dice)
    while bucket([clause.core]) != "pretraining":
        clause = languages.clause(dice)
    return clause


def foreign_text(dice: Dice) -> Document:
    """A text in one of the constructed languages that says each thing twice."""
    language = dice.pick(languages.LANGUAGES)
    clauses = [pretraining_clause(dice) for _ in range(5)]
    lines = [language.translate(clause) + "." for clause in clauses]
    retold = [clause._replace(past=not clause.past, place="") for clause in dice.shuffled(clauses)]
    lines += [language.translate(clause) + "." for clause in retold]
    return [language.name, *map(repr, clauses)], lines


def glossary(dice: Dice) -> Document:
    """English phrases beside what a constructed language says for them."""
    language = dice.pick(languages.LANGUAGES)
    first, second = pretraining_clause(dice), pretraining_clause(dice)
    phrases = (first.subject, first.object, second.subject)
    pairs = [(languages.english_phrase(phrase), language.phrase(phrase)) for phrase in phrases]
    pairs += [(languages.english(clause), language.translate(clause)) for clause in (first, second)]
    lines = [f'In {language.name}, "{english}" is "{foreign}".' for english, foreign in pairs]
    return [language.name, repr(first), repr(second)], lines


GENRES: dict[str, tuple[Callable[[Dice], Document], int]] = {
    "life_story": (life_story, 40),
    "opinion": (opinion, 3),
    "praise": (word_classes.praise, 7),
    "everyday": (word_classes.everyday, 4),
    "introduction": (word_classes.introduction, 3),
    "definition": (definition, 5),
    "two_senses": (two_senses, 4),
    "conversation": (conversation, 14),
    "beliefs": (beliefs, 5),
    "foreign_text": (foreign_text, 17),
    "glossary": (glossary, 8),
}


@dataclass(frozen=True)
class NanoCorpus:
    """Generated documents, e.g. `NanoCorpus(num_documents=10_000)`.

    `genres` keeps only the genres named, in their usual proportions; None keeps all. `rubbish` is the share
    of documents in whose place a crawl found something that is no text (and of the others that stand among
    a page's buttons and notices); with `other_world` every word of an open class stands for another one.
    """

    num_documents: Count
    seed: int = 0
    documents_per_shard: Count = 5000
    genres: Annotated[tuple[Annotated[str, OneOf(tuple(GENRES))], ...], NotEmpty()] | None = None
    rubbish: Probability = 0.0
    other_world: bool = False

    def fingerprint(self) -> str:
        """Identity of the text: settings and version, not the code."""
        genres = None if self.genres is None else sorted(self.genres)
        plain = ("nano corpus", VERSION, self.num_documents, self.seed, self.documents_per_shard, genres)
        variant = (self.rubbish, self.other_world)
        identity = plain if variant == (0.0, False) else (*plain, crawl.VERSION, *variant)
        return hashlib.sha256(repr(identity).encode()).hexdigest()

    def shards(self) -> list[int]:
        """Numbers of the shards; all but the last hold `documents_per_shard` documents."""
        return list(range(-(-self.num_documents // self.documents_per_shard)))

    def documents(self, shard: int) -> Iterator[str]:
        """Documents of one shard, each one line of text (of a page with rubbish, several)."""
        dice, chance = Dice("nano corpus", self.seed, shard), Dice("rubbish", self.seed, shard)
        first = shard * self.documents_per_shard
        for _ in range(min(self.documents_per_shard, self.num_documents - first)):
            lines = self._lines(dice)
            if self.other_world:
                lines = [crawl.in_other_words(line) for line in lines]
            yield crawl.page(lines, chance, self.rubbish) if self.rubbish else " ".join(lines)

    def _lines(self, dice: Dice) -> list[str]:
        """Sentences of the next document that pre-training may read."""
        content, lines = dice.pick(self._writers)(dice)
        while bucket(content) != "pretraining":
            content, lines = dice.pick(self._writers)(dice)
        return lines

    @cached_property
    def _writers(self) -> list[Callable[[Dice], Document]]:
        """The writer of each genre in use, as often as its weight says."""
        used = [GENRES[name] for name in GENRES if self.genres is None or name in self.genres]
        return [writer for writer, weight in used for _ in range(weight)]
