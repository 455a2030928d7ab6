"""seed -> records of sentiment in one domain of the generated world."""

import hashlib
from dataclasses import dataclass
from typing import Annotated, ClassVar

from t5grid.config.rules import OneOf
from t5grid.nano import lexicon
from t5grid.nano.dice import Dice
from t5grid.nano.domains import DOMAINS, was
from t5grid.nano.facts import sentence
from t5grid.nano.nano_task import Candidate, NanoTask, row
from t5grid.nano.sentence_tasks import RATINGS
from t5grid.tasks.answer import Answer, Class


@dataclass(frozen=True)
class DomainSentiment(NanoTask):
    """Is the sentence good or bad? Its target and its telling words are of one domain.

    Of three telling words two are the domain's own, one is of every domain.
    """

    name: str = "sentiment"
    domain: Annotated[str, OneOf(tuple(DOMAINS))] = "places_food"
    labels: ClassVar[tuple[str, ...]] = ("bad", "good")
    answer: ClassVar[Answer] = Class(labels)
    version: ClassVar[int] = 1

    def candidate(self, dice: Dice, label: int) -> Candidate:
        domain = DOMAINS[self.domain]
        (first, second), (denied,) = (
            dice.sample(domain.words(good), count) for good, count in ((bool(label), 2), (not label, 1))
        )
        name, target = dice.pick(lexicon.NAMES), dice.pick(domain.targets)
        template = dice.pick(RATINGS[dice.chance(0.2)])
        text = template.format(n=name, x=target, was=was(target), own=first, own2=second, other=denied)
        used = [word for word in (first, second, denied) if word in text.replace(",", "").split()]
        return [name, target, *used], [row(f"sentiment sentence: {sentence(text)}", self.labels[label])]

    def fingerprint(self) -> str:
        """Identity of the rows: settings and version, not the code."""
        return hashlib.sha256(f"{self.domain} {super().fingerprint()}".encode()).hexdigest()
