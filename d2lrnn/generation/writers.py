"""What writes one token after another: a model's equations compiled, or the model itself.

A compiled writer is made once for a model and kept until a parameter changes; see :func:`writer_of`.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Sequence
from typing import Any

from d2lrnn._runtime import mx
from d2lrnn.device import ContextLike, as_ctx
from d2lrnn.errors import D2lrnnError
from d2lrnn.generation.parameter_copy import ParameterCopy
from d2lrnn.models.compiled import StackGraph, keep_graphs, side_by_side
from d2lrnn.models.protocol import LanguageModel
from d2lrnn.models.stack import Stack
from d2lrnn.models.twins import equations_of, equations_stack
from d2lrnn.nd_arrays import as_np

np = mx.np


class _Greedy(StackGraph):
    """The graph from an id of each row, the state and the weights to the ids that follow, each the likeliest."""

    def hybrid_forward(self, F, ids, state, weights):
        """Return ids (num_steps, batch_size) and the list of the new state's arrays."""
        written = []
        for _ in range(self.num_steps):
            logits, state = self.run(F, F.np.expand_dims(ids, 0), state, weights, 1)
            ids = F.np.argmax(logits, axis=1).astype("int32")
            written.append(ids)
        return F.np.stack(written, axis=0), state


class _Logits(StackGraph):
    """The graph from an id of each row, the state and the weights to the logits of what follows."""

    def hybrid_forward(self, F, ids, state, weights):
        """Return logits (batch_size, vocab_size) and the list of the new state's arrays."""
        return self.run(F, F.np.expand_dims(ids, 0), state, weights, 1)


_greedy, _logits = keep_graphs(_Greedy, limit=16), keep_graphs(_Logits, limit=16)


class GreedyWriter:
    """Writes the likeliest next id, many ids in one call of a compiled graph.

    To choose another id than the likeliest, call :meth:`logits`.

    Args:
        stack: the layers.
        vocab_size: the size of the vocabulary.
        num_hiddens: hidden units of each layer and direction.
        params: the parameters in the book's order, as they are now; the writer keeps copies.
    """

    BLOCK = 8  # ids in one call; with 1, calling costs as much as computing

    def __init__(self, stack: Stack, vocab_size: int, num_hiddens: int, params: Sequence) -> None:
        self._stack, self._num_hiddens, self._ctx = stack, num_hiddens, params[0].ctx
        originals = {id(param) for param in params}  # side_by_side passes some on, such as the output layer's bias
        self._weights = [
            [array.copy() if id(array) in originals else array for array in layer]
            for layer in side_by_side(mx, stack, params, num_hiddens)
        ]
        self._one, self._many = (_greedy(stack, vocab_size, num_hiddens, steps) for steps in (1, self.BLOCK))
        self._logits = _logits(stack, vocab_size, num_hiddens, 1)

    def begin_state(self, batch_size: int) -> list:
        """Return the zero state for a batch."""
        return list(self._stack.init_state(batch_size, self._num_hiddens, self._ctx))

    def logits(self, ids, state: list) -> tuple:
        """Return the logits (batch_size, vocab_size) of what follows ``ids`` (batch_size,), and the new state."""
        return self._logits(ids, state, self._weights)

    def step(self, ids, state: list) -> tuple:
        """Return the id that follows each of ``ids`` (batch_size,), and the new state; it waits for no result."""
        written, state = self._one(ids, state, self._weights)
        return written[0], state

    def write(self, ids, state: list, num_preds: int) -> list:
        """Return the ``num_preds`` ids that follow, arrays (batch_size,)."""
        written = []
        for _ in range(0, num_preds, self.BLOCK):
            block, state = self._many(ids, state, self._weights)
            written += list(block)
            ids = block[-1]
        return written[:num_preds]


def greedy_writer(model) -> GreedyWriter | None:
    """Make a fast writer for any model whose equations the module knows; return None for other models.

    One character takes Gluon's fused layer 5 ms and the compiled equations 0.1 ms (two cores, LSTM of 256).
    """
    found = equations_of(model)
    if found is None:
        return None
    stack, params = found
    return GreedyWriter(stack, model.vocab_size, model.num_hiddens, params)


class _Kept:
    """The compiled writer of one model, with the shape and the parameters that it was made of."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # if two threads ask at once, one makes the writer and the other waits
        self._made: tuple[tuple, ParameterCopy, GreedyWriter] | None = None  # (shape, parameters, writer)

    def writer_for(self, model: Any, stack: Stack) -> GreedyWriter | None:
        """Return the writer, made anew if the model's shape or a parameter has changed since the last call."""
        shape = (type(model), stack, model.num_hiddens)
        with self._lock:
            if self._made is not None and self._made[0] == shape and self._made[1].equals(model):
                return self._made[2]
            self._made = None  # so that the old memory is free before the new writer needs it
            parameters, writer = ParameterCopy(model), greedy_writer(model)
            if writer is not None:
                self._made = shape, parameters, writer
            return writer


_kept: weakref.WeakKeyDictionary[Any, _Kept] = weakref.WeakKeyDictionary()  # by model, each as long as the model lives

_kept_lock = threading.Lock()


def writer_of(model: LanguageModel, ctx: ContextLike = None) -> GreedyWriter | ProtocolWriter:
    """Return a writer for a model: its equations compiled, or, if they are not known, the model itself.

    The compiled writer is made at the first call and kept beside the model.  Each further call compares the model's
    parameters, bit by bit, with a copy of those that the writer was made of, and makes a new writer if any differs.
    With a model of the configuration ``d2lrnn`` (13 million parameters), making takes 0.4 s, comparing 5 ms.

    Raises:
        D2lrnnError: if the model's equations are known and ``ctx`` is not the device of its parameters.
    """
    stack = equations_stack(model)
    writer = None
    if stack is not None:
        with _kept_lock:
            kept = _kept.setdefault(model, _Kept())
        writer = kept.writer_for(model, stack)
    if writer is None:
        return ProtocolWriter(model, ctx)
    if ctx is not None:
        own = model.begin_state(1)[0].ctx
        if as_ctx(ctx) != own:
            raise D2lrnnError(
                f"ctx is {ctx}, but the model's parameters are on {own}: leave ctx out, or make the model there"
            )
    return writer


class ProtocolWriter:
    """Writes with any language model, by calling the model; it has the methods of :class:`GreedyWriter`."""

    def __init__(self, model: LanguageModel, ctx: ContextLike) -> None:
        self._model, self._ctx = model, ctx

    def begin_state(self, batch_size: int) -> list:
        """Return the zero state for a batch."""
        return list(self._model.begin_state(batch_size, self._ctx))

    def logits(self, ids, state: list) -> tuple:
        """Return the logits (batch_size, vocab_size) of what follows ``ids`` (batch_size,), and the new state."""
        logits, new_state = self._model(ids.reshape(-1, 1), tuple(state))
        return as_np(logits), list(new_state)

    def step(self, ids, state: list) -> tuple:
        """Return the id that follows each of ``ids`` (batch_size,), and the new state."""
        logits, state = self.logits(ids, state)
        return np.argmax(logits, axis=1).astype("int32"), state

    def write(self, ids, state: list, num_preds: int) -> list:
        """Return the ``num_preds`` ids that follow, arrays (batch_size,)."""
        written = []
        for _ in range(num_preds):
            ids, state = self.step(ids, state)
            written.append(ids)
        return written
