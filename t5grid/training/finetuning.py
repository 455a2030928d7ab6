"""parameter names + steps -> which are trained from which step on.

Paper, section 3.5.1. A method is a frozen dataclass, and its trainable set a pure function of the step; the
optimizer owns all parameters from the start. What no episode trains stays bit for bit what it was, and is
left out of the checkpoints where another stage keeps it.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Literal

from t5grid.config.rules import Above, Count
from t5grid.model.answers import is_output
from t5grid.model.costs import Product, adapter, with_adapters
from t5grid.refused import Refused

Names = Sequence[str]
Episodes = dict[int, frozenset[str]]
NORM = re.compile(r"norm\.(scale|shift)$")
FEED_FORWARD = ".feed_forward.output.weight"
"""What the name of the last matrix of a feed-forward layer ends with."""
BLOCK = re.compile(r"^(.*)\.blocks\.(\d+)\.")


class Method:
    """What a fine-tuning method is: a subclass says its episodes, and what it adds or refuses.

    One with learning rates of its own also has `rates(names)`, the share of the schedule's rate that each
    parameter is trained at.
    """

    axis: ClassVar[str] = "finetune"

    def episodes(self, names: Names, num_steps: int) -> Episodes:
        """First step of each episode -> the parameters trained in it, of a model prepared by `prepare`."""
        raise NotImplementedError

    def prepare(self, model: Any) -> None:
        """Add the method's own parameters to a model that holds its starting weights; none by default.

        Random values come from torch's global generator, which the caller has seeded.
        """

    def products(self, products: list[Product], d_model: int) -> list[Product]:
        """What a forward pass computes, with what `prepare` adds; the same by default."""
        return products

    def schedule(self, schedule: Any, num_steps: int) -> Any:
        """What becomes of the budget's schedule; the same by default."""
        return schedule

    def check(self, cell: Any) -> None:
        """Raise Refused, one line with the key, for a cell this method cannot train; none by default."""


@dataclass(frozen=True)
class AllParameters(Method):
    """Every parameter is trained, from the first step to the last."""

    def episodes(self, names: Names, num_steps: int) -> Episodes:
        return {0: frozenset(names)}


@dataclass(frozen=True)
class Adapters(Method):
    """Small layers of inner width d after the feed-forward of every block; only they are trained.

    `d` is meant for models of width `at_d_model` (the study's base model) and grows and shrinks with the
    width of others; with `at_d_model` null it is taken as written. The paper says that layer norms are
    trained too, which is `adapter_and_norms`; the file its runs used trains the adapters with their own norms
    only, which is `adapter`. They start like any dense layer, as in the study's code, or near the identity,
    with a deviation of 0.01 (Houlsby et al., 2019). What is trained has `rate` times the schedule's learning
    rate, 1 in the study: few parameters that start from chance may take larger steps than a model that knows.
    """

    d: Count
    at_d_model: Count | None = 768
    train: Literal["adapter", "adapter_and_norms"] = "adapter"
    initial: Literal["dense", "near_identity"] = "dense"
    rate: Annotated[float, Above(0)] = 1.0

    def width(self, d_model: int) -> int:
        """The inner width in a model of width d_model: 32 -> 32 at 768, 3 at 64."""
        return scaled(self.d, self.at_d_model, d_model)

    def prepare(self, model: Any) -> None:
        from t5grid.model.adapters import add_adapters

        add_adapters(model, self.width, near_identity=self.initial == "near_identity")

    def products(self, products: list[Product], d_model: int) -> list[Product]:
        return with_adapters(products, FEED_FORWARD, ".adapter", d_model, self.width(d_model))

    def episodes(self, names: Names, num_steps: int) -> Episodes:
        trained = {name for name in names if ".adapter." in name or is_output(name)}
        if self.train == "adapter_and_norms":
            trained |= {name for name in names if NORM.search(name)}
        return {0: frozenset(trained)}

    def rates(self, names: Names) -> dict[str, float]:
        """The share of the schedule's rate that each parameter is trained at."""
        return dict.fromkeys(names, self.rate)

    def check(self, cell: Any) -> None:
        products = cell.architecture.products(cell.size, cell.vocabulary.size, 1, 1, 1)
        if not any((product.parameter or "").endswith(FEED_FORWARD) for product in products):
            option = cell.labels["architecture"]
            reason = "has no feed-forward layers for them to follow"
            raise Refused(f"finetune={cell.labels['finetune']}: architecture={option} {reason}")


