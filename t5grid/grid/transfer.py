"""cell -> stages with one more training before fine-tuning: on a column, or a corpus."""

from dataclasses import dataclass, field, replace
from typing import Annotated, Any

from t5grid.config import contracts
from t5grid.config.build import nearest
from t5grid.config.contracts import Meets
from t5grid.config.rules import Count
from t5grid.config.schema import Cell, PretrainBudget, Share
from t5grid.grid.epochs import with_length
from t5grid.grid.strategies import (
    PretrainFinetune,
    column_stages,
    pretrained_stage,
    tokens_of,
    tokens_stage,
    unsupervised_stage,
    vocabulary_stage,
)
from t5grid.refused import Refused
from t5grid.stages.stage import Stage
from t5grid.training.finetuning import AllParameters

CONTINUED = "corpus@strategy.corpus"
"""The label of what pre-training goes on with."""


@dataclass(frozen=True)
class IntermediateFinetune:
    """Fine-tuning on `column` first, then from its last weights on every other (Phang et al., 2018).

    The first fine-tuning trains all parameters, on `labelled_share` of the column's rows and for `num_steps`
    (null: as long as the second): with all rows, it is the one that the baseline has for that column, and one
    serves every column that follows. The second is the cell's own. The column itself has no score.
    """

    column: str
    labelled_share: Share = 1.0
    num_steps: Count | None = None
    pretrained: str | None = None

    def stages(self, cell: Cell) -> dict[str, Stage]:
        """The evaluate stage of every other column. Raises Refused for a column that cannot come first."""
        self._check(cell)
        vocabulary = vocabulary_stage(cell)
        pretrain, told = self._pretrain(cell, vocabulary)
        first = self._first(cell)
        schedule = first.config["budget"]["finetune"]["schedule"]
        (evaluated,) = column_stages(first, vocabulary, (pretrain,), schedule, [self.column], told).values()
        schedule = cell.config["budget"]["finetune"]["schedule"]
        return column_stages(
            cell, vocabulary, evaluated.trained, schedule, distinction=f"{told}-after_{self.column}"
        )

    def _pretrain(self, cell: Cell, vocabulary: Stage) -> tuple[Stage, str]:
        """What the first fine-tuning starts from, and what the names of the stages say of it."""
        return pretrained_stage(cell, vocabulary, self.pretrained), ""

    def without(self, key: str) -> str | None:
        """Why a column has no score."""
        return "fine-tuned on first" if key == self.column else None

    def _check(self, cell: Cell) -> None:
        columns = cell.suite.columns
        if self.column not in columns:
            raise Refused(f"strategy.column={self.column}: no such column{nearest(self.column, columns)}")
        if list(cell.suite.chosen()) == [self.column]:
            raise Refused(f"strategy.column={self.column}: suite.use leaves no other column to go on with")

    def _first(self, cell: Cell) -> Cell:
        """The cell as its first fine-tuning has it."""
        whole = cell.config["budget"]["finetune"].items()
        budget = {name: value for name, value in whole if name != "num_labelled"}
        budget |= {"labelled_share": self.labelled_share}
        if self.num_steps:
            budget |= {
                "num_steps": self.num_steps,
                "schedule": with_length(budget["schedule"], self.num_steps),
            }
        every = budget["checkpoint_every"]
        if every > budget["num_steps"]:
            raise Refused(
                f"strategy.num_steps={self.num_steps}: fewer than budget.finetune.checkpoint_every={every}"
            )
        method = {"_target_": f"{AllParameters.__module__}.{AllParameters.__qualname__}"}
        shared = replace(cell.budget.finetune, labelled_share=self.labelled_share, num_labelled=None)
        return replace(
            cell,
            config=cell.config
            | {"finetune": method, "budget": {**cell.config["budget"], "finetune": budget}},
            labels={**cell.labels, "finetune": "all_parameters"},
            budget=replace(cell.budget, finetune=shared),
            finetune=AllParameters(),
            suite=replace(cell.suite, use=[self.column], trained_on=None),
            strategy=PretrainFinetune(self.pretrained),
        )


@dataclass(frozen=True)
class ContinuedPretraining:
    """Pre-training goes on, with a fresh optimizer, on `corpus` and under `budget`; then fine-tuning.

    It goes on from the cell's pre-training, or from the weights in the folder `pretrained`, by the cell's
    objective and in its vocabulary. Without a corpus it is the cell's own. Adaptation to a domain, or to the
    texts of a task: Gururangan et al., 2020. A length of the schedule's own becomes the budget's.
    """

    budget: PretrainBudget
    corpus: Annotated[Any, Meets(contracts.Corpus)] | None = None
    pretrained: str | None = None

    def stages(self, cell: Cell) -> dict[str, Stage]:
        """The evaluate stage of every column, all on one pre-training."""
        vocabulary = vocabulary_stage(cell)
        pretrain, told = self.pretrain(cell, vocabulary)
        schedule = cell.config["budget"]["finetune"]["schedule"]
        return column_stages(cell, vocabulary, (pretrain,), schedule, distinction=told)

    def pretrain(self, cell: Cell, vocabulary: Stage) -> tuple[Stage, str]:
        """The pre-training that goes on, and what the names of the stages say of it."""
        start = pretrained_stage(cell, vocabulary, self.pretrained)
        label = cell.labels.get(CONTINUED, cell.labels["corpus"])
        parents = (self._tokens(cell, vocabulary, label), vocabulary, start)
        return unsupervised_stage(cell, parents, self._budget(cell), f"-then_{label}"), f"-then_{label}"

    def _tokens(self, cell: Cell, vocabulary: Stage, label: str) -> Stage:
        if self.corpus is None:
            return tokens_stage(cell, vocabulary)
        return tokens_of(self.corpus, cell.config["strategy"]["corpus"], label, vocabulary)

    def _budget(self, cell: Cell) -> dict[str, Any]:
        """Its budget as a stage has it. Raises Refused where no checkpoint falls into it."""
        if self.budget.checkpoint_every > self.budget.num_steps:
            where = f"strategy.budget.checkpoint_every={self.budget.checkpoint_every}"
            raise Refused(f"{where}: more than strategy.budget.num_steps={self.budget.num_steps}")
        budget = cell.config["strategy"]["budget"]
        return {**budget, "schedule": with_length(budget["schedule"], self.budget.num_steps)}


@dataclass(frozen=True)
class ContinuedIntermediate(IntermediateFinetune):
    """Pre-training goes on as in `ContinuedPretraining`, then as in `IntermediateFinetune`.

    So a model reads the unlabelled text of a domain or language before it is fine-tuned on a column of
    another, and then on few rows of its own.
    """

    budget: PretrainBudget = field(kw_only=True)
    corpus: Annotated[Any, Meets(contracts.Corpus)] | None = None

    def _pretrain(self, cell: Cell, vocabulary: Stage) -> tuple[Stage, str]:
        return ContinuedPretraining(self.budget, self.corpus, self.pretrained).pretrain(cell, vocabulary)
