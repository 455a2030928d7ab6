"""targets, predictions -> {name: score between 0 and 100}.

Every function takes lists of equal length, already post-processed (class indices, numbers, texts), and
returns plain floats on the scale of the paper's tables. Sources: paper section 2.3 names the metrics; the
details (what an invalid prediction counts as, which text normalisation, which BLEU) are the behaviour of the
original code.
"""

import math
import re
import string
import unicodedata
import warnings
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from functools import cache, lru_cache
from typing import Any, Literal

from t5grid.refused import Refused

INVALID = -1
ROUGES = ("rouge1", "rouge2", "rougeLsum")
KEPT_ROWS = 1 << 15
"""Rows whose part of a metric is remembered: a bootstrap asks for each of them many times."""
RougeWords = Literal["ascii", "unicode", "characters"]
Scores = dict[str, float]


def accuracy(targets: Sequence[Hashable], predictions: Sequence[Hashable]) -> Scores:
    """Share of predictions equal to their target; an invalid prediction (-1) never is, as no target is -1."""
    _check(targets, predictions)
    return {"accuracy": _percent([t == p for t, p in zip(targets, predictions, strict=True)])}


def f1_with_invalid(targets: Sequence[int], predictions: Sequence[int]) -> Scores:
    """F1 of the positive class 1; a prediction that is neither 0 nor 1 counts as the opposite of its target.

    Targets are 0 or 1. Without any positive, in targets and predictions, the score is 0.
    """
    _check(targets, predictions)
    return {"f1": 100 * _f1(targets, _opposite_for_invalid(targets, predictions), positive=1)}


def entity_f1(targets: Sequence[Sequence[Hashable]], predictions: Sequence[Sequence[Hashable]]) -> Scores:
    """F1 of the entities of all rows together, each of them right once at most; 0 where there are none."""
    _check(targets, predictions)
    pairs = [(Counter(own), Counter(given)) for own, given in zip(targets, predictions, strict=True)]
    right = sum((own & given).total() for own, given in pairs)
    number = sum(own.total() + given.total() for own, given in pairs)
    return {"entity_f1": 100 * 2 * right / number if number else 0.0}


def matthews(targets: Sequence[int], predictions: Sequence[int]) -> Scores:
    """Matthews correlation; invalid predictions (-1) are a class of their own, constant ones score 0."""
    from sklearn.metrics import matthews_corrcoef

    _check(targets, predictions)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a single class in targets and predictions is a defined case here
        return {"matthews": 100 * float(matthews_corrcoef(list(targets), list(predictions)))}


def mean_multiclass_f1(num_classes: int) -> Callable[[Sequence[int], Sequence[int]], Scores]:
    """The metric that is the unweighted mean of the F1 of classes 0 .. num_classes - 1.

    A class absent from both sides counts as 0 (CommitmentBank, 3 classes). The key is `mean_<n>class_f1`.
    """

    def metric(targets: Sequence[int], predictions: Sequence[int]) -> Scores:
        _check(targets, predictions)
        scores = [_f1(targets, predictions, positive=k) for k in range(num_classes)]
        return {f"mean_{num_classes}class_f1": 100 * sum(scores) / num_classes}

    return metric


def pearson_spearman(targets: Sequence[float], predictions: Sequence[float]) -> Scores:
    """Pearson's and Spearman's correlation; nan where one side is constant or holds a nan."""
    from scipy.stats import pearsonr, spearmanr

    _check(targets, predictions)
    if _no_correlation(targets) or _no_correlation(predictions):
        return {"pearson": math.nan, "spearman": math.nan}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a nearly constant side
        pearson, spearman = pearsonr(targets, predictions)[0], spearmanr(targets, predictions)[0]
    return {"pearson": 100 * float(pearson), "spearman": 100 * float(spearman)}


def squad(answers: Sequence[Sequence[str]], predictions: Sequence[str]) -> Scores:
    """SQuAD exact match and bag-of-words F1 after `normalise_answer`.

    Each is the best over a question's answers, then the mean over questions. Two texts that are both empty
    after normalisation match exactly and have F1 0.

    Raises:
        Refused: a question without any answer.
    """
    _check(answers, predictions)
    for row, accepted in enumerate(answers):
        if not accepted:
            raise Refused(f"squad metric: row {row} has no answer, expected at least one")
    pairs = list(zip(answers, predictions, strict=True))
    rows = [_squad_of_row(tuple(accepted), p) for accepted, p in pairs]
    return {"em": _percent([em for em, _ in rows]), "f1": _percent([f1 for _, f1 in rows])}


