"""Numbers below the least normal one (1.2e-38 in float32) count as zero in MXNet's threads.

A processor computes with such denormal numbers some fifty times as slowly.  Adam makes many of them: its mean of a
gradient shrinks by a tenth in each step without a gradient, so the means of a word that no batch has used for some 800
steps are denormal, and stay so, since rounding ends their fall at 6e-45.  On an Intel Xeon (Sapphire Rapids,
2026-11-28) an ``adam_update`` of a million such means takes 172 ms, of others 3 to 8 ms.  A step of a model with 20,000
words and batches of 32 grew from 15 to 39 ms within 1,000 steps; here it stays at 13 to 15 ms.

The setting is one of each thread, and a thread hands it on to those that it begins.  So what begins MXNet's threads
runs with the setting, and afterwards this thread, in which Python and NumPy compute, is as it was.  MXNet ends its
threads at a fork; the first operation afterwards begins them again.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import platform
from collections.abc import Iterator

_BOTH = 0x8040  # of the register MXCSR: flush results to zero, read operands as zero
_WORDS, _MXCSR = 8, 7  # of <fenv.h>'s fenv_t on x86-64, in 32 bits each, and the place of the register


def take_tiny_numbers_for_zero(mxnet) -> None:
    """Let MXNet's threads of the CPU take denormal numbers for zero; MXNet has just been imported."""
    _begin_threads(mxnet)
    os.register_at_fork(after_in_parent=functools.partial(_begin_threads, mxnet))


def _begin_threads(mxnet) -> None:
    with _new_threads_take_them_for_zero():
        mxnet.nd.zeros((1,)).wait_to_read()  # begins the thread that computes on the CPU


@contextlib.contextmanager
def _new_threads_take_them_for_zero() -> Iterator[None]:
    """Let the threads that begin within ``with`` take denormal numbers for zero; on x86-64 Linux alone."""
    before = (ctypes.c_uint32 * _WORDS)()
    library = None
    if platform.machine() == "x86_64":
        with contextlib.suppress(OSError, AttributeError):
            library = ctypes.CDLL("libm.so.6")
            library.fegetenv(before)
            changed = type(before)(*before)
            changed[_MXCSR] |= _BOTH
            library.fesetenv(changed)
    try:
        yield
    finally:
        if library is not None:
            library.fesetenv(before)
