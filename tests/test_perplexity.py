"""Bits of held-out text by place, with what segments carry and without: right, kept, drawn, and refused."""

import json
import math
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_carried import MEMORY, NONE, STATES, VOCAB, language_model
from toy_stages import RUNTIME

from t5grid.config.schema import load_cell
from t5grid.data.objectives import LanguageModeling
from t5grid.evaluation.perplexity import Reader, Reading, bits, bits_alone, texts_of
from t5grid.evaluation.resampling import resampled_means
from t5grid.execution.plan import plan_lines
from t5grid.execution.store import Store
from t5grid.grid.graph import expand
from t5grid.model.architectures import LanguageModel
from t5grid.model.loss import loss
from t5grid.model.segmented import SegmentedDecoder
from t5grid.model.segmenting import Segments
from t5grid.refused import Refused
from t5grid.results.charts import charts_of
from t5grid.results.collect import table_of
from t5grid.results.figures import figures_of
from t5grid.results.places import PlaceCurve, by_place, places_of, places_plot
from t5grid.stages.perplexity import PerplexityStage
from t5grid.stages.record import fault_in
from t5grid.stages.stage import Context
from t5grid.tasks.held_out import HeldOutText

TEXTS = np.random.default_rng(0).integers(3, VOCAB, (5, 14)).astype(np.int32)
HELD_OUT = [
    "suite=held_out",
    "strategy=perplexity",
    "architecture=language_model",
    "objective=language_model",
]
MODELS = {"whole": None, "none": NONE, "states": STATES, "memory": MEMORY}
every_model = pytest.mark.parametrize("segments", MODELS.values(), ids=MODELS)


def reader(segments: Segments | None, model: Any = None) -> Reader:
    plain = LanguageModel()
    batching = (SegmentedDecoder(plain, segments) if segments else plain).batching
    return Reader(model or language_model(segments).eval(), LanguageModeling(), batching, VOCAB, 2)


def batch_of(segments: Segments | None) -> dict[str, torch.Tensor]:
    return reader(segments)._batch(TEXTS[:2])


@every_model
def test_bits_are_the_log_likelihoods_of_each_id_after_those_before(segments: Segments | None) -> None:
    model, batch = language_model(segments).eval(), batch_of(segments)
    whole = bits(model, batch)
    for row in range(2):
        for place in range(15):
            so_far = {name: values[row : row + 1, : place + 1] for name, values in batch.items()}
            with torch.no_grad():
                known = model(so_far)[0, -1].double().softmax(dim=-1)[batch["targets"][row, place]]
            assert whole[row, place].item() == pytest.approx(-math.log2(known), abs=1e-4)


@every_model
def test_their_mean_is_the_loss_in_bits(segments: Segments | None) -> None:
    model, batch = language_model(segments).eval(), batch_of(segments)
    nats = loss(model(batch), batch["targets"], z_loss=0).item()  # the z term is one of training alone
    assert bits(model, batch).mean().item() == pytest.approx(nats / math.log(2), rel=1e-5)


@pytest.mark.parametrize("segments", [STATES, MEMORY], ids=["states", "memory"])
def test_alone_a_segment_knows_the_id_before_it_and_no_more(segments: Segments) -> None:
    model, batch = language_model(segments).eval(), batch_of(segments)
    whole, alone = bits(model, batch), bits_alone(model, batch, 6)
    assert torch.allclose(alone[:, :6], whole[:, :6], atol=1e-4)
    assert not torch.allclose(alone[:, 6:12], whole[:, 6:12], atol=1e-3)
    batch["decoder_inputs"][:, 1:6] = 9  # all of the first segment's inputs
    assert torch.equal(bits_alone(model, batch, 6)[:, 6:], alone[:, 6:])
    assert not torch.allclose(bits(model, batch)[:, 6:12], whole[:, 6:12], atol=1e-3)


def test_nothing_carried_is_read_once() -> None:
    model, batch = language_model(NONE).eval(), batch_of(NONE)
    assert torch.allclose(bits(model, batch), bits_alone(model, batch, 6), atol=1e-5)
    assert reader(NONE)(TEXTS).alone is None and reader(None)(TEXTS).width is None


