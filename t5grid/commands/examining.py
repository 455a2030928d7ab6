"""`t5grid doctor`, `inspect`, `clean`, `predict`: what a cell needs, reads, answers."""

import sys
from pathlib import Path
from typing import Any

from t5grid.commands import FAILURE, configs
from t5grid.refused import Refused


def add_commands(commands: Any) -> None:
    """Add the sub-commands to those of the parser."""
    text = "what a cell needs and what of it is missing: data, packages, GPU, Slurm"
    add = commands.add_parser("doctor", help=text)
    add.add_argument("overrides", nargs="*", metavar="OVERRIDE")
    add.set_defaults(command=doctor)
    text = (
        "what an objective, a corpus, a suite, an architecture or a fine-tuning method really does, as text"
    )
    add = commands.add_parser("inspect", help=text)
    add.add_argument("overrides", nargs="*", metavar="OVERRIDE | SENTENCE")
    add.add_argument("-n", "--num", type=int, default=3, help="how many examples to show")
    text = "a word in sentences, to a cell's pre-trained model: what it is near, how alike it is in them"
    add.add_argument("--word", help=text)
    text = "one with the word in it, several times; else those of its two senses"
    add.add_argument("--sentence", action="append", default=[], metavar="TEXT", help=text)
    text = "how often a layer of a cell's pre-trained model has a sentence nearest to its translation"
    add.add_argument("--translations", action="store_true", help=text)
    text = "pairs with a tab between them, a line each, once a language; else those of the generated world"
    add.add_argument("--pairs", action="append", type=Path, default=[], metavar="FILE", help=text)
    add.add_argument("--figure", type=Path, metavar="FILE", help="the same as a picture: .svg or .png")
    text = "what a trained cell attends to while it answers TEXT: name its COLUMN with overrides, or a STAGE"
    add.add_argument("--attention", metavar="TEXT", help=text)
    add.add_argument("--task", help="of --attention: which of the column's tasks the text is of")
    text = "draw the masks of architecture=NAME there, not as text"
    add.add_argument("--svg", type=Path, metavar="FILE", help=text)
    configs.add_options(add)
    add.set_defaults(command=inspect)
    add = commands.add_parser("clean", help="C4's cleaning rules over a corpus: what each of them drops")
    add.add_argument("overrides", nargs="*", metavar="OVERRIDE")
    add.add_argument("--to", metavar="DIR", type=Path, help="write the clean text there, as jsonl.gz")
    add.set_defaults(command=clean)
    _add_predict(commands.add_parser("predict", help="answers of a fine-tuned model to lines of text"))


def _add_predict(add: Any) -> None:
    add.add_argument("names", nargs="+", metavar="COLUMN|STAGE|OVERRIDE")
    add.add_argument("--input", type=Path, metavar="FILE", help="a text a line; standard input if not given")
    add.add_argument("--output", type=Path, metavar="FILE", help="an answer a line; else standard output")
    add.add_argument("--task", help="which of the column's tasks the lines are of")
    add.add_argument("--raw", action="store_true", help="take lines as they are, without the task's words")
    add.add_argument("--step", type=int, help="which checkpoint; the one that is reported if not given")
    text = "width of a beam search (the study's: 4); 1: greedy"
    add.add_argument("--beams", type=int, default=1, help=text)
    text = "answer its test sets instead, into the zip its server takes (--output; else BOARD.zip)"
    add.add_argument("--leaderboard", choices=("glue", "super_glue"), help=text)
    text = "with --leaderboard: the most frequent class where no model named is fine-tuned for a task"
    add.add_argument("--fill", action="store_true", help=text)
    add.set_defaults(command=predict)


def doctor(options: Any, rest: list[str]) -> int:
    """List what a cell needs and whether it is here; 1 where anything is missing."""
    from t5grid.commands.doctor import examine, print_report
    from t5grid.config.compose import check_repeats
    from t5grid.config.schema import load_cell

    check_repeats(options.overrides)
    width = None if sys.stdout.isatty() else 150
    return FAILURE if print_report(list(examine(load_cell(options.overrides))), width) else 0


def inspect(options: Any, rest: list[str]) -> int:
    """Show what the axis values of a cell produce, what a trained one attends to or makes of a word."""
    if options.attention is not None:
        return _attention(options)
    if options.task is not None:
        raise Refused("inspect: --task is for --attention TEXT")
    from t5grid.commands.inspection import picture, show
    from t5grid.config.compose import check_repeats
    from t5grid.files import write_whole

    check_repeats(options.overrides)
    if options.word and options.translations:
        raise Refused("inspect: --word and --translations are asked one at a time")
    if options.pairs and not options.translations:
        raise Refused("inspect: --pairs goes with --translations")
    if options.word:
        return _inspect_word(options)
    if options.sentence or (options.figure and not options.translations):
        raise Refused("inspect: --sentence and --figure go with --word, --figure with --translations too")
    if options.translations:
        return _inspect_translations(options)
    if configs.is_asked(options):
        return configs.show(options, [("", options.overrides)])
    if options.num < 0:
        raise Refused(f"inspect: -n {options.num}: at least 0")
    if options.svg:
        write_whole(options.svg, picture(options.overrides))
        print(f"written: {options.svg}")
        return 0
    print("\n".join(show(options.overrides, options.num)))
    return 0


