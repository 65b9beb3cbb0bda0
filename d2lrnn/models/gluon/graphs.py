"""Blocks that compile a graph for each number of time steps, and new graphs after parameters have moved."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

from d2lrnn._mxnet.threads import GRAPH_LOCK
from d2lrnn._runtime import mx
from d2lrnn.errors import D2lrnnError
from d2lrnn.models.gluon.facts import memory_of, names_of

_num_steps: ContextVar[int | None] = ContextVar("num_steps", default=None)  # of the present call
_width: ContextVar[int | None] = ContextVar("width", default=None)  # of the present call's one-hot vectors


class StepGraphs(mx.gluon.HybridBlock):
    """A hybrid block that may hold an :class:`UnrolledLayer`: it compiles a graph for each number of time steps.

    An unrolled graph serves one number of steps; on longer inputs, MXNet would run it and leave their end out.  A graph
    also serves one set of arguments: calls with ``counted`` have one graph, calls without have another.  And it serves
    one width of one-hot vectors (:func:`one_hot_width`).  Each graph keeps its memory, so use sequences of few lengths.
    """

    TIME_AXIS = 0  # the axis of the first argument that counts time steps
    COUNTED: int | None = None  # which argument is ``counted``, from 0; a graph that gets it unrolls every layer
    LIMIT = 32  # graphs that are kept: enough for all lengths of varied batches with num_steps up to 95

    def __init__(self) -> None:
        super().__init__()
        # By the number of steps, which arguments are given, and the width; the graph that was used last stands last.
        self._graphs: dict[tuple, tuple] = {}

    def __copy__(self):
        """Return an independent model: one that shared its parameters would be trained with the original."""
        return copy.deepcopy(self)

    def __getstate__(self) -> dict[str, Any]:
        """Return the attributes to copy; a copy compiles its own graphs."""
        nothing: dict[str, Any] = {"_graphs": {}, "_cached_graph": (), "_cached_op": None, "_cached_op_args": []}
        return {**vars(self), **nothing}

    @property
    def unrolls(self) -> bool:
        """Whether a graph without padding depends on the number of steps."""
        return True

    def __call__(self, X, *args):
        """Call the block; for arrays, with the graph of their number of time steps."""
        if not isinstance(X, mx.nd.NDArray):  # a symbol: this block becomes part of another block's graph
            return super().__call__(X, *args)
        token = _num_steps.set(X.shape[self.TIME_AXIS])
        try:
            return super().__call__(X, *args)
        finally:
            _num_steps.reset(token)

    def _call_cached_op(self, *args):
        """Call the graph for this number of steps and these arguments; Gluon compiles it if there is none yet."""
        given = tuple(len(arg) if isinstance(arg, (list, tuple)) else arg is not None for arg in args)
        padded = self.COUNTED is not None and self.COUNTED < len(args) and given[self.COUNTED]
        key = (_num_steps.get() if self.unrolls or padded else None, given, _width.get())
        with GRAPH_LOCK:
            graph = self._graphs.pop(key, ((), None, [], None, None))
            self._cached_graph, self._cached_op, self._cached_op_args, self._in_format, self._out_format = graph
            results = super()._call_cached_op(*args)
            graph = self._cached_graph, self._cached_op, self._cached_op_args, self._in_format, self._out_format
            self._graphs[key] = graph
            if len(self._graphs) > self.LIMIT:
                del self._graphs[next(iter(self._graphs))]
        return results

    def _clear_cached_op(self) -> None:
        super()._clear_cached_op()
        self._graphs.clear()


def num_steps_of(X) -> int:
    """Return the number of steps of inputs (num_steps, ...); for a symbol, the number of steps of the present call.

    Raises:
        D2lrnnError: for a symbol in the graph of a block that is no :class:`StepGraphs`.
    """
    num_steps = X.shape[0] if isinstance(X, mx.nd.NDArray) else _num_steps.get()
    if num_steps is None:
        raise D2lrnnError(
            "a layer that is unrolled has become part of a hybridised block that does not know the number of time "
            "steps: derive that block from d2lrnn.StepGraphs, or hybridise the layer alone"
        )
    return num_steps


@contextlib.contextmanager
def with_one_hot_width(width: int | None) -> Iterator[None]:
    """In the block, calls of graphs are with one-hot vectors of another width than the vocabulary's; None: that one."""
    token = _width.set(width)
    try:
        yield
    finally:
        _width.reset(token)


def one_hot_width() -> int | None:
    """Return the width of the present call's one-hot vectors; None: the size of the vocabulary."""
    return _width.get()


class WatchfulGraphs(StepGraphs):
    """A block whose graphs are compiled anew after a parameter has moved to other arrays.

    ``initialize`` and a change of ``grad_req`` move a parameter.  A graph with ``static_shape`` would go on writing
    gradients to the old arrays.
    """

    def __init__(self) -> None:
        super().__init__()
        self._seen: list = []  # the arrays of all parameters at the last call

    def __getstate__(self) -> dict[str, Any]:
        """Return the attributes to copy; in a copy, all parameters lie in other arrays."""
        return {**super().__getstate__(), "_seen": []}

    def look_for_new_memory(self) -> None:
        """Throw the graphs away if a parameter lies in other arrays than at the last call."""
        if not _same_arrays(self._seen, self._memory()):
            self.repack()
            self._clear_cached_op()
            self._seen = self._memory()

    def repack(self) -> None:
        """Renew what depends on the arrays that parameters lie in; called when a parameter has moved."""

    def parameters(self) -> dict[str, Any]:
        """Return the Gluon parameters by name, each once."""
        return names_of(self)

    def _memory(self) -> list:
        return memory_of(self.collect_params().values())


def _same_arrays(old: list, new: list) -> bool:
    return len(old) == len(new) and all(one is other for one, other in zip(old, new))
