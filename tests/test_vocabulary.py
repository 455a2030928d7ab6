import itertools
import json
from collections.abc import Iterator

import pytest

from t5grid.config.build import build
from t5grid.data.vocabulary import LONGEST, Given, Trained, Vocabulary, readable

SYLLABLES = ["ka", "lo", "mi", "ru", "te", "so", "na", "pi"]


def documents() -> Iterator[str]:
    """512 documents of three invented words."""
    for a, b, c in itertools.product(SYLLABLES, repeat=3):
        yield f"{a}{b} {c}{a} {b}{c}{a}."


def one_line(error: pytest.ExceptionInfo) -> str:
    text = str(error.value)
    assert text and "\n" not in text
    return text


@pytest.fixture(scope="module")
def trained() -> Vocabulary:
    return Vocabulary(Trained(num_pieces=40).make(documents()))


@pytest.fixture
def small(shared) -> bytes:
    return (shared / "sentencepiece/seqio_test.model").read_bytes()


@pytest.fixture
def golden(goldens) -> dict:
    cases = json.loads((goldens / "sentencepiece.json").read_text())["cases"]
    return {kind: [case for case in cases if case["kind"] == kind] for kind in ("encode", "decode")}


# The original gives extra ids a text of their own (`<extra_id_0>`), in both directions. Our sentinels are ids
# and never text, so where the two differ ours is the original without extra ids.


@pytest.mark.parametrize("num_sentinels", [0, 100])
def test_encoding_equals_the_original_without_eos(small, golden, num_sentinels):
    vocabulary = Vocabulary(small, num_sentinels)
    assert len(golden["encode"]) == 12
    for case in golden["encode"]:
        assert vocabulary.encode([case["text"]]) == [case["ids_without_extra"]], case["id"]


@pytest.mark.parametrize("num_sentinels", [0, 100])
def test_decoding_equals_the_original(small, golden, num_sentinels):
    vocabulary = Vocabulary(small, num_sentinels)
    for case in golden["encode"]:
        assert vocabulary.decode(case["ids_without_extra"]) == case["decoded_without_extra"], case["id"]
    for case in golden["decode"]:
        assert vocabulary.decode(case["ids"]) == case["decoded_without_extra"], case["id"]


def test_the_original_with_extra_ids_differs_only_where_a_sentinel_is_text(golden):
    encoded = [c for c in golden["encode"] if c["ids_with_100_extra"] != c["ids_without_extra"]]
    assert [case["text"] for case in encoded] == ["<extra_id_0>"]
    decoded = [c for c in golden["decode"] if c["decoded_with_100_extra"] != c["decoded_without_extra"]]
    assert [case["ids"] for case in decoded] == [[26, 25]]


def test_the_t5_vocabulary_gives_the_known_ids(shared):
    vocabulary = Vocabulary.load(shared / "sentencepiece/t5_spiece_32000.model")
    ids = [13959, 1566, 12, 2968, 10, 466, 19, 207, 5]
    assert vocabulary.encode(["translate English to German: That is good."]) == [ids]
    assert vocabulary.decode([*ids, 1]) == "translate English to German: That is good."
    assert (vocabulary.num_pieces, vocabulary.size) == (32000, 32100)


def test_sentinel_k_is_counted_down_from_the_last_id(small):
    vocabulary = Vocabulary(small)
    assert (vocabulary.num_pieces, vocabulary.size) == (26, 126)
    assert vocabulary.show([125, 5, 124]) == "<extra_id_0> a <extra_id_1>"
    assert vocabulary.show([26, 25]) == "<extra_id_99> v"
    assert vocabulary.decode([26, 25]) == Vocabulary(small, 0).decode([26, 25]) == " ⁇ v"


def test_decoding_ends_at_the_first_eos_and_drops_padding(trained):
    ids = trained.encode(["kalo mika"])[0]
    assert trained.decode([0, *ids, 0, 1, *ids]) == "kalo mika"
    assert trained.decode([1, *ids]) == trained.decode([]) == trained.decode([0, 0]) == ""


def test_ids_beyond_the_pieces_read_as_unknown(trained):
    assert trained.decode([trained.num_pieces]) == trained.decode([2]) == trained.decode([9999]) == " ⁇ "


def test_many_threads_give_the_ids_of_one(trained):
    texts = list(documents())
    assert trained.encode(texts, num_threads=2) == trained.encode(texts)


def test_training_twice_gives_the_same_bytes(trained):
    again = Trained(num_pieces=40).make(documents())
    assert again == trained.model
    assert Vocabulary(again).fingerprint == trained.fingerprint


def test_a_trained_vocabulary_has_the_size_asked_for_and_reads_its_corpus_back(trained):
    assert (trained.num_pieces, trained.size) == (40, 140)
    texts = list(documents())
    assert [trained.decode(ids) for ids in trained.encode(texts)] == texts
    assert not any({0, 1, 2} & set(ids) for ids in trained.encode(texts))