def _inspect_word(options: Any) -> int:
    from t5grid.commands.senses import alike, draw

    found = alike(options.overrides, options.word, options.sentence)
    print("\n".join(found.lines()))
    if options.figure:
        draw(found, options.figure)
        print(f"written: {options.figure}")
    return 0


def _inspect_translations(options: Any) -> int:
    from t5grid.commands.translations import draw, retrieval

    found = retrieval(options.overrides, options.pairs)
    print("\n".join(found.lines()))
    if options.figure:
        draw(found, options.figure)
        print(f"written: {options.figure}")
    return 0


def _attention(options: Any) -> int:
    """Draw the attention of a finished cell over a text, and keep it for the cell's page."""
    from t5grid.commands.predicting import choose, is_place, with_start
    from t5grid.config.compose import check_repeats
    from t5grid.evaluation.attention import attended
    from t5grid.results.attention import attention_lines, entry_of, keep_attention

    check_repeats([word for word in options.overrides if not is_place(word)])
    chosen = choose(options.overrides, options.task)
    text, restored = with_start(options.attention, chosen.start), chosen.restored
    made = attended(restored.at(chosen.step), restored.vocabulary, text, restored.column, chosen.task)
    entry = entry_of(made, text, chosen.task, chosen.step)
    print("\n".join(attention_lines(entry)))
    path = keep_attention(entry, chosen.stage.identity, Path(chosen.cell.runtime.results_dir))
    print(f"written: {path}; t5grid report shows it by layer and head in the cell's page")
    return 0


def clean(options: Any, rest: list[str]) -> int:
    """Count what each of C4's rules drops of a cleaned corpus; write what is left."""
    from collections import Counter

    from t5grid.config.compose import check_repeats
    from t5grid.config.schema import load_cell
    from t5grid.data.cleaning import Cleaned, clean_whole

    check_repeats(options.overrides)
    chosen = any(word.startswith("corpus=") for word in options.overrides)
    corpus = load_cell([*([] if chosen else ["corpus=cleaned"]), *options.overrides]).corpus
    if not isinstance(corpus, Cleaned):
        raise Refused("clean: corpus=cleaned or corpus=cleaned_v3, with corpus.source.path=DIR")
    if options.to is not None and options.to.exists() and any(options.to.iterdir()):
        raise Refused(f"clean: --to {options.to}: is not empty")
    counts: Counter[str] = Counter()
    for done, _ in enumerate(clean_whole(corpus, counts, options.to), start=1):
        pages = f"{counts['pages kept']} of {counts['pages read']} pages"
        print(f"\r{done} shards, {pages}", end="", file=sys.stderr)
    print(file=sys.stderr)
    print("\n".join(f"{count:>12,}  {what}" for what, count in sorted(counts.items()) if count))
    return 0


def _submit(options: Any) -> int:
    """Write the answers to a leaderboard's test sets."""
    from t5grid.commands.submitting import submission
    from t5grid.files import require_writable, write_whole

    for name in ("input", "task", "raw"):
        if getattr(options, name):
            raise Refused(f"--{name}: not with --leaderboard, whose test sets are answered")
    target = options.output or Path(f"{options.leaderboard}.zip")
    require_writable(target.absolute().parent)
    how = {"fill": options.fill, "step": options.step, "num_beams": options.beams}
    write_whole(target, submission(options.leaderboard, options.names, **how))
    print(f"written: {target}")
    return 0


def predict(options: Any, rest: list[str]) -> int:
    """Answer each line of a file or of standard input."""
    from t5grid.commands.predicting import answers, is_place
    from t5grid.config.compose import check_repeats
    from t5grid.files import in_one_line, read_lines, write_whole

    check_repeats([word for word in options.names if not is_place(word)])
    if options.beams < 1:
        raise Refused(f"--beams {options.beams}: at least 1")
    if options.leaderboard:
        return _submit(options)
    if options.fill:
        raise Refused("--fill: only with --leaderboard")
    lines = read_lines(options.input)
    how = {"task": options.task, "step": options.step, "num_beams": options.beams, "raw": options.raw}
    replies = answers(options.names, lines, **how)
    text = "".join(in_one_line(answer) + "\n" for answer in replies)
    if options.output:
        write_whole(options.output, text)
    else:
        sys.stdout.write(text)
    return 0
