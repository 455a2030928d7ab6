"""a cell's unit of work: what every stage is, does and is identified by.

A stage is known by a readable name and a hash of its own science config, its parents' identities and the
`version` of its kind, which is raised by hand when the meaning of the code changes. Machine settings never
enter it.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from t5grid.config.identity import SCALARS, digest_of
from t5grid.config.schema import Runtime
from t5grid.refused import Refused
from t5grid.stages.workload import Built, Workload

SAFE_NAME = re.compile(r"[^/\\\0]+")
Report = Callable[[dict[str, Any]], None]
LONGEST_NAME = 150  # what is longer is cut: file systems take 255 bytes, and files' names are made of it


@dataclass(frozen=True)
class Context:
    """Where a stage runs: folders of itself and of any stage, the machine, and whom to tell of progress."""

    folder_of: Callable[["Stage"], Path]
    runtime: Runtime
    num_threads: int
    report: Report


@dataclass(frozen=True, eq=False)
class Stage:
    """One unit of work. `config` is what it needs to run; `content` is what identifies it.

    The order of `parents` is part of the identity; what a parent is to a stage is asked by name.
    """

    name: str
    config: dict[str, Any] = field(repr=False)
    content: dict[str, Any] = field(repr=False)
    parents: tuple["Stage", ...] = field(default=(), repr=False)
    kind: ClassVar[str] = "stage"
    version: ClassVar[int] = 1
    trains: ClassVar[bool] = False
    """Whether it takes every device the machine gives a stage, one process each."""
    spreads: ClassVar[bool] = False
    """Whether it takes them where each keeps a part of the parameters; other kinds take one device."""
    scores: ClassVar[bool] = False
    """Whether it is the end of a column: its record is what tables are made of."""

    def __post_init__(self) -> None:
        if not SAFE_NAME.fullmatch(self.name):
            raise Refused(f"{self.kind} {self.name!r}: a stage's name stands in a path, without / and \\")

    @property
    def hash(self) -> str:
        """The digest of kind, version, content and parents."""
        parents = [parent.identity for parent in self.parents]
        return digest_of(self.kind, self.version, self.content, parents)

    @cached_property
    def identity(self) -> str:
        """`<kind>/<name>-<hash>`, also the stage's folder below `runs/`."""
        return f"{self.kind}/{self.name[:LONGEST_NAME]}-{self.hash}"

    def takes_every_device(self, runtime: Runtime) -> bool:
        """Whether a process runs it on each device of the machine; else one process does."""
        return self.trains or (self.spreads and runtime.parallel == "fsdp")

    def has_ranks(self, runtime: Runtime) -> bool:
        """Whether several processes run it."""
        return self.takes_every_device(runtime) and runtime.num_nodes * runtime.num_devices > 1

    @property
    def vocabulary(self) -> "Stage":
        """The parent whose vocabulary it reads and writes with."""
        return next(parent for parent in self.parents if parent.kind == "vocabulary")

    @property
    def tokens(self) -> "Stage | None":
        """The parent that encoded the unlabelled text, if it reads any."""
        return next((parent for parent in self.parents if parent.kind == "tokens"), None)

    @property
    def trained(self) -> tuple["Stage", ...]:
        """The parents that leave weights, in their order."""
        return tuple(parent for parent in self.parents if parent.kind not in ("vocabulary", "tokens"))

    @property
    def work(self) -> float:
        """Relative cost, for ordering and for the overall progress bar."""
        return 1.0

    def workload(self, built: Built) -> Workload | None:
        """The sizes of what it computes; None where it is nothing of a model's."""
        return None

    def alike(self) -> tuple[Any, ...]:
        """Equal for stages of one workload, while both are kept.

        Sizes depend on the config but for its seed, and on kinds, budgets and vocabularies of the parents.
        """
        settings = {**self.config, "seed": None}
        own = [value if isinstance(value, SCALARS) else id(value) for value in settings.values()]
        parents = [(p.kind, id(p.config.get("budget")), id(p.config.get("vocabulary"))) for p in self.parents]
        return (type(self), *settings, *own, *parents)

    def run(self, context: Context) -> dict[str, Any]:
        """Do the work; the returned values go into the record."""
        raise AssertionError("a kind of stage says what it runs")

    def preface(self, folder_of: Callable[["Stage"], Path]) -> list[str]:
        """Lines a reader of a single cell should see before it runs."""
        return []

    def describe(self) -> dict[str, Any]:
        """What config.yaml and the record say of the stage."""
        return {
            "identity": self.identity,
            "kind": self.kind,
            "version": self.version,
            "config": self.config,
            "content": self.content,
            "parents": [parent.identity for parent in self.parents],
        }


def with_parents(stages: Iterable[Stage]) -> list[Stage]:
    """The stages and all they stand on, parents first, equal ones once."""
    ordered: dict[str, Stage] = {}

    def add(stage: Stage) -> None:
        for parent in stage.parents:
            if parent.identity not in ordered:
                add(parent)
        ordered[stage.identity] = stage

    for stage in stages:
        if stage.identity not in ordered:
            add(stage)
    return list(ordered.values())
