"""graph -> what it would cost: stages by kind, distinct and shared, done and to run."""

from collections.abc import Iterable, Sequence

from t5grid.grid.graph import Grid
from t5grid.grid.stages import Stage
from t5grid.grid.store import Store
from t5grid.grid.strategies import with_parents

KINDS = ("vocabulary", "tokens", "pretrain", "multitask", "import", "finetune", "evaluate")


def lines(grids: Sequence[Grid], stages: Sequence[Stage], store: Store) -> list[str]:
    """A table of counts: stages asked for by all cells, distinct ones, done, to run."""
    asked = [
        stage
        for grid in grids
        for row in grid.rows.values()
        for _, cell in row
        for stage in _of_cell(cell.values())
    ]
    head = f"{'stage':<12}{'asked for':>10}{'distinct':>10}{'shared':>10}{'done':>8}{'to run':>8}"
    out = [head]
    for kind in KINDS:
        distinct = [stage for stage in stages if stage.kind == kind]
        wanted = sum(stage.kind == kind for stage in asked)
        if kind in ("multitask", "import") and not wanted:
            continue
        done = sum(store.state(stage) == "done" for stage in distinct)
        numbers = (wanted, len(distinct), wanted - len(distinct), done)
        out.append(
            f"{kind:<12}{numbers[0]:>10}{numbers[1]:>10}{numbers[2]:>10}{done:>8}{len(distinct) - done:>8}"
        )
    cell = grids[0].baseline
    names = ", ".join(grid.experiment.name for grid in grids)
    out.append(f"{names}: size {cell.labels['size']}, budget {cell.budget.name}, suite {cell.suite.name}")
    return out


def _of_cell(ends: Iterable[Stage]) -> list[Stage]:
    """The stages one cell alone would run."""
    return with_parents(list(ends))
