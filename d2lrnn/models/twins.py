"""The numbers of one model in the layout of another: copies, comparisons, twins."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy

from d2lrnn._runtime import mx
from d2lrnn.cells.declaration import Cell
from d2lrnn.cells.registry import CELLS
from d2lrnn.config.model import ModelConfig
from d2lrnn.errors import D2lrnnError
from d2lrnn.models.build import build_model
from d2lrnn.models.compiled import FastRNNModel
from d2lrnn.models.gluon.layers import RecurrentStack
from d2lrnn.models.gluon.model import RNNModel
from d2lrnn.models.gluon.unrolled import GLUON_NAMES, UnrolledLayer
from d2lrnn.models.parameters import named_parameters
from d2lrnn.models.scratch import RNNModelScratch
from d2lrnn.models.stack import Stack


def copy_parameters(source, target) -> None:
    """Copy the numbers of one model into another, from scratch to Gluon or back, so that both compute the same.

    Gluon keeps two biases a gate where the book has one.  Copied into Gluon, the second becomes 0 and is frozen
    (``grad_req = "null"``), or the two would move twice as far in training; copied from Gluon, the two are added up.
    ``gru_reset_after`` has both biases, so there nothing is frozen.

    Args:
        source: an :class:`RNNModelScratch` or :class:`RNNModel`.
        target: another with the same cell, layers, directions and sizes; a Gluon GRU's twin is ``gru_reset_after``.

    Raises:
        ValueError: if the two differ in more than the numbers; then nothing was copied.
    """
    for model in (source, target):
        if getattr(model, "embedding", None) is not None:
            raise D2lrnnError("a model with an embedding has no twin from scratch, whose inputs are one-hot vectors")
    found, expected = _stack_of(source), _stack_of(target)
    if found != expected:
        raise D2lrnnError(f"the source is a {found}, the target a {expected}: only models of one shape can be copied")
    values, present = read_parameters(source), read_parameters(target)
    for name in found.param_names:
        if values[name].shape != present[name].shape:
            raise D2lrnnError(
                f"{name} has shape {values[name].shape} in the source, {present[name].shape} in the target"
            )
    _write(target, values)


def _stack_of(model) -> Stack:
    """Return a model's layers as a Stack with num_outputs left open (their shapes tell it)."""
    if not isinstance(model, mx.gluon.Block):
        return dataclasses.replace(model.stack, num_outputs=None)
    layer, count = model.layers[0], sum(layer._num_layers for layer in model.layers)
    return Stack(_cell_of(layer), count, model.bidirectional, num_projections=layer._projection_size)


def _cell_of(layer) -> str:
    """Return the name in CELLS of a Gluon layer's cell."""
    fused = {"rnn_tanh": "rnn", "rnn_relu": "rnn_relu", "gru": "gru_reset_after", "lstm": "lstm"}
    return layer.cell if isinstance(layer, UnrolledLayer) else fused[layer._mode]


