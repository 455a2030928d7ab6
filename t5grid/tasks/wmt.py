"""WMT row -> {inputs, targets}: translation from English.

Inputs are `translate English to <language>: <sentence>`, targets the reference, both as they stand (paper,
appendix D).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from t5grid.refused import Refused
from t5grid.tasks.labelled import HubTask
from t5grid.tasks.metrics import Scores, bleu
from t5grid.tasks.task import Record, Row


@dataclass(frozen=True)
class WMT(HubTask):
    """`translate English to German: The bread is warm.` -> `Das Brot ist warm.`

    Args:
        validation: the data set's split that is scored.
    """

    validation: str = "validation"

    language: ClassVar[str]
    code: ClassVar[str]
    reported: ClassVar[tuple[str, ...]] = ("bleu",)

    @property
    def texts(self) -> tuple[str, ...]:  # type: ignore[override]
        return ("en", self.code)

    @property
    def _config(self) -> str:
        return f"{self.code}-en"

    @property
    def splits(self) -> Mapping[str, tuple[str, ...]]:
        return {"train": ("train",), "validation": (self.validation,), "test": ("test",)}

    def record(self, row: Row) -> Record:
        """The record of a row with the two sentences."""
        return {"inputs": f"translate English to {self.language}: {row['en']}", "targets": row[self.code]}

    def score(self, records: Sequence[Record], predictions: list[str]) -> Scores:
        """Corpus BLEU against the references."""
        return bleu([record["targets"] for record in records], predictions)

    def _shaped(self, table: Any, where: str) -> Any:
        import pyarrow as pa
        import pyarrow.compute as compute

        names = table.schema.names
        kind = table.schema.field("translation").type if "translation" in names else None
        if kind is None or not pa.types.is_struct(kind):
            raise Refused(f"{where}: no column 'translation' of pairs, it has {', '.join(names)}")
        pairs = {field.name: compute.struct_field(table["translation"], field.name) for field in kind}
        return pa.table(pairs)


@dataclass(frozen=True)
class EnDe(WMT):
    """WMT English to German; validation is newstest2013 (paper, section 2.3).

    The hub's training data are the 4,508,785 pairs of 2014; the authors' own runs used another selection of
    the same sources, 4,592,289 pairs: `repository=wmt/wmt_t2t`.
    """

    repository: str = "wmt/wmt14"

    name: ClassVar[str] = "wmt_ende"
    language: ClassVar[str] = "German"
    code: ClassVar[str] = "de"
    pinned: ClassVar[str | None] = "b199e406369ec1b7634206d3ded5ba45de2fe696"
    full: ClassVar[Mapping[str, int]] = {"train": 4508785, "validation": 3000, "test": 3003}


@dataclass(frozen=True)
class EnFr(WMT):
    """WMT English to French; validation is newstest2014, the data set's test split (paper, section 2.3).

    The training data of 2014 and 2015, which the paper names, differ by less than 0.1 per cent of the pairs.
    The library split the authors read for validation also held two smaller sets.
    """

    repository: str = "wmt/wmt14"
    validation: str = "test"

    name: ClassVar[str] = "wmt_enfr"
    language: ClassVar[str] = "French"
    code: ClassVar[str] = "fr"
    pinned: ClassVar[str | None] = EnDe.pinned
    full: ClassVar[Mapping[str, int]] = {"train": 40836715, "validation": 3000, "test": 3003}


@dataclass(frozen=True)
class EnRo(WMT):
    """WMT English to Romanian; validation is newsdev2016 (paper, section 2.3)."""

    repository: str = "wmt/wmt16"

    name: ClassVar[str] = "wmt_enro"
    language: ClassVar[str] = "Romanian"
    code: ClassVar[str] = "ro"
    pinned: ClassVar[str | None] = "41d8a4013aa1489f28fea60ec0932af246086482"
    full: ClassVar[Mapping[str, int]] = {"train": 610320, "validation": 1999, "test": 1999}
