"""Choose where arrays live: the CPU, a GPU, or a GPU if there is one."""

from __future__ import annotations

import re
from typing import Union

from d2lrnn._runtime import mx
from d2lrnn.checks import MAX_SIZE, check_whole, shown
from d2lrnn.errors import D2lrnnError

ContextLike = Union[str, "mx.Context", None]


class DeviceError(D2lrnnError):
    """MXNet cannot use the device that was asked for."""


def num_gpus() -> int:
    """Return how many GPUs MXNet sees; 0 with the CPU build."""
    return mx.npx.num_gpus()


def try_gpu(i: int = 0) -> mx.Context:
    """Return GPU ``i`` if MXNet sees it, else the CPU (the book's ``try_gpu``, d2l section 6.7)."""
    check_whole("i", i, -MAX_SIZE)
    return mx.gpu(i) if num_gpus() > i >= 0 else mx.cpu()


def try_all_gpus() -> list[mx.Context]:
    """Return every GPU that MXNet sees, or ``[cpu()]`` where there is none (d2l section 6.7)."""
    return [mx.gpu(i) for i in range(num_gpus())] or [mx.cpu()]


def as_ctx(ctx: ContextLike = None) -> mx.Context:
    """Turn a device as the user writes it into an MXNet context that works.

    Args:
        ctx: ``"cpu"``, ``"gpu"``, ``"gpu:1"``, ``"auto"`` (a GPU if there is one), a context, or None for the CPU.

    Raises:
        DeviceError: for any other text, and for a GPU that is not there.
    """
    if ctx is None:
        return mx.cpu()
    if isinstance(ctx, mx.Context):
        kind, index = ctx.device_type, ctx.device_id
    elif ctx == "auto":
        return try_gpu()
    else:
        match = re.fullmatch(r"(cpu|gpu)(?::(\d{1,6}))?", str(ctx).strip().lower())
        if match is None:
            raise DeviceError(f"unknown device {shown(ctx)}: expected cpu, gpu, gpu:1 (the second GPU) or auto")
        kind, index = match[1], int(match[2] or 0)
    if kind == "gpu" and index >= num_gpus():
        raise DeviceError(_no_gpu(index))
    return mx.Context(kind, index)


def _no_gpu(index: int) -> str:
    if num_gpus():
        return f"there is no gpu:{index}: MXNet sees {num_gpus()} GPU(s), numbered from 0"
    if mx.runtime.Features().is_enabled("CUDA"):
        return f"gpu:{index} was asked for, but MXNet sees no GPU: is one installed, and does `nvidia-smi` list it?"
    return (
        f"gpu:{index} was asked for, but this is MXNet's CPU build: run `pip uninstall mxnet` and "
        "`pip install -r requirements-gpu.txt` for the GPU build, or use cpu or auto"
    )
