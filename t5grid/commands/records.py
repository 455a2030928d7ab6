"""`t5grid explain`, `records merge`, `prune`: what stages are, and leave behind."""

from collections import Counter
from pathlib import Path
from typing import Any

from t5grid.commands import FAILURE
from t5grid.refused import Refused


def add_commands(commands: Any) -> None:
    """Add the sub-commands to those of the parser."""
    add = commands.add_parser("explain", help="why two stages (kind/part of a name) are not one, key by key")
    text = "two stages; experiments and overrides whose stages count too, run or not"
    add.add_argument("names", nargs="+", metavar="STAGE|NAME|OVERRIDE", help=text)
    add.set_defaults(command=explain)
    parts = commands.add_parser("records", help="move records between machines").add_subparsers(
        required=True, metavar="ACTION", dest="action"
    )
    add = parts.add_parser(
        "merge", help="bring in what another store has; conflicts are shown, nothing is overwritten"
    )
    add.add_argument("names", nargs="+", metavar="OTHER_STORE|OVERRIDE")
    add.set_defaults(command=merge)
    add = commands.add_parser("prune", help="checkpoints that no evaluation and no stage needs any more")
    text = "the experiments that are still wanted (default: all), overrides"
    add.add_argument("names", nargs="*", metavar="NAME|OVERRIDE", help=text)
    add.add_argument("--delete", action="store_true", help="delete them; else they are listed only")
    add.set_defaults(command=prune)


def explain(options: Any, rest: list[str]) -> int:
    """Say why two stages are different."""
    import argparse

    from t5grid.commands.grids import grids_of, sort_words
    from t5grid.config.schema import load_cell
    from t5grid.execution.explain import Known, explain_difference
    from t5grid.execution.store import Store
    from t5grid.grid.graph import merged

    parts, names, overrides = sort_words(options.names)
    if len(parts) != 2:
        given = " ".join([*names, *parts]) or "nothing"
        raise Refused(f"explain: two stages are needed, such as pretrain/bert_style, not {given}")
    runtime = load_cell(overrides).runtime
    stages = merged(grids_of(argparse.Namespace(names=[*names, *overrides]))[0]) if names else ()
    known = Known(Store(runtime.runs_dir), Path(runtime.results_dir) / "records", stages)
    a, b = map(known.named, parts)
    print("\n".join(explain_difference(a, b, known)))
    return 0


def merge(options: Any, rest: list[str]) -> int:
    """Bring in the finished stages of another store, and show what disagrees."""
    from t5grid.config.schema import load_cell
    from t5grid.execution.merge_stores import merge_store
    from t5grid.execution.store import Store

    overrides = [word for word in options.names if "=" in word]
    places = [word for word in options.names if "=" not in word]
    runtime = load_cell(overrides).runtime
    store, counts = Store(runtime.runs_dir), Counter[str]()
    for place in places:
        for merged in merge_store(Path(place), store, Path(runtime.results_dir) / "records"):
            counts[merged.word] += 1
            if merged.detail:
                print(f"{merged.word}: {merged.identity}: {merged.detail}")
    words = ("taken", "same", "conflict", "held", "refused")
    print(", ".join(f"{counts[word]} {word}" for word in words if counts[word] or word == "taken"))
    return FAILURE if counts["conflict"] or counts["refused"] or counts["held"] else 0


def prune(options: Any, rest: list[str]) -> int:
    """List checkpoints that nothing needs any more, or delete them; 1 where one could not be deleted."""
    from t5grid.config.compose import check_repeats
    from t5grid.execution import pruning
    from t5grid.execution.plan import size
    from t5grid.grid.graph import merged
    from t5grid.results.study import load_possible, load_study

    names = [word for word in options.names if "=" not in word]
    overrides = [word for word in options.names if "=" in word]
    check_repeats(overrides)
    study = load_study(overrides, names) if names else load_possible(overrides)
    total, stuck = 0, 0
    for spare in pruning.spares(merged(list(study.grids.values())), study.store):
        num_bytes = spare.size
        gone = not options.delete or pruning.delete(spare, study.store)
        total, stuck = total + num_bytes * gone, stuck + (not gone)
        left_alone = "" if gone else "; left alone: it is in use, or what stays is damaged"
        counts = f"{len(spare.unneeded)} of {len(spare.unneeded) + len(spare.kept)} checkpoints"
        print(f"{spare.stage.identity}: {counts}, {size(num_bytes)}{left_alone}")
    done = "deleted" if options.delete else "not needed; prune --delete deletes them"
    print(f"{size(total)} {done}")
    return FAILURE if stuck else 0