def span_squad(
    answers: Sequence[Sequence[str]], contexts: Sequence[str], predictions: Sequence[str]
) -> Scores:
    """The SQuAD scores of spans, `start: 1 end: 2`, as numbers of the context's words from 0; else empty.

    Words are what is left between characters that are no letter, digit or `_`. (In the library of the
    authors; none of the study's tables has it.)
    """
    _check(contexts, predictions)
    return squad(answers, [_span(c, p) for c, p in zip(contexts, predictions, strict=True)])


def multirc(
    groups: Sequence[Hashable],
    targets: Sequence[int],
    predictions: Sequence[int],
    f1_of_questions: bool = False,
) -> Scores:
    """MultiRC: F1 over all answers together, and the share of questions with every answer right.

    `groups` holds the question each answer belongs to. With `f1_of_questions`, F1 is the mean over questions,
    as in the release of 2019 (changed by its authors in December of that year).
    """
    _check(targets, predictions)
    rows: dict[Hashable, list[tuple[int, int]]] = {}
    for group, target, prediction in zip(groups, targets, predictions, strict=True):
        rows.setdefault(group, []).append((target, prediction))
    exact = _percent([all(target == prediction for target, prediction in pairs) for pairs in rows.values()])
    if not f1_of_questions:
        return {**f1_with_invalid(targets, predictions), "exact_match": exact}
    f1_by_question = [f1_with_invalid(*map(list, zip(*pairs, strict=True)))["f1"] for pairs in rows.values()]
    return {"f1": sum(f1_by_question) / len(f1_by_question), "exact_match": exact}


def record(
    groups: Sequence[Hashable],
    answers: Sequence[Sequence[str]],
    predictions: Sequence[str],
    every_row: bool = False,
) -> Scores:
    """ReCoRD: the SQuAD scores where only the first row of each (passage, query) group counts.

    With `every_row` all count, so queries with more answers weigh more, as in the release of 2019.
    """
    if every_row:
        return squad(answers, predictions)
    first: dict[Hashable, int] = {}
    for row, group in enumerate(groups):
        first.setdefault(group, row)
    rows = list(first.values())
    return squad([answers[row] for row in rows], [predictions[row] for row in rows])


def rouge(targets: Sequence[str], predictions: Sequence[str], words: RougeWords = "ascii") -> Scores:
    """Mean F of ROUGE-1, ROUGE-2 and ROUGE-Lsum without stemming; the paper's "ROUGE-L" is Lsum.

    " . " ends a sentence for Lsum, in both texts. The original reports the middle of 1,000 bootstrap
    resamples; this is the plain mean they scatter around. `words` says what a word is (`rouge_words`); a
    target without any scores 0 whatever the prediction.
    """
    _check(targets, predictions)
    rows = [_rouge_of_row(t, p, words) for t, p in zip(targets, predictions, strict=True)]
    return {name: _percent([row[k] for row in rows]) for k, name in enumerate(ROUGES)}


def rouge_words(text: str, words: RougeWords) -> list[str]:
    """What ROUGE takes for the words of a text.

    "ascii" runs of a-z and 0-9, as the original; "unicode" runs of letters, digits and their marks;
    "characters" each letter or digit with its marks, for scripts without blanks.

    >>> [rouge_words("Él 2.", words) for words in ("ascii", "unicode", "characters")]
    [['l', '2'], ['él', '2'], ['é', 'l', '2']]
    """
    if words == "ascii":
        return re.findall("[a-z0-9]+", text.lower())
    text = unicodedata.normalize("NFC", text.lower())
    kinds = [unicodedata.category(character)[0] for character in text]
    apart = " " if words == "characters" else ""
    kept = {"L": apart, "N": apart, "M": ""}
    pairs = zip(text, kinds, strict=True)
    return "".join(kept[kind] + character if kind in kept else " " for character, kind in pairs).split()


def bleu(targets: Sequence[str], predictions: Sequence[str]) -> Scores:
    """Corpus BLEU of sacrebleu: tokeniser "intl", exponential smoothing, cased, one reference a row."""
    from sacrebleu.metrics.bleu import BLEU

    _check(targets, predictions)
    rows = [_bleu_of_row(t, p) for t, p in zip(targets, predictions, strict=True)]
    counts, totals, lengths = (
        [sum(numbers) for numbers in zip(*part, strict=True)] for part in zip(*rows, strict=True)
    )
    value = BLEU.compute_bleu(counts, totals, sys_len=lengths[0], ref_len=lengths[1], smooth_method="exp")
    return {"bleu": float(value.score)}


