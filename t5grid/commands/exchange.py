"""`t5grid import` and `export`: trained models from Hugging Face's form and back."""

from pathlib import Path
from typing import Any


def add_commands(commands: Any) -> None:
    """Add both sub-commands to those of the parser."""
    add = commands.add_parser("import", help="a Hugging Face T5 or BERT -> a folder to fine-tune from")
    add.add_argument("source", type=Path, metavar="FOLDER")
    add.add_argument("target", type=Path, metavar="DIR")
    add.set_defaults(command=import_model)
    add = commands.add_parser("export", help="a trained model -> a Hugging Face T5 or BERT")
    add.add_argument("source", type=Path, metavar="FOLDER", help="of a stage below runs/, or an imported one")
    add.add_argument("target", type=Path, metavar="DIR")
    add.add_argument("--step", type=int, help="which checkpoint; the last if not given")
    add.set_defaults(command=export_model)


def import_model(options: Any, rest: list[str]) -> int:
    """Make a Hugging Face T5 or BERT a folder of ours, and say how to start from it."""
    from t5grid.stages.exchange import import_checkpoint

    words = import_checkpoint(options.source, options.target)
    print(f"written: {options.target}")
    print(f"start from it with: {' '.join(words)}")
    if not any(word.startswith("vocabulary") for word in words):
        given = "vocabulary=given vocabulary.path=FILE.model"
        print(f"{options.source} has no spiece.model: add the vocabulary it was trained with: {given}")
    return 0


def export_model(options: Any, rest: list[str]) -> int:
    """Write a trained model in Hugging Face's form."""
    from t5grid.stages.exchange import export_checkpoint

    export_checkpoint(options.source, options.target, options.step)
    print(f"written: {options.target}")
    return 0
