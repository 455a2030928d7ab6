"""Local files become documents, and what cannot be read is named by file and row."""

import gzip
import json
import logging
import os
import re
from pathlib import Path

import pytest

from t5grid.config.build import build
from t5grid.data.corpora import TextCorpus


def _write(folder: Path, **files: str | bytes) -> Path:
    """Files named by keyword; two underscores stand for a dot."""
    for name, content in files.items():
        data = content.encode() if isinstance(content, str) else content
        (folder / name.replace("__", ".")).write_bytes(data)
    return folder


def _documents(path: Path, **fields: str) -> list[str]:
    corpus = TextCorpus(str(path), **fields)
    return [text for shard in corpus.shards() for text in corpus.documents(shard)]


def _parquet(path: Path, **columns: list) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table(columns), path)
    return path


@pytest.mark.parametrize(
    ("txt_documents", "documents"),
    [
        ("file", ["\none\ntwo\n\n \nthree".strip("\n")]),
        ("paragraph", ["one\ntwo", "three"]),
        ("line", ["one", "two", "three"]),
    ],
)
def test_a_text_file_is_cut_into_files_paragraphs_or_lines(
    tmp_path: Path, txt_documents: str, documents: list[str]
) -> None:
    _write(tmp_path, a__txt="\none\r\ntwo\n\n \nthree\n")
    assert _documents(tmp_path, txt_documents=txt_documents) == documents


def test_every_format_gives_the_same_document(tmp_path: Path) -> None:
    row = json.dumps({"text": "été"}).encode()
    _write(tmp_path, a__txt="été", b__jsonl=row, c__json=row + b"\n\n", d__json__gz=gzip.compress(row))
    _write(
        tmp_path, e__jsonl__gz=gzip.compress(row), f__txt__gz=gzip.compress("été".encode()), notes__md="no"
    )
    _parquet(tmp_path / "g.parquet", text=["été"], other=[1])
    assert _documents(tmp_path) == ["été"] * 7


def test_shards_are_relative_names_of_all_folders_in_order(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / ".cache").mkdir()
    _write(_write(tmp_path, c__txt="c", a__txt="a") / "b", x__txt="x")
    _write(tmp_path / ".cache", hidden__txt="no")
    assert TextCorpus(str(tmp_path)).shards() == ["a.txt", "b/x.txt", "c.txt"]
    assert TextCorpus(str(tmp_path / "*.txt")).shards() == ["a.txt", "c.txt"]
    assert TextCorpus(str(tmp_path / "c.txt")).shards() == ["c.txt"]


def test_blank_documents_are_dropped(tmp_path: Path) -> None:
    _write(tmp_path, a__jsonl='{"text": " "}\n{"text": "x"}\n{"text": ""}\n')
    assert _documents(tmp_path) == ["x"]


def test_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    _write(tmp_path, a__jsonl=b'\xef\xbb\xbf{"text": "x"}\n', b__txt=b"\xef\xbb\xbfy\n")
    assert _documents(tmp_path) == ["x", "y"]


def test_another_key_can_hold_the_text(tmp_path: Path) -> None:
    assert _documents(_write(tmp_path, a__jsonl='{"body": "x"}'), text_key="body") == ["x"]


BAD_ROWS = {
    "utf8": (
        "a.jsonl",
        b'{"text": "x"}\n{"text": "\xff"}\n',
        r"a\.jsonl, row 2: not UTF-8, .*0xff at line 2, byte 11",
    ),
    "utf8 text": ("a.txt", b"x\n\ny\nz\xe9\n", r"a\.txt, row 3: not UTF-8, byte 0xe9 at line 4, byte 2"),
    "json": ("a.jsonl", b'{"text": "x"}\n{"text": "y"\n', r"a\.jsonl, row 2: not JSON"),
    "array": ("a.json", b'[{"text": "x"}]\n', r"a\.json, row 1: a JSON list, expected one object a line"),
    "no key": ("a.jsonl", b'{"body": "x", "id": 1}', r"row 1: no key 'text' .* it has body, id"),
    "number": ("a.jsonl", b'{"text": 3}', r"row 1: 'text' is int, expected text"),
    "null": ("a.jsonl", b'{"text": null}', r"row 1: 'text' is null, expected text"),
    "surrogate": ("a.jsonl", b'{"text": "\\ud800"}', r"row 1: .*surrogate"),
    "huge number": ("a.jsonl", b'{"text": ' + b"1" * 5000 + b"}", r"row 1: not JSON"),
}


