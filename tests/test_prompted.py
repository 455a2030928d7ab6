"""`strategy=prompted`: its stages, what identifies them, and what a model that is asked answers."""

from pathlib import Path
from typing import Any

import pytest
import torch
from small_vocabulary import small_vocabulary
from test_likelihood import MODELS, VOCAB, built, questions
from toy_stages import RUNTIME

from t5grid.config.schema import load_cell
from t5grid.data.batching import DecoderBatching
from t5grid.data.characters import Characters
from t5grid.data.prompts import Template
from t5grid.data.shots import FORMS, Asking, Question, Shots
from t5grid.data.vocabulary import Vocabulary
from t5grid.evaluation.prompted import PromptedModel, shots_used
from t5grid.execution.plan import plan_lines
from t5grid.execution.store import Store
from t5grid.model.architectures import EncoderDecoder
from t5grid.model.decoding import greedy
from t5grid.model.huggingface import write_checkpoint
from t5grid.model.size import Size
from t5grid.model.transformer import EncoderDecoderModel
from t5grid.refused import Refused
from t5grid.stages import stage_file
from t5grid.stages.exchange import import_checkpoint
from t5grid.stages.model import build_model
from t5grid.stages.prompt import PromptStage
from t5grid.stages.record import fault_in
from t5grid.stages.stage import Context, Stage, with_parents
from t5grid.tasks.answer import Answer, Class, Text
from t5grid.training.checkpoints import save

NANO = Size(64, 256, 16, 4, 2, dropout=0.0)
SPECK = [
    "size.d_model=16",
    "size.d_ff=16",
    "size.num_layers=1",
    "budget=smoke",
    "vocabulary=characters",
    "suite.use=[to_norvin]",
    "suite.columns.to_norvin.tasks.to_norvin.num_train=12",
    "suite.columns.to_norvin.tasks.to_norvin.num_validation=4",
    "strategy.prompt_length=300",
]


def stages(*words: str) -> dict[str, PromptStage]:
    cell = load_cell(["strategy=prompted", *words])
    return cell.strategy.stages(cell)


def identities(stage: Stage, *kinds: str) -> list[str]:
    return [above.identity for above in with_parents([stage]) if above.kind in kinds]


# --- stages and identities ------------------------------------------------------------------------


def test_nothing_is_trained_but_what_every_table_shares() -> None:
    tuned = load_cell([])
    evaluate = tuned.strategy.stages(tuned)["questions"]
    for number in (0, 4):
        stage = stages(f"strategy.num_shots={number}")["questions"]
        shared = ("vocabulary", "tokens", "pretrain")
        assert identities(stage, *shared) == identities(evaluate, *shared)
        assert [above.kind for above in with_parents([stage])] == [*shared, "prompt"]


@pytest.mark.parametrize(
    ("words", "is_same"),
    [
        (["strategy.balanced=false"], True),
        (["strategy.anew=true"], True),
        (["strategy.num_shots=1"], False),
        (["strategy.prompt_length=100"], False),
        (["strategy.prompt_length=128"], True),
        (["strategy.form=sentinel"], True),
        (["strategy.form=prefix"], False),
        (["strategy.templates.questions.prefix=x"], False),
        (["strategy.templates.boolean.separator=x"], True),
        (["strategy.templates.questions.separator=' '"], True),
        (["seed=1"], False),
    ],
)
def test_a_question_is_identified_by_what_changes_its_prompts(words: list[str], is_same: bool) -> None:
    use = ["suite.use=[questions]"]
    words = [f"+{word}" if "separator" in word or "prefix=" in word else word for word in words]
    first, other = (stages(*use, *more)["questions"] for more in ([], words))
    assert (first.identity == other.identity) is is_same