def test_texts_are_read_in_batches_and_kept_as_means_by_place() -> None:
    reading = reader(STATES)(TEXTS)
    assert reading.whole.shape == (5, 14) and reading.width == 6
    batch = replace(reader(STATES), batch=9)._batch(TEXTS)
    at_once = bits(language_model(STATES).eval(), batch)[:, :-1].numpy()
    assert np.allclose(reading.whole, at_once, atol=1e-4)
    curve, scores = reading.curve(), reading.scores()
    assert (curve["texts"], curve["segment"], len(curve["alone"])) == (5, 6, 14)
    assert curve["bits"] == pytest.approx(at_once.mean(axis=0), abs=1e-4)
    assert scores["probability"] == pytest.approx(100 * 2 ** -scores["bits"])
    assert scores["bits_alone"] == pytest.approx(np.mean(reading.alone))


def test_a_probability_is_the_geometric_mean() -> None:
    assert Reading(np.array([[1.0, 3.0]]), None, None).scores() == {"probability": 25.0, "bits": 2.0}


def test_documents_follow_one_another_without_a_mark_until_there_is_enough() -> None:
    read: list[str] = []

    def documents() -> Any:
        for number in range(9):
            read.append(f"{number}")
            yield f"{number} {number}"

    def encode(texts: Any) -> Any:
        return [[int(word) for word in text.split()] for text in texts]

    assert texts_of(encode, documents(), length=3, number=2).tolist() == [[0, 0, 1], [1, 2, 2]]
    assert read == ["0", "1", "2", "3"]
    assert texts_of(encode, documents(), length=3, number=99).shape == (6, 3)
    assert texts_of(encode, documents(), length=30, number=2).shape == (0, 30)


def test_means_are_resampled_alike_and_not_of_too_few() -> None:
    assert resampled_means("a", [1.0] * 9) == []
    drawn = resampled_means("a", np.arange(20.0))
    assert len(drawn) == 200 and drawn == resampled_means("a", np.arange(20.0))
    assert 8 < sum(drawn) / 200 < 11 and min(drawn) < max(drawn)


@pytest.mark.slow
@pytest.mark.parametrize("segments", [STATES, MEMORY], ids=["states", "memory"])
def test_a_carry_that_helps_by_construction_shows_where_it_helps(segments: Segments) -> None:
    """The first id of a segment is that of the segment before: without a carry nothing tells it."""
    model = language_model(segments).train()
    rng, optimizer = np.random.default_rng(1), torch.optim.Adam(model.parameters(), lr=2e-3)

    def repeated(number: int) -> Any:
        texts = np.full((number, 11), 3, np.int32)
        texts[:, 0] = texts[:, 6] = rng.integers(4, 8, number)
        return texts

    for _ in range(500):
        optimizer.zero_grad()
        model.loss(reader(segments, model)._batch(repeated(32))).backward()
        optimizer.step()
    reading = replace(reader(segments, model.eval()), batch=64)(repeated(64))
    assert reading.alone is not None
    carried, alone = reading.whole.mean(axis=0), reading.alone.mean(axis=0)
    assert 1.8 < carried[0] < 2.6 and carried[6] < 0.8 and alone[6] > 1.6
    assert carried[[*range(1, 6), *range(7, 11)]].max() < 0.2  # the rest is the same in every text


# --- stages ---------------------------------------------------------------------------------------


def stages(*words: str) -> dict[str, Any]:
    cell = load_cell([*HELD_OUT, "budget=smoke", *words])
    return cell.strategy.stages(cell)


def test_a_reading_stands_on_the_pretraining_that_fine_tuning_has_too() -> None:
    (reading,) = stages().values()
    assert [parent.kind for parent in reading.parents] == ["pretrain", "vocabulary"]
    words = ["budget=smoke", *HELD_OUT[2:], "suite.use=[questions]"]
    cell = load_cell(words)
    tuned = cell.strategy.stages(cell)["questions"].parents[0]
    assert reading.parents[0].identity in [parent.identity for parent in tuned.parents]
    (cut,) = stages("segments=no_carry", "segments.size=12").values()
    assert cut.parents[0].identity == reading.parents[0].identity and cut.identity != reading.identity


