"""Hyperpartisan news, in the organisers' archives, in a copy's rows and in files of one's own."""

import json
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from loopback_hub import serving

from t5grid.config.schema import load_cell
from t5grid.refused import Refused
from t5grid.tasks import articles
from t5grid.tasks.articles import COLUMNS, plain_text, read_archives
from t5grid.tasks.availability import refuse_missing, standing
from t5grid.tasks.hyperpartisan import Hyperpartisan

REPOSITORY = "SemEvalWorkshop/hyperpartisan_news_detection"
NUMBER = 20
ARTICLES, JUDGEMENTS = (name.format(config="byarticle") for name in articles.ARCHIVES)


def archives(root: Path, judged: int = NUMBER) -> tuple[Path, Path]:
    """A copy of the repository with the organisers' archives: every third article is hyperpartisan."""
    folder = root / REPOSITORY / "data"
    folder.mkdir(parents=True)
    told = "".join(
        f'<article id="{number:07d}" published-at="2017-09-{number + 1:02d}" title="Title {number}">'
        f'<p>Article <a href="http://x.y">{number}</a> &amp;amp; more.</p>\n<p>Caf\u00e9</p></article>'
        for number in range(NUMBER)
    )
    known = "".join(
        f'<article id="{number:07d}" hyperpartisan="{"false" if number % 3 else "true"}" '
        f'labeled-by="article" url="https://a.b/{number}"/>'
        for number in reversed(range(judged))
    )
    for name, body in ((ARTICLES, told), (JUDGEMENTS, known)):
        with zipfile.ZipFile(folder / name, "w") as archive:
            text = f'<?xml version="1.0" encoding="UTF-8"?><articles>{body}</articles>'
            archive.writestr(name.replace(".zip", ".xml"), text)
    return folder / ARTICLES, folder / JUDGEMENTS


def rows_of(root: Path, split: str, number: int) -> None:
    """A copy of the repository with rows, in the schema of its card."""
    folder = root / REPOSITORY / "byarticle"
    folder.mkdir(parents=True, exist_ok=True)
    table = pa.table(
        {
            "text": [f"<p>{split} {row}</p>" for row in range(number)],
            "title": ["t"] * number,
            "hyperpartisan": [row % 2 == 0 for row in range(number)],
            "url": ["u"] * number,
            "published_at": [""] * number,
        }
    )
    pq.write_table(table, folder / f"{split}-00000-of-00001.parquet")


def test_tags_part_words_or_not_and_entities_are_read_as_often_as_they_were_written() -> None:
    assert plain_text("<p>It&#8217;s <em>so</em>me</p><p>day<br/>now</p>") == "It\u2019s some day now"
    assert plain_text("a &amp;#160; b &lt; c") == "a b < c"
    assert plain_text("<p>kept</p><script>var x = '<p>no</p>'</script> too") == "kept too"
    assert plain_text("5 < 6 and\nno\ttags") == "5 < 6 and no tags"


def test_archives_have_the_columns_of_the_hub_and_judgements_are_found_by_id(tmp_path: Path) -> None:
    table = read_archives(*archives(tmp_path))
    assert tuple(table.schema.names) == COLUMNS and table.num_rows == NUMBER
    third = table.slice(3, 1).to_pylist()[0]
    assert third["text"].startswith("<p>Article <a href=") and third["text"].endswith("<p>Caf\u00e9</p>")
    del third["text"]
    assert third == {
        "title": "Title 3",
        "hyperpartisan": True,
        "url": "https://a.b/3",
        "published_at": "2017-09-04",
    }


def test_a_copy_of_the_repository_gives_plain_text_with_every_tenth_article_held_out(tmp_path: Path) -> None:
    archives(tmp_path)
    task = Hyperpartisan(root=str(tmp_path))
    train, validation = task.records("train"), task.records("validation")
    assert validation == [
        {"inputs": "hyperpartisan text: Article 9 & more. Caf\u00e9", "targets": "true", "label": 1},
        {"inputs": "hyperpartisan text: Article 19 & more. Caf\u00e9", "targets": "false", "label": 0},
    ]
    assert len(train) == task.num_rows("train") == 18 and not {row["inputs"] for row in train} & {
        row["inputs"] for row in validation
    }
    assert len(task.records("validation")) == task.num_rows("validation") == 2
    assert len(Hyperpartisan(root=str(tmp_path), held_out=5).records("validation")) == 4


def test_rows_in_the_schema_of_the_card_are_read_too_and_splits_of_their_own_kept(tmp_path: Path) -> None:
    rows_of(tmp_path, "train", 10)
    task = Hyperpartisan(root=str(tmp_path))
    assert [row["inputs"] for row in task.records("validation")] == ["hyperpartisan text: train 9"]
    rows_of(tmp_path, "validation", 3)
    task = Hyperpartisan(root=str(tmp_path))
    assert [row["targets"] for row in task.records("validation")] == ["true", "false", "true"]
    assert (len(task.records("train")), task.num_rows("train"), task.num_rows("validation")) == (10, 10, 3)


