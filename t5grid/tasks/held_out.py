"""corpus -> documents that a language model is judged by: how likely it finds them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Annotated, Any, ClassVar

from t5grid.config.contracts import Corpus, Meets
from t5grid.config.rules import Count
from t5grid.refused import Refused
from t5grid.tasks.labelled import digest
from t5grid.tasks.metrics import Scores
from t5grid.tasks.task import Record


@dataclass(frozen=True)
class HeldOutText:
    """Text that is only read, by `strategy=perplexity`: `num_validation` texts as long as the column says.

    Documents of `corpus`, which are others than those trained on, follow one another without a mark between,
    as in pre-training, until there is enough text.
    """

    name: str
    corpus: Annotated[Any, Meets(Corpus)]
    num_validation: Count = 200

    reported: ClassVar[tuple[str, ...]] = ("probability",)
    roles: ClassVar[tuple[str, ...]] = ("validation",)
    only_read: ClassVar[bool] = True
    version: ClassVar[int] = 1

    def records(self, split: str) -> Sequence[Record]:
        """The first documents, as targets after empty inputs."""
        if split != "validation":
            raise ValueError(f"task {self.name}: no {split} split, it has validation")
        return [{"inputs": "", "targets": text} for text in islice(self.documents(), self.num_validation)]

    def documents(self) -> Iterator[str]:
        """All documents of the corpus, in order."""
        for shard in self.corpus.shards():
            yield from self.corpus.documents(shard)

    def score(self, records: Sequence[Record], predictions: list[str]) -> Scores:
        """Refused: nothing is answered."""
        raise Refused(f"{self.name}: its text is only read; strategy=perplexity scores it")

    def fingerprint(self) -> str:
        """Identity of the text."""
        return digest([self.version, self.corpus.fingerprint(), self.num_validation])
