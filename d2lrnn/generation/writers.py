"""What writes one token after another: a model's equations compiled, or the model itself."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from d2lrnn._runtime import mx
from d2lrnn.device import ContextLike, as_ctx
from d2lrnn.errors import D2lrnnError
from d2lrnn.models.compiled import StackGraph, side_by_side
from d2lrnn.models.protocol import LanguageModel
from d2lrnn.models.stack import Stack
from d2lrnn.models.twins import equations_of

np = mx.np


class _Greedy(StackGraph):
    """From one id of each row, state and weights side by side to the ids that follow, each the likeliest."""

    def hybrid_forward(self, F, ids, state, weights):
        """Return ids (num_steps, batch_size) and the list of the new state's arrays."""
        written = []
        for _ in range(self.num_steps):
            logits, state = self.run(F, F.np.expand_dims(ids, 0), state, weights, 1)
            ids = F.np.argmax(logits, axis=1).astype("int32")
            written.append(ids)
        return F.np.stack(written, axis=0), state


class _Logits(StackGraph):
    """From one id of each row, state and weights side by side to the logits of what follows."""

    def hybrid_forward(self, F, ids, state, weights):
        """Return logits (batch_size, vocab_size) and the list of the new state's arrays."""
        return self.run(F, F.np.expand_dims(ids, 0), state, weights, 1)


_greedy = functools.lru_cache(maxsize=16)(_Greedy)

_logits = functools.lru_cache(maxsize=16)(_Logits)


class GreedyWriter:
    """Writes the likeliest next id, many ids in one call of a compiled graph, with nothing rebuilt between them.

    Where another id than the likeliest may be chosen, :meth:`logits` tells what there is to choose from.

    Args:
        stack: the layers.
        vocab_size: the size of the vocabulary.
        num_hiddens: hidden units of each layer and direction.
        params: the parameters in the book's order, as they are now.
    """

    BLOCK = 8  # ids in one call; with 1, calling costs as much as computing

    def __init__(self, stack: Stack, vocab_size: int, num_hiddens: int, params: Sequence) -> None:
        self._stack, self._num_hiddens, self._ctx = stack, num_hiddens, params[0].ctx
        self._weights = side_by_side(mx, stack, params, num_hiddens)
        self._one, self._many = (_greedy(stack, vocab_size, num_hiddens, steps) for steps in (1, self.BLOCK))
        self._logits = _logits(stack, vocab_size, num_hiddens, 1)

    def begin_state(self, batch_size: int) -> list:
        """Return the zero state for a batch."""
        return list(self._stack.init_state(batch_size, self._num_hiddens, self._ctx))

    def logits(self, ids, state: list) -> tuple:
        """Return the logits (batch_size, vocab_size) of what follows ``ids`` (batch_size,), and the new state."""
        return self._logits(ids, state, self._weights)

    def step(self, ids, state: list) -> tuple:
        """Return the id that follows each of ``ids`` (batch_size,), and the new state; nothing is waited for."""
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
    """Return a fast writer for any model whose equations the module knows, else None.

    On Gluon a fused layer takes 5 ms for one character, the equations compiled 0.1 (two cores, LSTM of 256).
    """
    found = equations_of(model)
    if found is None:
        return None
    stack, params = found
    return GreedyWriter(stack, model.vocab_size, model.num_hiddens, params)


def writer_of(model: LanguageModel, ctx: ContextLike = None) -> GreedyWriter | ProtocolWriter:
    """Return what writes one token after another with a model: its equations compiled, or else the model itself.

    Raises:
        ValueError: if ``ctx`` is not where the parameters of a model whose equations are known are.
    """
    writer = greedy_writer(model)
    if writer is None:
        return ProtocolWriter(model, ctx)
    own = model.begin_state(1)[0].ctx
    if ctx is not None and as_ctx(ctx) != own:
        raise D2lrnnError(
            f"ctx is {ctx}, but the model's parameters are on {own}: leave ctx out, or make the model there"
        )
    return writer


class ProtocolWriter:
    """Does for any language model what :class:`d2lrnn.generation.writers.GreedyWriter` does for those it knows."""

    def __init__(self, model: LanguageModel, ctx: ContextLike) -> None:
        self._model, self._ctx = model, ctx

    def begin_state(self, batch_size: int) -> list:
        """Return the zero state for a batch."""
        return list(self._model.begin_state(batch_size, self._ctx))

    def logits(self, ids, state: list) -> tuple:
        """Return the logits (batch_size, vocab_size) of what follows ``ids`` (batch_size,), and the new state."""
        logits, new_state = self._model(ids.reshape(-1, 1), tuple(state))
        return logits, list(new_state)

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
