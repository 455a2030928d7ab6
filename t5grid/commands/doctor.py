"""a cell -> what it needs and whether that is here: data, packages, devices, disk.

Nothing is trained, downloaded or imported that is slow; torch is not.
"""

import json
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

from t5grid.commands.comparing import at_hand
from t5grid.config.schema import Cell
from t5grid.data.roundtrip import labels_of, losses_of
from t5grid.data.vocabulary import Vocabulary
from t5grid.refused import Refused
from t5grid.tasks import hub
from t5grid.tasks.availability import sampled
from t5grid.tasks.labelled import Split
from t5grid.tasks.task import Record

PROBLEM, FINE, PARTIAL, NONE, LOST = "missing", "present", "partial", "none", "lost"
COLOURS = {PROBLEM: "red", FINE: "green", PARTIAL: "yellow", NONE: "dim", LOST: "yellow"}
ASK_SECONDS = 5


@dataclass(frozen=True)
class Check:
    """One line of the report: `state` is "present", "partial" (not the real rows), "none" or "missing".

    "lost" are texts that the vocabulary does not give back. What is "none" is gone without; only what is
    "missing" stops the cell.
    """

    section: str
    name: str
    state: str
    says: str
    rows: int | None = None
    of: int | None = None


def examine(cell: Cell) -> Iterator[Check]:
    """Everything a cell needs, section by section."""
    yield from data_checks(cell)
    yield from corpus_checks(cell)
    yield from answer_checks(cell)
    yield from package_checks()
    yield from machine_checks(cell)


def data_checks(cell: Cell) -> Iterator[Check]:
    """One check a split of every task of the columns in use."""
    for key, column in cell.suite.chosen().items():
        for name, task in column.tasks.items():
            section = f"{key}: {column.title}"
            splits = getattr(task, "needed_splits", None)
            if splits is None:
                yield Check(section, name, FINE, "generated", task.num_train)
            for split in splits or ():
                yield split_check(section, name, split)


def split_check(section: str, name: str, split: Split) -> Check:
    """What is known of one split, on the hub or in a local copy."""
    title = f"{name} {split.role}" + (f" ({split.name})" if split.name != split.role else "")
    if split.source.root is None:
        state, says, rows = on_the_hub(split)
        return Check(section, title, state, says, rows, split.full)
    if split.missing:
        state = NONE if split.spare else PROBLEM
        says = f"no {split}" + (", gone without" if split.spare else "")
        return Check(section, title, state, says, None, split.full)
    try:
        rows = split.rows
    except Refused as error:
        return Check(section, title, PROBLEM, str(error), None, split.full)
    if split.full is not None and rows != split.full:
        return Check(section, title, PARTIAL, "not the real split: a sample or a stand-in", rows, split.full)
    return Check(section, title, FINE, split.source.label(split.name), rows, split.full)


def on_the_hub(split: Split) -> tuple[str, str, int | None]:
    """State, words and rows of a split that is read from the hub."""
    source = split.source
    cached = cached_rows(source, split.name)
    if cached is not None:
        return FINE, f"in the cache: {split}", cached
    if hub.offline() or not hub.reachable():  # said once, below
        return PROBLEM, f"{split}: not in the cache", None
    if not hub.exists(source.repository, source.revision):
        return PROBLEM, f"{source.repository}: the hub has no such data set (at {source.revision})", None
    return FINE, f"on the hub: {split}", None


