"""Why two stages are not one."""

import json
from pathlib import Path

import pytest

from t5grid.cli import main
from t5grid.execution.explain import Known, explain_difference
from t5grid.execution.store import Store
from t5grid.files import write_whole
from t5grid.grid.graph import expand, merged

WORDS = ["budget=smoke", "suite.use=[questions]"]


@pytest.fixture
def known(tmp_path: Path) -> Known:
    stages = merged([expand(name, WORDS) for name in ("objectives", "corruption_rate")])
    return Known(Store(tmp_path / "runs"), tmp_path / "records", stages)


def test_two_stages_differ_in_keys_of_their_own_and_of_their_parents(known: Known) -> None:
    a, b = known.named("evaluate/questions-bert_style"), known.named("evaluate/questions-mass_style")
    lines = [line.partition("-")[0] if "parent" in line else line for line in explain_difference(a, b, known)]
    assert lines == [
        f"A: {a}",
        f"B: {b}",
        "  parent: finetune/questions",
        "    parent: pretrain/encoder_decoder",
        '      objective._target_: "objective/BertStyle" | "objective/MassStyle"',
    ]


def test_what_is_left_out_as_neutral_is_said(known: Known) -> None:
    names = ("pretrain/encoder_decoder-replace_spans-", "pretrain/encoder_decoder-replace_spans,rate=0.5")
    a, b = map(known.named, names)
    assert list(explain_difference(a, b, known))[2:] == [
        "  objective.rate: (left out: neutral) | 0.5",
        "  objective.targets_length_at_512: (left out: neutral) | 512",
    ]
    assert list(explain_difference(a, a, known)) == [f"one and the same stage: {a}"]


def test_stages_on_disk_are_known_by_config_or_record_and_an_old_version_is_named(known: Known) -> None:
    stage = known.planned[known.named("pretrain/encoder_decoder-deshuffling")]
    old = {**stage.describe(), "version": 0, "identity": "pretrain/old-1"}
    write_whole(known.store.root / "pretrain" / "old-1" / "config.yaml", json.dumps(old))
    write_whole(known.records / "pretrain" / "older-1.json", json.dumps({**old, "parents": []}))
    assert list(explain_difference(known.named("pretrain/old-1"), stage.identity, known))[2:] == [
        "  version: 0 | 1"
    ]
    lines = list(explain_difference("pretrain/older-1", "pretrain/old-1", known))[2:]
    assert [line.partition("-")[0] for line in lines] == [
        "  parent: (none) | tokens/nano",
        "  parent: (none) | vocabulary/nano",
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: [", "while parsing"),
        ("[]", "identity, kind, version, c"),
        (
            "{identity: a, kind: b, version: 1, config: {}, content: {}, parents: 3}",
            "identity, kind, version, c",
        ),
    ],
)
def test_a_description_that_was_spoilt_is_named(known: Known, text: str, reason: str) -> None:
    path = known.store.root / "pretrain" / "spoilt-1" / "config.yaml"
    write_whole(path, text)
    with pytest.raises(ValueError, match=f"^{path}: {reason}"):
        list(explain_difference("pretrain/spoilt-1", "pretrain/other-1", known))


def test_a_part_of_no_or_of_several_names_is_refused(known: Known) -> None:
    with pytest.raises(ValueError, match=r"^pretrain/nope: no stage in "):
        known.named("pretrain/nope")
    with pytest.raises(ValueError, match=r"^pretrain/encoder: \d+ stages have it in their name: "):
        known.named("pretrain/encoder")
    with pytest.raises(ValueError, match=r"^\.\./runs: no stage in "):
        known.named("../runs")


def test_the_command_knows_what_has_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    stages = ["pretrain/encoder_decoder-bert_style", "pretrain/encoder_decoder-mass_style"]
    assert main(["explain", *stages, "objectives", *WORDS]) == 0
    assert capsys.readouterr().out.splitlines()[2].startswith("  objective._target_: ")
    stages = [f"pretrain/encoder_decoder-random_spans,mean_span_length={mean}-" for mean in (5, 10)]
    assert main(["explain", *stages, "span_length", *WORDS]) == 0
    assert capsys.readouterr().out.splitlines()[2:] == ["  objective.mean_span_length: 5.0 | 10.0"]
    assert main(["explain", stages[0]]) == 2
    assert capsys.readouterr().err == (
        f"t5grid: explain: two stages are needed, such as pretrain/bert_style, not {stages[0]}\n"
    )
