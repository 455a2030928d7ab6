"""model + runtime -> its loss compiled, once a shape; what a GPU is told before."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from t5grid.config.schema import Runtime

LIMIT = 64
"""Shapes, and sets of trained parameters, that are compiled before torch goes on without compiling."""


def on_gpu(runtime: Runtime) -> bool:
    """Whether stages train on CUDA's devices."""
    is_asked_for = runtime.accelerator in ("gpu", "cuda", "auto")
    return is_asked_for and torch.cuda.is_available()


def is_compiled(runtime: Runtime) -> bool:
    """Whether steps are compiled: not where devices gather the parameters of each block."""
    return runtime.compile != "off" and runtime.parallel != "fsdp"


def prepare_device(runtime: Runtime) -> None:
    """With bf16 on a GPU, products that stay in single precision may round their factors to TF32."""
    if on_gpu(runtime):
        torch.set_float32_matmul_precision("high" if runtime.precision == "bf16" else "highest")


@contextmanager
def compiled_loss(model: Any, runtime: Runtime) -> Iterator[None]:
    """Within, `model.loss` is compiled, for each shape by itself; its parameters keep their names."""
    if not is_compiled(runtime):
        yield
        return
    from torch._dynamo import config

    limit = "recompile_limit" if hasattr(config, "recompile_limit") else "cache_size_limit"  # torch 2.6
    model.loss = torch.compile(model.loss, dynamic=False, mode=runtime.compile)
    try:
        with config.patch({limit: LIMIT}):
            yield
    finally:
        del model.loss
