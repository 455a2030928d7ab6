"""a task's labels and targets + a vocabulary -> which of them it cannot give back.

A model answers in pieces of the vocabulary. What these do not spell, it cannot answer: doubled blanks,
accents that are characters of their own, a script without pieces.
"""

import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from t5grid.data.special_ids import UNK
from t5grid.data.vocabulary import Vocabulary
from t5grid.refused import Refused
from t5grid.tasks.availability import sampled
from t5grid.tasks.metrics import rouge_words
from t5grid.tasks.task import Record

UNKNOWN = "⁇"
BLANKS_DO_NOT_COUNT = {
    *(
        "em",
        "f1",
        "entity_f1",
        "exact_match",
        "word_f1",
        "bleu",
        "rouge1",
        "rouge2",
        "rougeLsum",
        "pearson",
        "spearman",
    ),
}
"""Metrics of words, numbers and classes; the texts of classes have no blanks to lose."""
SHOWN = 60


class Unanswerable(Refused):
    """Labels that no answer can be: a vocabulary leaves nothing of one, or the same of two."""


def losses(
    tasks: Mapping[str, Any], records: Mapping[str, Sequence[Record]], vocabulary: Vocabulary
) -> list[str]:
    """What the vocabulary does not give back of the tasks' labels and of some targets, a line each.

    Raises:
        Unanswerable: a label of which nothing is left, or two of which the same is left.
    """
    pairs = [(name, losses_of(name, task, records.get(name, ()), vocabulary)) for name, task in tasks.items()]
    return [f"task {name}: {line}" for name, lines in pairs for line in lines]


def losses_of(name: str, task: Any, records: Sequence[Record], vocabulary: Vocabulary) -> list[str]:
    """The lines of one task. Raises Unanswerable as `losses`."""
    of_labels = _lost_labels(name, labels_of(task), vocabulary)
    return [*of_labels, *_lost_targets(task, sampled(records), vocabulary)]


def labels_of(task: Any) -> tuple[str, ...]:
    """The targets that are the classes of a task; none where it has no classes."""
    labels = getattr(task, "class_targets", None) or getattr(task, "labels", None) or ()
    return tuple(label for label in labels if label)


def given_back(texts: Sequence[str], vocabulary: Vocabulary) -> list[str]:
    """What a model that answers each text perfectly is read to have answered."""
    return [vocabulary.decode(ids) for ids in vocabulary.encode(list(texts))]


def _lost_labels(name: str, labels: Sequence[str], vocabulary: Vocabulary) -> Iterator[str]:
    answers = dict(zip(labels, given_back(labels, vocabulary), strict=True))
    first: dict[str, str] = {}
    for label, answer in answers.items():
        if not answer.replace(UNKNOWN, "").strip():
            why = f"nothing is left of label {label!r} in this vocabulary{_why(label, answer, vocabulary)}"
            raise Unanswerable(f"task {name}: {why}; write it otherwise, or take another vocabulary")
        if answer in first:
            two = " and ".join(_both(first[answer], label))
            why = f"labels {two} are one in this vocabulary, {answer!r}"
            raise Unanswerable(f"task {name}: {why}; write one otherwise, or take another vocabulary")
        first[answer] = label
    for label, answer in answers.items():
        if label != answer:
            change = _change(label, answer, vocabulary)
            yield f"label {change}: an answer is never counted as this label"


def _lost_targets(task: Any, records: Sequence[Record], vocabulary: Vocabulary) -> Iterator[str]:
    targets = [record["targets"] for record in records]
    shown = _words if set(task.reported) <= BLANKS_DO_NOT_COUNT else str
    pairs = zip(targets, given_back(targets, vocabulary), strict=True)
    changed = [(text, answer) for text, answer in pairs if shown(text) != shown(answer)]
    if changed:
        example = _change(*changed[0], vocabulary)
        yield f"{len(changed)} of {len(targets)} targets cannot be answered as they are, such as {example}"
    wordless = [text for text in targets if not _has_rouge_words(task, text)]
    if wordless:
        of_all = f"{len(wordless)} of {len(targets)} targets have no word that ROUGE sees"
        yield f"{of_all}, such as {_cut(wordless[0])!r} (a task of your own says rouge_words: unicode)"


def _has_rouge_words(task: Any, text: str) -> bool:
    """Whether ROUGE, where it scores a task, sees a word in a target."""
    rouge = any(metric.startswith("rouge") for metric in task.reported)
    return not rouge or bool(rouge_words(text, getattr(task, "rouge_words", "ascii")))


def _words(text: str) -> str:
    return " ".join(text.split())


def _change(text: str, answer: str, vocabulary: Vocabulary) -> str:
    """Text and answer, around the first difference, and why they differ."""
    first = next((at for at, pair in enumerate(zip(text, answer, strict=False)) if pair[0] != pair[1]), 0)
    start = max(0, first - SHOWN // 2) if first > SHOWN // 2 else 0
    one, two = _both(_cut(text[start:]), _cut(answer[start:]))
    return f"{one}, given back as {two}{_why(text, answer, vocabulary)}"


def _both(one: str, two: str) -> tuple[str, str]:
    """Two texts in quotation marks that a reader can tell apart."""
    spell: Callable[[str], str] = ascii if _composed(one) == _composed(two) else repr
    return spell(one), spell(two)


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _why(text: str, answer: str, vocabulary: Vocabulary) -> str:
    if unknown := _without_pieces(text, vocabulary):
        return f" (no piece for {' '.join(unknown[:8])})"
    is_blank = "".join(text.split()) == "".join(answer.split())
    return " (blanks are not kept)" if is_blank else " (written otherwise in the vocabulary)"


def _without_pieces(text: str, vocabulary: Vocabulary) -> list[str]:
    """The characters that the vocabulary does not have."""
    characters = list(dict.fromkeys(_composed(text)))
    encoded = zip(characters, vocabulary.encode(characters), strict=True)
    return [character for character, ids in encoded if UNK in ids]


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"