def string_to_float(text: str, default: float = -1.0) -> float:
    """The number a text spells (blanks around it, exponents and nan accepted), else `default`."""
    try:
        return float(text)
    except ValueError:
        return default


def normalise_answer(text: str) -> str:
    """Lower-case, delete ASCII punctuation, drop the words a, an, the, and squeeze blanks.

    >>> normalise_answer("The cat's 3.5%")
    'cats 35'
    """
    text = "".join(character for character in text.lower() if character not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def normalise_trivia_answer(text: str) -> str:
    """As `normalise_answer`, with a blank for each punctuation mark and curly quote (the authors' TriviaQA).

    >>> normalise_trivia_answer("O'Neil's_cat")
    'o neil s cat'
    """
    marks = re.compile(f"[{re.escape(string.punctuation)}‘’´`]")
    text = re.sub(r"\b(a|an|the)\b", " ", marks.sub(" ", text.lower()))
    return " ".join(text.split())


def _check(targets: Sequence[object], predictions: Sequence[object]) -> None:
    if len(targets) != len(predictions) or not targets:
        sizes = f"{len(targets)} targets and {len(predictions)} predictions"
        raise ValueError(f"a metric needs equally many, and at least one, got {sizes}")


def _span(context: str, prediction: str) -> str:
    span = re.fullmatch(r"\s*start: (\d+) end: (\d+)\s*", prediction)
    words = re.sub(r"\W", " ", context).split()
    return " ".join(words[int(span[1]) : int(span[2]) + 1]) if span else ""


def _percent(values: Sequence[float]) -> float:
    return 100 * sum(values) / len(values)


def _opposite_for_invalid(targets: Sequence[int], predictions: Sequence[int]) -> list[int]:
    return [p if p in (0, 1) else 1 - t for t, p in zip(targets, predictions, strict=True)]


def _f1(targets: Sequence[int], predictions: Sequence[int], positive: int) -> float:
    hits = sum(t == p == positive for t, p in zip(targets, predictions, strict=True))
    marked = sum(t == positive for t in targets) + sum(p == positive for p in predictions)
    return 2 * hits / marked if marked else 0.0


def _no_correlation(values: Sequence[float]) -> bool:
    return len(set(values)) < 2 or any(map(math.isnan, values))


@lru_cache(KEPT_ROWS)
def _squad_of_row(accepted: tuple[str, ...], prediction: str) -> tuple[float, float]:
    """Exact match and F1 of a row: the best of each over its answers."""
    exact = max(_exact(answer, prediction) for answer in accepted)
    return exact, max(_word_f1(answer, prediction) for answer in accepted)


@lru_cache(KEPT_ROWS)
def _rouge_of_row(target: str, prediction: str, words: RougeWords) -> tuple[float, ...]:
    """F of each of `ROUGES` of a row."""
    row = _rouge_scorer(words).score(_one_sentence_a_line(target), _one_sentence_a_line(prediction))
    return tuple(row[name].fmeasure for name in ROUGES)


@cache
def _rouge_scorer(words: RougeWords) -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(list(ROUGES), tokenizer=None if words == "ascii" else _RougeTokenizer(words))


@lru_cache(KEPT_ROWS)
def _bleu_of_row(target: str, prediction: str) -> tuple[list[int], list[int], tuple[int, int]]:
    """What a row adds to BLEU: n-grams that match, n-grams there are, lengths of prediction and target."""
    from sacrebleu import corpus_bleu

    row = corpus_bleu(
        [prediction], [[target]], smooth_method="exp", force=True, lowercase=False, tokenize="intl"
    )
    return row.counts, row.totals, (row.sys_len, row.ref_len)


def _exact(answer: str, prediction: str) -> bool:
    return normalise_answer(answer) == normalise_answer(prediction)


def _word_f1(answer: str, prediction: str) -> float:
    expected, predicted = normalise_answer(answer).split(), normalise_answer(prediction).split()
    shared = (Counter(expected) & Counter(predicted)).total()
    return 2 * shared / (len(expected) + len(predicted)) if shared else 0.0


class _RougeTokenizer:
    """What `rouge_score` asks for the words of a text."""

    def __init__(self, words: RougeWords) -> None:
        self.words = words

    def tokenize(self, text: str) -> list[str]:
        return rouge_words(text, self.words)


def _one_sentence_a_line(text: str) -> str:
    return text.replace(" . ", " .\n")
