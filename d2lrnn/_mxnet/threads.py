"""What MXNet 1.9.1 keeps for one thread alone, given to all; and one lock for its compiled graphs.

This file imports no MXNet: :mod:`d2lrnn._runtime` hands the module over.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any

# A thread holds this lock while it compiles or calls a graph.  Gluon's blocks keep a compiled graph, and the names in
# it, in attributes: if two threads made the first call of one block at once, neither would get a whole graph.  Holding
# the lock in every call costs no speed: MXNet computes in one worker thread, whichever thread calls.
GRAPH_LOCK = threading.RLock()


class _InEachThread(threading.local):
    """An attribute ``value`` of each thread, the same in all of them until a thread sets its own.

    Args:
        value: at first, in every thread.
        begin: called once in every thread, before the thread first reads ``value``.
    """

    def __init__(self, value: Any, begin: Callable[[], object] = lambda: None) -> None:
        # Python calls this function in each thread, with the same arguments.
        self.value = value
        begin()


def np_mode_in_every_thread(mxnet: Any) -> None:
    """Switch np mode on in all threads; ``npx.set_np()`` does so in the calling thread alone.

    ``npx.reset_np()`` switches np mode off in the thread that calls it, as MXNet documents.  MXNet's own setting for
    the shapes of all threads would end with that call; so each thread also sets its own, when it first asks for the
    mode.

    Args:
        mxnet: the module.
    """
    set_shape, util = mxnet.base._LIB.MXSetIsNumpyShape, mxnet.util
    THIS_THREAD, ALL_THREADS = 1, 2
    previous = mxnet.base.ctypes.c_int()

    def begin() -> None:
        set_shape(THIS_THREAD, mxnet.base.ctypes.byref(previous))

    set_shape(ALL_THREADS, mxnet.base.ctypes.byref(previous))
    util._NumpyArrayScope._current = _InEachThread(util._NumpyArrayScope(True), begin)


def before_copies_in_every_thread(mxnet: Any, begin: Callable[[], object]) -> None:
    """Call ``begin`` in each thread before the thread first copies numbers between NumPy and MXNet."""
    thread = _InEachThread(True, begin)

    def after_begin(copy: Callable) -> Callable:
        @functools.wraps(copy)
        def begun(*args: Any) -> Any:
            thread.value  # noqa: B018  # calls begin where this thread has not come here before
            return copy(*args)

        return begun

    array = mxnet.nd.NDArray
    if not hasattr(array.asnumpy, "__wrapped__"):  # not done yet
        array.asnumpy, array._sync_copyfrom = map(after_begin, (array.asnumpy, array._sync_copyfrom))


def names_for_all_threads(mxnet: Any) -> None:
    """Let all threads count Gluon's names (``lstm0_``, ``lstm1_``) together.

    By default each thread begins with ``lstm0_``.  But Gluon refuses a block in which two parameters have one name, so
    layers made in two threads could not become one model.
    """
    manager = mxnet.name.NameManager

    class Shared(manager):  # type: ignore[valid-type, misc]
        lock = threading.Lock()

        def get(self, name: str | None, hint: str) -> str:
            with self.lock:
                return super().get(name, hint)

    manager._current = _InEachThread(Shared())


def one_graph_at_a_time(mxnet: Any) -> None:
    """Let every block of Gluon's hold :data:`GRAPH_LOCK` while its graph is compiled and called."""
    block = mxnet.gluon.HybridBlock
    call = block._call_cached_op

    @functools.wraps(call)
    def locked(self: Any, *args: Any) -> Any:
        with GRAPH_LOCK:
            return call(self, *args)

    if not hasattr(call, "__wrapped__"):  # not locked yet
        block._call_cached_op = locked
