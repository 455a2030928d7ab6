"""pre-trained model + pairs of sentences -> how near translations are, by layer."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from t5grid.commands.pretrained_model import pretrained_model
from t5grid.config.schema import load_cell
from t5grid.files import write_whole
from t5grid.nano.language_tasks import Parallel
from t5grid.nano.languages import LANGUAGES
from t5grid.refused import Refused

NUM_PAIRS = 200
"""Generated pairs of each language."""
Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Retrieval:
    """Of a model, in per cent by language and layer: how often a translation is the nearest sentence."""

    model: str
    num_pairs: Mapping[str, int]
    accuracies: Mapping[str, tuple[float, ...]]

    def lines(self) -> Iterator[str]:
        """As text."""
        yield f"{self.model}: translations found by the mean of a layer's states, % of both ways"
        width = max(map(len, ["", *self.accuracies]))
        layers = range(len(next(iter(self.accuracies.values()))))
        heads = ["ids", *(f"layer {layer}" for layer in layers[1:])]
        yield f"  {'':<{width}}  {'pairs':>5}  {'chance':>6}" + "".join(f"{head:>9}" for head in heads)
        for name, row in self.accuracies.items():
            num = self.num_pairs[name]
            shown = "".join(f"{accuracy:9.1f}" for accuracy in row)
            yield f"  {name:<{width}}  {num:>5}  {100 / num:>6.1f}{shown}"


def retrieval(words: Sequence[str], files: Sequence[Path]) -> Retrieval:
    """Of the pre-trained model of a cell, with the pairs of files or of the generated world's languages.

    Raises Refused where the model has no encoder, or is not there, or a file is no list of pairs.
    """
    from t5grid.evaluation.retrieval import retrieved, sentence_states

    cell = load_cell(words)
    pairs = {file.stem: pairs_of(file) for file in files}
    model, vocabulary = pretrained_model(cell, "--translations")
    name = cell.labels["architecture"]
    if not (hasattr(model, "states") or hasattr(model, "encode")):
        raise Refused(f"inspect --translations: architecture={name}: no encoder whose states are read")
    if getattr(model, "recurrence", None) is not None:
        raise Refused(f"inspect --translations: segments={cell.labels['segments']}: none is needed")
    accuracies, pairs = {}, pairs or generated()
    for language, rows in pairs.items():
        sides = [vocabulary.encode([pair[side] for pair in rows]) for side in (0, 1)]
        states = [sentence_states(model, vocabulary.size, [list(ids) for ids in side]) for side in sides]
        accuracies[language] = tuple(retrieved(*states))
    return Retrieval(name, {language: len(rows) for language, rows in pairs.items()}, accuracies)


def generated(num: int = NUM_PAIRS) -> dict[str, Pairs]:
    """English scenes that no corpus has told of, and their translations, for each constructed language."""
    tasks = {language.name: Parallel(language=language.name.lower(), num_test=num) for language in LANGUAGES}
    return {
        name: [(record["inputs"], record["targets"]) for record in task.records("test")]
        for name, task in tasks.items()
    }


def pairs_of(file: Path) -> Pairs:
    """The pairs of a file: a line each, a tab between them. Raises Refused for anything else."""
    try:
        lines = file.read_text(encoding="utf-8").rstrip("\n").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"--pairs {file}: {' '.join(str(error).split())}") from error
    pairs = []
    for number, line in enumerate(lines, start=1):
        first, tab, second = line.partition("\t")
        if not (tab and first.strip() and second.strip()) or "\t" in second:
            raise Refused(f"--pairs {file}, line {number}: two sentences with a tab between them are needed")
        pairs.append((first, second))
    if len(pairs) < 2:
        raise Refused(f"--pairs {file}: at least two pairs are needed, as one is found in any case")
    return pairs


def draw(found: Retrieval, path: Path) -> None:
    """A curve a language over the layers. Raises Refused for a form that is not drawn."""
    from t5grid.results import plots

    forms = {".svg": plots.svg, ".png": plots.png}
    if path.suffix not in forms:
        raise Refused(f"--figure {path}: {' or '.join(forms)}")
    with plots.drawing() as figure_class:
        figure = figure_class(figsize=(5.5, 3.2), layout="constrained")
        panel = figure.subplots()
        for number, (language, row) in enumerate(found.accuracies.items()):
            colour = plots.COLOURS[number % len(plots.COLOURS)]
            panel.plot(range(len(row)), row, marker="o", markersize=4, color=colour, label=language)
        panel.axhline(100 / min(found.num_pairs.values()), **plots.FLOOR_LINE)
        layers = range(len(next(iter(found.accuracies.values()))))
        panel.set_xticks(layers, ["ids", *map(str, layers[1:])])
        panel.set_ylim(0, 102)
        panel.set_xlabel("layer of the encoder")
        panel.set_title(f"{found.model}: translations found (%), dotted: by chance")
        figure.legend(loc="outside right upper", frameon=False, fontsize=8)
        write_whole(path, forms[path.suffix](figure))
