"""Two domains of the generated world: words apart, rows and documents of each, and their distance."""

import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
from small_sweep import SMALL, write_rows

from t5grid.cli import main
from t5grid.config.schema import Cells
from t5grid.data.distance import Distance, distance, jensen_shannon, words_of
from t5grid.grid.graph import expand
from t5grid.nano import lexicon
from t5grid.nano.corpus import NanoCorpus
from t5grid.nano.domain_tasks import DomainSentiment
from t5grid.nano.domains import DOMAINS, SHARED, DomainCorpus, opinion, praise
from t5grid.refused import Refused
from t5grid.stages.stage import Stage, with_parents

CELLS = Cells()
SUITE = ("suite=nano_domains", "corpus=nano_places_food")
OTHER = {"places_food": "things_people", "things_people": "places_food"}
every_domain = pytest.mark.parametrize("domain", DOMAINS)


def words(text: str) -> set[str]:
    return set(re.findall("[a-z]+", text.lower()))


@cache
def rows(domain: str) -> dict[str, list[dict[str, str]]]:
    task = DomainSentiment(domain=domain, num_train=120, num_validation=40, num_test=40)
    return {split: task.records(split) for split in ("train", "validation", "test")}


def test_the_words_of_opinions_are_split_and_lost_or_doubled_is_none() -> None:
    first, second = DOMAINS.values()
    for good, whole in ((True, lexicon.PRAISE), (False, lexicon.BLAME)):
        parts = [*first.words(good)[:16], *second.words(good)[:16], *SHARED[good]]
        assert sorted(parts) == sorted(whole)
    assert not set(first.targets) & set(second.targets)


@every_domain
def test_rows_hold_no_target_and_no_telling_word_of_the_other_domain(domain: str) -> None:
    other = DOMAINS[OTHER[domain]]
    foreign = {*other.targets, *other.praise, *other.blame}
    for split in rows(domain).values():
        assert not any(words(row["inputs"]) & foreign for row in split)


@every_domain
def test_rows_are_balanced_disjoint_and_the_same_every_time(domain: str) -> None:
    made = rows(domain)
    for split, records in made.items():
        counts = Counter(record["targets"] for record in records)
        assert counts["bad"] == counts["good"], split
    inputs = [record["inputs"] for records in made.values() for record in records]
    assert len(set(inputs)) == len(inputs)
    assert DomainSentiment(domain=domain, num_train=6).records("train") == made["train"][:6]


@every_domain
def test_the_label_is_that_of_the_telling_words_but_after_a_not(domain: str) -> None:
    good = {*DOMAINS[domain].words(True)}
    for row in rows(domain)["train"]:
        text = row["inputs"].rstrip(".").split(": ")[1]
        told = words(re.sub(r"(not|never) \w+", "", text)) & {*good, *DOMAINS[domain].words(False)}
        denied = set(re.findall(r"(?:not|never) (\w+)", text))
        assert row["targets"] == ("good" if (told <= good if told else not denied <= good) else "bad"), row


def test_the_first_rows_are_these() -> None:
    assert [row["inputs"] for row in rows("things_people")["train"][:2]] == [
        "sentiment sentence: Victor found the plate boring.",
        "sentiment sentence: The dancer was neat and wonderful.",
    ]


@every_domain
def test_opinions_of_a_domain_hold_no_word_of_the_other(domain: str) -> None:
    corpus = DomainCorpus(30, documents_per_shard=30, genres=("opinion", "praise"), domains=(domain,))
    other = DOMAINS[OTHER[domain]]
    text = words(" ".join(corpus.documents(0)))
    assert not text & {*other.targets, *other.praise, *other.blame}
    assert len(text & {*DOMAINS[domain].praise, *DOMAINS[domain].blame}) > 20


def test_a_domains_corpus_is_the_world_without_the_praise_and_blame_of_the_other() -> None:
    text = words(" ".join(DomainCorpus(150, documents_per_shard=150).documents(0)))
    other = DOMAINS["things_people"]
    assert not text & {*other.praise, *other.blame}
    assert len(text & set(other.targets)) > 30, "things and people are known, opinions of them are not"
    assert len(text & {*DOMAINS["places_food"].praise}) > 12


def test_documents_have_about_sixty_words_and_tell_of_one_polarity() -> None:
    from t5grid.nano.dice import Dice

    for writer in (opinion, praise):
        for number in range(20):
            _, lines = writer("things_people", Dice("test", number))
            told = words(" ".join(re.sub(r"not \w+", "", line) for line in lines))
            good, bad = (told & {*DOMAINS["things_people"].words(polarity)} for polarity in (True, False))
            assert not (good and bad) and 38 <= len(" ".join(lines).split()) <= 75


def test_what_is_read_identifies_a_corpus() -> None:
    first, second, both = (
        DomainCorpus(10, domains=domains)
        for domains in (("places_food",), ("things_people",), ("things_people", "places_food"))
    )
    prints = {corpus.fingerprint() for corpus in (first, second, both, NanoCorpus(10))}
    assert len(prints) == 4
    assert both.fingerprint() == DomainCorpus(10, domains=("places_food", "things_people")).fingerprint()


def test_words_alike_have_no_divergence_and_words_apart_one_bit() -> None:
    assert distance(["a b"], ["b A"]) == Distance(0.0, 1.0)
    assert distance(["a b"], ["c d"]) == Distance(1.0, 0.0)
    assert distance(["a a b"], ["b c"]).overlap == 0.5
    assert distance(["a a b"], ["a c"], num_frequent=1) == Distance(jensen_shannon(*TWO), 1.0)
    assert distance([], ["a"]) == Distance(1.0, 0.0)


