"""The book's recurrent networks from scratch: the cells of :mod:`d2lrnn.cells.steps` over all time steps, in layers.

Source: *Dive into Deep Learning*, d2l-zh v1, sections 6.4 (RNN), 6.7 (GRU), 6.8 (LSTM), 6.9 (deep) and 6.10
(bidirectional).  Inputs and outputs are num_steps matrices.  A state is a tuple.  Every function returns new arrays:
nd arrays if inputs, state or params are nd arrays, else np arrays.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

from d2lrnn._runtime import mx
from d2lrnn.cells.steps import gru_reset_after_step, gru_step, lstm_step, rnn_step
from d2lrnn.checks import check_whole
from d2lrnn.data.batches import check_batch
from d2lrnn.data.lines import check_counted
from d2lrnn.device import ContextLike, as_ctx
from d2lrnn.errors import D2lrnnError
from d2lrnn.models.inputs import Ids, Inputs, OneHot
from d2lrnn.models.stack import Stack, output_layer, unroll
from d2lrnn.nd_arrays import as_nd, as_np, has_nd, takes_nd

np = mx.np


def _language_model(step: Callable, inputs: Sequence, state: tuple, params: Sequence):
    *cell_params, W_hq, b_q = params
    outputs, state = unroll(step, Inputs(inputs), state, cell_params)
    return output_layer(outputs, W_hq, b_q), state


@takes_nd
def rnn(inputs, state, params):
    """Compute the outputs of the simple recurrent network (d2l-zh v1, section 6.4.3).

    At each time step, from the input X and the state H::

        H = tanh(X W_xh + H W_hh + b_h)
        Y = H W_hq + b_q

    Each cell of the book has such a function; ``Stack(cell)`` computes the same for every cell in ``CELLS``.  For
    example, two rows of three ids, of a vocabulary of five::

        >>> from mxnet import np
        >>> from d2lrnn import get_rnn_params, init_rnn_state, rnn, to_onehot
        >>> inputs = to_onehot(np.array([[0, 1, 2], [3, 4, 0]], dtype="int32"), 5)
        >>> outputs, state = rnn(inputs, init_rnn_state(2, 8), get_rnn_params(5, 8))
        >>> len(outputs), outputs[0].shape, state[0].shape
        (3, (2, 5), (2, 8))

    Args:
        inputs: num_steps matrices of shape (batch_size, vocab_size).
        state: ``(H,)``, of shape (batch_size, num_hiddens).
        params: as :func:`get_rnn_params` returns them.

    Returns:
        the outputs Y, num_steps matrices of shape (batch_size, vocab_size), the logits; and the new state.
    """
    return _language_model(rnn_step, inputs, state, params)


@takes_nd
def gru(inputs, state, params):
    """Compute the outputs of the book's GRU, whose reset gate comes before the product (d2l-zh v1, section 6.7).

    At each time step, from the input X and the state H (``*`` multiplies number by number)::

        Z = sigmoid(X W_xz + H W_hz + b_z)          the update gate
        R = sigmoid(X W_xr + H W_hr + b_r)          the reset gate
        H_tilda = tanh(X W_xh + (R * H) W_hh + b_h)
        H = Z * H + (1 - Z) * H_tilda
        Y = H W_hq + b_q

    For example, two rows of three ids, of a vocabulary of five::

        >>> from mxnet import np
        >>> from d2lrnn import get_gru_params, gru, init_gru_state, to_onehot
        >>> inputs = to_onehot(np.array([[0, 1, 2], [3, 4, 0]], dtype="int32"), 5)
        >>> outputs, (H,) = gru(inputs, init_gru_state(2, 8), get_gru_params(5, 8))
        >>> len(outputs), outputs[0].shape, H.shape
        (3, (2, 5), (2, 8))

    Args:
        inputs: num_steps matrices of shape (batch_size, vocab_size).
        state: ``(H,)``, of shape (batch_size, num_hiddens).
        params: as :func:`get_gru_params` returns them.

    Returns:
        the outputs Y, num_steps matrices of shape (batch_size, vocab_size), the logits; and the new state.
    """
    return _language_model(gru_step, inputs, state, params)


@takes_nd
def gru_reset_after(inputs, state, params):
    """Compute the outputs of the GRU of Gluon and cuDNN, whose reset gate comes after the product.

    At each time step, from the input X and the state H (``*`` multiplies number by number)::

        Z = sigmoid(X W_xz + b_z + H W_hz + c_z)    the update gate
        R = sigmoid(X W_xr + b_r + H W_hr + c_r)    the reset gate
        H_tilda = tanh(X W_xh + b_h + R * (H W_hh + c_h))
        H = Z * H + (1 - Z) * H_tilda
        Y = H W_hq + b_q

    For example, one row of one id, of a vocabulary of five::

        >>> from mxnet import np
        >>> from d2lrnn import get_gru_reset_after_params, gru_reset_after, init_gru_state, to_onehot
        >>> inputs, state = to_onehot(np.array([[3]], dtype="int32"), 5), init_gru_state(1, 8)
        >>> outputs, (H,) = gru_reset_after(inputs, state, get_gru_reset_after_params(5, 8))
        >>> len(outputs), outputs[0].shape, H.shape
        (1, (1, 5), (1, 8))

    Args:
        inputs: num_steps matrices of shape (batch_size, vocab_size).
        state: ``(H,)``, of shape (batch_size, num_hiddens).
        params: as :func:`get_gru_reset_after_params` returns them.

    Returns:
        the outputs Y, num_steps matrices of shape (batch_size, vocab_size), the logits; and the new state.
    """
    return _language_model(gru_reset_after_step, inputs, state, params)


@takes_nd
def lstm(inputs, state, params):
    """Compute the outputs of the long short-term memory (d2l-zh v1, section 6.8).

    At each time step, from the input X, the state H and the memory C (``*`` multiplies number by number)::

        I = sigmoid(X W_xi + H W_hi + b_i)          the input gate
        F = sigmoid(X W_xf + H W_hf + b_f)          the forget gate
        O = sigmoid(X W_xo + H W_ho + b_o)          the output gate
        C_tilda = tanh(X W_xc + H W_hc + b_c)
        C = F * C + I * C_tilda
        H = O * tanh(C)
        Y = H W_hq + b_q

    For example, two rows of three ids, of a vocabulary of five::

        >>> from mxnet import np
        >>> from d2lrnn import get_lstm_params, init_lstm_state, lstm, to_onehot
        >>> inputs = to_onehot(np.array([[0, 1, 2], [3, 4, 0]], dtype="int32"), 5)
        >>> outputs, (H, C) = lstm(inputs, init_lstm_state(2, 8), get_lstm_params(5, 8))
        >>> len(outputs), outputs[0].shape, H.shape, C.shape
        (3, (2, 5), (2, 8), (2, 8))

    Args:
        inputs: num_steps matrices of shape (batch_size, vocab_size).
        state: ``(H, C)``, both of shape (batch_size, num_hiddens).
        params: as :func:`get_lstm_params` returns them.

    Returns:
        the outputs Y, num_steps matrices of shape (batch_size, vocab_size), the logits; and the new state.
    """
    return _language_model(lstm_step, inputs, state, params)


def get_rnn_params(vocab_size: int, num_hiddens: int, ctx: ContextLike = None) -> list:
    """Return new parameters ``W_xh, W_hh, b_h, W_hq, b_q`` with gradients: N(0, 0.01²), biases 0 (section 6.4.2)."""
    return Stack("rnn").get_params(vocab_size, num_hiddens, ctx)


def get_gru_params(vocab_size: int, num_hiddens: int, ctx: ContextLike = None) -> list:
    """Return new parameters of :func:`gru`: ``W_x, W_h, b`` for the gates z, r, h, then ``W_hq, b_q``."""
    return Stack("gru").get_params(vocab_size, num_hiddens, ctx)


def get_gru_reset_after_params(vocab_size: int, num_hiddens: int, ctx: ContextLike = None) -> list:
    """Return new parameters of :func:`gru_reset_after`: ``W_x, W_h, b, c`` for z, r, h, then ``W_hq, b_q``."""
    return Stack("gru_reset_after").get_params(vocab_size, num_hiddens, ctx)


def get_lstm_params(vocab_size: int, num_hiddens: int, ctx: ContextLike = None) -> list:
    """Return new parameters of :func:`lstm`: ``W_x, W_h, b`` for the gates i, f, o, c, then ``W_hq, b_q``."""
    return Stack("lstm").get_params(vocab_size, num_hiddens, ctx)


def init_rnn_state(batch_size: int, num_hiddens: int, ctx: ContextLike = None) -> tuple:
    """Return the zero state ``(H,)`` of shape (batch_size, num_hiddens)."""
    return Stack("rnn").init_state(batch_size, num_hiddens, ctx)


def init_gru_state(batch_size: int, num_hiddens: int, ctx: ContextLike = None) -> tuple:
    """Return the zero state ``(H,)`` of shape (batch_size, num_hiddens), for both forms of the GRU."""
    return Stack("gru").init_state(batch_size, num_hiddens, ctx)


def init_lstm_state(batch_size: int, num_hiddens: int, ctx: ContextLike = None) -> tuple:
    """Return the zero state ``(H, C)``, both of shape (batch_size, num_hiddens)."""
    return Stack("lstm").init_state(batch_size, num_hiddens, ctx)


class RNNModelScratch:
    """A language model from scratch (d2l section 9.5); see :class:`d2lrnn.models.protocol.LanguageModel`.

    Args:
        vocab_size: the size of the vocabulary.
        num_hiddens: hidden units of each layer.
        ctx: the device of the parameters.
        get_params: a function of ``(vocab_size, num_hiddens, ctx)`` that returns a list of parameters, such as
            :func:`get_lstm_params`.
        init_state: a function of ``(batch_size, num_hiddens, ctx)`` that returns a tuple, such as
            :func:`init_lstm_state`.
        forward_fn: a function of ``(inputs, state, params)`` that returns outputs and state, such as :func:`lstm` or a
            :class:`Stack`.  If ``get_params`` returns nd arrays, it gets nd arrays.
    """

    def __init__(
        self,
        vocab_size: int,
        num_hiddens: int,
        ctx: ContextLike,
        get_params: Callable,
        init_state: Callable,
        forward_fn: Callable,
    ) -> None:
        self.vocab_size = check_whole("vocab_size", vocab_size)
        self.num_hiddens, self.ctx = check_whole("num_hiddens", num_hiddens), as_ctx(ctx)
        params = get_params(vocab_size, num_hiddens, self.ctx)
        self.params, self._calls_with_nd = as_np(params), has_nd(params)
        self._init_state, self.forward_fn = init_state, forward_fn

    def __copy__(self):
        """Return an independent model: one that shared its parameters would be trained with the original."""
        return copy.deepcopy(self)

    @property
    def stack(self) -> Stack:
        """The layers of the model, as a :class:`Stack`.

        Raises:
            D2lrnnError: if ``forward_fn`` is a function of the user's.
        """
        if isinstance(self.forward_fn, Stack):
            return self.forward_fn
        if self.knows_its_equations:
            return Stack(self.forward_fn.__name__)
        raise D2lrnnError(f"forward_fn is {self.forward_fn!r}: expected a Stack, rnn, gru, gru_reset_after or lstm")

    @property
    def knows_its_equations(self) -> bool:
        """Whether ``forward_fn`` is a :class:`Stack` or a function of this module, so that :attr:`stack` exists."""
        known = (rnn, gru, gru_reset_after, lstm)
        return isinstance(self.forward_fn, Stack) or any(self.forward_fn is function for function in known)

    @property
    def bidirectional(self) -> bool:
        """Whether outputs depend on later inputs."""
        return getattr(self.forward_fn, "bidirectional", False)

    @property
    def num_outputs(self) -> int:
        """The size of the output layer."""
        return getattr(self.forward_fn, "num_outputs", None) or self.vocab_size

    def begin_state(self, batch_size: int, ctx: ContextLike = None) -> tuple:
        """Return the zero state for a batch, on ``ctx`` or else where the parameters are."""
        return as_np(self._init_state(batch_size, self.num_hiddens, ctx or self.ctx))

    def parameters(self) -> dict[str, Any]:
        """Return the parameters by name, arrays with gradients.

        The names are those of :attr:`Stack.param_names`.  If ``forward_fn`` is a function of the user's, its parameters
        have no known names and are called ``params.0``, ``params.1`` and so on.
        """
        if self.knows_its_equations:
            return dict(zip(self.stack.param_names, self.params))
        return {f"params.{i}": param for i, param in enumerate(self.params)}

    @takes_nd
    def __call__(self, X, state: tuple, counted=None) -> tuple:
        """Compute logits.

        Args:
            X: ids of shape (batch_size, num_steps).
            state: of :meth:`begin_state`, or as the last call returned it.
            counted: 1 for a token, 0 for padding, of the shape of X; None: there is no padding.  Padding changes no
                logits elsewhere, no state and no gradient, whatever ids stand there.

        Returns:
            logits of shape (num_steps * batch_size, num_outputs), those of the first step first; and the new state.

        Raises:
            D2lrnnError: as for :func:`d2lrnn.data.batches.check_batch`; if ``counted`` has another shape than X; if
                ``counted`` is given and ``forward_fn`` is a function of the user's.
        """
        check_batch(X, self.vocab_size, state)
        if self.knows_its_equations or counted is not None:
            counted = check_counted(counted, X.shape, state[0].dtype)
            return self.stack.logits(Ids(X.T, self.vocab_size), state, self.params, counted)
        own = as_nd if self._calls_with_nd else as_np
        arguments = own((OneHot(X.T, self.vocab_size), state, self.params))
        outputs, state = as_np(self.forward_fn(*arguments))
        return np.concatenate(outputs, axis=0), state
