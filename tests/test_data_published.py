"""Published corpora by name, joined and blended, and what stands in for them."""

import gzip
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from loopback_hub import serving

from t5grid.config.schema import load_cell
from t5grid.data.corpora import every_document
from t5grid.data.published import Blend, HubCorpus, Joined, StandIn, _content
from t5grid.data.vocabulary import Trained, Vocabulary
from t5grid.grid.experiment import load_experiment
from t5grid.grid.graph import experiment_path
from t5grid.grid.strategies import vocabulary_stage
from t5grid.nano.corpus import NanoCorpus

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
    ("budget", "name"), [("nano", "nano-4906f7268767"), ("smoke", None), ("paper", "t5_trained-")]
)
@pytest.mark.slow
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
@pytest.mark.slow
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


@pytest.mark.slow
def test_below_the_papers_budget_a_row_is_generated():
    for row in ROWS.values():
        corpus = load_cell(row.overrides).corpus
        assert isinstance(getattr(corpus, "used", corpus), NanoCorpus)


def test_ones_own_corpus_has_a_vocabulary_of_its_own(tmp_path):
    (tmp_path / "a.txt").write_text("Mira owns a boat.\n")
    cell = load_cell(["corpus=text", f"corpus.path={tmp_path}"])
    assert cell.vocabulary.reads(cell.corpus) is cell.corpus


def mirror(folder: Path, *files: list[dict], repository: str = "our/pages") -> str:
    """A folder laid out as the hub's repositories, with one configuration `en`; its root."""
    place = folder / repository
    (place / "en").mkdir(parents=True)
    (place / "README.md").write_text(
        "---\nconfigs:\n- config_name: en\n  data_files:\n  - split: train\n    path: en/t.*.json.gz\n---\n"
    )
    for number, rows in enumerate(files):
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (place / f"en/t.{number}.json.gz").write_bytes(gzip.compress(lines.encode(), mtime=0))
    return str(folder)


def page(text: str | None) -> dict:
    return {"text": text, "url": "http://a"}


@pytest.mark.slow
def test_a_local_copy_is_read_file_by_file_without_blank_documents(tmp_path):
    root = mirror(tmp_path, [page("one"), page(" "), page("two\nlines")], [page("three")], [page("four")])
    corpus = HubCorpus("our/pages", "en", root=root)
    assert texts(corpus) == [["one", "two\nlines"], ["three"], ["four"]]
    assert texts(HubCorpus("our/pages", "en", root=root, num_shards=2)) == [["one", "two\nlines"], ["three"]]
    assert texts(pickle.loads(pickle.dumps(corpus))) == texts(corpus)


def test_a_local_copy_is_known_by_its_content_and_not_by_its_place(tmp_path):
    roots = [mirror(tmp_path / name, [page("one")], [page(last)]) for name, last in ("xo", "yo", "zp")]
    prints = [HubCorpus("our/pages", "en", root=root).fingerprint() for root in roots]
    assert prints[0] == prints[1] != prints[2]
    of_first = [HubCorpus("our/pages", "en", root=root, num_shards=1).fingerprint() for root in roots]
    assert len(set(of_first)) == 1 and of_first[0] != prints[0]


def test_a_large_file_is_known_by_blocks_spread_over_it(tmp_path, monkeypatch):
    monkeypatch.setattr("t5grid.data.published.WHOLE", 1000)
    monkeypatch.setattr("t5grid.data.published.BLOCK", 10)
    contents = [bytes(2000), b"1" + bytes(1999), bytes(1999) + b"1", bytes(1001), bytes(999), bytes(998)]
    hashes = set()
    for content in contents:
        (tmp_path / "file").write_bytes(content)
        hashes.add(_content(str(tmp_path / "file")))
    assert len(hashes) == 6


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"repository": "our/news"}, r"\(en, train\): no folder our/news in root=.*, it holds our/pages$"),
        ({"subset": "de"}, r"\(de, train\): .*'de' not found\. Available: \['en'\]$"),
        ({"split": "test"}, r"\(en, test\): Bad split: test\. Available splits: \['train'\]$"),
        ({"text_key": "body"}, r"file 0, row 1: no column 'body' \(text_key\), it has text, url$"),
        ({}, r"file 1, row 3: NoneType in 'text', expected text$"),
    ],
)
def test_what_is_wrong_with_a_local_copy_is_one_line(tmp_path, settings, message):
    root = mirror(tmp_path, [page("one")], [page("two"), page("three"), page(None)])
    with pytest.raises(ValueError, match=f"^corpus our/.*{message}") as error:
        texts(HubCorpus(**{"repository": "our/pages", "subset": "en", "root": root, **settings}))
    assert "\n" not in str(error.value)