@dataclass(frozen=True)
class GradualUnfreezing(Method):
    """Blocks are trained from the top of both stacks down, one more in each of equally long episodes.

    There are as many episodes as the deeper stack has blocks, 12 in the study; a shallower one keeps pace.
    The embedding, and a softmax matrix of its own, are trained all the time. The paper is silent on norms and
    position biases. `norms` are trained each with its block (a stack's last one from the start) or all from
    the start; `position_biases`, which all blocks of a stack share and which the study's code keeps in the
    lowest, with that block or from the start.
    """

    norms: Literal["with_block", "always"] = "with_block"
    position_biases: Literal["with_lowest_block", "always"] = "with_lowest_block"

    def episodes(self, names: Names, num_steps: int) -> Episodes:
        depths = stack_depths(names)
        count = max(depths.values())
        return {
            -(-episode * num_steps // count): frozenset(
                name for name in names if self._episode_of(name, depths, count) <= episode
            )
            for episode in range(count)
        }

    def _episode_of(self, name: str, depths: dict[str, int], count: int) -> int:
        """The first episode in which a parameter is trained."""
        if NORM.search(name) and self.norms == "always":
            return 0
        if ".position_bias." in name:
            return 0 if self.position_biases == "always" else count - 1
        match = BLOCK.match(name)
        if not match:
            return 0
        from_top = depths[match[1]] - 1 - int(match[2])
        return from_top * count // depths[match[1]]

    def check(self, cell: Any) -> None:
        refuse_no_blocks(cell)
        steps, layers = cell.budget.finetune.num_steps, max(blocks_of(cell))
        if steps < layers:
            raise Refused(
                f"budget.finetune.num_steps={steps}: finetune=gradual_unfreezing takes at least one step for "
                f"each of the {layers} blocks of a stack"
            )


@dataclass(frozen=True)
class FrozenTopBlocks(Method):
    """Feature-based: the pre-trained model is fixed but for the top blocks of its decoder, or of both stacks.

    Of a model with one stack it is that one's, and output layers are trained with them.
    The norm that closes such a stack is trained with them. With the decoder's alone, nothing below them is
    back-propagated through.
    """

    num_blocks: Count = 1
    stacks: Literal["decoder", "both"] = "decoder"

    def episodes(self, names: Names, num_steps: int) -> Episodes:
        depths = stack_depths(names)
        both = self.stacks == "both" or len(depths) == 1
        chosen = {stack: depth for stack, depth in depths.items() if both or stack != "encoder"}
        return {0: frozenset(name for name in names if is_output(name) or self._is_top(name, chosen))}

    def _is_top(self, name: str, depths: dict[str, int]) -> bool:
        match = BLOCK.match(name)
        if not match:
            return name.removesuffix(".norm.scale") in depths
        return match[1] in depths and int(match[2]) >= depths[match[1]] - self.num_blocks

    def check(self, cell: Any) -> None:
        refuse_no_blocks(cell)
        stacks = [count for count in blocks_of(cell) if count]
        layers = stacks[-1] if self.stacks == "decoder" else min(stacks)
        if self.num_blocks > layers:
            raise Refused(f"finetune.num_blocks={self.num_blocks}: a stack has {layers} blocks")


