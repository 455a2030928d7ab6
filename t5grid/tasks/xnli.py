"""XNLI row -> {inputs, targets, label}: entailment in fifteen languages.

The data are those of Conneau et al. (2018). Inputs have MNLI's form in every language (hypothesis first,
English words before the columns), so that a model that is fine-tuned in one language is asked the same in
each. Training rows of the other languages are machine translations of MNLI's: translate-train.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

from t5grid.config.rules import OneOf
from t5grid.tasks.labelled import Classification

LANGUAGES = ("ar", "bg", "de", "el", "en", "es", "fr", "hi", "ru", "sw", "th", "tr", "ur", "vi", "zh")


@dataclass(frozen=True)
class XNLI(Classification):
    """`xnli hypothesis: Es war kalt. premise: Es fror.` -> `entailment`."""

    repository: str = "facebook/xnli"
    language: Annotated[str, OneOf(LANGUAGES)] = "en"
    name = "xnli"
    texts = ("hypothesis", "premise")
    labels = ("entailment", "neutral", "contradiction")
    reported = ("accuracy",)
    pinned: ClassVar[str | None] = "b8dd5d7af51114dbda02c0e3f6133f332186418e"
    full: ClassVar[Mapping[str, int]] = {"train": 392702, "validation": 2490, "test": 5010}

    @property
    def _config(self) -> str:
        return self.language
