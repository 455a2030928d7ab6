"""a folder with a trained model -> its weights, where fine-tuning looks for them."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from t5grid.refused import Refused
from t5grid.stages.stage import Context, Stage


class ImportStage(Stage):
    """a folder with a trained model -> its weights, where fine-tuning looks for those it starts from."""

    kind = "import"

    def preface(self, folder_of: Callable[[Stage], Path]) -> list[str]:
        """What nobody can check of weights that bring no vocabulary."""
        if self.config.get("brings_vocabulary", True):
            return []
        doubt = "whether its weights were trained with the pieces of the one given cannot be checked"
        return [f"{self.config['path']} brings no vocabulary: {doubt}"]

    def run(self, context: Context) -> dict[str, Any]:
        from t5grid.training import checkpoints

        source = checkpoints.newest(Path(self.config["path"]) / "checkpoints")
        if digest_in(source) != self.content["weights"]:
            raise Refused(f"{self.config['path']}: its newest sound checkpoint is not the one asked for")
        target = context.folder_of(self) / "checkpoints" / source.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        try:
            os.link(source, target)
        except OSError:  # another file system: the digest in its name tells a part from the whole
            shutil.copyfile(source, target)
        return {"weights": self.content["weights"]}


def digest_in(checkpoint: Path) -> str:
    """The digest of a checkpoint's content, which its name ends with."""
    return checkpoint.stem.rpartition("-")[2]
