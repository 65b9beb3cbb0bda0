"""Choose where arrays live: the CPU, a GPU, or a GPU if there is one that MXNet can use."""

from __future__ import annotations

import functools
import re
import warnings
from collections.abc import Iterable
from typing import Union

from d2lrnn._mxnet.gpus import NO_CODE, DriverError, Gpu, ask_driver, has_code, installed_build, no_code
from d2lrnn._runtime import mx
from d2lrnn.checks import MAX_SIZE, check_whole, shown
from d2lrnn.errors import D2lrnnError

ContextLike = Union[str, "mx.Context", None]


class DeviceError(D2lrnnError):
    """MXNet cannot use the device that was asked for."""


def num_gpus() -> int:
    """Return how many GPUs MXNet counts; 0 with the CPU build, and where CUDA cannot count them."""
    return _count()[0]


def usable_gpus() -> list[int]:
    """Return the numbers of the GPUs that MXNet counts and can use."""
    return [i for i in range(num_gpus()) if why_unusable(i) is None]


def try_gpu(i: int | None = None) -> mx.Context:
    """Return GPU ``i`` if MXNet can use it, else the CPU (the book's ``try_gpu``, d2l section 6.7).

    Where MXNet counts a GPU that it cannot use, a warning says so once a process.

    Args:
        i: the GPU's number; None: the first GPU that MXNet can use.
    """
    if i is not None:
        check_whole("i", i, -MAX_SIZE)
    counted = range(num_gpus())
    wanted = counted if i is None else [i] if i in counted else []
    unusable: list[int] = []
    for number in wanted:
        if why_unusable(number) is None:
            _warn(unusable, f"gpu:{number} is")
            return mx.gpu(number)
        unusable.append(number)
    _warn(unusable, "the CPU is")
    return mx.cpu()


def try_all_gpus() -> list[mx.Context]:
    """Return every GPU that MXNet can use, or ``[cpu()]`` where there is none (d2l section 6.7)."""
    usable = usable_gpus()
    _warn([i for i in range(num_gpus()) if i not in usable], "the others are" if usable else "the CPU is")
    return [mx.gpu(i) for i in usable] or [mx.cpu()]


def as_ctx(ctx: ContextLike = None) -> mx.Context:
    """Turn a device as the user writes it into an MXNet context that works.

    Args:
        ctx: ``"cpu"``, ``"gpu"``, ``"gpu:1"``, ``"auto"`` (as :func:`try_gpu`), a context, or None for the CPU.

    Raises:
        DeviceError: for any other text, and for a GPU that is not there or that MXNet cannot use.
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
    if kind == "gpu":
        _check_gpu(index)
    return mx.Context(kind, index)


def as_contexts(devices: ContextLike) -> list[mx.Context]:
    """Turn devices as the user writes them, such as ``"gpu:0,gpu:1"``, into contexts that work.

    Args:
        devices: as for :func:`as_ctx`, or several with commas between them.

    Raises:
        DeviceError: as :func:`as_ctx`; for ``auto`` among several, and for a device that comes twice.
    """
    if not isinstance(devices, str) or "," not in devices:
        return [as_ctx(devices)]
    names = [name.strip().lower() for name in devices.split(",")]
    if "auto" in names:
        raise DeviceError(f"the devices {shown(devices)}: auto is one device; expected names such as gpu:0,gpu:1")
    contexts = [as_ctx(name) for name in names]
    for i, ctx in enumerate(contexts):
        if ctx in contexts[:i]:
            raise DeviceError(f"the devices {shown(devices)}: {ctx} comes twice; expected different ones")
    return contexts


def _check_gpu(index: int) -> None:
    if index >= num_gpus():
        raise DeviceError(_no_gpu(index))
    why = why_unusable(index)
    if why is not None:
        raise DeviceError(f"{why}; use cpu or auto")


def why_unusable(index: int) -> str | None:
    """Return the sentence that says why MXNet cannot use a GPU that it counts; None if it can use the GPU.

    The driver tells what kind of GPU it is.  Where the driver cannot be asked, or the build of MXNet is not known, the
    first tiny operation on the GPU tells.
    """
    gpus, build = listed_gpus()
    gpu = gpus[index] if len(gpus) == num_gpus() else None
    if gpu is not None and build is not None:
        return None if has_code(build, gpu.capability) else no_code(index, gpu, build)
    reason = _first_operation(index)
    if NO_CODE in reason:
        return no_code(index, gpu, build)
    return f"gpu:{index} cannot be used: {reason}" if reason else None


@functools.cache  # once a process
def listed_gpus() -> tuple[tuple[Gpu, ...], str | None]:
    """Return the GPUs that the driver lists, none if it cannot be asked; and MXNet's wheel, None if it is not known."""
    try:
        gpus = ask_driver().gpus
    except DriverError:
        gpus = ()
    return gpus, installed_build()


@functools.cache  # once a process for each GPU
def _first_operation(index: int) -> str:
    """Return why a tiny operation on a GPU fails; nothing if it succeeds."""
    try:
        mx.np.ones((1,), ctx=mx.gpu(index)).wait_to_read()
    except mx.MXNetError as error:
        return _reason(error)
    return ""


def _count() -> tuple[int, str]:
    """Return how many GPUs MXNet counts, and why it cannot count them, if it cannot."""
    try:
        return mx.npx.num_gpus(), ""
    except mx.MXNetError as error:  # such as an old driver's
        return 0, _reason(error)


def _reason(error: Exception) -> str:
    """Return what an error of MXNet's says, without the trace above it."""
    return str(error).strip().splitlines()[-1].removeprefix("MXNetError: ")


def _warn(unusable: Iterable[int], used: str) -> None:
    """Warn of GPUs that MXNet cannot use, and of GPUs that it cannot count; say what is used in their place."""
    count_fails = _count()[1]
    for why in [f"MXNet cannot count the GPUs ({count_fails})"] * bool(count_fails) + [*map(why_unusable, unusable)]:
        _warn_once(f"{why}; {used} used")


@functools.cache  # once a process: at every catch_warnings Python forgets which warnings it has shown
def _warn_once(message: str) -> None:
    warnings.warn(message, RuntimeWarning, stacklevel=4)


def _no_gpu(index: int) -> str:
    count, count_fails = _count()
    if count:
        return f"there is no gpu:{index}: MXNet sees {count} GPU(s), numbered from 0"
    if count_fails:
        return f"gpu:{index} was asked for, but MXNet cannot count the GPUs ({count_fails}): does `nvidia-smi` list it?"
    if mx.runtime.Features().is_enabled("CUDA"):
        return f"gpu:{index} was asked for, but MXNet sees no GPU: is one installed, and does `nvidia-smi` list it?"
    return (
        f"gpu:{index} was asked for, but this is MXNet's CPU build: run `pip uninstall mxnet` and "
        "`pip install -r requirements-gpu.txt` for the GPU build, or use cpu or auto"
    )
