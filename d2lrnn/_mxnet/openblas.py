"""The kernels of MXNet's OpenBLAS, which computes ``np.dot``.

OpenBLAS 0.3.13, which is in MXNet's wheel, knows a processor by its model.  On one that is newer than itself it takes
the kernels of an old one: on Intel's those of the Prescott of 2004.  With these, one thread of an Intel Xeon (Sapphire
Rapids, 2026-11-28) multiplies 1,120 x 256 by 256 x 1,027 numbers at 29 GFLOP/s, and with those of Haswell at 74; two
threads at 35 and 143.  The kernels that a processor can run follow from its instructions.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

VARIABLE = "OPENBLAS_CORETYPE"  # which OpenBLAS reads when it is loaded
ZEN = 0x17  # the first family of AMD's Zen processors


def core_type(cpuinfo: str) -> str | None:
    """Return OpenBLAS's name of the kernels for a processor, or None if it is to choose them itself.

    The wheel's OpenBLAS has none for AVX-512: on an Intel processor with it, it takes Haswell's too.

    Args:
        cpuinfo: what ``/proc/cpuinfo`` says.
    """
    found = dict(re.findall(r"^(vendor_id|cpu family|flags)\s*:\s*(.*)$", cpuinfo, re.MULTILINE))
    vendor, flags = found.get("vendor_id"), set(found.get("flags", "").split())
    if not {"avx2", "fma"} <= flags:
        return None
    if vendor == "GenuineIntel":
        return "Haswell"
    if vendor == "AuthenticAMD" and int(found.get("cpu family", 0)) >= ZEN:
        return "Zen"
    return None


@contextlib.contextmanager
def kernels_that_fit(cpuinfo: str = "/proc/cpuinfo") -> Iterator[None]:
    """Let an OpenBLAS that is loaded within ``with`` take the kernels that fit; a user's own choice stands."""
    chosen = None
    if VARIABLE not in os.environ:
        with contextlib.suppress(OSError):
            chosen = core_type(Path(cpuinfo).read_text())
    if chosen is not None:
        os.environ[VARIABLE] = chosen
    try:
        yield
    finally:
        if chosen is not None:
            del os.environ[VARIABLE]  # NumPy's OpenBLAS, and other programs, choose for themselves