TWO = (words_of(["a a b"]), words_of(["a c"]))


def test_the_divergence_is_jensen_and_shannons() -> None:
    # a: 2/3 and 1/2, mean 7/12; b: 1/3, mean 1/6; c: 1/2, mean 1/4
    expected = (2 / 3 * 0.19265 + 1 / 3 * 1 + 1 / 2 * -0.22239 + 1 / 2 * 1) / 2
    assert jensen_shannon(*TWO) == pytest.approx(expected, abs=1e-4)


@cache
def ends(*overrides: str) -> dict[str, Stage]:
    cell = CELLS.load([*SUITE, *overrides])
    return cell.strategy.stages(cell)


def test_columns_trained_on_one_column_share_its_finetuning_and_are_scored_on_their_own_rows() -> None:
    stages, own = ends("suite.trained_on=places_food"), ends()
    first, second = stages["places_food"], stages["things_people"]
    assert first.identity == own["places_food"].identity
    assert [tuned.identity for tuned in second.trained] == [tuned.identity for tuned in first.trained]
    assert second.config["column"]["title"] == "Things and people"
    assert second.identity not in {first.identity, own["things_people"].identity}
    assert "/things_people-trained_on_places_food-" in second.identity


def test_a_first_finetuning_has_all_of_its_rows_and_no_other_source() -> None:
    few = (
        "strategy=intermediate_finetune",
        "strategy.column=places_food",
        "++budget.finetune.num_labelled=16",
    )
    (tuned,) = ends(*few)["things_people"].trained
    (first,) = ends()["places_food"].trained
    assert [stage.identity for stage in tuned.trained] == [first.identity]
    assert "num_labelled" not in tuned.trained[0].config["budget"]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ("suite.trained_on=places",),
            "suite.trained_on=places: no such column (did you mean 'places_food'?)",
        ),
        (
            ("suite.trained_on=places_food", "strategy=multitask"),
            "suite.trained_on=places_food: strategy=multitask is trained on more than one column, or on none",
        ),
        (("suite.columns.places_food.tasks.sentiment.domain=food",), "suite.columns.places_food.tasks.sent"),
        (("corpus.domains=[food]",), "corpus.domains"),
    ],
)
def test_what_cannot_be_is_refused(overrides: tuple[str, ...], message: str) -> None:
    with pytest.raises(Refused) as refused:
        ends(*overrides)
    assert str(refused.value).startswith(message)


def test_an_output_layer_that_the_source_lacks_is_named() -> None:
    bert = ("architecture=bert", "objective=masked_lm", "suite.trained_on=sentences", "suite.use=[questions]")
    cell = CELLS.load([word.replace("suite.tr", "+suite.tr") for word in bert])
    with pytest.raises(Refused, match="has no output layer for questions of column questions"):
        cell.strategy.stages(cell)


@pytest.mark.slow
def test_rows_of_the_experiment_share_what_is_equal() -> None:
    grid = expand("domains", ["budget=nano"])
    of_row = {key: with_parents(list(seeds[0][1].values())) for key, seeds in grid.rows.items()}
    kinds = Counter(
        stage.kind
        for stage in {stage.identity: stage for stages in of_row.values() for stage in stages}.values()
    )
    assert (kinds["vocabulary"], kinds["pretrain"], kinds["finetune"]) == (1, 6, 11)
    identities = {key: {stage.identity for stage in stages} for key, stages in of_row.items()}
    (continued,) = [
        name
        for name in identities["domain_text"]
        if "-then_nano_things_people-" in name and "pretrain/" in name
    ]
    assert continued in identities["both"]
    baseline = CELLS.load(["budget=nano"])
    (pretrain,) = [
        stage.identity
        for stage in with_parents(baseline.strategy.stages(baseline).values())
        if stage.kind == "pretrain"
    ]
    assert pretrain in identities["all_text"]


@pytest.mark.slow
def test_the_distance_in_the_caption_is_that_of_the_rows() -> None:
    train = {
        domain: [row["inputs"] for row in DomainSentiment(domain=domain, num_train=1000).records("train")]
        for domain in DOMAINS
    }
    apart = distance(*train.values())
    about = expand("domains", ["budget=nano"]).experiment.about
    assert f"{apart.divergence:.2f} bits" in about and f"{100 * apart.overlap:.0f} % of their" in about


def test_inspect_says_how_far_apart_domains_are(capsys: pytest.CaptureFixture[str]) -> None:
    small = [f"suite.columns.{key}.tasks.sentiment.num_train=20" for key in DOMAINS]
    assert main(["inspect", *SUITE, *small, "suite.trained_on=places_food", "-n", "1"]) == 0
    out = capsys.readouterr().out
    assert re.search(
        r"things_people .*, fine-tuned on places_food: divergence of words 0\.\d\d bits, \d+% of", out
    )
    assert "places_food (Places and food)\n" in out


@pytest.mark.slow
def test_a_sweep_scores_both_domains_and_leaves_a_hole_where_rows_came_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_rows(tmp_path, "domains", "both")
    assert main(["sweep", "some", *SMALL]) == 0
    assert "fine-tuned on first" in next((tmp_path / "results/tables").glob("*.md")).read_text()