def cached_rows(source: hub.Source, split: str) -> int | None:
    """Rows of a split in the data-set library's cache; None where it is not there."""
    home = os.environ.get("HF_HOME", "~/.cache/huggingface")
    cache = Path(os.environ.get("HF_DATASETS_CACHE", f"{home}/datasets")).expanduser()
    folder = cache / source.repository.replace("/", "___") / source.config / "0.0.0" / str(source.revision)
    try:
        splits = json.loads((folder / "dataset_info.json").read_text(encoding="utf-8"))["splits"]
        return int(splits[split]["num_examples"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def corpus_checks(cell: Cell) -> Iterator[Check]:
    """The corpus and the vocabulary, as far as they are on this machine."""
    section, corpus = "corpus and vocabulary", cell.corpus
    names = getattr(corpus, "repository", None)
    if names is not None and corpus.root is None:
        within_reach = hub.offline() or hub.reachable()
        says = f"{names}, streamed from the hub" if within_reach else f"{names} is out of reach: no network"
        yield Check(section, cell.labels["corpus"], FINE if within_reach else PROBLEM, says)
    else:
        yield _tried(section, cell.labels["corpus"], lambda: f"{len(corpus.shards())} shards")
    name, vocabulary = f"vocabulary {cell.labels['vocabulary']}", cell.vocabulary
    given = getattr(vocabulary, "path", None)
    says = f"the model in {given}" if given else "trained when it is needed"
    yield _tried(section, name, lambda: says, vocabulary.fingerprint if given else None)


def answer_checks(cell: Cell) -> Iterator[Check]:
    """Whether the vocabulary can spell the labels, and the targets of local rows, where it is at hand."""
    section = "answers in the vocabulary"
    try:
        vocabulary = at_hand(cell)
    except (Refused, OSError):  # said of the corpus and the vocabulary
        return
    if vocabulary is None:
        yield Check(section, "labels and targets", NONE, "compared when a run has trained the vocabulary")
        return
    for key, column in cell.suite.chosen().items():
        for name, task in column.tasks.items():
            yield from _answers(section, key, name, task, vocabulary)


def _answers(section: str, key: str, name: str, task: Any, vocabulary: Vocabulary) -> Iterator[Check]:
    title = f"{key}: {name}"
    try:
        records = _local_records(task)
        lines = losses_of(name, task, records, vocabulary)
    except (Refused, OSError) as error:
        yield Check(section, title, PROBLEM, " ".join(str(error).split()))
        return
    for line in lines:
        yield Check(section, title, LOST, line)
    if not lines:
        counts = f"{len(labels_of(task))} labels, {len(records)} targets"
        yield Check(section, title, FINE, f"given back as they are: {counts}")


def _local_records(task: Any) -> Sequence[Record]:
    """Some training records of a task whose rows are files of this machine."""
    splits = [split for split in getattr(task, "needed_splits", ()) if split.role == "train"]
    is_here = all(split.source.root is not None and not split.missing for split in splits)
    return sampled(task.records("train")) if splits and is_here else ()


def _tried(section: str, name: str, says: Any, attempt: Any = None) -> Check:
    try:
        if attempt:
            attempt()
        return Check(section, name, FINE, says())
    except (Refused, OSError) as error:
        return Check(section, name, PROBLEM, " ".join(str(error).split()))


def package_checks() -> Iterator[Check]:
    """Every package that t5grid needs, by version; extras are noted where they are absent."""
    for requirement in requires("t5grid") or []:
        wanted, _, marker = requirement.partition(";")
        name = wanted.strip()
        for sign in "<>=!~[ ":
            name = name.split(sign)[0]
        try:
            yield Check("packages", name, FINE, installed(name))
        except PackageNotFoundError:
            says = f"pip install '{wanted.strip()}'"
            yield Check(
                "packages", name, NONE if marker else PROBLEM, f"{says} ({marker.strip() or 'needed'})"
            )


def machine_checks(cell: Cell) -> Iterator[Check]:
    """Processor, accelerator, Slurm, hub and disk."""
    section = "machine"
    yield Check(section, "processor", FINE, f"{platform.machine()}, {os.cpu_count()} cores")
    gpus = asked("nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader")
    wanted = cell.runtime.accelerator in ("gpu", "cuda")
    lacks = f"runtime.accelerator={cell.runtime.accelerator}, but nvidia-smi shows none" if wanted else "none"
    yield Check(section, "GPU", FINE if gpus else (PROBLEM if wanted else NONE), gpus or lacks)
    slurm = asked("sinfo", "--version")
    wanted = cell.labels["executor"] == "slurm"
    lacks = (
        f"executor={cell.labels['executor']}, but sinfo does not answer" if wanted else "not on this machine"
    )
    yield Check(section, "Slurm", FINE if slurm else (PROBLEM if wanted else NONE), slurm or lacks)
    online = not hub.offline() and hub.reachable()
    says = "answers" if online else f"not asked: {hub.offline()}" if hub.offline() else "does not answer"
    yield Check(section, "Hugging Face hub", FINE if online else NONE, says)
    runs = Path(cell.runtime.runs_dir).absolute()
    folder = next(folder for folder in (runs, *runs.parents) if folder.exists())
    free = shutil.disk_usage(folder).free / 2**30
    writable = folder.is_dir() and os.access(folder, os.W_OK)
    says = f"{free:.0f} GiB free in {folder}" if writable else f"{folder} cannot be written to"
    yield Check(section, "runs", FINE if writable else PROBLEM, says)


def asked(*command: str) -> str:
    """What a command of the machine answers, in one line; empty where there is none or it fails."""
    if not shutil.which(command[0]):
        return ""
    try:
        shown = subprocess.run(command, capture_output=True, text=True, timeout=ASK_SECONDS)
    except (OSError, subprocess.SubprocessError):
        return ""
    return "; ".join(shown.stdout.split("\n")).strip("; ") if shown.returncode == 0 else ""


def _hub_line() -> str:
    """Why nothing comes from the hub; empty where something would."""
    if hub.offline():
        return f"the Hugging Face hub is not asked ({hub.offline()}): "
    return "" if hub.reachable() else "the Hugging Face hub does not answer: "


def print_report(checks: Sequence[Check], width: int | None = None) -> int:
    """Print the checks as tables; the number of those that are missing."""
    from rich.console import Console
    from rich.table import Table

    console = Console(width=width, highlight=False)
    for section in dict.fromkeys(check.section for check in checks):
        table = Table(title=section, title_justify="left", box=None, padding=(0, 2, 0, 0), pad_edge=False)
        for heading, justify in (
            ("", "left"),
            ("state", "left"),
            ("rows", "right"),
            ("of", "right"),
            ("", "left"),
        ):
            table.add_column(heading, justify=justify, overflow="fold")  # type: ignore[arg-type]
        for check in checks:
            if check.section == section:
                counts = ["" if count is None else f"{count:,}" for count in (check.rows, check.of)]
                state = f"[{COLOURS[check.state]}]{check.state}[/]"
                table.add_row(check.name, state, *counts, check.says)
        console.print(table, "")
    missing = [check for check in checks if check.state == PROBLEM]
    summary = ", ".join(dict.fromkeys(check.name for check in missing))
    if any(check.of is not None for check in missing):
        console.print(f"{_hub_line()}to get the data, {hub.WAYS}", soft_wrap=True)
    partial = sum(check.state == PARTIAL for check in checks)
    stands_in = f"; {partial} splits are not the real data" if partial else ""
    console.print((f"{len(missing)} missing: {summary}" if missing else "nothing is missing") + stands_in)
    return len(missing)
