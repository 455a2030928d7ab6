import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from t5grid.data.chunking import piece_spans
from t5grid.data.stream import key_of, permute
from t5grid.data.tokens import Rows, encode_corpus, token_dtype
from t5grid.data.vocabulary import Trained, Vocabulary
from t5grid.files import fenced

WORDS = ["kalo", "miru", "teso", "napi", "loka", "rumi", "sote", "pina"]


@dataclass(frozen=True)
class ToyCorpus:
    """Shards of documents of varying length, the first of each empty; a shard in `broken` fails midway."""

    num_shards: int = 4
    num_documents: int = 9
    broken: tuple[int, ...] = ()
    log: str | None = None

    def shards(self) -> list[int]:
        return list(range(self.num_shards))

    def documents(self, shard: int) -> Iterator[str]:
        if self.log:
            with open(self.log, "a") as file:
                file.write(f"{shard}\n")
        for i in range(self.num_documents):
            if shard in self.broken and i == 5:
                raise ValueError(f"shard {shard}: unreadable")
            yield " ".join(WORDS[(i * k + shard) % 8] for k in range(1 + 7 * i)) if i else ""


@lru_cache(maxsize=1)
def model() -> bytes:
    syllables = ["ka", "lo", "mi", "ru", "te", "so", "na", "pi"]
    return Trained(num_pieces=40).make(
        map(" ".join, product(map("".join, product(syllables, repeat=2)), WORDS))
    )


def write(corpus: ToyCorpus, folder: Path, num_workers: int = 1) -> dict:
    folder.mkdir(exist_ok=True)
    counts = encode_corpus(corpus, model(), folder, num_workers, lambda done, total: None)
    (folder / "tokens.json").write_text(json.dumps(counts))
    return counts


def read(folder: Path, shard: int) -> np.ndarray:
    return np.fromfile(folder / f"shard-{shard:05d}.bin", np.uint16)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def spans(folder: Path, length: int, concatenate: bool) -> list[list[int]]:
    """The pieces a token folder should give, cut one by one."""
    pieces = []
    for shard in range(4):
        ids, starts = read(folder, shard), np.load(folder / f"shard-{shard:05d}.npy")
        cut = piece_spans(starts, length, concatenate)
        pieces += [ids[start : start + count].tolist() for start, count in zip(*cut, strict=True)]
    return pieces


def test_shards_hold_the_ids_of_each_document_end_to_end(tmp_path):
    counts = write(ToyCorpus(), tmp_path)
    vocabulary = Vocabulary(model())
    for shard in range(4):
        ids = vocabulary.encode(list(ToyCorpus().documents(shard)))
        assert read(tmp_path, shard).tolist() == [i for each in ids for i in each]
        assert np.load(tmp_path / f"shard-{shard:05d}.npy").tolist() == [len(each) for each in ids]
    total = sum(read(tmp_path, shard).size for shard in range(4))
    assert counts == {"num_shards": 4, "num_documents": 36, "num_tokens": total}
    assert not list(tmp_path.glob("*partial*"))


def test_progress_counts_shards(tmp_path):
    seen = []
    encode_corpus(ToyCorpus(), model(), tmp_path, 1, lambda done, total: seen.append((done, total)))
    assert seen == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]


@pytest.mark.slow
def test_two_workers_write_the_bytes_of_one(tmp_path):
    assert write(ToyCorpus(), tmp_path / "one") == write(ToyCorpus(), tmp_path / "two", num_workers=2)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_only_a_missing_shard_is_written_again(tmp_path):
    folder, log = tmp_path / "tokens", tmp_path / "log"
    write(ToyCorpus(log=str(log)), folder)
    whole = contents(folder)
    for path in folder.glob("shard-00002.*"):
        path.unlink()
    log.unlink()
    write(ToyCorpus(log=str(log)), folder)
    assert log.read_text() == "2\n"
    assert contents(folder) == whole


def test_a_shard_that_broke_off_does_not_count_and_is_written_whole_next_time(tmp_path):
    write(ToyCorpus(), tmp_path / "whole")
    broken = tmp_path / "broken"
    with pytest.raises(ValueError, match="shard 2: unreadable"):
        write(ToyCorpus(broken=(2,)), broken)
    assert not list(broken.glob("shard-00002.npy")) and not list(broken.glob("shard-00002.bin"))
    write(ToyCorpus(), broken)
    assert contents(broken) == contents(tmp_path / "whole")