@dataclass(frozen=True)
class FrozenWithHead(Method):
    """Feature-based: the whole pre-trained model is fixed, a small layer between decoder and softmax trained.

    The layer is an adapter of inner width d that starts near the identity; `d` scales as in `Adapters`.
    """

    d: Count = 768
    at_d_model: Count | None = 768

    def prepare(self, model: Any) -> None:
        from t5grid.model.adapters import add_head

        add_head(model, self.width)

    def width(self, d_model: int) -> int:
        """The inner width in a model of width d_model."""
        return scaled(self.d, self.at_d_model, d_model)

    def products(self, products: list[Product], d_model: int) -> list[Product]:
        at = next(i for i, product in enumerate(products) if product.writes == "logits")
        head = adapter(products[at - 1], "softmax.head", d_model, self.width(d_model))
        return [*products[:at], *head, *products[at:]]

    def episodes(self, names: Names, num_steps: int) -> Episodes:
        return {0: frozenset(name for name in names if ".head." in name or is_output(name))}

    def check(self, cell: Any) -> None:
        refuse_output_layers(cell)


@dataclass(frozen=True)
class FrozenWithLastLayer(Method):
    """The pre-trained model is fixed, and its last layer, the softmax matrix, reused as a classifier.

    The matrix starts as the pre-trained one (untied from the embedding, where it was tied) and alone is
    trained: for columns whose targets are a few label words.
    """

    def prepare(self, model: Any) -> None:
        from t5grid.model.adapters import untie

        untie(model)

    def products(self, products: list[Product], d_model: int) -> list[Product]:
        last = [
            replace(product, parameter="softmax.weight") for product in products if product.writes == "logits"
        ]
        return [product for product in products if product.writes != "logits"] + last

    def episodes(self, names: Names, num_steps: int) -> Episodes:
        return {0: frozenset(name for name in names if name.startswith("softmax.") or is_output(name))}

    def check(self, cell: Any) -> None:
        refuse_output_layers(cell)


def episodes_of(method: Method, names: Names, num_steps: int) -> Episodes:
    """A method's episodes. Raises Refused for one in which it would train nothing."""
    episodes = method.episodes(names, num_steps)
    for start, trained in episodes.items():
        if not trained:
            raise Refused(
                f"finetune={type(method).__name__}: nothing of this model is trained from step {start}"
            )
    return episodes


def fresh(method: Any, names: Names) -> frozenset[str]:
    """The parameters that start anew whatever fine-tuning starts from: output layers, and what a method says.

    A method that takes only a part of a model's weights says which: `taken(names)`.
    """
    taken = method.taken(names) if hasattr(method, "taken") else names
    return frozenset(name for name in names if is_output(name)).union(frozenset(names).difference(taken))


def refuse_output_layers(cell: Any) -> None:
    """Raise Refused for a model that answers by output layers, where a method is about the softmax."""
    if hasattr(cell.architecture, "answering"):
        option = cell.labels["architecture"]
        raise Refused(
            f"finetune={cell.labels['finetune']}: architecture={option} has no softmax to answer by; "
            "finetune=feature_based trains a small model over its fixed states"
        )


def refuse_no_blocks(cell: Any) -> None:
    """Raise Refused for a model that is no stack of blocks, where a method trains some of them."""
    if not cell.architecture.num_blocks(cell.size):
        option = cell.labels["architecture"]
        raise Refused(
            f"finetune={cell.labels['finetune']}: architecture={option} has no blocks to train some of"
        )


def scaled(d: int, at_d_model: int | None, d_model: int) -> int:
    """A width that is meant for models of width `at_d_model` at another; at least 1."""
    return d if at_d_model is None else max(1, round(d * d_model / at_d_model))


def blocks_of(cell: Any) -> tuple[int, int]:
    """Blocks that an input passes, and a target: the encoder's and the decoder's, or twice one stack's."""
    count = cell.architecture.block_steps
    return count(cell.size, 1, 0), count(cell.size, 0, 1)


def stack_depths(names: Iterable[str]) -> dict[str, int]:
    """Number of blocks of each stack, read off the parameters' names."""
    depths: dict[str, int] = {}
    for name in names:
        if match := BLOCK.match(name):
            depths[match[1]] = max(depths.get(match[1], 0), int(match[2]) + 1)
    return depths


def episode_at(episodes: Episodes, step: int) -> frozenset[str]:
    """The parameters trained at `step`."""
    return episodes[max(start for start in episodes if start <= step)]


def never_trained(names: Names, episodes: Episodes) -> frozenset[str]:
    """The parameters that no episode trains."""
    return frozenset(names).difference(*episodes.values())
