"""The cells' steps once more, for speed: gates side by side, and written for arrays and symbols alike.

Each step stands for the one of the same name in :mod:`d2lrnn.cells.steps` and computes the same numbers from the same
parameters.  The models of :mod:`d2lrnn.models.compiled` and the layers of :mod:`d2lrnn.models.gluon.unrolled` are made
of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

# One step of each cell: (F, X, state, weights) -> (H, state).  F is MXNet's module for arrays or for symbols, X holds
# X W_x of this step for all gates (batch_size, gates * num_hiddens), with b in it where a cell has two biases.


def rnn_step(F, X, state, weights):
    """Take one step of the simple recurrent network."""
    (H,) = state
    H = tanh(F, X + weights.product(H))
    return H, (H,)


def rnn_relu_step(F, X, state, weights):
    """Take one step of the simple recurrent network with relu."""
    (H,) = state
    H = relu(F, X + weights.product(H))
    return H, (H,)


def gru_step(F, X, state, weights):
    """Take one step of the book's GRU; its reset gate stands before a product, so there are two of them."""
    (H,) = state
    X_r, X_z, X_h = weights.split(X)
    H_r, H_z = weights.split(weights.product(H, "rz"), "rz")
    R = sigmoid(F, X_r + H_r)
    Z = sigmoid(F, X_z + H_z)
    H_tilda = tanh(F, X_h + weights.product(R * H, "h"))
    H = Z * (H - H_tilda) + H_tilda
    return H, (H,)


def gru_reset_after_step(F, X, state, weights):
    """Take one step of the GRU of Gluon and cuDNN: one product for its three gates."""
    (H,) = state
    X_r, X_z, X_h = weights.split(X)
    H_r, H_z, H_h = weights.split(weights.product(H))
    R = sigmoid(F, X_r + H_r)
    Z = sigmoid(F, X_z + H_z)
    H_tilda = tanh(F, X_h + R * H_h)
    H = Z * (H - H_tilda) + H_tilda
    return H, (H,)


def lstm_step(F, X, state, weights):
    """Take one step of the LSTM: one product for its four gates."""
    (H, C) = state
    X_i, X_f, X_c, X_o = weights.split(X + weights.product(H))
    I, F_, C_tilda, O = sigmoid(F, X_i), sigmoid(F, X_f), tanh(F, X_c), sigmoid(F, X_o)
    C = F_ * C + I * C_tilda
    H = O * tanh(F, C)
    return H, (H, C)


def lstm_peephole_step(F, X, state, weights):
    """Take one step of the LSTM with peepholes."""
    (H, C) = state
    w_ci, w_cf, w_co = weights.peepholes
    X_i, X_f, X_c, X_o = weights.split(X + weights.product(H))
    I, F_, C_tilda = sigmoid(F, X_i + C * w_ci), sigmoid(F, X_f + C * w_cf), tanh(F, X_c)
    C = F_ * C + I * C_tilda
    H = sigmoid(F, X_o + C * w_co) * tanh(F, C)
    return H, (H, C)


def lstm_projected_step(F, X, state, weights):
    """Take one step of the LSTM with a projected hidden state."""
    M, (_, C) = lstm_step(F, X, state, weights)
    H = weights.project(M)
    return H, (H, C)


def lstm_peephole_projected_step(F, X, state, weights):
    """Take one step of the LSTM with peepholes and a projected hidden state."""
    M, (_, C) = lstm_peephole_step(F, X, state, weights)
    H = weights.project(M)
    return H, (H, C)


def dot(F, X, W, b, size: int, frozen: bool = False):
    """Return X W + b, of ``size`` columns, by oneDNN: twice as fast here as np.dot.

    Args:
        F: MXNet's module for arrays or for symbols.
        X: (..., n).
        W: the weight, transposed: (size, n).
        b: the bias (size,), or None.
        size: columns of the product.
        frozen: whether W has no gradient.  MXNet then computes none of b either, and leaves there what was there: so b
            is added afterwards, which takes longer.
    """
    if b is None or frozen:
        product = F.npx.fully_connected(X, W, num_hidden=size, no_bias=True, flatten=False)
        return product if b is None else product + b
    return F.npx.fully_connected(X, W, b, num_hidden=size, flatten=False)


def sigmoid(F, X):
    """Return the logistic function of each number."""
    return F.npx.activation(X, act_type="sigmoid")


def tanh(F, X):
    """Return the hyperbolic tangent of each number by oneDNN, many times as fast as np.tanh."""
    return F.npx.activation(X, act_type="tanh")