def test_other_text_is_another_stage() -> None:
    (one,), (other,) = (
        stages(f"suite.columns.text.tasks.text.corpus.seed={seed}").values() for seed in (1, 2)
    )
    assert one.identity != other.identity and one.parents[0].identity == other.parents[0].identity


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["objective=prefix_lm"], "objective=prefix_lm: its loss is not of every id"),
        (
            ["architecture=encoder_decoder"],
            "architecture=encoder_decoder: strategy=perplexity reads text with",
        ),
        (["segments=recurrent_memory"], r"segments\.pretrain=false: the memory is new after pre-training"),
        (
            ["suite=nano"],
            r"suite\.columns\.\w+\.tasks\.\w+: no text to read; strategy=perplexity needs suite=",
        ),
        (
            ["suite.columns.text.tasks.text.corpus.seed=0"],
            r"suite\.columns\.text\.tasks\.text\.corpus: is the corpus that is trained on",
        ),
        (["suite.columns.text.tasks.text.num_validation=0"], r"num_validation=0: a whole number from 1 up"),
    ],
)
def test_what_cannot_be_read_is_refused(words: list[str], message: str) -> None:
    with pytest.raises(Refused, match=message):
        stages(*words)


@pytest.mark.parametrize("strategy", ["pretrain_finetune", "no_pretraining", "multitask", "prompted"])
def test_no_other_strategy_takes_text_that_is_only_read(strategy: str) -> None:
    with pytest.raises(Refused, match=r"suite\.columns\.text: its text is only read, by strategy=perplexity"):
        stages(f"strategy={strategy}")


def test_text_is_read_and_never_answered() -> None:
    task = load_cell([*HELD_OUT, "budget=smoke"]).suite.columns["text"].tasks["text"]
    assert isinstance(task, HeldOutText)
    (first, *_) = task.records("validation")
    assert first["inputs"] == "" and len(first["targets"].split()) > 20
    with pytest.raises(Refused, match="text: its text is only read"):
        task.score([first], [""])
    trained_on = load_cell(["budget=smoke"]).corpus.documents(0)
    assert not set(islice(trained_on, 100)) & set(islice(task.documents(), 100))


@pytest.mark.slow
@pytest.mark.parametrize("segments", ["none", "no_carry", "transformer_xl", "recurrent_memory"])
def test_a_stage_reads_with_the_weights_of_its_pretraining(segments: str, tmp_path: Path) -> None:
    from t5grid.stages.model import build_model
    from t5grid.training.checkpoints import save

    words = [] if segments == "none" else ["segments.size=24", "segments.pretrain=true"]
    (stage,) = stages(f"segments={segments}", *words, "size.d_model=16", "vocabulary=characters").values()
    assert isinstance(stage, PerplexityStage)
    context = Context(lambda each: tmp_path / each.identity, RUNTIME, 1, lambda progress: None)
    vocabulary, trained = stage.vocabulary, stage.parents[0]
    context.folder_of(vocabulary).mkdir(parents=True)
    vocabulary.run(context)
    model, _ = build_model(trained.config, load_cell(["vocabulary=characters"]).vocabulary.size)
    folder = context.folder_of(trained) / "checkpoints"
    save(folder, trained.config["budget"]["num_steps"], model, torch.optim.SGD(model.parameters(), lr=1.0))
    record = stage.run(context)
    assert not fault_in({**record, "machine": "", "python": "", "versions": {"torch": ""}}, stage.identity)
    reading = record["perplexity"]["text"]
    length = stage.column.inputs_length
    assert len(reading["bits"]) == length - 1 and reading["texts"] == record["validation_rows"]["text"] == 4
    assert reading["segment"] == {"none": None, "recurrent_memory": 14}.get(segments, 24)
    assert (reading["alone"] is None) == (segments in ("none", "no_carry"))
    bits_of = record["tasks"]["text"]["bits"]
    assert bits_of == pytest.approx(np.mean(reading["bits"]), abs=1e-3)
    assert record["score"] == pytest.approx(100 * 2**-bits_of)