def _gluon_parameters(model: RNNModel) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield, of each layer and direction, its prefix in :class:`Stack` and its parameters by kind."""
    prefixes = iter(_stack_of(model).prefixes)
    for layer in model.layers:
        for i in range(layer._num_layers):
            for direction in "lr"[: layer._dir]:
                found = {kind: getattr(layer, f"{direction}{i}_{name}", None) for kind, name in GLUON_NAMES.items()}
                yield next(prefixes), {kind: param for kind, param in found.items() if param is not None}


def _bias_pairs(stack: Stack) -> list[tuple[str, str]]:
    return [(f"{prefix}b_{gate}", f"{prefix}c_{gate}") for prefix in stack.prefixes for gate in CELLS[stack.cell].gates]


def _gates_of(cell: Cell, kind: str) -> str:
    """Return the gates of which Gluon stacks parameters of a kind; a fused layer has second biases of any cell."""
    return cell.stacked if kind == "c_" else cell.kinds[kind]


def read_parameters(model, gradients: bool = False) -> dict[str, numpy.ndarray]:
    """Return a model's numbers under the book's names, so that a model from scratch and one on Gluon can be compared.

    Args:
        model: an :class:`RNNModelScratch` or :class:`RNNModel`; what reads an embedding has ``W_x`` for its width.
        gradients: the gradients instead of the parameters.

    Returns:
        NumPy arrays by the names of :attr:`Stack.param_names`, and of a Gluon model its second biases ``c_`` too
        (of their gradients only those that are not frozen).
    """
    if not isinstance(model, mx.gluon.Block):
        arrays = named_parameters(model)
        return {name: (array.grad if gradients else array).asnumpy() for name, array in arrays.items()}
    dense = {"W_hq": model.dense.weight, "b_q": model.dense.bias}
    values = {name: (param.grad() if gradients else param.data()).asnumpy().T for name, param in dense.items()}
    cell = CELLS[_stack_of(model).cell]
    for prefix, params in _gluon_parameters(model):
        for kind, param in params.items():
            if gradients and param.grad_req == "null":
                continue
            gates = _gates_of(cell, kind)
            whole = (param.grad() if gradients else param.data()).asnumpy()
            parts = whole.reshape(len(gates), -1, *param.shape[1:])
            values.update({f"{prefix}{kind}{gate}": part.T for gate, part in zip(gates, parts)})
    return values


def _write(model, values: dict[str, Any]) -> None:
    """Set a model's parameters from what :func:`read_parameters` returns."""
    stack = _stack_of(model)
    one_bias = CELLS[stack.cell].num_biases == 1
    if one_bias:
        for b, c in _bias_pairs(stack):
            values[b], values[c] = values[b] + values.get(c, 0), 0 * values[b]
    if not isinstance(model, mx.gluon.Block):
        for name, param in named_parameters(model).items():
            param[:] = _to_mx(values[name])
        return
    model.dense.weight.set_data(_to_mx(values["W_hq"].T))
    model.dense.bias.set_data(_to_mx(values["b_q"]))
    for prefix, params in _gluon_parameters(model):
        for kind, param in params.items():
            parts = [values[f"{prefix}{kind}{gate}"].T for gate in _gates_of(CELLS[stack.cell], kind)]
            param.set_data(_to_mx(numpy.concatenate(parts)))
        if one_bias and "c_" in params:
            params["c_"].grad_req = "null"


def _to_mx(values: numpy.ndarray):
    return mx.np.array(values, dtype=values.dtype)


def equations_of(model) -> tuple[Stack, list] | None:
    """Return a model's layers and parameters as those of a model from scratch that computes the same, else None.

    Its inputs are one-hot vectors, its parameters in the book's order; those of a Gluon model are copies.
    """
    if type(model) not in (RNNModelScratch, FastRNNModel, RNNModel):  # what is derived may compute anything
        return None
    try:
        stack = _stack_of(model)
    except D2lrnnError:  # equations of the user's
        return None
    if isinstance(model, RNNModel) and not _has_equal_layers(model):
        return None
    if isinstance(model, RNNModelScratch):
        return stack, model.params
    values = read_parameters(model)
    if CELLS[stack.cell].num_biases == 1:
        for b, c in _bias_pairs(stack):
            values[b] = values[b] + values.get(c, 0)
    if model.embedding is not None:  # looking a row up and multiplying it is looking a product up
        table = model.embedding.weight.data().asnumpy()
        for name in stack.param_names[: len(CELLS[stack.cell].param_names)]:
            if name.split(".")[-1].startswith("W_x"):
                values[name] = table @ values[name]
    ctx = model.dense.weight.list_ctx()[0]
    return stack, [_to_mx(values[name]).as_in_ctx(ctx) for name in stack.param_names]


def _has_equal_layers(model: RNNModel) -> bool:
    """Return whether the layers differ in nothing but their numbers, and nothing stands between them."""
    kinds = {(_cell_of(layer), layer._hidden_size, layer._projection_size, layer._dir) for layer in model.layers}
    plain = not isinstance(model.rnn, RecurrentStack) or type(model.rnn) is RecurrentStack
    return len(kinds) == 1 and plain


def make_twins(config: ModelConfig, vocab_size: int, ctx=None) -> dict:
    """Make a model from scratch and its twin on Gluon, with the same parameters.

    Args:
        config: the shape of both; its ``kind`` does not matter, and ``gru`` means ``gru_reset_after``, Gluon's form.
        vocab_size: the size of the vocabulary.
        ctx: the device of both.

    Returns:
        the models, by the names ``scratch`` and ``gluon``.
    """
    cell = "gru_reset_after" if config.cell == "gru" else config.cell
    models = {
        kind: build_model(replace(config, kind=kind, cell=cell), vocab_size, ctx) for kind in ("scratch", "gluon")
    }
    copy_parameters(models["scratch"], models["gluon"])
    return models
