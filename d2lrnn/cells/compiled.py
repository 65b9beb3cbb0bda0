"""The cells' steps once more, for speed: gates side by side, and written for arrays and symbols alike.

Each step computes the same numbers from the same parameters as the step of the same name in
:mod:`d2lrnn.cells.steps`.  The models of :mod:`d2lrnn.models.compiled` and the layers of
:mod:`d2lrnn.models.gluon.unrolled` are made of these steps.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

# One step of each cell: (F, X, state, weights) -> (H, state).  F is MXNet's module for arrays or for symbols.  X is the
# input's product X W_x, all gates side by side: (batch_size, gates * num_hiddens).  weights.product adds the bias b.
# Where a cell has two biases, X includes b already, and weights.product adds c.


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
    """Take one step of the book's GRU: two products, since the second one needs the reset gate."""
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
        frozen: whether W has no gradient.  MXNet then computes no gradient of b either and leaves the old one in place;
            so b is added by an operator of its own, which takes longer.
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
    """Return each number, or 0 where the number is below 0."""
    return F.npx.activation(X, act_type="relu")


class Weights:
    """The recurrent weights of one layer in one direction, gates side by side.

    Args:
        F: MXNet's module for arrays or for symbols.
        cell: a :class:`d2lrnn.cells.declaration.Cell`, which declares the gates, products and peepholes.
        num_hiddens: columns of each gate.
        num_projections: width of a projected hidden state.
        arrays: for each of the cell's products a weight (gates * num_hiddens, width of the state) and a bias, which is
            ``b``, or ``c`` in a cell with two biases; then the peepholes' weights (num_hiddens,); then the
            projection's weight (num_projections, num_hiddens).

    Attributes:
        frozen: whether the weights of the products have no gradient.
        peepholes: a weight for each gate of the cell's ``peepholes``: (num_hiddens,), or in :meth:`unroll`
            (batch_size, num_hiddens).
    """

    def __init__(self, F, cell: Any, num_hiddens: int, num_projections: int | None, arrays: Iterable) -> None:
        rest = iter(arrays)
        self._F, self.cell, self._num_hiddens, self._num_projections = F, cell, num_hiddens, num_projections
        self._products = {gates: (next(rest), next(rest)) for gates in cell.products}
        self.peepholes = [next(rest) for _ in cell.peepholes]
        self._projection = next(rest) if cell.projected else None
        self.frozen = False

    def product(self, H, gates: str = ""):
        """Return the product of the state and the weights of these gates ("": of all), plus the bias."""
        gates = gates or self.cell.stacked
        return dot(self._F, H, *self._products[gates], len(gates) * self._num_hiddens, self.frozen)

    def project(self, M):
        """Return the projection (batch_size, num_projections) of M (batch_size, num_hiddens)."""
        return dot(self._F, M, self._projection, None, self._num_projections)

    def split(self, X, gates: str = "") -> list:
        """Cut X, where these gates ("": all) stand side by side, into one array a gate: (batch_size, num_hiddens)."""
        n = self._num_hiddens
        return [
            self._F.npx.slice(X, begin=(None, k * n), end=(None, (k + 1) * n))
            for k in range(len(gates or self.cell.stacked))
        ]

    def unroll(self, X, state, num_steps: int, reverse: bool = False, counted=None) -> tuple:
        """Take the cell over all time steps, from the first to the last or in reverse.

        Args:
            X: the X of every step (num_steps, batch_size, gates * num_hiddens).
            state: the state before the first step taken.
            num_steps: the number of time steps.
            reverse: whether the last step is taken first.
            counted: (num_steps, batch_size), 0 for padding, another number for a token; at padding the state of the
                row stays as it was.  None: there is no padding.

        Returns:
            the hidden states (num_steps, batch_size, width of H), 0 at padding; and the state after the last step
            taken.
        """
        F, hidden = self._F, {}
        zeros = None if counted is None else F.np.zeros_like(state[0])
        # Repeated here, once: np's broadcasting at every step takes a quarter of the cell's time.
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

    Rows that are not chosen have no influence, even where they are NaN, and get the gradient 0.  F.where is twice as
    fast as np.where on two cores (32 x 256, forward and backward: 110 and 250 microseconds).
    """
    arrays = (array.as_nd_ndarray() for array in (here, X, otherwise))
    return F.where(*arrays).as_np_ndarray()


def clear_padding(F, X, counted):
    """Return X (num_steps, batch_size, n) with zeros where ``counted`` (num_steps, batch_size) is 0; None: X itself.

    np.where(counted, X, 0) would be wrong: with a number in place of an array, MXNet 1.9.1 passes the gradient on to X
    even where X was not chosen.
    """
    return X if counted is None else F.np.where(F.np.expand_dims(counted, axis=2), X, F.np.zeros_like(X))
