"""Fused layers: options that the CPU ignores are refused, and a layer's parameters are put into one array."""

from __future__ import annotations

import math
from typing import Any

from d2lrnn._runtime import mx
from d2lrnn.errors import D2lrnnError
from d2lrnn.models.gluon.facts import (
    expect_gradient,
    facts_of,
    ignored_options,
    is_frozen,
    move,
    operator_options,
    parameters_by_kind,
)


class FusedLayerError(D2lrnnError):
    """A fused layer was given an option that MXNet 1.9.1 ignores or gets wrong on the CPU."""


def check_layer(layer) -> None:
    """Refuse a ``gluon.rnn`` layer with an option that MXNet ignores on the CPU without a word, or gets wrong.

    Raises:
        FusedLayerError: for the layer's own dropout, state clipping, sequence lengths, a projection, or the layout NTC.
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

    Gluon copies the parameters together at each step, and their gradients apart again, which takes a sixth of a step
    of the PTB tutorial's large model.  Here Gluon's parameters become views of the one array, and their gradients views
    of its gradient.  Whoever reads or writes a parameter reads or writes the array.

    Args:
        layer: a layer of ``gluon.rnn``.
        weight_dropout: the share of the hidden-to-hidden weights that is dropped in training; each batch has a new
            mask, the same at all time steps (weight drop: Merity et al. 2017, arXiv 1708.02182).

    Raises:
        FusedLayerError: as for :func:`check_layer`.
    """

    def __init__(self, layer, weight_dropout: float = 0.0) -> None:
        check_layer(layer)
        self.layer, self.weight_dropout = layer, weight_dropout
        by_layer = parameters_by_kind(layer)
        self._places = [
            (i, kind) for kinds in (("W_x", "W_h"), ("b_", "c_")) for i in range(len(by_layer)) for kind in kinds
        ]
        self.params = [by_layer[i][kind] for i, kind in self._places]
        self._whole: dict = {}  # by device
        self._halves: dict = {}  # by device: the first layer's W_x, and all that comes after it, in rows
        self._row = facts_of(layer).num_hiddens  # the length of a row, of which every parameter is a multiple

    def __getstate__(self) -> dict[str, Any]:
        """Return the attributes to copy; the parameters of a copy are still to be packed."""
        return {**vars(self), "_whole": {}, "_halves": {}}

    def array(self, ctx):
        """Return the whole array on a device, with its gradient; :meth:`pack` must have been called before."""
        if mx.autograd.is_recording():
            for param in self.params:
                expect_gradient(param, ctx)  # gradients come by way of the whole, so Gluon does not see them arrive
        return self._whole[ctx]

    def halves(self, ctx) -> tuple:
        """Return the array in two parts with gradients of their own: the first layer's W_x, and all that follows."""
        self.array(ctx)
        return self._halves[ctx]

    def pack(self) -> None:
        """Copy the parameters into one array on each device, and make them views of it.

        Raises:
            D2lrnnError: if gradients of some parameters are to be added to the old ones, and those of others not.
        """
        grad_req = self._grad_req()
        for k, ctx in enumerate(self.params[0].list_ctx()):
            whole = mx.np.concatenate([param.data(ctx).reshape(-1) for param in self.params])
            whole.attach_grad(grad_req)
            self._whole[ctx] = whole
            first = self.params[0]
            self._halves[ctx] = (
                _with_gradient(whole, 0, first.data(ctx).size, first.shape, grad_req),
                _with_gradient(whole, first.data(ctx).size, whole.size, (-1, self._row), grad_req),
            )
            begin = 0
            for param in self.params:
                end = begin + param.data(ctx).size
                data, grad = (_view(array, begin, end, param.shape) for array in (whole, whole.grad))
                move(param, k, data, grad)
                begin = end

    def _grad_req(self) -> str:
        """Return whether backward overwrites the gradients, "write", or adds to them, "add"."""
        found = {param.grad_req for param in self.params if not is_frozen(param)}
        if len(found) > 1:
            raise D2lrnnError(
                f"the parameters of the layer {type(self.layer).__name__} have grad_req {' and '.join(sorted(found))}: "
                "expected the same for all but those with 'null', since their gradients are one array"
            )
        return found.pop() if found else "write"

    def bind(self, F, params=None):
        """Return the layer as a function of inputs and state.

        Args:
            F: MXNet's module for arrays or for symbols.
            params: the whole array, or its symbol.  None, in a graph: Gluon's parameters, put together there.  Or the
                :meth:`halves`, and those ids whose columns of W_x the inputs read, one-hot vectors as wide as these.
        """
        options = operator_options(self.layer)
        if isinstance(params, (list, tuple)):
            params = self._columns(F, *params)
        if params is None:
            params = F.np.concatenate([F.np.reshape(param.var(), (-1,)) for param in self.params], axis=0)
        if self.weight_dropout:
            params = self._drop(F, params)

        def run(X, state: list) -> tuple:
            outputs, *state = F.npx.rnn(X, params, *state, state_outputs=True, **options)
            return outputs, state

        return run

    def parts(self, F, params) -> list[dict[str, Any]]:
        """Return the values of each layer and direction by kind, as slices of the whole array or of its symbol."""
        found: list[dict[str, Any]] = [{} for _ in parameters_by_kind(self.layer)]
        begin = 0
        for (i, kind), param in zip(self._places, self.params):
            end = begin + math.prod(param.shape)
            found[i][kind] = F.np.reshape(F.npx.slice(params, begin=(begin,), end=(end,)), param.shape)
            begin = end
        return found

    def _columns(self, F, weight, rest, ids):
        """Return the whole array with some columns of the first layer's W_x, in place of all."""
        gates, vocab_size = self.params[0].shape
        rows = F.npx.embedding(ids, F.np.transpose(weight), input_dim=vocab_size, output_dim=gates)
        columns = F.np.reshape(F.np.transpose(rows), (-1, self._row))
        return F.np.reshape(F.np.concatenate([columns, rest], axis=0), (-1,))  # of arrays with one axis it is slow

    def _drop(self, F, params):
        """Return the whole array; in training, with a share of the hidden-to-hidden weights dropped."""
        masks = []
        for param in self.params:
            ones = F.np.ones((math.prod(param.shape),))
            dropped = param.name.endswith("h2h_weight")
            masks.append(F.npx.dropout(ones, p=self.weight_dropout) if dropped else ones)
        # One mask for the whole: slices of the whole would each get a gradient of its size (95 ms a step, not 57).
        return params * F.np.concatenate(masks, axis=0)


def _with_gradient(whole, begin: int, end: int, shape: tuple[int, ...], grad_req: str):
    """Return a part of an array as a view, whose gradient is a view of the array's gradient."""
    data, grad = (_view(array, begin, end, shape) for array in (whole, whole.grad))
    mx.autograd.mark_variables([data], [grad], grad_req)
    return data


def _view(array, begin: int, end: int, shape: tuple[int, ...]):
    return array[begin:end].as_nd_ndarray().reshape(shape).as_np_ndarray()  # np's own reshape would copy