def test_how_examples_are_drawn_counts_where_there_are_some() -> None:
    use = ["suite.use=[questions]", "strategy.num_shots=2"]
    found = {
        stages(*use, *words)["questions"].identity
        for words in ([], ["strategy.balanced=false"], ["strategy.anew=true"])
    }
    assert len(found) == 3


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ["strategy.num_shots=351", "suite.use=[to_tamiri]"],
            "strategy.num_shots=351: suite.columns.to_tamiri.tasks.to_tamiri has 350 training rows",
        ),
        (["objective=deshuffling"], "objective=deshuffling: it does not teach to go on with a text"),
        (["objective=drop_tokens"], "objective=drop_tokens: it does not teach to go on with a text"),
        (
            ["architecture=gpt", "objective=language_model"],
            "strategy=prompted: architecture=gpt answers each",
        ),
        (["strategy.num_shots=-1"], "strategy.num_shots=-1: a whole number from 0 up or null is needed"),
        (["strategy.form=gap"], "strategy.form=gap: one of continuation, prefix, sentinel or null is needed"),
        (
            ["+strategy.templates.questions.prefix='{title}'"],
            "strategy.templates.questions.prefix: no field 'title'; there are context, inputs, question",
        ),
    ],
)
def test_what_cannot_be_asked_is_refused_by_its_key(words: list[str], line: str) -> None:
    with pytest.raises(Refused) as refused:
        stages(*words)
    assert str(refused.value).startswith(line)


def test_tasks_that_are_not_scored_need_no_rows_for_examples() -> None:
    """WNLI is for predictions alone: it has neither training nor validation rows."""
    words = ["suite=t5", "suite.use=[super_glue]", "budget=paper", "size=base"]
    (stage,) = stages("strategy.num_shots=200", *words).values()
    assert {"copa", "cb"} <= stage.prompting.templates.keys()
    with pytest.raises(
        Refused, match=r"num_shots=300: suite\.columns\.super_glue\.tasks\.cb .*has 250 training"
    ):
        stages("strategy.num_shots=300", *words)


