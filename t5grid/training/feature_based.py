"""features of a fixed encoder + a task model -> what fine-tuning trains."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from t5grid.config.rules import Count
from t5grid.model.answers import OUTPUT, POOLED, STATES, Choice, num_concatenated
from t5grid.model.costs import Product
from t5grid.refused import Refused
from t5grid.training.finetuning import Episodes, Method, Names, scaled

TASK_MODEL = "answering."


@dataclass(frozen=True)
class FeatureBased(Method):
    """The pre-trained encoder is fixed; a bidirectional LSTM over some of its states is trained.

    The choices of states are those of BERT's Table 7, where its task model has two layers 768 wide, both
    directions together. `d` is that width for models of width `at_d_model`, as in `Adapters`. Classes and
    numbers are answered by its states pooled over the example (`features.beside_pooled`).
    """

    version: ClassVar[int] = 2

    features: Choice = "concat_last_four"
    d: Count = 768
    at_d_model: Count | None = 768
    num_layers: Count = 2

    def units(self, d_model: int) -> int:
        """Units of each direction."""
        return max(1, scaled(self.d, self.at_d_model, d_model) // 2)

    def prepare(self, model: Any) -> None:
        model.read_features(self.features, self.units(model.d_model), self.num_layers)

    def episodes(self, names: Names, num_steps: int) -> Episodes:
        return {0: frozenset(name for name in names if name.startswith(TASK_MODEL))}

    def products(self, products: list[Product], d_model: int) -> list[Product]:
        """The encoder's, the LSTM's, and those of the output layers, which are as wide as it is."""
        states = next(product.shape for product in products if product.writes == STATES)
        outputs = [product for product in products if (product.parameter or "").startswith(OUTPUT)]
        kept = [p for p in products if p not in outputs and p.writes != "logits"]
        units = self.units(d_model)
        return [*kept, *self._lstm(states, units), *(_as_wide(product, 2 * units) for product in outputs)]

    def _lstm(self, states: tuple[int, ...], units: int) -> Iterator[Product]:
        num_states, positions, width = states
        if self.features == "weighted_sum":
            for name, number in (("weights", num_states), ("scale", 1)):
                yield Product("features", (STATES,), f"answering.reader.features.{name}", shape=(number,))
        ins, reads = width * num_concatenated(self.features, num_states), "features"
        yield Product("features", (STATES,), size=positions * ins)
        for layer in range(self.num_layers):
            for direction in ("", "_reverse"):
                for kind, width in (("ih", ins), ("hh", units)):
                    end, gates = f"{kind}_l{layer}{direction}", 4 * units
                    name, flops = f"answering.reader.lstm.weight_{end}", 2 * positions * gates * width
                    read = (reads,) if kind == "ih" else (f"read{layer}",)
                    yield Product(f"read{layer}", read, name, flops, positions * gates, shape=(gates, width))
                    yield Product(f"read{layer}", (), f"answering.reader.lstm.bias_{end}", shape=(gates,))
            ins, reads = 2 * units, f"read{layer}"

    def check(self, cell: Any) -> None:
        if not cell.segments.reads_whole:
            option = cell.labels["segments"]
            raise Refused(
                f"finetune=feature_based: reads states of whole texts, segments={option} leaves none"
            )
        if not hasattr(cell.architecture, "answering"):
            method, option = cell.labels["finetune"], cell.labels["architecture"]
            raise Refused(
                f"finetune={method}: architecture={option} answers through no output layer; "
                "its feature-based methods are frozen, frozen_head and frozen_last_layer"
            )


@dataclass(frozen=True)
class WithBiLstm(FeatureBased):
    """As `FeatureBased`, but nothing is fixed: a bidirectional LSTM on top of a model that is fine-tuned.

    What BERT's Table 5 gives a left-to-right model, so that it sees the right side after all.
    """

    version: ClassVar[int] = 2

    features: Choice = "last"
    num_layers: Count = 1

    def prepare(self, model: Any) -> None:
        model.read_features(self.features, self.units(model.d_model), self.num_layers, fixed=False)

    def episodes(self, names: Names, num_steps: int) -> Episodes:
        return {0: frozenset(names)}


def _as_wide(product: Product, width: int) -> Product:
    """An output layer's product over what a task model makes of a place, or of a row."""
    if len(product.shape) < 2:
        return product
    outs, before = product.shape
    assert product.reads in (("pooled",), ("hidden",))
    width *= POOLED if product.reads == ("pooled",) else 1
    return replace(product, reads=("read",), flops=product.flops // before * width, shape=(outs, width))
