"""C4's rules, one by one; what they leave of a crawl; and what the command says."""

import gzip
import json
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from t5grid.cli import main
from t5grid.config.schema import load_cell
from t5grid.data.cleaning import Cleaned, Rules, Seen, sentences_of
from t5grid.data.corpora import every_document
from t5grid.data.published import HubCorpus
from t5grid.nano.corpus import NanoCorpus

LATER = Rules()
JOURNAL = Rules(min_words=3, min_sentences=5, citations=False, notices=False)
GOOD = [f"This is sentence number {word} of the page." for word in ("one", "two", "three", "four", "five")]


def cleaned(page: str, rules: Rules = LATER) -> tuple[str | None, dict[str, int]]:
    """What is left, and what was dropped why."""
    counts: Counter[str] = Counter()
    left = rules.clean(page, Seen(16), counts)
    return left, {what: count for what, count in counts.items() if "dropped" in what and count}


def test_a_good_page_stays_as_it_is() -> None:
    page = "\n".join(GOOD)
    assert cleaned(page) == cleaned(page, JOURNAL) == (page, {})


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("Home | About us | Contact | Login | Help", "no terminal punctuation"),
        ("Read on to see what happened next...", "no terminal punctuation"),
        ("We all said so.", "fewer than 5 words"),
        ("You need to enable JavaScript for this page.", "javascript"),
        ("This site makes much use of cookies today.", "policy notice"),
        ("Please agree to our Privacy Policy before going on.", "policy notice"),
    ],
)
def test_a_line_goes_for_one_reason(line: str, why: str) -> None:
    assert cleaned("\n".join([*GOOD, line])) == ("\n".join(GOOD), {f"lines dropped: {why}": 1})


@pytest.mark.parametrize("end", [".", "!", "?", '."', "!”", '"', ".)"])
def test_a_line_may_end_in_any_terminal_punctuation(end: str) -> None:
    assert LATER.drops_line(f"They asked what it was all about{end}") is None


def test_the_two_versions_differ_in_words_sentences_and_two_rules() -> None:
    short, notice, marked = "It was so.", "We have terms of use here.", "The lake is deep[1] and cold[edit]."
    page = "\n".join([*GOOD, short, notice, marked])
    assert cleaned(page)[0] == "\n".join([*GOOD, "The lake is deep and cold."])
    assert cleaned(page, JOURNAL)[0] == page
    three = "\n".join(GOOD[:3])
    assert cleaned(three)[0] == three
    assert cleaned(three, JOURNAL) == (None, {"pages dropped: fewer than 5 sentences": 1})
    assert cleaned("\n".join(GOOD[:2])) == (None, {"pages dropped: fewer than 3 sentences": 1})


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("Lorem ipsum dolor sit amet elit.", "lorem ipsum"),
        ("function open() { return cup; }", "curly bracket"),
    ],
)
def test_a_page_goes_for_one_reason(line: str, why: str) -> None:
    left, dropped = cleaned("\n".join([*GOOD, line]))
    assert left is None and dropped[f"pages dropped: {why}"] == 1


def test_a_bad_word_counts_as_a_whole_word_only(tmp_path: Path) -> None:
    words = tmp_path / "bad.txt"
    words.write_text("darn\nto heck\n")
    rules = Rules(bad_words=str(words))
    for line, gone in (("Well, DARN it all today!", True), ("They were darning all day.", False)):
        assert (cleaned("\n".join([*GOOD, line]), rules)[0] is None) == gone
    assert cleaned("\n".join([*GOOD, "She went to heck and back."]), rules)[1] == {
        "pages dropped: bad word": 1
    }
    with pytest.raises(ValueError, match=r"^corpus\.rules\.bad_words=none\.txt: .*No such file"):
        cleaned("\n".join(GOOD), Rules(bad_words="none.txt"))


def test_three_sentences_that_were_met_before_go_and_two_do_not() -> None:
    seen, counts = Seen(16), Counter[str]()
    first = "\n".join(GOOD)
    again = f"Another page begins here now. {' '.join(GOOD[1:4])}\nIt goes on like this. And then it ends."
    two = f"A third page says two of them. {' '.join(GOOD[:2])}"
    assert LATER.clean(first, seen, counts) == first
    assert LATER.clean(again, seen, counts) == (
        "Another page begins here now.\nIt goes on like this. And then it ends."
    )
    assert LATER.clean(two, seen, counts) == two
    assert counts["sentences dropped: repeated span"] == 3
    assert LATER.clean(first, seen, counts) is None
    assert counts["pages dropped: fewer than 3 sentences"] == 1


def test_sentences_end_at_full_stops_exclamation_and_question_marks() -> None:
    assert sentences_of('It is 3.5 m. "Is it?" Yes!  So') == ["It is 3.5 m.", '"Is it?', "Yes!", "So"]