def test_half_written_files_are_ignored(tmp_path):
    write(ToyCorpus(), tmp_path / "whole")
    killed = tmp_path / "killed"
    killed.mkdir()
    (killed / ".shard-00001.bin.7-0a.partial").write_bytes(b"\x07")
    (killed / ".shard-00002.npy.7-0b.partial").write_bytes(b"\x93NUMPY")
    (killed / "shard-00003.bin").write_bytes(b"old")  # renamed, but its lengths were not written yet
    write(ToyCorpus(), killed)
    whole = {name: data for name, data in contents(killed).items() if not name.startswith(".")}
    assert whole == contents(tmp_path / "whole")


def test_shards_are_on_the_disk_before_they_have_their_names(tmp_path, monkeypatch):
    synced, replaced = set(), {}
    fsync, replace = os.fsync, os.replace

    def noted(handle: int) -> None:
        synced.add(os.readlink(f"/proc/self/fd/{handle}"))
        fsync(handle)

    def renamed(source: Path, target: Path) -> None:
        replaced[target.name] = str(source)
        replace(source, target)

    monkeypatch.setattr(os, "fsync", noted)
    monkeypatch.setattr(os, "replace", renamed)
    write(ToyCorpus(num_shards=1), tmp_path)
    assert {"shard-00000.bin", "shard-00000.npy"} <= replaced.keys()
    assert set(replaced.values()) == synced
    assert all(Path(source).match(".*.partial") for source in synced)


@pytest.mark.slow
def test_workers_write_no_shard_of_a_folder_that_is_no_longer_theirs(tmp_path):
    for workers in (1, 2):
        with pytest.raises(InterruptedError), fenced({tmp_path: lost}):
            write(ToyCorpus(), tmp_path, workers)
        assert contents(tmp_path) == {}


def lost() -> None:
    raise InterruptedError


def test_a_corpus_without_text_is_refused(tmp_path):
    for corpus in (ToyCorpus(num_shards=0), ToyCorpus(num_documents=0), ToyCorpus(num_documents=1)):
        with pytest.raises(ValueError, match=r"^corpus: no document is left to train on$"):
            write(corpus, tmp_path / repr(corpus))


def test_an_empty_shard_stands_among_others(tmp_path):
    @dataclass(frozen=True)
    class Gap(ToyCorpus):
        def documents(self, shard: int) -> Iterator[str]:
            return iter([]) if shard == 1 else super().documents(shard)

    write(Gap(), tmp_path)
    rows = Rows(tmp_path, 140, 20, concatenate=True)
    assert [piece[piece > 0].tolist() for piece in rows.pieces(np.arange(len(rows)))] == spans(
        tmp_path, 20, True
    )


def test_ids_are_stored_in_two_bytes_where_they_fit():
    assert [token_dtype(size) for size in (100, 32_100, 65_536)] == [np.uint16] * 3
    assert token_dtype(65_537) is np.int32


def test_rows_of_joined_documents_are_the_text_stream_in_order(tmp_path):
    write(ToyCorpus(), tmp_path)
    rows = Rows(tmp_path, 140, 20, concatenate=True)
    pieces = rows.pieces(np.arange(len(rows)))
    assert pieces.shape == (len(rows), 20) and pieces.dtype == np.int32
    assert [piece[piece > 0].tolist() for piece in pieces] == spans(tmp_path, 20, True)
    stream = np.concatenate([read(tmp_path, shard) for shard in range(4)])
    np.testing.assert_array_equal(pieces[pieces > 0], stream)
    # one rest piece a shard, every other piece full
    assert (np.count_nonzero(pieces, axis=1) < 20).sum() <= 4


def test_rows_of_single_documents_hold_every_piece_once(tmp_path):
    write(ToyCorpus(), tmp_path)
    rows = Rows(tmp_path, 140, 20, concatenate=False)
    expected = spans(tmp_path, 20, False)
    found = [piece[piece > 0].tolist() for piece in rows.pieces(np.arange(len(rows)))]
    assert sorted(found) == sorted(expected)
    order = permute(np.arange(len(expected)), len(expected), key_of("rows"))
    assert found == [expected[i] for i in order]