def test_a_broken_file_is_named(tmp_path):
    root = mirror(tmp_path, [page("one")], [page("two")])
    path = tmp_path / "our/pages/en/t.1.json.gz"
    path.write_bytes(path.read_bytes()[:-12])
    corpus = HubCorpus("our/pages", "en", root=root)
    assert list(corpus.documents(0)) == ["one"]
    with pytest.raises(ValueError, match=r"^corpus our/pages \(en, train\), file 1, row \d+: "):
        list(corpus.documents(1))


def test_without_network_the_data_set_and_the_two_ways_to_it_are_named(monkeypatch):
    monkeypatch.setattr("t5grid.tasks.hub.reachable", lambda: False)
    corpus = HubCorpus("allenai/c4", "en")
    assert len(corpus.fingerprint()) == 16
    with pytest.raises(ValueError, match=r"^corpus allenai/c4 \(en, train\) is out of reach: .* root=DIR"):
        corpus.shards()


STREAM = """
import json
from t5grid.data.published import HubCorpus
corpus = HubCorpus("our/pages", "en", revision="{}")
print(json.dumps([[shard, list(corpus.documents(shard))] for shard in corpus.shards()]))
"""


@pytest.mark.slow
def test_the_hub_is_streamed_file_by_file_at_the_pinned_commit(tmp_path):
    commit = "0123456789" * 4
    root = mirror(tmp_path / "served", [page("one"), page("two")], [page("three")])
    plain = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    with serving(Path(root), commit) as (address, asked):
        said = subprocess.run(
            [sys.executable, "-c", STREAM.format(commit)],
            env={**plain, "HF_ENDPOINT": address, "HF_HOME": str(tmp_path), "HF_HUB_DISABLE_XET": "1"},
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert said.returncode == 0, said.stderr
    assert json.loads(said.stdout) == [[0, ["one", "two"]], [1, ["three"]]]
    files = [path for path in asked if path.endswith(".gz")]
    assert files and all(f"/resolve/{commit}/en/t." in path for path in files)


def test_the_mirrors_c4_is_two_files_of_900_pages(shared):
    corpus = load_cell(["corpus=c4", f"corpus.root={shared / 'mirror'}"]).corpus
    assert [len(pages) for pages in texts(corpus)] == [450, 450]


def test_the_papers_mixture_of_languages_is_ten_to_one(shared):
    en, de = (HubCorpus("extra/mono", name, root=str(shared / "mirror")) for name in ("en", "de"))
    blend = Blend({"en": en, "de": de}, {"en": 10, "de": 1})
    pages = list(blend.documents(0))[:22]
    english, german = (list(every_document(corpus)) for corpus in (en, de))
    assert pages == [*english[:10], german[0], *english[10:20], german[1]]


@pytest.mark.slow
def test_a_vocabulary_of_the_mixture_knows_four_languages(shared):
    root = shared / "mirror"
    parts = {name: HubCorpus("extra/mono", name, root=str(root)) for name in ("en", "de", "fr", "ro")}
    maker = Trained(2000, num_documents=260, corpus=Blend(parts, {"en": 10, "de": 1, "fr": 1, "ro": 1}))
    vocabulary = Vocabulary(maker.make(every_document(maker.reads(None))))
    assert vocabulary.size == 2100
    for text in ("The council said that it would.", "Das ist für die Straße.", "C’est un été.", "și în țară"):
        assert 2 not in vocabulary.encode([text])[0], text


def test_the_studys_vocabulary_has_32000_pieces_of_four_languages():
    vocabulary = load_cell(["vocabulary=t5_trained", "vocabulary.corpus.root=mirror"]).vocabulary
    assert vocabulary.num_pieces == 32000
    assert vocabulary.corpus.shares == {"en": 10, "de": 1, "fr": 1, "ro": 1}
    assert [(part.subset, part.root) for part in vocabulary.corpus.parts.values()] == [
        (name, "mirror") for name in ("en", "de", "fr", "ro")
    ]