def test_own_files_are_read_as_longformers_script_writes_them(tmp_path: Path) -> None:
    def write(name: str, number: int) -> str:
        lines = [
            {"text": f"{name} {row}", "label": ("false", "true")[row % 2], "id": row} for row in range(number)
        ]
        (tmp_path / name).write_text("".join(json.dumps(line) + "\n" for line in lines))
        return str(tmp_path / name)

    alone = Hyperpartisan(train=write("train.jsonl", 20))
    assert [row["inputs"] for row in alone.records("validation")] == [
        "hyperpartisan text: train.jsonl 9",
        "hyperpartisan text: train.jsonl 19",
    ]
    both = Hyperpartisan(train=alone.train, validation=write("dev.jsonl", 3))
    assert [row["targets"] for row in both.records("validation")] == ["false", "true", "false"]
    assert (both.num_rows("train"), both.num_rows("validation")) == (20, 3)
    assert both.fingerprint() != alone.fingerprint()
    moved = tmp_path / "elsewhere.jsonl"
    moved.write_bytes((tmp_path / "train.jsonl").read_bytes())
    assert Hyperpartisan(train=str(moved)).fingerprint() == alone.fingerprint()


def test_it_is_scored_by_f1_of_those_that_are(tmp_path: Path) -> None:
    archives(tmp_path)
    task = Hyperpartisan(root=str(tmp_path), held_out=4)
    records = task.records("validation")
    assert [row["targets"] for row in records] == ["true", "false", "false", "true", "false"]
    assert task.score(records, ["true", "true", "false", "x", "false"]) == {"f1": 50.0}


def test_the_suite_reads_a_copy_and_counts_the_rows_of_the_hub(tmp_path: Path) -> None:
    hub = load_cell(["suite=hyperpartisan"]).suite.chosen()
    assert standing(hub)["hyperpartisan"]["hyperpartisan"] == {
        "train": {"rows": 581, "of": 581},
        "validation": {"rows": 64, "of": 64},
    }
    archives(tmp_path)
    copy = load_cell(["suite=hyperpartisan", f"suite.root={tmp_path}"]).suite.chosen()
    refuse_missing(copy)
    assert standing(copy)["hyperpartisan"]["hyperpartisan"]["train"] == {"rows": 18, "of": 581}
    with pytest.raises(Refused, match=r"hyperpartisan_news_detection \(byarticle, train\): no folder"):
        refuse_missing(
            load_cell(["suite=hyperpartisan", f"suite.root={tmp_path / 'SemEvalWorkshop'}"]).suite.chosen()
        )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({"text": "a"}, r"own\.jsonl: no column 'hyperpartisan' or 'label', it has text"),
        ({"text": "a", "label": "maybe"}, r"own\.jsonl, row 0: label is 'maybe', expected true or false"),
        ({"text": "a", "hyperpartisan": None}, "row 0: hyperpartisan is None"),
        ({"hyperpartisan": True}, "no column 'text'"),
    ],
)
def test_bad_own_rows_are_named(line: dict, message: str, tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    path.write_text((json.dumps(line) + "\n") * 10)
    with pytest.raises(Refused, match=message):
        Hyperpartisan(train=str(path)).records("train")


def test_bad_archives_and_settings_are_named(tmp_path: Path) -> None:
    archives(tmp_path, judged=NUMBER - 1)
    with pytest.raises(Refused, match=r"ground-truth.*says nothing of article '0000019' of articles-"):
        Hyperpartisan(root=str(tmp_path)).records("train")
    (tmp_path / REPOSITORY / "data" / ARTICLES).write_bytes(b"no archive")
    with pytest.raises(Refused, match=r"articles-training-byarticle-20181122\.zip: unreadable"):
        Hyperpartisan(root=str(tmp_path)).records("train")
    with pytest.raises(Refused, match=r"validation=x: train is needed too"):
        Hyperpartisan(validation="x")
    with pytest.raises(Refused, match=r"train=x: rows are read from there or from root=y"):
        Hyperpartisan(train="x", root="y")


@pytest.mark.slow
def test_the_archives_of_the_hub_are_read_at_the_pinned_commit(tmp_path: Path) -> None:
    from test_hub import loading

    archives(tmp_path / "served")
    code = 'from t5grid.tasks.hyperpartisan import Hyperpartisan as H\nprint(len(H().records("train")))'
    commit = str(Hyperpartisan.pinned)
    with serving(tmp_path / "served", commit) as (address, asked):
        done = loading(tmp_path / "cache", code, HF_ENDPOINT=address)
        assert done.stdout == "18\n", done.stderr
        assert {path.rpartition("/")[2] for path in asked if f"/resolve/{commit}/data/" in path} == {
            ARTICLES,
            JUDGEMENTS,
        }
    again = loading(tmp_path / "cache", code, HF_ENDPOINT=address, HF_HUB_OFFLINE="1")
    assert again.stdout == "18\n", again.stderr
    never = loading(tmp_path / "other", code, HF_HUB_OFFLINE="1")
    assert never.stderr.splitlines()[-1].startswith("t5grid.refused.Refused: data set SemEvalWorkshop/")
