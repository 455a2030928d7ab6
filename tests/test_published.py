"""Published corpora by name, joined and blended, and what stands in for them."""

import pytest

from t5grid.config import load_cell
from t5grid.data.published import Blend, Joined, StandIn
from t5grid.data.world import NanoCorpus
from t5grid.grid.experiment import load_experiment
from t5grid.grid.graph import experiment_path
from t5grid.grid.strategies import vocabulary_stage

FIVE, NINE = NanoCorpus(5, documents_per_shard=3), NanoCorpus(9, genres=("glossary",))


def texts(corpus):
    return [list(corpus.documents(shard)) for shard in corpus.shards()]


def test_joined_corpora_are_one_after_the_other():
    joined = Joined({"a": FIVE, "b": NINE})
    assert joined.shards() == [("a", 0), ("a", 1), ("b", 0)]
    assert texts(joined) == [*texts(FIVE), *texts(NINE)]
    assert joined.fingerprint() != Joined({"a": NINE, "b": FIVE}).fingerprint()


def test_a_blend_takes_documents_in_turn_and_all_of_them():
    (five,), (nine,) = texts(NanoCorpus(5)), texts(NINE)
    (blended,) = texts(Blend({"a": NanoCorpus(5), "b": NINE}, {"a": 2, "b": 1}))
    assert blended == [*five[:2], nine[0], *five[2:4], nine[1], five[4], *nine[2:]]


def test_a_blend_needs_a_share_for_each_part():
    with pytest.raises(ValueError, match=r"shares: one for each of a, b, got a$"):
        Blend({"a": FIVE, "b": NINE}, {"a": 2})


def test_a_stand_in_is_the_corpus_in_use():
    for use, corpus in (("published", FIVE), ("generated", NINE)):
        stand_in = StandIn(published=FIVE, generated=NINE, use=use)
        assert texts(stand_in) == texts(corpus) and stand_in.fingerprint() == corpus.fingerprint()


ROWS = load_experiment(experiment_path("corpora")).rows


@pytest.mark.parametrize("key", ROWS)
@pytest.mark.parametrize(
    ("budget", "name"), [("nano", "nano-9da5509cd03e"), ("smoke", None), ("paper", "t5_trained-")]
)
def test_one_vocabulary_serves_all_corpora_of_the_table(key, budget, name):
    stages = [
        vocabulary_stage(load_cell([f"budget={budget}", *overrides]))
        for overrides in ([], ROWS[key].overrides)
    ]
    assert stages[0].identity == stages[1].identity
    assert name is None or stages[0].identity.startswith(f"vocabulary/{name}")


@pytest.mark.parametrize(
    ("key", "repository", "subset"),
    [
        ("filtered", "allenai/c4", "en"),
        ("unfiltered", "allenai/c4", "en.noclean"),
        ("news_like", "allenai/c4", "realnewslike"),
        ("web_like", "Skylion007/openwebtext", "plain_text"),
        ("encyclopedia", "wikimedia/wikipedia", "20231101.en"),
    ],
)
def test_at_the_papers_budget_a_row_is_the_papers_corpus(key, repository, subset):
    corpus = load_cell(["budget=paper", *ROWS[key].overrides]).corpus
    corpus = getattr(corpus, "used", corpus)
    assert (corpus.repository, corpus.subset) == (repository, subset)


def test_wikipedia_and_books_are_two_data_sets_with_one_root():
    corpus = load_cell(["corpus=wikipedia_books", "corpus.root=mirror"]).corpus
    assert [(part.repository, part.root) for part in corpus.parts.values()] == [
        ("wikimedia/wikipedia", "mirror"),
        ("rojagtap/bookcorpus", "mirror"),
    ]


def test_below_the_papers_budget_a_row_is_generated():
    for row in ROWS.values():
        corpus = load_cell(row.overrides).corpus
        assert isinstance(getattr(corpus, "used", corpus), NanoCorpus)


def test_ones_own_corpus_has_a_vocabulary_of_its_own(tmp_path):
    (tmp_path / "a.txt").write_text("Mira owns a boat.\n")
    cell = load_cell(["corpus=text", f"corpus.path={tmp_path}"])
    assert cell.vocabulary.reads(cell.corpus) is cell.corpus
