"""How a training between pre-training and fine-tuning unrolls into stages, and what these share."""

from pathlib import Path

import pytest
import torch
from test_finetuning import CPU

from t5grid.config.schema import Cells
from t5grid.model.answers import is_output
from t5grid.stages.finetune import FinetuneStage
from t5grid.stages.pretrain import PretrainStage
from t5grid.stages.stage import Context, Stage, with_parents
from t5grid.training import checkpoints
from t5grid.training.fit import initialise

CELLS = Cells()
TWO = "suite.use=[questions,to_norvin]"
INTERMEDIATE, CONTINUED = "strategy=intermediate_finetune", "strategy=continued_pretraining"
NEWS = "corpus@strategy.corpus=nano_news"


def ends(*words: str) -> dict[str, Stage]:
    cell = CELLS.load(list(words))
    return cell.strategy.stages(cell)


def identities(stages: dict[str, Stage], kind: str) -> list[str]:
    return [stage.identity for stage in with_parents(stages.values()) if stage.kind == kind]


def test_the_first_finetuning_is_the_baselines_whatever_the_second_is() -> None:
    few = ("budget.finetune.labelled_share=0.03", "finetune=adapters")
    second, baseline = ends(TWO, INTERMEDIATE, *few), ends(TWO)
    assert list(second) == ["to_norvin"]
    first, tuned = (stage for stage in with_parents(second.values()) if stage.kind == "finetune")
    assert first.identity == baseline["questions"].trained[0].identity
    assert tuned.trained == (first,) and tuned.config["budget"]["labelled_share"] == 0.03
    assert tuned.config["finetune"]["_target_"].endswith(".Adapters")
    assert "-after_questions-adapters-0.03_labelled-" in tuned.identity


def test_columns_that_come_first_are_tuned_once_for_all_that_follow() -> None:
    keys = ("questions", "to_norvin", "to_kelosh")
    use = f"suite.use=[{','.join(keys)}]"
    whole = [ends(use, INTERMEDIATE, f"strategy.column={key}") for key in keys]
    tuned = {identity for stages in whole for identity in identities(stages, "finetune")}
    assert len(tuned) == 3 + 3 * 2
    assert {identity for stages in whole for identity in identities(stages, "pretrain")} == {
        *identities(ends(use), "pretrain")
    }


def test_a_first_finetuning_may_have_a_share_and_a_length_of_its_own() -> None:
    words = ("strategy.num_steps=470", "strategy.labelled_share=0.5")
    (tuned,) = ends(TWO, INTERMEDIATE, *words)["to_norvin"].trained
    (first,) = tuned.trained
    budget = first.config["budget"]
    assert (budget["num_steps"], budget["schedule"]["num_steps"], budget["labelled_share"]) == (470, 470, 0.5)
    assert tuned.config["budget"]["num_steps"] == 900


REFUSED = {
    (INTERMEDIATE, "strategy.column=nope"): "strategy.column=nope: no such column; there are sentences, sum",
    (INTERMEDIATE, "suite.use=[questions]"): (
        "strategy.column=questions: suite.use leaves no other column to go on with"
    ),
    (INTERMEDIATE, "strategy.num_steps=3"): (
        "strategy.num_steps=3: fewer than budget.finetune.checkpoint_every=450"
    ),
    (CONTINUED, "strategy.budget.num_steps=3"): (
        "strategy.budget.checkpoint_every=1125: more than strategy.budget.num_steps=3"
    ),
    (
        CONTINUED,
        "strategy.budget.num_rows=0",
    ): "strategy.budget.num_rows=0: a whole number from 1 up is needed",
    (CONTINUED, "strategy.pretrained=/nowhere"): "strategy.pretrained=/nowhere: no such folder",
}


@pytest.mark.parametrize("words", REFUSED, ids=" ".join)
def test_what_cannot_be_gone_on_with_is_refused_before_anything_runs(words: tuple[str, ...]) -> None:
    with pytest.raises(ValueError) as refused:
        ends(*words)
    assert str(refused.value).startswith(REFUSED[words])