def test_training_reads_only_the_documents_asked_for():
    def forever() -> Iterator[str]:
        yield from documents()
        raise AssertionError("read on")

    assert Trained(num_pieces=40, num_documents=500).make(forever())


def test_documents_of_several_lines_are_read(trained):
    joined = ("\n".join(each) for each in zip(*[documents()] * 2, strict=True))
    assert Vocabulary(Trained(num_pieces=40).make(joined)).num_pieces == 40


@pytest.mark.parametrize(
    ("texts", "reason"),
    [([], "there is no text"), ([""], "there is no text"), (["too small"], "Vocabulary size too high")],
)
def test_too_small_a_text_is_refused_in_one_line(texts, reason):
    with pytest.raises(ValueError, match=f"^vocabulary.num_pieces=500: cannot be trained: {reason}") as error:
        Trained(num_pieces=500).make(iter(texts))
    one_line(error)


def test_what_reading_a_document_raises_is_raised_as_it_is():
    def broken():
        yield "one document"
        raise ValueError("corpus file a.txt, row 2: not UTF-8")

    with pytest.raises(ValueError, match=r"^corpus file a.txt, row 2: not UTF-8$"):
        Trained(num_pieces=40).make(broken())


def test_too_few_pieces_are_refused():
    with pytest.raises(ValueError, match=r"^vocabulary.num_pieces=5: a whole number from 32 up is needed$"):
        build({"num_pieces": 5}, "vocabulary", Trained)


def test_a_model_with_other_special_ids_is_refused_by_name(shared):
    with pytest.raises(
        ValueError, match=r"torchtune_m_2000.model: pad, eos and unk .* has \(-1, 2, 0\)$"
    ) as error:
        Vocabulary.load(shared / "sentencepiece/torchtune_m_2000.model")
    one_line(error)


def test_files_that_are_no_model_are_refused_by_name(tmp_path):
    (tmp_path / "notes.model").write_text("not a model")
    (tmp_path / "empty.model").write_text("")
    for name in ("notes.model", "empty.model"):
        with pytest.raises(
            ValueError, match=f"^vocabulary.path=.*{name}: not a SentencePiece model"
        ) as error:
            Vocabulary.load(tmp_path / name)
        one_line(error)
    with pytest.raises(ValueError, match=r"absent\.model: No such file"):
        Vocabulary.load(tmp_path / "absent.model")
    with pytest.raises(ValueError, match="Is a directory"):
        Vocabulary.load(tmp_path)


def test_a_given_vocabulary_is_known_by_its_content(trained, tmp_path):
    for name in ("a.model", "b.model"):
        (tmp_path / name).write_bytes(trained.model)
    a, b = (Given(str(tmp_path / name)) for name in ("a.model", "b.model"))
    assert a.make(iter([])) == trained.model
    assert a.fingerprint() == b.fingerprint() == {"model": trained.fingerprint}
    assert (a.reads("corpus"), Trained(40).reads("corpus")) == (None, "corpus")
    assert Trained(40).fingerprint() == {"num_pieces": 40, "num_documents": None}


def test_the_number_of_sentinels_is_part_of_the_fingerprint(trained):
    assert Vocabulary(trained.model, 50).fingerprint != trained.fingerprint


def test_a_vocabulary_with_a_corpus_of_its_own_reads_that_one():
    from t5grid.nano.corpus import NanoCorpus

    own = NanoCorpus(num_documents=9)
    assert Trained(40, corpus=own).reads(NanoCorpus(num_documents=8)) is own
    assert Trained(40, corpus=own).fingerprint() == Trained(40).fingerprint()


@pytest.mark.parametrize("text", ["ab cd ", "абвгд\n", "漢字仮名", "𝄞a"])
def test_a_text_of_any_length_is_cut_into_parts_that_are_read(text):
    document = text * (3 * LONGEST // len(text.encode()))
    parts = list(readable(iter([document])))
    assert "".join(parts) == document and max(len(part.encode()) for part in parts) <= LONGEST
    assert len(parts) <= 5 and all(part[0].isspace() for part in parts[1:]) == (text[-1] in " \n")


def test_no_document_is_left_out_of_the_vocabulary(monkeypatch):
    monkeypatch.setattr("t5grid.data.vocabulary.LONGEST", 500)
    long = " ".join(str(number * 7919 % 99991) for number in range(200))
    marked = " ".join(f"{word} \u2585" for word in ["quux", "the", "fox", "jumps", "by"] * 20)
    vocabulary = Vocabulary(Trained(48).make(iter([long, marked])))
    assert vocabulary.decode(vocabulary.encode(["fox 123 quux"])[0]) == "fox 123 quux"
