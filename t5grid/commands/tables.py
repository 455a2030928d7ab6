"""`t5grid table`, `report` and `findings`: what the records say, written again."""

import sys
from pathlib import Path
from typing import Any

from t5grid.commands.grids import grids_of, tell_set_aside
from t5grid.refused import Refused


def add_commands(commands: Any) -> None:
    """Add the sub-commands to those of the parser."""
    add = commands.add_parser("table", help="write the tables again from the records")
    add.add_argument("names", nargs="*", metavar="NAME|OVERRIDE")
    add.add_argument("--all", action="store_true", help="every experiment that has records, and the findings")
    add.set_defaults(command=table)
    add = commands.add_parser("report", help="one HTML page of the whole study")
    add.add_argument(
        "names",
        nargs="*",
        metavar="NAME|OVERRIDE",
        help="experiments (default: all), overrides; budget=nano,lab shows several in one page",
    )
    add.add_argument(
        "-o", "--output", type=Path, help="where to write (default: results/report-<scale>.html)"
    )
    add.add_argument("--serve", action="store_true", help="serve it live on 127.0.0.1 while a sweep runs")
    add.add_argument("--port", type=int, default=8321, help="of --serve; 0 takes any free port")
    add.add_argument("--open", action="store_true", help="open a browser on --serve")
    add.add_argument("--wandb", action="store_true", help="log tables and figures to a run too")
    add.set_defaults(command=report)
    add = commands.add_parser("findings", help="the paper's claims, each with our evidence")
    add.add_argument("overrides", nargs="*", metavar="OVERRIDE")
    add.set_defaults(command=findings)


def table(options: Any, rest: list[str]) -> int:
    """Write the tables again from the records, part-done ones too."""
    from t5grid.results.publishing import publish, publish_all
    from t5grid.results.study import load_study

    if options.all:
        if named := [word for word in options.names if "=" not in word]:
            raise Refused(f"table: --all is every experiment, so {named[0]!r} cannot be named beside it")
        study = load_study(options.names)
        tell_set_aside(list(study.grids.values()), study.store)
        print("\n".join(publish_all(study)))
        return 0
    grids, store = grids_of(options)
    tell_set_aside(grids, store)
    for grid in grids:
        text, path = publish(grid, store)
        print(text)
        print(f"written: {path}")
    return 0


def report(options: Any, rest: list[str]) -> int:
    """Write the page of the whole study, or serve it live, or log it; not again if nothing has changed."""
    from t5grid.results.made import Made, heard, is_fixed

    if options.serve or options.wandb:
        _report(options)
        return 0
    made = Made(tuple(options.names), options.output, options.config_dir)
    if (lines := made.lines()) is not None:
        for stream, text in lines:
            getattr(sys, stream).write(text)
        return 0
    before = made.digest()
    with heard() as lines:
        studies, path = _report(options)
    where = (studies[0].results, studies[0].store.root)
    if is_fixed(studies) and where == (made.results, made.runs.absolute()):
        made.keep(before, path, lines)
    return 0


def _report(options: Any) -> tuple[list[Any], Path]:
    """The studies of the page, and where it is."""
    from t5grid.results.publishing import log_report, serve_report, write_report
    from t5grid.results.study import load_recorded

    names = [word for word in options.names if "=" not in word]
    studies, note = load_recorded([word for word in options.names if "=" in word], names)
    if note:
        print(f"t5grid: report: {note}", file=sys.stderr)
    for study in studies:
        tell_set_aside(list(study.grids.values()), study.store)
    stems = "-and-".join(study.stem for study in studies)
    path = options.output or studies[0].results / f"report-{stems}.html"
    if options.serve:
        serve_report(studies, options.port, options.open)
    else:
        write_report(studies, path)
        print(f"written: {path}")
        for study in studies if options.wandb else ():
            log_report(study)
    return studies, path


def findings(options: Any, rest: list[str]) -> int:
    """Test the paper's claims on our records, and on the paper's own numbers; write the page."""
    from t5grid.results.study import load_claimed, write_findings

    study = load_claimed(options.overrides)
    tell_set_aside(list(study.grids.values()), study.store)
    print(write_findings(study))
    return 0
