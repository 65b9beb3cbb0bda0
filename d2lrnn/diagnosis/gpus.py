"""The GPUs, as the NVIDIA driver lists them, and what MXNet can do with them; imports no MXNet."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from d2lrnn._mxnet.gpus import CODE, LIBRARY, VERSION, DriverError, Gpu, NoDriverError, ask_driver, has_code, no_code
from d2lrnn.diagnosis.finding import NOTE, OK, Finding

SYS = Path("/sys")

INSTALL = "run `pip uninstall mxnet` and then `pip install -r requirements-gpu.txt`"  # which has this wheel:
WHEEL = "cu117"


def gpus(build: str | None, on_cpu: bool, library: Any = LIBRARY, sys: Path = SYS) -> Iterator[Finding]:
    """Yield the driver, and each GPU with whether MXNet has machine code for it.

    Args:
        build: MXNet's wheel for GPUs, such as "cu117"; None: another build is installed, or none.
        on_cpu: whether that other build is the one for the CPU.
        library: the driver's library, or its name or path.
        sys: the folder in which Linux tells of the driver.
    """
    try:
        driver = ask_driver(library)
    except NoDriverError:
        yield Finding(OK, "GPU", "none: no NVIDIA driver is installed")
        return
    except DriverError as error:
        yield Finding(NOTE, "GPU", str(error), "see whether `nvidia-smi` lists the GPUs")
        return
    found = f"NVIDIA driver {_version(sys)}for CUDA {driver.cuda[0]}.{driver.cuda[1]}, "
    found += f"which lists {len(driver.gpus) or 'no'} GPU{'s' * (len(driver.gpus) != 1)}"
    needed = (int(build[2:4]), int(build[4:])) if build else driver.cuda
    if driver.cuda < needed:
        yield Finding(
            NOTE, "GPU", f"{found}; mxnet-{build} was made for CUDA {needed[0]}.{needed[1]}", "update the driver"
        )
    else:
        yield Finding(OK, "GPU", found)
    for number, gpu in enumerate(driver.gpus):
        yield _finding(number, gpu, build, on_cpu)


def _finding(number: int, gpu: Gpu, build: str | None, on_cpu: bool) -> Finding:
    what = f"gpu:{number}"
    if build is not None:
        if has_code(build, gpu.capability):
            return Finding(OK, what, f"{gpu}; mxnet-{build} has machine code for it")
        return Finding(NOTE, what, no_code(number, gpu, build), "--ctx auto takes another GPU or the CPU")
    if not on_cpu:
        return Finding(OK, what, f"{gpu}; whether this build of MXNet can use it, its test tells")
    wheels = [wheel for wheel in (WHEEL, *CODE) if has_code(wheel, gpu.capability)]
    if not wheels:
        return Finding(NOTE, what, f"{gpu}; no wheel of MXNet {VERSION} has machine code for it: the CPU is used")
    found = f"{gpu}; MXNet's CPU build does not use it, mxnet-{wheels[0]} can"
    return Finding(
        NOTE, what, found, INSTALL if wheels[0] == WHEEL else f"install mxnet-{wheels[0]}=={VERSION} in its place"
    )


def _version(sys: Path) -> str:
    """Return the driver's version with a space after it; nothing where it is not told."""
    with contextlib.suppress(OSError):
        return f"{(sys / 'module' / 'nvidia' / 'version').read_text().strip()} "
    return ""
