"""The book's equations once more, for speed: look-up in place of one-hot, gates side by side, one compiled graph.

Each step stands for the one of the same name in :mod:`d2lrnn.scratch` and computes the same numbers from the same
parameters; ``chapters/the_same_numbers_faster.py`` climbs from there to here and shows what each rung gains.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from itertools import islice

from d2lrnn._runtime import mx
from d2lrnn.device import ContextLike
from d2lrnn.samplers import check_batch
from d2lrnn.scratch import CELLS, RNNModelScratch, Stack

# One step of each cell: (F, X, state, weights, n) -> (H, state).  F is MXNet's module for arrays or for symbols, n is
# num_hiddens.  All gates stand side by side: X holds X W_x of this step (batch_size, gates * n), weights what stands
# beside the state, as side_by_side returns it.


def rnn_step(F, X, state, weights, n):
    """Take one step of the simple recurrent network."""
    W_hh, b_h = weights
    (H,) = state
    H = tanh(F, X + dot(F, H, W_hh, b_h, n))
    return H, (H,)


def gru_step(F, X, state, weights, n):
    """Take one step of the book's GRU; its reset gate stands before a product, so there are two of them."""
    W_hzr, b_zr, W_hh, b_h = weights
    (H,) = state
    X_z, X_r, X_h = split(F, X, 3, n)
    H_z, H_r = split(F, dot(F, H, W_hzr, b_zr, 2 * n), 2, n)
    Z = sigmoid(F, X_z + H_z)
    R = sigmoid(F, X_r + H_r)
    H_tilda = tanh(F, X_h + dot(F, R * H, W_hh, b_h, n))
    H = Z * (H - H_tilda) + H_tilda
    return H, (H,)


def gru_reset_after_step(F, X, state, weights, n):
    """Take one step of the GRU of Gluon and cuDNN: one product for its three gates."""
    W_h, b_zr_c_h, b_h = weights
    (H,) = state
    X_z, X_r, X_h = split(F, X, 3, n)
    H_z, H_r, H_h = split(F, dot(F, H, W_h, b_zr_c_h, 3 * n), 3, n)
    Z = sigmoid(F, X_z + H_z)
    R = sigmoid(F, X_r + H_r)
    H_tilda = tanh(F, X_h + b_h + R * H_h)
    H = Z * (H - H_tilda) + H_tilda
    return H, (H,)


def lstm_step(F, X, state, weights, n):
    """Take one step of the LSTM: one product for its four gates."""
    W_h, b = weights
    (H, C) = state
    X_i, X_f, X_o, X_c = split(F, X + dot(F, H, W_h, b, 4 * n), 4, n)
    I, F_, O, C_tilda = sigmoid(F, X_i), sigmoid(F, X_f), sigmoid(F, X_o), tanh(F, X_c)
    C = F_ * C + I * C_tilda
    H = O * tanh(F, C)
    return H, (H, C)


STEPS: dict[str, Callable] = {
    "rnn": rnn_step,
    "gru": gru_step,
    "gru_reset_after": gru_reset_after_step,
    "lstm": lstm_step,
}


def dot(F, X, W, b, size: int):
    """Return X W + b, of ``size`` columns, by oneDNN: twice as fast here as np.dot. ``W`` comes transposed."""
    return F.npx.fully_connected(X, W, b, num_hidden=size, flatten=False)


def split(F, X, count: int, n: int) -> list:
    """Cut ``count`` gates of n columns apart."""
    return [F.npx.slice(X, begin=(None, k * n), end=(None, (k + 1) * n)) for k in range(count)]


def sigmoid(F, X):
    """Return the logistic function of each number."""
    return F.npx.activation(X, act_type="sigmoid")


def tanh(F, X):
    """Return the hyperbolic tangent of each number by oneDNN, many times as fast as np.tanh."""
    return F.npx.activation(X, act_type="tanh")


def side_by_side(F, stack: Stack, params: Sequence, n: int) -> list:
    """Put the weights of each layer's gates side by side.

    Args:
        F: MXNet's module for arrays or for symbols.
        stack: the layers.
        params: their parameters, in the book's order.
        n: hidden units of each layer and direction.

    Returns:
        of each layer and direction in turn a list of ``W_x`` (num_inputs, gates * n) and what its cell's step calls
        weights; at last the list of the output layer's weight, transposed, and bias.
    """
    whole, remaining = [], iter(params)
    for _ in stack.prefixes:
        by_kind: dict[str, list] = {}
        for name in CELLS[stack.cell].param_names:
            by_kind.setdefault(name[:-1], []).append(next(remaining))
        W_x = F.np.stack(by_kind["W_x"], axis=1)  # (num_inputs, gates, n); much faster than np.concatenate
        whole.append([F.np.reshape(W_x, (-1, len(by_kind["W_x"]) * n)), *_beside_the_state(F, stack.cell, by_kind)])
    W_hq, b_q = remaining
    return [*whole, [F.np.transpose(W_hq), b_q]]