def relu(F, X):
    """Return each number, or 0 where it is below."""
    return F.npx.activation(X, act_type="relu")


class Weights:
    """What a step reads beside its inputs, in one layer and direction: the weights of the state, gates side by side.

    Args:
        F: MXNet's module for arrays or for symbols.
        cell: a :class:`d2lrnn.cells.declaration.Cell`, whose declaration says what there is.
        num_hiddens: columns of each gate.
        num_projections: width of a projected hidden state.
        arrays: for each of the cell's products a weight (gates * num_hiddens, width of the state) and a bias, ``b`` or,
            where there are two, ``c``; then the peepholes' weights; then that of the projection (num_projections,
            num_hiddens).

    Attributes:
        frozen: whether the weights of the products have no gradient.
        peepholes: a weight for each gate of the cell's ``peepholes``; :meth:`unroll` repeats it for each row of the
            memory.
    """

    def __init__(self, F, cell: Any, num_hiddens: int, num_projections: int | None, arrays: Iterable) -> None:
        rest = iter(arrays)
        self._F, self.cell, self._num_hiddens, self._num_projections = F, cell, num_hiddens, num_projections
        self._products = {gates: (next(rest), next(rest)) for gates in cell.products}
        self.peepholes = [next(rest) for _ in cell.peepholes]
        self._projection = next(rest) if cell.projected else None
        self.frozen = False

    def product(self, H, gates: str = ""):
        """Return the product of the state and the weights of some gates, and the bias; of all, if none are named."""
        gates = gates or self.cell.stacked
        return dot(self._F, H, *self._products[gates], len(gates) * self._num_hiddens, self.frozen)

    def project(self, M):
        """Return the projection (batch_size, num_projections) of M (batch_size, num_hiddens)."""
        return dot(self._F, M, self._projection, None, self._num_projections)

    def split(self, X, gates: str = "") -> list:
        """Cut gates apart that stand side by side in X: those that are named, in this order, or else all."""
        n = self._num_hiddens
        return [
            self._F.npx.slice(X, begin=(None, k * n), end=(None, (k + 1) * n))
            for k in range(len(gates or self.cell.stacked))
        ]

    def unroll(self, X, state, num_steps: int, reverse: bool = False, counted=None) -> tuple:
        """Take the cell over all time steps, from the first to the last or in reverse.

        Args:
            X: what the steps call X, of all time steps (num_steps, batch_size, gates * num_hiddens).
            state: before the first step taken.
            num_steps: how many there are.
            reverse: whether the last step is taken first.
            counted: which rows have a token at which step, (num_steps, batch_size): not 0 for a token, 0 for padding,
                where the state of the row stays as it was; None: all have.

        Returns:
            the hidden states (num_steps, batch_size, width of H), 0 at padding; and the state after the last step
            taken.
        """
        F, hidden = self._F, {}
        zeros = None if counted is None else F.np.zeros_like(state[0])
        # Once for all steps: np's broadcasting at each of them takes a quarter of the cell's time.
        self.peepholes = [F.np.zeros_like(state[-1]) + w for w in self.peepholes]
        for t in reversed(range(num_steps)) if reverse else range(num_steps):
            H, new_state = self.cell.compiled_step(F, _step(F, X, t), state, self)
            if counted is not None:
                here = _step(F, counted, t)
                H = choose_rows(F, here, H, zeros)
                new_state = [choose_rows(F, here, new, old) for new, old in zip(new_state, state)]
            hidden[t], state = H, new_state
        return F.np.stack([hidden[t] for t in range(num_steps)], axis=0), state


def _step(F, X, t: int):
    """Return step t of an array (num_steps, ...)."""
    return F.np.squeeze(F.npx.slice(X, begin=(t,), end=(t + 1,)), axis=0)


def choose_rows(F, here, X, otherwise):
    """Return X in the rows where ``here`` (batch_size,) is not 0, and ``otherwise`` in the others.

    What is not chosen has no influence, NaN neither, and gets the gradient 0.  Twice as fast as np.where on two cores
    (32 x 256, forward and backward: 110 and 250 microseconds).
    """
    arrays = (array.as_nd_ndarray() for array in (here, X, otherwise))
    return F.where(*arrays).as_np_ndarray()


def clear_padding(F, X, counted):
    """Return X (num_steps, batch_size, n) with zeros where ``counted`` (num_steps, batch_size) is 0; None: X itself.

    Not where(counted, X, 0): with a number in place of an array, MXNet 1.9.1 gives X the gradient where it was not
    chosen.
    """
    return X if counted is None else F.np.where(F.np.expand_dims(counted, axis=2), X, F.np.zeros_like(X))