@pytest.mark.parametrize("case", BAD_ROWS)
def test_a_bad_row_is_refused_with_its_file_and_row_in_one_line(tmp_path: Path, case: str) -> None:
    name, content, message = BAD_ROWS[case]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        _documents(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("case", BAD_ROWS)
def test_a_skipped_row_is_logged_with_its_file_and_row(
    tmp_path: Path, case: str, caplog: pytest.LogCaptureFixture
) -> None:
    name, content, message = BAD_ROWS[case]
    (tmp_path / name).write_bytes(content)
    _write(tmp_path, z__txt="good")
    with caplog.at_level(logging.WARNING):
        documents = _documents(tmp_path, on_bad_row="skip")
    assert documents in (["good"], ["x", "good"])
    assert "skipped 1 such rows of this file" in caplog.text
    assert re.search(message, caplog.text)


def test_a_null_in_parquet_is_a_bad_row(tmp_path: Path) -> None:
    _parquet(tmp_path / "a.parquet", text=["x", None])
    with pytest.raises(ValueError, match=r"a\.parquet, row 2: 'text' is null"):
        _documents(tmp_path)
    assert _documents(tmp_path, on_bad_row="skip") == ["x"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"", "a.txt: empty file"),
        ("a.jsonl.gz", gzip.compress(b"", mtime=0), "a.jsonl.gz: empty file"),
        (
            "a.json.gz",
            gzip.compress(b'{"text": "x"}\n' * 9, mtime=0)[:-9],
            "a.json.gz: unreadable after line",
        ),
        ("a.json.gz", b"not zipped", "a.json.gz: unreadable after line 0"),
        ("a.parquet", b"PAR1 no", "a.parquet: not a readable parquet file"),
        ("a.txt", b" \n\n", "no document in its 1 files"),
        ("a.md", b"x", r"no file ending in \.txt, "),
    ],
)
@pytest.mark.parametrize("on_bad_row", ["refuse", "skip"])
def test_a_bad_file_is_always_refused_in_one_line(
    tmp_path: Path, name: str, content: bytes, message: str, on_bad_row: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        _documents(tmp_path, on_bad_row=on_bad_row)
    assert "\n" not in str(caught.value)


def test_an_empty_file_among_others_is_named_before_any_is_read(tmp_path: Path) -> None:
    _write(tmp_path, a__txt="good", b__txt="")
    with pytest.raises(ValueError, match=r"corpus file .*b\.txt: empty file$"):
        TextCorpus(str(tmp_path)).shards()


def test_a_parquet_file_without_the_column_names_those_it_has(tmp_path: Path) -> None:
    _parquet(tmp_path / "a.parquet", body=["x"], id=[1])
    with pytest.raises(ValueError, match=r"no column 'text' .* it has body, id"):
        _documents(tmp_path)
    with pytest.raises(ValueError, match="column 'id' is int64, expected string"):
        _documents(tmp_path, text_key="id")


def test_a_missing_path_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"corpus\.path=/no/such: no such file or folder"):
        TextCorpus("/no/such").shards()


def test_unknown_options_name_the_possible_ones() -> None:
    with pytest.raises(ValueError, match=r"^corpus\.on_bad_row=drop: one of refuse, skip is needed$"):
        build({"path": ".", "on_bad_row": "drop"}, "corpus", TextCorpus)
    with pytest.raises(
        ValueError, match=r"^corpus\.txt_documents=page: one of file, paragraph, line is needed$"
    ):
        build({"path": ".", "txt_documents": "page"}, "corpus", TextCorpus)


def test_the_fingerprint_follows_content_and_names_but_neither_place_nor_time(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in first, second:
        folder.mkdir()
        _write(folder, a__txt="x")
    os.utime(second / "a.txt", (1, 1))
    known = TextCorpus(str(first)).fingerprint()
    assert TextCorpus(str(second)).fingerprint() == known
    assert TextCorpus(str(first), txt_documents="line").fingerprint() != known
    (second / "a.txt").rename(second / "b.txt")
    assert TextCorpus(str(second)).fingerprint() != known
    _write(first, a__txt="y")
    assert TextCorpus(str(first)).fingerprint() != known


def test_documents_are_streamed(tmp_path: Path) -> None:
    _write(tmp_path, a__jsonl='{"text": "x"}\nbroken\n')
    corpus = TextCorpus(str(tmp_path))
    assert next(corpus.documents("a.jsonl")) == "x"


def test_a_sample_of_c4_is_read_whole(shared: Path) -> None:
    corpus = TextCorpus(str(shared / "mirror/allenai/c4/en"))
    counts = [sum(1 for _ in corpus.documents(shard)) for shard in corpus.shards()]
    assert len(counts) == 3
    assert sum(counts) == 1000
    assert (
        sum(1 for _ in TextCorpus(f"{shared}/mirror/allenai/c4/en/c4-train*").documents(corpus.shards()[0]))
        > 0
    )


def test_wikitext_parquet_is_read_without_its_blank_lines(shared: Path) -> None:
    corpus = TextCorpus(str(shared / "mirror/Salesforce/wikitext/wikitext-2-raw-v1"))
    shards = corpus.shards()
    assert len(shards) == 2
    documents = list(corpus.documents(shards[1]))
    assert 2000 < len(documents) < 3760
    assert documents[0] == " = Homarus gammarus = \n"


@pytest.mark.parametrize("kind", ["binary", "large_binary", "binary_view", "string_view", "large_string"])
def test_bytes_and_views_of_a_parquet_file_are_text(tmp_path: Path, kind: str) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    texts = ["Größe", "b"]
    column = pa.array([text.encode() for text in texts], pa.binary()).cast(getattr(pa, kind)())
    pq.write_table(pa.table({"text": column}), tmp_path / "a.parquet")
    assert _documents(tmp_path) == texts


def test_bytes_that_are_not_utf8_are_a_bad_row(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"text": pa.array([b"a", b"sch\xf6n"])}), tmp_path / "a.parquet")
    with pytest.raises(ValueError, match=r"a.parquet, row 2: 'text' is not UTF-8 at byte 4"):
        _documents(tmp_path)
