"""A fused layer: options that the CPU ignores are refused, and all its parameters lie in one array."""

from __future__ import annotations

import math

from d2lrnn._runtime import mx
from d2lrnn.errors import D2lrnnError
from d2lrnn.models.gluon.facts import (
    expect_gradient,
    ignored_options,
    move,
    operator_options,
    parameters_by_kind,
)


class FusedLayerError(D2lrnnError):
    """A fused layer was given an option that MXNet 1.9.1 ignores or gets wrong on the CPU."""


def check_layer(layer) -> None:
    """Refuse a ``gluon.rnn`` layer with an option that the CPU ignores without a word.

    Raises:
        FusedLayerError: for dropout of the fused layer's own, state clipping, sequence lengths, a projection, or the
            layout NTC.
    """
    remedies = {
        "dropout": "it is ignored on the CPU: use RNNModel(..., dropout=...) or RecurrentStack(..., dropout=...)",
        "lstm_state_clip_min/max": "they are ignored on the CPU: clip the state between batches yourself",
        "use_sequence_length": "it is ignored on the CPU: give the model counted= when you call it",
        "projection_size": "it cannot be trained on the CPU: use UnrolledLayer('lstm_projected', ...)",
        "layout='NTC'": "this module's order is (num_steps, batch_size, ...): use layout='TNC', Gluon's default",
    }
    for option, present in ignored_options(layer).items():
        if present:
            raise FusedLayerError(f"{type(layer).__name__} was made with {option}; {remedies[option]}")


class Packed:
    """The parameters of one fused layer as views of one array.

    Gluon copies the parameters together at each step and their gradients apart again, a sixth of a step of the PTB
    tutorial's large model.  Here Gluon's parameters become views of the one array, and their gradients of its
    gradient: whoever reads or writes the ones reads or writes the other.

    Args:
        layer: a layer of ``gluon.rnn``.
        weight_dropout: the share of its hidden-to-hidden weights that is dropped in training, other ones in every
            batch but the same at all of its time steps (weight drop: Merity et al. 2017, arXiv 1708.02182).

    Raises:
        FusedLayerError: as :func:`check_layer`.
    """

    def __init__(self, layer, weight_dropout: float = 0.0) -> None:
        check_layer(layer)
        self.layer, self.weight_dropout = layer, weight_dropout
        by_layer = parameters_by_kind(layer)
        self.params = [
            params[kind] for kinds in (("W_x", "W_h"), ("b_", "c_")) for params in by_layer for kind in kinds
        ]
        self._whole: dict = {}  # by device

    def array(self, ctx):
        """Return the whole array on a device, with its gradient; :meth:`pack` has made it."""
        if mx.autograd.is_recording():
            for param in self.params:
                expect_gradient(param, ctx)  # or gluon.Trainer would think that backward passed it by
        return self._whole[ctx]

    def pack(self) -> None:
        """Put the parameters together, as they are now, and make them views of the whole."""
        for k, ctx in enumerate(self.params[0].list_ctx()):
            whole = mx.np.concatenate([param.data(ctx).reshape(-1) for param in self.params])
            whole.attach_grad()
            self._whole[ctx] = whole
            begin = 0
            for param in self.params:
                end = begin + param.data(ctx).size
                data, grad = (_view(array, begin, end, param.shape) for array in (whole, whole.grad))
                move(param, k, data, grad)
                begin = end

    def bind(self, F, params=None):
        """Return the layer as a function of inputs and state.

        Args:
            F: MXNet's module for arrays or for symbols.
            params: the whole array, or a symbol of it; None, in a graph: what Gluon's parameters are together.
        """
        options = operator_options(self.layer)
        if params is None:
            params = F.np.concatenate([F.np.reshape(param.var(), (-1,)) for param in self.params], axis=0)
        if self.weight_dropout:
            params = self._drop(F, params)

        def run(X, state: list) -> tuple:
            outputs, *state = F.npx.rnn(X, params, *state, state_outputs=True, **options)
            return outputs, state

        return run

    def _drop(self, F, params):
        """Return the parameters with a share of the hidden-to-hidden weights dropped, if this is training."""
        masks = []
        for param in self.params:
            ones = F.np.ones((math.prod(param.shape),))
            dropped = param.name.endswith("h2h_weight")
            masks.append(F.npx.dropout(ones, p=self.weight_dropout) if dropped else ones)
        # One product of the whole: slices of it would each get a gradient of the whole's size (57 ms a step, not 95).
        return params * F.np.concatenate(masks, axis=0)


def _view(array, begin: int, end: int, shape: tuple[int, ...]):
    return array[begin:end].as_nd_ndarray().reshape(shape).as_np_ndarray()  # np's own reshape would copy
