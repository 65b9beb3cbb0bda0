"""Which GPUs the NVIDIA driver lists, and for which of them MXNet 1.9.1 has machine code; imports no MXNet.

MXNet counts every GPU that CUDA lists.  But its wheels hold machine code for some kinds of GPU and no code that the
driver could translate for others.  On those MXNet fails at the first operation.
"""

from __future__ import annotations

import ctypes
import importlib.metadata
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

LIBRARY = "libcuda.so.1"  # comes with the driver

VERSION = "1.9.1"  # of MXNet, whose wheels the table is about

# The compute capabilities for which each wheel mxnet-cu... holds machine code: of cu112 and cu117 read from the wheels,
# of cu102 and cu110 from the settings with which MXNet 1.9.1 builds them.
CODE = {
    "cu102": ((3, 0), (5, 0), (6, 0), (7, 0), (7, 5)),
    "cu110": ((5, 0), (6, 0), (7, 0), (8, 0)),
    "cu112": ((5, 0), (6, 0), (7, 0), (8, 0), (8, 6)),
    "cu117": ((5, 0), (6, 0), (7, 0), (8, 0), (8, 6)),
}

NO_CODE = "no kernel image is available"  # what CUDA says where there is no machine code for a GPU (error 209)

# <cuda.h>
SUCCESS, NO_DEVICE = 0, 100
CAPABILITY_MAJOR, CAPABILITY_MINOR = 75, 76
NAME_SIZE = 256  # bytes


class DriverError(Exception):
    """The driver cannot be asked; the message says why."""


class NoDriverError(DriverError):
    """There is no driver."""


@dataclass(frozen=True)
class Gpu:
    """A GPU as the driver describes it."""

    name: str  # such as "NVIDIA A100-SXM4-40GB"
    capability: tuple[int, int]  # the compute capability, such as (8, 0)

    def __str__(self) -> str:
        return f"{self.name}, compute capability {in_words([self.capability])}"


@dataclass(frozen=True)
class Driver:
    """What the driver says."""

    cuda: tuple[int, int]  # the newest CUDA that it knows, such as (12, 4)
    gpus: tuple[Gpu, ...]  # in the order in which MXNet counts them


def ask_driver(library: Any = LIBRARY) -> Driver:
    """Return what the NVIDIA driver says of the GPUs that this process may use.

    The driver heeds CUDA_VISIBLE_DEVICES and CUDA_DEVICE_ORDER, and so does the CUDA library by which MXNet counts.  So
    both have the same numbers.

    Args:
        library: the driver's library, or its name or path.

    Raises:
        DriverError: if there is no such library (NoDriverError), or if it answers with an error.  One such error is
            that of a process which was forked after its parent had asked.
    """
    if isinstance(library, str):
        try:
            library = ctypes.CDLL(library)
        except OSError as error:
            raise NoDriverError(f"no NVIDIA driver is installed ({error})") from error
    cuda, count = ctypes.c_int(), ctypes.c_int()
    _call(library, "cuDriverGetVersion", ctypes.byref(cuda))
    if _call(library, "cuInit", 0, expected=(SUCCESS, NO_DEVICE)) == SUCCESS:
        _call(library, "cuDeviceGetCount", ctypes.byref(count))
    gpus = tuple(_gpu(library, number) for number in range(count.value))
    return Driver((cuda.value // 1000, cuda.value % 1000 // 10), gpus)


def _gpu(library: Any, number: int) -> Gpu:
    device, name = ctypes.c_int(), ctypes.create_string_buffer(NAME_SIZE)
    major, minor = ctypes.c_int(), ctypes.c_int()
    _call(library, "cuDeviceGet", ctypes.byref(device), number)
    _call(library, "cuDeviceGetName", name, NAME_SIZE, device)
    _call(library, "cuDeviceGetAttribute", ctypes.byref(major), CAPABILITY_MAJOR, device)
    _call(library, "cuDeviceGetAttribute", ctypes.byref(minor), CAPABILITY_MINOR, device)
    return Gpu(name.value.decode("utf-8", "replace"), (major.value, minor.value))


def _call(library: Any, name: str, *arguments: Any, expected: Sequence[int] = (SUCCESS,)) -> int:
    """Call a function of the driver's library, and return its status, which must be one of those expected."""
    try:
        function = getattr(library, name)
    except AttributeError as error:
        raise DriverError(f"the NVIDIA driver has no function {name}") from error
    status = function(*arguments)
    if status not in expected:
        raise DriverError(f"the NVIDIA driver answers {name} with error {status}")
    return status


def installed_build(path: Sequence[str] | None = None) -> str | None:
    """Return which wheel for GPUs is installed, such as "cu117"; None if it is none or more than one of the table.

    Args:
        path: the folders in which packages are looked for; None: ``sys.path``.
    """
    where = list(sys.path if path is None else path)
    found = [
        build
        for build in CODE
        for package in importlib.metadata.distributions(name=f"mxnet-{build}", path=where)
        if package.version == VERSION
    ]
    return found[0] if len(set(found)) == 1 else None


def has_code(build: str, capability: tuple[int, int]) -> bool:
    """Return whether a wheel's machine code runs on a GPU.

    Machine code for compute capability 8.6 runs on 8.6 and 8.9, but neither on 8.0 nor on 9.0.
    """
    return any(major == capability[0] and minor <= capability[1] for major, minor in CODE[build])


def no_code(number: int, gpu: Gpu | None, build: str | None) -> str:
    """Return the sentence for a GPU that MXNet counts and has no machine code for.

    Args:
        number: the GPU's, from 0.
        gpu: what the driver says of it; None: the driver cannot be asked.
        build: the installed wheel; None: it is not known.
    """
    card = f"gpu:{number}" if gpu is None else f"gpu:{number} ({gpu})"
    if build is None:
        return f"{card} cannot be used: this build of MXNet has no machine code for it"
    return (
        f"{card} cannot be used: mxnet-{build} {VERSION} has machine code for compute capability "
        f"{in_words(CODE[build])} alone"
    )


def in_words(capabilities: Sequence[tuple[int, int]]) -> str:
    """Return compute capabilities as one writes them, such as "8.0 and 8.6"."""
    *most, last = (f"{major}.{minor}" for major, minor in capabilities)
    return f"{', '.join(most)} and {last}" if most else last
