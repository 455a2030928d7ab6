"""overrides of a cell -> those that none of its stages depends on: said or refused."""

from collections.abc import Iterable, Sequence

from t5grid.config.compose import GROUPS
from t5grid.config.schema import Cell, Cells
from t5grid.grid.graph import Grid
from t5grid.refused import Refused
from t5grid.stages.stage import with_parents

ELSEWHERE = ("runtime", "executor", "suite", "strategy")
"""Groups that say where a cell runs, what it is made of or how it unrolls."""
OF_A_TABLE = ("budget.name", "budget.note", "budget.num_seeds", "budget.num_baseline_seeds")
SETTINGS = ("objective", "mixing", "finetune", "budget")
"""Groups whose every key some stage can depend on; the keys of others may be places of the same content."""


def without_effect(
    words: Sequence[str], cell: Cell, loader: Cells, asked: Iterable[str] | None = None
) -> list[str]:
    """Those of `asked` (by default, of all the words of `cell`) without which its stages are the same."""
    candidates = [word for word in (words if asked is None else asked) if _is_setting(word)]
    return [word for word in candidates if _is_idle(word, words, cell, loader)]


def refuse_idle(words: Sequence[str], cell: Cell, loader: Cells) -> None:
    """Raise Refused for words of a cell without which its stages are the same."""
    if idle := without_effect(words, cell, loader):
        raise Refused("; ".join(explained(word, cell) for word in idle))


def rows_without_effect(grid: Grid, overrides: Sequence[str], loader: Cells) -> dict[str, list[str]]:
    """Override of a table -> the rows that leave it without effect, and do not set it themselves."""
    idle: dict[str, list[str]] = {word: [] for word in overrides}
    for key, row in grid.experiment.rows.items():
        own = {key_of(word) for word in row.overrides}
        asked = [word for word in overrides if not any(_covers(name, key_of(word)) for name in own)]
        words = [*grid.experiment.common, *overrides, *row.overrides]
        for word in without_effect(words, grid.rows[key][0][0], loader, asked):
            idle[word].append(key)
    return {word: rows for word, rows in idle.items() if rows}


def _covers(own: str, key: str) -> bool:
    return own == key or own.startswith(f"{key}.") or key.startswith(f"{own}.")


def explained(word: str, cell: Cell) -> str:
    """That a word has no effect, in one line."""
    strategy = cell.labels["strategy"]
    hint = ""
    if strategy == "no_pretraining" and word.lstrip("+").startswith("budget.finetune.schedule"):
        hint = ": it trains under budget.pretrain.schedule"
    return f"{word}: has no effect with strategy={strategy}{hint}"


def _is_setting(word: str) -> bool:
    key = key_of(word)
    top = key.partition(".")[0]
    if key in OF_A_TABLE or top in ELSEWHERE:
        return False
    return top in SETTINGS or key in GROUPS


def key_of(word: str) -> str:
    """The key of an override, without its marks."""
    return word.partition("=")[0].lstrip("+~").partition("@")[0].rstrip("*")


def _is_idle(word: str, words: Sequence[str], cell: Cell, loader: Cells) -> bool:
    """Whether a cell has other settings without a word, and yet the same stages."""
    try:
        other = loader.load([given for given in words if given != word])
        return other.config != cell.config and _identities(other) == _identities(cell)
    except Refused:  # other words stand on this one
        return False


def _identities(cell: Cell) -> set[str]:
    """The digests of a cell's stages, without what they are called."""
    stages = with_parents(list(cell.strategy.stages(cell).values()))
    return {stage.identity.rpartition("-")[2] for stage in stages}