def test_the_filter_forgets_nothing_and_rarely_errs() -> None:
    seen = Seen(20)
    assert sum(seen.before(f"span {i}") for i in range(20000)) < 20
    assert all(seen.before(f"span {i}") for i in range(20000))


def test_english_is_asked_of_langdetect(monkeypatch: pytest.MonkeyPatch) -> None:
    def detect(text: str) -> list[SimpleNamespace]:
        return [SimpleNamespace(lang="en", prob=0.995 if "page" in text else 0.2)]

    package = SimpleNamespace(DetectorFactory=SimpleNamespace(seed=None), detect_langs=detect)
    monkeypatch.setitem(sys.modules, "langdetect", package)
    exceptions = SimpleNamespace(LangDetectException=RuntimeError)
    monkeypatch.setitem(sys.modules, "langdetect.lang_detect_exception", exceptions)
    rules = Rules(min_english=0.99)
    assert cleaned("\n".join(GOOD), rules)[0] is not None
    other = "\n".join(line.replace("page", "Seite") for line in GOOD)
    assert cleaned(other, rules) == (None, {"pages dropped: not English": 1})
    monkeypatch.setitem(sys.modules, "langdetect", None)
    with pytest.raises(ValueError, match="min_english: needs the package langdetect"):
        cleaned(other, rules)


def test_cleaning_a_crawl_gives_the_worlds_documents_back() -> None:
    plain = set(every_document(NanoCorpus(300)))
    corpus = Cleaned(NanoCorpus(300, rubbish=0.5), replace(LATER, min_words=1, min_sentences=1))
    left = [page.replace("\n", " ") for page in every_document(corpus)]
    assert 100 < len(left) < 200
    assert set(left) <= plain


def test_a_cleaned_corpus_is_known_by_source_rules_and_bad_words(tmp_path: Path) -> None:
    source = NanoCorpus(9, rubbish=0.5)
    (tmp_path / "a.txt").write_text("darn\n")
    (tmp_path / "b.txt").write_text("darn\n\n")
    (tmp_path / "c.txt").write_text("heck\n")
    a, b, c = (Cleaned(source, Rules(bad_words=str(tmp_path / f"{name}.txt"))) for name in "abc")
    others = [Cleaned(source), Cleaned(source, JOURNAL), Cleaned(NanoCorpus(9)), a, c]
    assert len({corpus.fingerprint() for corpus in others}) == 5
    assert a.fingerprint() == b.fingerprint()


@pytest.mark.parametrize(("option", "rules"), [("cleaned", LATER), ("cleaned_v3", JOURNAL)])
def test_the_options_are_the_two_published_versions(option: str, rules: Rules) -> None:
    cell = load_cell([f"corpus={option}", "corpus@corpus.source=nano_unfiltered"])
    assert cell.corpus.rules == rules
    assert cell.labels["vocabulary"] == "nano"


@pytest.mark.slow
def test_real_c4_is_clean_by_the_later_version_and_not_by_the_journals(shared: Path) -> None:
    source = HubCorpus("allenai/c4", "en", root=str(shared / "mirror"))
    kept = {}
    for name, rules in (("later", LATER), ("journal", JOURNAL)):
        counts: Counter[str] = Counter()
        for shard in source.shards():
            list(Cleaned(source, replace(rules, repeated_spans=False)).counted(shard, counts))
        assert counts["pages read"] == 900 and not any(what.startswith("lines dropped") for what in counts)
        kept[name] = counts["pages kept"]
    assert kept == {"later": 898, "journal": 755}  # its makers cut sentences a little otherwise


def test_the_command_counts_what_each_rule_drops_and_writes_the_rest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pages = ["\n".join(GOOD), "\n".join([*GOOD[:4], "Lorem ipsum."]), "\n".join([*GOOD[:3], "Click here"])]
    rows = "".join(json.dumps({"text": page}) + "\n" for page in pages)
    (tmp_path / "pages.jsonl").write_text(rows)
    words = ["clean", f"corpus.source.path={tmp_path / 'pages.jsonl'}", "corpus.rules.repeated_spans=false"]
    assert main([*words, "--to", str(tmp_path / "out")]) == 0
    said = dict(line.split(maxsplit=1)[::-1] for line in capsys.readouterr().out.splitlines())
    assert said == {
        "lines dropped: fewer than 5 words": "1",
        "lines dropped: no terminal punctuation": "1",
        "lines read": "14",
        "pages dropped: lorem ipsum": "1",
        "pages kept": "2",
        "pages read": "3",
    }
    with gzip.open(tmp_path / "out/shard-00000.jsonl.gz", "rt") as file:
        assert [json.loads(line)["text"] for line in file] == [pages[0], "\n".join(GOOD[:3])]
    assert main([*words, "--to", str(tmp_path / "out")]) == 2
    assert "is not empty" in capsys.readouterr().err
    assert main(["clean", "corpus=nano"]) == 2
    assert "clean: corpus=cleaned or corpus=cleaned_v3" in capsys.readouterr().err
