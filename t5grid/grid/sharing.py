"""cell -> a model a column, trained side by side: soft parameter sharing."""

from dataclasses import dataclass
from typing import Annotated, Literal

from t5grid.config.identity import essential
from t5grid.config.rules import AtLeast, NotEmpty
from t5grid.config.schema import Cell, PretrainBudget
from t5grid.grid.strategies import evaluate_stage, multitask_stage, vocabulary_stage
from t5grid.model.costs import parameters
from t5grid.refused import Refused
from t5grid.stages.side_by_side import MemberStage, SideBySideStage
from t5grid.stages.stage import Stage


@dataclass(frozen=True)
class SoftSharing:
    """One model a column, each as `single_task` trains it, kept alike by a penalty of some strength.

    They are tied by the L2 distance between parameters (of all, or of those below `modules`), or by the KL
    divergence between predictions from the same inputs. Strength 0 is `single_task`; `multitask` without
    unlabelled text shares everything.
    """

    strength: Annotated[float, AtLeast(0)]
    tie: Literal["parameters", "predictions"] = "parameters"
    modules: Annotated[list[str], NotEmpty()] | None = None

    def stages(self, cell: Cell) -> dict[str, Stage]:
        """The evaluate stage of every column, all on one training. Raises Refused for what cannot be tied."""
        columns, vocabulary = cell.suite.chosen(), vocabulary_stage(cell)
        num_steps = cell.budget.pretrain.num_steps + cell.budget.finetune.num_steps
        alone = {
            key: multitask_stage(cell, vocabulary, {key: column}, False, num_steps, keep_all=True, name=key)
            for key, column in columns.items()
        }
        self._check(cell)
        together = self._together(cell, alone, vocabulary)
        return {key: self._member(cell, key, together, vocabulary) for key in columns}

    def _check(self, cell: Cell) -> None:
        if len(cell.suite.chosen()) < 2:
            raise Refused("strategy=soft_sharing: suite.use leaves one column; at least two are tied")
        if self.modules and self.tie == "predictions":
            raise Refused(
                "strategy.modules: only with strategy.tie=parameters; predictions are the whole model's"
            )
        names = parameters(cell.architecture.products(cell.size, 128, 1, 8, 8))
        for module in self.modules or ():
            if not any(name.startswith(f"{module}.") for name in names):
                known = ", ".join(dict.fromkeys(name.partition(".")[0] for name in names))
                raise Refused(f"strategy.modules={module}: no such module; there are {known} and theirs")

    def _together(self, cell: Cell, alone: dict[str, Stage], vocabulary: Stage) -> Stage:
        """The one training, of what each is trained by alone."""
        own = {"strength": self.strength, "tie": self.tie, "modules": self.modules and list(self.modules)}
        first = next(iter(alone.values())).config
        config = {
            **{group: first[group] for group in ("architecture", "size", "budget", "seed")},
            **own,
            "members": {key: stage.config for key, stage in alone.items()},
        }
        content = {**own, "members": {key: stage.content for key, stage in alone.items()}}
        return SideBySideStage(f"all-{self._name(cell)}", config, content, (vocabulary,))

    def _member(self, cell: Cell, key: str, together: Stage, vocabulary: Stage) -> Stage:
        config = {name: together.config[name] for name in ("architecture", "size", "budget", "seed")}
        content = {"key": key, "budget": essential(config["budget"], PretrainBudget)}
        name = f"{key}-{self._name(cell)}"
        member = MemberStage(name, config | {"key": key}, content, (together, vocabulary))
        return evaluate_stage(cell, key, vocabulary, member, name)

    def _name(self, cell: Cell) -> str:
        labels = [cell.labels[group] for group in ("mixing", "architecture", "size", "budget")]
        return "-".join([f"tied_{self.strength:g}_{self.tie}", *labels, f"seed{cell.seed}"])
