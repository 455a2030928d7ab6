"""corpus -> vocabulary -> token ids: the stages that come before any model."""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from t5grid.config.schema import build
from t5grid.files import write_whole
from t5grid.stages.stage import Context, Stage

VOCABULARY = "vocabulary.model"
COUNTS = "tokens.json"


class VocabularyStage(Stage):
    """corpus -> SentencePiece model."""

    kind = "vocabulary"

    def run(self, context: Context) -> dict[str, Any]:
        from t5grid.data.corpora import every_document
        from t5grid.data.vocabulary import Vocabulary

        corpus, maker = build(self.config["corpus"], "corpus"), build(self.config["vocabulary"], "vocabulary")
        vocabulary = Vocabulary(maker.make(every_document(maker.reads(corpus))))
        write_whole(context.folder_of(self) / VOCABULARY, vocabulary.model)
        return {"vocab_size": vocabulary.size, "fingerprint": vocabulary.fingerprint}


class TokensStage(Stage):
    """corpus + vocabulary -> memory-mapped token shards."""

    kind = "tokens"

    def run(self, context: Context) -> dict[str, Any]:
        from t5grid.data.tokens import encode_corpus

        folder = context.folder_of(self)
        counts = encode_corpus(
            build(self.config["corpus"], "corpus"),
            load_vocabulary(context, self.vocabulary).model,
            folder,
            context.num_threads,
            lambda done, total: context.report({"step": done, "num_steps": total}),
        )
        write_whole(folder / COUNTS, json.dumps(counts))
        return {**counts, "fingerprint": self.content["corpus"]}


def load_vocabulary(context: Context, stage: Stage) -> Any:
    """The vocabulary of a finished stage; a worker keeps the last few. Raises Refused naming its file."""
    return _load(context.folder_of(stage) / VOCABULARY)


@lru_cache(maxsize=8)
def _load(path: Path) -> Any:
    from t5grid.data.vocabulary import Vocabulary

    return Vocabulary.read(path)
