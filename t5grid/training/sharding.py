"""parameters spread over ranks <-> whole tensors: for fully sharded training.

Each rank keeps its part of every parameter and gathers a block's parameters only while it computes with them.
What must see a whole tensor, a checkpoint or an optimizer that takes means over one, gathers that one.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor


def shard(model: nn.Module, mesh: Any) -> None:
    """Spread a model over the ranks of a mesh, each block of its stacks by itself."""
    for module in list(model.modules()):
        if isinstance(module, nn.ModuleList):
            for block in module:
                fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)


def is_sharded(tensor: Tensor) -> bool:
    """Whether ranks hold parts of it."""
    return isinstance(tensor, DTensor)


def whole(tensor: Tensor) -> Tensor:
    """All of a tensor, which every rank must ask for at the same time where it is sharded."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def own(tensor: Tensor) -> Tensor:
    """The part that this rank holds."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


@contextmanager
def gathered(parameter: Tensor) -> Iterator[Tensor]:
    """A whole copy of a sharded parameter with its gradient; what is changed in it is kept."""
    assert isinstance(parameter, DTensor) and isinstance(parameter.grad, DTensor)
    copy = whole(parameter.detach())
    copy.grad = parameter.grad.full_tensor()
    yield copy
    part = distribute_tensor(copy.detach(), parameter.device_mesh, parameter.placements, src_data_rank=None)
    with torch.no_grad():
        parameter.to_local().copy_(part.to_local())