def _beside_the_state(F, cell: str, by_kind: dict[str, list]) -> list:
    def together(arrays: list):
        return F.np.concatenate(arrays, axis=0)

    W_h, b = [F.np.transpose(W) for W in by_kind["W_h"]], by_kind["b_"]
    if cell == "gru":
        return [together(W_h[:2]), together(b[:2]), W_h[2], b[2]]
    if cell == "gru_reset_after":
        c = by_kind["c_"]
        return [together(W_h), together([b[0] + c[0], b[1] + c[1], c[2]]), b[2]]
    return [together(W_h), together(b)]


class _Graph(mx.gluon.HybridBlock):
    """What the compiled graphs have in common: one call of the stack on inputs of all steps."""

    def __init__(self, stack: Stack, vocab_size: int, num_hiddens: int, num_steps: int) -> None:
        super().__init__()
        self.stack, self.vocab_size, self.n, self.num_steps = stack, vocab_size, num_hiddens, num_steps
        self.hybridize(static_alloc=True, static_shape=True)

    def run(self, F, ids, state, weights, num_steps: int):
        """Return logits (num_steps * batch_size, num_outputs) of ids (num_steps, batch_size), and the new state."""
        stack, n, width = self.stack, self.n, len(CELLS[self.stack.cell].gates) * self.n
        state, (*layers, (W_hq, b_q)), inputs = iter(state), weights, None
        new_state: list = []
        for _ in range(stack.num_layers):
            outputs = []
            for direction in range(stack.num_directions):
                W_x, *rest = layers.pop(0)
                if inputs is None:  # a one-hot vector times a matrix is a row of it
                    products = F.npx.embedding(ids, W_x, input_dim=self.vocab_size, output_dim=width)
                else:
                    options = {"num_hidden": width, "no_bias": True, "flatten": False}
                    products = F.npx.fully_connected(inputs, F.np.transpose(W_x), **options)
                H, steps, hidden = tuple(islice(state, CELLS[stack.cell].num_states)), range(num_steps), {}
                for t in reversed(steps) if direction else steps:
                    X = F.np.squeeze(F.npx.slice(products, begin=(t,), end=(t + 1,)), axis=0)
                    hidden[t], H = STEPS[stack.cell](F, X, H, rest, n)
                outputs.append(F.np.stack([hidden[t] for t in steps], axis=0))  # (num_steps, batch_size, n)
                new_state += H
            inputs = outputs[0] if len(outputs) == 1 else F.np.concatenate(outputs, axis=2)
        inputs = F.npx.reshape(inputs, (-5, -2))  # (num_steps * batch_size, num_directions * n)
        return dot(F, inputs, W_hq, b_q, stack.num_outputs or self.vocab_size), new_state


class _Forward(_Graph):
    """From ids, state and the book's parameters to logits and state, over a fixed number of steps."""

    def hybrid_forward(self, F, X, state, params):
        """Return logits (num_steps * batch_size, num_outputs) and the list of the new state's arrays."""
        # Without BlockGrad, look-ups in two directions ask one another for a gradient of the ids.
        ids = F.BlockGrad(F.np.transpose(X).as_nd_ndarray()).as_np_ndarray()  # (num_steps, batch_size)
        weights = side_by_side(F, self.stack, params, self.n)
        return self.run(F, ids, state, weights, self.num_steps)


class _Greedy(_Graph):
    """From one id of each row, state and weights side by side to the ids that follow, each the likeliest."""

    def hybrid_forward(self, F, ids, state, weights):
        """Return ids (num_steps, batch_size) and the list of the new state's arrays."""
        written = []
        for _ in range(self.num_steps):
            logits, state = self.run(F, F.np.expand_dims(ids, 0), state, weights, 1)
            ids = F.np.argmax(logits, axis=1).astype("int32")
            written.append(ids)
        return F.np.stack(written, axis=0), state


class _Logits(_Graph):
    """From one id of each row, state and weights side by side to the logits of what follows."""

    def hybrid_forward(self, F, ids, state, weights):
        """Return logits (batch_size, vocab_size) and the list of the new state's arrays."""
        return self.run(F, F.np.expand_dims(ids, 0), state, weights, 1)


# Graphs hold no parameters, so models of one shape share them; compiling takes a fraction of a second.
_forward = functools.lru_cache(maxsize=16)(_Forward)
_greedy = functools.lru_cache(maxsize=16)(_Greedy)
_logits = functools.lru_cache(maxsize=16)(_Logits)


class FastRNNModel(RNNModelScratch):
    """An :class:`RNNModelScratch` whose stack is one compiled graph; the same parameters, the same numbers.

    A graph is compiled for each new number of steps, so give it sequences of few lengths.

    Args:
        vocab_size: the size of the vocabulary.
        num_hiddens: hidden units of each layer and direction.
        ctx: the device of the parameters.
        stack: the layers.
    """

    def __init__(self, vocab_size: int, num_hiddens: int, ctx: ContextLike, stack: Stack) -> None:
        super().__init__(vocab_size, num_hiddens, ctx, stack.get_params, stack.init_state, stack)

    def __call__(self, X, state: tuple) -> tuple:
        """Compute logits; arguments, results and errors as for :class:`d2lrnn.scratch.RNNModelScratch`."""
        check_batch(X, self.vocab_size, state)
        graph = _forward(self.stack, self.vocab_size, self.num_hiddens, X.shape[1])
        logits, new_state = graph(X, list(state), self.params)
        return logits, tuple(new_state)


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
