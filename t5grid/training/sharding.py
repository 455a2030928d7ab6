"""parameters spread over ranks <-> whole tensors: for fully sharded training.

Each rank keeps its part of every parameter and gathers a block's parameters only while it computes with them.
What must see a whole tensor, a checkpoint or an optimizer that takes means over one, gathers that one.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor, distribute_tensor


def shard(model: nn.Module, mesh: Any) -> list[nn.Module]:
    """Spread a model over the ranks of a mesh, each block of its stacks by itself; these blocks."""
    stacks = [module for module in model.modules() if isinstance(module, nn.ModuleList)]
    blocks = [block for stack in stacks for block in stack]
    for block in blocks:
        fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)
    return blocks


def register_root(model: Any) -> None:
    """Give a model that is spread a `gather_root`: what is in none of its blocks, whole until `reshard`.

    It is a forward pass of nothing, as the first of the root readies all blocks.
    """
    model.gather_root = lambda: None
    register_fsdp_forward_method(model, "gather_root")


def is_sharded(tensor: Tensor) -> bool:
    """Whether ranks hold parts of it."""
    return isinstance(tensor, DTensor)


def whole(tensor: Tensor) -> Tensor:
    """All of a tensor, which every rank must ask for at the same time where it is sharded."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def own(tensor: Tensor) -> Tensor:
    """The part that this rank holds."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def put(tensor: Tensor, values: Tensor) -> None:
    """Copy whole values into a tensor, of which this rank may hold a part."""
    if isinstance(tensor, DTensor):
        values = own(distribute_tensor(values, tensor.device_mesh, tensor.placements, src_data_rank=None))
    own(tensor).copy_(values)


@contextmanager
def gathered(parameter: Tensor) -> Iterator[Tensor]:
    """A whole copy of a sharded parameter with its gradient; what is changed in it is kept."""
    assert isinstance(parameter, DTensor) and isinstance(parameter.grad, DTensor)
    copy = whole(parameter.detach())
    copy.grad = parameter.grad.full_tensor()
    yield copy
    with torch.no_grad():
        put(parameter, copy.detach())