def test_output_layers_of_the_column_before_are_not_taken_over(tmp_path: Path) -> None:
    words = ("architecture=bert", "objective=masked_lm", "suite.use=[sentences,questions]")
    (tuned,) = ends(*words, INTERMEDIATE)["sentences"].trained
    assert isinstance(tuned, FinetuneStage) and isinstance(tuned.start, FinetuneStage)
    context = Context(lambda stage: tmp_path / stage.kind, CPU, 1, lambda told: None)
    cell = CELLS.load(list(words))
    before, model = (initialise(lambda: cell.architecture.build(cell.size, 300), seed) for seed in (1, 2))
    initialise(lambda: tuned.start._add(context, before, loads=False), 0)
    checkpoints.save(tmp_path / "finetune/checkpoints", 900, before, None)
    tuned.prepare(context, model)
    old, new = (dict(each.named_parameters()) for each in (before, model))
    assert {name for name in old if is_output(name)} != {name for name in new if is_output(name)}
    assert all(torch.equal(old[name], new[name]) for name in new if not is_output(name))


def test_pretraining_goes_on_once_for_all_columns_from_the_baselines() -> None:
    stages, baseline = ends(TWO, CONTINUED, NEWS), ends(TWO)
    (start,) = identities(baseline, "pretrain")
    (_, continued) = identities(stages, "pretrain")
    assert identities(stages, "pretrain") == [start, continued] and "-then_nano_news-" in continued
    assert identities(stages, "vocabulary") == identities(baseline, "vocabulary")
    assert len(identities(stages, "finetune")) == 2
    (pretrain,) = stages["questions"].trained[0].trained
    assert pretrain.tokens and [pretrain.tokens.identity] == identities(
        ends(TWO, "corpus=nano_news"), "tokens"
    )


def test_a_budget_of_its_own_is_the_continued_pretrainings_alone() -> None:
    constant = "{_target_: t5grid.training.schedules.Constant, rate: 0.001}"
    words = ("strategy.budget.num_steps=1400", f"strategy.budget.schedule={constant}")
    (pretrain,) = ends(TWO, CONTINUED, *words)["questions"].trained[0].trained
    (start,) = pretrain.trained
    assert pretrain.config["budget"]["num_steps"] == 1400
    assert pretrain.config["budget"]["schedule"]["rate"] == 0.001
    assert start.identity in identities(ends(TWO), "pretrain")
    (shorter,) = ends(TWO, CONTINUED, words[0])["questions"].trained[0].trained
    assert shorter.config["budget"]["schedule"]["num_steps"] == 1400


def test_another_corpus_another_budget_or_another_start_is_another_stage() -> None:
    variants = [(), (NEWS,), ("strategy.budget.num_steps=1400",), ("corpus=nano_news", "vocabulary=nano")]
    assert len({identities(ends(TWO, CONTINUED, *words), "pretrain")[-1] for words in variants}) == 4


def test_it_starts_from_the_last_weights_and_reads_in_another_order(tmp_path: Path) -> None:
    (pretrain,) = ends(TWO, CONTINUED)["questions"].trained[0].trained
    (start,) = pretrain.trained
    assert isinstance(pretrain, PretrainStage) and isinstance(start, PretrainStage)
    context = Context(lambda stage: tmp_path / stage.name, CPU, 1, lambda told: None)
    cell = CELLS.load([])
    before, model = (initialise(lambda: cell.architecture.build(cell.size, 300), seed) for seed in (1, 2))
    checkpoints.save(context.folder_of(start) / "checkpoints", 4500, before, None)
    assert pretrain.prepare(context, model) == frozenset()
    assert all(torch.equal(a, b) for a, b in zip(before.parameters(), model.parameters(), strict=True))
    assert start.prepare(context, model) == frozenset()
    assert start.shuffling != pretrain.shuffling and start.shuffling == 0


def test_rows_of_imported_weights_are_kept_however_far_back_they_are() -> None:
    class Model:
        rows = 0

        def keep_rows(self, rows: int) -> None:
            self.rows = rows

    (pretrain,) = ends(TWO, CONTINUED)["questions"].trained[0].trained
    assert isinstance(pretrain, PretrainStage)
    model = Model()
    pretrain.keep_rows(model)
    assert model.rows == 0
    brought = Stage("imported", {"num_rows": 300}, {})
    first = PretrainStage("a", {}, {}, (brought,))
    FinetuneStage("b", {}, {}, (first,)).keep_rows(model)
    assert model.rows == 300