@pytest.mark.slow
def test_an_own_task_with_too_few_rows_is_refused_with_its_file(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("a,b\n" + "x,y\n" * 20)
    task = (
        "{_target_: t5grid.tasks.own.OwnTask, name: own, train: %s, inputs: '{a}', targets: '{b}', "
        "metrics: [accuracy]}" % (tmp_path / "rows.csv")
    )
    words = ["suite.use=[questions]", f"+suite.columns.questions.tasks.own={task}", "strategy.num_shots=19"]
    with pytest.raises(Refused, match=r"num_shots=19: suite\.columns\.questions\.tasks\.own \(.*rows\.csv"):
        stages(*words)


# --- answers --------------------------------------------------------------------------------------


def one_by_one(name: str, model: Any, question: Question, length: int) -> list[int]:
    """The most probable id after another, each of a forward pass of its own."""
    found: list[int] = []
    while len(found) < length and 1 not in found:
        before = [*question.start, *found]
        if "decoder" in name or name == "shared":
            batch = {"inputs": [[*question.inputs, 1]], "decoder_inputs": [[0, *before]]}
        else:
            read = [*question.inputs, 1] if question.inputs else []
            seen = [1] * (1 + len(read)) if read else [0]
            batch = {"decoder_inputs": [[0, *read, *before]], "prefix": [seen + [0] * len(before)]}
        with torch.no_grad():
            logits = model({key: torch.tensor(value) for key, value in batch.items()})[0, -1, :VOCAB]
        found.append(int(logits.argmax()))
    return found


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", MODELS)
def test_what_is_written_after_a_prompt_is_what_follows_id_by_id(name: str, form: str) -> None:
    model, asked = built(name), questions(form)
    wanted = [one_by_one(name, model, question, 5) for question in asked]
    for batch in (asked, *([question] for question in asked)):
        inputs, begun = PromptedModel(model, MODELS[name].batching, 8, 5).given(batch)
        rows = greedy(model, {"inputs": inputs}, 5, begun).tolist()
        for question, row in zip(batch, rows, strict=True):
            assert [i for i in row if i] == wanted[asked.index(question)]


class Speller(torch.nn.Module):
    """Writes given ids after whatever it reads, whichever it is asked to begin with."""

    sees_prefix = False

    def __init__(self, ids: list[int], vocab_size: int) -> None:
        super().__init__()
        self.ids, self.vocab_size = ids, vocab_size
        self.unused = torch.nn.Parameter(torch.zeros(1))

    def start_decoding(self, batch: dict[str, torch.Tensor], max_length: int) -> Any:
        return iter(self.ids + [1] * max_length)

    def decode_step(self, tokens: torch.Tensor, state: Any) -> torch.Tensor:
        ids = torch.full((len(tokens),), next(state))
        return torch.nn.functional.one_hot(ids, self.vocab_size).float()


class Toy:
    """A task of free text, or of classes."""

    def __init__(self, *labels: str) -> None:
        self.answer: Answer = Class(labels) if labels else Text()


@pytest.mark.parametrize(
    ("written", "stops", "max_length", "answer"),
    [
        (" Max\n\nQ: Who", ["\n"], 40, "Max"),
        (" Max.", ["\n"], 40, "Max."),
        (" Max. Leo", ["Leo", "."], 40, "Max"),
        (" Max. Leo", [], 6, "Max."),
        (" Max\0 Leo", [], 40, "Max"),  # an id that is no piece of text
        ("", ["\n"], 40, ""),
    ],
)
def test_a_written_answer_ends_at_its_stops_at_ids_without_text_and_at_the_length_of_targets(
    written: str, stops: list[str], max_length: int, answer: str
) -> None:
    vocabulary = Vocabulary(Characters().make(iter(())))
    before, gap, after = written.partition("\0")
    ids = [i for text in (before, after) for i in [*vocabulary.encode([text])[0], vocabulary.size - 1]]
    ids = ids[:-1] if gap else vocabulary.encode([written])[0]
    asking = Asking(
        "toy", Toy(), Template(stops=stops), Shots(0, False, False, 0), "continuation", 99, vocabulary
    )
    asked = list(asking.questions([{"inputs": "Who?", "targets": "x"}] * 2, []))
    model = PromptedModel(Speller(ids, vocabulary.size), DecoderBatching(), 8, max_length)
    assert model.answers(asking, asked) == [answer, answer]


def test_likelihood_chooses_and_dividing_by_length_or_by_what_is_usual_may_choose_otherwise() -> None:
    vocabulary = Vocabulary(Characters().make(iter(())))
    model = PromptedModel(built("language_model"), MODELS["language_model"].batching, 8, 5)
    model.model.embedding.weight = torch.nn.Parameter(torch.randn(256, 16) * 3)
    found = {}
    for scoring in ("likelihood", "per_token", "unconditional"):
        template = Template(scoring=scoring)
        task = Toy("a", "bcdefghi", "xyz")
        asking = Asking("toy", task, template, Shots(0, False, False, 0), "continuation", 99, vocabulary)
        records = [{"inputs": text, "targets": "a"} for text in ("q", "rs", "tuv", "wx", "y z", "zz top")]
        found[scoring] = model.answers(asking, list(asking.questions(records, [])))
    assert set(found["likelihood"]) <= {"a", "bcdefghi", "xyz"}
    assert len({tuple(answers) for answers in found.values()}) > 1


def test_the_examples_that_were_used_are_counted() -> None:
    used = [Question("", number, {}, [], [], {}) for number in (3, 1, 4)]
    assert shots_used(used) == {"least": 1, "most": 4, "mean": 2.67}


# --- the stage ------------------------------------------------------------------------------------


def trained(words: list[str], root: Path) -> tuple[PromptStage, Context]:
    """A stage whose parents are done: fresh weights, and a vocabulary of characters."""
    (stage,) = stages(*SPECK, *words).values()
    store = Store(root)
    folder = store.folder(stage.vocabulary)
    folder.mkdir(parents=True)
    (folder / "vocabulary.model").write_bytes(Characters().make(iter(())))
    (pretrain,) = stage.trained
    model, _ = build_model(stage.config, Characters().size)
    save(store.folder(pretrain) / "checkpoints", 8, model, None)
    return stage, Context(store.folder, RUNTIME, 1, lambda progress: None)


@pytest.mark.slow
def test_a_record_says_how_many_examples_were_asked_for_and_used_and_shows_three_prompts(
    tmp_path: Path,
) -> None:
    stage, context = trained(["strategy.num_shots=12"], tmp_path)
    record = stage.run(context)
    (shots,) = record["shots"].values()
    assert shots["asked"] == 12 and 0 < shots["least"] <= shots["mean"] <= shots["most"] < 12
    assert record["step"] == 8 and record["validation_rows"] == {"to_norvin": 4}
    samples = record["samples"]["to_norvin"]
    assert len(samples) == 3 and all(s["input"].count(" is ") == 1 + int(shots["least"]) for s in samples[:1])
    assert all(sample["input"].endswith('" is "') for sample in samples)
    again = {"machine": "x", "python": "3", "versions": {"torch": "2"}}
    assert fault_in({**record, **again}, stage.identity) == ""
    assert "score is missing" in fault_in({"samples": {}}, stage.identity)
    broken = {**record, **again, "shots": {"to_norvin": {"asked": 12}}}
    assert fault_in(broken, stage.identity).startswith(
        "shots={'to_norvin': {'asked': 12}}: how many examples"
    )
    assert stage.answered(context, "to_norvin", ["translate English to Norvin: the cat sees the dog."])


@pytest.mark.slow
def test_an_imported_t5_is_asked_at_a_sentinel_with_its_own_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    theirs = EncoderDecoderModel(NANO, 140).eval()
    write_checkpoint(theirs, NANO, small_vocabulary(40), Path("theirs"))
    import_checkpoint(Path("theirs"), Path("DIR"))
    own = ["strategy.pretrained=DIR", "vocabulary=given", "vocabulary.path=DIR/vocabulary.model"]
    words = [word for word in SPECK[3:] if not word.startswith("vocabulary")]
    (stage,) = stages(*own, *words, "strategy.num_shots=2").values()
    store = Store(tmp_path / "runs")
    context = Context(store.folder, RUNTIME, 1, lambda progress: None)
    assert [parent.kind for parent in stage.parents] == ["import", "vocabulary"]
    for parent in stage.parents:
        store.folder(parent).mkdir(parents=True)
        parent.run(context)
    record = stage.run(context)
    assert stage.prompting.form == "sentinel" and record["shots"]["to_norvin"]["most"] == 2
    (asking,) = stage.askings(stage.column, Vocabulary.read("DIR/vocabulary.model")).values()
    rows = asking.task.records("validation")[:3]
    asked = list(asking.questions(rows, asking.task.records("train")))
    assert all(question.inputs[-1] == question.start[0] == 139 for question in asked)
    model = PromptedModel(theirs, EncoderDecoder().batching, 4, stage.column.targets_length)
    wanted = model.answers(asking, asked)
    assert [sample["prediction"] for sample in record["samples"]["to_norvin"]] == wanted


def test_a_stage_is_read_back_from_its_file(tmp_path: Path) -> None:
    stage, context = trained(["strategy.num_shots=2"], tmp_path)
    stage_file.write(with_parents([stage]), context.folder_of)
    read = stage_file.read(context.folder_of(stage))
    assert isinstance(read, PromptStage) and read.identity == stage.identity
    assert read.prompting == stage.prompting


def test_questions_that_do_not_fit_are_refused_once_the_vocabulary_is_there(tmp_path: Path) -> None:
    stage, _ = trained(["strategy.prompt_length=20"], tmp_path)
    vocabulary = Vocabulary(Characters().make(iter(())))
    with pytest.raises(Refused, match=r"^strategy\.templates\.to_norvin\.question: alone it has \d+ ids"):
        stage.refuse_unaskable(vocabulary)
    ample, _ = trained(["strategy.prompt_length=200", "strategy.num_shots=9"], tmp_path / "ample")
    ample.refuse_unaskable(vocabulary)
    same, _ = trained(["strategy.prompt_length=200", "architecture=prefix_lm"], tmp_path / "same")
    assert ample.asks == same.asks != stage.asks


def test_a_plan_counts_prompts_like_any_stage(tmp_path: Path) -> None:
    cell = load_cell(["strategy=prompted", *SPECK, f"runtime.runs_dir={tmp_path}"])
    grid: Any = type("Toy", (), {"baseline": cell, "rows": {"a": [(cell, cell.strategy.stages(cell))]}})
    grid.experiment = type("Named", (), {"name": "toy"})
    ends = list(cell.strategy.stages(cell).values())
    lines = plan_lines([grid], with_parents(ends), Store(tmp_path))
    assert [line.split()[:4] for line in lines if line.startswith("prompt")] == [["prompt", "1", "1", "0"]]
