"""texts -> answers in order: batches of similar length, dealt to a stage's processes.

Where devices keep a part of the parameters each (`runtime.parallel=fsdp`), every rank answers whole batches
at its own pace. Before a block computes, all ranks gather its parameters together: they agree on the block
that stands first in the model of those that are waited for, and who waits for another, or has no batch left,
takes part and waits on. So no rank needs as many batches, or as many steps of decoding, as another.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import distributed, nn
from torch.distributed.device_mesh import init_device_mesh

from t5grid.config.schema import Runtime
from t5grid.data.rank import rank_of
from t5grid.training.sharding import register_root, shard

DEVICES = {"cpu": "cpu", "gpu": "cuda", "cuda": "cuda", "mps": "mps"}
BACKENDS = {"cpu": "gloo", "cuda": "cpu:gloo,cuda:nccl"}
Places = list[int]


def device(accelerator: str) -> str:
    """Torch's word for an accelerator; `auto` is the first there is."""
    if accelerator == "auto":
        return "cuda" if torch.cuda.is_available() else "mps" if torch.mps.is_available() else "cpu"
    return DEVICES[accelerator]


class Deal:
    """One process: the whole model is on its device, and it answers every batch."""

    leads = True
    """Whether this process scores the answers and tells of progress."""

    def place(self, model: nn.Module, accelerator: str) -> None:
        """Put a model where it answers."""
        model.to(device(accelerator))

    def loading(self, model: nn.Module) -> AbstractContextManager[None]:
        """Within, the weights of a model that has its place may be changed."""
        return nullcontext()

    def results(self, batches: Sequence[Places], answer: Callable[[Places], list[Any]]) -> list[list[Any]]:
        """What each batch is answered with."""
        return [answer(batch) for batch in batches]

    def __call__(self, sizes: Sequence[int], batch: int, answer: Callable[[Places], list[Any]]) -> list[Any]:
        """A result for each of `sizes`, in that order; `answer` is given places of at most `batch` alike."""
        order = sorted(range(len(sizes)), key=sizes.__getitem__)
        batches = [order[first : first + batch] for first in range(0, len(order), batch)]
        results: list[Any] = [None] * len(order)
        for places, values in zip(batches, self.results(batches, answer), strict=True):
            for place, value in zip(places, values, strict=True):
                results[place] = value
        return results


ALONE = Deal()


class Ranks(Deal):
    """One of several processes: each keeps a part of every parameter and answers its share of the batches."""

    def __init__(self, runtime: Runtime) -> None:
        self.rank = rank_of(runtime)
        self.leads = self.rank.leads
        self._mesh = init_device_mesh(device(runtime.accelerator), (self.rank.world,))
        self._talk: Any = distributed.new_group(backend="gloo")
        self._blocks: list[Any] = []
        self._open: nn.Module | None = None

    def place(self, model: Any, accelerator: str) -> None:
        """Keep this rank's part of a model's blocks; what is outside of them is whole everywhere."""
        for block in shard(model, self._mesh):
            for module in block.modules():
                enter, leave = partial(self._enter, len(self._blocks)), partial(self._leave, block)
                module.register_forward_pre_hook(enter, prepend=True)
                module.register_forward_hook(leave)
            self._blocks.append(block)
        register_root(model)
        model.gather_root()

    @contextmanager
    def loading(self, model: Any) -> Iterator[None]:
        """Within, every parameter is the part of it that this rank keeps."""
        model.reshard()
        yield
        model.gather_root()

    def results(self, batches: Sequence[Places], answer: Callable[[Places], list[Any]]) -> list[list[Any]]:
        """What each batch is answered with, by whichever rank."""
        own = {i: answer(batches[i]) for i in range(self.rank.number, len(batches), self.rank.world)}
        while self._gather(end := len(self._blocks)) != end:
            pass
        shares: list[Any] = [None] * self.rank.world
        distributed.all_gather_object(shares, own, group=self._talk)
        every = {i: result for share in shares for i, result in share.items()}
        return [every[i] for i in range(len(batches))]

    def _enter(self, number: int, module: nn.Module, given: Any) -> None:
        """Before a block, or by itself a part of one, computes: wait until its parameters are here."""
        if self._open is None:
            while self._gather(number) != number:
                pass
            self._open = module

    def _leave(self, block: Any, module: nn.Module, given: Any, result: Any) -> None:
        if self._open is module:
            block.reshard()
            self._open = None

    def _gather(self, number: int) -> int:
        """Gather, with all ranks, the first block that one of them waits for; its number, or that of none."""
        with torch.inference_mode(False), torch.no_grad():  # gloo and older torch gather nothing in inference
            wanted = torch.tensor(number)
            distributed.all_reduce(wanted, distributed.ReduceOp.MIN, group=self._talk)
            first = int(wanted)
            if first < len(self._blocks):
                self._blocks[first].unshard()
                if first != number:
                    self._blocks[first].reshard()
        return first


@contextmanager
def dealing(runtime: Runtime, several: bool) -> Iterator[Deal]:
    """How a stage's batches are dealt: to this process, or among `several` of which it is one."""
    if not several:
        yield ALONE
        return
    kind, rank = device(runtime.accelerator), rank_of(runtime)
    if kind == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group(BACKENDS[kind], rank=rank.number, world_size=rank.world)
    try:
        yield Ranks(runtime)
    finally:
        distributed.destroy_process_group()
