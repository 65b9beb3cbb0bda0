"""One thread in place of a team, for operators so small that waking a team costs more than it saves.

MXNet computes in a worker thread of its own, and OpenMP keeps the size of a team for each thread.  So the function that
sets this size has to run in the worker: MXNet's engine calls it there, between two operators.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

from d2lrnn._mxnet.waiting import Watch

_CPU = (ctypes.c_int * 2)(1, 0)  # MXNet's Context: the kind of device and its number
_FUNCTION = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)


class WorkerThreads:
    """Sets how many threads MXNet's worker for the CPU computes with.

    Args:
        mxnet: the module.
        gomp: the library libgomp.
    """

    def __init__(self, mxnet: Any, gomp: ctypes.CDLL) -> None:
        self._base, self._array = mxnet.base, mxnet.nd.zeros((1,))  # the array by which the engine orders the call

        def set_threads(context: int | None, count: int | None) -> None:
            gomp.omp_set_num_threads(ctypes.c_int(count or 1))

        self._function = _FUNCTION(set_threads)

    def set(self, count: int) -> None:
        """Set the number, and wait until it holds: all operators that were asked for before have their old number."""
        arrays = (ctypes.c_void_p * 1)(self._array.handle)
        place = (None, ctypes.byref(_CPU), None, 0, arrays, 1, None, 0, b"set_threads")
        self._base.check_call(self._base._LIB.MXEnginePushSyncND(self._function, ctypes.c_void_p(count), *place))
        self._array.wait_to_read()


class FewThreads:
    """Lets MXNet compute with one thread, within ``with``, while other programs need cores.

    Args:
        watch: knows whether they do.
        set_threads: sets the number of threads.
        num_threads: otherwise.
    """

    def __init__(self, watch: Watch, set_threads: Callable[[int], object], num_threads: int) -> None:
        self._watch, self._set, self._num_threads = watch, set_threads, num_threads
        self._lock, self._inside = threading.Lock(), 0
        if hasattr(os, "register_at_fork"):
            # The engine would wait for its worker before a fork, and the worker for this process's interpreter lock.
            os.register_at_fork(
                before=self._lock.acquire, after_in_parent=self._lock.release, after_in_child=self._lock.release
            )

    @contextlib.contextmanager
    def __call__(self) -> Iterator[None]:
        """Compute with one thread if other programs need cores now; threads that are within together count once."""
        if self._watch.team is None:
            yield
            return
        self._change(1)
        try:
            yield
        finally:
            self._change(-1)

    def _change(self, by: int) -> None:
        with self._lock:
            before, self._inside = self._inside, self._inside + by
            if not (before and self._inside):
                self._set(1 if self._inside else self._num_threads)
