"""cell -> pre-training and how well it foretells text that it has not seen."""

from dataclasses import dataclass
from typing import Any, ClassVar

from t5grid.config.identity import essential
from t5grid.config.schema import Cell, EvaluateBudget
from t5grid.data.objectives import LanguageModeling
from t5grid.grid.strategies import name_of, pretrained_stage, scoring_of, vocabulary_stage
from t5grid.grid.trained_form import architecture_node
from t5grid.model.architectures import LanguageModel
from t5grid.refused import Refused
from t5grid.stages.perplexity import PerplexityStage
from t5grid.stages.stage import Stage


@dataclass(frozen=True)
class Perplexity:
    """A pre-trained language model reads each column's text, in segments if the cell says so.

    `pretrained` names a folder whose weights take the place of pre-training, as in `PretrainFinetune`.
    """

    in_segments: ClassVar[bool] = True
    reads_text: ClassVar[bool] = True

    pretrained: str | None = None

    def stages(self, cell: Cell) -> dict[str, Stage]:
        """The stage that reads each column's text; parents lead back to the vocabulary."""
        _refuse_model(cell)
        _refuse_text(cell)
        vocabulary = vocabulary_stage(cell)
        trained = pretrained_stage(cell, vocabulary, self.pretrained)
        return {key: self._stage(cell, key, (trained, vocabulary)) for key in cell.suite.chosen()}

    def _stage(self, cell: Cell, key: str, parents: tuple[Stage, ...]) -> PerplexityStage:
        whole = cell.config
        scoring = scoring_of(whole["budget"]["evaluate"], cell.suite.columns[key])
        scoring["evaluate"] = {
            name: value for name, value in scoring["evaluate"].items() if name != "num_beams"
        }
        model = {
            "architecture": architecture_node(cell),
            **{group: whole[group] for group in ("size", "objective")},
            "seed": cell.seed,
        }
        evaluate = essential(whole["budget"]["evaluate"], EvaluateBudget)
        config = {**model, "evaluate": evaluate, "column": whole["suite"]["columns"][key]}
        content = {**scoring, **{name: essential(node) for name, node in model.items()}}
        start = parents[0].name if self.pretrained else cell.labels["objective"]
        return PerplexityStage(f"{key}-{name_of(cell, start)}", config, content, parents)


def _refuse_model(cell: Cell) -> None:
    """Raise Refused for what foretells no text id by id, or with a memory that nothing has trained."""
    if not isinstance(cell.objective, LanguageModeling):
        told = f"objective={cell.labels['objective']}: its loss is not of every id of a text"
        raise Refused(f"{told}; strategy=perplexity needs objective=language_model")
    if not isinstance(cell.architecture, LanguageModel):
        told = f"architecture={cell.labels['architecture']}: strategy=perplexity reads text with"
        raise Refused(f"{told} language_model and prefix_lm")
    segments: Any = cell.segments
    if getattr(segments, "memory", 0) and not segments.pretrain:
        raise Refused(
            "segments.pretrain=false: the memory is new after pre-training; strategy=perplexity needs true"
        )


def _refuse_text(cell: Cell) -> None:
    """Raise Refused for a column without text to read, and for text that is trained on."""
    for key, column in cell.suite.chosen().items():
        for name, task in column.tasks.items():
            where = f"suite.columns.{key}.tasks.{name}"
            if not getattr(task, "only_read", False):
                raise Refused(f"{where}: no text to read; strategy=perplexity needs suite=held_out")
            if _is_trained_on(task.corpus, cell.corpus):
                raise Refused(f"{where}.corpus: is the corpus that is trained on; another one is needed")


def _is_trained_on(held_out: Any, corpus: Any) -> bool:
    """Whether documents of one are of the other: the same, or as many others of the same draw."""
    same_draw = type(held_out) is type(corpus) and hasattr(corpus, "seed") and held_out.seed == corpus.seed
    return same_draw or held_out.fingerprint() == corpus.fingerprint()
