"""Winograd row -> {inputs, targets, ...}: whom a pronoun means.

Inputs are `wsc: ` and the text with the pronoun between asterisks, the target is whom it means (paper,
section 2.4). WSC, DPR and WNLI share the form: a model trained on the first two predicts the third. The
library of the authors also has a form with both words marked and the targets True and False, which none of
their runs used: `marked_spans`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from t5grid.refused import Refused
from t5grid.tasks.answer import Answer, Span
from t5grid.tasks.glue import COMMIT as GLUE_COMMIT
from t5grid.tasks.labelled import UNLABELLED, Formatted, HubTask
from t5grid.tasks.metrics import INVALID, Scores, accuracy
from t5grid.tasks.super_glue import COMMIT as SUPER_GLUE_COMMIT
from t5grid.tasks.task import Record, Row

DETERMINERS = {
    *("a", "an", "few", "her", "his", "each", "every", "many", "much", "my", "our", "some"),
    *("that", "the", "their", "these", "this", "those", "which", "whose", "your"),
}
PRONOUNS = {"he", "she", "they", "it", "her", "his", "their", "them", "him"}
NEARBY = (0, 1, -1, 2, -2)
"""Where the pronoun is looked for, from the index given: one row of the data set is off by one."""


@dataclass(frozen=True)
class WSC(HubTask):
    """`wsc: The dog chased the cat until *it* ran up a tree.` -> `the cat`.

    Trained on the rows whose candidate is right; scored on all of them: a prediction says "right" if it and
    the candidate name the same (`same_referent`).

    Args:
        empty: what an empty prediction counts as, "invalid" or "2019", as no match.
    """

    repository: str = "aps/super_glue"
    empty: Literal["invalid", "2019"] = "invalid"

    name: ClassVar[str] = "wsc"
    config: ClassVar[str] = "wsc.fixed"
    pinned: ClassVar[str | None] = SUPER_GLUE_COMMIT
    texts: ClassVar[tuple[str, ...]] = ("text", "span1_text", "span2_text")
    others: ClassVar[tuple[str, ...]] = ("span2_index", "label")
    reported: ClassVar[tuple[str, ...]] = ("accuracy",)
    answer: ClassVar[Answer] = Span()
    full: ClassVar[Mapping[str, int]] = {"train": 554, "validation": 104}
    made: ClassVar[Mapping[str, int]] = {"train": 259}

    def record(self, row: Row) -> Record:
        """The record of one row, right or wrong."""
        marked = star(row["text"], row["span2_text"], row["span2_index"])
        return {"inputs": f"wsc: {marked}", "targets": row["span1_text"], "label": row["label"]}

    def score(self, records: Sequence[Record], predictions: list[str]) -> Scores:
        """Share of records where "prediction and candidate are the same" is the label."""
        pairs = zip(records, predictions, strict=True)
        guesses = [self.verdict(record["targets"], prediction) for record, prediction in pairs]
        return accuracy([record["label"] for record in records], guesses)

    def verdict(self, candidate: str, prediction: str) -> int:
        """1 if a prediction names the candidate, 0 if not, -1 if nothing is left of it."""
        verdict = same_referent(candidate, prediction)
        return 0 if verdict == INVALID and self.empty == "2019" else verdict

    def _formatted(self, table: Any, split: str) -> Sequence[Record]:
        if split != "train":
            return Formatted(table, self.record)
        return [self.record(row) for row in Formatted(table, dict) if row["label"] == 1]

    def _check(self, table: Any, role: str, where: str) -> None:
        for number, row in enumerate(Formatted(table, dict)):
            if type(row["label"]) is not int or row["label"] not in range(
                INVALID if role == "test" else 0, 2
            ):
                raise Refused(
                    f"{where}, row {number}: label {row['label']!r}, expected one of 0 wrong, 1 right"
                )
            try:
                self.record(row)
            except Refused as error:
                raise Refused(f"{where}, row {number}: {error}") from None


def star(text: str, pronoun: str, index: int) -> str:
    """The text with asterisks around its word number `index`, words being what single blanks part.

    A lone word X in the text is starred too, as in the original code. A pronoun that touches punctuation is
    set apart from it, and one that stands a word or two beside its index is found: the two rows of the data
    set that need it were written out by hand in the original.

    >>> star("Ana left because she was tired .", "she", 3)
    'Ana left because *she* was tired .'

    Raises:
        Refused: the pronoun is neither there nor nearby.
    """
    words = text.split(" ")
    for place in (index + step for step in NEARBY):
        word = words[place] if 0 <= place < len(words) else ""
        rest = word.removeprefix(pronoun)
        if word == pronoun or (rest != word and not rest[:1].isalnum()):
            before, after = " ".join(words[:place]), " ".join([*filter(None, [rest]), *words[place + 1 :]])
            return f"{before} X {after}".replace(" X ", f" *{pronoun}* ").removeprefix("" if before else " ")
    raise Refused(f"no pronoun {pronoun!r} near word {index} of {text[:60]!r}")


def same_referent(candidate: str, prediction: str) -> int:
    """1 if the words of one are among the words of the other, 0 if not, -1 for an empty prediction.

    Case, outer blanks and determiners do not count; a possessive only matches another.
    """
    expected, predicted = _content_words(candidate), _content_words(prediction)
    if not predicted:
        return INVALID
    possessive = ["'" in " ".join(words) for words in (expected, predicted)]
    within = set(expected) <= set(predicted) or set(predicted) <= set(expected)
    return int(within and possessive[0] == possessive[1])


def _content_words(text: str) -> list[str]:
    return [word for word in text.lower().strip().split() if word not in DETERMINERS]


def marked_spans(row: Row) -> Record:
    """The form with both words marked: `wsc text: * Lena * asked Ruth if # she # could stay .` -> `True`.

    A word that is not where its index says stays unmarked. As in the original, the second is then still
    looked for two words on if its index is the larger, where the first one's marks would have moved it.
    """
    first, second = row["span1_index"], row["span2_index"]
    text = _marked(row["text"], row["span1_text"], first, "*")
    text = _marked(text, row["span2_text"], second + 2 * (first < second), "#")
    targets = UNLABELLED if row["label"] == INVALID else ("False", "True")[row["label"]]
    return {"inputs": f"wsc text: {text}", "targets": targets}


def _marked(text: str, span: str, index: int, mark: str) -> str:
    """A text with a mark on both sides of a span that begins at its word number `index`, if it does."""
    place = re.match(rf"((?:\S+\s){{{index}}}){re.escape(span)}", text, re.ASCII)
    return f"{place[1]}{mark} {span} {mark}{text[place.end() :]}" if place else text


@dataclass(frozen=True)
class DPR(HubTask):
    """`wsc: The bees left the hive, *it* was too hot.` -> `the hive`: trained on beside WSC, never scored.

    Definite Pronoun Resolution (paper, section 2.3). A pronoun that is not followed by a blank, a comma or a
    full stop stays unmarked, as in the original code.
    """

    repository: str = "community-datasets/definite_pronoun_resolution"

    name: ClassVar[str] = "dpr"
    config: ClassVar[str] = "plain_text"
    pinned: ClassVar[str | None] = "0fdf659653e37a0a3bf8af0909a43969304b2b19"
    texts: ClassVar[tuple[str, ...]] = ("sentence", "pronoun")
    others: ClassVar[tuple[str, ...]] = ("candidates", "label")
    reported: ClassVar[tuple[str, ...]] = ()
    answer: ClassVar[Answer] = Span()
    full: ClassVar[Mapping[str, int]] = {"train": 1322}
    spare: ClassVar[tuple[str, ...]] = ("train",)

    @property
    def splits(self) -> Mapping[str, tuple[str, ...]]:
        return {"train": ("train",)}

    def record(self, row: Row) -> Record:
        """The record of one row."""
        pronoun = re.search(rf" {re.escape(row['pronoun'])}([ .,])", row["sentence"])
        if not pronoun:
            return {"inputs": f"wsc: {row['sentence']}", "targets": row["candidates"][row["label"]]}
        before, after = row["sentence"][: pronoun.start()], row["sentence"][pronoun.start(1) :]
        inputs = f"wsc: {before} *{row['pronoun']}*{after}"
        return {"inputs": inputs, "targets": row["candidates"][row["label"]]}

    def score(self, records: Sequence[Record], predictions: list[str]) -> Scores:
        """Share of predictions that are the candidate to the letter."""
        return accuracy([record["targets"] for record in records], predictions)

    def _check(self, table: Any, role: str, where: str) -> None:
        for number, row in enumerate(Formatted(table, dict)):
            texts, label = row["candidates"], row["label"]
            fine = isinstance(texts, list) and all(isinstance(text, str) for text in texts)
            if not fine or type(label) is not int or label not in range(len(texts)):
                shown = f"label {label!r} of candidates {str(texts)[:80]}"
                raise Refused(f"{where}, row {number}: {shown}, expected one of them")


@dataclass(frozen=True)
class WNLI(HubTask):
    """`wsc: The cup fell off the shelf because *it* was wobbly.` -> `The cup`, from a pair of sentences.

    For test predictions only, by a model trained on WSC and DPR (paper, section 2.4 and appendix B): WNLI is
    neither trained on nor part of an average. The pronoun is the one whose neighbours fit the hypothesis
    best; the candidate is what the hypothesis has in its place.
    """

    repository: str = "nyu-mll/glue"

    name: ClassVar[str] = "wnli"
    config: ClassVar[str] = "wnli"
    pinned: ClassVar[str | None] = GLUE_COMMIT
    texts: ClassVar[tuple[str, ...]] = ("sentence1", "sentence2")
    others: ClassVar[tuple[str, ...]] = ("label",)
    reported: ClassVar[tuple[str, ...]] = ()
    answer: ClassVar[Answer] = Span()
    full: ClassVar[Mapping[str, int]] = {"test": 146}
    spare: ClassVar[tuple[str, ...]] = ("test",)

    @property
    def splits(self) -> Mapping[str, tuple[str, ...]]:
        return {"test": ("test",)}

    def record(self, row: Row) -> Record:
        """The record of one pair; `<unk>` where no pronoun fits."""
        marked, candidate = referent(row["sentence1"], row["sentence2"])
        return {"inputs": f"wsc: {marked}", "targets": candidate or UNLABELLED, "label": row["label"]}

    def score(self, records: Sequence[Record], predictions: list[str]) -> Scores:
        """As WSC is scored; of labelled records."""
        pairs = zip(records, predictions, strict=True)
        guesses = [same_referent(record["targets"], prediction) for record, prediction in pairs]
        return accuracy([record["label"] for record in records], guesses)


WORD = re.compile(r"\w+(?:['’\-]\w+)*|[^\w\s]")


def referent(premise: str, hypothesis: str) -> tuple[str, str]:
    """The premise with its pronoun starred, and what the hypothesis says in the pronoun's place.

    >>> referent("The cup fell off the shelf because it was wobbly.", "The shelf was wobbly.")
    ('The cup fell off the shelf because *it* was wobbly.', 'The shelf')
    """
    words = list(WORD.finditer(premise))
    places = [place for place, word in enumerate(words) if word[0].lower() in PRONOUNS]
    fits = [(_fit(words, place, hypothesis), place) for place in places]
    (_, candidate), place = max(fits, key=lambda fit: (fit[0][0], -fit[1]), default=((0, ""), None))
    if place is None:
        return premise, ""
    word = words[place]
    if word[0].lower() in ("his", "their", "her"):
        candidate = re.sub(r"['’]s?$", "", candidate)
    return f"{premise[: word.start()]}*{word[0]}*{premise[word.end() :]}", _in_case_of(premise, candidate)


def _in_case_of(premise: str, candidate: str) -> str:
    """A candidate from a sentence's start with a small letter, if its first word is never capital before."""
    first = WORD.match(candidate)
    if not first or re.search(rf"\b{re.escape(first[0])}\b", premise):
        return candidate
    lowered = candidate[:1].lower() + candidate[1:]
    return lowered if lowered in premise else candidate


def _fit(words: Sequence[re.Match[str]], place: int, hypothesis: str) -> tuple[int, str]:
    """How many neighbours of the word at `place` stand in the hypothesis too, and what is between them.

    The words before must end where the candidate begins, or it begins the hypothesis; likewise after it.
    """
    tokens = list(WORD.finditer(hypothesis))
    text = [token[0].lower() for token in tokens]
    lowered = [word[0].lower() for word in words]
    lefts = [_agree(text[:i][::-1], lowered[:place][::-1]) for i in range(len(text))]
    rights = [_agree(text[j:], lowered[place + 1 :]) for j in range(len(text) + 1)]
    spans = [
        (lefts[i] + rights[j], i - j, i, j)
        for i in range(len(text))
        for j in range(i + 1, len(text) + 1)
        if (lefts[i] or i == 0) and (rights[j] or j == len(text))
    ]
    score, _, i, j = max(spans, default=(0, 0, 0, 0))
    return (score, hypothesis[tokens[i].start() : tokens[j - 1].end()]) if score else (0, "")


def _agree(left: Sequence[str], right: Sequence[str]) -> int:
    """How many leading words two lists share."""
    return next(
        (at for at, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right))
    )