READING = {"texts": 4, "segment": 2, "bits": [4.0, 3.0, 2.0, 1.0, 0.0], "alone": None}


@pytest.mark.parametrize(
    "change",
    [{"bits": []}, {"bits": ["x"]}, {"alone": [1.0]}, {"segment": "x"}, {"texts": None}, {"bits": math.nan}],
)
def test_a_damaged_reading_is_named(change: dict[str, Any]) -> None:
    record = {"score": 1.0, "step": 1, "tasks": {}, "machine": "", "python": "", "versions": {"torch": ""}}
    assert fault_in({**record, "perplexity": {"text": READING}}, "perplexity/x") == ""
    assert fault_in({**record, "perplexity": {"text": READING | change}}, "perplexity/x").startswith(
        "perplex"
    )
    assert fault_in({"step": 1}, "perplexity/x") == "score is missing"


# --- figures --------------------------------------------------------------------------------------


def test_places_are_those_in_the_segment_after_the_first() -> None:
    assert by_place(READING["bits"], 2) == [(1, 1.0), (2, 1.0)]
    assert by_place(READING["bits"], 3) == [(1, 1.0), (2, 0.0)]
    assert by_place(READING["bits"], None) == by_place(READING["bits"], 5)
    assert by_place(READING["bits"], None) == [(1, 4.0), (2, 3.0), (3, 2.0), (4, 1.0), (5, 0.0)]


def test_a_figure_has_a_line_a_curve() -> None:
    assert places_plot("t", []) is None
    curves = [
        PlaceCurve("XL", "text", "xl", False, [(1, 2.0), (2, 1.0)]),
        PlaceCurve("XL, nothing carried", "text", "xl", True, [(1, 3.0), (2, 1.5)]),
    ]
    figure = places_plot("t", curves)
    (panel,) = figure.axes
    solid, dashed = panel.lines
    assert (list(solid.get_ydata()), list(dashed.get_ydata())) == ([2.0, 1.0], [3.0, 1.5])
    assert (solid.get_linestyle(), dashed.get_linestyle()) == ("-", "--")
    assert solid.get_color() == dashed.get_color()


@pytest.mark.slow
def test_records_make_a_table_curves_and_a_plan(tmp_path: Path) -> None:
    grid, store, records = (
        expand("long_text", ["budget=smoke"]),
        Store(tmp_path / "runs"),
        tmp_path / "records",
    )
    about = {"step": 1, "machine": "m", "python": "3", "versions": {"torch": "2"}}
    for key, ((_, columns),) in grid.rows.items():
        reading = dict(READING) | ({"segment": None} if key == "whole" else {})
        reading |= {"alone": [5.0] * 5} if key in ("transformer_xl", "memory_5") else {}
        record = {"score": 25.0, "tasks": {"text": {"step": 1, "bits": 2.0, "probability": 25.0}}, **about}
        path = records / f"{columns['text'].identity}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({**record, "perplexity": {"text": reading}}))
    curves = places_of(grid, store, records)
    assert [(curve.name, curve.points) for curve in curves[:4]] == [
        ("Whole", [(1, 1.0), (2, 1.0)]),
        ("No carry", [(1, 1.0), (2, 1.0)]),
        ("Transformer-XL", [(1, 1.0), (2, 1.0)]),
        ("Transformer-XL, nothing carried", [(1, 5.0), (2, 5.0)]),
    ]
    table = table_of(grid, store, records)
    assert table.columns[0].measured.startswith("geometric mean probability of an id")
    assert [row.cells["text"].mean for row in table.rows] == [25.0] * 4
    assert len(charts_of(grid, table, store, records)["places"]) == 6
    assert figures_of(grid, table, store, records)["places"].name == f"{grid.stem}-places"
    assert any(line.startswith("perplexity") for line in plan_lines([grid], grid.stages, store))
