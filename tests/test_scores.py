import json
import math
from dataclasses import dataclass
from itertools import product

import pytest
import torch
from torch import nn

from t5grid.config.schema import Column
from t5grid.data.vocabulary import Trained, Vocabulary
from t5grid.evaluation.averages import choose
from t5grid.evaluation.scores import checkpoint_paths, load_records, predict, samples_of, score
from t5grid.model.architectures import EncoderDecoder
from t5grid.model.size import Size
from t5grid.model.text_to_text import TextToText
from t5grid.training import checkpoints

WORDS = ["kalo", "miru", "teso", "napi", "loka", "rumi", "sote", "pina"]
TEXTS = [" ".join(WORDS[(i * k + i) % 8] for k in range(1 + (5 * i) % 9)) for i in range(11)]


@dataclass(frozen=True)
class ToyTask:
    """Records that are to be copied; scored by exact match."""

    name: str = "toy"
    reported: tuple[str, ...] = ("accuracy",)
    texts: tuple[str, ...] = tuple(TEXTS)

    def records(self, split: str) -> list[dict]:
        return [{"inputs": text, "targets": text} for text in self.texts] if split == "validation" else []

    def score(self, records: list[dict], predictions: list[str]) -> dict[str, float]:
        right = [row["targets"] == answer for row, answer in zip(records, predictions, strict=True)]
        return {"accuracy": 100 * sum(right) / len(right), "unreported": math.nan}


def column(inputs_length: int = 64, targets_length: int = 64, **tasks: ToyTask) -> Column:
    return Column("Toy", inputs_length, targets_length, tasks or {"toy": ToyTask()})


def reporting(**reported: tuple[str, ...]) -> Column:
    return column(**{name: ToyTask(name, metrics) for name, metrics in reported.items()})


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    syllables = ["ka", "lo", "mi", "ru", "te", "so", "na", "pi"]
    texts = map(" ".join, product(map("".join, product(syllables, repeat=2)), WORDS))
    return Vocabulary(Trained(num_pieces=40).make(texts))


class Copy(TextToText):
    """Answers each input with itself."""

    def __init__(self, vocab_size: int) -> None:
        super().__init__()
        self.vocab_size, self.seen = vocab_size, []
        self.unused = nn.Parameter(torch.zeros(1))

    def start_decoding(self, batch: dict[str, torch.Tensor], max_length: int) -> "CopyState":
        self.seen.append(batch["inputs"])
        return CopyState(batch["inputs"], 0)

    def decode_step(self, tokens: torch.Tensor, state: "CopyState") -> torch.Tensor:
        state.position += 1
        ids = state.inputs[:, min(state.position, state.inputs.shape[1]) - 1]
        return nn.functional.one_hot(ids, self.vocab_size).float()


@dataclass
class CopyState:
    inputs: torch.Tensor
    position: int

    def select(self, rows: torch.Tensor) -> "CopyState":
        return CopyState(self.inputs[rows], self.position)


@pytest.mark.parametrize("batch", [1, 3, 11, 100])
def test_answers_come_in_the_order_of_their_texts(vocabulary, batch):
    assert predict(Copy(vocabulary.size), vocabulary, TEXTS, column(), batch) == TEXTS


def test_texts_are_batched_by_length_and_never_beyond_the_batch(vocabulary):
    model = Copy(vocabulary.size)
    predict(model, vocabulary, TEXTS, column(), 3)
    assert [len(inputs) for inputs in model.seen] == [3, 3, 3, 2]
    widths = [inputs.shape[1] for inputs in model.seen]
    assert widths == sorted(widths)


def test_long_inputs_are_trimmed_with_their_eos_and_long_answers_cut(vocabulary):
    text = " ".join(WORDS * 5)
    (ids,) = vocabulary.encode([text])
    model = Copy(vocabulary.size)
    assert predict(model, vocabulary, [text], column(inputs_length=10), 8) == [vocabulary.decode(ids[:9])]
    assert model.seen[0].tolist() == [[*ids[:9], 1]]
    assert predict(model, vocabulary, [text], column(200, targets_length=7), 8) == [
        vocabulary.decode(ids[:7])
    ]


def test_batched_answers_of_a_model_equal_those_given_one_by_one(vocabulary):
    torch.manual_seed(0)
    size = Size(d_model=32, d_ff=64, d_kv=8, num_heads=4, num_layers=2, tied=False)
    model = EncoderDecoder().build(size, vocabulary.size).eval()
    with torch.no_grad():
        model.softmax.weight.mul_(3)
    together = predict(model, vocabulary, TEXTS, column(targets_length=12), 4)
    alone = [predict(model, vocabulary, [text], column(targets_length=12), 1)[0] for text in TEXTS]
    assert together == alone
    assert len(set(together)) > 3


def test_a_column_is_scored_task_by_task_with_a_few_samples(vocabulary):
    both = column(easy=ToyTask("easy"), short=ToyTask("short", texts=("kalo", "miru")))
    records = load_records(both, "validation", 5)
    scores, answers = score(Copy(vocabulary.size), vocabulary, both, records, 4)
    samples = samples_of(records, answers)
    assert answers["easy"] == TEXTS[:5]
    assert scores["easy"]["accuracy"] == scores["short"]["accuracy"] == 100.0
    assert math.isnan(scores["easy"]["unreported"])
    assert [sample["input"] for sample in samples["easy"]] == TEXTS[:3]
    assert samples["short"][1] == {"input": "miru", "target": "miru", "prediction": "miru"}


