"""task -> what kind of answer it asks for: class, number, span, tags or free text.

A text-to-text model writes every answer as text and asks nothing of this; a model that answers through an
output layer gets the layer that fits.
"""

from dataclasses import KW_ONLY, dataclass
from typing import Any


@dataclass(frozen=True)
class Answer:
    """What an answer is. `second` are the words of `inputs` that begin its second text, if it has two.

    `first` are those before its first text: they name the task for models that have one output for all.
    """

    _: KW_ONLY
    second: str = ""
    first: str = ""

    def parts(self, inputs: str) -> tuple[str, str]:
        """`inputs` as its first text and its second, which is empty where there is one only.

        >>> Answer(second="premise:").parts("entail hypothesis: it froze premise: it was cold")
        ('entail hypothesis: it froze', 'premise: it was cold')
        """
        at = inputs.find(f" {self.second}") if self.second else -1
        return (inputs, "") if at < 0 else (inputs[:at], inputs[at + 1 :])

    def bare(self, inputs: str) -> tuple[str, str]:
        """The two texts without the words that begin them.

        >>> Answer(first="entail hypothesis:", second="premise:").bare("entail hypothesis: a premise: b c")
        ('a', 'b c')
        """
        first, second = self.parts(inputs)
        return first.removeprefix(self.first).lstrip(), second.removeprefix(self.second).lstrip()


@dataclass(frozen=True)
class Text(Answer):
    """Any text, which has to be written: what a task has that does not say."""


@dataclass(frozen=True)
class Class(Answer):
    """One of some labels, which are its possible targets."""

    labels: tuple[str, ...]


@dataclass(frozen=True)
class Number(Answer):
    """A number from `low` to `high`, written in decimals."""

    low: float
    high: float


@dataclass(frozen=True)
class Span(Answer):
    """Words that stand in the inputs, in the second text if there is one."""


@dataclass(frozen=True)
class Tags(Answer):
    """Runs of words of the inputs, each under one of some labels.

    The targets are `person: Anna; place: mill`; a record's `tags` has the label of each word of the inputs as
    blanks part them, `""` for a word under none.
    """

    labels: tuple[str, ...]

    def written(self, words: list[str], tags: list[str]) -> str:
        """The tagged runs as text, in their order.

        >>> Tags(("person", "place")).written(["Anna", "left", "Mill"], ["person", "", "place"])
        'person: Anna; place: Mill'
        """
        runs: list[tuple[str, list[str]]] = []
        for word, tag, before in zip(words, tags, ["", *tags], strict=False):
            if tag and tag == before:
                runs[-1][1].append(word)
            elif tag:
                runs.append((tag, [word]))
        return "; ".join(f"{tag}: {' '.join(run)}" for tag, run in runs)

    def entities(self, text: str) -> list[tuple[str, str]]:
        """The tagged runs that a text says, each its tag and its words; of what is no tag, too.

        >>> Tags(("person", "place")).entities("person: Anna; place: old  mill; Bo")
        [('person', 'Anna'), ('place', 'old mill'), ('', 'Bo')]
        """
        parts = [part.rpartition(":") for part in text.split(";") if part.strip()]
        return [(tag.strip(), " ".join(words.split())) for tag, _, words in parts]


def answer_of(task: Any) -> Answer:
    """What a task says of its answers; free text where it says nothing."""
    answer: Answer = getattr(task, "answer", Text())
    return answer
