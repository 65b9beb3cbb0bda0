"""One step of each recurrent cell in the book's letters, one line of code for each equation.

Source: *Dive into Deep Learning*, d2l-zh v1, sections 6.4 (RNN), 6.7 (GRU) and 6.8 (LSTM); for the others, the papers
that their steps name.  To add a cell of your own, see :func:`add_cell` and ``chapters/another_cell.py``.
"""

from __future__ import annotations

from d2lrnn._runtime import mx
from d2lrnn.cells import compiled
from d2lrnn.cells.weights import Weight
from d2lrnn.nd_arrays import refuse_nd

np, npx = mx.np, mx.npx

# One step of each cell: (X, state, params) -> (H, state).  X is (batch_size, num_inputs).  H is
# (batch_size, num_hiddens), or (batch_size, num_projections) if projected.  params come in the book's order.


def rnn_step(X, state, params):
    """Take one step of the simple recurrent network (equation 6.4.1)."""
    W_xh, W_hh, b_h = params
    (H,) = state
    H = np.tanh(dot(X, W_xh) + dot(H, W_hh) + b_h)
    return H, (H,)


def rnn_relu_step(X, state, params):
    """Take one step of the simple recurrent network with relu, for a W_hh that begins as the identity.

    Source: Le, Jaitly and Hinton (2015), arXiv 1504.00941.
    """
    W_xh, W_hh, b_h = params
    (H,) = state
    H = npx.relu(dot(X, W_xh) + dot(H, W_hh) + b_h)
    return H, (H,)


def gru_step(X, state, params):
    """Take one step of the book's GRU: the reset gate comes before the product (equations 6.7.1 to 6.7.3)."""
    W_xz, W_hz, b_z, W_xr, W_hr, b_r, W_xh, W_hh, b_h = params
    (H,) = state
    Z = npx.sigmoid(dot(X, W_xz) + dot(H, W_hz) + b_z)
    R = npx.sigmoid(dot(X, W_xr) + dot(H, W_hr) + b_r)
    H_tilda = np.tanh(dot(X, W_xh) + dot(R * H, W_hh) + b_h)
    H = Z * H + (1 - Z) * H_tilda
    return H, (H,)


def gru_reset_after_step(X, state, params):
    """Take one step of the GRU of Gluon and cuDNN: the reset gate comes after the product.

    Gluon has two biases for each gate, ``b`` beside the input and ``c`` beside the state.  Of the three ``c``, only
    ``c_h`` adds something that ``b`` cannot express.  But in training two biases move twice as far as one, so this
    cell has all of Gluon's biases: then both stay equal.
    """
    W_xz, W_hz, b_z, c_z, W_xr, W_hr, b_r, c_r, W_xh, W_hh, b_h, c_h = params
    (H,) = state
    Z = npx.sigmoid(dot(X, W_xz) + b_z + dot(H, W_hz) + c_z)
    R = npx.sigmoid(dot(X, W_xr) + b_r + dot(H, W_hr) + c_r)
    H_tilda = np.tanh(dot(X, W_xh) + b_h + R * (dot(H, W_hh) + c_h))
    H = Z * H + (1 - Z) * H_tilda
    return H, (H,)


def lstm_step(X, state, params):
    """Take one step of the long short-term memory (equations 6.8.1 to 6.8.4)."""
    W_xi, W_hi, b_i, W_xf, W_hf, b_f, W_xo, W_ho, b_o, W_xc, W_hc, b_c = params
    (H, C) = state
    I = npx.sigmoid(dot(X, W_xi) + dot(H, W_hi) + b_i)
    F = npx.sigmoid(dot(X, W_xf) + dot(H, W_hf) + b_f)
    O = npx.sigmoid(dot(X, W_xo) + dot(H, W_ho) + b_o)
    C_tilda = np.tanh(dot(X, W_xc) + dot(H, W_hc) + b_c)
    C = F * C + I * C_tilda
    H = O * np.tanh(C)
    return H, (H, C)


def lstm_peephole_step(X, state, params):
    """Take one step of the LSTM with peepholes: each gate sees the memory, the output gate the new one.

    Source: Gers and Schmidhuber (2000), "Recurrent nets that time and count".  A unit's gates see the memory
    of this unit alone: ``w_ci`` is the diagonal of a matrix.
    """
    W_xi, W_hi, w_ci, b_i, W_xf, W_hf, w_cf, b_f, W_xo, W_ho, w_co, b_o, W_xc, W_hc, b_c = params
    (H, C) = state
    I = npx.sigmoid(dot(X, W_xi) + dot(H, W_hi) + C * w_ci + b_i)
    F = npx.sigmoid(dot(X, W_xf) + dot(H, W_hf) + C * w_cf + b_f)
    C_tilda = np.tanh(dot(X, W_xc) + dot(H, W_hc) + b_c)
    C = F * C + I * C_tilda
    O = npx.sigmoid(dot(X, W_xo) + dot(H, W_ho) + C * w_co + b_o)
    H = O * np.tanh(C)
    return H, (H, C)


def lstm_projected_step(X, state, params):
    """Take one step of the LSTM whose hidden state is a narrow projection of the output gate's result.

    This is PyTorch's ``nn.LSTM(proj_size=...)``, and the LSTMP of Sak, Senior and Beaufays (2014, arXiv 1402.1128)
    without its peepholes.
    """
    *lstm_params, W_mr = params
    M, (_, C) = lstm_step(X, state, lstm_params)
    H = dot(M, W_mr)
    return H, (H, C)


def lstm_peephole_projected_step(X, state, params):
    """Take one step of the LSTMP of Sak, Senior and Beaufays (2014, arXiv 1402.1128), with peepholes."""
    *lstm_params, W_mr = params
    M, (_, C) = lstm_peephole_step(X, state, lstm_params)
    H = dot(M, W_mr)
    return H, (H, C)


def dot(X, W):
    """Return the matrix product X W, where X is a matrix or one step of :class:`d2lrnn.models.inputs.Inputs`.

    Where W is a :class:`d2lrnn.cells.weights.Weight`, as in a model, oneDNN computes the product; else np.dot does.

    Raises:
        D2lrnnError: for an array of mxnet.nd; the steps of the cells take arrays of mxnet.np alone.
    """
    refuse_nd(X, W)
    if isinstance(W, Weight) and isinstance(X, np.ndarray):
        return compiled.dot(mx, X, W.transposed, None, W.shape[1])
    return X.dot(W)