def test_records_are_limited_and_an_empty_split_is_refused_in_one_line():
    assert [len(rows) for rows in load_records(column(), "validation", 4).values()] == [4]
    assert [len(rows) for rows in load_records(column(), "validation", None).values()] == [11]
    with pytest.raises(ValueError, match=r"^task toy: its train split has no rows$"):
        load_records(column(), "train", None)


def golden(goldens, kind: str) -> tuple[dict, list[dict]]:
    found = json.loads((goldens / "metrics.json").read_text())
    return found["meta"]["average_groups"], [case for case in found["cases"] if case["kind"] == kind]


def grouped(places: dict, scores: dict[str, object]) -> dict[str, dict[str, object]]:
    """Golden scores as task -> metric -> value: a group of the original is a task here."""
    tasks: dict[str, dict[str, object]] = {}
    for name, value in scores.items():
        tasks.setdefault(places[name]["group"], {})[places[name]["column"]] = value
    return tasks


def test_each_task_is_reported_at_the_step_the_original_chooses(goldens):
    places, cases = golden(goldens, "best_step")
    assert len(cases) == 2
    for case in cases:
        tasks = grouped(places, {name: twice_keeps_higher(values) for name, values in case["scores"].items()})
        steps = (1000, 2000, 3000)
        by_step = {s: {t: {m: v[s] for m, v in ms.items()} for t, ms in tasks.items()} for s in steps}
        chosen = choose(reporting(**{name: tuple(metrics) for name, metrics in tasks.items()}), by_step)
        found = {
            metric: {"value": chosen["tasks"][task][metric], "step": chosen["tasks"][task]["step"]}
            for task, metrics in tasks.items()
            for metric in metrics
        }
        assert found == case["best"], case["id"]


def twice_keeps_higher(values: list[list[float]]) -> dict[int, float]:
    """The one thing that cannot happen here: a checkpoint is evaluated once."""
    best: dict[int, float] = {}
    for step, value in values:
        best[int(step)] = max(value, best.get(int(step), -math.inf))
    return best


@pytest.mark.parametrize("suite", ["glue", "super_glue"])
def test_averages_equal_the_originals(goldens, suite):
    places, cases = golden(goldens, "averages")
    checked = 0
    for case in cases:
        if case[f"{suite}_average"] is None:  # a task is missing: a column always has all of its tasks
            continue
        tasks = grouped(places, {n: v for n, v in case["scores"].items() if n.startswith(f"{suite}_")})
        assert len(tasks) == 8
        chosen = choose(reporting(**{name: tuple(m) for name, m in tasks.items()}), {5: tasks})
        assert chosen["score"] == pytest.approx(case[f"{suite}_average"], abs=1e-6), case["id"]
        checked += 1
    assert checked >= 4


def at(values: dict[int, float]) -> dict[int, dict]:
    return {step: {"toy": {"accuracy": value}} for step, value in values.items()}


@pytest.mark.parametrize(
    ("values", "step"),
    [
        ({10: 1.0, 20: 3.0, 30: 2.0}, 20),
        ({10: 1.0, 20: 3.0, 30: 3.0}, 20),
        ({30: 3.0, 20: 3.0, 10: 1.0}, 20),
        ({10: math.nan, 20: -5.0, 30: math.nan}, 20),
        ({10: math.nan, 20: math.nan}, 10),
        ({10: 0.0}, 10),
    ],
    ids=["best", "tie", "tie in another order", "nan is lowest", "all nan", "one"],
)
def test_the_best_step_is_taken_and_the_earlier_of_equals(values, step):
    chosen = choose(column(), at(values))
    assert (chosen["step"], chosen["tasks"]["toy"]["step"]) == (step, step)


def test_the_average_is_a_group_of_its_own_and_belongs_to_one_step():
    by_step = {
        10: {"a": {"f1": 90.0, "em": 70.0}, "b": {"acc": 10.0}},
        20: {"a": {"f1": 60.0, "em": 60.0}, "b": {"acc": 60.0}},
        30: {"a": {"f1": 0.0, "em": 0.0}, "b": {"acc": 90.0}},
    }
    chosen = choose(reporting(a=("f1", "em"), b=("acc",)), by_step)
    assert (chosen["score"], chosen["step"]) == (60.0, 20)
    assert chosen["tasks"] == {
        "a": {"step": 10, "f1": 90.0, "em": 70.0},
        "b": {"step": 30, "acc": 90.0},
    }
    assert chosen["by_step"] == {"10": 45.0, "20": 60.0, "30": 45.0}


def test_metrics_that_are_not_reported_do_not_choose():
    by_step = {
        10: {"toy": {"accuracy": 2.0, "unreported": 0.0}},
        20: {"toy": {"accuracy": 1.0, "unreported": 99.0}},
    }
    chosen = choose(column(), by_step)
    assert (chosen["step"], chosen["score"]) == (10, 2.0)
    assert chosen["tasks"]["toy"] == {"step": 10, "accuracy": 2.0, "unreported": 0.0}


def test_only_sound_checkpoints_are_evaluated(tmp_path):
    folder, model = tmp_path / "glue-abc", nn.Linear(2, 2)
    with pytest.raises(ValueError, match=r"^glue-abc: no sound checkpoint to evaluate$"):
        checkpoint_paths(folder)
    first, second = (checkpoints.save(folder / "checkpoints", step, model, None) for step in (5, 10))
    second.write_bytes(b"half")
    assert checkpoint_paths(folder) == {5: first}