def test_short_pieces_share_a_row_and_fit_it_with_their_eos(tmp_path):
    length, document_lengths = 20, np.random.default_rng(0).integers(1, 15, 500)
    (tmp_path / "tokens.json").write_text('{"num_shards": 1}')
    np.save(tmp_path / "shard-00000.npy", document_lengths.astype(np.int32))
    np.full(document_lengths.sum(), 7, np.uint16).tofile(tmp_path / "shard-00000.bin")
    rows = Rows(tmp_path, 140, length, concatenate=False)
    each = [np.count_nonzero(rows.pieces(np.array([row])), axis=1) for row in range(len(rows))]
    filled = [sum(lengths + 1) for lengths in each]
    assert max(filled) == length + 1
    assert sum(map(len, each)) == 500
    following = [lengths[0] + 1 for lengths in each[1:]]  # a row is closed only where the next does not fit
    groups = np.cumsum([len(lengths) for lengths in each])[:-1] % (length + 1) == 0
    closed_early = np.array(filled[:-1]) + following <= length + 1
    assert not (closed_early & ~groups).any()


def test_short_pieces_are_grouped_block_by_block_as_at_once(tmp_path, monkeypatch):
    write(ToyCorpus(num_shards=4, num_documents=60), tmp_path)
    once = Rows(tmp_path, 140, 20, concatenate=False)
    monkeypatch.setattr("t5grid.data.tokens.GROUP_AT_ONCE", 22)
    blocks = Rows(tmp_path, 140, 20, concatenate=False)
    assert len(once.length) > 3 * 42 and once.first.tolist() == blocks.first.tolist()


def test_short_pieces_stand_alone_where_they_are_not_grouped(tmp_path):
    write(ToyCorpus(), tmp_path)
    rows = Rows(tmp_path, 140, 20, concatenate=False, group_short=False)
    found = [piece[piece > 0].tolist() for piece in rows.pieces(np.arange(len(rows)))]
    assert found == spans(tmp_path, 20, False)


def test_how_much_is_encoded_at_once_does_not_change_a_shard(tmp_path, monkeypatch):
    write(ToyCorpus(), tmp_path / "one")
    monkeypatch.setattr("t5grid.data.tokens.ENCODE_AT_ONCE", 7)
    write(ToyCorpus(), tmp_path / "two")
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


@pytest.mark.slow
def test_what_cleaning_dropped_is_counted_over_all_shards(tmp_path):
    from t5grid.data.cleaning import Cleaned, Rules
    from t5grid.nano.corpus import NanoCorpus

    crawl = NanoCorpus(60, documents_per_shard=20, rubbish=0.5)
    counts = write(Cleaned(crawl, Rules()), tmp_path, num_workers=2)
    assert counts["cleaning"]["pages read"] == 60
    assert counts["cleaning"]["pages kept"] == counts["num_documents"] < 60
    assert write(Cleaned(crawl, Rules()), tmp_path) == counts  # from what the shards kept
    assert "cleaning" not in write(NanoCorpus(5), tmp_path / "plain")


def test_rows_may_be_asked_for_in_any_order(tmp_path):
    write(ToyCorpus(), tmp_path)
    for concatenate in (True, False):
        rows = Rows(tmp_path, 140, 20, concatenate)
        asked = np.array([len(rows) - 1, 0, 3, 3])
        single = [rows.pieces(np.array([row])) for row in asked]
        np.testing.assert_array_equal(rows.pieces(asked), np.concatenate(single))


def test_a_lone_piece_longer_than_the_corpus_is_padded(tmp_path):
    write(ToyCorpus(num_shards=1, num_documents=2), tmp_path)
    pieces = Rows(tmp_path, 140, 500, concatenate=True).pieces(np.array([0]))
    assert pieces.shape == (1, 500)
    np.testing.assert_array_equal(pieces[0][pieces[0] > 0], read(tmp_path, 0))


def test_lengths_are_renamed_into_place_after_the_tokens(tmp_path, monkeypatch):
    renamed = []
    replace = os.replace
    monkeypatch.setattr(os, "replace", lambda a, b: (renamed.append(Path(b).suffix), replace(a, b)))
    write(ToyCorpus(num_shards=1), tmp_path)
    assert renamed == [".bin", ".npy"]


def test_taken_rows_are_the_first_and_the_feed_sees_no_other(tmp_path):
    write(ToyCorpus(), tmp_path)
    for concatenate in (True, False):
        rows = Rows(tmp_path, 140, 20, concatenate)
        taken = rows.take(3)
        assert (len(taken), len(rows.take(10**9)), len(rows) > 3) == (3, len(rows), True)
        for row in range(3):
            np.testing.assert_array_equal(taken.pieces(np.array([row])), rows.pieces(np.array([row])))
